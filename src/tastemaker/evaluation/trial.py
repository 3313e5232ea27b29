"""One split made ready to judge models on: everything that does not depend on the model, computed once for all of them."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from tastemaker._native.topk import Rows, top_k
from tastemaker.data.catalogue import Catalogue
from tastemaker.data.dataset import Dataset
from tastemaker.data.history import History
from tastemaker.data.queries import Queries, of_users
from tastemaker.data.splits import Split
from tastemaker.errors import DataError
from tastemaker.evaluation.area import AREA
from tastemaker.evaluation.plan import Plan
from tastemaker.evaluation.protocols import pair_codes
from tastemaker.evaluation.vectors import item_vectors
from tastemaker.metrics.lists import RelevantItems
from tastemaker.ranking.blocks import query_blocks

__all__ = ["Trial"]


@dataclass(frozen=True, eq=False)
class Trial:
    """A split and a plan, and what follows from the two."""

    split: Split
    plan: Plan

    @classmethod
    def of(cls, split: Split, plan: Plan) -> "Trial":
        """A trial whose Datasets share the split's columns, but not what they cache: that goes with the trial.

        Raises:
            DataError: if the lists are to be chosen from other items than the split says, or somebody without an id is to have
                predictions.
        """
        if split.candidates is not None and (plan.sampled is not None or AREA in plan.metrics):
            wish = AREA.name if plan.sampled is None else f"sampled={plan.sampled!r}"
            raise DataError(f"{split.name} has its own candidates, so that {wish} cannot choose others")
        if split.history is not None and any("predictions" in metric.needs for metric in plan.metrics):
            raise DataError(
                f"{split.name}: predictions are for users with ids; ask for lists (ndcg@10, hit_rate@10, …)"
            )
        return cls(replace(split, train=replace(split.train), test=replace(split.test)), plan)

    @property
    def train(self) -> Dataset:
        """What models learn from."""
        return self.split.train

    @cached_property
    def users(self) -> NDArray[np.int32]:
        """int32[q]: the users with held-out interactions, rising; everything per user stands in this order."""
        return np.unique(self.split.test.user)

    @cached_property
    def seen(self) -> History:
        """What each tested user had in training, or does before what is tested."""
        before = self.train if self.split.history is None else self.split.history
        return before.by_user.take(self.users)

    def queries(self, rows: slice, catalogue: Catalogue) -> Queries:
        """What is asked for some of the tested users: by their ids, or with their histories where nobody has an id."""
        users = self.users[rows]
        if self.split.history is None:
            return of_users(users, catalogue)
        return Queries(np.full(len(users), -1, np.int32), self.seen[rows], np.ones(len(users), np.bool_))

    @cached_property
    def relevant(self) -> RelevantItems:
        """The relevant items of each tested user; their gain is the rating above the lowest possible one, or 1.

        Of impressions, the clicked items that the user had not clicked in training: only those can be in a list.
        """
        test, least = self.split.test, self.plan.relevant_from
        if self.plan.clicks:
            test, least = test.clicked, None
            test = test.select(~np.isin(pair_codes(test), pair_codes(self.train.clicked)))
        row = np.searchsorted(self.users, test.user)
        if least is None:
            return RelevantItems.from_pairs(row, test.item, len(self.users))
        keep = test.value >= least
        lowest = test.schema.scale[0] if test.schema.scale else test.value.min()
        gains = np.maximum(test.value[keep].astype(np.float64) - lowest, 0)
        return RelevantItems.from_pairs(row[keep], test.item[keep], len(self.users), gains)

    @cached_property
    def candidates(self) -> Rows | None:
        """What the lists of the tested users are chosen from; None: the full catalogue."""
        if self.plan.sampled is None:
            return self._for_all
        drawn = self._published() if self.plan.sampled == "published" else self._drawn(self.plan.sampled)
        both = RelevantItems.from_pairs(
            np.concatenate([drawn.rows(), self.relevant.rows]),
            np.concatenate([drawn.indices, self.relevant.indices]),
            len(self.users),
        )
        return Rows(both.indptr, both.indices)

    @property
    def _for_all(self) -> Rows | None:
        """The candidates of the split: one list for all users."""
        if self.split.candidates is None:
            return None
        return Rows(np.array([0, len(self.split.candidates)]), self.split.candidates)

    def _published(self) -> History:
        """The negatives that came with the split, by user; unknown items are left out."""
        negatives, test = self.split.negatives, self.split.test
        if negatives is None:
            raise DataError(f"{self.split.name}: no negatives were published with it; give sampled a number")
        row = np.repeat(np.searchsorted(self.users, test.user), negatives.shape[1])
        known = negatives.ravel() >= 0
        order = np.argsort(row[known], kind="stable")
        lengths = np.bincount(row[known], minlength=len(self.users))
        return History.of_lengths(lengths, negatives.ravel()[known][order].astype(np.int32))

    def _drawn(self, count: int) -> History:
        """Up to ``count`` random items for each user, none of them seen in training or held out."""
        random = np.random.default_rng(self.plan.seed)
        held_out = self.split.test.by_user.take(self.users)
        drawn, free = [], np.ones(self.train.n_items, np.bool_)
        for q in range(len(self.users)):
            taken = np.concatenate([_row(self.seen, q), _row(held_out, q)])
            free[taken] = False
            left = np.flatnonzero(free).astype(np.int32)
            free[taken] = True
            drawn.append(random.choice(left, min(count, len(left)), replace=False, shuffle=False))
        return History.of_lengths(np.array([len(d) for d in drawn]), np.concatenate(drawn))

    @cached_property
    def popularity(self) -> NDArray[np.float64]:
        """float64[n_items]: how many training users had each item."""
        return np.bincount(self.train.by_user.indices, minlength=self.train.n_items).astype(np.float64)

    @cached_property
    def n_training_users(self) -> int:
        """How many users have training interactions."""
        return int(np.count_nonzero(self.train.by_user.lengths))

    @cached_property
    def consumed(self) -> NDArray[np.float64]:
        """float64[q]: the mean popularity of what each tested user had in training, NaN for a user without."""
        total = np.bincount(self.seen.rows(), self.popularity[self.seen.indices], len(self.users))
        lengths = self.seen.lengths
        mean: NDArray[np.float64] = np.divide(
            total, lengths, out=np.full(len(total), np.nan), where=lengths > 0
        )
        return mean

    @cached_property
    def vectors(self) -> tuple[sp.csr_array, str]:
        """float[n_items, f], what the items are, and where that comes from."""
        return item_vectors(self.train)

    @cached_property
    def baseline(self) -> NDArray[np.int32]:
        """int32[q, k]: the most popular items that each tested user has not had."""
        scores = self.popularity.astype(np.float32)
        lists = np.empty((len(self.users), self.plan.k), np.int32)
        for block in query_blocks(len(self.users), len(scores)):
            seen = self.seen[block]
            shared = np.broadcast_to(scores, (len(seen), len(scores)))
            had = Rows(seen.indptr, seen.indices)
            lists[block] = top_k(shared, self.plan.k, seen=had, allow=self._for_all).items
        return lists


def _row(history: History, row: int) -> NDArray[np.int32]:
    return history.indices[history.indptr[row] : history.indptr[row + 1]]
