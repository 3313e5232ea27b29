"""A policy answers like a model, and what it is made of shows in its lists."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2

import tastemaker as tm
from contract.conftest import small_data
from policy.shop import fitted
from tastemaker.data.queries import of_users
from tastemaker.errors import CannotAnswerError, DataError
from tastemaker.models import model_class
from tastemaker.models.base import Recommender
from tastemaker.policy.candidates import SOURCES, Request
from tastemaker.policy.exploration import EpsilonGreedy, Softmax
from tastemaker.policy.policy import Policy
from tastemaker.policy.slots import Slots, list_probability

COLD = "i29"  # nobody has had it; a policy gives it a score by content


def request(policy: Policy, user: int = 0, **options: Any) -> Request:
    query = of_users(np.array([user], np.int32), policy.catalogue)
    return Request(query=query, recent=query.history.indices[::-1][:10], **options)


@pytest.mark.parametrize("model", ["als", "item_knn", "ease", "mf", "bpr"])
def test_without_diversity_and_exploration_it_is_its_model(model: str) -> None:
    own = model_class(model)().fit(small_data())
    expected = own.recommend(k=8, deny=[COLD])
    found = Policy.of(own).recommend(k=8, deny=[COLD])
    assert expected.lists() == found.lists()
    assert found.sources == ["policy"] * len(found)


def test_diversify_and_caps_mean_what_they_mean_for_a_model() -> None:
    policy = fitted()
    model = policy._fitted.state.members["retrieval"]
    capped = {"k": 8, "caps": {"genres": 2}, "deny": ["i59"]}
    assert policy.recommend(**capped).lists() == model.recommend(**capped).lists()
    varied = policy.recommend(k=8, diversify=0.9)
    assert varied.lists() != policy.recommend(k=8).lists()
    genres = policy.catalogue.item_features["genres"].to_list()
    for row in fitted(caps={"genres": 1}).recommend(k=8).items:
        shown = [genre for item in row if item >= 0 for genre in set(genres[item])]
        assert len(set(shown)) == len(shown)


def test_the_ranking_model_ranks() -> None:
    data = small_data()
    ranker = tm.EASE().fit(data)
    policy = Policy.of(tm.ImplicitALS(factors=8).fit(data), ranking=ranker, candidates=60, pool=60)
    assert policy.recommend(k=5, deny=[COLD]).lists() == ranker.recommend(k=5, deny=[COLD]).lists()


def test_evaluation_measures_it_like_a_model() -> None:
    data, asked = small_data(), {"metrics": "ndcg@10,recall@10,auc_catalogue", "seed": 1}
    plain = tm.evaluate(Policy(retrieval="item_knn"), data, **asked)
    model = tm.evaluate(tm.ItemKNN(), data, **asked)
    assert plain["recall@10"] == pytest.approx(model["recall@10"], abs=0.05)
    assert plain["auc_catalogue"] == pytest.approx(model["auc_catalogue"])
    noisy = tm.evaluate(Policy(retrieval="item_knn", exploration=EpsilonGreedy(1.0)), data, **asked)
    assert noisy["ndcg@10"] != plain["ndcg@10"], "what is measured is what would be served"


def test_saved_with_its_models(tmp_path: Path) -> None:
    policy = fitted(
        diversity=0.3, caps={"genres": 2}, new_item_slots=1, exploration=Softmax(0.2), ranking="popularity"
    )
    policy.save(tmp_path / "home")
    loaded = tm.load(tmp_path / "home")
    assert isinstance(loaded, Policy)
    assert loaded.parameters() == policy.parameters()
    again = loaded.recommend(k=10)
    assert again.lists() == policy.recommend(k=10).lists()
    assert again.scores.tobytes() == policy.recommend(k=10).scores.tobytes()


def test_the_same_seed_draws_the_same_list_and_others_draw_others() -> None:
    policy = fitted(exploration=Softmax(0.5))
    once = policy.choose(request(policy, seed=3))
    assert policy.choose(request(policy, seed=3)).items.tolist() == once.items.tolist()
    assert len({tuple(policy.choose(request(policy, seed=s)).items.tolist()) for s in range(20)}) > 15
    best = policy.choose(request(policy, seed=3, explore=False))
    assert best.log_probability == 0.0
    assert best.roles == ("exploit",) * 10
    assert (np.diff(best.scores) <= 0).all()


def test_the_first_slot_is_drawn_with_the_probabilities_told() -> None:
    """Through the whole policy: chi-square of 3,000 draws, at the level of one in 10,000."""
    policy = fitted(exploration=Softmax(0.5), diversity=0.3, new_item_slots=1, pool=8)
    choices = [policy.choose(request(policy, seed=seed, k=4)) for seed in range(3000)]
    pool = choices[0].pool
    assert len({choice.utilities.tobytes() for choice in choices}) == 1
    expected = Slots(pool, choices[0].rules).probabilities() * len(choices)
    counts = np.bincount([choice.drawn.positions[0] for choice in choices], minlength=len(pool))
    likely = expected >= 5
    assert ((counts - expected)[likely] ** 2 / expected[likely]).sum() < chi2.isf(1e-4, likely.sum())
    for choice in choices[:50]:
        told = list_probability(pool, choice.rules, choice.drawn.positions.tolist())
        assert np.exp(choice.log_probability) == pytest.approx(told, rel=1e-12)


def test_candidates_of_all_sources() -> None:
    policy = fitted(candidates=5, pool=60)
    found = {name for user in range(30) for name in sources_of(policy, user)}
    assert {"personal", "also_bought", "trending", "new"} <= found
    anonymous = policy.choose(Request(query=of_users(np.array([-1], np.int32), policy.catalogue)))
    assert set(anonymous.sources) <= {"trending", "popular"}
    crowd = policy.shelf.common(np.arange(policy.catalogue.n_items, dtype=np.int32))
    assert anonymous.items.tolist() == np.argsort(-crowd, kind="stable")[:10].tolist()


def sources_of(policy: Policy, user: int) -> set[str]:
    return {SOURCES[number] for number in policy.choose(request(policy, user, k=5)).source}


def test_only_what_is_allowed_is_ranked_when_that_is_little() -> None:
    policy = fitted()
    allow = np.array([3, 9, 1, 40, 3], np.int32)
    choice = policy.choose(request(policy, allow=allow, k=10))
    assert sorted(choice.items.tolist()) == [1, 3, 9, 40]
    assert set(choice.sources) == {"asked"}
    scores = policy._score(policy._fitted, of_users(np.array([0], np.int32), policy.catalogue))[0]
    assert choice.items.tolist() == sorted([1, 3, 9, 40], key=lambda item: -scores[item])


class Broken(tm.EASE):
    """A ranking model that fails when it is asked."""

    def _predict(self, *args: Any) -> Any:
        raise RuntimeError("no memory left")


def test_what_fails_is_left_out_and_told() -> None:
    data = small_data()
    als = tm.ImplicitALS(factors=8).fit(data)
    policy = Policy.of(als, ranking=Broken().fit(data))
    choice = policy.choose(request(policy))
    assert choice.degraded == ("ranking: RuntimeError",)
    assert choice.items.tolist() == Policy.of(als).choose(request(policy)).items.tolist()


def test_what_is_late_is_left_out_and_told() -> None:
    policy = fitted(ranking="ease")
    late = policy.choose(request(policy, deadline=time.perf_counter() - 1, seen=np.arange(5, dtype=np.int32)))
    assert late.degraded == ("retrieval: out of time", "also_bought: out of time", "ranking: out of time")
    assert len(late.items) == 10
    assert not set(late.items.tolist()) & set(range(5)), "filters hold whatever else is left out"
    assert policy.choose(request(policy, deadline=time.perf_counter() + 60)).degraded == ()


def test_mistakes_are_told() -> None:
    with pytest.raises(ValueError, match="retrieval must be a model"):
        Policy(retrieval=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="diversity must be a number"):
        Policy(diversity=1.5)
    with pytest.raises(ValueError, match="caps"):
        Policy(caps={"genre": 0})
    with pytest.raises(DataError, match="fitted on the same data"):
        Policy.of(tm.ItemKNN().fit(small_data()), ranking=tm.EASE().fit(small_data(users=20)))
    with pytest.raises(CannotAnswerError, match="no item vectors"):
        fitted(retrieval="item_knn", diversity=0.5).recommend(["u1"])
    with pytest.raises(DataError, match="no feature 'maker'"):
        fitted(caps={"maker": 1}).recommend(["u1"])


def test_it_compares_items_if_one_of_its_models_does() -> None:
    data = small_data()
    assert fitted().similar_items(["i1"], k=3).lists()[0]
    policy = Policy.of(tm.Popularity().fit(data))
    with pytest.raises(CannotAnswerError, match="does not compare items"):
        policy.similar_items(["i1"])
    assert isinstance(policy, Recommender)
