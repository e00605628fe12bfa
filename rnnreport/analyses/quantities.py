"""How far predicted quantities are from the right ones, beside always predicting the mean."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rnnreport.analyses.bootstrap import BootstrapParams, percentile_interval, resampled_sums
from rnnreport.analyses.scores import Errors, sums
from rnnreport.results.recorded import Doubles

_NO_SPREAD = 1e-9  # of the squares: targets that differ less than rounding have no variance to explain


def r2_in_words(value: float) -> str:
    """With three decimals, while these say something; of a model far beyond the scale of its targets three digits."""
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:.2e}"


def quantity_metrics(errors: Errors, count: int, params: BootstrapParams) -> dict[str, tuple[float, float, float]]:
    """Value, low and high of rmse, mae, r2 and mean_rmse.

    All are over every number that has a target: r2 is one minus the sum of squared errors over that of the squared
    distances of each quantity to its mean, so that ``r2 = 1 - (rmse / mean_rmse) ** 2``. A resample has means of its
    own.

    Parameters
    ----------
    errors : Errors
    count : int, N
    params : BootstrapParams

    Returns
    -------
    dict of name to (value, low, high), each NaN where it is undefined
    """
    columns = _columns(errors, count)
    present = columns[0] > 0
    columns = columns[:, present]
    whole, drawn = columns.sum(axis=1, keepdims=True), resampled_sums(list(columns), params)

    def with_interval(statistic: Callable[[Doubles], Doubles]) -> tuple[float, float, float]:
        return float(statistic(whole)[0]), *percentile_interval(statistic(drawn), params)

    with np.errstate(invalid="ignore", divide="ignore"):  # undefined where nothing varies, which is left out
        return {
            "rmse": with_interval(root_mean_square),
            "mae": with_interval(lambda totals: totals[2] / totals[0]),
            "r2": with_interval(lambda totals: 1 - totals[1] / _spread(totals)),
            "mean_rmse": with_interval(lambda totals: np.sqrt(_spread(totals, 0.0) / totals[0])),
        }


def r_squared(errors: Errors) -> Doubles:
    """float64 (K,): r2 of each quantity, NaN where its targets are all the same."""
    known = errors.known
    found = np.full(known.shape[1], np.nan)
    for k in range(known.shape[1]):
        truth = errors.truth[known[:, k], k]
        if truth.size and np.ptp(truth) > 0:
            found[k] = 1 - (errors.error[:, k] ** 2).sum() / ((truth - truth.mean()) ** 2).sum()
    return found


def error_sums(errors: Errors, count: int) -> tuple[Doubles, Doubles]:
    """Number of scored numbers and sum of their squared errors in each sequence, both float64 (count,)."""
    return (
        sums(errors.sequence, errors.known.sum(axis=1).astype(np.float64), count),
        sums(errors.sequence, (errors.error**2).sum(axis=1), count),
    )


def root_mean_square(totals: Doubles) -> Doubles:
    """Of the number of scored numbers and the sum of their squared errors, the first two rows."""
    return np.asarray(np.sqrt(totals[1] / totals[0]))


def _columns(errors: Errors, count: int) -> Doubles:
    """float64 (4 + 2 K, N): what each sequence adds to the sums of which all metrics are functions.

    Number of scored numbers, squared errors, absolute errors, squared centred targets; then of each quantity its
    centred targets, and how many there are.
    """
    known = errors.known
    mean = np.where(known, errors.truth, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, errors.truth - mean, 0.0)
    per_item = [
        np.abs(errors.error).sum(axis=1),
        (centred**2).sum(axis=1),
        *centred.T,
        *known.T.astype(np.float64),
    ]
    return np.stack([*error_sums(errors, count), *(sums(errors.sequence, values, count) for values in per_item)])


def _spread(totals: Doubles, none: float = np.nan) -> Doubles:
    """Sum of the squared distances of the targets to the mean of their quantity; ``none`` where they do not differ.

    Parameters
    ----------
    totals : float64 (4 + 2 K, R)
    none : float
    """
    quantities = (len(totals) - 4) // 2
    total, number = totals[4 : 4 + quantities], totals[4 + quantities :]
    around = totals[3] - np.divide(total**2, number, out=np.zeros_like(total), where=number > 0).sum(axis=0)
    return np.where(around > _NO_SPREAD * totals[3], around, none)
