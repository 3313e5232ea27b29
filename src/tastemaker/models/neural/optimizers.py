"""Optimizers for tables: fused dense Adam, Adam and row-wise AdaGrad on the rows touched, and sparse FTRL-Proximal."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tastemaker._native.touched import Moments, move_rows, take_rows

__all__ = ["FTRL", "RowwiseAdaGrad", "TouchedAdam", "dense_adam"]


def dense_adam(
    parameters: nn.Module | Iterable[Tensor],
    lr: float,
    weight_decay: float = 0.0,
    undecayed: Iterable[Tensor] = (),
) -> torch.optim.Adam:
    """Adam (Kingma and Ba, ICLR 2015) over whole tables in one fused pass; ``weight_decay`` adds λ·w to every gradient.

    For small tables: every row moves at every step, looked up or not, as the published settings have it. ``undecayed`` are
    further parameters, of which the decay is left out.
    """
    if isinstance(parameters, nn.Module):
        parameters = parameters.parameters()
    groups = [{"params": list(parameters), "weight_decay": weight_decay}]
    if further := list(undecayed):
        groups.append({"params": further, "weight_decay": 0.0})
    return torch.optim.Adam(groups, lr=lr, fused=True)


class RowwiseAdaGrad(torch.optim.Optimizer):
    """AdaGrad with one sum of squares a row, for large tables: only rows with a gradient are read and written.

    For the gradient g of a row w: s ← s + mean(g²); w ← w − lr·g / (√s + eps). A sparse gradient (``sparse=True`` of the
    embedding) names the rows; of a dense one, the rows of zeros stay as they are. There is no weight decay: L2 is on all rows.

    Args:
        parameters: tables, rows first; a vector counts as rows of one number.
        lr: the learning rate.
        initial: what each sum of squares starts from.
        eps: keeps the division finite.
    """

    def __init__(
        self, parameters: Iterable[Tensor], lr: float, *, initial: float = 0.0, eps: float = 1e-10
    ) -> None:
        super().__init__(list(parameters), {"lr": lr, "initial": initial, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Move every row that has a gradient."""
        if closure is not None:
            raise ValueError("RowwiseAdaGrad takes no closure; compute the gradients before the step")
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is not None:
                    self._move(table, group)

    def _move(self, table: Tensor, group: dict[str, Any]) -> None:
        state = self.state[table]
        if not state:
            state["sum"] = table.new_full((len(table),), group["initial"])
        rows, gradient = _touched(table)
        flat = gradient.reshape(len(gradient), -1)
        total = state["sum"][rows] + flat.square().mean(dim=1)
        state["sum"][rows] = total
        step = flat / (total.sqrt() + group["eps"]).unsqueeze(1)
        table[rows] -= group["lr"] * step.view_as(gradient)


class FTRL(torch.optim.Optimizer):
    """FTRL-Proximal with L1 and L2, each weight with a learning rate of its own (McMahan et al., KDD 2013, algorithm 1).

    For the gradient g of a weight w, with n the sum of its squared gradients so far:

        σ = (√(n + g²) − √n) / α;  z ← z + g − σ·w;  n ← n + g²
        w = 0 where |z| ≤ λ₁, else −(z − sign(z)·λ₁) / ((β + √n)/α + λ₂)

    So weights with too little evidence are exactly zero. Of a sparse gradient only the rows it names are read and written.

    Args:
        parameters: weights, usually zero at the start; z starts so that others stay as they are.
        alpha, beta: the learning rate is α / (β + √n).
        l1, l2: λ₁ and λ₂.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        alpha: float = 0.1,
        beta: float = 1.0,
        l1: float = 0.0,
        l2: float = 0.0,
    ) -> None:
        super().__init__(list(parameters), {"alpha": alpha, "beta": beta, "l1": l1, "l2": l2})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Move every weight that has a gradient."""
        if closure is not None:
            raise ValueError("FTRL takes no closure; compute the gradients before the step")
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is not None:
                    self._move(table, group)

    def _move(self, table: Tensor, group: dict[str, Any]) -> None:
        alpha, beta, l1, l2 = (group[name] for name in ("alpha", "beta", "l1", "l2"))
        state = self.state[table]
        if not state:
            state["z"] = -table * (beta / alpha + l2) - table.sign() * l1
            state["n"] = torch.zeros_like(table)
        rows, gradient = _touched(table)
        before = state["n"][rows]
        after = before + gradient.square()
        sigma = (after.sqrt() - before.sqrt()) / alpha
        z = state["z"][rows] + gradient - sigma * table[rows]
        state["z"][rows], state["n"][rows] = z, after
        shrunk = torch.where(z.abs() <= l1, 0.0, z - z.sign() * l1)
        table[rows] = -shrunk / ((beta + after.sqrt()) / alpha + l2)


def _touched(table: Tensor) -> tuple[Tensor, Tensor]:
    """Which rows have a gradient (int64[rows]), and the gradients of these."""
    gradient = table.grad
    assert gradient is not None
    if gradient.is_sparse:
        gradient = gradient.coalesce()
        return gradient.indices()[0], gradient.values()
    rows = gradient.reshape(len(gradient), -1).any(dim=1).nonzero().squeeze(1)
    return rows, gradient[rows]


class TouchedAdam(torch.optim.Optimizer):
    """Adam over a whole table, at the cost of the rows that are looked up: for tables much larger than a batch.

    Adam moves every row at every step; one without a gradient goes on by its fading moments. In the k steps after step t it moves

        −lr · m / (√v + eps) · Σ_{j=1..k} r^j · f(t + j),  with r = β₁ / √β₂ and f(t) = √(1 − β₂^t) / (1 − β₁^t),

    and here it does so at once, when it is looked up next. But for rounding, and for an eps that is held for these k steps at
    its share in the first, it is Adam with dense gradients. :meth:`look_up` takes the place of an embedding; :meth:`settle`
    brings all rows up to date, which the training loop does after each epoch.

    Args:
        table: float32[rows, width].
        lr, betas, eps: as in Adam.
    """

    def __init__(
        self, table: nn.Parameter, lr: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        super().__init__([table], {"lr": lr, "betas": betas, "eps": eps, "steps": 0})
        self._table = table
        self.state[table] = {
            "mean": torch.zeros_like(table),
            "square": torch.zeros_like(table),
            "last": torch.zeros(len(table), dtype=torch.int64, device=table.device),
        }
        self._still, self._eps = _fading(betas, eps, table.device)
        self._rows, self._part = torch.empty(0, dtype=torch.int64, device=table.device), table.detach()[:0]
        self._native = table.device.type == "cpu"
        self._slots = np.full(len(table) if self._native else 0, -1, np.int32)

    def look_up(self, ids: Tensor) -> Tensor:
        """float32[shape of ids, width]: these rows as they are now, for one forward and backward pass."""
        if self._native:
            self._rows = ids.contiguous()
            taken = torch.from_numpy(self._take(self._rows.view(-1)))
            self._part = taken.view(*ids.shape, -1).requires_grad_()
            return self._part
        self._rows, place = torch.unique(ids, return_inverse=True)
        self._settle(self._rows)
        self._part = self._table.detach()[self._rows].requires_grad_()
        return nn.functional.embedding(place, self._part)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Move the rows of the last :meth:`look_up`."""
        if closure is not None:
            raise ValueError("TouchedAdam takes no closure; compute the gradients before the step")
        gradient, rows, group = self._part.grad, self._rows, self.param_groups[0]
        assert gradient is not None
        group["steps"] += 1
        if self._native:
            flat = gradient.reshape(-1, gradient.shape[-1]).contiguous().numpy()
            steps, rate, eps = group["steps"], group["lr"], group["eps"]
            move_rows(rows.view(-1).numpy(), flat, self._moments(), self._slots, steps, rate, eps)
        else:
            self._move(rows, gradient, group)

    def _move(self, rows: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[self._table]
        first, second = group["betas"]
        mean = state["mean"][rows].mul_(first).add_(gradient, alpha=1 - first)
        square = state["square"][rows].mul_(second).addcmul_(gradient, gradient, value=1 - second)
        state["mean"][rows], state["square"][rows], state["last"][rows] = mean, square, group["steps"]
        root = square.sqrt_().div_((1 - second ** group["steps"]) ** 0.5).add_(group["eps"])
        rate = group["lr"] / (1 - first ** group["steps"])
        self._table[rows] = self._part.detach().addcdiv(mean, root, value=-rate)

    def _take(self, rows: Tensor) -> NDArray[np.float32]:
        """float32[rows, width]: these rows, settled."""
        group, still, eps = self.param_groups[0], self._still.numpy(), self._eps.numpy()
        return take_rows(rows.numpy(), self._moments(), still, eps, group["steps"], group["lr"])

    def _moments(self) -> Moments:
        """The table and its state as arrays of the same memory."""
        state = self.state[self._table]
        mean, square, last = (state[name].numpy() for name in ("mean", "square", "last"))
        return Moments(self._table.detach().numpy(), mean, square, last, self.param_groups[0]["betas"])

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved state; the steps of the rows stay whole numbers."""
        super().load_state_dict(state_dict)
        self.state[self._table]["last"] = self.state[self._table]["last"].to(torch.int64)

    @torch.no_grad()
    def settle(self) -> None:
        """Make all moves of all rows up to the last step."""
        self._settle(torch.arange(len(self._table), device=self._table.device))

    @torch.no_grad()
    def _settle(self, rows: Tensor) -> None:
        if self._native:
            self._take(rows)
            return
        state, group = self.state[self._table], self.param_groups[0]
        first, second = group["betas"]
        last = state["last"][rows]
        idle = (group["steps"] - last).unsqueeze(1).to(torch.float32)
        end = len(self._still) - 1
        at, now = last.clamp(max=end), min(group["steps"], end)
        ratio = first / second**0.5
        moves = self._still[at].unsqueeze(1) - ratio**idle * self._still[now]
        mean, square = state["mean"][rows], state["square"][rows]
        root = square.sqrt().add_(self._eps[at].unsqueeze(1))
        self._table[rows] = torch.addcdiv(self._table[rows], mean * moves, root, value=-group["lr"])
        state["mean"][rows] = mean.mul_(first**idle)
        state["square"][rows] = square.mul_(second**idle)
        state["last"][rows] = group["steps"]


def _fading(betas: tuple[float, float], eps: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Σ_{j≥1} r^j·f(t + j), what is still to come after step t, and eps·√(1 − β₂^(t + 1)): for t = 0, 1, … until both stand."""
    first, second = betas
    ratio, steps = first / second**0.5, int(20 / (1 - second))
    time = np.arange(1, steps + 1)
    f = np.sqrt(1 - second**time) / (1 - first**time)
    still = np.empty(steps + 1)
    still[-1] = ratio / (1 - ratio)
    for t in range(steps - 1, -1, -1):
        still[t] = ratio * (f[t] + still[t + 1])
    root = eps * np.sqrt(1 - second ** np.arange(1, steps + 2))
    return tuple(torch.from_numpy(x.astype(np.float32)).to(device) for x in (still, root))  # type: ignore[return-value]
