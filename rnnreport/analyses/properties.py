"""What a probe may be asked for at each step: answers, the place in the sequence, what was read before, tags."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnreport.results.recorded import Ints, PartsOfSpeech, Probe

Labels = NDArray[np.int64]
_COMMON = 11  # tokens or tags told apart; all others are one class
FIFTH = ", which fifth"  # ends the name of a number
_FIFTHS = (0.2, 0.4, 0.6, 0.8)


@dataclass(frozen=True)
class Property:
    """A class for every step.

    Attributes
    ----------
    name : str
    labels : int64 (S,), 0 ... K - 1, -1 where there is none
    over_time : bool, whether it is asked for at each relative time, not only anywhere
    """

    name: str
    labels: Labels
    over_time: bool = True


def properties(
    probe: Probe, step_words: Ints | None, parts: PartsOfSpeech | None, back: tuple[int, ...]
) -> list[Property]:
    """Everything there is to ask for in a probe set, what the model is made for first.

    Parameters
    ----------
    probe : Probe
    step_words : int32 (S,), prototypes of a continuous input; None where there are none
    parts : PartsOfSpeech, optional
    back : steps back at which the input is asked for
    """
    owners = np.repeat(np.arange(probe.lengths.size), probe.lengths)
    place = np.arange(owners.size) - probe.offsets[owners]
    found = answers(probe)
    inputs = step_words if probe.continuous else probe.tokens
    what = "prototype" if probe.continuous else "token"
    if inputs is not None:
        common = _common(inputs.astype(np.int64))
        for steps in back:
            earlier = np.where(place >= steps, np.roll(common, steps), -1)
            found.append(Property(f"{what} {steps} {'step' if steps == 1 else 'steps'} back", earlier))
    if parts is not None and probe.task != "tagging":
        found.append(Property("part of speech", _common(parts.tags.astype(np.int64))))
    found.append(Property(f"length{FIFTH}", _fifths(probe.lengths.astype(np.float64))[owners]))
    found.append(Property(f"step{FIFTH}", _fifths(place.astype(np.float64)), over_time=False))
    return [one for one in found if np.unique(one.labels[one.labels >= 0]).size > 1]


def answers(probe: Probe) -> list[Property]:
    """What the model is made to answer: one property, or none where nothing is known to be right.

    Of several labels or quantities it is one: the label that divides the sequences best, the first quantity.
    """
    names, owners = probe.class_names, np.repeat(np.arange(probe.lengths.size), probe.lengths)
    if probe.task == "classification" and probe.labels.size:
        return [Property("class", probe.labels.astype(np.int64)[owners])]
    if probe.task == "tagging" and probe.targets.size:
        return [Property("tag", _common(probe.targets.astype(np.int64)))]
    if probe.task == "language-model" and probe.targets.size:
        return [Property("next token", _common(probe.targets.astype(np.int64)))]
    if probe.task == "multi-label" and probe.truths.size:
        even = int(np.abs(probe.truths.mean(axis=0) - 0.5).argmin())
        return [Property(f"label {names[even]}", probe.truths[owners, even].astype(np.int64))]
    if probe.task in ("regression", "step-regression") and probe.truths.size:
        values = probe.truths[:, 0].astype(np.float64)
        fifths = _fifths(values)
        return [Property(f"{names[0]}{FIFTH}", fifths[owners] if probe.task == "regression" else fifths)]
    return []


def _common(values: Labels) -> Labels:
    """The most frequent values numbered from 0, all others as one more class; -1 stays."""
    counts = np.bincount(values[values >= 0])
    order = np.argsort(-counts, kind="stable")[:_COMMON]
    number = np.full(counts.size + 1, min(_COMMON, order.size))
    number[order] = np.arange(order.size)
    number[-1] = -1
    return number[values]


def _fifths(values: NDArray[np.float64]) -> Labels:
    """Which fifth of the known values each is in; fewer classes where many are equal, -1 where unknown."""
    known = np.isfinite(values)
    if not known.any():
        return np.full(values.size, -1)
    edges = np.unique(np.quantile(values[known], _FIFTHS))
    classes = np.searchsorted(edges, np.where(known, values, 0), side="right")
    return np.where(known, np.unique(classes[known], return_inverse=True)[1].ravel()[np.cumsum(known) - 1], -1)
