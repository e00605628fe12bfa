"""How far gradients reach: by how much the derivative of the loss changes with each step further back."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rnnreport.analyses.bootstrap import BootstrapParams, percentile_interval, ratio_interval, resampled_sums
from rnnreport.analyses.sample import evenly
from rnnreport.results.causes import GradientFlow
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import PER_SEQUENCE, Doubles, Floats, Probe, StateKey
from rnnreport.results.schema import GradientReach, Unavailable

_GUIDE = (
    "Training corrects an early state only as far as the loss still depends on it. Left: the size of the derivative "
    "of the loss by the state so many steps before, on a logarithmic scale; each row is {row}. Right: its mean over "
    "the sequences for every layer, relative to the state at the loss itself. The factor per step is a straight line "
    "fitted to the logarithms, with its interval over sequences. Vanishing: at the length of the middle sequence less "
    "than {vanishing:g} would be left; exploding: more than {exploding:g} times as much. Vanishing is a fault only "
    "where the task needs what lies so far back, and a network that has learned to ignore early input has small "
    "derivatives because it is done. These are derivatives of the trained network, not those that training saw."
)


@dataclass(frozen=True)
class ReachParams:
    """Limits of what remains, rows and columns of the picture, and the fewest sequences of a point."""

    vanishing: float = 1e-4
    exploding: float = 1e2
    rows: int = 24
    columns: int = 60
    fewest_sequences: int = 3
    bootstrap: BootstrapParams = field(default_factory=lambda: BootstrapParams(resamples=400))


def gradient_reach(folder: RunFolder, probe: Probe, params: ReachParams | None = None) -> GradientReach | Unavailable:
    """How far the losses of the last recorded epoch reach back.

    Parameters
    ----------
    folder : RunFolder
    probe : Probe
    params : ReachParams, optional
    """
    found = folder.record(GradientFlow)
    if found is None:
        return Unavailable(GradientReach.analysis, "it was not recorded: rnnreport run and rnnreport capture record it")
    if found.reason:
        return Unavailable(GradientReach.analysis, found.reason)
    if found.lengths.max(initial=0) < 2:
        return Unavailable(GradientReach.analysis, "no sequence has two steps")
    if not any((values > 0).any() for values in found.norms.values()):
        return Unavailable(GradientReach.analysis, "all derivatives of the loss are 0: it does not depend on any state")
    made = reach(found, params or ReachParams(), per_step=probe.task not in PER_SEQUENCE)
    if np.isnan(made.factors[:, 0]).any():
        reason = "the loss depends on no state before it, or its derivatives are not finite"
        return Unavailable(GradientReach.analysis, reason)
    return made


def reach(found: GradientFlow, params: ReachParams, *, per_step: bool) -> GradientReach:
    """Likewise from what was recorded."""
    span = int(np.median(found.lengths)) - 1
    curves, factors, remaining, verdicts = {}, [], [], []
    for key in found.scopes:
        lagged = _lagged(found, key)
        curves[key] = _curve(lagged, params)
        slope = _slope(lagged, params)
        factors.append(np.exp(slope))
        with np.errstate(over="ignore"):
            left = np.exp(slope * span)
        remaining.append(left)
        low, high = (left[1], left[2]) if np.isfinite(left[1]) else (left[0], left[0])
        verdicts.append("vanishing" if high < params.vanishing else "exploding" if low > params.exploding else "sound")
    rows, lags, matrix = _matrix(found, _lagged(found, found.scopes[0]), params, per_step=per_step)
    return GradientReach(
        scopes=found.scopes,
        curves=curves,
        factors=np.array(factors),
        remaining=np.array(remaining),
        verdicts=tuple(verdicts),
        vanishing=params.vanishing,
        exploding=params.exploding,
        span=span,
        rows=rows,
        lags=lags,
        matrix=matrix,
        per_step=per_step,
        sequences=found.sequences.size,
        finding=_finding(found.scopes[0], factors[0], remaining[0], verdicts[0], span, found.sequences.size),
        guide=_GUIDE.format(
            row="the loss at one step, mean over the sequences"
            if per_step
            else "one sequence, whose loss is at its end",
            vanishing=params.vanishing,
            exploding=params.exploding,
        ),
    )


def _lagged(found: GradientFlow, key: str) -> list[Doubles]:
    """Of each sequence float64 (J, T): ln of the derivative of each loss by the state so many steps back, or NaN.

    A backward layer reads from the end, so that "back" is later in the sequence.
    """
    back = StateKey.parse(key).direction == "rev"
    shapes = zip(found.counts.tolist(), found.lengths.tolist(), strict=True)
    values = iter(np.split(found.norms[key], np.cumsum(found.counts.astype(np.int64) * found.lengths)[:-1]))
    steps = iter(np.split(found.steps, np.cumsum(found.counts)[:-1]))
    made = []
    for count, length in shapes:
        table = next(values).reshape(count, length).astype(np.float64)
        rows = np.full((count, length), np.nan)
        with np.errstate(divide="ignore"):
            logarithms = np.where(table > 0, np.log(table), np.nan)
        for row, end in enumerate(next(steps).tolist()):
            own = logarithms[row, end:] if back else logarithms[row, : end + 1][::-1]
            rows[row, : own.size] = own
        made.append(rows)
    return made


def _slope(lagged: list[Doubles], params: ReachParams) -> Doubles:
    """float64 (3,), slope of ln over the steps back within each loss, low, high; NaN where no loss reaches back."""
    parts = np.array([_fit(rows) for rows in lagged])
    return np.array(ratio_interval(parts[:, 0], parts[:, 1], params.bootstrap))


def _fit(rows: Doubles) -> tuple[float, float]:
    """Sums of products and of squares about the means of each row."""
    products, squares = 0.0, 0.0
    for row in rows:
        known = np.flatnonzero(np.isfinite(row))
        if known.size > 1:
            across = known - known.mean()
            products += float(across @ (row[known] - row[known].mean()))
            squares += float(across @ across)
    return products, squares


def _curve(lagged: list[Doubles], params: ReachParams) -> Doubles:
    """float64 (J, 5), as in ``GradientReach``."""
    longest = max(rows.shape[1] for rows in lagged)
    means = np.full((len(lagged), longest), np.nan)
    for place, rows in enumerate(lagged):
        relative = (rows - rows[:, :1]) / np.log(10)
        known = np.isfinite(relative)
        counts = known.sum(axis=0)
        means[place, : rows.shape[1]] = np.where(
            counts, np.where(known, relative, 0).sum(axis=0) / np.maximum(counts, 1), np.nan
        )
    known = np.isfinite(means)
    counts = known.sum(axis=0)
    lags = np.flatnonzero(counts >= min(params.fewest_sequences, len(lagged)))
    if not lags.size:
        return np.zeros((0, 5))
    sums = resampled_sums(
        [*np.where(known, means, 0)[:, lags].T, *known[:, lags].T.astype(np.float64)], params.bootstrap
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = sums[: lags.size] / sums[lags.size :]
    bounds = np.array([percentile_interval(row, params.bootstrap) for row in drawn])
    return np.column_stack([lags, np.nansum(means[:, lags], axis=0) / counts[lags], bounds, counts[lags]])


def _matrix(
    found: GradientFlow, lagged: list[Doubles], params: ReachParams, *, per_step: bool
) -> tuple[tuple[str, ...], NDArray[np.int32], Floats]:
    """Rows by step of the loss, or by sequence, by length and then by size; columns by steps back."""
    longest = max(rows.shape[1] for rows in lagged)
    if not per_step:
        sizes = [-np.nan_to_num(rows[0]).sum() for rows in lagged]
        order = np.lexsort((sizes, found.lengths))
        chosen = order[evenly(order.size, params.rows)]
        rows = np.full((chosen.size, longest), np.nan)
        for row, place in enumerate(chosen):
            rows[row, : lagged[place].shape[1]] = lagged[place][0]
        names = tuple(f"{found.lengths[place]} steps" for place in chosen)
    else:
        ends = np.unique(found.steps)
        ends = ends[evenly(ends.size, params.rows)]
        owned = list(zip(np.split(found.steps, np.cumsum(found.counts)[:-1]), lagged, strict=True))
        rows = np.stack([_mean_at(owned, int(end), longest) for end in ends])
        names = tuple(f"step {end + 1}" for end in ends)
    lags = evenly(longest, params.columns)
    return names, lags.astype(np.int32), (rows[:, lags] / np.log(10)).astype(np.float32)


def _mean_at(owned: list[tuple[NDArray[np.int32], Doubles]], end: int, longest: int) -> Doubles:
    """float64 (longest,): mean over the sequences whose loss at this step was followed."""
    total, count = np.zeros(longest), np.zeros(longest)
    for steps, rows in owned:
        for row in itertools.compress(rows, steps == end):
            known = np.isfinite(row)
            total[: row.size] += np.where(known, row, 0)
            count[: row.size] += known
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _finding(key: str, factor: Doubles, left: Doubles, verdict: str, span: int, sequences: int) -> str:
    interval = f" (95% interval {factor[1]:.3g} to {factor[2]:.3g})" if np.isfinite(factor[1]) else ""
    return (
        f"With each step back the derivative of the loss by {StateKey.parse(key).title} is multiplied by "
        f"{factor[0]:.3g}{interval}, so that {left[0]:.2g} of it is left after {span:,} steps, the length of the "
        f"middle sequence (n = {sequences:,}): {verdict}."
    )
