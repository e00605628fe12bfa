"""Which steps a classifier needs: how much worse it is without each stretch of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnnreport.analyses.bootstrap import BootstrapParams, exact_ends, percentile_interval, resampled_sums
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Ablation, Doubles, Floats, Ints, Probe
from rnnreport.results.schema import LeftOutSteps, Unavailable

_LEAST = 1e-12  # probability
_MANY = 4000  # resamples, for the far tail
_LITTLE = 0.02  # loss of accuracy, surely less
_GUIDE = (
    "The network reads the same sequences again, each time without one stretch of steps: the steps before it are "
    "followed at once by those after it. The loss of accuracy says how much it needs what was there, given all the "
    "rest. Two stretches that say the same can each be left out without any loss, and a gap is itself unusual input."
)


def left_out_steps(folder: RunFolder, probe: Probe, params: BootstrapParams) -> LeftOutSteps | Unavailable:
    """Compare the outputs without each stretch with those of the whole sequences.

    Parameters
    ----------
    folder : RunFolder
    probe : Probe
    params : BootstrapParams
    """
    found = folder.record(Ablation)
    if found is None:
        reason = "it was not recorded: it is made of the last epoch of a classifier of whole sequences"
        return Unavailable(LeftOutSteps.analysis, reason)
    if found.reason or not np.isfinite(found.output).all():
        reason = found.reason or "the model gives no number for sequences without some of their steps"
        return Unavailable(LeftOutSteps.analysis, reason)
    labels = probe.labels[found.sequences]
    whole = folder.checkpoint(found.epoch).model_output[found.sequences]
    if not np.isfinite(whole).all():
        return Unavailable(LeftOutSteps.analysis, "the model gives no number for some of the whole sequences")
    right = _right(whole, labels)
    lost = np.stack([right - _right(cut, labels) for cut in found.output])
    risen = np.stack([_surprise(cut, labels) - _surprise(whole, labels) for cut in found.output])
    drop = _with_interval(lost, params)
    # Where no answer changed, resampling finds no spread: the ends are those of none in so many (Clopper and Pearson).
    unseen = exact_ends(0.0, 0.0, 0.0, labels.size, params)[2]
    drop[1:, ~lost.any(axis=1)] = [[-unseen], [unseen]]
    # Picked as the largest of so many, it needs an interval for all of them at once (Bonferroni).
    together = replace(params, coverage=1 - (1 - params.coverage) / len(lost), resamples=_MANY)
    sure = bool(_with_interval(lost[[drop[0].argmax()]], together)[1, 0] > 0)
    return LeftOutSteps(
        edges=found.edges,
        drop=drop.astype(np.float32),
        surprise=_with_interval(risen, params).astype(np.float32),
        accuracy=float(right.mean()),
        sequences=labels.size,
        finding=_said(found.edges, drop, sure, float(right.mean()), labels.size),
        guide=_GUIDE,
    )


def _right(output: Floats, labels: Ints) -> Doubles:
    return np.asarray(output.argmax(axis=1) == labels, dtype=np.float64)


def _surprise(output: Floats, labels: Ints) -> Doubles:
    """Nats of each sequence."""
    own = output[np.arange(labels.size), labels].astype(np.float64)
    return np.asarray(-np.log(np.maximum(own, _LEAST)))


def _with_interval(values: Doubles, params: BootstrapParams) -> Doubles:
    """Mean and interval of the rows of float64 (B, N): float64 (3, B)."""
    drawn = resampled_sums(list(values), params) / values.shape[1]
    return np.stack([values.mean(axis=1), *np.array([percentile_interval(row, params) for row in drawn]).T])


def _said(edges: Ints, drop: Doubles, sure: bool, accuracy: float, count: int) -> str:
    """``sure``: whether the largest loss is above zero although it was picked among all."""
    worst = int(drop[0].argmax())
    value, low, high = 100 * drop[:, worst]
    doubt = f"95% interval {low:.1f} to {high:.1f}; {count} sequences, {accuracy:.1%} of them right when whole"
    of = f"{value:.1f} percentage points ({doubt})"
    if not sure:
        return f"No stretch of steps is needed beyond doubt: without one at a time, accuracy falls by at most {of}."
    first, last = edges[worst] + 1, edges[worst + 1]
    steps = f"step {first}" if first == last else f"steps {first} to {last}"
    idle = int((drop[2] < _LITTLE).sum())
    rest = (
        f" {idle} of the {len(drop[0])} stretches can be left out at a loss of less than {100 * _LITTLE:.0f} points."
        if idle
        else ""
    )
    return f"Without {steps} accuracy falls most, by {of}.{rest}"
