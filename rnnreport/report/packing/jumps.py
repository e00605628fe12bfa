"""What of the jump explorer travels to the browser, and its static table."""

from __future__ import annotations

import math
from typing import Any

from rnnreport.report.environment import power_of_ten
from rnnreport.report.gather import Run, available, reason, state_title
from rnnreport.report.payload import Payload
from rnnreport.report.trees import gap_between, visible
from rnnreport.results.schema import Jumps

_STATIC = 10
_LEVELS = (1e-12, 1e-6, 1e-3)  # probabilities smaller than one of these are given by it


def pack_jumps(found: Jumps, payload: Payload) -> dict[str, Any]:
    """Pack the listed jumps; the fields are those of ``Jumps``."""
    payload.add_integers("jumps.sequences", found.sequences)
    payload.add_integers("jumps.steps", found.steps)
    payload.add_exact("jumps.values", found.values)
    payload.add_integers("jumps.classes", found.classes)
    payload.add_integers("jumps.context", found.context)
    payload.add_integers("jumps.types", found.types)
    payload.add_integers("jumps.counts", found.type_counts)
    return {
        "measures": list(found.measures),
        "counted": found.counted.tolist(),
        "largest": found.largest.tolist(),
        "tested": found.tested.tolist(),
        "chances": [[_chance(p) for p in row] for row in found.type_p.tolist()],
        "ids": list(found.sequence_ids),
        "displayed": found.displayed.tolist(),
        "lengths": found.lengths.tolist(),
        "before": found.before,
        "names": list(found.names),
    }


def jump_context(run: Run) -> dict[str, Any]:
    """What the template of the jump explorer needs."""
    found = available(run.jumps)
    if found is None:
        return {"jumps": None, "jumps_missing": reason(run.jumps)}
    return {
        "jumps": {
            "scope": state_title(found.scope),
            "guide": found.guide,
            "measures": [name for name, count in zip(found.measures, found.counted, strict=True) if count],
            "rows": _static_rows(found),
        },
        "jumps_missing": "",
    }


def _static_rows(found: Jumps) -> list[dict[str, Any]]:
    """The largest jumps in absolute size."""
    rows, gap = [], gap_between(found.names)
    for place in range(min(_STATIC, int((found.sequences[0] >= 0).sum()))):
        context = found.context[0, place].tolist()
        words = [visible(found.names[kind]) if kind >= 0 else "" for kind in context]
        rows.append(
            {
                "value": float(found.values[0, place, 0]),
                "before": gap.join(filter(None, words[: found.before])),
                "token": words[found.before],
                "after": gap.join(filter(None, words[found.before + 1 :])),
                "id": found.sequence_ids[found.sequences[0, place]],
                "step": int(found.steps[0, place]) + 1,
            }
        )
    return rows


def _chance(p: float) -> str:
    """A probability for people."""
    level = next((level for level in _LEVELS if p < level), None)
    return f"{p:.3f}" if level is None else f"< {power_of_ten(round(math.log10(level)))}"
