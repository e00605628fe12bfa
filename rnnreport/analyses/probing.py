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
