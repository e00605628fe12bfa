"""Whether sequences of several lengths may go through a model together, padded at the end."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnnreport.capture.batches import Batch, a_parameter, make_batch, mixed_trial
from rnnreport.capture.calling import Call, Convention, observe
from rnnreport.capture.outputs import OutputReader
from rnnreport.capture.replay import replay
from rnnreport.errors import InputError
from rnnreport.results.recorded import PER_SEQUENCE, Probe

_TOLERANCE = 1e-5


def padding_holds(model: nn.Module, probe: Probe, convention: Convention, reader: OutputReader | None) -> bool:
    """Whether a padded batch gives the states and predictions that its sequences give alone.

    So it is with models that take the lengths and pack, and with those that read forward and answer at every step. A
    model that answers once and is not told the lengths is not tried; one that reads both ways without them fails.

    Parameters
    ----------
    model : nn.Module
    probe : Probe
    convention : Convention
    reader : OutputReader, or None where the corpus has no labels
    """
    if probe.task in PER_SEQUENCE and not (convention.lengths_name or convention.adapter):
        return False  # whoever does not know where a sequence ends gives the same answer by luck only, as a maximum may
    like = a_parameter(model)
    together = mixed_trial(probe, like)
    if together is None:
        return False
    try:
        raw, calls = observe(model, convention, together)
        found = _by_sequence(together, _tables(together, calls, raw, reader, probe))
        for place, values in zip(together.sequences, found, strict=True):
            alone = make_batch(probe, together.sequences[together.sequences == place], like)
            raw, calls = observe(model, convention, alone)
            if not _same(values, _by_sequence(alone, _tables(alone, calls, raw, reader, probe))[0]):
                return False
    except InputError:  # the model cannot be run so, or what it runs cannot be told apart
        return False
    return True


def _tables(batch: Batch, calls: list[Call], raw: object, reader: OutputReader | None, probe: Probe) -> list[Tensor]:
    """Everything that is recorded of a batch: states (B, T, H), predictions (B, T, K) or (B, 1, K)."""
    tables = [values for call in calls for values in replay(call).values()]
    if reader is None:
        return tables
    predictions = reader.predictions(raw, batch)
    return [*tables, predictions.unsqueeze(1) if probe.task in PER_SEQUENCE else predictions]


def _by_sequence(batch: Batch, tables: list[Tensor]) -> list[list[Tensor]]:
    return [[table[place, :end] for table in tables] for place, end in enumerate(batch.ends)]


def _same(found: list[Tensor], expected: list[Tensor]) -> bool:
    return len(found) == len(expected) and all(
        one.shape == other.shape and torch.allclose(one, other, 0.0, _TOLERANCE, equal_nan=True)
        for one, other in zip(found, expected, strict=True)
    )
