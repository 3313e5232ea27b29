"""Find good hyper-parameters on a validation part that is cut from the training part, within a budget."""

import json
import math
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tastemaker.data.dataset import Dataset
from tastemaker.data.sessions import sessions
from tastemaker.data.splits import Split
from tastemaker.errors import DataError, TastemakerError, require
from tastemaker.evaluation.deadline import OutOfTime, until
from tastemaker.evaluation.fold import measure, obstacle, without_checkpoint
from tastemaker.evaluation.plan import Plan, Sampled
from tastemaker.evaluation.protocols import make_splits, splits_of
from tastemaker.evaluation.search_spaces import (
    Space,
    current_settings,
    parameters_of,
    space_of,
    with_settings,
)
from tastemaker.evaluation.trial import Trial
from tastemaker.metrics.metric import Metric
from tastemaker.models import model_class
from tastemaker.models.base import Recommender
from tastemaker.models.checks import between, whole
from tastemaker.progress import current

if TYPE_CHECKING:
    import optuna

__all__ = ["Tuned", "tune"]

Validation = Literal["holdout", "leave-last", "time", "session"]

_TRIALS = 20  # where neither a number of trials nor a budget is given
_SHARES = (
    1 / 9,
    1 / 3,
    1.0,
)  # of the users: a setting must be among the best third of each step to see the next
_LEAST_USERS = 300  # on fewer a setting is not judged
_STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}


@dataclass(frozen=True, eq=False)
class Tuned:
    """What tuning found.

    Attributes:
        parameters: the best hyper-parameters, as arguments of the model.
        value: of the metric, on the validation part.
        metric: its name.
        model: with the best hyper-parameters; fitted on all of the training data, unless told not to.
        trials: one row a trial: number, state (complete, pruned, failed), value, share of the users it was last judged on,
            seconds, reason of a failure, and the settings.
    """

    parameters: dict[str, Any]
    value: float
    metric: str
    model: Recommender[Any]
    trials: pl.DataFrame

    def __str__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.parameters.items())
        counts = ", ".join(
            f"{n} {state}" for state, n in sorted(self.trials["state"].value_counts().iter_rows())
        )
        return f"{self.metric} {self.value:.4f} on validation data by {self.model.name} with {settings} ({counts})"


def tune(
    model: str | type[Recommender[Any]] | Recommender[Any],
    data: Dataset | Split,
    *,
    metric: str = "ndcg@10",
    budget_seconds: float | None = None,
    trials: int | None = None,
    seed: int = 0,
    storage: str | Path | None = None,
    validation: Validation | Split | None = None,
    gap: timedelta | None = None,
    space: Space | None = None,
    relevant_from: float | None = None,
    sampled: Sampled = None,
    prune: bool = True,
    refit: bool = True,
) -> Tuned:
    """Search for the hyper-parameters with the best metric on validation data (Tree-structured Parzen Estimator, by Optuna).

    The model's own settings are tried first, so the result is at least as good on validation data. Where there are users enough,
    a setting is first judged on a ninth and a third of them, and given up unless it is among the best third so far (asynchronous
    successive halving: Li et al., 2020). Same seed, same trials, whether run at once or resumed; where a time budget ends is up
    to the clock.

    Args:
        model: a registered name, a class, or a model whose other hyper-parameters are kept, except for a
            ``checkpoint``: that is a file of one fit, and trials are many.
        data: what to learn from; of a Split the training part, and its test part is never looked at.
        metric: as in :func:`tastemaker.evaluation.evaluate`; its own direction is respected.
        budget_seconds: stop after so long; the first trial is finished, a later one is broken off.
        trials: stop when there are so many, resumed ones included; 20 if neither is given.
        seed: of the search and of the cut.
        storage: a file that remembers the trials; an existing one is resumed.
        validation: how to cut the validation part from the training part (``"holdout"``, ``"leave-last"``, ``"time"``,
            ``"session"``), or a Split of it. By default the Split's own validation part where it has one, else a hold-out.
        gap: for ``"session"``, a pause longer than which ends one; the best model, too, learns from sessions. See
            :func:`tastemaker.data.sessions.sessions`.
        space: where to look, instead of the default ranges.
        relevant_from, sampled: what counts as relevant, and against which candidates, as in
            :func:`tastemaker.evaluation.evaluate`.
        prune: False judges every setting on all users: it takes longer, and is right where what is best depends on how much
            there is to learn from, as the number of factors does. Sessions that nobody has an id for are always judged so.
        refit: fit the best model on the whole training part.

    Raises:
        MissingExtraError: without the extra ``tune``.
        DataError: if the metric has no meaning for the model, or the validation part meets the test part.
        TastemakerError: if the model has nothing to tune, the storage is of another search, or no trial succeeded.
    """
    require("optuna", "tune")
    base = without_checkpoint(_prototype(model))
    train, split = _cut(data, validation, seed, gap)
    plan = Plan.of(
        split.train.schema, metrics=[metric], relevant_from=relevant_from, sampled=sampled, seed=seed
    )
    chosen = plan.metrics[0]
    if reason := obstacle(chosen, base):
        raise DataError(f"{base.name} cannot be tuned by {chosen.name}: {reason}")
    space = space_of(base) if space is None else space
    if not space:
        raise TastemakerError(f"{base.name}: the space is empty, so there is nothing to tune")
    study = _study(chosen, storage, _identity(base, plan, split, space))
    by_share = prune and split.history is None  # sessions have no part in the training data
    rungs = _rungs(split, plan, _SHARES if by_share else (1.0,))
    search = _Search(study, base, space, rungs, chosen, seed)
    search.run(_limits(trials, budget_seconds), budget_seconds)
    if not search.best():
        reasons = {t.user_attrs["error"] for t in study.trials if "error" in t.user_attrs}
        raise TastemakerError(
            f"no trial of {base.name} succeeded: {'; '.join(sorted(reasons)) or 'none ran'}"
        )
    best = study.best_trial
    found = with_settings(base, best.params)
    return Tuned(
        parameters=parameters_of(base, best.params),
        value=study.best_value,
        metric=chosen.name,
        model=found.fit(train) if refit else found,
        trials=_table(study),
    )


def _prototype(model: str | type[Recommender[Any]] | Recommender[Any]) -> Recommender[Any]:
    made = model_class(model)() if isinstance(model, str) else model() if isinstance(model, type) else model
    if not isinstance(made, Recommender):
        raise DataError(f"expected a model, its class or its name, got {type(model).__name__}")
    return made


def _limits(trials: int | None, budget_seconds: float | None) -> int | None:
    if trials is not None:
        whole("trials", trials)
    if budget_seconds is not None:
        between("budget_seconds", budget_seconds, open_low=True)
    return _TRIALS if trials is None and budget_seconds is None else trials


def _cut(
    data: Dataset | Split, validation: Validation | Split | None, seed: int, gap: timedelta | None
) -> tuple[Dataset, Split]:
    """The whole training data, and how they are parted into what trials learn from and what they are judged by."""
    train = data.train if isinstance(data, Split) else data
    if validation == "session":
        if isinstance(data, Split):
            splits_of(data)
        return sessions(train, gap), make_splits(train, "session", gap=gap)[0]
    if isinstance(validation, Split):
        split = validation
    elif validation is None and isinstance(data, Split) and data.validation is not None:
        split = Split(train, data.validation, "validation", data.description, data.seed)
    else:
        split = make_splits(train, validation or "holdout", seed=seed)[0]
    if isinstance(data, Split):
        for part in (split.train, split.test):
            splits_of(Split(part, data.test, "the validation split against the test part"))
    return train, splits_of(split)[0]


def _identity(base: Recommender[Any], plan: Plan, split: Split, space: Space) -> dict[str, Any]:
    """What a stored search must agree in to be resumed."""
    return {
        "model": base.name,
        "parameters": json.loads(json.dumps(base.parameters(), default=str)),
        "metric": plan.metrics[0].name,
        "relevance": plan.relevance,
        "candidates": plan.sampled,
        "data": [split.train.fingerprint, split.test.fingerprint],
        "seed": plan.seed,
        "space": {name: str(where) for name, where in space.items()},
    }


def _study(metric: Metric, storage: str | Path | None, identity: dict[str, Any]) -> "optuna.Study":
    """A new study, or the stored one, without the trials that were broken off."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    backend = None
    if storage is not None:
        Path(storage).parent.mkdir(parents=True, exist_ok=True)
        backend = JournalStorage(JournalFileBackend(str(storage)))
    study = optuna.create_study(
        study_name="tune",
        storage=backend,
        load_if_exists=True,
        direction="maximize" if metric.higher_is_better else "minimize",
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
    )
    before = study.user_attrs.get("search")
    if before is None:
        study.set_user_attr("search", identity)
    elif before != identity:
        differs = ", ".join(key for key in identity if before.get(key) != identity[key])
        raise TastemakerError(f"{storage} holds another search (other {differs}); give another file")
    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    return study


def _rungs(split: Split, plan: Plan, shares: tuple[float, ...]) -> list[tuple[float, Trial]]:
    """The split for growing shares of its users, the last for all of them."""
    order = np.random.default_rng(plan.seed).permutation(np.unique(split.test.user))
    rungs = []
    for share in shares[:-1]:
        users = order[: round(share * len(order))]
        if len(users) >= _LEAST_USERS:
            rungs.append((share, Trial.of(_of_users(split, users), plan)))
    return [*rungs, (1.0, Trial.of(split, plan))]


def _of_users(split: Split, users: NDArray[np.int32]) -> Split:
    train, test = (np.isin(part.user, users) for part in (split.train, split.test))
    negatives = None if split.negatives is None else split.negatives[test]
    return Split(
        split.train.select(train),
        split.test.select(test),
        split.name,
        negatives=negatives,
        candidates=split.candidates,
    )


@dataclass(frozen=True, eq=False)
class _Search:
    """A study, and what its trials need."""

    study: "optuna.Study"
    base: Recommender[Any]
    space: Space
    rungs: list[tuple[float, Trial]]
    metric: Metric
    seed: int

    def run(self, trials: int | None, budget: float | None) -> None:
        """Run trials until there are so many, or the time is over."""
        start, first = time.monotonic(), self._done()
        total, unit = (trials, "trial") if trials else (round(budget or 0), "second")
        with current().start(f"tune {self.base.name}", total=total, unit=unit) as task:
            shown = 0
            while trials is None or self._done() < trials:
                left = math.inf if budget is None else budget - (time.monotonic() - start)
                if left <= 0 and self.best():
                    break
                with until(time.monotonic() + left if self.best() else math.inf):
                    self._try()
                reached = self._done() if trials else min(total, round(time.monotonic() - start))
                task.advance(reached - shown, **self.best(), trials=self._done() - first)
                shown = reached

    def _done(self) -> int:
        """How many trials have an outcome; those that were broken off have none."""
        return sum(
            trial.state.name in ("COMPLETE", "PRUNED") or "error" in trial.user_attrs
            for trial in self.study.trials
        )

    def best(self) -> dict[str, float]:
        """The best value so far by the metric's name; empty before the first."""
        there = any(trial.state.name == "COMPLETE" for trial in self.study.trials)
        return {self.metric.name: self.study.best_value} if there else {}

    def _try(self) -> None:
        """One trial, the model's own settings first; drawn by the seed and the number of trials before."""
        import optuna

        done = self._done()
        self.study.sampler = optuna.samplers.TPESampler(seed=self.seed * 100_003 + done)
        if done == 0:
            self.study.enqueue_trial(current_settings(self.base, self.space))
        trial = self.study.ask()
        settings = {name: where.suggest(trial, name) for name, where in self.space.items()}
        try:
            value = self._judge(trial, settings, prune=done > 0)
        except OutOfTime:
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
        except (TastemakerError, ValueError) as error:
            trial.set_user_attr("error", str(error))
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            pruned = optuna.trial.TrialState.PRUNED if value is None else None
            self.study.tell(trial, value, state=pruned)

    def _judge(self, trial: "optuna.Trial", settings: dict[str, Any], prune: bool) -> float | None:
        """The value on all users; None if it was given up before."""
        model = with_settings(self.base, settings)
        for share, part in self.rungs:
            value = float(measure(model, part, model.name).measurements[self.metric.name].value)
            if not math.isfinite(value):
                raise ValueError(f"{self.metric.name} is {value} with these settings")
            trial.set_user_attr("share", share)
            if share < 1:
                trial.report(value, round(share / _SHARES[0]))
                if prune and trial.should_prune():
                    return None
        return value


def _table(study: "optuna.Study") -> pl.DataFrame:
    """One row a trial that ran; a trial that was broken off is left out."""
    rows = [
        {
            "number": trial.number,
            "state": _STATES[trial.state.name],
            "value": trial.value,
            "share": trial.user_attrs.get("share"),
            "seconds": trial.duration.total_seconds() if trial.duration else None,
            "error": trial.user_attrs.get("error"),
            **trial.params,
        }
        for trial in study.trials
        if trial.state.name != "FAIL" or "error" in trial.user_attrs
    ]
    return pl.DataFrame(rows, infer_schema_length=None)
