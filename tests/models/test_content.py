"""Content-based filtering by hand: the lecture's office furniture, and what someone who liked Squid Game gets."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import tastemaker
from tastemaker import _native
from tastemaker.data import Dataset
from tastemaker.errors import DataError
from tastemaker.models.content import ContentBased

SERIES = pl.DataFrame(
    {
        "item": ["squid", "alice", "kingdom", "glory", "crown", "office", "bad", "blank"],
        "title": ["Squid Game", "Alice in Borderland", "Kingdom", "The Glory", "The Crown", "The Office", "Breaking Bad", None],
        "genres": [
            ["Thriller", "Death game"],
            ["Thriller", "Death game"],
            ["Thriller", "Horror"],
            ["Drama"],
            ["Drama", "History"],
            ["Comedy"],
            ["Drama", "Crime"],
            None,
        ],
        "cast": [["Lee", "Park"], ["Kento"], ["Ju", "Bae"], ["Song"], ["Foy"], ["Carell"], ["Cranston"], []],
        "language": ["Korean", "Japanese", "Korean", "Korean", "English", "English", "English", None],
    }
)  # fmt: skip


def watched(table: Any = None, **options: Any) -> Dataset:
    """Ann loved Squid Game and hated The Office; Bob did the reverse."""
    table = table or {
        "user": ["ann", "ann", "bob", "bob"],
        "item": ["squid", "office", "squid", "office"],
        "stars": [5.0, 1.0, 1.0, 5.0],
    }
    given = {"rating": "stars", "scale": (1, 5), "item_features": SERIES} | options
    return Dataset.from_interactions(table, **given)


def liked(item: str, features: Any, **options: Any) -> Dataset:
    """One user who took one item, and a table of features."""
    return Dataset.from_interactions({"user": ["ann"], "item": [item]}, item_features=features, **options)


def test_the_lectures_office_furniture() -> None:
    """Chair (1, 1, 1) and table (1, 0, 1): cosine 2 / (√3 √2)."""
    furniture = {
        "item": ["chair", "table"],
        "is_in_home_department": [True, True],
        "price_between_100_150": [True, False],
        "is_prime": [True, True],
    }
    model = ContentBased().fit(liked("chair", furniture))
    assert model.predict(["ann"], ["table"])[0] == pytest.approx(2 / 6**0.5)
    assert model.similar_items(["table"]).scores[0, 0] == pytest.approx(2 / 6**0.5)
    numbers = furniture | {c: [int(x) for x in furniture[c]] for c in list(furniture)[1:]}
    assert ContentBased().fit(liked("chair", numbers)).predict(["ann"], ["table"])[0] == pytest.approx(
        2 / 6**0.5
    )


def test_a_cosine_is_the_weighted_mean_of_its_blocks() -> None:
    """The two share the language, half the genres (cosine 1/√2 of one against two), and not the price."""
    items = {
        "item": ["a", "b", "c", "d"],
        "genres": [["Drama"], ["Drama", "War"], ["War"], []],
        "language": ["ko", "ko", "en", "en"],
        "price": [120.0, 80.0, 90.0, 300.0],
    }
    edges = {"price": [100, 150]}
    plain = ContentBased(edges=edges).fit(liked("a", items))
    assert plain.predict(["ann"], ["b"])[0] == pytest.approx((0.5**0.5 + 1 + 0) / 3)
    weighted = ContentBased(edges=edges, weights={"genres": 4, "language": 0.5}).fit(liked("a", items))
    assert weighted.predict(["ann"], ["b"])[0] == pytest.approx((4 * 0.5**0.5 + 0.5) / 5.5)
    without = ContentBased(kinds={"price": "ignore"}, weights={"language": 0}).fit(liked("a", items))
    assert without.predict(["ann"], ["b"])[0] == pytest.approx(0.5**0.5)
    assert np.isnan(without.predict(["ann"], ["d"])[0])


def test_who_liked_squid_game_gets_k_dramas_and_death_games_first() -> None:
    """Of four blocks (title, genres, cast, language), Kingdom shares half the genres and the language, The Glory the
    language, Alice in Borderland all genres, and the others nothing."""
    found = ContentBased().fit(watched()).recommend(history=[["squid"]], k=10)
    shared = dict(zip(found.lists()[0], found.scores[0].tolist(), strict=False))
    assert found.lists()[0][0] == "kingdom"
    assert shared == pytest.approx(
        {"kingdom": 3 / 8, "glory": 1 / 4, "alice": 1 / 4, "crown": 0, "office": 0, "bad": 0}
    )


def test_what_was_disliked_pushes_away() -> None:
    model = ContentBased().fit(watched())
    ann, bob = model.predict(["ann", "bob"], ["kingdom", "kingdom"])
    assert ann > 0 > bob
    assert model.predict(["ann"], ["crown"])[0] < 0
    assert model.recommend(users=["bob"], k=1).lists() == [["crown"]]


def test_no_other_users_data_matter() -> None:
    alone = {"user": ["ann", "ann"], "item": ["squid", "office"], "stars": [5.0, 1.0]}
    pairs = ["ann"] * len(SERIES), SERIES["item"].to_list()
    with_bob, without = (ContentBased().fit(data).predict(*pairs) for data in (watched(), watched(alone)))
    codes = np.isnan(with_bob)
    assert (codes == np.isnan(without)).all()
    assert with_bob[~codes] == pytest.approx(without[~codes], abs=1e-6)


def test_the_center_of_ratings() -> None:
    """Ratings 5 and 4 on a scale of 1 to 5: against the middle 3 both are likes, 2 to 1; against the user's damped mean
    (3 + 9) / 3 = 4 only the 5 counts."""
    items = {"item": ["a", "b", "c"], "genres": [["x"], ["y"], ["x", "y"]]}
    table = {"user": ["ann", "ann"], "item": ["a", "b"], "stars": [5.0, 4.0]}
    data = watched(table, item_features=items)
    by_user = ContentBased().fit(data).predict(["ann"], ["c"])[0]
    by_scale = ContentBased(center="scale").fit(data).predict(["ann"], ["c"])[0]
    assert by_user == pytest.approx(1 / 2**0.5)
    assert by_scale == pytest.approx((2 + 1) / (5**0.5 * 2**0.5))


def test_who_rates_everything_alike_still_likes_it() -> None:
    table = {"user": ["ann", "ann"], "item": ["squid", "kingdom"], "stars": [5.0, 5.0]}
    assert ContentBased().fit(watched(table)).predict(["ann"], ["alice"])[0] > 0


def test_implicit_weights_and_recency() -> None:
    """Profile (1, 1) of x and y; with weights (3, 1); with a half-life of one day, x two days older: (1/4, 1)."""
    items = {"item": ["a", "b", "c"], "genre": [["x"], ["y"], ["x"]]}
    table = {"user": ["ann"] * 2, "item": ["a", "b"], "weight": [3.0, 1.0], "time": [0, 2 * 86_400]}

    def score(model: ContentBased, **columns: str) -> float:
        data = Dataset.from_interactions(table, item_features=items, **columns)
        return float(model.fit(data).predict(["ann"], ["c"])[0])

    assert score(ContentBased()) == pytest.approx(1 / 2**0.5)
    assert score(ContentBased(), weight="weight") == pytest.approx(3 / 10**0.5)
    assert score(ContentBased(half_life_days=1), timestamp="time") == pytest.approx(
        0.25 / (1 + 1 / 16) ** 0.5
    )


def test_cold_start_as_declared() -> None:
    """Alice in Borderland has no interactions; the blank has no features; a stranger has no history."""
    model = ContentBased().fit(watched())
    found = model.recommend(users=["ann", "stranger"], k=len(SERIES))
    assert "alice" in found.lists()[0]
    assert "blank" not in found.lists()[0]
    assert list(found.sources) == ["content", "popularity"]
    assert np.isnan(model.predict(["ann"], ["blank"])[0])
    assert np.isnan(model.similar_items(["blank"]).scores).all()


def test_likes_and_dislikes_that_cancel_leave_no_opinion() -> None:
    items = {"item": ["a", "b", "c"], "genre": [["x"]] * 3}
    table = {"user": ["ann", "ann"], "item": ["a", "b"], "stars": [5.0, 1.0]}
    model = ContentBased().fit(watched(table, item_features=items))
    assert np.isnan(model.predict(["ann"], ["c"])[0])


@pytest.mark.parametrize("text", ["tfidf", "lsa", "embeddings"])
def test_contributions_add_up_to_the_score(text: str) -> None:
    model = ContentBased(text=text, weights={"cast": 2.5}).fit(watched())
    for item in ("alice", "kingdom", "crown", "bad"):
        explanation = model.explain("ann", item)
        for kind in ("item", "feature"):
            parts = [r.contribution for r in explanation.reasons if r.kind == kind]
            assert sum(parts) == pytest.approx(explanation.score, abs=1e-6)


def test_reasons_name_the_liked_item_and_what_it_shares() -> None:
    model = ContentBased().fit(watched())
    (slot,) = model.recommend(history=[["squid"]], k=1, allow=["kingdom"], explain=True)[0]
    assert slot.reason == "because you liked Squid Game, which shares language Korean, genres Thriller"
    features = {r.what: r.contribution for r in slot.reasons if r.kind == "feature"}
    assert features == pytest.approx({"language Korean": 1 / 4, "genres Thriller": 1 / 8})
    against = model.explain("ann", "crown")
    assert [r.text for r in against.reasons if r.kind == "item"] == [
        "because you gave The Office 1 of 5, which shares language English"
    ]
    assert model.explain("ann", "blank").reasons == ()


def test_the_encoders_vectors_are_used_and_kept(tmp_path: Path) -> None:
    """An encoder that sees only whether the text has a C; the callable itself is not saved."""
    asked: list[str] = []

    def has_c(texts: list[str]) -> list[list[float]]:
        asked.extend(texts)
        return [[2.0, 0.0] if "C" in text else [0.0, 3.0] for text in texts]

    only_text = dict.fromkeys(["genres", "cast", "language"], "ignore")
    model = ContentBased(kinds=only_text, encoder=has_c).fit(watched())
    assert sorted(asked) == sorted(SERIES["title"].drop_nulls())
    similar = model.similar_items(["squid"], k=10)
    found = dict(zip(similar.lists()[0], similar.scores[0].tolist(), strict=False))
    assert found == {"alice": 1, "kingdom": 1, "glory": 1, "office": 1, "bad": 1, "crown": 0}
    model.save(tmp_path / "m")
    loaded = tastemaker.load(tmp_path / "m")
    assert loaded.encoder is None
    history = [["squid", "crown"], ["bad"]]
    before, after = (m.recommend(history=history, k=10, explain=True) for m in (model, loaded))
    assert after.scores.tobytes() == before.scores.tobytes()
    assert after.to_json() == before.to_json()


@pytest.mark.parametrize("form", ["mapping", "frame", "column"])
def test_vectors_that_the_caller_brings(form: str) -> None:
    """Angles of 0, 60 and 90 degrees, lengths that do not matter, an unknown id, and an item without a vector."""
    vectors = {"squid": [2.0, 0.0], "crown": [0.5, 0.75**0.5], "office": [0.0, 7.0], "unheard of": [1.0, 1.0]}
    items: pl.DataFrame = SERIES.select("item")
    options: dict[str, Any] = {"vectors": {k: np.array(v) for k, v in vectors.items()}}
    if form == "frame":
        options = {"vectors": pl.DataFrame({"id": list(vectors), "vector": list(vectors.values())})}
    if form == "column":
        options = {}
        items = items.with_columns(vector=pl.Series([vectors.get(i) for i in items["item"]]))
    model = ContentBased(**options).fit(liked("squid", items))
    found = model.predict(["ann"] * 3, ["crown", "office", "alice"])
    assert found[:2] == pytest.approx([0.5, 0], abs=1e-6)
    assert np.isnan(found[2])


@pytest.mark.parametrize("text", ["tfidf", "embeddings"])
def test_the_same_bits_alone_in_any_batch_and_on_any_thread_count(text: str) -> None:
    rng = np.random.default_rng(0)
    words = np.array([f"word{'abcdefghij'[i % 10]}{'klmnopqrst'[i // 10]}" for i in range(100)])
    items = pl.DataFrame(
        {
            "item": range(200),
            "plot": [" ".join(row) for row in words[rng.integers(0, 100, (200, 12))]],
            "genres": [row.tolist() for row in rng.integers(0, 9, (200, 3)).astype(str)],
            "year": rng.integers(1950, 2020, 200),
        }
    )
    table = {
        "user": rng.integers(0, 60, 900),
        "item": rng.integers(0, 200, 900),
        "stars": rng.integers(1, 6, 900),
    }
    data = Dataset.from_interactions(table, rating="stars", item_features=items, duplicates="last")
    users = data.users.ids.to_list()
    before = _native.threads()
    try:
        answers = []
        for threads in (1, 2):
            _native.set_threads(threads)
            answers.append(ContentBased(text=text).fit(data).recommend(users, k=20))
    finally:
        _native.set_threads(before)
    assert answers[0].scores.tobytes() == answers[1].scores.tobytes()
    assert np.isfinite(answers[0].scores).all()
    model = ContentBased(text=text).fit(data)
    for q in (0, 17, 59):
        alone = model.recommend([users[q]], k=20)
        assert alone.scores[0].tobytes() == answers[0].scores[q].tobytes()
        assert alone.items[0].tolist() == answers[0].items[q].tolist()


def test_wrong_parameters() -> None:
    for options, message in [
        ({"text": "bert"}, r"text must be one of 'tfidf', 'lsa', 'embeddings', got 'bert'"),
        ({"kinds": {"year": "date"}}, r"kinds\['year'\] must be one of"),
        ({"weights": {"year": -1}}, r"weights\['year'\] must be a number at least 0"),
        ({"edges": {"year": [3, 2]}}, r"edges\['year'\] must be one or more ascending numbers"),
        ({"buckets": 1}, "buckets must be a whole number of at least 2"),
        ({"center": "mean"}, "center must be one of"),
        ({"half_life_days": 0}, "half_life_days must be a number above 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            ContentBased(**options)


def test_data_without_what_it_needs() -> None:
    bare = Dataset.from_interactions({"user": ["ann"], "item": ["squid"]})
    with pytest.raises(DataError, match=r"needs features of items.*columns that count: none.*item_features="):
        ContentBased().fit(bare)
    for options in ({"weights": {"yaer": 1}}, {"edges": {"yaer": [1]}}, {"kinds": {"yaer": "number"}}):
        with pytest.raises(
            DataError, match="the item table has no column 'yaer'; its columns: title, genres"
        ):
            ContentBased(**options).fit(watched())
    with pytest.raises(DataError, match=r"encoder returned an array of shape \(1, 2\) for 7 texts"):
        ContentBased(encoder=lambda texts: [[1.0, 2.0]]).fit(watched())
    with pytest.raises(DataError, match="1 item vectors have NaN"):
        ContentBased(vectors={"squid": [1.0, float("nan")]}).fit(watched())
    with pytest.raises(DataError, match="none of the 1 item ids is in the data"):
        ContentBased(vectors={"Squid": [1.0]}).fit(watched())
    with pytest.raises(DataError, match="have 1 to 2 numbers"):
        ContentBased(vectors={"squid": [1.0], "crown": [1.0, 2.0]}).fit(watched())


@pytest.mark.real_data
def test_movies_as_they_are(real_data: Path) -> None:
    """On ml-100k, without a setting: the films most like Star Wars have its genres, its words and its years."""
    data = tastemaker.datasets.load("ml-100k")
    names = dict(zip(data.items.ids, data.item_features["title"], strict=True))
    star_wars = next(i for i, title in names.items() if title and title.startswith("Star Wars"))
    similar = [names[i] for i in ContentBased().fit(data).similar_items([star_wars], k=5).lists()[0]]
    assert {"Empire Strikes Back, The (1980)", "Star Trek: The Wrath of Khan (1982)"} <= set(similar)
