"""Which steps a network needs: how much worse its answers are without each stretch of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rnnreport.analyses.bootstrap import BootstrapParams, exact_ends, percentile_interval, resampled_sums
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import NUMERIC, PER_SEQUENCE, Ablation, Doubles, Ints, Probe
from rnnreport.results.schema import LeftOutSteps, Unavailable

_MANY = 4000  # resamples, for the far tail
_LITTLE = 0.02  # loss of the metric, surely less
_GUIDE = (
    "The network reads the same sequences again, each time without one stretch of steps: the steps before it are "
    "followed at once by those after it. The loss says how much it needs what was there, given all the rest. Two "
    "stretches that say the same can each be left out without any loss, and a gap is itself unusual input."
)
_EACH_STEP = (
    " It answers at each step: the answers of the steps after the stretch are scored, or of all other steps where it "
    "reads both ways, against the same answers with nothing left out. Where no sequence has such steps there is no bar."
)
_NUMERIC = " R² is 1 less the mean square error in units of the variance of each quantity in the probe set."


def left_out_steps(folder: RunFolder, probe: Probe, params: BootstrapParams) -> LeftOutSteps | Unavailable:
    """Compare the answers without each stretch with those about the whole sequences.

    Parameters
    ----------
    folder : RunFolder
    probe : Probe
    params : BootstrapParams
    """
    found = folder.record(Ablation)
    if found is None:
        reason = "it was not recorded at the last epoch: rnnreport run and rnnreport capture record it"
        return Unavailable(LeftOutSteps.analysis, reason)
    if found.reason:
        return Unavailable(LeftOutSteps.analysis, found.reason)
    if not (np.isfinite(found.loss).all() and np.isfinite(found.right).all()):
        return Unavailable(LeftOutSteps.analysis, "the model gives no number for some of the sequences")
    if not found.items.any():
        return Unavailable(LeftOutSteps.analysis, "no answer comes after a stretch of steps")
    return _compared(found, probe, params)


def _compared(found: Ablation, probe: Probe, params: BootstrapParams) -> LeftOutSteps:
    numeric = probe.task in NUMERIC
    items = found.items.astype(np.float64)
    risen = found.loss[1].astype(np.float64) - found.loss[0]
    lost = risen if numeric else found.right[0].astype(np.float64) - found.right[1]
    drop = _with_interval(lost, items, params)
    present = (found.items > 0).sum(axis=1)
    if not numeric:
        for stretch in np.flatnonzero(~lost.any(axis=1) & (present > 0)):
            # No answer changed, so that resampling finds no spread: the ends are those of none in so many
            # (Clopper and Pearson).
            unseen = exact_ends(0.0, 0.0, 0.0, int(present[stretch]), params)[2]
            drop[1:, stretch] = -unseen, unseen
    # Picked as the largest of so many, it needs an interval for all of them at once (Bonferroni).
    tried = int((present > 0).sum())
    together = replace(params, coverage=1 - (1 - params.coverage) / tried, resamples=_MANY)
    worst = int(np.nanargmax(drop[0]))
    sure = bool(_with_interval(lost[[worst]], items[[worst]], together)[1, 0] > 0)
    first = int(np.flatnonzero(present)[0])
    whole = (found.loss if numeric else found.right)[0, first].sum(dtype=np.float64) / items[first].sum()
    result = LeftOutSteps(
        edges=found.edges,
        metric=_metric(probe),
        drop=drop.astype(np.float32),
        surprise=np.zeros((3, 0), np.float32) if numeric else _with_interval(risen, items, params).astype(np.float32),
        score=float(1 - whole if numeric else whole),
        sequences=int(found.sequences.size),
        answers=int(items[first].sum()),
        finding="",
        guide=_GUIDE + ("" if probe.task in PER_SEQUENCE else _EACH_STEP) + (_NUMERIC if numeric else ""),
    )
    return replace(result, finding=_said(result, worst, sure=sure, later=probe.task not in PER_SEQUENCE))


def _metric(probe: Probe) -> str:
    if probe.task in NUMERIC:
        return "R²"
    return "exact match" if probe.task == "multi-label" else "accuracy"


def _with_interval(values: Doubles, items: Doubles, params: BootstrapParams) -> Doubles:
    """Sums over the sequences of float64 (B, M) for each item, and the interval: float64 (3, B)."""
    drawn, sizes = np.split(resampled_sums([*values, *items], params), 2)
    ends = np.array([percentile_interval(row, params) for row in _shares(drawn, sizes)])
    return np.stack([_shares(values.sum(axis=1), items.sum(axis=1)), *ends.T])


def _shares(parts: NDArray[np.float64], wholes: NDArray[np.float64]) -> Doubles:
    """NaN where there is nothing to share."""
    found: Doubles = np.divide(parts, wholes, out=np.full(parts.shape, np.nan), where=wholes > 0)
    return found


def _named(edges: Ints, stretch: int) -> str:
    """ "step 3" or "steps 3 to 5", counted from 1."""
    first, last = int(edges[stretch]) + 1, int(edges[stretch + 1])
    return f"step {first}" if first == last else f"steps {first} to {last}"


def _said(found: LeftOutSteps, worst: int, *, sure: bool, later: bool) -> str:
    """``sure``: the largest loss is above zero although it was picked among all; ``later``: it is of later answers."""
    numeric = found.metric == "R²"
    value, low, high = (found.drop[:, worst] if numeric else 100 * found.drop[:, worst]).tolist()
    digits = ".3f" if numeric else ".1f"
    whole = f"R² {found.score:.2f}" if numeric else f"{found.score:.1%} of the answers right"
    counted = f"{found.sequences} sequences" + (f", {found.answers:,} answers" if later else "")
    doubt = f"95% interval {low:{digits}} to {high:{digits}}; {counted}, {whole} when whole"
    of = f"{value:{digits}}{'' if numeric else ' percentage points'} ({doubt})"
    what = f"the {found.metric} of the other answers" if later else found.metric
    if not sure:
        return f"No stretch of steps is needed beyond doubt: without one at a time, {what} falls by at most {of}."
    known = np.isfinite(found.drop[0])
    idle = int((found.drop[2, known] < _LITTLE).sum())
    little = f"{_LITTLE:g}" if numeric else f"{100 * _LITTLE:.0f} points"
    said = f"Without {_named(found.edges, worst)} {what} falls most, by {of}."
    if not idle:
        return said
    return f"{said} {idle} of the {int(known.sum())} stretches can be left out at a loss of less than {little}."
