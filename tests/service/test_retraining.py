"""New models from the store: like those in service, judged on what neither has seen, promoted unless they are worse."""

from dataclasses import replace
from pathlib import Path

import pytest

from service.conftest import Shop
from tastemaker.errors import BundleError, DataError
from tastemaker.models.bundle import load_all, notes_of
from tastemaker.models.implicit_als import ImplicitALS
from tastemaker.models.random import Random
from tastemaker.policy.policy import Policy
from tastemaker.service.retraining import Retraining
from tastemaker.service.store import Event, Store


def test_the_models_in_service_are_fitted_anew_with_what_happened_since(shop: Shop) -> None:
    event = Event(event_id="e", user_id="zelda", item_id="squid-game", kind="like", time=2**50)
    shop.run(shop.engine.post([event]))
    before = shop.engine._serving.models
    work = Retraining.of(shop.store, shop.folder / "models")
    verdict = work.judge()
    assert verdict.promote
    assert verdict.difference is None
    assert work.promote(shop.folder / "models") == "v0003"
    shop.engine.follow_bundle()
    after = shop.engine._serving
    assert after.version == "v0003"
    assert {name: model.parameters() for name, model in after.models.items()} == {
        name: model.parameters() for name, model in before.items()
    }
    assert after.policy.catalogue.users.encode(["zelda"])[0] >= 0
    assert notes_of(shop.folder / "models", "v0003")["sequence"] == shop.store.last_sequence()
    assert "zelda" not in after.live.visitors._users, "what the models know by now counts no second time"


def test_what_the_policy_and_the_bundle_share_is_fitted_once(shop: Shop) -> None:
    fitted = Retraining.of(shop.store, shop.folder / "models").fit()
    policy = fitted["policy"]
    assert isinstance(policy, Policy)
    assert policy._fitted.state.members["also_bought"] is fitted["item_knn"]
    assert policy._fitted.state.members["retrieval"] is fitted["als"]


def test_a_worse_model_is_told_from_the_serving_one(shop: Shop) -> None:
    work = Retraining.of(shop.store, shop.folder / "models", Random())
    worse = replace(work, models={"policy": Policy(retrieval=Random(), also_bought=None)})
    verdict = worse.judge(hold_out=0.3)
    assert verdict.difference is not None
    assert verdict.difference.n_users > 20
    assert not verdict.promote
    assert verdict.difference.high < 0
    assert "new minus serving" in verdict.why


def test_what_cannot_be_measured_is_an_error(shop: Shop) -> None:
    work = Retraining.of(shop.store, shop.folder / "models", Random())  # the policy in service diversifies
    with pytest.raises(DataError, match="no item vectors to diversify by"):
        work.judge()


def test_both_are_judged_by_what_neither_has_seen(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    newest: list[int] = []
    fit = ImplicitALS._fit

    def spied(model: ImplicitALS, data, progress):  # type: ignore[no-untyped-def]  # as it came
        newest.append(int(data.timestamp.max()))
        return fit(model, data, progress)

    monkeypatch.setattr(ImplicitALS, "_fit", spied)
    work = Retraining.of(shop.store, shop.folder / "models", ImplicitALS(factors=4))
    verdict = work.judge()
    assert verdict.comparison is not None
    assert list(verdict.comparison.reports)[:2] == ["new", "serving"]
    assert len(newest) == 2
    cut = sorted(work.data.timestamp)[-round(0.1 * len(work.data))]
    assert max(newest) < cut


def test_the_first_models_need_none_before(shop: Shop) -> None:
    folder = shop.folder / "first"
    work = Retraining.of(shop.store, folder)
    assert work.serving is None
    assert work.judge().promote
    assert work.promote(folder) == "v0001"
    assert {"policy", "als", "item_knn", "content", "popularity"} >= set(load_all(folder))


def test_nothing_to_learn_from_and_nothing_to_hold_out(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/shop.db") as store:
        with pytest.raises(DataError, match="no events from which a model could learn"):
            Retraining.of(store, tmp_path / "models")
        likes = [
            Event(event_id=f"e{n}", user_id=f"u{n % 3}", item_id=f"i{n % 2}", kind="like", time=5)
            for n in range(6)
        ]
        store.post(likes).result()
        work = Retraining.of(store, tmp_path / "models", Random())
        verdict = work.judge()
        assert verdict.promote
        assert "nothing can be held out" in verdict.why
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / "CURRENT").write_text("?")
        with pytest.raises(BundleError):
            Retraining.of(store, tmp_path / "models")
