"""The training loop: what it minimizes, when it stops, what it keeps, and how it is told of."""

import numpy as np
import pytest
import torch
from torch import nn

from models.neural.training_data import TRUTH, Line, X, bits, fit_deep, fit_line
from tastemaker import _native
from tastemaker.errors import FitError
from tastemaker.models.neural.losses import squared
from tastemaker.models.neural.networks import Dropout
from tastemaker.models.neural.optimizers import FTRL, dense_adam
from tastemaker.models.neural.training import Plan, Resident, generator_for, pick_device, train
from tastemaker.progress import SILENT, Progress, Task


def test_every_row_comes_once_an_epoch_in_another_order():
    rows = Resident([torch.arange(11), torch.arange(11) * 2], batch_size=4)
    orders = []
    for epoch in range(2):
        rows.start_epoch(generator_for(0, epoch))
        batches = list(rows)
        assert [len(a) for a, _ in batches] == [4, 4, 3]
        assert len(rows) == 3
        assert all(torch.equal(b, 2 * a) for a, b in batches)
        orders.append(torch.cat([a for a, _ in batches]).tolist())
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(11))
    assert orders[0] != orders[1]


def test_it_finds_the_line():
    module, learned = fit_line()
    torch.testing.assert_close(module.weight.detach(), TRUTH, atol=1e-3, rtol=0)
    assert len(learned.losses) == 30
    assert learned.losses[-1] < 1e-4 < learned.losses[0]
    assert learned.metrics.size == 0
    assert learned.best_epoch == 30
    assert not module.training


def test_the_best_weights_stay_and_patience_ends():
    seen = []
    module = Line()
    marks = iter([0.1, 0.7, 0.5, 0.6, 0.9])

    def validate():
        assert not torch.is_grad_enabled()
        assert not module.training
        seen.append(bits(module))
        return next(marks)

    module, learned = fit_line(module, validate=validate, patience=2)
    assert learned.metrics.tolist() == [0.1, 0.7, 0.5, 0.6]
    assert learned.best_epoch == 2
    assert bits(module) == seen[1]


def test_a_metric_that_is_no_number_is_never_the_best():
    marks = iter([np.nan, 0.2, np.nan])
    _, learned = fit_line(epochs=3, validate=lambda: next(marks))
    assert learned.best_epoch == 2


def test_the_learning_rate_falls_on_a_plateau():
    module = Line()
    rates = []
    optimizer = dense_adam(module, 0.1)
    follow = FTRL([nn.Parameter(torch.zeros(1))], alpha=0.4)
    marks = iter([1, 2, 2, 1, 3, 0])

    def validate():
        rates.append((optimizer.param_groups[0]["lr"], follow.param_groups[0]["alpha"]))
        return next(marks)

    train(
        module,
        lambda net, batch: squared(net(batch[0]), batch[0][:, :1]),
        Resident([X], 50),
        [optimizer, follow],
        Plan(epochs=6, seed=0, reduce_on_plateau=0.5),
        SILENT,
        name="line",
        validate=validate,
    )
    assert [rate for rate, _ in rates] == [0.1, 0.1, 0.1, 0.05, 0.025, 0.025]
    assert [rate for _, rate in rates] == [0.4, 0.4, 0.4, 0.2, 0.1, 0.1]


def test_the_learning_rate_falls_from_epoch_to_epoch(tmp_path):
    module = Line()
    rates = []
    optimizer = dense_adam(module, 0.4)

    def go_on(epochs):
        train(
            module,
            lambda net, batch: squared(net(batch[0]), batch[0][:, :1]),
            Resident([X], 50),
            [optimizer],
            Plan(epochs=epochs, seed=0, decay=True, checkpoint=tmp_path / "state"),
            SILENT,
            name="line",
            validate=lambda: rates.append(optimizer.param_groups[0]["lr"]) or 0.0,
        )

    go_on(4)
    assert rates == pytest.approx([0.4, 0.3, 0.2, 0.1])
    optimizer = dense_adam(module, 0.4)
    with pytest.raises(FitError, match="its decay is 4, here it is 8"):
        go_on(8)


def test_a_loss_that_is_not_finite_says_what_to_change():
    with pytest.raises(
        FitError, match=r"line: the loss is (inf|nan) in epoch 1 of 30; give a smaller learning_rate"
    ):
        fit_line(lr=1e30)


def test_progress_is_told_the_loss_and_the_metric():
    told = []

    class Listener(Progress, Task):
        def start(self, task, total, unit=""):
            told.append((task, total, unit))
            return self

        def advance(self, steps=1, **figures):
            told.append((steps, sorted(figures)))

    fit_line(epochs=2, validate=lambda: 1.0, progress=Listener())
    assert told == [("fit line", 2, "epoch"), (1, ["loss", "metric"]), (1, ["loss", "metric"])]


def test_threads_are_ours_while_it_runs():
    inside = []
    ours, before = _native.threads(), torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        _native.set_threads(1)
        fit_line(epochs=1, validate=lambda: inside.append(torch.get_num_threads()) or 0.0)
        assert inside == [1]
        assert torch.get_num_threads() == 2
    finally:
        _native.set_threads(ours)
        torch.set_num_threads(before)


def test_the_same_seed_gives_the_same_bits_whatever_torchs_own_generator_did():
    torch.manual_seed(1)
    first = bits(fit_deep()[0])
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert bits(fit_deep()[0]) == first
    assert torch.equal(torch.get_rng_state(), state)


def test_dropout_drops_its_share_and_keeps_the_mean():
    layer = Dropout(0.25)
    layer.generator = generator_for(0, 0)
    ones = torch.ones(200, 200)
    dropped = layer(ones)
    assert dropped.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert dropped.mean().item() == pytest.approx(1, abs=0.02)
    assert layer.eval()(ones) is ones


def test_devices():
    assert pick_device("cpu").type == "cpu"
    assert pick_device().type in ("cpu", "cuda")
    with pytest.raises(FitError, match="device 'abacus' cannot be used"):
        pick_device("abacus")
    with pytest.raises(FitError, match="device None cannot be used"):
        pick_device(None)
    if not torch.cuda.is_available():
        with pytest.raises(FitError, match="device 'cuda' cannot be used"):
            pick_device("cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_runs_the_same_code():
    module = Line().cuda()
    rows = Resident([X.cuda(), (X @ TRUTH.T).cuda()], batch_size=16)
    plan = Plan(epochs=30, seed=1)
    train(
        module,
        lambda net, batch: squared(net(batch[0]), batch[1]),
        rows,
        [dense_adam(module, 0.05)],
        plan,
        SILENT,
        name="line",
    )
    torch.testing.assert_close(module.weight.detach().cpu(), TRUTH, atol=1e-3, rtol=0)
