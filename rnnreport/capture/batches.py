"""Batches: sequences of equal length go together, so that results are exact whatever the model does.

Only where a model was seen to give the same numbers for sequences of several lengths, padded at the end, are these put
together: a corpus with a hundred lengths then takes a few passes instead of a hundred.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnreport.errors import InputError
from rnnreport.results.recorded import Probe

_STEPS_PER_BATCH = 2**15
_OUTPUTS_PER_BATCH = 2**24
_PADDED = 2.0  # most room that a padded batch takes, in times of its steps


@dataclass(frozen=True)
class Batch:
    """Sequences of one length T, or of several of which T is the largest.

    Attributes
    ----------
    sequences : int64 (B,), their places in the probe set
    steps : int64 (B, T), rows of the ragged concatenation that their steps take; -1 after the end of a sequence
    inputs : Tensor, int64 (B, T) token ids or floating point (B, T, D); 0 after the end of a sequence
    """

    sequences: NDArray[np.int64]
    steps: NDArray[np.int64]
    inputs: Tensor

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """int64 (B,), the number of steps of each sequence."""
        ends: NDArray[np.int64] = (self.steps >= 0).sum(axis=1)
        return ends

    @property
    def lengths(self) -> Tensor:
        """int64 (B,), on the CPU, where ``pack_padded_sequence`` wants it."""
        return torch.from_numpy(self.ends)

    def flat(self, values: Tensor) -> Tensor:
        """Of values (B, T, ...) those of all steps, sequence after sequence."""
        padded = int(self.ends.sum()) < self.steps.size
        return values[torch.from_numpy(self.steps >= 0).to(values.device)] if padded else values.flatten(0, 1)

    @property
    def rows(self) -> NDArray[np.int64]:
        """int64, rows of the ragged concatenation that ``flat`` values belong to."""
        return self.steps[self.steps >= 0]


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


def equal_length_groups(probe: Probe) -> list[NDArray[np.int64]]:
    """Places of the sequences of each length, shortest first, then in the order of the probe set."""
    order = np.argsort(probe.lengths, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(probe.lengths[order])) + 1)


def equal_length_batches(probe: Probe, batch_size: int, max_steps: int) -> list[NDArray[np.int64]]:
    """Places of the sequences of each batch.

    Parameters
    ----------
    probe : Probe
    batch_size : int
        Most sequences in a batch.
    max_steps : int
        Most steps in a batch of more than one sequence, which bounds the memory.

    Returns
    -------
    list of int64 (B,)
    """
    batches = []
    for group in equal_length_groups(probe):
        size = max(1, min(batch_size, max_steps // int(probe.lengths[group[0]])))
        batches += [group[start : start + size] for start in range(0, len(group), size)]
    return batches


def mixed_batches(probe: Probe, batch_size: int, max_steps: int) -> list[NDArray[np.int64]]:
    """Like ``equal_length_batches``, of sequences of several lengths, the longest first.

    At most half of a batch is padding.
    """
    order = np.argsort(-probe.lengths, kind="stable")
    batches = []
    while order.size:
        lengths = probe.lengths[order[:batch_size]].astype(np.int64)
        room = lengths[0] * np.arange(1, len(lengths) + 1)
        fits = (room <= max_steps) & (room <= _PADDED * np.cumsum(lengths))
        count = max(1, len(fits) if fits.all() else int(fits.argmin()))
        batches.append(order[:count])
        order = order[count:]
    return batches


def trial_batch(probe: Probe, like: Tensor) -> Batch:
    """A small batch of the commonest length above one step, with different numbers of sequences and of steps.

    A sequence appears more than once where there are too few of that length.
    """
    groups = equal_length_groups(probe)
    several = [places for places in groups if probe.lengths[places[0]] > 1]
    group = max(several or groups, key=lambda places: (len(places), probe.lengths[places[0]]))
    size = 2 if probe.lengths[group[0]] == 3 else 3
    return make_batch(probe, np.resize(group, size), like)


def mixed_trial(probe: Probe, like: Tensor) -> Batch | None:
    """The longest sequence, one of middle length and the shortest, the longest first; None where all are as long."""
    order = np.argsort(-probe.lengths, kind="stable")
    places = order[np.unique([0, len(order) // 2, len(order) - 1])]
    return None if len(set(probe.lengths[places])) == 1 else make_batch(probe, places, like)


def make_batch(probe: Probe, sequences: NDArray[np.int64], like: Tensor, length: int | None = None) -> Batch:
    """The batch of these sequences, or of their beginnings.

    Parameters
    ----------
    probe : Probe
    sequences : int64 (B,)
    like : Tensor
        A parameter of the model: its device, and its dtype for continuous input.
    length : int, optional
        Only so many steps of each sequence, at most what the shortest has.
    """
    lengths = probe.lengths[sequences]
    within = np.arange(length or lengths.max())
    steps = probe.offsets[sequences][:, None] + within
    if length is None and lengths.min() < lengths.max():
        inside = within < lengths[:, None]
        taken, steps = np.where(inside, steps, 0), np.where(inside, steps, -1)
        values = probe.values[taken] if probe.continuous else probe.tokens[taken].astype(np.int64)
        values[~inside] = 0
        return Batch(sequences, steps, torch.from_numpy(values).to(like if probe.continuous else like.device))
    if probe.continuous:
        inputs = torch.from_numpy(probe.values[steps]).to(like)
    else:
        inputs = torch.from_numpy(probe.tokens[steps].astype(np.int64)).to(like.device)
    return Batch(sequences, steps, inputs)
