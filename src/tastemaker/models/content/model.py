"""Content-based filtering: items like the ones that the user liked, by what is known about the items."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tastemaker.data.dataset import Dataset
from tastemaker.data.history import History
from tastemaker.data.queries import Queries
from tastemaker.errors import DataError
from tastemaker.models.base import Fitted, Recommender, State
from tastemaker.models.checks import between, one_of, whole
from tastemaker.models.content.explain import reasons
from tastemaker.models.content.features import KINDS, Block, FeatureKind, feature_block, infer_kinds
from tastemaker.models.content.profiles import DenseBlock, Profiles, lay_out
from tastemaker.models.content.taste import Center, liking, liking_matrix
from tastemaker.models.content.text import (
    METHODS,
    Encoder,
    TextMethod,
    encode,
    join_texts,
    text_rows,
    words_block,
)
from tastemaker.models.content.vectors import VectorTable, column_vectors, table_vectors
from tastemaker.progress import Progress
from tastemaker.ranking.reasons import Reason

__all__ = ["ContentBased", "ContentState"]


@dataclass(frozen=True, eq=False)
class ContentState(State):
    """Item profiles; see :class:`tastemaker.models.content.profiles.Profiles`. The sparse part is in CSR form."""

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    data: NDArray[np.float32]
    dense: NDArray[np.float32]
    features: pl.DataFrame
    parts: pl.DataFrame


@dataclass(eq=False, kw_only=True)
class ContentBased(Recommender[ContentState]):
    """Items like the ones that the user liked, by their features, their words or vectors that the caller brings.

    Each item has a profile of length 1 (:mod:`tastemaker.models.content.profiles`): its genres, cast, language, price
    bucket ..., each column a block of named features with a weight; and the words of its titles and descriptions. A user's
    profile is the sum of the profiles of the items in the history, each times how much it was liked
    (:mod:`tastemaker.models.content.taste`). The score is the cosine of the two, from -1 to 1. No other user's data matter.

    Args:
        kinds: what columns of the item table are, where the guess from type and values is wrong; one of ``categorical``,
            ``multi``, ``flag``, ``number``, ``text``, ``vector``, ``ignore`` (:mod:`tastemaker.models.content.features`).
        weights: of columns, 1 unless given, 0 for not at all; ``"text"`` is that of the words of all text columns,
            ``"vectors"`` that of ``vectors``.
        buckets: into how many buckets of about equally many items a number is cut.
        edges: where to cut a number instead, by column.
        text: what becomes of words: ``"tfidf"``, ``"lsa"`` (latent semantic analysis), ``"embeddings"`` (word embeddings
            trained on the catalogue), or None.
        factors: the width of ``"lsa"`` and ``"embeddings"``.
        encoder: a function from a list of texts to a matrix with a row for each; takes the place of ``text``.
        vectors: a vector for each item, as a mapping from id or a data frame of two columns, beside everything else.
        center: the rating that is neither like nor dislike: the ``"user"``'s mean or the middle of the ``"scale"``.
        half_life_days: after how many days a liking counts half; None for never.
        seed: of the randomised SVD.

    Of ``encoder`` and ``vectors``, only the vectors are kept in a saved model.

    Example:
        >>> items = pl.DataFrame(
        ...     {"item": ["squid-game", "alice", "dark"], "genres": [["K-drama", "Death game"], ["Death game"], ["Noir"]]}
        ... )
        >>> seen = pl.DataFrame({"user": ["ann"], "item": ["squid-game"]})
        >>> model = ContentBased().fit(Dataset.from_interactions(seen, item_features=items))
        >>> model.predict(["ann", "ann"], ["alice", "dark"]).round(3)
        array([0.707, 0.   ], dtype=float32)
    """

    name: ClassVar[str] = "content"
    score_kind: ClassVar[str] = "similarity"
    answers: ClassVar[frozenset[str]] = frozenset({"known", "history", "seeds"})
    cold_start: ClassVar[str] = (
        "a new user is scored from any history, without training; a new item from its features, without interactions; "
        "an item without features is never recommended."
    )
    state_type: ClassVar[type[State]] = ContentState

    kinds: Mapping[str, FeatureKind] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    buckets: int = 10
    edges: Mapping[str, Sequence[float]] = field(default_factory=dict)
    text: TextMethod | None = "tfidf"
    factors: int = 64
    encoder: Encoder | None = field(default=None, repr=False)
    vectors: VectorTable | None = field(default=None, repr=False)
    center: Center = "user"
    half_life_days: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for column, kind in self.kinds.items():
            one_of(f"kinds[{column!r}]", kind, KINDS)
        for column, weight in self.weights.items():
            between(f"weights[{column!r}]", weight)
        for column, edges in self.edges.items():
            if not len(edges) or any(low >= high for low, high in pairwise(edges)):
                raise ValueError(f"edges[{column!r}] must be one or more ascending numbers, got {edges!r}")
        whole("buckets", self.buckets, 2)
        if self.text is not None:
            one_of("text", self.text, METHODS)
        whole("factors", self.factors)
        one_of("center", self.center, ("user", "scale"))
        if self.half_life_days is not None:
            between("half_life_days", self.half_life_days, open_low=True)
        whole("seed", self.seed, 0)

    def saved_parameters(self) -> dict[str, Any]:
        """All but ``encoder`` and ``vectors``, of which the saved profiles have what matters."""
        return self.parameters() | {"encoder": None, "vectors": None}

    def _fit(self, data: Dataset, progress: Progress) -> ContentState:
        kinds = self._kinds(data)
        with progress.start("item profiles", total=3, unit="part") as task:
            blocks = self._feature_blocks(data.item_features, kinds)
            task.advance()
            dense = self._vector_blocks(data, kinds)
            task.advance()
            columns = [c for c, kind in kinds.items() if kind == "text"]
            words = self._words_block(join_texts(data.item_features, columns) if columns else [])
            blocks += [words] if isinstance(words, Block) else []
            dense += [words] if isinstance(words, DenseBlock) else []
            task.advance()
        profiles = lay_out(blocks, dense, self.weights, data.n_items)
        if profiles.unknown.all():
            raise DataError(_nothing(kinds))
        return ContentState(
            profiles.sparse.indptr.astype(np.int64),
            profiles.sparse.indices.astype(np.int32),
            profiles.sparse.data,
            profiles.dense,
            profiles.features,
            profiles.parts,
        )

    def _kinds(self, data: Dataset) -> dict[str, FeatureKind]:
        """The kinds of the columns that count."""
        kinds = infer_kinds(data.item_features, self.kinds)
        for what, named in (("weights", self.weights), ("edges", self.edges)):
            unknown = set(named) - set(kinds) - ({"text", "vectors"} if what == "weights" else set())
            if unknown:
                raise DataError(
                    f"{what}: the item table has no column {min(unknown)!r}; its columns: {', '.join(kinds)}"
                )
        return {c: kind for c, kind in kinds.items() if kind != "ignore" and self.weights.get(c, 1.0) > 0}

    def _feature_blocks(self, table: pl.DataFrame, kinds: Mapping[str, FeatureKind]) -> list[Block]:
        return [
            feature_block(table[column], kind, buckets=self.buckets, edges=self.edges.get(column))
            for column, kind in kinds.items()
            if kind not in ("text", "vector")
        ]

    def _vector_blocks(self, data: Dataset, kinds: Mapping[str, FeatureKind]) -> list[DenseBlock]:
        table = data.item_features
        blocks = [DenseBlock(c, column_vectors(table[c])) for c, kind in kinds.items() if kind == "vector"]
        if self.vectors is not None:
            blocks.append(DenseBlock("vectors", table_vectors(self.vectors, data.items)))
        return blocks

    def _words_block(self, texts: list[str]) -> Block | DenseBlock | None:
        """What the words of all items become."""
        if not texts or self.weights.get("text", 1.0) == 0:
            return None
        if self.encoder is not None:
            return DenseBlock("text", encode(self.encoder, texts))
        if self.text is None:
            return None
        if self.text == "tfidf":
            return words_block(texts)
        return DenseBlock("text", text_rows(texts, self.text, self.factors, self.seed))

    def _score(self, fitted: Fitted[ContentState], queries: Queries) -> NDArray[np.float32]:
        profiles = _profiles(fitted)
        return profiles.cosines(profiles.users(self._liked(fitted, queries.history)))

    def _similar(self, fitted: Fitted[ContentState], seeds: NDArray[np.int32]) -> NDArray[np.float32]:
        profiles = _profiles(fitted)
        one = History.of_lengths(np.ones(len(seeds), np.int64), seeds)
        return profiles.cosines(profiles.users(liking_matrix(one, one.weight, fitted.catalogue.n_items)))

    def _explain(self, fitted: Fitted[ContentState], query: Queries, item: int) -> list[Reason]:
        return reasons(_profiles(fitted), self._liked(fitted, query.history), item)

    def _liked(self, fitted: Fitted[ContentState], history: History) -> csr_array:
        liked = liking(history, fitted.catalogue.schema.scale, self.center, self.half_life_days)
        return liking_matrix(history, liked, fitted.catalogue.n_items)


def _profiles(fitted: Fitted[ContentState]) -> Profiles:
    """The profiles as matrices, with what is derived from them once."""
    if "profiles" not in fitted.memo:
        state = fitted.state
        shape = (fitted.catalogue.n_items, len(state.features))
        sparse = csr_array((state.data, state.indices, state.indptr), shape=shape)
        fitted.memo["profiles"] = Profiles(sparse, state.dense, state.features, state.parts)
    profiles: Profiles = fitted.memo["profiles"]
    return profiles


def _nothing(kinds: Mapping[str, FeatureKind]) -> str:
    found = ", ".join(f"{column} ({kind})" for column, kind in kinds.items()) or "none"
    return (
        f"content-based filtering needs features of items, and found nothing to use; columns that count: {found}. "
        "Give item_features= to Dataset.from_interactions, or vectors= to the model"
    )
