"""A live catalogue: what happens counts at once."""

import threading
from typing import Any

import numpy as np
import pytest

import tastemaker as tm
from policy.shop import NOW, fitted
from tastemaker.data.queries import queries_from_ids
from tastemaker.errors import DataError
from tastemaker.policy.choice import Choice
from tastemaker.policy.exploration import Softmax
from tastemaker.policy.live import LiveCatalogue, Observed
from tastemaker.policy.policy import Policy
from tastemaker.policy.stock import NewItem

DAY = 86_400_000_000


@pytest.fixture(scope="module")
def policy() -> Policy:
    return fitted()


@pytest.fixture
def live(policy: Policy) -> LiveCatalogue:
    return LiveCatalogue(policy, now=NOW)


def shown(live: LiveCatalogue, user: str | None = "u1", k: int = 60, **options: Any) -> list[str]:
    return live.ids(live.choose(user, k=k, now=NOW, **options).items)


def did(live: LiveCatalogue, user: str, item: str, kind: str, value: float | None = None) -> None:
    live.observe([Observed(user, item, kind, NOW, value)])


def test_nothing_happened_so_it_is_the_policy(policy: Policy, live: LiveCatalogue) -> None:
    for user in ("u1", "u7", "nobody"):
        assert shown(live, user, k=10) == policy.recommend([user], k=10).lists()[0]
    assert (
        shown(live, None, history=["i1", "i2"], k=10)
        == policy.recommend(history=[["i1", "i2"]], k=10).lists()[0]
    )


def test_items_of_a_session_count_by_their_weights_and_as_liked() -> None:
    live = LiveCatalogue(fitted(explicit=True), now=NOW)
    asked = live.request(history=["i1", "unknown", "i2"], weights=[1.0, 3.0, 2.0]).query.history
    assert live.ids(asked.indices) == ["i1", "i2"]
    assert (asked.value.tolist(), asked.weight.tolist()) == ([5.0, 5.0], [1.0, 2.0])
    rated = live.request(history={"i1": 2.0}).query.history
    assert (rated.value.tolist(), rated.weight.tolist()) == ([2.0], [1.0])


@pytest.mark.parametrize("kind", ["dismiss", "purchase"])
def test_dismissed_and_bought_are_gone_whoever_asks_for_seen_items(live: LiveCatalogue, kind: str) -> None:
    best = shown(live)[0]
    did(live, "u1", best, kind)
    assert best not in shown(live)
    assert best not in shown(live, exclude_seen=False)
    assert best in shown(live, "u2") or best in shown(live, "u2", exclude_seen=False)


def test_a_like_is_folded_in_like_a_history(policy: Policy, live: LiveCatalogue) -> None:
    """The next list is the one that the model gives for the longer history."""
    new = shown(live)[-1]
    did(live, "u1", new, "like")
    catalogue = policy.catalogue
    stored = catalogue.items.decode_list(queries_from_ids(catalogue, ["u1"]).history.indices)
    scores = live.choose("u1", k=60, now=NOW)
    longer = live.choose("u1", k=60, now=NOW, history=[*stored, new])
    assert new not in live.ids(scores.items)
    assert set(live.ids(scores.items)) == set(live.ids(longer.items))
    before = LiveCatalogue(policy, now=NOW).choose("u1", k=60, now=NOW)
    assert scores.utilities.tolist() != before.utilities.tolist()


def test_a_newcomer_is_known_after_one_event(live: LiveCatalogue) -> None:
    nobody = shown(live, "newcomer", k=10)
    did(live, "newcomer", "i3", "like")
    assert shown(live, "newcomer", k=10) != nobody
    assert "i3" not in shown(live, "newcomer")
    choice = live.choose("newcomer", k=10, now=NOW)
    assert any("drama" in r or "comedy" in r or "liked" in r for r in choice.reasons)


def test_a_dismissed_item_no_longer_speaks_for_others(policy: Policy, live: LiveCatalogue) -> None:
    history = queries_from_ids(policy.catalogue, ["u1"]).history
    item = policy.catalogue.items.decode_list(history.indices[:1])[0]
    did(live, "u1", item, "dismiss")
    assert item not in live.policy.catalogue.items.decode_list(live.request("u1").query.history.indices)
    assert item not in shown(live, exclude_seen=False)


def test_however_much_somebody_has_seen_none_of_it_comes_back(live: LiveCatalogue) -> None:
    live.put_items([NewItem(f"n{n}", {"genres": ["drama"]}) for n in range(900)], now=NOW)
    had = [f"n{n}" for n in range(800)]
    for item in had:
        did(live, "binger", item, "view", 1.0)
    assert len(live.visitors.of("binger").taken) <= 400
    assert set(shown(live, "binger", k=1000)).isdisjoint(had)
    assert {f"n{n}" for n in range(800, 900)} <= set(shown(live, "binger", k=1000))


def test_impressions_and_dwell_say_nothing(live: LiveCatalogue) -> None:
    before = shown(live)
    for kind in ("impression", "dwell", "a kind of tomorrow"):
        did(live, "u1", before[0], kind, 3.0)
    assert shown(live) == before


def test_views_count_by_the_share_completed(live: LiveCatalogue) -> None:
    item = shown(live)[0]
    did(live, "u1", item, "view", 0.25)
    assert live.request("u1").query.history.weight[-1] == pytest.approx(0.25)
    did(live, "u1", item, "view", 0.5)
    assert live.request("u1").query.history.weight[-1] == pytest.approx(0.75)


def test_ratings_stand_as_they_are() -> None:
    live = LiveCatalogue(fitted(explicit=True), now=NOW)
    item = shown(live)[0]
    did(live, "u1", item, "rating", 2.0)
    assert live.request("u1").query.history.value[-1] == 2.0
    did(live, "u1", item, "rating", 4.0)
    history = live.request("u1").query.history
    assert history.value[-1] == 4.0
    assert (history.indices == history.indices[-1]).sum() == 1


def test_a_new_item_is_recommended_by_content_to_those_who_like_its_kind(live: LiveCatalogue) -> None:
    for n in range(0, 60, 5):
        did(live, "fan", f"i{n}", "like")  # drama stories
    live.put_items(
        [NewItem("fresh", {"title": "drama story again", "genres": ["drama"], "price": 2.0})], now=NOW
    )
    live.put_items([NewItem("other", {"title": "cooking story again", "genres": ["cooking"]})], now=NOW)
    code, other = live.code("fresh"), live.code("other")
    choice = live.choose("fan", k=60, now=NOW)
    utility = dict(zip(choice.candidates.tolist(), choice.utilities.tolist(), strict=True))
    assert utility[code] >= 0, "it has a score"
    assert utility[other] >= 0
    arrivals, genres = live.shelf.arrivals, live.shelf.features["genres"].to_list()
    near = zip(*(part[arrivals.row[code]].tolist() for part in arrivals.like), strict=True)
    assert sum(share for item, share in near if "drama" in genres[item]) > 0.7


def test_new_items_take_the_slots_kept_for_them() -> None:
    live = LiveCatalogue(fitted(new_item_slots=2), now=NOW)
    for n in range(5):
        live.put_items([NewItem(f"new-{n}", {"title": "space story", "genres": ["space"]})], now=NOW)
    found = live.choose("u1", k=10, now=NOW)
    assert [role for role in found.roles if role == "explore"] == ["explore"] * 2
    assert [at for at, role in enumerate(found.roles) if role == "explore"] == [2, 7]
    later = NOW + 30 * DAY
    live.refresh(now=later)
    names = live.ids(live.shelf.fresh)
    assert not any(name.startswith("new-") for name in names), "not new any more"


def test_a_new_item_in_a_history_speaks_for_the_items_like_it(live: LiveCatalogue) -> None:
    live.put_items([NewItem("fresh", {"title": "space story", "genres": ["space"]})], now=NOW)
    did(live, "newcomer", "fresh", "like")
    choice = live.choose("newcomer", k=10, now=NOW)
    assert "personal" in choice.sources
    assert "fresh" not in shown(live, "newcomer")


def test_items_of_which_nothing_is_known(live: LiveCatalogue) -> None:
    live.put_items([NewItem("bare"), NewItem("bare too")], now=NOW)
    assert {"bare", "bare too"} <= set(shown(live, k=80))
    data = tm.Dataset.from_interactions({"user": list("aabb"), "item": list("xyyz")})
    plain = LiveCatalogue(Policy(retrieval="item_knn").fit(data), now=NOW)
    plain.put_items([NewItem("bare")], now=NOW)
    assert set(shown(plain, "a")) == {"z", "bare"}
    plain.put_items([NewItem("bare", {"colour": "red"}), NewItem("more", {"colour": "red"})], now=NOW)
    assert set(shown(plain, "a", filter="colour = 'red'")) == {"bare", "more"}


def test_withdrawn_until_put_again(live: LiveCatalogue) -> None:
    best = shown(live)[0]
    live.withdraw([best, "no such item"])
    assert best not in shown(live)
    assert best not in shown(live, exclude_seen=False, allow=[best])
    live.put_items([NewItem(best, {"title": "back again"})], now=NOW)
    assert best in shown(live)


def test_windows_open_and_close_on_time(live: LiveCatalogue) -> None:
    live.put_items([NewItem("event", {"title": "story"}, start=NOW + 10, end=NOW + 20)], now=NOW)

    def there(now: int) -> bool:
        return "event" in live.ids(live.choose("u1", k=80, now=now).items)

    assert [there(NOW + n) for n in (0, 9, 10, 19, 20, 100)] == [False, False, True, True, False, False]


def test_changed_features_hold_for_the_next_filter(live: LiveCatalogue) -> None:
    item = shown(live, filter="price < 3")[0]
    live.put_items([NewItem(item, {"title": "dear", "price": 100.0, "colour": "blue"})], now=NOW)
    assert item not in shown(live, filter="price < 3")
    assert shown(live, filter="colour = 'blue'") == [item]
    with pytest.raises(DataError, match="no_such_column"):
        shown(live, filter="no_such_column = 1")


def test_trends_follow_what_is_taken(live: LiveCatalogue) -> None:
    item = shown(live, None, k=10)[-1]
    for n in range(200):
        did(live, f"someone-{n}", item, "click")
    live.refresh(now=NOW)
    assert shown(live, None, k=10)[0] == item
    assert live.choose(None, k=10, now=NOW).sources[0] == "trending"


def test_an_event_from_the_far_future_does_not_rule_the_trends(live: LiveCatalogue) -> None:
    live.observe([Observed("liar", "i5", "click", NOW + 10_000 * DAY)])
    live.refresh(now=NOW)
    assert np.isfinite(live.shelf.trend).all()
    assert live.shelf.trend[live.code("i5")] < live.shelf.trend.sum()


def test_trends_of_old_data_hold_until_something_happens(policy: Policy) -> None:
    later = NOW + 20 * 365 * DAY
    live = LiveCatalogue(policy, now=later)
    live.refresh(now=later)
    assert live.shelf.trending.tolist() == policy.shelf.trending.tolist()
    live.observe([Observed("somebody", "i5", "click", later)])
    live.refresh(now=later + DAY)
    assert live.ids(live.shelf.trending[:1]) == ["i5"]


def test_a_forgotten_user_leaves_nothing(live: LiveCatalogue) -> None:
    before = shown(live, "newcomer")
    did(live, "newcomer", "i3", "like")
    did(live, "newcomer", "i4", "dismiss")
    live.forget("newcomer")
    assert shown(live, "newcomer") == before
    assert len(live.visitors) == 0


def test_unknown_ids_change_nothing(live: LiveCatalogue) -> None:
    before = shown(live)
    did(live, "u1", "no such item", "like")
    assert shown(live, deny=["no such item"]) == before
    assert shown(live, allow=["no such item"]) == []
    assert live.code("no such item") == -1
    assert shown(live, "u1", history=["no such item"], k=5)


def test_readers_never_see_half_a_change() -> None:
    """Readers ask while items come, change and go; every list is whole and made from one state."""
    live = LiveCatalogue(fitted(exploration=Softmax(0.3), diversity=0.3, caps={"genres": 3}), now=NOW)
    failures: list[BaseException] = []
    done = threading.Event()

    def read(number: int) -> None:
        try:
            n = 0
            while not done.is_set():
                n += 1
                choice: Choice = live.choose(f"u{n % 30}", k=10, seed=n, now=NOW, filter="price < 6")
                assert choice.degraded == ()
                assert len(set(live.ids(choice.items))) == len(choice.items)
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=read, args=(number,)) for number in range(3)]
    for reader in readers:
        reader.start()
    for n in range(120):
        live.put_items([NewItem(f"new-{n % 40}", {"genres": ["drama"], "price": float(n % 7)})], now=NOW)
        did(live, f"u{n % 30}", f"new-{n % 40}", "like")
        live.withdraw([f"i{n % 50}"])
    done.set()
    for reader in readers:
        reader.join()
    assert failures == []
