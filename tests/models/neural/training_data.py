"""A line and a small network to train, and how."""

import numpy as np
import torch
from torch import nn

from tastemaker.models.neural.losses import squared
from tastemaker.models.neural.networks import Tower
from tastemaker.models.neural.optimizers import FTRL, RowwiseAdaGrad, dense_adam
from tastemaker.models.neural.training import Plan, Resident, generator_for, train
from tastemaker.progress import SILENT

X = torch.from_numpy(np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32))
TRUTH = torch.tensor([[1.0, -2.0, 0.5]])


class Line(nn.Module):
    """y = w·x, from zero."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, 3))

    def forward(self, x):
        return x @ self.weight.T


class Deep(nn.Module):
    """With dropout, a table and three optimizers' worth of parts."""

    def __init__(self) -> None:
        super().__init__()
        generator = generator_for(5, -1)
        self.table = nn.utils.skip_init(nn.Embedding, 7, 4, sparse=True)
        self.wide = nn.Parameter(torch.zeros(3))
        self.tower = Tower([7, 8, 1], generator, dropout=0.3)
        with torch.no_grad():
            self.table.weight.normal_(generator=generator)

    def forward(self, x):
        rows = (x[:, 0].abs() * 100).long() % 7
        return self.tower(torch.cat([x, self.table(rows)], dim=1)) + (x @ self.wide).unsqueeze(1)


def fit_line(module=None, epochs=30, lr=0.05, name="line", validate=None, progress=SILENT, **plan):
    module = module or Line()
    rows = Resident([X, X @ TRUTH.T], batch_size=16)
    learned = train(
        module,
        lambda net, batch: squared(net(batch[0]), batch[1]),
        rows,
        [dense_adam(module, lr)],
        Plan(epochs=epochs, seed=1, **plan),
        progress,
        name=name,
        validate=validate,
    )
    return module, learned


def fit_deep(epochs=6, **plan):
    module = Deep()
    optimizers = [
        RowwiseAdaGrad(module.table.parameters(), lr=0.1),
        FTRL([module.wide], alpha=0.5, l1=1e-3),
        dense_adam(module.tower, 0.01),
    ]
    learned = train(
        module,
        lambda net, batch: squared(net(batch[0]), batch[1]),
        Resident([X, X @ TRUTH.T], batch_size=16),
        optimizers,
        Plan(epochs=epochs, seed=2, **plan),
        SILENT,
        name="deep",
    )
    return module, learned


def bits(module: nn.Module) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in module.state_dict().items()}
