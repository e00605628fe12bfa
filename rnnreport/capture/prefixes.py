"""Predictions at every step where no head gives them: the model itself, run on the sequence up to that step.

A sequence of T steps has T prefixes of T (T + 1) / 2 steps in all, so only a sample of the sequences is run. Prefixes
of one length go together in a batch, as whole sequences do, so that no padding enters any number.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import nn

from rnnreport.capture.batches import a_parameter, make_batch, step_budget
from rnnreport.capture.calling import Convention
from rnnreport.capture.isolation import attributes_kept
from rnnreport.capture.outputs import OutputReader
from rnnreport.capture.probe import hash_order
from rnnreport.errors import InputError
from rnnreport.results.recorded import Floats, Probe

PREFIX_STEPS = 50_000  # a second or two for a small net, at every epoch (see tests/benchmarks)


def prefix_sample(probe: Probe, budget: int = PREFIX_STEPS) -> NDArray[np.int64]:
    """The sequences whose prefixes are run, the same at every epoch.

    In the order of the hashes of their ids, which is that of the displayed sequences, until the next one would exceed
    the budget. A sequence that exceeds it alone is left out.

    Parameters
    ----------
    probe : Probe
    budget : int
        Most steps of all prefixes together.

    Returns
    -------
    int64 (n,), places in the probe set, increasing
    """
    lengths = probe.lengths.astype(np.int64)
    steps = lengths * (lengths + 1) // 2
    order = np.array(hash_order(probe.sequence_ids), np.int64)
    order = order[steps[order] <= budget]
    return np.sort(order[np.cumsum(steps[order]) <= budget])


def prefix_outputs(
    model: nn.Module,
    probe: Probe,
    convention: Convention,
    reader: OutputReader,
    places: NDArray[np.int64],
    batch_size: int,
) -> tuple[Floats, list[int]]:
    """The model's own output for every prefix of some sequences; to be called inside ``untouched``.

    Parameters
    ----------
    model : nn.Module
    probe : Probe
    convention : Convention
    reader : OutputReader, of one prediction per sequence
    places : int64 (n,), of the sequences in the probe set
    batch_size : int
        Most prefixes in one forward pass.

    Returns
    -------
    float32 (S, K)
        Row t of a sequence is the output for its first t + 1 steps, as it is recorded; NaN in all other sequences and
        where the model cannot be run on so few steps or gives NaN.
    list of int
        The numbers of steps for which this is so.
    """
    outputs = np.full((int(probe.lengths.sum()), len(probe.class_names)), np.nan, np.float32)
    unanswered = []
    like = a_parameter(model)
    for length in range(1, int(probe.lengths[places].max(initial=0)) + 1):
        longer = places[probe.lengths[places] >= length]
        size = max(1, min(batch_size, step_budget(probe) // length))
        try:
            for start in range(0, len(longer), size):
                batch = make_batch(probe, longer[start : start + size], like, length)
                with attributes_kept(model):
                    raw = convention.run(model, batch)
                outputs[batch.steps[:, -1]] = reader.recorded(reader.predictions(raw, batch))
        except InputError:
            pass
        if np.isnan(outputs[probe.offsets[longer] + length - 1]).any():
            unanswered.append(length)
    return outputs, unanswered
