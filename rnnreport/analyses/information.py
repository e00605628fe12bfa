"""What a cluster of units holds, gains, loses and keeps from step to step (Ming et al., VAST 2017, section 5.3).

"Information" is their word for the magnitude of the state; nothing here is an entropy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnreport.formulas import kept_parts
from rnnreport.results.recorded import Doubles, Floats, Ints

_BLOCK = 4096  # steps held in memory at a time


@dataclass(frozen=True)
class Information:
    """The units of one cluster added up, for every step of one sequence; before its first step all of it is zero.

    Attributes
    ----------
    positive, negative : float64 (T,), sum of the states above and below zero
    gained_positive, gained_negative : float64 (T,), their changes; together the sum of the changes of the states
    kept_rate : float64 (T,), share of the previous magnitude that is kept, in [0, 1]; 0 where that was zero
    """

    positive: Doubles
    negative: Doubles
    gained_positive: Doubles
    gained_negative: Doubles
    kept_rate: Doubles


def cluster_information(states: Floats, members: NDArray[np.integer] | NDArray[np.bool_]) -> Information:
    """Add up the units of a cluster. ``templates/assets/sentence.js`` repeats these sums for the sequence it shows.

    Parameters
    ----------
    states : float32 (T, H), of one sequence
    members : the cluster's units, places or mask
    """
    now = states[:, members].astype(np.float64)
    before = np.vstack([np.zeros((1, now.shape[1])), now[:-1]])
    positive, negative = now.clip(min=0).sum(axis=1), now.clip(max=0).sum(axis=1)
    size = np.abs(before).sum(axis=1)
    kept = kept_parts(now, before).sum(axis=1)
    return Information(
        positive=positive,
        negative=negative,
        gained_positive=np.diff(positive, prepend=0),
        gained_negative=np.diff(negative, prepend=0),
        kept_rate=np.divide(kept, size, out=np.zeros_like(size), where=size > 0),
    )


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
