"""Batches without padding: only sequences of equal length go together, so results are exact whatever the model does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnreport.errors import InputError
from rnnreport.results.recorded import Probe

_STEPS_PER_BATCH = 2**15
_OUTPUTS_PER_BATCH = 2**24


@dataclass(frozen=True)
class Batch:
    """Sequences of one length T.

    Attributes
    ----------
    sequences : int64 (B,), their places in the probe set
    steps : int64 (B, T), rows of the ragged concatenation that their steps take
    inputs : Tensor, int64 (B, T) token ids or floating point (B, T, D)
    """

    sequences: NDArray[np.int64]
    steps: NDArray[np.int64]
    inputs: Tensor

    @property
    def lengths(self) -> Tensor:
        """int64 (B,), on the CPU, where ``pack_padded_sequence`` wants it."""
        return torch.full((self.steps.shape[0],), self.steps.shape[1], dtype=torch.int64, device="cpu")


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


def trial_batch(probe: Probe, like: Tensor) -> Batch:
    """A small batch of the commonest length above one step, with different numbers of sequences and of steps.

    A sequence appears more than once where there are too few of that length.
    """
    groups = equal_length_groups(probe)
    several = [places for places in groups if probe.lengths[places[0]] > 1]
    group = max(several or groups, key=lambda places: (len(places), probe.lengths[places[0]]))
    size = 2 if probe.lengths[group[0]] == 3 else 3
    return make_batch(probe, np.resize(group, size), like)


def make_batch(probe: Probe, sequences: NDArray[np.int64], like: Tensor, length: int | None = None) -> Batch:
    """The batch of these sequences, which have one length, or of their beginnings.

    Parameters
    ----------
    probe : Probe
    sequences : int64 (B,)
    like : Tensor
        A parameter of the model: its device, and its dtype for continuous input.
    length : int, optional
        Only so many steps of each sequence, at most what the shortest has.
    """
    steps = probe.offsets[sequences][:, None] + np.arange(length or probe.lengths[sequences[0]])
    if probe.continuous:
        inputs = torch.from_numpy(probe.values[steps]).to(like)
    else:
        inputs = torch.from_numpy(probe.tokens[steps].astype(np.int64)).to(like.device)
    return Batch(sequences, steps, inputs)
