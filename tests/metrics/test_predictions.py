"""Rating errors, rank correlations and classification metrics against loops, SciPy and scikit-learn."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics import oracle
from tastemaker.metrics import Evidence, Measurement, Predictions, available, parse
from tastemaker.metrics.grouped import average_ranks, discordant_pairs

pairs_strategy = st.lists(
    st.tuples(st.integers(0, 4), st.integers(1, 5), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0])),
    min_size=1,
    max_size=40,
)
Pairs = list[tuple[int, int, float]]


def predictions_of(rows: Pairs) -> Predictions:
    users, actual, predicted = zip(*rows, strict=True)
    return Predictions.of(users, actual, predicted, relevant_from=4, chosen_from=0.5)


def measure(name: str, rows: Pairs) -> Measurement:
    return parse(name)(Evidence(predictions=predictions_of(rows)))


def each_user(rows: Pairs, function: Callable[[Pairs], float]) -> list[float]:
    return [function([row for row in rows if row[0] == user]) for user in sorted({row[0] for row in rows})]


def rmse(rows: Pairs) -> float:
    return math.sqrt(sum((p - a) ** 2 for _, a, p in rows) / len(rows))


def mae(rows: Pairs) -> float:
    return sum(abs(p - a) for _, a, p in rows) / len(rows)


def log_loss(rows: Pairs) -> float:
    eps = np.finfo(float).eps
    clipped = [(a >= 4, min(max(p, eps), 1 - eps)) for _, a, p in rows]
    return -sum(math.log(p if good else 1 - p) for good, p in clipped) / len(rows)


def calibration_error(rows: Pairs) -> float:
    scores = sorted(p for _, _, p in rows)
    bins: dict[int, list[tuple[bool, float]]] = {}
    for _, a, p in rows:
        below, equal = sum(q < p for q in scores), scores.count(p)
        bins.setdefault((2 * below + equal) * 10 // (2 * len(rows)), []).append((a >= 4, p))
    gaps = (abs(sum(good for good, _ in rows_of) - sum(p for _, p in rows_of)) for rows_of in bins.values())
    return sum(gaps) / len(rows)


def precision(rows: Pairs) -> float:
    chosen = [a >= 4 for _, a, p in rows if p >= 0.5]
    return sum(chosen) / len(chosen) if chosen else math.nan


def recall(rows: Pairs) -> float:
    relevant = [p >= 0.5 for _, a, p in rows if a >= 4]
    return sum(relevant) / len(relevant) if relevant else math.nan


def auc(rows: Pairs) -> float:
    good = [a >= 4 for _, a, _ in rows]
    return math.nan if len(set(good)) < 2 else oracle.auc([p for _, _, p in rows], good)


def auc_grouped(rows: Pairs) -> float:
    own = [[row for row in rows if row[0] == user] for user in {row[0] for row in rows}]
    both = [(len(mine), auc(mine)) for mine in own if not math.isnan(auc(mine))]
    return sum(n * a for n, a in both) / sum(n for n, _ in both) if both else math.nan


def kendall(rows: Pairs) -> float:
    sign = [np.sign(a - c) * np.sign(b - d) for i, (_, a, b) in enumerate(rows) for _, c, d in rows[:i]]
    x = sum(a != c for i, (_, a, _) in enumerate(rows) for _, c, _ in rows[:i])
    y = sum(b != d for i, (_, _, b) in enumerate(rows) for _, _, d in rows[:i])
    return float(sum(sign)) / math.sqrt(x * y) if x * y else math.nan


def spearman(rows: Pairs) -> float:
    actual, predicted = [a for _, a, _ in rows], [p for _, _, p in rows]
    if len(set(actual)) < 2 or len(set(predicted)) < 2:
        return math.nan
    return float(scipy.stats.spearmanr(actual, predicted).statistic)


POOLED = {
    "rmse": rmse,
    "mae": mae,
    "log_loss": log_loss,
    "calibration_error": calibration_error,
    "precision_global": precision,
    "recall_global": recall,
    "auc_global": auc,
    "auc_grouped": auc_grouped,
    "spearman_global": spearman,
    "kendall_global": kendall,
}
PER_USER = {"precision": precision, "recall": recall, "auc": auc, "spearman": spearman, "kendall": kendall}


def test_every_metric_of_predictions_is_tested_here() -> None:
    assert {*POOLED, *PER_USER} == {name for name in available() if not name.endswith("@k")}


@pytest.mark.parametrize("name", POOLED)
@settings(max_examples=80, deadline=None)
@given(rows=pairs_strategy)
def test_pooled_metrics_agree_with_the_definition(name: str, rows: Pairs) -> None:
    measured = measure(name, rows)
    assert measured.value == pytest.approx(POOLED[name](rows), abs=1e-9, nan_ok=True)
    if measured.per_user is not None and not math.isnan(measured.value):
        np.testing.assert_allclose(measured.per_user, each_user(rows, POOLED[name]), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", PER_USER)
@settings(max_examples=80, deadline=None)
@given(rows=pairs_strategy)
def test_metrics_per_user_agree_with_the_definition(name: str, rows: Pairs) -> None:
    expected = np.array(each_user(rows, PER_USER[name]))
    measured = measure(name, rows)
    np.testing.assert_allclose(measured.per_user, expected, rtol=0, atol=1e-9)
    mean = math.nan if np.isnan(expected).all() else float(np.nanmean(expected))
    assert measured.value == pytest.approx(mean, abs=1e-9, nan_ok=True)
    assert measured.n_left_out == np.isnan(expected).sum()


def test_agrees_with_scipy_and_sklearn_on_many_ratings() -> None:
    rng = np.random.default_rng(5)
    users, actual = rng.integers(0, 60, 5000), rng.integers(1, 11, 5000) / 2
    predicted = np.round(actual + rng.normal(0, 1.5, 5000), 1)
    evidence = Evidence(predictions=Predictions.of(users, actual, predicted, relevant_from=4))
    tau = [scipy.stats.kendalltau(actual[users == u], predicted[users == u]).statistic for u in range(60)]
    rho = [scipy.stats.spearmanr(actual[users == u], predicted[users == u]).statistic for u in range(60)]
    np.testing.assert_allclose(parse("kendall")(evidence).per_user, tau, rtol=0, atol=1e-9)
    np.testing.assert_allclose(parse("spearman")(evidence).per_user, rho, rtol=0, atol=1e-9)
    assert parse("kendall_global")(evidence).value == pytest.approx(
        scipy.stats.kendalltau(actual, predicted).statistic, abs=1e-9
    )
    area = sklearn.metrics.roc_auc_score(actual >= 4, predicted)
    assert parse("auc_global")(evidence).value == pytest.approx(area, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(rows=pairs_strategy)
def test_ranks_and_discordant_pairs_by_counting(rows: Pairs) -> None:
    users, first, second = (np.array(column) for column in zip(*rows, strict=True))
    group = np.unique(users, return_inverse=True)[1]
    ranks = average_ranks(group, second)
    for g, value, rank in zip(group, second, ranks, strict=True):
        mates = second[group == g]
        assert rank == (mates < value).sum() + ((mates == value).sum() + 1) / 2
    for g, counted in enumerate(discordant_pairs(group, first, second)):
        x, y = first[group == g], second[group == g]
        assert counted == ((x[:, None] < x[None, :]) & (y[:, None] > y[None, :])).sum()


def test_what_is_not_a_number_is_refused_with_its_row() -> None:
    with pytest.raises(ValueError, match="1 of 2 predicted values are NaN or infinite, the first at row 1"):
        Predictions.of([0, 0], [1, 2], [1, math.nan])
    with pytest.raises(ValueError, match="not empty"):
        Predictions.of([], [], [])
    with pytest.raises(ValueError, match="equally long"):
        Predictions.of([0], [1, 2], [1, 2])


def test_log_loss_refuses_what_is_no_probability() -> None:
    pairs = Predictions.of([0, 0], [1, 0], [0.2, 3.5], relevant_from=1)
    with pytest.raises(
        ValueError, match=r"probabilities from 0 to 1; 1 scores are not, the first is 3.5 at row 1"
    ):
        parse("log_loss")(Evidence(predictions=pairs))


def test_classification_needs_a_stated_threshold() -> None:
    pairs = Predictions.of([0, 0], [5, 2], [4.2, 3.0])
    with pytest.raises(ValueError, match="relevant_from"):
        parse("auc")(Evidence(predictions=pairs))
    stated = Predictions.of([0, 0], [5, 2], [4.2, 3.0], relevant_from=4)
    assert stated.thresholds == "relevant: actual >= 4; chosen: predicted >= 4"
    assert parse("precision")(Evidence(predictions=stated)).value == 1.0
