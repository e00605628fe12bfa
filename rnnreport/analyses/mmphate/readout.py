"""What can be read from states: by a linear probe that never saw the sequence, and by the classes of its neighbours."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.special import digamma

from rnnreport.results.recorded import Doubles

Labels = NDArray[np.int64]


def probe_predictions(states: Doubles, labels: Labels, folds: Labels, ridge: float) -> Labels:
    """The class that a linear probe fitted on the other folds names for each row, for several labellings at once.

    Ridge regression on one-hot classes, in closed form; units are standardised on the rows that it is fitted on.

    Parameters
    ----------
    states : float64 (N, H)
    labels : int64 (R, N), labellings; classes are 0 ... K - 1
    folds : int64 (N,)
    ridge : float, the penalty for each row that is fitted

    Returns
    -------
    int64 (R, N)
    """
    ways, count = labels.shape
    classes = int(labels.max()) + 1
    wanted = np.zeros((count, ways, classes))
    np.put_along_axis(wanted, labels.T[:, :, None], 1, axis=2)
    found = np.empty((ways, count), np.int64)
    for fold in np.unique(folds):
        fitted, held = folds != fold, folds == fold
        mean, spread = states[fitted].mean(axis=0), states[fitted].std(axis=0)
        scale = np.where(spread > 0, spread, 1)
        known, asked = (states[fitted] - mean) / scale, (states[held] - mean) / scale
        answers = wanted[fitted].reshape(len(known), -1)
        offset = answers.mean(axis=0)
        scores = asked @ _ridge(known, answers - offset, ridge * len(known)) + offset
        found[:, held] = scores.reshape(-1, ways, classes).argmax(axis=2).T
    return found


def _ridge(known: Doubles, answers: Doubles, penalty: float) -> Doubles:
    """Weights float64 (H, outputs), in the smaller of the two equivalent systems."""
    count, units = known.shape
    if units <= count:
        return np.asarray(np.linalg.solve(known.T @ known + penalty * np.eye(units), known.T @ answers))
    return np.asarray(known.T @ np.linalg.solve(known @ known.T + penalty * np.eye(count), answers))


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
