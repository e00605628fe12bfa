"""What of the training travels to the browser: places of the nodes, what they answer to, curves over the epochs."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnreport.report.figures.maps import to_square
from rnnreport.report.gather import Run, available
from rnnreport.report.packing_map import PLACE_BITS
from rnnreport.report.payload import Payload
from rnnreport.results.schema import ActiveWords, Dynamics, Formation, Pictures, Probes


def pack_training(run: Run, payload: Payload) -> dict[str, Any]:
    """Pack what is known of the training; None for what is not."""
    dynamics, formed = available(run.dynamics), available(run.formation)
    pictures, raw = available(run.pictures), available(run.raw_pictures)
    return {
        "dynamics": dynamics and _pack_dynamics(dynamics, available(run.active_words), payload),
        "formation": formed and _pack_formation(formed, payload),
        "probes": formed and (probes := available(run.probes)) and _pack_probes(probes, payload),
        "pictures": pictures and _pack_pictures("pictures", pictures, payload),
        "rawPictures": raw and _pack_pictures("rawPictures", raw, payload),
    }


def _pack_dynamics(dynamics: Dynamics, active: ActiveWords | None, payload: Payload) -> dict[str, Any]:
    payload.add_reals("dynamics.plane", to_square(dynamics.plane), bits=PLACE_BITS)
    payload.add_reals("dynamics.space", to_square(dynamics.space), bits=PLACE_BITS)
    payload.add_integers("dynamics.active", dynamics.active)
    if active:
        payload.add_integers("dynamics.words", active.words)
        payload.add_integers("dynamics.groups", active.groups)
        payload.add_integers("dynamics.wordGroups", active.word_groups)
    return {"epochs": dynamics.epochs.tolist(), "steps": dynamics.steps.tolist(), "units": dynamics.units.tolist()}


def _pack_pictures(prefix: str, pictures: Pictures, payload: Payload) -> dict[str, Any]:
    payload.add_integers(f"{prefix}.places", pictures.places)
    for place in range(len(pictures.methods)):
        payload.add_reals(f"{prefix}.{place}", to_square(pictures.coordinates[place]), bits=PLACE_BITS)
    return {"methods": list(pictures.methods)}


def _pack_formation(formed: Formation, payload: Payload) -> dict[str, Any]:
    for name in ("within_step", "within_unit"):
        for place, space in enumerate(("picture", "activity")):
            payload.add_reals(f"formation.{name}.{space}", getattr(formed, name)[place], bits=8)
    for name in ("change", "alignment", "purity", "similarity", "participation"):
        payload.add_exact(f"formation.{name}", getattr(formed, name))
    return {"epochs": formed.epochs.tolist(), "steps": formed.steps.tolist(), "units": formed.units.tolist()}


def _pack_probes(probes: Probes, payload: Payload) -> dict[str, Any]:
    for name in ("accuracy", "control", "information"):
        payload.add_reals(f"probes.{name}", getattr(probes, name), bits=8)
    payload.add_exact("probes.read", np.stack([probes.mean[0], probes.control.mean(axis=1)]))
    payload.add_exact("probes.held", np.stack([probes.information.mean(axis=1), probes.noise]))
    return {"what": probes.what, "sequences": probes.sequences}
