"""From a name such as ``"ndcg@10"`` to the metric, and from names to the text that defines them."""

import difflib
import re
from collections.abc import Iterable

from tastemaker.metrics.compat import PEERS
from tastemaker.metrics.metric import Family, Metric
from tastemaker.metrics.table import PREDICTION_METRICS, RANKING_METRICS

__all__ = ["available", "definitions", "parse", "parse_all"]


def available(compat: str | None = None) -> list[str]:
    """List the metric names, with ``@k`` where a cut-off belongs.

    >>> available()[:3]
    ['precision@k', 'recall@k', 'hit_rate@k']
    """
    return list(_families(compat))


def parse(name: str, compat: str | None = None) -> Metric:
    """Find a metric by its name: ``"rmse"``, ``"auc"``, or with a cut-off ``"ndcg@10"``, ``"map@5"``.

    Args:
        name: the name; case does not matter.
        compat: compute it as this library does: "implicit", "lenskit", "rectools" or "sklearn". None: as defined here.

    Raises:
        ValueError: for an unknown name (the message has the close ones), or a cut-off that is missing, unwanted or not 1 or more.

    >>> metric = parse("map@5")
    >>> metric.definition[:76]
    "Sum over hits in the first 5 of precision at the hit's rank, divided by 5. M"
    >>> parse("nDGC@10")
    Traceback (most recent call last):
    ValueError: unknown metric "ndgc@10"; did you mean ndcg@k?
    """
    families = _families(compat)
    wanted = name.strip().lower()
    base, at, cut = wanted.partition("@")
    key = f"{base}@k" if at else base
    family = families.get(key)
    if family is None:
        raise ValueError(_unknown(wanted, base, list(families), compat))
    if at and not re.fullmatch(r"[1-9]\d*", cut):
        raise ValueError(f'the cut-off in "{wanted}" must be a whole number from 1, as in {base}@10')
    label = wanted if compat is None else f"{wanted} ({compat})"
    return family.at(label, int(cut) if at else None)


def parse_all(names: Iterable[str], compat: str | None = None) -> list[Metric]:
    """Find several metrics, each once, in the order given. See `parse`."""
    metrics = {metric.name: metric for metric in (parse(name, compat) for name in names)}
    return list(metrics.values())


def definitions(names: Iterable[str], compat: str | None = None) -> str:
    """Return the text that a report prints: one line a metric, name and definition.

    >>> print(definitions(["mae"]))
    mae: Mean of |predicted - actual| over all held-out pairs together. (0 to inf, lower is better)
    """
    return "\n".join(_line(metric) for metric in parse_all(names, compat))


def _line(metric: Metric) -> str:
    direction = "higher" if metric.higher_is_better else "lower"
    return f"{metric.name}: {metric.definition} ({metric.low:g} to {metric.high:g}, {direction} is better)"


def _families(compat: str | None) -> dict[str, Family]:
    if compat is None:
        return {f"{name}@k": family for name, family in RANKING_METRICS.items()} | PREDICTION_METRICS
    if compat not in PEERS:
        raise ValueError(f'unknown compat="{compat}"; there are {", ".join(sorted(PEERS))}')
    return {f"{name}@k": family for name, family in PEERS[compat].items()}


def _unknown(wanted: str, base: str, known: list[str], compat: str | None) -> str:
    if compat is not None:
        return f'compat="{compat}" has no "{wanted}"; it has {", ".join(known)}'
    if f"{base}@k" in known:
        return f'"{wanted}" needs the length of the list: write {base}@10'
    if base in known:
        return f'{base} takes no cut-off: write "{base}", not "{wanted}"'
    close = difflib.get_close_matches(base, [name.removesuffix("@k") for name in known], n=4, cutoff=0.5)
    near = [name for name in known if name.removesuffix("@k") in close]
    return f'unknown metric "{wanted}"; ' + (
        f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(known)}"
    )
