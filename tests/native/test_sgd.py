"""Stochastic gradient descent: the kernel against its twin, a step worked by hand, and the same bits with any threads."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tastemaker._native import kernels, set_threads, threads
from tastemaker._native.sgd import MAX_FACTORS, Blocks, Factors, cut_into_blocks, sgd_epoch, sgd_epoch_numpy


@pytest.fixture(autouse=True)
def _same_threads_after() -> Iterator[None]:
    before = threads()
    yield
    set_threads(before)


def random_blocks(n_users: int, n_items: int, n: int, groups: int, seed: int = 0) -> Blocks:
    rng = np.random.default_rng(seed)
    pairs = rng.choice(n_users * n_items, size=min(n, n_users * n_items), replace=False)
    return cut_into_blocks(
        (pairs // n_items).astype(np.int32),
        (pairs % n_items).astype(np.int32),
        rng.normal(size=len(pairs)).astype(np.float32),
        rng.choice([0.5, 1.0, 2.0], len(pairs)).astype(np.float32),
        n_users=n_users,
        n_items=n_items,
        rng=rng,
        groups=groups,
    )


def random_factors(n_users: int, n_items: int, factors: int, seed: int = 1) -> Factors:
    rng = np.random.default_rng(seed)
    start = Factors.zeros(n_users, n_items, factors)
    for rows in (start.users, start.items):
        rows[:, :factors] = rng.normal(0, 0.3, (len(rows), factors))
    return start


def arrays(factors: Factors) -> tuple[np.ndarray, ...]:
    return factors.users, factors.items, factors.user_bias, factors.item_bias


@pytest.mark.parametrize("factors", [1, 16, 20, 70])
@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("biased", [True, False])
def test_kernel_equals_its_twin(factors: int, groups: int, biased: bool) -> None:
    blocks = random_blocks(12, 9, 70, groups)
    ours, twin = random_factors(12, 9, factors), random_factors(12, 9, factors)
    set_threads(2)
    for _ in range(3):
        loss = sgd_epoch(blocks, ours, learning_rate=0.05, regularization=0.1, biased=biased)
        expected = sgd_epoch_numpy(blocks, twin, learning_rate=0.05, regularization=0.1, biased=biased)
        assert loss == pytest.approx(expected, rel=1e-5)
    for a, b in zip(arrays(ours), arrays(twin), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert bool(ours.user_bias.any()) == biased


def test_one_step_by_hand() -> None:
    # p = 0.5 + 0.25 + 2 * 1 = 2.75, e = 4 - 2.75 = 1.25, and the step is 0.1 * weight 2 = 0.2 on every gradient.
    one = np.zeros(1, np.int32)
    blocks = Blocks(np.array([0, 1]), one, one, np.array([4], np.float32), np.array([2], np.float32), 1)
    factors = Factors.zeros(1, 1, 1)
    factors.users[0, 0], factors.items[0, 0], factors.user_bias[0], factors.item_bias[0] = 2, 1, 0.5, 0.25
    loss = sgd_epoch(blocks, factors, learning_rate=0.1, regularization=0.4)
    assert loss == pytest.approx(2 * 1.25**2)
    assert factors.users[0, 0] == pytest.approx(2 + 0.2 * (1.25 * 1 - 0.4 * 2))
    assert factors.items[0, 0] == pytest.approx(1 + 0.2 * (1.25 * 2 - 0.4 * 1))
    assert factors.user_bias[0] == pytest.approx(0.5 + 0.2 * (1.25 - 0.4 * 0.5))
    assert factors.item_bias[0] == pytest.approx(0.25 + 0.2 * (1.25 - 0.4 * 0.25))
    assert not factors.users[0, 1:].any()
    assert not factors.items[0, 1:].any()


def test_same_bits_with_any_number_of_threads() -> None:
    blocks = random_blocks(400, 300, 30_000, groups=8)
    learned = []
    for count in (1, 2, 5):
        set_threads(count)
        factors = random_factors(400, 300, 24)
        losses = [sgd_epoch(blocks, factors, learning_rate=0.02, regularization=0.05) for _ in range(3)]
        learned.append((losses, *(a.tobytes() for a in arrays(factors))))
    assert learned[0] == learned[1] == learned[2]


def test_a_matrix_of_low_rank_is_found_again() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(40, 2)) @ rng.normal(size=(2, 30))
    users, items = (a.ravel().astype(np.int32) for a in np.indices(truth.shape))
    blocks = cut_into_blocks(
        users,
        items,
        truth.ravel().astype(np.float32),
        np.ones(truth.size, np.float32),
        n_users=40,
        n_items=30,
        rng=rng,
        groups=2,
    )
    factors = random_factors(40, 30, 2)
    for _ in range(200):
        loss = sgd_epoch(blocks, factors, learning_rate=0.03, regularization=0.0, biased=False)
    assert loss / truth.size < 1e-6
    np.testing.assert_allclose(factors.users @ factors.items.T, truth, atol=1e-2)


@settings(deadline=None, max_examples=50)
@given(
    n_users=st.integers(1, 20),
    n_items=st.integers(1, 20),
    n=st.integers(0, 150),
    groups=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_blocks_hold_each_rating_once_and_share_nothing(
    n_users: int, n_items: int, n: int, groups: int, seed: int
) -> None:
    blocks = random_blocks(n_users, n_items, n, groups, seed)
    pairs = blocks.users * n_items + blocks.items
    assert len(np.unique(pairs)) == len(pairs) == min(n, n_users * n_items)
    assert blocks.starts[0] == 0
    assert blocks.starts[-1] == len(pairs)
    block = np.repeat(np.arange(groups**2), np.diff(blocks.starts))
    for codes, group in ((blocks.users, block // groups), (blocks.items, block % groups)):
        assert all(len(set(group[codes == code])) == 1 for code in codes)
    runs = 1 + np.flatnonzero(np.diff(blocks.users) | np.diff(block)) if len(pairs) else np.empty(0)
    assert len(runs) + (len(pairs) > 0) == len(set(zip(block, blocks.users, strict=True)))


def test_rows_are_padded_to_a_compiled_width() -> None:
    assert Factors.zeros(1, 1, 17).users.shape == (1, 32)
    assert Factors.zeros(1, 1, MAX_FACTORS).users.shape == (1, MAX_FACTORS)
    with pytest.raises(ValueError, match=f"at most {MAX_FACTORS}"):
        Factors.zeros(1, 1, MAX_FACTORS + 1)


def test_a_width_that_was_not_compiled_is_refused() -> None:
    blocks = random_blocks(2, 2, 2, groups=1)
    odd = Factors(*(np.zeros(s, np.float32) for s in ((2, 17), (2, 17), (2,), (2,))))
    assert 17 not in kernels.sgd_widths
    with pytest.raises(ValueError, match="sgd_widths"):
        sgd_epoch(blocks, odd, learning_rate=0.1, regularization=0.0)
