"""Linear probes: what can be read from states of sequences that the probe was not fitted on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
    scores = probe_values(states, wanted.reshape(count, -1), folds, ridge)
    return np.ascontiguousarray(scores.reshape(count, ways, classes).argmax(axis=2).T)


def probe_values(states: Doubles, wanted: Doubles, folds: Labels, ridge: float) -> Doubles:
    """What a linear probe fitted on the other folds gives for each row, by ridge regression as above.

    Parameters
    ----------
    states : float64 (N, H)
    wanted : float64 (N, R), quantities, each with a probe of its own
    folds : int64 (N,)
    ridge : float

    Returns
    -------
    float64 (N, R)
    """
    found = np.empty(wanted.shape)
    for fold in np.unique(folds):
        fitted, held = folds != fold, folds == fold
        mean, spread = states[fitted].mean(axis=0), states[fitted].std(axis=0)
        scale = np.where(spread > 0, spread, 1)
        known, asked = (states[fitted] - mean) / scale, (states[held] - mean) / scale
        offset = wanted[fitted].mean(axis=0)
        found[held] = asked @ _ridge(known, wanted[fitted] - offset, ridge * len(known)) + offset
    return found


def _ridge(known: Doubles, answers: Doubles, penalty: float) -> Doubles:
    """Weights float64 (H, outputs), in the smaller of the two equivalent systems."""
    count, units = known.shape
    if units <= count:
        return np.asarray(np.linalg.solve(known.T @ known + penalty * np.eye(units), known.T @ answers))
    return np.asarray(known.T @ np.linalg.solve(known @ known.T + penalty * np.eye(count), answers))
