"""What has to be known about a model before its states can be recorded, found out by running it on the probe set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from rnnreport.capture.batches import Batch, equal_length_batches, make_batch, trial_batch
from rnnreport.capture.calling import Adapter, Call, Convention, find_convention, first_tensor, observe
from rnnreport.capture.heads import (
    TOLERANCE,
    Head,
    ModuleCall,
    calls_after_recurrence,
    candidate_chains,
    find_head,
    largest_error,
    last_linear_output,
    reading_of,
)
from rnnreport.capture.layers import LayerCall, refuse_unknown
from rnnreport.capture.outputs import (
    OutputReader,
    find_layout,
    form_of,
    refuse_other_classes,
    refuse_unless_per_sequence,
)
from rnnreport.capture.recurrent import RecurrentCall
from rnnreport.capture.replay import replay
from rnnreport.errors import InputError
from rnnreport.results.recorded import Probe, StateKey

RECORDED_KINDS = ("h", "c")

_STEPS_PER_BATCH = 2**15
_OUTPUTS_PER_BATCH = 2**24


@dataclass(frozen=True)
class Inspection:
    """How a model is run, what is recorded of it, and how its prediction follows from its state.

    Attributes
    ----------
    convention : Convention
    widths : dict of StateKey to int, the recorded states and their numbers of units; the default state first
    reader : OutputReader, or None where the corpus has no labels
    head : Head, or None where there is none that holds
    sentence : str, how the expected prediction is obtained, or why there is none
    architecture : dict with "cell" (str), "layers", "units", "parameters" (int) and "bidirectional" (bool); all but
        "parameters", which is of the whole model, are those of the default state
    """

    convention: Convention
    widths: dict[StateKey, int]
    reader: OutputReader | None
    head: Head | None
    sentence: str
    architecture: dict[str, Any]


def a_parameter(model: nn.Module) -> Tensor:
    """The first floating-point parameter: tells device and dtype.

    Raises
    ------
    InputError
        If the model has none.
    """
    found = next((parameter for parameter in model.parameters() if parameter.is_floating_point()), None)
    if found is None:
        raise InputError(f"{type(model).__name__} has no parameters", "give a recurrent network")
    return found


def step_budget(probe: Probe) -> int:
    """Most steps in a batch, so that neither states nor a language model's outputs fill the memory."""
    return min(_STEPS_PER_BATCH, _OUTPUTS_PER_BATCH // max(1, len(probe.vocabulary) * (probe.task == "language-model")))


def inspect_model(
    model: nn.Module,
    probe: Probe,
    head: str | None,
    adapter: Adapter | None,
    batch_size: int,
    layers: Sequence[str] = (),
) -> Inspection:
    """Inspect a model; to be called inside ``untouched``.

    Parameters
    ----------
    model : nn.Module
    probe : Probe
    head : str, optional
        Path of the module that maps a state to the prediction.
    adapter : function, optional
    batch_size : int
    layers : sequence of str
        Paths of modules whose outputs are recorded as states; the last one's is the default state.

    Raises
    ------
    InputError
        If the model cannot be run on the probe set, its output does not fit the corpus, or ``head`` does not hold.
    """
    refuse_unknown(model, layers)
    trial = trial_batch(probe, a_parameter(model))
    convention = find_convention(model, adapter, trial, layers)
    with calls_after_recurrence(model, layers) as later:
        raw, calls = observe(model, convention, trial)
    widths = _widths(calls)
    architecture = _architecture(model, calls)
    if probe.task == "unlabelled":
        sentence = "There is no expected prediction: the corpus has no labels."
        return Inspection(convention, widths, None, None, sentence, architecture)
    output = first_tensor(raw)
    if probe.task != "classification":
        reader = _step_reader(model, convention, output, probe, trial)
        return Inspection(convention, widths, reader, None, _step_sentence(widths), architecture)
    reader = _sequence_reader(output, probe, trial, later)
    chains = candidate_chains(model, later, head)
    found, reason = _find_sequence_head(chains, reader.predictions(raw, trial), calls, reader)
    unconfirmed = Inspection(convention, widths, reader, found, reason, architecture)
    if found is not None:
        found, reason = _confirm(model, probe, unconfirmed, batch_size)
    if head is not None and found is None:
        raise InputError(f"head {head!r} does not hold: {reason}", "name the module that reads the last state")
    return Inspection(convention, widths, reader, found, reason, architecture)


def default_call(calls: list[Call]) -> Call:
    """The run whose last layer's states are shown first: the last one that reads forward."""
    return next((call for call in reversed(calls) if isinstance(call, LayerCall) or not call.backward), calls[-1])


def _architecture(model: nn.Module, calls: list[Call]) -> dict[str, Any]:
    call = default_call(calls)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    if isinstance(call, LayerCall):
        cell, layers, units, both = type(model.get_submodule(call.name)).__name__, 1, call.states.shape[2], False
    else:
        cell, layers, units, both = call.mode.partition("_")[0], call.layers, call.units, call.bidirectional
    return {"cell": cell, "layers": layers, "units": units, "bidirectional": both, "parameters": parameters}


def _widths(calls: list[Call]) -> dict[StateKey, int]:
    """Recorded states and their units; the last layer's forward states first."""
    found = {
        key: states.shape[2]
        for call in calls
        for key, states in replay(call).states.items()
        if key.kind in RECORDED_KINDS
    }
    default = [_last_layer_key(calls, kind) for kind in RECORDED_KINDS]
    ordered = [key for key in default if key in found] + [key for key in found if key not in default]
    return {key: found[key] for key in ordered}


def _last_layer_key(calls: list[Call], kind: str) -> StateKey:
    call = default_call(calls)
    if isinstance(call, LayerCall):
        return StateKey(call.name, 0, "fwd", kind)
    return StateKey(call.name, call.layers - 1, "rev" if call.backward else "fwd", kind)


def _step_reader(model: nn.Module, convention: Convention, output: Tensor, probe: Probe, trial: Batch) -> OutputReader:
    alone_batch = make_batch(probe, trial.sequences[:1], a_parameter(model))
    alone = first_tensor(convention.run(model, alone_batch))
    layout = find_layout(output, alone, trial)
    outputs = output.numel() // trial.steps.size
    refuse_other_classes(outputs, probe)
    return OutputReader(layout, outputs, form_of(output.reshape(-1, outputs), None))


def _step_sentence(widths: dict[StateKey, int]) -> str:
    both = any(key.direction == "rev" for key in widths)
    caution = " It has read the sequence in both directions, so it knows what follows." if both else ""
    return f"The prediction of each step is the model's own output at that step.{caution}"


def _sequence_reader(output: Tensor, probe: Probe, trial: Batch, later: list[ModuleCall]) -> OutputReader:
    refuse_unless_per_sequence(output, trial)
    outputs = output.numel() // len(trial.sequences)
    refuse_other_classes(outputs, probe)
    return OutputReader("sequences", outputs, form_of(output.reshape(-1, outputs), last_linear_output(later)))


def _find_sequence_head(
    chains: list[list[ModuleCall]], predictions: Tensor, calls: list[Call], reader: OutputReader
) -> tuple[Head | None, str]:
    """The head that holds on the trial batch, or the reason why there is none."""
    if any(isinstance(call, RecurrentCall) and (call.bidirectional or call.backward) for call in calls):
        return None, (
            "There is no expected prediction: the model reads in both directions, so the state of a step already knows "
            "what follows."
        )
    states = last_layer(calls)
    found, error = find_head(chains, states[:, -1], predictions, reader.form)
    if found is not None:
        return found, ""
    reading = reading_of(chains, states, predictions, reader.form)
    if reading:
        return None, (
            f"There is no expected prediction: the model predicts from the {reading} of its states over all steps, not "
            "from the last one."
        )
    closest = f"the closest differs by {error:.2g}" if np.isfinite(error) else "none of them takes a state"
    return None, (
        "There is no expected prediction: no module that runs after the recurrent layers maps the last state to the "
        f"model's output ({closest}), as with attention or a head that also reads something else."
    )


def last_layer(calls: list[Call]) -> Tensor:
    """States (B, T, H) of the last layer of the recurrent layers that ran last."""
    return replay(default_call(calls)).states[_last_layer_key(calls, "h")]


def _confirm(model: nn.Module, probe: Probe, found: Inspection, batch_size: int) -> tuple[Head | None, str]:
    """Apply the head to the last state of every sequence of the probe set and compare with the model's output."""
    assert found.head is not None and found.reader is not None
    worst = 0.0
    for places in equal_length_batches(probe, batch_size, step_budget(probe)):
        batch = make_batch(probe, places, a_parameter(model))
        raw, calls = observe(model, found.convention, batch)
        expected = found.reader.predictions(raw, batch)
        worst = max(worst, largest_error(found.head(last_layer(calls)[:, -1]), expected))
    if worst <= TOLERANCE:
        return found.head, (
            f"The expected prediction of a step is {found.head}, the model's own head, applied to the state of that "
            f"step; at the last step it equals the model's output in all {len(probe.lengths)} sequences of the probe "
            f"set (largest difference {worst:.1g})."
        )
    return None, (
        f"There is no expected prediction: {found.head}, applied to the last state, differs from the model's output by "
        f"up to {worst:.2g} on the probe set."
    )
