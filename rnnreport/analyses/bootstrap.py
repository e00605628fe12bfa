"""Cluster bootstrap over sequences: steps of one sequence depend on each other, so whole sequences are resampled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnreport.results.recorded import Doubles

_BLOCK = 2_000_000  # drawn indices held in memory at a time


@dataclass(frozen=True)
class BootstrapParams:
    """Number of resamples, the share of them inside the interval, and the seed."""

    resamples: int = 1000
    coverage: float = 0.95
    seed: int = 0


def ratio_interval(totals: Doubles, sizes: Doubles, params: BootstrapParams) -> tuple[float, float, float]:
    """A mean per step (or per sequence) and its percentile interval.

    Parameters
    ----------
    totals : float64 (N,), sum over the steps of each sequence
    sizes : float64 (N,), number of steps summed in each sequence (ones for a mean per sequence)
    params : BootstrapParams

    Returns
    -------
    value, low, high : float
        ``sum(totals) / sum(sizes)``. The bounds are NaN with fewer than two sequences, where nothing can be resampled.
    """
    present = sizes > 0
    totals, sizes = totals[present], sizes[present]
    if totals.size == 0:
        return float("nan"), float("nan"), float("nan")
    value = float(totals.sum() / sizes.sum())
    sums = resampled_sums([totals, sizes], params)
    return value, *percentile_interval(sums[0] / sums[1], params)


def resampled_sums(columns: Sequence[Doubles], params: BootstrapParams) -> Doubles:
    """Sums over resampled sequences, all of the same resamples.

    Parameters
    ----------
    columns : sequence of M float64 (N,), what each sequence adds to M sums
    params : BootstrapParams

    Returns
    -------
    float64 (M, R)
        R resamples; none with fewer than two sequences, where nothing can be resampled.
    """
    count = columns[0].size
    if count < 2:
        return np.zeros((len(columns), 0))
    drawn = [np.stack([column[pick].sum(axis=1) for column in columns]) for pick in resamples(count, params)]
    return np.concatenate(drawn, axis=1)


def percentile_interval(drawn: Doubles, params: BootstrapParams) -> tuple[float, float]:
    """Low and high of a statistic, float64 (R,), over the resamples in which it is finite; NaN where it never is."""
    finite = drawn[np.isfinite(drawn)]
    if not finite.size:
        return float("nan"), float("nan")
    tail = 100 * (1 - params.coverage) / 2
    low, high = np.percentile(finite, [tail, 100 - tail])
    return float(low), float(high)


def exact_ends(
    value: float, low: float, high: float, sequences: int, params: BootstrapParams
) -> tuple[float, float, float]:
    """Open the interval of a share that is exactly 0 or 1, where resampling finds no spread at all.

    The bound is Clopper and Pearson's for that many independent sequences: the share at which all of them being right
    would still happen with the probability of the tail.
    """
    bound = ((1 - params.coverage) / 2) ** (1 / max(1, sequences))
    if value == 1 and sequences > 1:
        return value, bound, high
    if value == 0 and sequences > 1:
        return value, low, 1 - bound
    return value, low, high


def resamples(count: int, params: BootstrapParams, dtype: type[np.integer] = np.int64) -> Iterator[NDArray[np.integer]]:
    """Blocks (B, N) of resamples: each row holds which of ``count`` sequences it is made of."""
    generator = np.random.default_rng(params.seed)
    block = max(1, _BLOCK // count)
    for start in range(0, params.resamples, block):
        yield generator.integers(0, count, (min(block, params.resamples - start), count), dtype)
