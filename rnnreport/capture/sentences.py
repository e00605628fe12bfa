"""States and predictions of sentences given by hand, recorded beside the probe set and counted nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from torch import nn

from rnnreport.capture.gates import read_gates
from rnnreport.capture.inspection import Inspection
from rnnreport.capture.passes import BATCH_SIZE, capture_states
from rnnreport.results.recorded import Checkpoint, Ints, Probe


def capture_sentences(
    model: nn.Module, probe: Probe, found: Inspection, epoch: int, inputs: Sequence[Ints]
) -> tuple[Probe, Checkpoint]:
    """Run the model on sentences without answers; it is left as it was. The gates stand beside the states.

    Parameters
    ----------
    model : nn.Module
    probe : Probe
        Of the run: its task, vocabulary and classes are those of the sentences.
    found : Inspection
        Of the model on it.
    epoch : int
    inputs : sequence of int32 (T,), token ids

    Raises
    ------
    InputError
        If the model fails.
    """
    given = replace(
        probe,
        sequence_ids=tuple(f"given {number}" for number in range(1, len(inputs) + 1)),
        lengths=np.array([len(tokens) for tokens in inputs], np.int32),
        tokens=np.concatenate(inputs),
        labels=np.zeros(0, np.int32),
        targets=_next_tokens(inputs) if probe.task == "language-model" else np.zeros(0, np.int32),
        truths=np.zeros((0, 0), np.float32),
        sampled_from=len(inputs),
    )
    if found.expected.prefixes.size:  # all of these, where only some of the probe set
        found = replace(found, expected=replace(found.expected, prefixes=np.arange(len(inputs))))
    recorded = capture_states(model, given, found, epoch)
    gates = read_gates(model, given, found.convention, BATCH_SIZE)
    return given, replace(recorded, states=recorded.states | gates)


def _next_tokens(inputs: Sequence[Ints]) -> Ints:
    return np.concatenate([np.append(tokens[1:], -1) for tokens in inputs]).astype(np.int32)
