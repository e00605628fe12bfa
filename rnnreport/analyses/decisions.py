"""When the prediction of a sequence settles: over all sequences, by class, and for those read rightly and wrongly."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rnnreport.analyses.bootstrap import (
    BootstrapParams,
    exact_ends,
    percentile_interval,
    ratio_interval,
    resampled_sums,
    resamples,
)
from rnnreport.analyses.calibration import calibration
from rnnreport.analyses.scores import LABEL_AT, set_numbers
from rnnreport.results.recorded import Checkpoint, Doubles, Floats, Ints, Probe
from rnnreport.results.schema import Decisions, Unavailable

_GUIDE = (
    "A prediction is decided at the step from which it never changes again, counted as a share of the sequence. The "
    "margin is the {margin}: below zero the model still holds something else. Confidence is reliable where the share "
    "that is right equals it; grey bars show where 95% of perfectly calibrated models would lie with as many "
    "predictions. Intervals resample whole sequences. A model that was trained on whole sequences has never had to "
    "answer early: what it expects before the end may be off without being an error."
)
_MARGINS = {
    "classification": "probability of the class predicted at the end less the largest other one",
    "multi-label": "least margin of any label to the side it ends on, from -1 to 1",
}
_WHY_NOT = {
    "tagging": "every step has an answer of its own, so there is no answer to settle on",
    "language-model": "every step foresees another token, so there is no answer to settle on",
    "regression": "a quantity changes at every step, so there is no step at which it is decided",
    "step-regression": "every step has a quantity of its own, so there is no answer to settle on",
    "unlabelled": "there is no expected prediction",
}


@dataclass(frozen=True)
class DecisionParams:
    """Number of relative times, of classes shown apart and of flips told apart, and the intervals."""

    times: int = 20
    most_classes: int = 8
    most_flips: int = 5
    bootstrap: BootstrapParams = field(default_factory=BootstrapParams)


@dataclass(frozen=True)
class Settled:
    """When M sequences settle.

    Attributes
    ----------
    sequences : int64 (M,), places in the probe set: those with at least two steps and an expected prediction at each
    decided : int64 (M,), the step, from 1, from which the prediction stays
    flips : int64 (M,)
    final : int32 (M,), the prediction at the end: a class, or the number of a set of labels
    """

    sequences: NDArray[np.int64]
    decided: NDArray[np.int64]
    flips: NDArray[np.int64]
    final: Ints


def decision_timeline(probe: Probe, last: Checkpoint, params: DecisionParams) -> Decisions | Unavailable:
    """When sequences are decided, with what margin, and how reliable the confidence is by then.

    Parameters
    ----------
    probe : Probe
    last : Checkpoint
        Of the last epoch.
    params : DecisionParams
    """
    if probe.task in _WHY_NOT or not last.step_output.size:
        return Unavailable(Decisions.analysis, _WHY_NOT.get(probe.task, "there is no expected prediction"))
    settled = settle(probe, last)
    if not settled.sequences.size:
        reason = "no sequence of at least two steps has an expected prediction at every step"
        return Unavailable(Decisions.analysis, reason)
    right = _right(probe, last, settled)
    names, classes, members, by = _groups(probe, settled, right, params.most_classes)
    lengths = probe.lengths[settled.sequences]
    share = settled.decided / lengths
    times = np.arange(1, params.times + 1) / params.times
    output = _outputs_at(last.step_output, probe, settled.sequences, times)
    margin = _margin(output, probe, settled)
    error, reliability = _calibration(output, probe, settled)
    return Decisions(
        sequences=settled.sequences.astype(np.int32),
        decided=settled.decided.astype(np.int32),
        flips=settled.flips.astype(np.int32),
        right=right,
        groups=names,
        classes=classes,
        by=by,
        sizes=np.array([one.sum() for one in members], np.int32),
        halfway=np.array([_median(share[one], params.bootstrap) for one in members]),
        halfway_step=np.array([_median(settled.decided[one].astype(np.float64), params.bootstrap) for one in members]),
        early=np.array([_early(settled.decided[one] * 4 <= lengths[one], params.bootstrap) for one in members]),
        decided_counts=np.array([tenths(settled.decided[one], lengths[one]) for one in members], np.int32),
        flip_counts=np.array([_capped(settled.flips[one], params.most_flips) for one in members], np.int32),
        times=times,
        margin=np.array([_means(margin[one], params.bootstrap) for one in members]),
        error=error,
        reliability=reliability,
        left_out=_left_out(probe, settled),
        guide=_GUIDE.format(margin=_MARGINS[probe.task]),
    )


def settle(probe: Probe, last: Checkpoint) -> Settled:
    """When the expected prediction of every sequence changes for the last time.

    Parameters
    ----------
    probe : Probe
        Of a classification, or of several labels.
    last : Checkpoint
        With expected predictions.
    """
    offsets, output = probe.offsets, last.step_output
    expected = np.logical_and.reduceat(np.isfinite(output).all(axis=1), offsets[:-1])
    kept = np.flatnonzero((probe.lengths > 1) & expected)
    chosen = set_numbers(output >= LABEL_AT)[0] if probe.task == "multi-label" else output.argmax(axis=1)
    number = np.arange(chosen.size) - np.repeat(offsets[:-1], probe.lengths) + 1
    final = chosen[offsets[1:] - 1]
    differs = np.where(chosen != np.repeat(final, probe.lengths), number, 0)
    changed = np.append(False, chosen[1:] != chosen[:-1]) & (number > 1)
    decided = np.maximum.reduceat(differs, offsets[:-1]) + 1
    flips = np.add.reduceat(changed.astype(np.int64), offsets[:-1])
    return Settled(kept, decided[kept], flips[kept], final[kept].astype(np.int32))


def tenths(decided: NDArray[np.integer], lengths: NDArray[np.integer]) -> NDArray[np.int64]:
    """int64 (10,): sequences decided in each tenth of their steps, upper ends included, in whole numbers."""
    return np.bincount(-(-10 * decided // lengths) - 1, minlength=10)


def _right(probe: Probe, last: Checkpoint, settled: Settled) -> Ints:
    """int32 (M,), 1 where the prediction at the end is right; (0,) without labels."""
    if probe.task == "multi-label":
        if not probe.truths.size:
            return np.zeros(0, np.int32)
        gives = last.step_output[probe.offsets[1:] - 1][settled.sequences] >= LABEL_AT
        return np.asarray((gives == (probe.truths[settled.sequences] > 0)).all(axis=1), np.int32)
    if not probe.labels.size:
        return np.zeros(0, np.int32)
    return np.asarray(settled.final == probe.labels[settled.sequences], np.int32)


def _groups(
    probe: Probe, settled: Settled, right: Ints, most: int
) -> tuple[tuple[str, ...], Ints, list[NDArray[np.bool_]], str]:
    """Names, classes and members, bool (M,), of the groups that have any, and which class is meant."""
    count = settled.sequences.size
    found = [("all", -1, np.ones(count, bool))]
    if right.size:
        found += [("right", -1, right == 1), ("wrong", -1, right == 0)]
    by = ""
    if probe.task == "classification":
        by = "true" if probe.labels.size else "predicted"
        own = probe.labels[settled.sequences] if probe.labels.size else settled.final
        sizes = np.bincount(own, minlength=len(probe.class_names))
        for k in np.sort(np.argsort(-sizes, kind="stable")[:most]):
            found.append((probe.class_names[k], int(k), own == k))
    found = [one for one in found if one[2].any()]
    return tuple(one[0] for one in found), np.array([one[1] for one in found], np.int32), [one[2] for one in found], by


def _outputs_at(output: Floats, probe: Probe, sequences: NDArray[np.int64], times: Doubles) -> Floats:
    """float32 (M, R, K): the expected prediction of each sequence at each relative time."""
    # Rounding first: 0.15 of 20 steps are 3, not the 4 that 0.15 * 20 = 3.0000000000000004 would give.
    steps = np.ceil(np.round(probe.lengths[sequences][:, None] * times, 6)).astype(np.int64)
    return np.asarray(output[probe.offsets[sequences][:, None] + steps - 1])


def _margin(output: Floats, probe: Probe, settled: Settled) -> Doubles:
    """float64 (M, R): the margin of the final prediction at each relative time."""
    values = output.astype(np.float64)
    if probe.task == "multi-label":
        return np.asarray(np.where(values[:, -1:] >= LABEL_AT, 2 * values - 1, 1 - 2 * values).min(axis=2))
    own = settled.final[:, None, None]
    held = np.take_along_axis(values, np.broadcast_to(own, (*values.shape[:2], 1)), axis=2)[..., 0]
    other = np.where(np.arange(values.shape[2]) == own, -np.inf, values).max(axis=2)
    return np.asarray(held - np.where(np.isfinite(other), other, 0.0))  # a single class has no other


def _calibration(output: Floats, probe: Probe, settled: Settled) -> tuple[Doubles, Doubles]:
    """Error (R, 2) and reliability (R, 10, 5) at each relative time; none without labels."""
    several = probe.task == "multi-label"
    if not (probe.truths.size if several else probe.labels.size):
        return np.zeros((0, 2)), np.zeros((0, 10, 5))
    values = output.astype(np.float64)
    if several:  # each label of each sequence is a prediction
        right = (values >= LABEL_AT) == (probe.truths[settled.sequences] > 0)[:, None]
        confidence = np.maximum(values, 1 - values)
    else:
        right = (values.argmax(axis=2) == probe.labels[settled.sequences][:, None])[..., None]
        confidence = values.max(axis=2)[..., None]
    found = [calibration(confidence[:, place].ravel(), right[:, place].ravel()) for place in range(output.shape[1])]
    return np.array([[one.error, one.by_chance] for one in found]), np.array([one.bins for one in found])


def _median(values: Doubles, params: BootstrapParams) -> tuple[float, float, float]:
    """The lower median, which is a value that occurs, and its bootstrap interval."""
    ordered, middle = np.sort(values), (values.size - 1) // 2
    if values.size < 2:
        return float(ordered[middle]), float("nan"), float("nan")
    # A resample's median is the value at the middle one of its places, counted in sorted values.
    drawn = resamples(values.size, params, np.int32)
    places = np.concatenate([np.partition(some, middle, axis=1)[:, middle] for some in drawn])
    return float(ordered[middle]), *percentile_interval(ordered[places], params)


def _early(early: NDArray[np.bool_], params: BootstrapParams) -> tuple[float, float, float]:
    found = ratio_interval(early.astype(np.float64), np.ones(early.size), params)
    return exact_ends(*found, early.size, params)


def _means(values: Doubles, params: BootstrapParams) -> Doubles:
    """float64 (R, 3): mean and interval of each column of (M, R), all of the same resamples."""
    drawn = resampled_sums(list(values.T), params) / len(values)
    bounds = [percentile_interval(one, params) for one in drawn]
    return np.column_stack([values.mean(axis=0), np.array(bounds)])


def _capped(flips: NDArray[np.integer], most: int) -> NDArray[np.int64]:
    return np.bincount(np.minimum(flips, most), minlength=most + 1)


def _left_out(probe: Probe, settled: Settled) -> str:
    short = int((probe.lengths < 2).sum())
    without = probe.lengths.size - short - settled.sequences.size
    counts = ((short, "of one step"), (without, "without an expected prediction"))
    return " and ".join(f"{count:,} {what}" for count, what in counts if count)
