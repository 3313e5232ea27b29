"""Names to metrics: every metric says what it is, what it needs, and what was wrong with a name."""

import dataclasses
import math

import numpy as np
import pytest

from tastemaker.metrics import (
    Evidence,
    Predictions,
    RankedLists,
    RelevantItems,
    available,
    confidence_interval,
    definitions,
    parse,
    parse_all,
)

EVERY = [(name.replace("@k", "@3"), None) for name in available()] + [
    (name.replace("@k", "@3"), peer)
    for peer in ("implicit", "lenskit", "rectools", "sklearn")
    for name in available(compat=peer)
]


@pytest.fixture(scope="module")
def everything() -> Evidence:
    rng = np.random.default_rng(0)
    items = np.array([rng.permutation(20)[:5] for _ in range(30)], dtype=np.int32)
    relevant = RelevantItems.from_pairs(
        rng.integers(0, 30, 90), rng.integers(0, 20, 90), 30, rng.integers(1, 6, 90)
    )
    return Evidence(
        lists=RankedLists(items, relevant),
        predictions=Predictions.of(
            rng.integers(0, 30, 200),
            rng.integers(0, 2, 200),
            rng.random(200).round(1),
            relevant_from=1,
            chosen_from=0.5,
        ),
        n_items=20,
        popularity=rng.integers(0, 30, 20).astype(np.float64),
        n_training_users=30,
        consumed=rng.uniform(1, 30, 30),
        baseline=np.arange(5, dtype=np.int32)[None, :],
        vectors=rng.normal(size=(20, 4)),
    )


@pytest.mark.parametrize(("name", "compat"), EVERY)
def test_every_metric_needs_exactly_what_it_declares(
    name: str, compat: str | None, everything: Evidence
) -> None:
    metric = parse(name, compat)
    parts = {field.name: getattr(everything, field.name) for field in dataclasses.fields(everything)}
    measured = metric(Evidence(**{need: parts[need] for need in metric.needs}))
    assert metric.low <= measured.value <= metric.high
    for need in metric.needs:
        rest = {other: parts[other] for other in metric.needs if other != need}
        with pytest.raises(ValueError, match=need):
            metric(Evidence(**rest))


@pytest.mark.parametrize(("name", "compat"), EVERY)
def test_every_metric_states_its_definition(name: str, compat: str | None) -> None:
    metric = parse(name, compat)
    text = definitions([name], compat)
    assert text.startswith(metric.name + ": ")
    assert "{" not in text
    assert ("higher is better" in text) == metric.higher_is_better
    assert metric.k == (3 if "@" in name else None)


def test_every_mean_and_pooled_metric_has_an_interval(everything: Evidence) -> None:
    without = {"coverage@3", "gini@3", "spearman_global", "kendall_global", "calibration_error"}
    for name, compat in EVERY:
        interval = confidence_interval(parse(name, compat)(everything))
        assert math.isnan(interval.low) == (name in without), name


def test_names_are_found_whatever_their_case_and_once() -> None:
    assert [metric.name for metric in parse_all(["NDCG@10", " rmse ", "ndcg@10"])] == ["ndcg@10", "rmse"]
    assert parse("map@5", compat="rectools").name == "map@5 (rectools)"


@pytest.mark.parametrize(
    ("name", "compat", "message"),
    [
        ("ndgc@10", None, r'unknown metric "ndgc@10"; did you mean ndcg@k'),
        ("rsme", None, "did you mean rmse"),
        ("xyzzy", None, "there are precision@k, recall@k"),
        ("ndcg", None, r'"ndcg" needs the length of the list: write ndcg@10'),
        ("rmse@5", None, r'rmse takes no cut-off: write "rmse"'),
        ("map@0", None, "whole number from 1"),
        ("map@", None, "whole number from 1"),
        ("map@5.5", None, "whole number from 1"),
        ("map@5", "surprise", r'unknown compat="surprise"; there are implicit, lenskit, rectools, sklearn'),
        ("recall@5", "implicit", r'compat="implicit" has no "recall@5"; it has precision@k'),
    ],
)
def test_a_wrong_name_is_answered_with_the_right_ones(name: str, compat: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(name, compat)
