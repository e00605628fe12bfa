"""What states hold about labels, by the classes of their neighbours."""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import digamma

from rnnreport.analyses.probing import Labels
from rnnreport.results.recorded import Doubles


def label_information(points: Doubles, labels: Labels, neighbours: int) -> Doubles:
    """Bits that points hold about their labels, by distances to neighbours (Ross, 2014), for several labellings.

    Parameters
    ----------
    points : float64 (N, d)
    labels : int64 (R, N); a row whose label is the only one of its kind is left out
    neighbours : int, of the same label

    Returns
    -------
    float64 (R,)
        Can be negative, for it is not cut off at zero; NaN where no two rows share a label.
    """
    distance = cdist(points, points)
    np.fill_diagonal(distance, -1)
    order = np.argsort(distance, axis=1, kind="stable")[:, 1:]  # without the point itself
    return np.array([_information(order, row, neighbours) for row in labels])


def _information(order: Labels, labels: Labels, neighbours: int) -> float:
    sizes = np.bincount(labels)[labels]
    shared = sizes > 1
    if not shared.any():
        return math.nan
    alone = ~shared[order[shared]]  # points that are left out do not count as neighbours
    wanted = np.minimum(neighbours, sizes[shared] - 1)
    same = np.cumsum(labels[order[shared]] == labels[shared, None], axis=1)
    place = (same >= wanted[:, None]).argmax(axis=1)
    skipped = np.take_along_axis(np.cumsum(alone, axis=1), place[:, None], axis=1)[:, 0]
    nearer = place - skipped + 1
    nats = digamma(shared.sum()) + (digamma(wanted) - digamma(sizes[shared]) - digamma(nearer)).mean()
    return float(nats / math.log(2))


def entropy_of(labels: Labels) -> float:
    """Entropy of labels in bits, as they are distributed here."""
    shares = np.bincount(labels) / labels.size
    shares = shares[shares > 0]
    return float(-(shares * np.log2(shares)).sum())
