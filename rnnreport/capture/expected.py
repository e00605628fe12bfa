"""How the prediction expected at each step of a sequence is obtained: by the head, or else from the sequence so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnreport.capture.batches import Batch, a_parameter, equal_length_batches, make_batch, step_budget
from rnnreport.capture.calling import Call, Convention, altered, observe
from rnnreport.capture.heads import (
    TOLERANCE,
    Head,
    HeadFunction,
    ModuleCall,
    candidate_heads,
    find_head,
    given_heads,
    largest_error,
    reading_of,
)
from rnnreport.capture.layers import LayerCall
from rnnreport.capture.outputs import OutputReader
from rnnreport.capture.prefixes import PREFIX_STEPS, prefix_outputs, prefix_sample
from rnnreport.capture.recurrent import RecurrentCall
from rnnreport.capture.replay import replay
from rnnreport.errors import InputError
from rnnreport.load.importing import failure_of
from rnnreport.results.recorded import Probe, StateKey

NOWHERE: NDArray[np.int64] = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Expected:
    """How the expected prediction of a step is obtained.

    Attributes
    ----------
    head : Head, or None where there is none that holds
    prefixes : int64 (n,), where there is no head: the sequences on whose prefixes the model is run
    sentence : str, how it is obtained, or why there is none
    """

    head: Head | None
    prefixes: NDArray[np.int64]
    sentence: str


@dataclass(frozen=True)
class Trial:
    """What was seen when the model ran on a small batch.

    Attributes
    ----------
    batch : Batch
    raw : the model's output
    calls : list of Call, the runs of its recurrent layers
    later : list of ModuleCall, the modules that ran after them
    """

    batch: Batch
    raw: Any
    calls: list[Call]
    later: list[ModuleCall]


@dataclass(frozen=True)
class Reading:
    """A model and the probe set, and how the one is run on the other.

    Attributes
    ----------
    model : nn.Module
    probe : Probe
    convention : Convention
    reader : OutputReader
    batch_size : int
    """

    model: nn.Module
    probe: Probe
    convention: Convention
    reader: OutputReader
    batch_size: int


def find_expected(reading: Reading, trial: Trial, given: str | HeadFunction | None) -> Expected:
    """Find the head of a model with one prediction per sequence, and without one see what its prefixes give.

    Parameters
    ----------
    reading : Reading
    trial : Trial
    given : str or function (model, states) -> predictions, optional
        The head according to the user.

    Raises
    ------
    InputError
        If the given head does not hold.
    """
    head, finding = _find(reading, trial, given)
    if head is not None:
        head, finding = _confirm(reading, head)
    if head is not None:
        return Expected(head, NOWHERE, finding)
    if given is not None:
        name = repr(given) if isinstance(given, str) else given_heads(reading.model, given, reading.reader.form)[0].name
        raise InputError(f"head {name} does not hold: {finding}", "name what reads the last state, or leave it out")
    return _by_prefixes(reading, finding)


def _find(reading: Reading, trial: Trial, given: str | HeadFunction | None) -> tuple[Head | None, str]:
    """The head that holds on the trial batch, or the reason why there is none."""
    reader = reading.reader
    heads = (
        candidate_heads(trial.later, reader.form) if given is None else given_heads(reading.model, given, reader.form)
    )
    if any(isinstance(call, RecurrentCall) and (call.bidirectional or call.backward) for call in trial.calls):
        return None, "the model reads in both directions, so the state of a step already knows what follows"
    if _knows_what_follows(reading, trial):
        return None, "the state of a step already knows what follows"
    states, predictions = last_layer(trial.calls), reader.predictions(trial.raw, trial.batch)
    if given is not None:
        _refuse_unfit(heads, states[:, -1], predictions)
    found, error = find_head(heads, states[:, -1], predictions, reader.form)
    if found is not None:
        return found, ""
    what = reading_of(heads, states, predictions, reader.form)
    if what:
        return None, f"the model predicts from the {what} of its states over all steps, not from the last one"
    if given is not None:
        return None, f"applied to the last state, it differs by {error:.2g} from the model's output"
    closest = f"the closest differs by {error:.2g}" if np.isfinite(error) else "none of them takes a state"
    return None, (
        "no module that runs after the recurrent layers maps the last state to the model's output "
        f"({closest}), as with attention or a head that also reads something else"
    )


def _knows_what_follows(reading: Reading, trial: Trial) -> bool:
    """Whether another input at the last step changes the states before it, as in a layer that scans both ways."""
    if trial.batch.steps.shape[1] == 1:
        return False
    try:
        _, calls = observe(reading.model, reading.convention, altered(trial.batch, -1))
    except InputError:  # what the model does depends on what it reads, so this tells nothing
        return False
    before, after = (last_layer(seen)[:, :-1] for seen in (trial.calls, calls))
    return largest_error(after, before, "logits") > TOLERANCE


def _refuse_unfit(heads: Sequence[Head], states: Tensor, predictions: Tensor) -> None:
    """Raise where a given head cannot be applied to states, or gives another number of outputs.

    Raises
    ------
    InputError
    """
    head, shape = heads[0], tuple(states.shape)
    try:
        given = head(states)
    except Exception as error:
        raise InputError(
            f"head {head.name} fails on states of shape {shape}: {failure_of(error)}",
            "it must map states (n, units) to predictions (n, outputs)",
        ) from error
    if given.shape != predictions.shape:
        raise InputError(
            f"head {head.name} gives {given.shape[1]} outputs for a state, the model has {predictions.shape[1]}",
            "it must map states (n, units) to predictions (n, outputs)",
        )


def _confirm(reading: Reading, head: Head) -> tuple[Head | None, str]:
    """Apply the head to the last state of every sequence of the probe set and compare with the model's output."""
    probe, reader = reading.probe, reading.reader
    found, expected = [], []
    for places in equal_length_batches(probe, reading.batch_size, step_budget(probe)):
        batch = make_batch(probe, places, a_parameter(reading.model))
        raw, calls = observe(reading.model, reading.convention, batch)
        expected.append(reader.predictions(raw, batch))
        found.append(head(last_layer(calls)[:, -1]))
    worst = largest_error(torch.cat(found), torch.cat(expected), reader.form)
    unit = " of the largest output" if reader.form == "quantities" else ""
    if worst <= TOLERANCE:
        return head, (
            f"The expected prediction of a step is {head.name}, the model's own head, applied to the state of that "
            f"step; at the last step it equals the model's output in all {len(probe.lengths):,} sequences of the probe "
            f"set (largest difference {worst:.1g}{unit})."
        )
    return None, (
        f"{head.name}, applied to the last state, differs from the model's output by up to {worst:.2g}{unit} on the "
        "probe set"
    )


def _by_prefixes(reading: Reading, reason: str) -> Expected:
    """The model's own output for the sequence up to each step, where it can be run on parts of sequences."""
    probe = reading.probe
    places = prefix_sample(probe)
    nothing = f"There is no expected prediction: {reason}"
    if not places.size:
        limit = f"re-running the model on the prefixes of any one sequence would take more than {PREFIX_STEPS:,} steps"
        return Expected(None, NOWHERE, f"{nothing}; and {limit}.")
    outputs, unanswered = prefix_outputs(
        reading.model, probe, reading.convention, reading.reader, places, reading.batch_size
    )
    lengths = probe.lengths[places]
    if unanswered and len(unanswered) == lengths.max() - 1:
        return Expected(None, NOWHERE, f"{nothing}; and the model gives no answer for a part of a sequence.")
    sentence = (
        "The expected prediction of a step is the model's own output for the sequence up to that step, by re-running "
        f"the model on every prefix of {len(places):,} of {len(probe.lengths):,} sequences (exact, not the head "
        f"applied to the state): {reason}."
    )
    if unanswered:
        steps = int(lengths.sum())
        missing = steps - int((~np.isnan(outputs).any(axis=1)).sum())
        sentence += (
            f" The model gives no answer for prefixes of {_enumerated(unanswered)}, so {missing:,} of the {steps:,} "
            "steps of these sequences have no prediction."
        )
    return Expected(None, places, sentence)


def _enumerated(lengths: Sequence[int]) -> str:
    first, last = lengths[0], lengths[-1]
    if first == last:
        return f"{first} step" + "s" * (first > 1)
    together = last - first + 1 == len(lengths)
    return f"{first} to {last} steps" if together else f"{len(lengths)} lengths from {first} to {last} steps"


def default_call(calls: Sequence[Call]) -> Call:
    """The run whose last layer's states are shown first: the last one that reads forward."""
    return next((call for call in reversed(calls) if isinstance(call, LayerCall) or not call.backward), calls[-1])


def default_key(calls: Sequence[Call]) -> StateKey:
    """The key of the states that are shown first, and that the head is applied to."""
    call = default_call(calls)
    if isinstance(call, LayerCall):
        return StateKey(call.name, 0, "fwd", call.default)
    return StateKey(call.name, call.layers - 1, "rev" if call.backward else "fwd", "h")


def last_layer(calls: Sequence[Call]) -> Tensor:
    """States (B, T, H) of the last layer of the recurrent layers that ran last."""
    return replay(default_call(calls))[default_key(calls)]
