"""Whether predictions of some confidence are right as often as it says (Guo et al., "On calibration of modern neural
networks", ICML 2017; the bounds of chance after Bröcker and Smith, "Increasing the reliability of reliability
diagrams", 2007)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnreport.results.recorded import Doubles

BINS = 10
_DRAWS = 1000


@dataclass(frozen=True)
class Calibration:
    """Reliability of n predictions.

    Attributes
    ----------
    error : float, expected calibration error: the mean over predictions of |share right - mean confidence| in their bin
    by_chance : float, what 95% of perfectly calibrated models with these confidences stay below
    bins : float64 (10, 5), for each tenth of confidence, upper end included: mean confidence, share right, predictions,
        and the bounds of 95% of such models' shares right; NaN where there is no prediction
    """

    error: float
    by_chance: float
    bins: Doubles


def calibration(confidence: Doubles, right: NDArray[np.bool_], seed: int = 0) -> Calibration:
    """Compare confidence with the share that is right.

    The perfectly calibrated models draw the number right in each bin from a binomial distribution of its mean
    confidence, as if the predictions were independent.

    Parameters
    ----------
    confidence : float64 (n,), in [0, 1]
    right : bool (n,)
    seed : int
    """
    place = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], confidence, side="left")
    counts = np.bincount(place, minlength=BINS)
    there = counts > 0
    mean, share = (
        np.bincount(place, weights=values, minlength=BINS)[there] / counts[there]
        for values in (confidence, right.astype(np.float64))
    )
    drawn = np.random.default_rng(seed).binomial(counts[there], np.clip(mean, 0, 1), (_DRAWS, int(there.sum())))
    shares, weights = drawn / counts[there], counts[there] / counts.sum()
    low, high = np.percentile(shares, [2.5, 97.5], axis=0)
    bins = np.full((BINS, 5), np.nan)
    bins[:, 2] = counts
    bins[there] = np.column_stack([mean, share, counts[there], low, high])
    by_chance = float(np.percentile(np.abs(shares - mean) @ weights, 95))
    return Calibration(float(np.abs(share - mean) @ weights), by_chance, bins)
