"""Tuning: better than a bad default, same seed same trials, resumed, within the budget, and the test part is not seen."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tastemaker as tm
from tastemaker.data.sessions import next_in_session
from tastemaker.data.splits import Split, holdout
from tastemaker.errors import DataError, TastemakerError
from tastemaker.evaluation import evaluate, make_splits
from tastemaker.evaluation.search_spaces import Choice, Range, parameters_of, space_of
from tastemaker.models import model_class, names

BAD = tm.MatrixFactorization(factors=4, epochs=3, learning_rate=0.0001)
SPACE = {"learning_rate": Range(0.001, 0.1, log=True), "epochs": Range(2, 20)}


@pytest.fixture(scope="module")
def data() -> tm.Dataset:
    """A small generated world with ratings."""
    return tm.datasets.world(users=80, items=50, seed=1).dataset


def test_finds_better_than_a_bad_default_on_data_that_it_never_saw(data: tm.Dataset) -> None:
    split = holdout(data, seed=5)
    found = tm.tune(BAD, split, metric="rmse", trials=12, space=SPACE)
    assert set(found.parameters) == {"learning_rate", "epochs"}
    assert found.model.factors == 4
    tuned, bad = (evaluate(m, split, metrics=["rmse"])["rmse"] for m in (found.model, BAD))
    assert tuned < bad
    assert found.value == found.trials["value"].min()
    assert found.model.fitted
    assert "rmse" in str(found)


def test_the_own_settings_are_tried_first_where_they_lie_in_the_space(data: tm.Dataset) -> None:
    found = tm.tune("item_knn", data, trials=2, refit=False)
    assert found.trials["neighbors"][0] == 50
    assert found.trials["similarity"][0] == "cosine"
    assert not found.model.fitted
    split = make_splits(data, "holdout", seed=0)
    own = evaluate(tm.ItemKNN(), split, metrics=["ndcg@10"])["ndcg@10"]
    assert found.trials["value"][0] == pytest.approx(own)
    assert found.value >= own


def settings(found: tm.evaluation.Tuned) -> list[tuple[object, ...]]:
    return found.trials.drop(["seconds", "number"]).rows()


def test_same_seed_same_trials_whether_at_once_or_resumed(data: tm.Dataset, tmp_path: Path) -> None:
    options = {"metric": "rmse", "space": SPACE, "refit": False}
    once = tm.tune(BAD, data, trials=14, **options)
    file = tmp_path / "search" / "mf.log"
    first = tm.tune(BAD, data, trials=5, storage=file, **options)
    resumed = tm.tune(BAD, data, trials=14, storage=file, **options)
    assert len(first.trials) == 5
    assert settings(resumed) == settings(once)
    assert settings(first) == settings(once)[:5]
    assert settings(tm.tune(BAD, data, trials=14, seed=1, **options)) != settings(once)
    with pytest.raises(TastemakerError, match=r"holds another search \(other metric\)"):
        tm.tune(BAD, data, trials=14, storage=file, metric="mae", space=SPACE)


def test_a_trial_broken_off_by_the_user_is_run_again(
    data: tm.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"metric": "rmse", "space": SPACE, "refit": False, "storage": tmp_path / "mf.log"}
    tm.tune(BAD, data, trials=2, **options)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tm.MatrixFactorization, "_fit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tm.tune(BAD, data, trials=4, **options)
    resumed = tm.tune(BAD, data, trials=4, **options)
    at_once = tm.tune(BAD, data, trials=4, **(options | {"storage": None}))
    assert settings(resumed) == settings(at_once)


def test_the_budget_is_respected_in_the_middle_of_a_trial(data: tm.Dataset) -> None:
    endless = {"epochs": Range(1, 10**7, log=True)}  # most of these would take minutes
    found = tm.tune(tm.BPR(factors=16, epochs=1), data, budget_seconds=1.0, space=endless, refit=False)
    assert found.trials["state"][0] == "complete"
    assert found.trials["epochs"].max() < 10**6


def test_one_trial_is_finished_however_small_the_budget(data: tm.Dataset) -> None:
    found = tm.tune("popularity", data, budget_seconds=1e-9)
    assert found.trials.height == 1


def test_bad_settings_are_given_up_on_few_users() -> None:
    rng = np.random.default_rng(0)
    taken = rng.random((3000, 20)) < np.linspace(0.9, 0.05, 20)
    user, item = np.nonzero(taken)
    data = tm.Dataset.from_interactions({"user": user, "item": item})
    blend = tm.Blend(models=["popularity", "random"], weights=[1, 0.01])
    space = {"weights.random": Range(0.001, 100.0, log=True)}
    found = tm.tune(blend, data, trials=15, space=space, refit=False)
    pruned = found.trials.filter(found.trials["state"] == "pruned")
    complete = found.trials.filter(found.trials["state"] == "complete")
    assert pruned.height
    assert (pruned["share"] < 1).all()
    assert (complete["share"] == 1).all()
    assert found.parameters["weights"]["popularity"] == 1
    assert pruned["weights.random"].median() > complete["weights.random"].median()


def test_without_pruning_every_setting_is_judged_on_all_users() -> None:
    rng = np.random.default_rng(0)
    user, item = np.nonzero(rng.random((3000, 20)) < 0.3)
    data = tm.Dataset.from_interactions({"user": user, "item": item})
    space = {"weights.random": Range(0.001, 100.0, log=True)}
    blend = tm.Blend(models=["popularity", "random"], weights=[1, 0.01])
    found = tm.tune(blend, data, trials=6, space=space, prune=False, refit=False)
    assert found.trials["state"].to_list() == ["complete"] * 6
    assert (found.trials["share"] == 1).all()


def test_sessions_of_nobody_are_judged_all_together() -> None:
    rng = np.random.default_rng(0)
    begin = rng.permutation(6000) * 60
    rows = {"user": np.repeat(np.arange(6000), 2), "at": np.stack([begin, begin + 1], axis=1).ravel()}
    data = tm.Dataset.from_interactions(rows | {"item": rng.integers(0, 20, 12_000)}, timestamp="at")
    split = next_in_session(data, fraction=0.6)
    found = tm.tune(tm.BPR(factors=2, epochs=1), data, trials=2, validation=split, refit=False)
    assert found.trials["state"].to_list() == ["complete"] * 2


def test_sessions_cut_from_the_training_part_judge_settings() -> None:
    rows = [
        (u, i, 90_000 * day + 1000 * u + 60 * n)
        for u in range(20)
        for day in range(3)
        for n, i in enumerate((u, 0, day + 1))
    ]
    user, item, at = zip(*rows, strict=True)
    columns = {"user": user, "item": item, "at": at}
    data = tm.Dataset.from_interactions(columns, timestamp="at", session_gap=timedelta(minutes=5))
    found = tm.tune("item_knn", data, trials=2, validation="session", metric="hit_rate@5")
    assert found.trials["state"].to_list() == ["complete"] * 2
    assert found.model.catalogue.n_users == 60, "three sessions of each of 20 users"
    past = next_in_session(data, at=90_000 * 2 * 1_000_000 - 1)
    nested = tm.tune("item_knn", past, trials=1, validation="session", metric="hit_rate@5")
    assert nested.trials["state"].to_list() == ["complete"]
    users = tm.Dataset.from_interactions(columns, timestamp="at")
    found = tm.tune(
        "item_knn", users, trials=1, validation="session", gap=timedelta(minutes=5), metric="hit_rate@5"
    )
    assert found.model.catalogue.n_users > 20, "the best model learns from sessions, too"


def test_heads_divide_the_factors_where_one_of_them_is_kept() -> None:
    def options(kept: str, **settings: Any) -> tuple[Any, Any]:
        space = space_of(tm.SASRec(**settings), [kept])
        return tuple(getattr(space.get(name), "options", None) for name in ("factors", "heads"))  # type: ignore[return-value]

    assert options("factors", factors=6, heads=1) == (None, (1, 2))
    assert options("factors", factors=12, heads=1) == (None, (1, 2, 4))
    assert options("heads", factors=64, heads=64) == ((64, 128, 256), None)
    assert options("heads", factors=6, heads=3) == (None, None)
    assert options("epochs") == ((32, 64, 128, 256), (1, 2, 4))


def test_trials_have_no_checkpoint(data: tm.Dataset, tmp_path: Path) -> None:
    model = tm.GMF(factors=2, epochs=1, device="cpu", checkpoint=tmp_path / "state")
    found = tm.tune(model, data, trials=3, space={"factors": Range(2, 8)})
    assert found.trials["state"].to_list() == ["complete"] * 3
    assert not (tmp_path / "state").exists()
    assert found.model.parameters()["checkpoint"] is None


def test_relevance_and_candidates_are_those_of_evaluate(data: tm.Dataset, tmp_path: Path) -> None:
    space, model = {"neighbors": Range(5, 50)}, tm.ItemKNN(neighbors=20)
    wishes: dict[str, Any] = {"relevant_from": 1, "sampled": 20}
    split = tm.evaluation.make_splits(data, "leave-last")[0]
    first = tm.tune(
        model,
        data,
        trials=1,
        validation=split,
        space=space,
        refit=False,
        storage=tmp_path / "trials",
        **wishes,
    )
    judged = tm.evaluate(model, split, metrics="ndcg@10", **wishes)
    assert first.value == judged["ndcg@10"] != tm.evaluate(model, split, metrics="ndcg@10")["ndcg@10"]
    with pytest.raises(TastemakerError, match="other relevance, candidates"):
        tm.tune(model, data, trials=1, validation=split, space=space, storage=tmp_path / "trials")


def test_settings_that_the_data_do_not_allow_fail_alone(data: tm.Dataset) -> None:
    space = {"similarity": Choice(("cosine", "adjusted_cosine"))}
    found = tm.tune("item_knn", data.implicit(), trials=6, space=space, refit=False)
    failed = found.trials.filter(found.trials["state"] == "failed")
    assert failed.height
    assert failed["error"].str.contains("needs ratings").all()
    assert found.parameters == {"similarity": "cosine"}
    with pytest.raises(TastemakerError, match=r"no trial of item_knn succeeded: .*needs ratings"):
        tm.tune("item_knn", data.implicit(), trials=2, space={"similarity": Choice(("adjusted_cosine",))})


def test_the_test_part_is_never_looked_at(data: tm.Dataset) -> None:
    split = holdout(data, seed=5)
    rng = np.random.default_rng(0)
    changed = split.test.with_columns(value=rng.permutation(split.test.value))
    a, b = (
        tm.tune("mf", Split(split.train, test), metric="rmse", trials=3, space=SPACE)
        for test in (split.test, changed)
    )
    assert settings(a) == settings(b)
    assert a.model.recommend(k=5).scores.tobytes() == b.model.recommend(k=5).scores.tobytes()
    leaking = holdout(data, seed=6)
    with pytest.raises(DataError, match="also in the training part"):
        tm.tune("mf", split, metric="rmse", validation=leaking)


def test_a_splits_own_validation_part_is_used(data: tm.Dataset) -> None:
    outer = holdout(data, seed=5)
    inner = holdout(outer.train, seed=6)
    given = Split(inner.train, outer.test, validation=inner.test)
    options = {"metric": "rmse", "trials": 2, "space": SPACE, "refit": False}
    assert settings(tm.tune("mf", given, **options)) == settings(
        tm.tune("mf", outer, validation=inner, **options)
    )


def test_what_cannot_be_tuned(data: tm.Dataset) -> None:
    with pytest.raises(TastemakerError, match="random has no hyper-parameters to tune"):
        tm.tune("random", data)
    with pytest.raises(
        DataError, match="item_knn cannot be tuned by rmse: its scores are of kind 'similarity'"
    ):
        tm.tune("item_knn", data, metric="rmse")
    with pytest.raises(ValueError, match="trials must be a whole number"):
        tm.tune("mf", data, trials=0)
    with pytest.raises(ValueError, match="budget_seconds must be a number above 0"):
        tm.tune("mf", data, budget_seconds=0)
    with pytest.raises(DataError, match="expected a model, its class or its name, got int"):
        tm.tune(7, data)


@pytest.mark.parametrize("name", [n for n in names() if n != "random"])
def test_every_model_has_default_ranges_whose_ends_it_takes(name: str) -> None:
    model = model_class(name)()
    space = space_of(model)
    for parameter, where in space.items():
        for value in (where.low, where.high) if isinstance(where, Range) else where.options:
            assert value in where
            model_class(name)(**parameters_of(model, {parameter: value}))
