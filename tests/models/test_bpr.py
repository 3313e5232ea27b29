"""BPR: it finds who likes what, folds new users in, explains them, and its negatives do what they say."""

import numpy as np
import pytest

from tastemaker import BPR, DataError, Dataset


def communities() -> Dataset:
    """60 users and 40 items in two halves; a user takes most items of the own half and none of the other."""
    rng = np.random.default_rng(0)
    taken = (np.arange(60)[:, None] % 2 == np.arange(40)[None] % 2) & (rng.random((60, 40)) < 0.6)
    user, item = np.nonzero(taken)
    return Dataset.from_interactions({"user": user, "item": item})


@pytest.mark.parametrize("negatives", ["uniform", "popularity"])
def test_it_tells_the_two_halves_apart(negatives: str) -> None:
    model = BPR(factors=8, epochs=60, negatives=negatives).fit(communities())
    for user, items in enumerate(model.recommend(list(range(60)), k=2).lists()):
        assert all(item % 2 == user % 2 for item in items)
    similar = model.similar_items([0, 1], k=5).lists()
    assert all(item % 2 == 0 for item in similar[0])
    assert all(item % 2 == 1 for item in similar[1])


def test_a_new_user_is_folded_in_close_to_the_trained_one() -> None:
    data = communities()
    model = BPR(factors=8, epochs=100, learning_rate=0.05).fit(data)
    histories = [[int(i) for i in data.item[data.user == u]] for u in range(60)]
    ids = data.items.decode_list(list(range(40)))
    stored = model.recommend(list(range(60)), k=40, exclude_seen=False)
    folded = model.recommend(history=[[ids[i] for i in h] for h in histories], k=40, exclude_seen=False)
    correlations = []
    for u in range(60):
        a, b = np.empty(40), np.empty(40)
        a[stored.items[u]], b[folded.items[u]] = stored.scores[u], folded.scores[u]
        correlations.append(np.corrcoef(a, b)[0, 1])
    assert np.min(correlations) > 0.95


def test_reasons_add_up_to_the_folded_in_score() -> None:
    model = BPR(factors=4, epochs=20).fit(communities())
    state = model._fitted.state
    item = model.recommend(history=[[0, 2, 4]], k=1).lists()[0][0]
    explanation = model.explain(0, item)
    code = int(model.catalogue.items.encode([item])[0])
    history = [model.catalogue.items.decode_list([i])[0] for i in model.catalogue.history[0:1].indices]
    folded = model.recommend(history=[history], k=40, exclude_seen=False)
    score = folded.scores[0][folded.items[0] == code][0]
    assert sum(r.contribution for r in explanation.reasons) == pytest.approx(
        score - state.item_bias[code], abs=1e-4
    )


def test_popular_negatives_make_popular_items_score_lower() -> None:
    rng = np.random.default_rng(0)
    taken = rng.random((200, 30)) < np.linspace(0.6, 0.02, 30)
    user, item = np.nonzero(taken)
    data = Dataset.from_interactions({"user": user, "item": item})
    gap = {}
    for negatives in ("uniform", "popularity"):
        state = BPR(factors=1, epochs=30, negatives=negatives).fit(data)._fitted.state
        gap[negatives] = state.item_bias[:10].mean() - state.item_bias[-10:].mean()
    assert gap["uniform"] > 1
    assert gap["popularity"] < gap["uniform"] / 2


def test_an_item_without_interactions_is_never_recommended_and_changes_nothing_in_a_history() -> None:
    data = communities()
    model = BPR(factors=4, epochs=5).fit(data.select(data.item != 3))
    cold = data.items.decode_list([3])[0]
    assert all(cold not in items for items in model.recommend(k=40, exclude_seen=False).lists())
    assert np.isnan(model.predict([0], [cold])).all()
    options = {"k": 10, "deny": [cold]}
    with_cold, without = (model.recommend(history=[h], **options) for h in ([0, 2, cold], [0, 2]))
    assert with_cold.lists() == without.lists()
    assert with_cold.scores.tobytes() == without.scores.tobytes()


def test_only_the_ratio_of_weights_matters() -> None:
    data = communities()
    once = BPR(factors=4, epochs=3).fit(data)
    twice = BPR(factors=4, epochs=3).fit(data.with_columns(weight=np.full(len(data), 2.0)))
    assert once.recommend(k=5).scores.tobytes() == twice.recommend(k=5).scores.tobytes()
    with pytest.raises(DataError, match="weight above 0"):
        BPR().fit(data.with_columns(weight=np.zeros(len(data))))


def test_a_step_too_long_says_so() -> None:
    with pytest.raises(ValueError, match="diverged in epoch"):
        BPR(learning_rate=1e30, regularization=1.0).fit(communities())
