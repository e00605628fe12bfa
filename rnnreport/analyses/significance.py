"""Tests of many differences at once: means over sequences, and Holm's correction."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rnnreport.results.recorded import Doubles


def holm(p_values: Doubles) -> Doubles:
    """Adjust p-values so that the chance of a single false alarm among them stays at the level (Holm, 1979).

    Parameters
    ----------
    p_values : float64, any shape; NaN counts as not tested

    Returns
    -------
    float64, same shape
    """
    flat = p_values.ravel()
    tested = np.flatnonzero(np.isfinite(flat))
    order = tested[np.argsort(flat[tested], kind="stable")]
    adjusted = np.full(flat.shape, np.nan)
    scaled = flat[order] * np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return adjusted.reshape(p_values.shape)


def clustered_means(sums: Doubles, sizes: Doubles, coverage: float = 0.95) -> tuple[Doubles, Doubles, Doubles, Doubles]:
    """Means per item with intervals and p-values for "the mean is 0", from the sums of whole sequences.

    The spread is that between sequences (the linearised ratio estimator, Cochran 1977), because the items of one
    sequence depend on each other; with one item per sequence it is the t-test.

    Parameters
    ----------
    sums : float64 (N, M), M quantities summed over the items of each sequence
    sizes : float64 (N, M) or (N, 1), numbers of items
    coverage : float, share of the interval

    Returns
    -------
    means, low, high, p_values : float64 (M,)
        All but the mean NaN with fewer than two sequences; a p-value is 1 where all differences are 0.
    """
    from scipy.stats import t as student

    sizes = np.broadcast_to(sizes, sums.shape)
    present = (sizes > 0).sum(axis=0)
    total = sizes.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums.sum(axis=0) / total
        residuals = np.where(sizes > 0, sums - means * sizes, 0.0)
        error = np.sqrt((residuals**2).sum(axis=0) * present / (present - 1)) / total
        error[present < 2] = np.nan
        score = np.where(means == 0, 0.0, np.abs(means) / error)
        reach = student.ppf((1 + coverage) / 2, np.maximum(present - 1, 1)) * error
        p_values = 2 * student.sf(score, np.maximum(present - 1, 1))
    p_values[present < 2] = np.nan
    return means, means - reach, means + reach, p_values


def summed(values: NDArray[np.floating], owners: NDArray[np.integer], count: int) -> Doubles:
    """Sums of rows by owner: float64 (count, M) of values (I, M)."""
    from scipy.sparse import csr_array

    places = np.arange(len(owners))
    return np.asarray(csr_array((np.ones(len(owners)), (owners, places)), (count, len(owners))) @ values)
