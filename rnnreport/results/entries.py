"""What the objects of the results hold that pages ask for, in one line each; ``unfit.py`` reads these lines.

A line names the kind of an entry: ``text``, ``integer``, ``number``, ``flag`` or ``object``, ``number?`` for one that
may be null, ``integers`` for a list. A key with ``?`` may be missing. After a semicolon follows what ``shapes.py`` says
of the values of arrays: ``0..k``, ``share``, ``in scopes``. Of a list every object has these entries; where ``each`` is
among them the field is an object of such objects.
"""

from __future__ import annotations

from typing import Any

from rnnreport.results import schema

_KEPT = {
    "within_unit": "number?; share",
    "within_step": "number?; share",
    "trustworthiness": "number?",
    "continuity": "number?",
    "work?": "number",
}
_PICTURES = {
    "kept": _KEPT,
    "params": {
        "nodes": "integer",
        "epochs": "integers",
        "neighbours": "integer",
        "perplexity": "number",
        "isomap_neighbours": "integer",
    },
}

ENTRIES: dict[type[Any], dict[str, dict[str, str]]] = {
    schema.Units: {
        "params": {
            "seeds": "integers",
            "starts": "integer",
            "shift": "text",
            "default": "text",
            "resamples": "integer",
        }
    },
    schema.UnitMap: {
        "trust": {"trustworthiness": "number", "continuity": "number", "neighbours": "number"},
        "params": {"steps": "integer"},
    },
    schema.Projection: {
        "trust": {
            "each": "",
            **dict.fromkeys(("trustworthiness", "continuity", "shepard", "disparity"), "number?"),
            "neighbours": "number",
            "points": "number",
            "disparity_points?": "integer",
        }
    },
    schema.Dynamics: {
        "outcome": {
            **dict.fromkeys(("samples", "entries", "landmarks", "components", "t"), "integer"),
            "t_near": "integers",
            **dict.fromkeys(("stress_plane", "stress_space", "sigma"), "number?"),
            "device": "text",
        }
    },
    schema.Pictures: _PICTURES,
    schema.RawPictures: _PICTURES,
    schema.Formation: {
        "settled": {
            **dict.fromkeys(("epoch", "low", "high", "resamples", "sequences"), "integer"),
            "similarity": "number",
        },
        "jumps": {"epoch": "integer", "after": "integer", "support": "number; share"},
        "flagged": dict.fromkeys(("purity", "alignment"), "integers; in epochs"),
        "params": {"gap": "number"},
    },
    schema.Health: {
        "faults": {
            "scope": "text; in scopes",
            "unit": "integer; 0..",
            "kind": "text",
            "value": "number?",
            "twin": "integer; -1..",
        },
        "params": dict.fromkeys(("closed_below", "open_above", "stuck_steps"), "number"),
    },
    schema.Machine: {
        "patterns": {
            "state": "integer; 0..k",
            "tokens": "integers; 0..#names",
            **dict.fromkeys(("hits", "times", "sequences"), "integer"),
            "p": "number",
        },
        "params": {"seeds": "integer"},
    },
    schema.GateUse: {"params": {"closed_below": "number", "open_above": "number"}},
    schema.Readable: {"params": dict.fromkeys(("folds", "steps_each", "shuffles"), "integer")},
    schema.Comparison: {
        "paired": {
            **dict.fromkeys(("run", "baseline", "metric"), "text"),
            **dict.fromkeys(("difference", "low", "high"), "number"),
            "n": "integer",
            "significant": "flag",
            **dict.fromkeys(("only_baseline_right?", "only_run_right?"), "integer"),
            "p_value?": "number",
        }
    },
    schema.Changes: {"found": {"run": "text", "sentences": "objects"}},
    schema.MachineDiff: {
        "edges": {
            "run": "integer; 1..Runs",
            "from": "text",
            "to": "text",
            "counts": "integers",
            "p": "number",
        },
        "found": {"run": "text", "sentences": "texts"},
    },
}
