"""Click models: what they learn from, and whom they answer."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import tastemaker as tm
from models.neural.click_data import IDS, MODELS, SPEC, drawn, shown
from tastemaker.data import Dataset
from tastemaker.errors import CannotAnswerError, DataError, FitError
from tastemaker.models.neural import wide_and_deep
from tastemaker.models.neural.click_training import Drawn, split_rows
from tastemaker.models.neural.ctr import ClickModel
from tastemaker.models.neural.specs import Categorical, Cross, FeatureSpec, Id


def planted(rows: int = 4000) -> Dataset:
    """Clicks at .8 where the reader's taste is the ad's subject, else .1; new people and ads have features too."""
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 60, rows), rng.integers(0, 20, rows)
    labels = rng.random(rows) < np.where(users % 2 == items % 2, 0.8, 0.1)
    return Dataset.from_impressions(
        {"user": users, "item": items, "label": labels.astype(int)},
        user_features={"user": np.arange(62), "taste": ["tea" if u % 2 else "jam" for u in range(62)]},
        item_features={"item": np.arange(22), "subject": ["tea" if i % 2 else "jam" for i in range(22)]},
    )


CROSSED = FeatureSpec(
    user=(Id("user"), Categorical("taste")),
    item=(Id("item"), Categorical("subject")),
    crosses=(Cross("user.taste", "item.subject"),),
)
LEARNERS = [
    tm.FactorizationMachine(factors=4, epochs=15, learning_rate=0.02),
    tm.DeepFM(factors=4, hidden=(16,), epochs=15, learning_rate=0.005),
    tm.WideAndDeep(factors=4, hidden=(16,), epochs=15, part="deep"),
    tm.WideAndDeep(
        part="wide",
        epochs=15,
        wide_learning_rate=0.5,
        features=FeatureSpec(
            user=(Categorical("taste"),),
            item=(Categorical("subject"),),
            crosses=(Cross("user.taste", "item.subject"),),
        ),
    ),
]


@pytest.mark.parametrize("model", LEARNERS, ids=["fm", "deepfm", "deep", "wide"])
def test_probabilities_are_those_of_the_clicks(model: ClickModel) -> None:
    fitted = replace(model).fit(planted())
    users, items = (a.ravel() for a in np.meshgrid(np.arange(60), np.arange(20)))
    chances = fitted.predict(users, items)
    alike = users % 2 == items % 2
    assert chances[alike].mean() == pytest.approx(0.8, abs=0.05)
    assert chances[~alike].mean() == pytest.approx(0.1, abs=0.05)


@pytest.mark.parametrize("model", LEARNERS, ids=["fm", "deepfm", "deep", "wide"])
def test_new_users_and_new_items_by_their_features(model: ClickModel) -> None:
    fitted = replace(model).fit(planted())
    for taste in ("tea", "jam"):
        found = fitted.recommend(features={"taste": [taste]}, k=11).lists()[0]
        assert sum(i % 2 == (taste == "tea") for i in found) >= 10, taste
    alike, other = fitted.predict([61, 61], [21, 20])  # none of whom was ever shown
    assert alike > 2 * other


@pytest.mark.parametrize("model", LEARNERS, ids=["fm", "deepfm", "deep", "wide"])
def test_without_ids_the_features_are_all_that_counts(model: ClickModel) -> None:
    """With ids, what they learn is missing from the probabilities of new users and items; without, nothing is."""
    features = model.features or FeatureSpec(user=(Categorical("taste"),), item=(Categorical("subject"),))
    fitted = replace(model, features=features).fit(planted())
    told = fitted.predict([61, 61], [21, 20])
    assert told == pytest.approx([0.8, 0.1], abs=0.05)
    assert fitted.predict([1, 1], [1, 0]).tobytes() == told.tobytes()


def test_the_context_counts() -> None:
    rng = np.random.default_rng(1)
    hour = rng.choice(["noon", "night"], 3000)
    item = rng.integers(0, 4, 3000)
    label = rng.random(3000) < np.where((hour == "noon") == (item == 0), 0.7, 0.2)
    rows = {"user": rng.integers(0, 9, 3000), "item": item, "label": label.astype(int), "hour": hour}
    model = tm.FactorizationMachine(factors=4, epochs=10, learning_rate=0.02)
    model.fit(Dataset.from_impressions(rows, context=["hour"]))
    noon, night = model.predict([1, 1], [0, 0], context={"hour": ["noon", "night"]})
    assert noon > 0.5 > night
    assert model.recommend([1], context={"hour": ["noon"]}, exclude_seen=False, k=1).lists() == [[0]]


def test_interactions_are_learned_against_what_was_not_taken() -> None:
    taken = {"user": [0, 0, 1, 1, 2], "item": [0, 1, 0, 1, 2]}
    data = Dataset.from_interactions(taken)
    batches = Drawn(data, np.arange(5), 3, 4, None, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    pairs = batches.draw(generator)
    assert len(pairs) == 20
    assert pairs.label.sum() == 5
    pairs_taken = set(zip(data.user.tolist(), data.item.tolist(), strict=True))
    negatives = zip(pairs.user[5:].tolist(), pairs.item[5:].tolist(), strict=True)
    assert not set(negatives) & pairs_taken
    batches.start_epoch(generator)
    assert len(batches) == len(list(batches)) == 5


def test_who_has_taken_everything_gives_no_negatives() -> None:
    data = Dataset.from_interactions({"user": [0, 0, 1], "item": [0, 1, 0]})
    pairs = Drawn(data, np.arange(3), 4, 8, None, torch.device("cpu")).draw(torch.Generator().manual_seed(0))
    assert (pairs.weight[3:][pairs.user[3:] == 0] == 0).all()
    assert (pairs.weight[3:][pairs.user[3:] == 1] == 1).all()


def test_rows_held_out_are_no_rows_learned() -> None:
    learned, held = split_rows(10, 0.3, seed=1)
    assert sorted([*learned, *held]) == list(range(10))
    assert len(held) == 3
    assert not len(split_rows(10, 0.0, seed=1)[1])
    assert len(split_rows(1, 0.3, seed=1)[0]) == 1


def test_the_best_epoch_is_kept() -> None:
    model = tm.DeepFM(epochs=60, learning_rate=0.02, validation_fraction=0.2, patience=2)
    chances = model.fit(planted(800)).predict(*np.indices((60, 20)).reshape(2, -1))
    assert ((chances > 0.01) & (chances < 0.99)).all(), "60 epochs learn 800 rows by heart"


@pytest.mark.parametrize("make", MODELS[:2], ids=IDS[:2])
def test_reasons_sum_to_the_logit(make: Callable[..., ClickModel]) -> None:
    data = shown()
    _, model = drawn(make(), data)
    user, item = data.users.decode_list([data.user[0]])[0], data.items.decode_list([data.item[0]])[0]
    chance = float(model.predict([user], [item])[0])
    told = model.explain(user, item)
    logit = model._fitted.state.bias + sum(reason.contribution for reason in told.reasons)
    assert logit == pytest.approx(np.log(chance / (1 - chance)), abs=1e-4)
    assert "item.price" in str(told)


def test_what_deep_models_do_not_explain() -> None:
    model = tm.DeepFM(epochs=1).fit(shown())
    with pytest.raises(CannotAnswerError, match="does not explain"):
        model.explain(1, 1)


def test_l1_leaves_crosses_at_zero() -> None:
    spec = FeatureSpec(user=(Id("user"),), item=(Id("item"),), crosses=(Cross("user.id", "item.id"),))
    few = tm.WideAndDeep(part="wide", features=spec, l1=10.0, epochs=3).fit(planted())
    all_of_them = tm.WideAndDeep(part="wide", features=spec, l1=0.0, epochs=3).fit(planted())
    assert (few._fitted.state.crosses == 0).mean() > 0.5
    assert (all_of_them._fitted.state.crosses == 0).mean() < 0.05


def test_the_parts_of_wide_and_deep() -> None:
    wide = tm.WideAndDeep(part="wide", epochs=1).fit(planted())
    deep = tm.WideAndDeep(part="deep", epochs=1).fit(planted())
    assert not wide._fitted.state.weights
    assert not deep._fitted.state.linear.any()
    with pytest.raises(CannotAnswerError, match="does not compare items"):
        wide.similar_items([1])
    assert deep.similar_items([1], k=3).lists()[0]


def test_features_are_saved_with_the_model(tmp_path: Path) -> None:
    data = shown()
    model = tm.WideAndDeep(
        features=SPEC, epochs=2, factors=4, hidden=(8,), checkpoint=tmp_path / "state"
    ).fit(data)
    back = tm.load(model.save(tmp_path / "saved"))
    assert back.features == SPEC
    assert back.checkpoint is None
    ask = {"features": {"gender": ["f", None]}, "context": {"hour": ["night", "noon"]}}
    assert back.recommend(**ask).scores.tobytes() == model.recommend(**ask).scores.tobytes()


@pytest.mark.parametrize(
    "model",
    [
        tm.DeepFM(hidden=(8,), dropout=0.3, validation_fraction=0.1, factors=4),
        tm.WideAndDeep(hidden=(8,), dropout=0.3, features=CROSSED, factors=4),
        tm.TwoTower(hidden=(8,), id_dropout=0.3, factors=4),
    ],
    ids=["deepfm", "wide and deep", "two towers"],
)
def test_a_fit_goes_on_from_its_checkpoint(model: ClickModel | tm.TwoTower, tmp_path: Path) -> None:
    """To the same bits, whatever it draws and however many optimizers it has."""
    data, file = planted(500), tmp_path / "state"
    through = replace(model, epochs=4).fit(data)
    replace(model, epochs=2, checkpoint=file).fit(data)
    resumed = replace(model, epochs=4, checkpoint=file).fit(data)
    assert resumed.recommend([1, 2]).scores.tobytes() == through.recommend([1, 2]).scores.tobytes()


@pytest.mark.parametrize("model", [tm.FactorizationMachine, tm.TwoTower])
def test_a_checkpoint_of_other_features_is_refused(model: type[ClickModel], tmp_path: Path) -> None:
    data, options = planted(500), {"factors": 4, "checkpoint": tmp_path / "state"}
    model(epochs=1, **options).fit(data)
    others = data.user_features.with_columns(taste=data.user_features["taste"].reverse())
    with pytest.raises(FitError, match="is of another fit"):
        model(epochs=2, **options).fit(replace(data, user_features=others))


def test_l2_is_on_all_embeddings_in_every_step() -> None:
    """On that of a missing user too, which nothing teaches: without L2 it stays where it began."""
    options = {"factors": 4, "hidden": (8,), "epochs": 5, "batch_size": 64, "part": "deep", "device": "cpu"}
    free, held = (tm.WideAndDeep(regularization=l2, **options).fit(planted()) for l2 in (0.0, 1e-3))
    assert np.abs(free._fitted.state.factors[0]).min() > 1e-4
    np.testing.assert_allclose(held._fitted.state.factors[0], 0, atol=1e-6)


@pytest.mark.parametrize(
    ("large", "l2", "name"), [(100, 0, "Rowwise"), (100, 1e-4, "Ada"), (1 << 24, 0, "Ada")]
)
def test_of_large_embeddings_without_l2_only_those_looked_up_are_moved(
    monkeypatch: pytest.MonkeyPatch, large: int, l2: float, name: str
) -> None:
    monkeypatch.setattr(wide_and_deep, "_LARGE", large)
    network, model = drawn(tm.WideAndDeep(factors=3, hidden=(5,), regularization=l2), shown())
    (moved,) = (o for o in model._optimizers(network) if network.factors is o.param_groups[0]["params"][0])
    assert type(moved).__name__.startswith(name)


def test_similar_items_have_similar_features() -> None:
    model = tm.FactorizationMachine(factors=4, epochs=15, learning_rate=0.02).fit(planted())
    assert sum(i % 2 for i in model.similar_items([1], k=9).lists()[0]) >= 8


def test_an_evaluation_of_impressions_looks_at_their_context() -> None:
    from tastemaker.data.splits import holdout
    from tastemaker.evaluation import evaluate

    rng = np.random.default_rng(1)
    hour = rng.choice(["noon", "night"], 2000)
    rows = {
        "user": rng.integers(0, 9, 2000),
        "item": rng.integers(0, 4, 2000),
        "label": (hour == "noon").astype(int),
    }
    data = Dataset.from_impressions(rows | {"hour": hour}, context=["hour"])
    report = evaluate(tm.LogisticRegression(epochs=30, learning_rate=0.05), holdout(data, 0.2, seed=0))
    assert report["auc_global"] > 0.99


def test_hyper_parameters_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="patience needs a validation_fraction"):
        tm.DeepFM(patience=3)
    with pytest.raises(ValueError, match="hidden must be one or more widths"):
        tm.WideAndDeep(hidden=())
    with pytest.raises(ValueError, match="part must be one of"):
        tm.WideAndDeep(part="narrow")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="has none"):
        tm.DeepFM().fit(shown().select(np.zeros(300, np.bool_)))
