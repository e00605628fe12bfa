"""What the page says of why the model answers as it does."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnreport.report.figures.importance import importance_bars, importance_curve, written
from rnnreport.report.gather import Run, available, reason
from rnnreport.results.schema import UnitImportance


def importance_context(run: Run) -> dict[str, Any]:
    """What the template of the frame on units needs."""
    found = available(run.importance)
    if found is None:
        return {"importance": None, "importance_missing": reason(run.importance)}
    scopes = [units.scope for units in run.units]
    sure = int((found.p_values < 0.05).sum())
    return {
        "importance": {
            "title": _title(found),
            "note": _note(found),
            "guide": found.guide,
            "bars": importance_bars(found, scopes),
            "bars_title": f"{sure:,} of {len(found.rise):,} {found.parts} matter beyond doubt",
            "curve": importance_curve(found),
            "curve_title": f"The {found.metric}, with units held",
        },
        "importance_missing": "",
    }


def _title(found: UnitImportance) -> str:
    units = found.unit.size
    if np.isnan(found.enough[0]):
        return f"Holding all {units:,} units at their mean costs nothing beyond doubt"
    what = f"the {found.metric}" if found.metric != "loss" else "what the state tells of the next token"
    carried = "unit carries" if found.enough[0] == 1 else "units carry"
    return f"{found.enough[0]:,.0f} of {units:,} {carried} 90% of {what}"


def _note(found: UnitImportance) -> str:
    write = written(found.metric)
    whole, constant = (
        f"{write(value)} ({write(low)} to {write(high)})" if np.isfinite(low) else write(value)
        for value, low, high in (found.whole.tolist(), found.constant.tolist())
    )
    said = [
        f"{found.metric}{', nats per token' if found.metric == 'loss' else ''}: {whole} as it is, {constant} with all "
        f"held, n = {found.judged:,} sequences (bars: {found.sequences:,})"
    ]
    if np.isfinite(found.enough[1]):
        said.append(f"enough: {found.enough[1]:.0f} to {found.enough[2]:.0f} units (95%)")
    if np.isfinite(found.agreement[0]):
        rho, low, high, units = found.agreement.tolist()
        interval = f" ({low:.2f} to {high:.2f})" if np.isfinite(low) else ""
        said.append(
            f"rank correlation of a unit's cost with the size of its readout {rho:.2f}{interval}, n = {units:.0f} units"
        )
    return " · ".join(said)
