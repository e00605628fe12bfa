"""What the page says of the gates: per gate a square, a band over time, and the words that open and close it."""

from __future__ import annotations

from typing import Any

from rnnreport.report.figures.health import GatePicture, gate_band
from rnnreport.report.gather import Run, available
from rnnreport.report.trees import shortened, visible
from rnnreport.results.schema import GateUse, Words


def gate_details(run: Run, pictures: list[GatePicture]) -> list[dict[str, Any]]:
    """Of every picture its gate's band and words; nothing of a run that was analysed before they were."""
    found, words = available(run.gates), available(run.words)
    return [
        {
            "picture": picture,
            **(_details(found, picture.scope, words) if found and picture.scope in found.scopes else {}),
        }
        for picture in pictures
    ]


def _details(found: GateUse, scope: str, words: Words | None) -> dict[str, Any]:
    place = found.scopes.index(scope)
    return {
        "band": gate_band(found.shares[place], scope),
        "mean": float(found.overall[place]),
        "lists": [
            ("opens on", _words(found, place, 0, words)),
            ("closes on", _words(found, place, 1, words)),
        ],
    }


def _words(found: GateUse, gate: int, way: int, words: Words | None) -> list[dict[str, Any]]:
    return [
        {
            "word": word,
            "name": shortened(visible(words.names[word])),
            "unit": int(found.units[gate, way, place]),
            "mean": float(found.means[gate, way, place]),
            "said": (
                f"mean {found.means[gate, way, place]:.2f} ({found.low[gate, way, place]:.2f} to "
                f"{found.high[gate, way, place]:.2f}), n = {found.counts[gate, way, place]:,}; most in unit "
                f"{found.units[gate, way, place]}: {found.unit_means[gate, way, place]:.2f}"
            ),
        }
        for place, word in enumerate(found.words[gate, way].tolist())
        if word >= 0 and words is not None
    ]
