"""What has to be known about a model before its states can be recorded, found out by running it on the probe set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from rnnreport.capture.batches import Batch, a_parameter, make_batch, trial_batch
from rnnreport.capture.calling import Adapter, Call, Convention, find_convention, first_tensor, observe
from rnnreport.capture.expected import (
    NOWHERE,
    Expected,
    Reading,
    Trial,
    default_call,
    default_key,
    find_expected,
)
from rnnreport.capture.heads import HeadFunction, calls_after_recurrence, last_linear_output
from rnnreport.capture.layers import LayerCall, parse_layers
from rnnreport.capture.outputs import (
    OutputReader,
    find_layout,
    form_of,
    refuse_other_classes,
    refuse_unless_per_sequence,
)
from rnnreport.capture.padding import padding_holds
from rnnreport.capture.recurrent import RecurrentCall
from rnnreport.capture.replay import replay
from rnnreport.errors import InputError
from rnnreport.results.recorded import PER_SEQUENCE, Probe, StateKey


@dataclass(frozen=True)
class Inspection:
    """How a model is run, what is recorded of it, and how its prediction follows from its state.

    Attributes
    ----------
    convention : Convention
    widths : dict of StateKey to int, the recorded states and their numbers of units; the default state first
    reader : OutputReader, or None where the corpus has no labels
    expected : Expected, how the prediction of each step is obtained
    architecture : dict with "cell" (str), "layers", "units", "parameters" (int) and "bidirectional" (bool); all but
        "parameters", which is of the whole model, are those of the default state, and of the layers below it where
        these stand in one list ("units" is then a text, "32, 16", where they differ)
    padding : bool, whether sequences of several lengths may go together, padded at the end
    """

    convention: Convention
    widths: dict[StateKey, int]
    reader: OutputReader | None
    expected: Expected
    architecture: dict[str, Any]
    padding: bool


def inspect_model(
    model: nn.Module,
    probe: Probe,
    head: str | HeadFunction | None,
    adapter: Adapter | None,
    batch_size: int,
    layers: Sequence[str] = (),
) -> Inspection:
    """Inspect a model; to be called inside ``untouched``.

    Parameters
    ----------
    model : nn.Module
    probe : Probe
    head : str or function (model, states) -> predictions, optional
        What maps a state to the prediction: the path of a module, or a function.
    adapter : function, optional
    batch_size : int
    layers : sequence of str
        Paths of modules whose outputs are recorded as states, as ``PATH`` or ``PATH:NAME,NAME``; the last one's is the
        default state.

    Raises
    ------
    InputError
        If the model cannot be run on the probe set, its output does not fit the corpus, or ``head`` does not hold.
    """
    _refuse_needless(head, probe)
    named = parse_layers(model, layers)
    trial = trial_batch(probe, a_parameter(model))
    convention = find_convention(model, adapter, trial, named)
    with calls_after_recurrence(model, [layer.path for layer in named]) as later:
        raw, calls = observe(model, convention, trial)
    widths = _widths(calls)
    architecture = _architecture(model, calls)
    if probe.task == "unlabelled":
        nothing = Expected(None, NOWHERE, "There is no expected prediction: the corpus has no labels.")
        padding = padding_holds(model, probe, convention, None)
        return Inspection(convention, widths, None, nothing, architecture, padding)
    output = first_tensor(raw)
    if probe.task not in PER_SEQUENCE:
        reader = _step_reader(model, convention, output, probe, trial)
        nothing = Expected(None, NOWHERE, _step_sentence(widths))
        padding = padding_holds(model, probe, convention, reader)
        return Inspection(convention, widths, reader, nothing, architecture, padding)
    reader = _sequence_reader(output, probe, trial, last_linear_output(later))
    reading = Reading(model, probe, convention, reader, batch_size)
    expected = find_expected(reading, Trial(trial, raw, calls, later), head)
    padding = padding_holds(model, probe, convention, reader)
    return Inspection(convention, widths, reader, expected, architecture, padding)


def _architecture(model: nn.Module, calls: list[Call]) -> dict[str, Any]:
    call = default_call(calls)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    units: int | str
    if isinstance(call, LayerCall):
        units = call.states[call.default].shape[2]
        cell, layers, both = type(model.get_submodule(call.name)).__name__, 1, False
    else:
        cell, layers, units, both = call.mode.partition("_")[0], call.layers, call.units, call.bidirectional
        stack = _stack_of(call, calls)
        if len(stack) > 1:
            layers = sum(each.layers for each in stack)
            sizes = [each.units for each in stack for _ in range(each.layers)]
            units = units if len(set(sizes)) == 1 else ", ".join(map(str, sizes))
    return {"cell": cell, "layers": layers, "units": units, "bidirectional": both, "parameters": parameters}


def _stack_of(last: RecurrentCall, calls: list[Call]) -> list[RecurrentCall]:
    """The layers of the list that a layer stands in, as ``rnn.0`` and ``rnn.1``, up to it; of one kind of cell."""
    parent, _, number = last.name.rpartition(".")
    if not number.isdigit():
        return [last]
    below = [f"{parent}.{place}" for place in range(int(number))]
    found = [
        each for each in calls if isinstance(each, RecurrentCall) and each.name in below and each.mode == last.mode
    ]
    return [*found, last] if [each.name for each in found] == below else [last]


def _widths(calls: list[Call]) -> dict[StateKey, int]:
    """Recorded states and their units; the last layer's forward states first, the hidden one in front."""
    found = {key: states.shape[2] for call in calls for key, states in replay(call).items()}
    default = default_key(calls)
    beside = [key for key in found if key != default and replace(key, kind=default.kind) == default]
    ordered = [default, *beside, *(key for key in found if key != default and key not in beside)]
    return {key: found[key] for key in ordered}


def _refuse_needless(head: str | HeadFunction | None, probe: Probe) -> None:
    """Raise where a head is given though the state of a step is not asked what it predicts.

    Raises
    ------
    InputError
    """
    if head is not None and probe.task not in PER_SEQUENCE:
        why = "the corpus has no labels" if probe.task == "unlabelled" else "the model itself answers at each step"
        raise InputError(f"a head is given, but {why}", "leave out --head")


def _step_reader(model: nn.Module, convention: Convention, output: Tensor, probe: Probe, trial: Batch) -> OutputReader:
    alone_batch = make_batch(probe, trial.sequences[:1], a_parameter(model))
    alone = first_tensor(convention.run(model, alone_batch))
    layout = find_layout(output, alone, trial)
    outputs = output.numel() // trial.steps.size
    refuse_other_classes(outputs, probe)
    return OutputReader(layout, outputs, form_of(output.reshape(-1, outputs), None, probe.task))


def _step_sentence(widths: dict[StateKey, int]) -> str:
    both = any(key.direction == "rev" for key in widths)
    caution = " It has read the sequence in both directions, so it knows what follows." if both else ""
    return f"The prediction of each step is the model's own output at that step.{caution}"


def _sequence_reader(output: Tensor, probe: Probe, trial: Batch, last_linear: Tensor | None) -> OutputReader:
    refuse_unless_per_sequence(output, trial)
    outputs = output.numel() // len(trial.sequences)
    refuse_other_classes(outputs, probe)
    return OutputReader("sequences", outputs, form_of(output.reshape(-1, outputs), last_linear, probe.task))
