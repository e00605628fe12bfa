"""The Lyapunov spectrum along real inputs, with intervals over sequences."""

from __future__ import annotations

import numpy as np

from rnnreport.analyses.bootstrap import BootstrapParams, ratio_interval
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Doubles
from rnnreport.results.recorded_dynamics import Stretching
from rnnreport.results.schema import Lyapunov, Unavailable

NOT_RECORDED = "it was not recorded: rnnreport run and rnnreport capture record it"

_GUIDE = (
    "What a small difference between two states becomes while both read the same input: along the direction of each "
    "dot it is multiplied by e to the power of the exponent at every step. Above 0 differences grow, and the far past "
    "cannot be told from noise; just below 0 they last long; far below 0 they are soon forgotten. Bars are 95% "
    "intervals over sequences, the first steps of each left out. Not a fault in itself: a network that separates "
    "classes has to amplify some differences, and of short sequences only the beginning of the growth is seen."
)


def lyapunov_spectrum(folder: RunFolder, params: BootstrapParams | None = None) -> Lyapunov | Unavailable:
    """Mean growth per step in each direction.

    Parameters
    ----------
    folder : RunFolder
    params : BootstrapParams, optional
    """
    found = folder.record(Stretching)
    if found is None or found.reason:
        return Unavailable(Lyapunov.analysis, found.reason if found else NOT_RECORDED)
    sizes = found.steps.astype(np.float64)
    rows = [ratio_interval(column, sizes, params or BootstrapParams()) for column in found.sums.T]
    exponents = np.array(sorted(rows, key=lambda row: -row[0]))
    return Lyapunov(
        exponents=exponents,
        sequences=int(sizes.size),
        steps=int(sizes.sum()),
        transient=found.transient,
        units=found.units,
        finding=_finding(exponents[0], int(sizes.size)),
        guide=_GUIDE,
    )


def _finding(largest: Doubles, count: int) -> str:
    value, low, high = largest
    interval = f"95% interval {low:+.3f} to {high:+.3f}, " if np.isfinite(low) else ""
    what = "grow" if low > 0 else "die out" if high < 0 else "neither surely grow nor die out"
    return (
        f"Small differences between states {what}: the largest Lyapunov exponent is {value:+.3f} per step ({interval}"
        f"n = {count:,} sequences)."
    )
