"""What the page says of what can be read from the states: one table, shaded, which needs no scripts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnreport.report.gather import Run, available, reason, state_title
from rnnreport.results.schema import Readable

_FIFTH = ", which fifth"  # ends the name of a number, as the analysis gives it


@dataclass(frozen=True)
class Cell:
    """One accuracy; ``gain`` from 0 to 1 is its shade, ``certain`` whether it is above the control."""

    text: str
    said: str
    gain: float
    certain: bool


def readable_context(run: Run) -> dict[str, Any]:
    """What the template of the table needs."""
    found = available(run.readable)
    if found is None:
        return {"readable": None, "readable_missing": reason(run.readable)}
    return {
        "readable": {
            "title": _title(found),
            "finding": found.finding,
            "note": _note(found),
            "guide": found.guide,
            "times": [f"{time:.0%}" for time in found.times],
            "states": [state_title(state) for state in found.states],
            "rows": [
                {
                    "name": name,
                    "classes": int(found.classes[place]),
                    "states": [
                        [_cell(found, layer, place, time) for time in range(found.accuracy.shape[2])]
                        for layer in range(len(found.states))
                    ],
                }
                for place, name in enumerate(found.properties)
                if np.isfinite(found.accuracy[:, place]).any()
            ],
        },
        "readable_missing": "",
    }


def _cell(found: Readable, layer: int, place: int, time: int) -> Cell | None:
    accuracy, control = float(found.accuracy[layer, place, time]), float(found.control[layer, place, time])
    if not np.isfinite(accuracy):
        return None
    low, high = float(found.low[layer, place, time]), float(found.high[layer, place, time])
    said = (
        f"{accuracy:.1%} right, with the labels of other sequences {control:.1%}: a difference of "
        f"{100 * (accuracy - control):.1f} points ({100 * low:.1f} to {100 * high:.1f}); the most frequent class "
        f"{found.frequent[place, time]:.1%}; n = {found.steps[place, time]:,} steps of "
        f"{found.sequences[place, time]:,} sequences"
    )
    return Cell(f"{accuracy:.0%}", said, round(max(0.0, min(1.0, accuracy - control)), 3), low > 0)


def _named(name: str) -> str:
    """Of a number, "<name>, which fifth", what is read of it."""
    number = name.removesuffix(_FIFTH)
    return f"the {name}" if number == name else f"the fifth of {number}"


def _title(found: Readable) -> str:
    """The best cell of the first property."""
    gain = found.accuracy[:, 0] - found.control[:, 0]
    if not np.isfinite(gain).any():
        return "What can be read from the states"
    layer, time = np.unravel_index(np.nanargmax(gain), gain.shape)
    when = "over all steps" if time == 0 else f"at {found.times[time - 1]:.0%} of the sequence"
    right, control = found.accuracy[layer, 0, time], found.control[layer, 0, time]
    what = _named(found.properties[0])
    return f"A linear probe reads {what} rightly in {right:.0%} {when}, the control in {control:.0%}"


def _note(found: Readable) -> str:
    params = found.params
    return (
        f"linear probes, {params['folds']} folds that share no sequence · at most {params['steps_each']} steps of each "
        f"of {found.sequences.max():,} sequences per cell · control: labels of other sequences, mean of "
        f"{params['shuffles']} · last epoch"
    )
