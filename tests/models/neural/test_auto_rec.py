"""AutoRec's answers: the forward pass by hand, folding in, reasons, and answering without torch."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tastemaker as tm
from models.neural.auto_rec_data import (
    KINDS,
    MEAN,
    SHOWN,
    SPREAD,
    TINY,
    by_hand,
    grid,
    rebuilt,
    row_of,
    sigmoid,
    small,
    world,
)
from tastemaker.models.neural.auto_rec import AutoRec
from tastemaker.models.neural.auto_rec_state import AutoRecState, row_means

pytest.importorskip("torch")


def test_an_item_is_rebuilt_from_its_ratings_as_written_out_by_hand() -> None:
    model = by_hand("item", TINY)
    expected = np.stack(
        [rebuilt(model._fitted.state, row_of(TINY.by_item, i)) for i in range(TINY.n_items)], axis=1
    )
    np.testing.assert_allclose(grid(model, TINY), expected, rtol=1e-5)


def test_a_user_is_rebuilt_from_their_ratings_as_written_out_by_hand() -> None:
    model = by_hand("user", TINY)
    expected = np.stack([rebuilt(model._fitted.state, row_of(TINY.by_user, u)) for u in range(TINY.n_users)])
    np.testing.assert_allclose(grid(model, TINY), expected, rtol=1e-5)
    found = model.recommend(history=[{"x": 2.0, "z": 4.0}], k=1)
    x, y, z, _ = TINY.items.encode(["x", "y", "z", "new"]).tolist()
    assert found.lists() == [["y"]]
    assert found.scores[0, 0] == pytest.approx(rebuilt(model._fitted.state, {x: 2.0, z: 4.0})[y], rel=1e-5)


def test_a_history_is_folded_in_by_the_ridge_regression_around_the_average_user() -> None:
    model = by_hand("item", TINY, penalty=2.0)
    state = model._fitted.state
    hidden = np.array([sigmoid(_preactivation(state, row_of(TINY.by_item, i))) for i in range(TINY.n_items)])
    x = np.hstack([hidden, np.ones((TINY.n_items, 1))])
    means = row_means(TINY.by_item, MEAN, SHOWN)
    users = SPREAD * np.hstack([state.decoder, state.output_bias[:, None]])
    average, at = users.mean(axis=0), TINY.items.encode(["x", "z"])
    penalty = 2.0 + np.append(
        0.25 / 0.75 * (hidden[at] ** 2).sum(axis=0), 0
    )  # dropout of a quarter: its variance
    stacked = np.vstack([x[at], np.diag(np.sqrt(penalty))])
    target = np.concatenate([np.array([5.0, 1.0]) - means[at] - x[at] @ average, np.zeros(4)])
    moved = average + np.linalg.lstsq(stacked, target, rcond=None)[0]
    found = model.recommend(history=[{"x": 5.0, "z": 1.0}, {}], k=1, allow=["y"])
    y = int(TINY.items.encode(["y"])[0])
    expected = [means[y] + x[y] @ moved, means[y] + x[y] @ average]
    np.testing.assert_allclose(found.scores[:, 0], expected, rtol=1e-4)


def _preactivation(state: AutoRecState, row: dict[int, float]) -> np.ndarray:
    return state.hidden_bias + sum(state.encoder[c] * r / SPREAD for c, r in row.items())


def test_a_user_network_answers_a_history_as_it_does_the_user_who_has_it() -> None:
    data = world()
    model = small("user", epochs=5).fit(data)
    row = data.by_user[3:4]
    history = dict(zip(data.items.decode_list(row.indices), row.value.tolist(), strict=True))
    stored, given = model.recommend([data.users.decode_list([3])[0]]), model.recommend(history=[history])
    assert stored.lists() == given.lists()
    assert stored.scores.tobytes() == given.scores.tobytes()


@KINDS
def test_a_new_user_with_ratings_is_predicted_better_than_the_average_one(kind: Any) -> None:
    data = world(noise=0.1)
    training = data.select(data.user < 150)
    model = small(kind, epochs=100).fit(training)
    errors: dict[bool, list[float]] = {True: [], False: []}
    for user in range(150, 200):
        row = data.by_user[user : user + 1]
        ids, ratings = data.items.decode_list(row.indices), row.value.tolist()
        for told in errors:
            history = dict(zip(ids[:20], ratings[:20], strict=True)) if told else {}
            found = model.recommend(history=[history], k=data.n_items, exclude_seen=False)
            score = dict(zip(found.lists()[0], found.scores[0].tolist(), strict=False))
            errors[told] += [score[i] - r for i, r in zip(ids[20:], ratings[20:], strict=True)]
    assert np.std(errors[True]) < 0.8 * np.std(errors[False])


@KINDS
def test_an_item_that_nobody_rated_is_predicted_but_not_recommended(kind: Any) -> None:
    model = small(kind, epochs=3).fit(replace(TINY, schema=replace(TINY.schema, scale=(1, 5))))
    assert all("new" not in items for items in model.recommend(k=4, exclude_seen=False).lists())
    prediction = model.predict(["a"], ["new"])[0]
    assert 1 <= prediction <= 5
    assert np.isnan(model.predict(["a"], ["unheard of"])).all()
    with_new = model.recommend(history=[{"x": 5.0, "new": 1.0}], k=1, allow=["y"])
    without = model.recommend(history=[{"x": 5.0}], k=1, allow=["y"])
    if kind == "user":  # nothing is known of what a rating of it says, but for the mean of the user's ratings
        mean = model._fitted.state.mean
        moved = (5 + 1 - 2 * mean) / (2 + 5) - (5 - mean) / (1 + 5)
        assert with_new.scores[0, 0] - without.scores[0, 0] == pytest.approx(moved, abs=1e-5)


@KINDS
def test_predictions_stay_within_the_scale_and_lists_do_not(kind: Any) -> None:
    unbounded = grid(by_hand(kind, TINY), TINY)
    low, high = (float(x) for x in np.quantile(unbounded, [0.25, 0.75]))
    model = by_hand(kind, replace(TINY, schema=replace(TINY.schema, scale=(low, high))))
    np.testing.assert_array_equal(grid(model, TINY), unbounded.clip(np.float32(low), np.float32(high)))
    scores = model.recommend(k=4, exclude_seen=False).to_polars()["score"].to_numpy()
    rated = unbounded[:, TINY.items.encode(["x", "y", "z"])]
    np.testing.assert_allclose(np.sort(scores), np.sort(rated.ravel()), rtol=1e-5)


def test_reasons_of_a_user_network_are_what_the_score_would_lose_without_a_rating() -> None:
    model = by_hand("user", TINY)
    explanation = model.explain("c", "x")
    c, (x, y, z) = TINY.users.encode(["c"])[0], TINY.items.encode(["x", "y", "z"]).tolist()
    whole = rebuilt(model._fitted.state, {y: 4.0, z: 3.0})[x]
    assert explanation.score == pytest.approx(whole, rel=1e-5)
    lost = {
        "y": whole - rebuilt(model._fitted.state, {z: 3.0})[x],
        "z": whole - rebuilt(model._fitted.state, {y: 4.0})[x],
    }
    assert {r.what: r.contribution for r in explanation.reasons} == pytest.approx(lost, abs=1e-5)
    assert row_of(TINY.by_user, int(c)) == {y: 4.0, z: 3.0}


def test_reasons_of_an_item_network_are_what_the_score_would_lose_without_a_rater() -> None:
    model = by_hand("item", TINY)
    explanation = model.explain("c", "x")
    a, b, c = TINY.users.encode(["a", "b", "c"]).tolist()
    whole = rebuilt(model._fitted.state, {a: 5.0, b: 1.0})[c]
    lost = {
        "a": whole - rebuilt(model._fitted.state, {b: 1.0})[c],
        "b": whole - rebuilt(model._fitted.state, {a: 5.0})[c],
    }
    assert {r.what: r.contribution for r in explanation.reasons} == pytest.approx(lost, abs=1e-5)
    assert {r.text for r in explanation.reasons} == {"another user gave it 5", "another user gave it 1"}
    assert [r.what for r in model.explain("c", "y").reasons] == ["a"], "one's own rating is no news"


@KINDS
def test_a_saved_model_answers_without_torch(kind: Any, tmp_path: Path) -> None:
    data = world(users=30)
    model = small(kind, epochs=2, checkpoint=str(tmp_path / "training")).fit(data)
    model.save(tmp_path / "saved")
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import tastemaker as tm\n"
        f"model = tm.load({str(tmp_path / 'saved')!r})\n"
        "print(model.checkpoint, model.recommend(k=5).scores.tobytes().hex())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["None", model.recommend(k=5).scores.tobytes().hex()]


def test_ratings_that_weigh_nothing_are_refused() -> None:
    data = world(users=5)
    with pytest.raises(tm.DataError, match="weight above 0"):
        AutoRec().fit(data.with_columns(weight=np.zeros(len(data))))
