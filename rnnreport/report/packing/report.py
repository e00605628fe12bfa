"""What of a run travels to the browser: arrays into the payload, names and settings into its description."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rnnreport.report.gather import Run, available, noun, state_title
from rnnreport.report.given import with_given
from rnnreport.report.packing.causes import pack_attribution
from rnnreport.report.packing.decisions import pack_decisions
from rnnreport.report.packing.fixed_points import pack_fixed_points
from rnnreport.report.packing.jumps import pack_jumps
from rnnreport.report.packing.machine import pack_machine
from rnnreport.report.packing.map import pack_projection
from rnnreport.report.packing.similar import pack_similar
from rnnreport.report.packing.training import pack_training
from rnnreport.report.packing.units import pack_units, pack_words
from rnnreport.report.payload import Payload
from rnnreport.report.tasks import TASKS
from rnnreport.results.recorded import NUMERIC, Floats
from rnnreport.results.schema import (
    Comparison,
    Dependence,
    GivenSentences,
    Sequences,
    Unavailable,
)


def describe_report(run: Run, payload: Payload) -> dict[str, Any]:
    """Pack a report.

    Returns
    -------
    dict
        What the page's scripts need to know besides the arrays; sections that do not apply are None.
    """
    words, sequences = available(run.words), available(run.sequences)
    projection = available(run.projection)
    comparison, scored = available(run.comparison), available(run.performance)
    decided, jumps = available(run.decisions), available(run.jumps)
    given, similar, machine = available(run.given), available(run.similar), available(run.machine)
    alike = (similar, *run.further_similar) if similar else run.further_similar
    fixed = available(run.fixed_points)
    if scored:
        payload.add_exact("scored.truth", scored.truth)
        payload.add_exact("scored.output", scored.output)
    attribution = available(run.attribution)
    gates = sum(units.scope not in run.manifest.state_keys for units in run.units)
    return {
        "kind": "report",
        "states": [state_title(units.scope) for units in run.units],
        "words": words and pack_words(words, payload, given.step_words if given else np.zeros(0, np.int32)),
        "units": [
            pack_units(
                f"units{place}",
                units,
                run.unit_maps[place],
                sequences.lengths if sequences else np.zeros(0, np.int32),
                payload,
                gates=gates * (units.scope not in run.manifest.state_keys),
                given=_given_states(given, units.scope),
            )
            for place, units in enumerate(run.units)
        ],
        "sequences": sequences and _pack_displayed(sequences, given, payload),
        "map": projection and pack_projection(projection, available(run.given_places) if given else None, payload),
        **pack_training(run, payload),
        "decisions": decided and sequences and pack_decisions(decided, sequences, payload),
        "jumps": jumps and sequences and pack_jumps(jumps, payload),
        "similar": [pack_similar(f"similar{place}", one, payload) for place, one in enumerate(alike)]
        if sequences
        else [],
        "fixed": fixed and pack_fixed_points(fixed, run.projection, payload),
        "machine": machine and sequences and pack_machine(machine, payload),
        "attribution": attribution and sequences and pack_attribution(attribution, payload),
        "dependence": sequences and _pack_dependence(run, len(sequences.lengths), payload),
        "comparison": comparison and sequences and _pack_flips(comparison, sequences),
    }


def describe_comparison(comparison: Comparison, sequences: Sequence[Sequences], payload: Payload) -> dict[str, Any]:
    """Pack a comparison page: the displayed sequences of every run."""
    payload.add_integers("predicted", comparison.predicted)
    payload.add_reals("confidence", comparison.confidence, bits=8)
    return {
        "kind": "comparison",
        "runs": list(comparison.runs),
        "sequences": [_pack_sequences(f"run{place}", run, payload) for place, run in enumerate(sequences)],
    }


def _pack_displayed(shown: Sequences, given: GivenSentences | None, payload: Payload) -> dict[str, Any]:
    """The displayed sequences, after them those given by hand."""
    packed = _pack_sequences("sequences", with_given(shown, given), payload)
    unknown = (given.unknown + len(shown.tokens)).tolist() if given else []
    known_of = len(shown.sequence_ids) == shown.total_sequences
    return packed | {"all": known_of, "shown": len(shown.sequence_ids), "unknown": unknown}


def _given_states(given: GivenSentences | None, scope: str) -> Floats:
    """float32 (P, H), the states of the sentences given by hand; (P, 0) of a gate."""
    if given is None:
        return np.zeros((0, 0), np.float32)
    return given.activation.get(scope, np.zeros((len(given.tokens), 0), np.float32))


def _pack_sequences(prefix: str, sequences: Sequences, payload: Payload) -> dict[str, Any]:
    for name in ("lengths", "labels", "predicted", "tokens", "targets", "top_tokens"):
        payload.add_integers(f"{prefix}.{name}", getattr(sequences, name))
    for name in ("confidence", "top_probabilities"):
        payload.add_reals(f"{prefix}.{name}", getattr(sequences, name), bits=8)
    for name in ("surprisal", "distance"):
        payload.add_reals(f"{prefix}.{name}", getattr(sequences, name))
    payload.add_columns(f"{prefix}.values", sequences.values, bits=8)
    if sequences.task in NUMERIC:
        payload.add_columns(f"{prefix}.step_output", sequences.step_output)
    else:
        payload.add_reals(f"{prefix}.step_output", sequences.step_output, bits=8, changes=True)
    payload.add_exact(f"{prefix}.truths", sequences.truths)
    payload.add_exact(f"{prefix}.outputs", sequences.outputs)
    return {
        "prefix": prefix,
        "kind": TASKS[sequences.task].kind,
        "task": sequences.task,
        "featureNames": list(sequences.feature_names),
        "ids": list(sequences.sequence_ids),
        "tokenNames": list(sequences.token_names),
        "noun": noun(sequences),
        "classNames": list(sequences.class_names),
        "epochs": sequences.epochs.tolist(),
        "all": len(sequences.sequence_ids) == sequences.total_sequences,
        "largestDistance": _rounded(sequences.largest_distance),
    }


def _pack_dependence(run: Run, displayed: int, payload: Payload) -> dict[str, Any]:
    """Of every state; the sentences given by hand follow the displayed sequences."""
    if isinstance(run.dependence, Unavailable):
        return {"reason": run.dependence.reason}
    given = {one.scope: one for one in run.given_dependence}
    found = (run.dependence, *run.further_dependence)
    for place, one in enumerate(found):
        parts: list[Dependence] = [one]
        if one.scope in given:
            hand = given[one.scope]
            parts.append(replace(hand, sequences=hand.sequences + np.int32(displayed)))
        prefix = f"dependence{place}"
        payload.add_integers(f"{prefix}.sequences", np.concatenate([part.sequences for part in parts]))
        payload.add_integers(f"{prefix}.lengths", np.concatenate([part.lengths for part in parts]))
        payload.add_reals(f"{prefix}.shares", np.concatenate([part.shares for part in parts]), bits=8)
        payload.add_exact(f"{prefix}.largest", np.concatenate([part.largest for part in parts]))
    return {"reason": "", "states": [state_title(one.scope) for one in found]}


def _pack_flips(comparison: Comparison, sequences: Sequences) -> dict[str, Any]:
    return {"runs": list(comparison.runs), "shown": list(sequences.sequence_ids)}


def _rounded(value: float) -> float | None:
    """Six significant digits; None for what is not a number."""
    return float(f"{value:.6g}") if np.isfinite(value) else None
