"""Lists drawn slot by slot: the propensities are the true ones."""

from collections import Counter

import numpy as np
import pytest
from scipy.stats import chi2

from policy.pools import all_lists, small_pool
from tastemaker.policy.exploration import EpsilonGreedy, Exploration, Greedy, Softmax
from tastemaker.policy.pool import Labels, Pool, VectorLikeness
from tastemaker.policy.slots import Rules, Slots, draw, list_probability

DRAWS = 200_000
EXPLORATIONS = [Softmax(0.3), EpsilonGreedy(0.4)]


def chi_square_fits(observed: np.ndarray, expected: np.ndarray) -> bool:
    """Whether counts come from the expected ones, at the level of one in 10,000; cells below 5 are put together."""
    rare = expected < 5
    observed = np.append(observed[~rare], observed[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    there = expected > 0
    assert observed[~there].sum() == 0, "something was drawn that has no probability"
    statistic = ((observed[there] - expected[there]) ** 2 / expected[there]).sum()
    return bool(chi2.sf(statistic, max(1, there.sum() - 1)) > 1e-4)


@pytest.mark.parametrize("exploration", EXPLORATIONS, ids=lambda e: e.kind)
def test_draws_match_the_conditionals_and_the_list_probabilities(exploration: Exploration) -> None:
    """200,000 draws from a small catalogue, with diversity, caps and a slot for new items."""
    pool = small_pool(6)
    rules = Rules(k=3, diversity=0.4, new_item_slots=1, exploration=exploration)
    lists: Counter[tuple[int, ...]] = Counter()
    told: dict[tuple[int, ...], tuple[float, ...]] = {}
    for seed in range(DRAWS):
        drawn = draw(pool, rules, seed)
        chosen = tuple(drawn.positions.tolist())
        lists[chosen] += 1
        told[chosen] = (*drawn.propensities.tolist(), drawn.log_probability)

    exact = dict(all_lists(pool, rules))
    assert sum(exact.values()) == pytest.approx(1, abs=1e-12)
    assert set(lists) <= set(exact)
    for chosen, logged in told.items():
        assert np.prod(logged[:-1]) == pytest.approx(exact[chosen], rel=1e-12)
        assert np.exp(logged[-1]) == pytest.approx(exact[chosen], rel=1e-12)
        assert list_probability(pool, rules, chosen) == pytest.approx(exact[chosen], rel=1e-12)
    every = sorted(exact)
    counts = np.array([lists[chosen] for chosen in every], float)
    assert chi_square_fits(counts, np.array([exact[chosen] * DRAWS for chosen in every]))

    prefixes = {chosen[:slot] for chosen in every for slot in range(len(chosen))}
    assert len(prefixes) > 10
    for prefix in prefixes:
        slots = Slots(pool, rules)
        for position in prefix:
            slots.take(position)
        after = np.zeros(len(pool))
        for chosen, count in lists.items():
            if chosen[: len(prefix)] == prefix:
                after[chosen[len(prefix)]] += count
        if after.sum() >= 50:
            assert chi_square_fits(after, slots.probabilities() * after.sum()), prefix


@pytest.mark.parametrize("exploration", [*EXPLORATIONS, Greedy()], ids=lambda e: e.kind)
@pytest.mark.parametrize("diversity", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("k", [1, 3, 9])
def test_the_probabilities_of_all_lists_sum_to_one(
    exploration: Exploration, diversity: float, k: int
) -> None:
    for seed in range(5):
        pool = small_pool(5, seed, capped=seed % 2 == 0)
        rules = Rules(k=k, diversity=diversity, new_item_slots=seed % 3, exploration=exploration)
        assert sum(p for _, p in all_lists(pool, rules)) == pytest.approx(1, abs=1e-12)


def test_without_diversity_softmax_is_plackett_luce() -> None:
    pool = small_pool(5, new=0, capped=False)
    strength = np.exp(pool.utilities / 0.5)
    for chosen, probability in all_lists(pool, Rules(k=3, exploration=Softmax(0.5))):
        left, expected = strength.copy(), 1.0
        for position in chosen:
            expected *= left[position] / left.sum()
            left[position] = 0
        assert probability == pytest.approx(expected, rel=1e-12)


def test_epsilon_greedy_by_hand() -> None:
    """Three items, ε = 0.3: first slot (0.8, 0.1, 0.1); then of two: 0.85 for the better, 0.15 for the other."""
    pool = Pool(
        np.array([3.0, 2.0, 1.0]),
        np.zeros(3, bool),
        VectorLikeness.of(np.eye(3, dtype=np.float32)),
        Labels.none(),
    )
    rules = Rules(k=2, exploration=EpsilonGreedy(0.3))
    assert list_probability(pool, rules, [0, 1]) == pytest.approx(0.8 * 0.85)
    assert list_probability(pool, rules, [2, 1]) == pytest.approx(0.1 * 0.15)
    assert list_probability(pool, rules, [0]) == 0.0, "the list could go on"
    assert list_probability(pool, rules, [0, 0]) == 0.0


def test_greedy_takes_maximal_marginal_relevance_by_hand() -> None:
    """u = (1, 0.9, 0.5); the second is the first's twin. With λ = 0.5: 0.45 − 0.5 · 1 < 0.25 − 0."""
    vectors = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    pool = Pool(np.array([1.0, 0.9, 0.5]), np.zeros(3, bool), VectorLikeness.of(vectors), Labels.none())
    assert draw(pool, Rules(k=3, diversity=0.5), 0).positions.tolist() == [0, 2, 1]
    assert draw(pool, Rules(k=3), 0).positions.tolist() == [0, 1, 2]
    assert draw(pool, Rules(k=3, diversity=0.5), 0).propensities.tolist() == [1.0, 1.0, 1.0]
    assert draw(pool, Rules(k=3, diversity=0.5), 0).log_probability == 0.0


def test_new_items_get_their_slots_and_are_marked() -> None:
    pool = small_pool(10, new=3, capped=False)
    rules = Rules(k=5, new_item_slots=2)
    drawn = draw(pool, rules, 0)
    assert rules.reserved == {1, 3}
    assert drawn.positions.tolist() == [0, 7, 1, 8, 2]
    assert drawn.explored.tolist() == [False, True, False, True, False]
    without = draw(small_pool(10, new=0, capped=False), rules, 0)
    assert without.positions.tolist() == [0, 1, 2, 3, 4]
    assert not without.explored.any()


@pytest.mark.parametrize("exploration", [*EXPLORATIONS, Greedy()], ids=lambda e: e.kind)
def test_no_item_twice_and_no_cap_broken(exploration: Exploration) -> None:
    pool = small_pool(8)
    for seed in range(300):
        positions = draw(pool, Rules(k=8, diversity=0.5, exploration=exploration), seed).positions
        assert len(set(positions.tolist())) == len(positions) == 3, "one of a label and two of the other"
        assert (positions % 2 == 0).sum() == 1


def test_an_empty_pool_gives_an_empty_list() -> None:
    drawn = draw(small_pool(0, new=0), Rules(k=3, exploration=Softmax()), 0)
    assert len(drawn.positions) == 0
    assert drawn.log_probability == 0.0
