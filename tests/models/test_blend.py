"""Blend: sums worked by hand, members that are shared and never copied, answers of whoever can answer."""

import json
from pathlib import Path

import numpy as np
import pytest

from contract.conftest import small_data
from tastemaker import BPR, Blend, DataError, ItemKNN, NotFittedError, Popularity, load
from tastemaker.models.blend import _Total, normalized


@pytest.mark.parametrize(
    ("normalize", "expected", "missing"),
    [
        ("z-score", [(1 - 3) / np.sqrt(8 / 3), (5 - 3) / np.sqrt(8 / 3), 0], (1 - 3) / np.sqrt(8 / 3)),
        ("min-max", [0, 1, 0.5], 0),
        ("rank", [1 / 63, 1 / 61, 1 / 62], 0),
    ],
)
def test_normalized_by_hand(normalize: str, expected: list[float], missing: float) -> None:
    part = normalized(np.array([1, 5, np.nan, 3], np.float32), normalize)
    np.testing.assert_allclose(part, np.insert(expected, 2, missing))


def test_equal_scores_say_nothing_and_equal_ranks_go_by_item() -> None:
    for normalize in ("z-score", "min-max"):
        assert normalized(np.array([0.1, 0.1, np.nan], np.float32), normalize).tolist() == [0, 0, 0]
    assert normalized(np.array([2, 2], np.float32), "rank").tolist() == [1 / 61, 1 / 62]


def test_what_a_model_has_no_score_for_counts_as_its_lowest_whatever_the_order() -> None:
    nan, rows = np.nan, np.zeros(1, np.int64)
    scores = (np.array([[nan, 1, 3, nan]], np.float32), np.array([[10, nan, 20, nan]], np.float32))
    for order in ((0, 1), (1, 0)):
        total = _Total.empty(1, 4, "z-score")
        for n in order:
            total.add(rows, (2.0, 1.0)[n], scores[n])
        # z-scores are -1 and 1; the missing ones count as -1: 2 * -1 - 1, 2 * -1 - 1, 2 + 1, and nothing at all.
        np.testing.assert_array_equal(total.scores(), [[-3, -3, 3, nan]])


def test_all_weight_on_one_model_ranks_like_that_model() -> None:
    data = small_data()
    alone = ItemKNN().fit(data)
    for normalize in ("z-score", "min-max", "rank"):
        blend = Blend(models=[ItemKNN(), Popularity()], weights=[1, 0], normalize=normalize).fit(data)
        assert blend.recommend(k=5).lists() == alone.recommend(k=5).lists()


def test_a_blend_answers_whatever_a_model_of_it_answers() -> None:
    data = small_data()
    assert "anonymous" not in Blend(models=["item_knn"]).answers
    blend = Blend(models=["item_knn", "popularity"]).fit(data)
    found = blend.recommend(["nobody"], k=5)
    assert found.sources == ["blend"]
    assert found.lists() == Popularity().fit(data).recommend(["nobody"], k=5).lists()
    assert blend.similar_items(["i1"], k=3).lists() == ItemKNN().fit(data).similar_items(["i1"], k=3).lists()


def test_fitted_models_are_taken_as_they_are() -> None:
    data = small_data()
    models = {"near": ItemKNN().fit(data), "top": Popularity().fit(data)}
    taken = Blend.of(models, weights={"near": 2})
    again = Blend(models=models, weights={"near": 2}).fit(data)
    assert taken._fitted.state.members["near"] is models["near"]
    assert again._fitted.state.members["near"] is not models["near"]
    assert taken.recommend(k=5).scores.tobytes() == again.recommend(k=5).scores.tobytes()
    with pytest.raises(DataError, match="fitted on the same data"):
        Blend.of([ItemKNN().fit(data), Popularity().fit(small_data(users=5))])
    with pytest.raises(NotFittedError):
        Blend.of([ItemKNN()])


def test_a_save_holds_one_catalogue_and_every_model_once(tmp_path: Path) -> None:
    blend = Blend(models={"near": ItemKNN(neighbors=5), "bpr": BPR(factors=3, epochs=2)}, weights=[1, 3])
    blend.fit(small_data())
    folder = blend.save(tmp_path / "saved") / "v0001"
    assert [p.name for p in folder.rglob("seen.arrow")] == ["seen.arrow"]
    assert sorted(p.name for p in (folder / "models" / "blend" / "members").iterdir()) == ["bpr", "near"]
    facts = json.loads((folder / "models" / "blend" / "model.json").read_text())
    assert facts["parameters"]["models"]["near"]["neighbors"] == 5
    back = load(tmp_path / "saved")
    assert back.parameters() == blend.parameters()
    members = back._fitted.state.members
    assert members["bpr"].catalogue is members["near"].catalogue is back.catalogue
    assert back.recommend(k=5).scores.tobytes() == blend.recommend(k=5).scores.tobytes()


def test_models_of_a_fitted_blend_share_one_catalogue() -> None:
    members = Blend().fit(small_data())._fitted.state.members
    assert members["item_knn"].catalogue is members["popularity"].catalogue


def test_a_blend_of_a_blend() -> None:
    data = small_data()
    inner = Blend(models=["item_knn", "popularity"])
    assert (
        len(Blend(models=[inner, BPR(factors=2, epochs=1)]).fit(data).recommend(["u1"], k=5).lists()[0]) == 5
    )


def test_reasons_are_those_of_the_models_as_the_blend_weighs_them() -> None:
    data = small_data()
    blend = Blend(models=["item_knn", "bpr"], weights=[1, 0]).fit(data)
    item = blend.recommend(["u1"], k=1).lists()[0][0]
    own = [r.what for r in ItemKNN().fit(data).explain("u1", item).reasons]
    told = [r for r in blend.explain("u1", item).reasons if r.contribution]
    assert [r.what for r in told] == own
    score = blend.predict(["u1"], [item])[0]
    assert sum(r.contribution for r in told) == pytest.approx(float(score), rel=1e-4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"models": []}, "one or more models"),
        ({"models": [3]}, "models must be models, their names"),
        ({"models": {"../x": "random"}}, "letters, digits"),
        ({"weights": [1]}, "one for each of item_knn, popularity"),
        ({"weights": {"mf": 1}}, "weights names 'mf'"),
        ({"weights": [0, 0]}, "all 0"),
        ({"weights": [-1, 1]}, r"weights\['item_knn'\] must be a number at least 0"),
        ({"normalize": "softmax"}, "normalize must be one of"),
    ],
)
def test_what_cannot_be_blended(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Blend(**wrong)


def test_two_models_of_a_kind_get_names_of_their_own() -> None:
    blend = Blend(models=[ItemKNN(neighbors=3), ItemKNN(neighbors=9), {"model": "item_knn", "neighbors": 7}])
    assert list(blend.parameters()["models"]) == ["item_knn", "item_knn-2", "item_knn-3"]
    assert blend.parameters()["models"]["item_knn-3"]["neighbors"] == 7
