"""What is to be measured: which metrics, what counts as relevant, against which candidates."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from tastemaker.data.dataset import Schema
from tastemaker.errors import DataError
from tastemaker.evaluation.area import AREA
from tastemaker.metrics.metric import Metric
from tastemaker.metrics.registry import available, parse
from tastemaker.models.checks import whole

__all__ = ["Plan", "Sampled"]

Sampled = int | Literal["published"] | None

_FOR_RATINGS = ("rmse", "mae", "ndcg", "map", "precision@{k}", "recall@{k}", "coverage", "novelty")
_FOR_FEEDBACK = ("ndcg", "map", "precision@{k}", "recall@{k}", "hit_rate", "mrr", "coverage", "novelty")
_FOR_CLICKS = ("auc_global", "auc", "log_loss", "calibration_error")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be measured.

    Attributes:
        metrics: in the order of the table.
        k: the length of the lists: the largest cut-off of the metrics.
        relevant_from: a held-out rating from here on makes its item relevant; None: every held-out item is.
        sampled: None ranks the full catalogue; a number ranks the relevant items among so many random unseen ones;
            ``"published"`` among the negatives that came with the split.
        seed: of that draw.
        clicks: whether impressions with labels are tested on: a click is relevant.
    """

    metrics: tuple[Metric, ...]
    k: int
    relevant_from: float | None
    sampled: Sampled = None
    seed: int = 0
    clicks: bool = False

    @classmethod
    def of(
        cls,
        schema: Schema,
        *,
        metrics: str | Iterable[str] | None = None,
        k: int = 10,
        relevant_from: float | None = None,
        sampled: Sampled = None,
        seed: int = 0,
    ) -> "Plan":
        """Check the wishes against the data.

        Raises:
            ValueError: for an unknown metric or a number out of range.
            DataError: for metrics of ratings, or a threshold, where there are no ratings.

        >>> plan = Plan.of(Schema(rating="stars", scale=(1, 5)), metrics="rmse,map,ndcg@20")
        >>> [m.name for m in plan.metrics], plan.k, plan.relevant_from
        (['rmse', 'map@10', 'ndcg@20'], 20, 4.0)
        """
        whole("k", k)
        if sampled is not None and sampled != "published":
            whole("sampled", sampled)
        chosen = _chosen(metrics, k, schema)
        if schema.clicks:
            relevant_from = _a_click(relevant_from, schema)
        elif not schema.explicit:
            _refuse_rating_wishes(chosen, relevant_from, schema)
        elif relevant_from is None:
            relevant_from = _upper_quarter(schema)
        elif schema.scale and relevant_from > schema.scale[1]:
            raise DataError(
                f"relevant_from={relevant_from:g}, but ratings of {schema.name} end at {schema.scale[1]:g}"
            )
        longest = max((m.k for m in chosen if m.k), default=k)
        return cls(
            metrics=chosen,
            k=longest,
            relevant_from=relevant_from,
            sampled=sampled,
            seed=seed,
            clicks=schema.clicks,
        )

    @property
    def ranks(self) -> bool:
        """Whether any metric is about the ranking of items."""
        return any("lists" in metric.needs or metric is AREA for metric in self.metrics)

    @property
    def relevance(self) -> str:
        """What counts as relevant, in words."""
        if self.clicks:
            return "held-out impressions that were clicked"
        if self.relevant_from is None:
            return "every held-out interaction"
        return f"held-out ratings of {self.relevant_from:g} and more"

    @property
    def candidates(self) -> str:
        """What the lists are chosen from, in words."""
        if self.sampled is None:
            return "the full catalogue, without what the user had in training"
        many = (
            "the negatives published with the split"
            if self.sampled == "published"
            else f"{self.sampled} random ones"
        )
        return f"SAMPLED: the relevant items and {many}; not comparable with the full catalogue"


def _chosen(metrics: str | Iterable[str] | None, k: int, schema: Schema) -> tuple[Metric, ...]:
    """The metrics by name, each once; a name that only makes sense with a cut-off gets ``@k``."""
    if metrics is None:
        usual = _FOR_CLICKS if schema.clicks else _FOR_RATINGS if schema.explicit else _FOR_FEEDBACK
        names: Sequence[str] = usual
    else:
        names = metrics.split(",") if isinstance(metrics, str) else list(metrics)
    if not names:
        raise ValueError(f"metrics is empty; there are {', '.join([*available(), AREA.name])}")
    found = [_parse(name.format(k=k).strip().lower(), k) for name in names]
    return tuple({metric.name: metric for metric in found}.values())


def _parse(name: str, k: int) -> Metric:
    if name == AREA.name:
        return AREA
    known = available()
    return parse(f"{name}@{k}" if f"{name}@k" in known and name not in known else name)


def _a_click(relevant_from: float | None, schema: Schema) -> float:
    """The label from which an impression is relevant."""
    if relevant_from is not None and relevant_from != 1:
        raise DataError(
            f"relevant_from={relevant_from:g}, but {schema.name} has labels: a click, 1, is relevant"
        )
    return 1.0


def _upper_quarter(schema: Schema) -> float:
    """The point of the scale with three quarters of it below: 4 on a scale from 1 to 5."""
    if schema.scale is None:
        raise DataError(f"{schema.name}: the scale of the ratings is unknown; give relevant_from")
    low, high = schema.scale
    return low + 0.75 * (high - low)


def _refuse_rating_wishes(metrics: Sequence[Metric], relevant_from: float | None, schema: Schema) -> None:
    if relevant_from is not None:
        raise DataError(
            f"relevant_from={relevant_from:g}, but {schema.name} is implicit feedback without ratings"
        )
    wrong = [metric.name for metric in metrics if "predictions" in metric.needs]
    if wrong:
        raise DataError(
            f"{', '.join(wrong)}: {schema.name} is implicit feedback without ratings, so there is nothing to compare a "
            f"prediction with; ask for lists (ndcg@10, map@10, recall@10, …) or {AREA.name}"
        )
