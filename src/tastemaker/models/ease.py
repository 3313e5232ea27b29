"""EASE: every item as a linear sum of all the others, in closed form."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError

from tastemaker._native.linear import gram, times_dense
from tastemaker._native.neighbors import Csr
from tastemaker.data.dataset import Dataset
from tastemaker.errors import DataError
from tastemaker.models.base import Fitted, State
from tastemaker.models.checks import between
from tastemaker.models.inverse import negated_inverse, tiles
from tastemaker.models.linear import Linear, interactions
from tastemaker.models.memory import available_memory
from tastemaker.progress import Progress, Task

__all__ = ["EASE", "EASEState"]


@dataclass(frozen=True, eq=False)
class EASEState(State):
    """float32[items, items]: B, where B[i, j] is what having i says for j; zeros on the diagonal."""

    weights: NDArray[np.float32]


@dataclass(eq=False, kw_only=True)
class EASE(Linear[EASEState]):
    """Embarrassingly shallow autoencoder (Steck, WWW 2019): the B that minimizes ‖X − XB‖² + λ‖B‖² with a diagonal of zeros.

    With P = (XᵀX + λI)⁻¹ it is B[i, j] = −P[i, j] / P[j, j]; scores are x · B. X holds value · weight, see
    :class:`tastemaker.models.linear.Linear`.

    B is dense: a fit takes 4 · items² bytes (7 GB for 41,000 items) and about items³ floating-point operations, whatever
    the number of users and interactions.

    Args:
        regularization: λ. About 80 suits sparse data such as Gowalla's, several hundred dense data such as MovieLens.

    >>> data = Dataset.from_interactions({"user": [1, 1, 2, 2, 3], "item": ["tea", "jam", "tea", "jam", "tea"]})
    >>> model = EASE(regularization=1.0).fit(data)  # XᵀX + I = [[4, 2], [2, 3]]
    >>> model.predict([3], ["jam"])  # 2 / 4 from tea
    array([0.5], dtype=float32)
    """

    name: ClassVar[str] = "ease"
    score_kind: ClassVar[str] = "score"
    state_type: ClassVar[type[State]] = EASEState

    regularization: float = 200.0

    def __post_init__(self) -> None:
        between("regularization", self.regularization, open_low=True)

    def _fit(self, data: Dataset, progress: Progress) -> EASEState:
        _require_memory(data.n_items)
        matrix = gram(*interactions(data))
        matrix.flat[:: data.n_items + 1] += np.float32(self.regularization)
        with progress.start(f"fit {self.name}", total=len(tiles(data.n_items)), unit="block") as task:
            self._invert(matrix, task)
        _to_weights(matrix)
        return EASEState(matrix)

    def _invert(self, matrix: NDArray[np.float32], task: Task) -> None:
        try:
            negated_inverse(matrix, task)
        except LinAlgError as error:
            raise DataError(
                f"regularization={self.regularization:g} is too small for these data: XᵀX + λI is singular in float32; "
                "give a larger one"
            ) from error

    def _apply(self, fitted: Fitted[EASEState], histories: Csr) -> NDArray[np.float32]:
        return times_dense(histories, fitted.state.weights)

    def _coefficients(
        self, fitted: Fitted[EASEState], items: NDArray[np.int32], item: int
    ) -> NDArray[np.float32]:
        return np.asarray(fitted.state.weights[items, item])


def _require_memory(items: int) -> None:
    needed, there = 4 * items**2, available_memory()
    if there is not None and needed > there:
        raise DataError(
            f"ease holds {items:,} × {items:,} numbers, which takes {needed / 2**30:.1f} GiB, and {there / 2**30:.1f} GiB "
            "are free; SLIM and ItemKNN keep a few numbers an item"
        )


def _to_weights(negated: NDArray[np.float32]) -> None:
    """From the upper triangle of −P to B[i, j] = −P[i, j] / P[j, j], in place, tile by tile."""
    runs = tiles(len(negated))
    scale = -1 / negated.diagonal()
    for n, rows in enumerate(runs):
        negated[rows, rows] *= scale[rows]
        for columns in runs[n + 1 :]:
            tile = negated[rows, columns]
            negated[columns, rows] = tile.T * scale[rows]
            tile *= scale[columns]
    np.fill_diagonal(negated, 0)
