"""What of the similar states travels to the browser (``templates/assets/similar.js`` reads it)."""

from __future__ import annotations

from typing import Any

from rnnreport.report.gather import state_title
from rnnreport.report.payload import Payload
from rnnreport.results.schema import Similar


def pack_similar(prefix: str, similar: Similar, payload: Payload) -> dict[str, Any]:
    """Pack neighbours and distances, these in units of the typical distance (of the state where that is 0)."""
    unit = similar.typical or 1.0
    payload.add_integers(f"{prefix}.neighbours", similar.neighbours)
    payload.add_reals(f"{prefix}.distances", similar.distances / unit, bits=7)
    return {
        "prefix": prefix,
        "state": state_title(similar.scope),
        "unit": float(f"{unit:.6g}"),
        "pairs": similar.pairs,
        "angleShare": round(similar.cosine_share, 2),
    }
