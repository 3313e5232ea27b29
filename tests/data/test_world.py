"""The generated world: the same for a seed, whole, and as its docstring says people behave."""

import subprocess
import sys

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray

import tastemaker as tm
from tastemaker.data.quality import completion_weight, to_implicit
from tastemaker.data.world import World, world
from tastemaker.data.world.words import GENRES, personal_name

SEEDS = range(5)


@pytest.fixture(scope="module")
def small() -> World:
    return world()


@pytest.fixture(scope="module", params=SEEDS)
def any_world(request: pytest.FixtureRequest) -> World:
    return world(seed=request.param)


def with_traits(made: World) -> pl.DataFrame:
    """Interactions, with what is known of their users and items and the true preference of each."""
    people = made.users.with_row_index("row")
    titles = made.items.with_row_index("column")
    table = made.interactions.join(people, on="user", maintain_order="left").join(
        titles, on="item", maintain_order="left"
    )
    return table.with_columns(
        preference=made.preferences[table["row"].to_numpy(), table["column"].to_numpy()]
    )


# --- the same for a seed ----------------------------------------------------------------------------------------------


def test_it_is_found_among_the_data_sets() -> None:
    assert tm.datasets.world is world
    assert tm.datasets.World is World


def test_same_seed_same_world() -> None:
    one, two, other = world(60, 40, seed=7), world(60, 40, seed=7), world(60, 40, seed=8)
    for name in ("interactions", "users", "items"):
        assert getattr(one, name).equals(getattr(two, name))
        assert not getattr(one, name).equals(getattr(other, name))
    assert one.preferences.tobytes() == two.preferences.tobytes()
    assert one.implicit.fingerprint == two.implicit.fingerprint


def test_titles_do_not_depend_on_users_nor_people_on_items() -> None:
    base = world(60, 40, seed=7)
    assert base.items.equals(world(20, 40, seed=7).items)
    assert base.users.equals(world(60, 50, seed=7).users)


def test_threads_do_not_change_it() -> None:
    script = (
        "from tastemaker.data.world import world; import hashlib; w = world(300, 100);"
        "print(w.implicit.fingerprint, hashlib.sha256(w.preferences).hexdigest())"
    )
    printed = []
    for threads in ("1", "2"):
        names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
        env = dict.fromkeys(names, threads)
        done = subprocess.run(
            [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True
        )
        printed.append(done.stdout)
    assert printed[0] == printed[1]
    assert len(printed[0]) > 100


# --- whole ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("users", "items"), [(1, 1), (2, 4), (1, 50), (300, 3), (37, 2000)])
def test_any_size(users: int, items: int) -> None:
    made = world(users, items)
    assert made.preferences.shape == (users, items)
    assert made.users.height == made.users["user"].n_unique() == users
    assert made.items.height == made.items["item"].n_unique() == made.items["title"].n_unique() == items
    assert made.interactions["user"].n_unique() == users
    assert made.dataset.n_items == items
    assert repr(made) == f"World({users} users, {items} items, {made.interactions.height} interactions)"


@pytest.mark.parametrize(("users", "items", "name"), [(0, 5, "users"), (5, -1, "items")])
def test_impossible_sizes_are_refused(users: int, items: int, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1, received"):
        world(users, items)


def test_every_value_is_within_its_range(any_world: World) -> None:
    seen = any_world.interactions
    assert seen.null_count().sum_horizontal().item() == 0
    assert seen["rating"].is_in([1.0, 2.0, 3.0, 4.0, 5.0]).all()
    assert seen["completed"].is_between(0, 1).all()
    assert (seen["dwell"] > 0).all()
    assert (seen["hour"] == seen["timestamp"].dt.hour()).all()
    assert seen["timestamp"].is_sorted()
    assert set(seen["event"].unique()) == {"view", "like", "share"}
    assert seen.select("user", "item").is_duplicated().sum() == 0
    assert not seen["user"].is_in(any_world.users["user"].implode()).not_().any()
    assert not seen["item"].is_in(any_world.items["item"].implode()).not_().any()
    parts = with_traits(any_world)
    assert (parts["episodes_watched"] <= parts["episodes"]).all()
    assert (any_world.preferences > 1).all()
    assert (any_world.preferences < 5).all()


def test_titles_read_as_titles(any_world: World) -> None:
    items = any_world.items
    assert items["title"].head(4).to_list() == ["Squid Game", "The Crown", "Breaking Bad", "The Office"]
    assert items["item"][0] == "squid-game"
    assert items["genres"].list.len().is_between(1, 2).all()
    assert items["genres"].list.explode().is_in(list(GENRES)).all()
    assert (items["cast"].list.n_unique() == 4).all()
    named = items.with_columns(first=pl.col("genres").list.first())
    assert named.select(pl.col("description").str.contains(pl.col("first"), literal=True)).to_series().all()


def test_names_never_repeat() -> None:
    names = [personal_name(number) for number in range(20_000)]
    assert len(set(names)) == len(names)


def test_preferences_in_a_datasets_own_codes(small: World) -> None:
    """Codes go by first appearance, the tables do not: look a few up by id."""
    data = small.dataset
    mapped = small.preferences_of(data)
    ids, items = small.users["user"].to_list(), small.items["item"].to_list()
    for user, item in [("alice", "squid-game"), ("bob", items[-1]), (ids[-1], items[17])]:
        cell = mapped[data.users.encode([user])[0], data.items.encode([item])[0]]
        assert cell == small.preferences[ids.index(user), items.index(item)]


def test_dataset_and_implicit_are_the_same_rows(small: World) -> None:
    explicit, implicit = small.dataset, small.implicit
    assert explicit.schema.scale == (1, 5)
    assert not implicit.schema.explicit
    assert (explicit.user == implicit.user).all()
    assert (explicit.item == implicit.item).all()
    assert len(explicit) == small.interactions.height
    assert np.ptp(implicit.weight) > 1


# --- people behave as the docstring says ------------------------------------------------------------------------------


def test_alice_and_bob_have_different_tastes(any_world: World) -> None:
    alice, bob = any_world.preferences[:2]
    assert any_world.users["user"].head(2).to_list() == ["alice", "bob"]
    alike = np.corrcoef(any_world.preferences)
    others = alike[np.triu_indices(len(alike), 1)].mean()  # above 0, for all like what is good
    assert alike[0, 1] < others - 0.1
    assert len(set(np.argsort(-alice)[:10]) & set(np.argsort(-bob)[:10])) <= 2


def test_exposure_is_skewed(any_world: World) -> None:
    """The Gini index of views an item: 0 if all were watched alike, and well above here."""
    counts = np.sort(np.bincount(any_world.dataset.item, minlength=any_world.items.height))
    n = len(counts)
    gini = (2 * np.arange(1, n + 1) - n - 1) @ counts / (n * counts.sum())
    assert gini > 0.35


def test_popularity_is_not_preference(any_world: World) -> None:
    """Views go with mean preference, but leave most of its variance unexplained."""
    views = np.bincount(any_world.dataset.item, minlength=any_world.items.height)
    liked = any_world.preferences_of(any_world.dataset).mean(axis=0)
    correlation = np.corrcoef(np.log(views + 1), liked)[0, 1]
    assert 0.1 < correlation < 0.85


def test_people_watch_what_they_will_like(any_world: World) -> None:
    watched = with_traits(any_world)["preference"].mean()
    assert watched > any_world.preferences.mean() + 0.3


def test_ratings_follow_preferences(any_world: World) -> None:
    table = with_traits(any_world)
    assert table.select(pl.corr("rating", "preference")).item() > 0.7


def test_genres_of_the_young_and_of_the_old(small: World) -> None:
    horror = small.items["genres"].list.contains("horror").to_numpy()
    history = small.items["genres"].list.contains("history").to_numpy()
    leaning = small.preferences[:, horror].mean(axis=1) - small.preferences[:, history].mean(axis=1)
    age = small.users["age"].to_numpy()
    assert leaning[age < 25].mean() > leaning[age > 55].mean() + 0.3


def test_kids_shows_in_the_morning_and_horror_at_night(small: World) -> None:
    main = with_traits(small).with_columns(main=pl.col("genres").list.first())
    morning = main.group_by("main").agg((pl.col("hour").is_between(5, 11)).mean().alias("share"))
    shares = dict(morning.iter_rows())
    assert shares.pop("kids") > 0.4
    assert max(shares.values()) < 0.1


def test_content_tells_of_preference(any_world: World) -> None:
    """Titles that share genres are liked by the same people, more than titles that do not."""
    has = any_world.items["genres"].list
    genres = np.column_stack([has.contains(name).to_numpy() for name in GENRES]).astype(float)
    overlap = genres @ genres.T
    alike = np.corrcoef(any_world.preferences.T)
    upper = np.triu_indices(len(alike), 1)
    assert alike[upper][overlap[upper] > 0].mean() > alike[upper][overlap[upper] == 0].mean() + 0.1


def test_descriptions_tell_more_than_genres(any_world: World) -> None:
    """Within one pair of genres, people agree more on titles about the same things."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(stop_words="english").fit_transform(any_world.items["description"].to_list())
    near = (words @ words.T).toarray()
    alike = np.corrcoef(any_world.preferences.T)
    first = any_world.items["genres"].list.first().to_numpy()
    pairs = np.triu(first[:, None] == first[None, :], 1)
    close = near[pairs] > np.quantile(near[pairs], 0.8)
    assert alike[pairs][close].mean() > alike[pairs][~close].mean() + 0.02


# --- quality carries preference ---------------------------------------------------------------------------------------


def test_one_a_day_watchers_stop_whatever_they_think(any_world: World) -> None:
    series = with_traits(any_world).filter(pl.col("episodes") > 1)
    agreement = dict(series.group_by("cadence").agg(pl.corr("episodes_watched", "preference")).iter_rows())
    assert agreement["binge"] > 0.25
    assert abs(agreement["one-a-day"]) < 0.06


def test_relative_completion_tells_more_than_completion(any_world: World) -> None:
    """The share alone takes every one-a-day watcher for bored; against their own cadence it does not."""
    data = any_world.dataset
    true = any_world.preferences_of(data)[data.user, data.item]
    share = data.context["completed"].to_numpy()
    weight = completion_weight(data.user, share, data.item_features["episodes"].to_numpy()[data.item])
    assert np.corrcoef(np.log(weight), true)[0, 1] > np.corrcoef(share, true)[0, 1] + 0.05


def ndcg(scores: NDArray[np.float64], gains: NDArray[np.float32], k: int = 10) -> NDArray[np.float64]:
    """NDCG@k of each row's ranking by ``scores``; gains of −inf are not to be ranked."""
    allowed = np.isfinite(gains)
    order = np.argsort(-np.where(allowed, scores, -np.inf), axis=1, kind="stable")[:, :k]
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = -np.sort(-gains, axis=1)[:, :k]
    return (np.take_along_axis(gains, order, axis=1) @ discount) / (ideal @ discount)


def interval(difference: NDArray[np.float64]) -> tuple[float, float]:
    """95 % confidence interval of the mean over users."""
    half = 1.96 * difference.std(ddof=1) / np.sqrt(len(difference))
    return difference.mean() - half, difference.mean() + half


def neighbours(weights: sp.csr_array) -> NDArray[np.float64]:
    """Item neighbourhood scores: W · cosine(W) without the diagonal."""
    w = weights.toarray().astype(np.float64)
    unit = w / np.maximum(np.sqrt(np.square(w).sum(axis=0)), 1e-9)
    similarity = unit.T @ unit
    np.fill_diagonal(similarity, 0)
    return w @ similarity


def true_gains(made: World) -> NDArray[np.float32]:
    """Stars above the least for what a user has not seen, −inf for what they have."""
    seen = to_implicit(made.dataset).matrix().toarray() > 0
    return np.where(seen, -np.inf, made.preferences_of(made.dataset) - 1)


def test_weighted_beats_binary_against_the_true_preferences(any_world: World) -> None:
    gains = true_gains(any_world)
    binary = neighbours(to_implicit(any_world.dataset).matrix("weight"))
    weighted = neighbours(any_world.implicit.matrix("weight"))
    low, high = interval(ndcg(weighted, gains) - ndcg(binary, gains))
    assert 0 < low < high


def test_the_oracle_beats_popularity_on_what_was_held_out(any_world: World) -> None:
    """Ranking by true preference finds more of the liked titles in a random fifth of the views than ranking by views."""
    data = any_world.dataset
    held = np.random.default_rng(0).random(len(data)) < 0.2
    train, test = data.select(~held), data.select(held & (data.value >= 4))
    seen = train.matrix().toarray() > 0
    gains = np.where(seen, -np.inf, test.implicit().matrix().toarray())
    asked = (gains > 0).any(axis=1)
    views = np.tile(seen.sum(axis=0), (data.n_users, 1)).astype(float)
    oracle = any_world.preferences_of(data).astype(float)
    low, _ = interval(ndcg(oracle[asked], gains[asked]) - ndcg(views[asked], gains[asked]))
    assert low > 0
