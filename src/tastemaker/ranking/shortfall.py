import numpy as np


def shortfalls(lists, k, n_items):
    return {int(q): f"{lists.counts[q]} of {k}" for q in np.flatnonzero(lists.counts < k)}
