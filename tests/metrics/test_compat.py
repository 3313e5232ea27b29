"""Metrics `compat=` a peer against what that peer's own functions answered on the same lists (golden/make_golden.py)."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tastemaker.metrics import Evidence, Predictions, RankedLists, available, parse

GOLDEN = Path(__file__).parent / "golden"
CUTOFFS = ["1", "3", "5", "10"]


def read(name: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text())
    return answer


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    inputs = read("inputs")
    lists = RankedLists.from_lists(inputs["lists"], inputs["relevant"], width=10)
    return Evidence(lists=lists, n_items=inputs["n_items"])


@pytest.mark.parametrize("k", CUTOFFS)
@pytest.mark.parametrize("peer", ["implicit", "lenskit", "rectools"])
def test_means_are_the_peers_own(peer: str, k: str, evidence: Evidence) -> None:
    golden = read(peer)["mean"][k]
    assert sorted(golden) == sorted(name.removesuffix("@k") for name in available(compat=peer))
    for name, expected in golden.items():
        measured = parse(f"{name}@{k}", compat=peer)(evidence)
        assert measured.value == pytest.approx(expected, abs=1e-9), name


@pytest.mark.parametrize("k", CUTOFFS)
def test_rectools_values_of_each_user_are_its_own(k: str, evidence: Evidence) -> None:
    for name, expected in read("rectools")["per_user"][k].items():
        per_user = parse(f"{name}@{k}", compat="rectools")(evidence).per_user
        assert per_user is not None
        for user, value in enumerate(per_user):
            # RecTools has no row for a user without test rows.
            assert value == pytest.approx(expected.get(str(user), math.nan), abs=1e-9, nan_ok=True), (
                name,
                user,
            )


@pytest.mark.parametrize("k", CUTOFFS)
def test_sklearn_values_of_each_user_are_its_own(k: str, evidence: Evidence) -> None:
    golden = read("sklearn")["per_user"][k]
    assert sorted(golden) == sorted(name.removesuffix("@k") for name in available(compat="sklearn"))
    for name, values in golden.items():
        expected = [math.nan if value is None else value for value in values]
        measured = parse(f"{name}@{k}", compat="sklearn")(evidence).per_user
        np.testing.assert_allclose(measured, expected, rtol=0, atol=1e-9, err_msg=name)


def test_pooled_metrics_of_predictions_are_those_of_sklearn() -> None:
    pairs = read("inputs")["pairs"]
    predictions = Predictions.of(
        pairs["users"], pairs["actual"], pairs["probability"], pairs["relevant_from"], pairs["chosen_from"]
    )
    for name, expected in read("sklearn")["pairs"].items():
        assert parse(name)(Evidence(predictions=predictions)).value == pytest.approx(expected, abs=1e-9), name


def test_the_peers_disagree_on_the_same_lists(evidence: Evidence) -> None:
    values = {parse("map@5")(evidence).value, parse("map_min@5")(evidence).value}
    values |= {parse("map@5", compat=peer)(evidence).value for peer in ("lenskit", "rectools", "sklearn")}
    assert len(values) == 5
    assert parse("map@5", compat="implicit")(evidence).value in values


@pytest.mark.parametrize("name", ["implicit", "lenskit", "rectools", "sklearn"])
def test_golden_files_say_how_they_were_made(name: str) -> None:
    golden = read(name)
    assert golden["versions"]
    assert golden["call"]
