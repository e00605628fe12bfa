"""What a cluster of units holds, gains, loses and keeps at every step (Ming et al., VAST 2017, section 5.3).

The page computes it for the sequence that it shows, in ``templates/assets/sentence.js``; this is what it must find.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnreport.formulas import kept_parts
from rnnreport.results.recorded import Doubles, Floats


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
    """Add up the units of a cluster.

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
