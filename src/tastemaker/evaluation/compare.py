"""Several models on the same splits, in one table: who is best, by how much it is sure, and whether popularity does as well."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tastemaker.data.splits import Split
from tastemaker.errors import DataError
from tastemaker.evaluation.comparison import REFERENCE, Comparison
from tastemaker.evaluation.evaluate import sum_up
from tastemaker.evaluation.fold import Fold, measure, without_checkpoint
from tastemaker.evaluation.plan import Plan, Sampled
from tastemaker.evaluation.protocols import Data, Protocol, splits_of
from tastemaker.evaluation.trial import Trial
from tastemaker.models.base import Recommender
from tastemaker.models.popularity import Popularity
from tastemaker.progress import current

__all__ = ["compare"]


def compare(
    models: Mapping[str, Recommender[Any]] | Sequence[Recommender[Any]],
    data: Data,
    *,
    metrics: str | Iterable[str] | None = None,
    k: int = 10,
    protocol: Protocol = "holdout",
    folds: int = 5,
    seed: int = 0,
    relevant_from: float | None = None,
    sampled: Sampled = None,
) -> Comparison:
    """Measure models on the same splits and set them side by side.

    Where none of the models is ``Popularity()``, it is added as the reference: a model that cannot beat it has learned nothing
    that matters for lists, and the comparison says so. A model that fails is reported with its reason; the others stand.

    Args:
        models: by the name to print; or a list of models, which are then named after their classes. On several splits they
            are fitted without a ``checkpoint``, a file of one fit.
        data, metrics, k, protocol, folds, seed, relevant_from, sampled: as in :func:`tastemaker.evaluate`.

    Raises:
        DataError: without models, for data that cannot be split, or that lack what the metrics need.
        ValueError: for an unknown metric or a number out of range.

    >>> from tastemaker import Dataset, Popularity, Random
    >>> data = Dataset.from_interactions({"user": list("aaabbbccc"), "item": [1, 2, 3, 1, 2, 4, 1, 3, 4]})
    >>> result = compare({"dice": Random(seed=1)}, data, metrics=["hit_rate@2"], protocol="leave-last")
    >>> list(result.reports), result["dice"].counts.lists
    (['dice', 'Popularity (reference)'], 3)
    """
    named = _named(models)
    if not any(_is_reference(model) for model in named.values()):
        named[REFERENCE] = Popularity()
    splits = splits_of(data, protocol, folds=folds, seed=seed)
    schema = splits[0].train.schema
    plan = Plan.of(schema, metrics=metrics, k=k, relevant_from=relevant_from, sampled=sampled, seed=seed)
    fitted = without_checkpoint(named) if len(splits) > 1 else named
    measured, failures = _measure_all(fitted, plan, splits)
    reports = {name: sum_up(named[name], name, plan, splits, found) for name, found in measured.items()}
    reference = next((name for name in reports if _is_reference(named[name])), None)
    return Comparison(plan=plan, reports=reports, failures=failures, reference=reference)


def _measure_all(
    models: Mapping[str, Recommender[Any]], plan: Plan, splits: Sequence[Split]
) -> tuple[dict[str, list[Fold]], dict[str, str]]:
    """Every model on every split, one split after the other; and why a model failed, which then rests."""
    measured: dict[str, list[Fold]] = {name: [] for name in models}
    failures: dict[str, str] = {}
    with current().start("compare", total=len(models) * len(splits), unit="fit") as task:
        for split in splits:
            trial = Trial.of(split, plan)
            for name in list(measured):
                try:
                    measured[name].append(measure(models[name], trial, name))
                except (
                    Exception
                ) as error:  # whatever a model raises is its own failure, not that of the others
                    failures[name] = f"{type(error).__name__}: {error}"
                    del measured[name]
                task.advance()
    return measured, failures


def _is_reference(model: Any) -> bool:
    return isinstance(model, Popularity) and model.by == "count"


def _named(
    models: Mapping[str, Recommender[Any]] | Sequence[Recommender[Any]],
) -> dict[str, Recommender[Any]]:
    """The models by name; the second of a class is "UserKNN 2"."""
    if not models:
        raise DataError("compare: expected at least one model, got none")
    if isinstance(models, Mapping):
        return dict(models)
    if isinstance(models, Recommender):
        raise DataError("compare: expected several models, got one; write [model] or {name: model}")
    named: dict[str, Recommender[Any]] = {}
    for model in models:
        kind = type(model).__name__
        twins = sum(type(other) is type(model) for other in named.values())
        named[f"{kind} {twins + 1}" if twins else kind] = model
    return named
