"""The weights of a blend by validation data. Its models are fitted once, and of what they say only the items near the top are
kept, so that trying weights takes a second instead of an evaluation.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tastemaker._native.topk import Rows, top_k
from tastemaker.data.queries import of_users
from tastemaker.data.splits import Split
from tastemaker.evaluation.plan import Plan
from tastemaker.evaluation.search_spaces import Space, current_settings, with_settings
from tastemaker.evaluation.trial import Trial
from tastemaker.metrics import Evidence, RankedLists
from tastemaker.models.base import Recommender
from tastemaker.models.blend import Blend, normalized
from tastemaker.ranking.blocks import query_blocks

_KEPT = 100  # a model's best items for a user, which the blend's best come from


@dataclass(frozen=True, eq=False)
class Ballots:
    """What the models of a blend say about the items that are among the best of one of them.

    Attributes:
        trial: the validation users, what is relevant to them, and the metric.
        items: int32[users, n], in rising order; one that comes twice has no scores the second time.
        scores: float32[models, users, n], normalized; NaN: no scores.
    """

    trial: Trial
    items: NDArray[np.int32]
    scores: NDArray[np.float32]

    @classmethod
    def of(cls, blend: Blend, trial: Trial) -> "Ballots":
        """Fit the models, and ask them."""
        fitted = replace(blend).fit(trial.train)
        members = fitted._fitted.state.members.values()
        width = _KEPT * len(members)
        items = np.empty((len(trial.users), width), np.int32)
        scores = np.empty((len(members), len(trial.users), width), np.float32)
        for block in query_blocks(len(trial.users), trial.train.n_items):
            queries = of_users(trial.users[block], fitted.catalogue)
            seen = Rows(queries.history.indptr, queries.history.indices)
            said = [_normalized(member._score(member._fitted, queries), blend) for member in members]
            best = np.sort(np.hstack([top_k(part, _KEPT, seen=seen).items for part in said]), axis=1)
            again = np.diff(best, axis=1, prepend=-1) == 0
            items[block] = best
            for n, part in enumerate(said):
                scores[n, block] = np.where(again, np.nan, np.take_along_axis(part, best, axis=1))
        return cls(trial, items, scores)

    def value(self, blend: Recommender[Any]) -> float:
        """The metric by this blend's weights."""
        weights = np.array(list(blend.parameters()["weights"].values()), np.float32)
        totals = np.tensordot(weights, self.scores, axes=1)
        places = top_k(totals, self.trial.plan.k).items
        lists = RankedLists(np.take_along_axis(self.items, places, axis=1), self.trial.relevant)
        return float(self.trial.plan.metrics[0](Evidence(lists=lists)).value)


def tune_weights(
    blend: Blend, validation: Split, metric: str, space: Space, trials: int
) -> tuple[dict[str, float], float]:
    """The weights with the best metric on the validation split, ranking the full catalogue, and that metric. The blend's own are
    tried first.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    ballots = Ballots.of(blend, Trial.of(validation, Plan.of(validation.train.schema, metrics=[metric])))

    def value(trial: optuna.Trial) -> float:
        settings = {name: where.suggest(trial, name) for name, where in space.items()}
        return ballots.value(with_settings(blend, settings))

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    study.enqueue_trial(current_settings(blend, space))
    study.optimize(value, n_trials=trials)
    return study.best_params, study.best_value


def _normalized(scores: NDArray[np.float32], blend: Blend) -> NDArray[np.float32]:
    return np.array([normalized(row, blend.normalize) for row in scores], np.float32)
