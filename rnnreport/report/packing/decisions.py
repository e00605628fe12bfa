"""What of the decision timeline travels to the browser, and its sentences and tables."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rnnreport.report.gather import Run, available, reason
from rnnreport.report.payload import Payload
from rnnreport.results.schema import Decisions, Sequences

_ERROR_TIMES = (0.25, 0.5, 0.75, 1.0)


def pack_decisions(found: Decisions, shown: Sequences, payload: Payload) -> dict[str, Any]:
    """Pack the timeline.

    Returns
    -------
    dict
        ``groups``, ``classes``, ``sizes`` and ``by`` as in ``Decisions``. The arrays ``decisions.decided``, ``.flips``
        and ``.right`` are those of the displayed sequences, -1 where one is not counted.
    """
    places = {int(n): place for place, n in enumerate(found.sequences)}
    kept = [places.get(int(n), -1) for n in shown.probe_index]
    for name in ("decided", "flips", "right"):
        values = getattr(found, name)
        if values.size:
            own = np.array([values[place] if place >= 0 else -1 for place in kept], np.int32)
            payload.add_integers(f"decisions.{name}", own)
    payload.add_integers("decisions.tenths", found.decided_counts)
    payload.add_integers("decisions.changes", found.flip_counts)
    payload.add_exact("decisions.times", found.times)
    payload.add_reals("decisions.margin", found.margin)
    payload.add_exact("decisions.error", found.error)
    payload.add_exact("decisions.reliability", found.reliability)
    return {
        "groups": list(found.groups),
        "classes": found.classes.tolist(),
        "sizes": found.sizes.tolist(),
        "by": found.by,
    }


def decision_context(run: Run) -> dict[str, Any]:
    """What the template of the timeline needs."""
    found = available(run.decisions)
    if found is None:
        return {"decided": None, "decisions_missing": reason(run.decisions)}
    value, low, high = found.halfway[0]
    interval = f", 95% interval {low:.0%} to {high:.0%}" if math.isfinite(low) else ""
    left_out = f" · not counted: {found.left_out}" if found.left_out else ""
    return {
        "decided": {
            "title": f"Half of the sequences are decided after {value:.0%} of their steps",
            "note": f"n = {found.sizes[0]:,} sequences of the probe set, last epoch{interval}; "
            f"{found.early[0, 0]:.0%} are decided within the first quarter{left_out}",
            "guide": found.guide,
            "by": found.by,
            "judged": bool(found.right.size),
            "rows": _group_rows(found),
            "errors": _error_rows(found),
        },
        "decisions_missing": "",
    }


def _group_rows(found: Decisions) -> list[dict[str, Any]]:
    rows = []
    for place, (name, k) in enumerate(zip(found.groups, found.classes.tolist(), strict=True)):
        size = int(found.sizes[place])
        rows.append(
            {
                "name": f"{found.by} class {name}" if k >= 0 else name,
                "size": size,
                "halfway": _with_interval(found.halfway[place].tolist()),
                "step": _steps(found.halfway_step[place].tolist()),
                "early": _with_interval(found.early[place].tolist()),
                "never": f"{found.flip_counts[place, 0] / size:.0%}",
            }
        )
    return rows


def _error_rows(found: Decisions) -> list[dict[str, str]]:
    """Calibration at a few relative times."""
    if not found.error.size:
        return []
    places = [int(np.abs(found.times - time).argmin()) for time in _ERROR_TIMES]
    return [
        {
            "time": f"{found.times[place]:.0%}",
            "error": f"{found.error[place, 0]:.3f}",
            "chance": f"{found.error[place, 1]:.3f}",
        }
        for place in places
    ]


def _steps(values: list[float]) -> str:
    value, low, high = values
    return f"{value:.0f} ({low:.0f} to {high:.0f})" if math.isfinite(low) else f"{value:.0f}"


def _with_interval(values: list[float]) -> str:
    value, low, high = values
    return f"{value:.0%} ({low:.0%} to {high:.0%})" if math.isfinite(low) and math.isfinite(high) else f"{value:.0%}"
