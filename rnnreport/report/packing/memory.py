"""What the page says of the memory of a network."""

from __future__ import annotations

from typing import Any

from rnnreport.report.figures.memory import NAMES, effect_picture, memory_axis, unit_picture, unit_rows
from rnnreport.report.gather import Run, available, reason, state_title
from rnnreport.results.schema import Memory


def memory_context(run: Run) -> dict[str, Any]:
    """What the template of the section needs."""
    found = available(run.memory)
    if found is None:
        return {"memory": None, "memory_missing": reason(run.memory)}
    rows = unit_rows(found, [units.scope for units in run.units])
    axis = memory_axis(found, rows)
    return {
        "memory": {
            "title": _title(found),
            "note": _note(found),
            "guide": found.guide,
            "legend": [(name, NAMES[name]) for name in found.curves],
            "effects": effect_picture(found, axis) if found.curves else None,
            "units": unit_picture(found, rows, axis),
        },
        "memory_missing": "",
    }


def _title(found: Memory) -> str:
    name = next((name for name in ("output", "state") if name in found.horizons), "")
    if not name:
        return "How long units keep what they hold"
    far, last = found.horizons[name][0], found.curves[name][-1, 0]
    steps = f"{far:,.0f} {'step' if far == 1 else 'steps'} later"
    if far == last:
        return f"A changed input is still felt in {NAMES[name]} {steps}, the longest distance measured"
    return f"A changed input is felt in {NAMES[name]} up to {steps}"


def _note(found: Memory) -> str:
    """Horizons with their intervals and n."""
    said = []
    for name, (far, low, high) in found.horizons.items():
        curve = found.curves[name]
        at_least = "at least " if far == curve[-1, 0] else ""
        interval = f" ({low:,.0f} to {high:,.0f})" if low == low else ""
        said.append(f"{NAMES[name]} {at_least}{far:,.0f}{interval}, n = {curve[0, 4]:,.0f}")
    horizons = f"horizons in steps, 95% intervals, n sequences: {'; '.join(said)} · " if said else ""
    half = f"half of the sequences have {found.lengths[1]:,.0f} steps or more"
    return f"{horizons}{state_title(found.scope)}, last epoch · {half}"
