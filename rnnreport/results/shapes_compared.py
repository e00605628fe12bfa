"""How the parts of what a comparison stored fit together, in the lines that ``shapes.py`` explains."""

from __future__ import annotations

from typing import Any

from rnnreport.results import schema

COMPARED: dict[type[Any], dict[str, str]] = {
    schema.Comparison: {
        "runs": "Runs; least 2",
        **dict.fromkeys(("cells", "history"), "Runs"),
        "scopes": "Runs; states",
        "metric_names": "M",
        "metrics": "Runs M 3",
        "sequence_ids": "Probe",
        "labels": "0 | Probe; -1..#class_names",
        "predicted": "0 0 | Runs Probe; -1..#class_names; like Choices",
        "confidence": "0 0 | Runs Probe; share; like Choices",
        "similarity": "Runs Runs",
        "epochs": "E; rising",
        "similarity_by_epoch": "Runs E",
    },
    schema.Likeness: {
        "states": "Layers; states",
        "counterparts": "Runs Layers",
        "widths": "Runs Layers; 0..",
        **dict.fromkeys(("cka", "angle"), "Runs Runs Layers"),
        **dict.fromkeys(("neighbours", "matched", "matched_chance", "same_place", "change", "dynamics"), "Runs Layers"),
        "dynamics_halves": "Layers",
        "epochs": "E; rising",
        "cka_by_epoch": "2 Runs Layers E",
        "sequences": "*; 0..Probe; rising",
        "plane": "Runs P 2",
        "plane_steps": "P; 0..; rising",
        "plane_explained": "2; share",
        "plane_left": "Runs",
    },
    schema.Slices: {
        **dict.fromkeys(("kinds", "names"), "M"),
        **dict.fromkeys(("sequences", "items"), "M; 0.."),
        "values": "Runs M",
        **dict.fromkeys(("difference", "low", "high"), "Runs-1 M"),
        **dict.fromkeys(("p_value", "adjusted"), "Runs-1 M; share"),
        **dict.fromkeys(("only_baseline_right", "only_run_right"), "Runs-1 M; -1.."),
        "members": "M Probe; 0..2",
    },
    schema.Effects: {
        "words": "W",
        "counts": "W; 0..",
        "outputs": "K",
        **dict.fromkeys(("effect", "low", "high", "spread"), "Runs W K"),
        "jump": "Runs W",
        **dict.fromkeys(("difference", "difference_low", "difference_high", "adjusted"), "Runs-1 W K+1"),
        "turned": "Runs-1 W K; 0..2",
    },
    schema.MatchedClusters: {
        "words": "W",
        "counts": "W; 0..",
        "scopes": "Runs; states",
        "ks": "Runs; 1..",
        "partner": "Runs k; -1..k",
        "overlap": "Runs k",
        "mode": "; weightings",
        "word_labels": "Runs W; -1..k",
        "unit_labels": "*; -1..k",
        "association": "Runs W",
        "agreement": "Runs",
        "response": "W *; keyed unit_labels",
        "kept_rate": "Runs 4",
    },
    schema.Changes: {
        "seeds": "*; 0..Runs; rising",
        "angle_bound": "0 | Layers",
        "verdicts": "Runs-1; one identical, no significant change, changed",
        "found": "Runs-1",
    },
    schema.MachineDiff: {
        **dict.fromkeys(("states", "answers", "stability", "agreement"), "Runs"),
        "fidelity": "Runs 3",
        "verdicts": "Runs-1; one the same machine, another machine",
        "found": "Runs-1",
    },
    schema.Confusions: {"class_names": "K", "counts": "Runs K K; 0.."},
}
