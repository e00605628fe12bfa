"""How much of what a cluster of units holds it keeps from step to step (Ming et al., VAST 2017, section 5.3).

"Information" is their word for the magnitude of the state; nothing here is an entropy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rnnreport.formulas import kept_parts
from rnnreport.results.recorded import Floats, Ints

_BLOCK = 4096  # steps held in memory at a time


def mean_kept_rates(states: Floats, offsets: NDArray[np.int64], unit_labels: Ints, ks: Ints) -> Floats:
    """Mean kept rate of every cluster of every solution, over all steps that have a predecessor.

    Parameters
    ----------
    states : float32 (S, H)
    offsets : int64 (N + 1,)
    unit_labels : int32 (M, k, H), -1 unassigned
    ks : int32 (k,)

    Returns
    -------
    float32 (M, k, kmax)
        NaN for a cluster without units, and everywhere where no step has a predecessor.
    """
    shape = (*unit_labels.shape[:2], int(ks.max()))
    members = np.equal.outer(unit_labels, np.arange(shape[2])).transpose(2, 0, 1, 3).reshape(states.shape[1], -1)
    members = members.astype(np.float32)
    later = np.setdiff1d(np.arange(len(states)), offsets[:-1])
    totals = np.zeros(members.shape[1])
    for start in range(0, later.size, _BLOCK):
        block = later[start : start + _BLOCK]
        before = states[block - 1]
        size = np.abs(before) @ members
        kept = kept_parts(states[block], before) @ members
        totals += np.divide(kept, size, out=np.zeros_like(size), where=size > 0).sum(axis=0, dtype=np.float64)
    known = (members.sum(axis=0) > 0) & (later.size > 0)
    rates = np.divide(totals, later.size, out=np.full(totals.shape, np.nan), where=known)
    by_cluster: Floats = rates.astype(np.float32).reshape(shape)
    return by_cluster
