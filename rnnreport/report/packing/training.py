"""What of the training travels to the browser: places of the nodes, what they answer to, curves over the epochs."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnreport.report.figures.maps import to_square
from rnnreport.report.gather import Run, available, probes_of
from rnnreport.report.packing.map import PLACE_BITS
from rnnreport.report.payload import Payload
from rnnreport.report.titles import layer_title
from rnnreport.results.recorded import StateKey
from rnnreport.results.schema import Dynamics, Formation, NodeStates, Pictures, Probes


def pack_training(run: Run, payload: Payload) -> dict[str, Any]:
    """Pack what is known of the training; None for what is not."""
    dynamics, formed = available(run.dynamics), available(run.formation)
    pictures, raw = available(run.pictures), available(run.raw_pictures)
    return {
        "dynamics": dynamics and _pack_dynamics(run, dynamics, payload),
        "formation": formed
        and [
            _pack_formation(f"formation{place}", own, run, payload)
            for place, own in enumerate((formed, *run.further_formation))
        ],
        "pictures": pictures and _pack_pictures("pictures", pictures, payload),
        "rawPictures": raw and _pack_pictures("rawPictures", raw, payload),
    }


def _pack_dynamics(run: Run, dynamics: Dynamics, payload: Payload) -> dict[str, Any]:
    active = available(run.active_words)
    of = available(run.node_states) or NodeStates((dynamics.scope,), np.zeros(dynamics.units.size, np.int32))
    payload.add_reals("dynamics.plane", to_square(dynamics.plane), bits=PLACE_BITS)
    payload.add_reals("dynamics.space", to_square(dynamics.space), bits=PLACE_BITS)
    payload.add_integers("dynamics.active", dynamics.active)
    if active:
        payload.add_integers("dynamics.words", active.words)
        payload.add_integers("dynamics.groups", active.groups)
        payload.add_integers("dynamics.wordGroups", active.word_groups)
    return {
        "epochs": dynamics.epochs.tolist(),
        "steps": dynamics.steps.tolist(),
        "units": dynamics.units.tolist(),
        "layers": [layer_title(state, of.states) for state in of.states],
        "layerOf": of.of_unit.tolist(),
        "stateOf": [_place(state, run) for state in of.states],
        "layerOfState": [_same_layer(units.scope, of.states) for units in run.units],
    }


def _place(state: str, run: Run) -> int:
    """Place of a state among the selectable ones; -1 where it is none."""
    scopes = [units.scope for units in run.units]
    return scopes.index(state) if state in scopes else -1


def _same_layer(scope: str, states: tuple[str, ...]) -> int:
    """Place of the embedded state of the same layer and direction, whatever the kind; -1 for none."""
    key = StateKey.parse(scope)
    layers = [(other.module, other.layer, other.direction) for other in map(StateKey.parse, states)]
    return layers.index(place) if (place := (key.module, key.layer, key.direction)) in layers else -1


def _pack_pictures(prefix: str, pictures: Pictures, payload: Payload) -> dict[str, Any]:
    payload.add_integers(f"{prefix}.places", pictures.places)
    for place in range(len(pictures.methods)):
        payload.add_reals(f"{prefix}.{place}", to_square(pictures.coordinates[place]), bits=PLACE_BITS)
    return {"methods": list(pictures.methods)}


def _pack_formation(prefix: str, formed: Formation, run: Run, payload: Payload) -> dict[str, Any]:
    probes = probes_of(formed.scope, run)
    for name in ("within_step", "within_unit"):
        for place, space in enumerate(("picture", "activity")):
            payload.add_reals(f"{prefix}.{name}.{space}", getattr(formed, name)[place], bits=8)
    for name in ("change", "alignment", "purity", "similarity", "participation"):
        payload.add_exact(f"{prefix}.{name}", getattr(formed, name))
    return {
        "prefix": prefix,
        "state": _place(formed.scope, run),
        "epochs": formed.epochs.tolist(),
        "steps": formed.steps.tolist(),
        "units": formed.units.tolist(),
        "probes": probes and _pack_probes(f"{prefix}.probes", probes, payload),
    }


def _pack_probes(prefix: str, probes: Probes, payload: Payload) -> dict[str, Any]:
    for name in ("accuracy", "control", "information"):
        payload.add_reals(f"{prefix}.{name}", getattr(probes, name), bits=8)
    payload.add_exact(f"{prefix}.read", np.stack([probes.mean[0], probes.control.mean(axis=1)]))
    payload.add_exact(f"{prefix}.held", np.stack([probes.information.mean(axis=1), probes.noise]))
    return {"what": probes.what, "measure": probes.measure, "sequences": probes.sequences}
