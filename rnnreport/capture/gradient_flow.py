"""How far back training reaches: the size of the derivative of the loss by every earlier state (RNNbow generalised).

G[t, k] = ||dL_t / dh_(t-k)||, of every layer and direction, along real sequences in evaluation mode. Every state gets
a leaf of zeros added to it inside the recurrence, so that one backward pass gives the derivatives by all of them,
whatever the model does with its states and whether or not its parameters are frozen. cuDNN has no part in it.

Source: Cashman, Patterson, Mosca, Chang, RNNbow: Visualizing Learning via Backpropagation Gradients in Recurrent Neural
Networks, 2017.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnreport.budget import LEFT_OUT
from rnnreport.capture.batches import a_parameter, make_batch, step_budget
from rnnreport.capture.inspection import Inspection
from rnnreport.capture.isolation import untouched
from rnnreport.capture.losses import losses, why_unanswered
from rnnreport.capture.probe import hash_order
from rnnreport.capture.salience import weights_of_a_step
from rnnreport.capture.steered import Steering
from rnnreport.errors import InputError
from rnnreport.results.causes import GradientFlow
from rnnreport.results.recorded import PER_SEQUENCE, Floats, Probe, StateKey


@dataclass(frozen=True)
class GradientFlowParams:
    """Sequences and their steps at most, steps whose loss is followed back, and multiplications (a few seconds).

    Longer sequences are left out where they have one answer, otherwise only their first ``steps`` are read.
    """

    sequences: int = 64
    steps: int = 200
    losses: int = 16
    multiplications: float = 1e10


def read_gradient_flow(
    model: nn.Module, probe: Probe, found: Inspection, epoch: int, params: GradientFlowParams | None = None
) -> GradientFlow:
    """Follow the losses of the first sequences by the hash of their ids back; the model is left as it was.

    Parameters
    ----------
    model : nn.Module
    probe : Probe
    found : Inspection
    epoch : int
    params : GradientFlowParams, optional
    """
    params = params or GradientFlowParams()
    reason = why_unanswered(probe) if params.multiplications else LEFT_OUT
    if reason or found.reader is None:
        return _nothing(epoch, reason or "the model's answers cannot be read")
    try:
        with torch.inference_mode(False), untouched(model), torch.enable_grad():
            return _follow(model, probe, found, epoch, params)
    except (InputError, RuntimeError) as error:  # of autograd: whatever it cannot differentiate
        return _nothing(epoch, " ".join(str(error).split()))


def _follow(model: nn.Module, probe: Probe, found: Inspection, epoch: int, params: GradientFlowParams) -> GradientFlow:
    places, lengths = _sample(model, probe, params)
    norms: dict[StateKey, list[Floats]] = {}
    ends: list[NDArray[np.int64]] = []
    for length in np.unique(lengths):
        alike, size = places[lengths == length], max(1, int(step_budget(probe) // length))
        for start in range(0, alike.size, size):
            chosen = alike[start : start + size]
            at, by_key = _norms(model, probe, found, chosen, int(length), params)
            ends += [at] * len(chosen)
            for key, values in by_key.items():
                norms.setdefault(key, []).extend(values)
    keys = [key for key in found.widths if key in norms]
    if not keys:
        raise InputError("no recorded state is that of a recurrent layer of torch's")
    order = np.argsort(lengths, kind="stable")
    return GradientFlow(
        epoch=epoch,
        scopes=tuple(str(key) for key in keys),
        sequences=places[order].astype(np.int32),
        lengths=lengths[order].astype(np.int32),
        counts=np.array([len(at) for at in ends], np.int32),
        steps=np.concatenate(ends).astype(np.int32),
        norms={str(key): np.concatenate([each.ravel() for each in norms[key]]) for key in keys},
        reason="",
    )


def _sample(model: nn.Module, probe: Probe, params: GradientFlowParams) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places and lengths of the sequences that the budget holds; a backward pass costs twice the forward one."""
    order = np.array(hash_order(probe.sequence_ids), np.int64)
    if probe.task in PER_SEQUENCE:
        order = order[probe.lengths[order] <= params.steps]
        if not order.size:
            raise InputError(f"every sequence has more than {params.steps} steps")
    places = order[: params.sequences]
    lengths = np.minimum(probe.lengths[places], params.steps).astype(np.int64)
    passes = 3 if probe.task in PER_SEQUENCE else 1 + 2 * np.minimum(params.losses, lengths)
    cost = np.cumsum(lengths * passes) * weights_of_a_step(model, probe)
    count = int((cost <= params.multiplications).sum())
    if not count:
        raise InputError("the model is so large that the derivatives of one sequence would take too long")
    return places[:count], lengths[:count]


def _norms(
    model: nn.Module,
    probe: Probe,
    found: Inspection,
    places: NDArray[np.int64],
    length: int,
    params: GradientFlowParams,
) -> tuple[NDArray[np.int64], dict[StateKey, list[Floats]]]:
    """Steps whose loss is followed, int64 (J,), and of each state, float32 (J, T) of each sequence."""
    leaves: dict[StateKey, list[Tensor]] = {}

    def open_up(key: StateKey, hidden: Tensor) -> Tensor:
        leaf = torch.zeros_like(hidden, requires_grad=True)
        leaves.setdefault(key, []).append(leaf)
        return hidden + leaf

    reader = found.reader
    assert reader is not None
    steering = Steering(model, found, make_batch(probe, places, a_parameter(model), length))
    raw, batch = steering.run(1, open_up)
    each = losses(probe, reader, reader.predictions(raw, batch), batch)
    per_sequence = probe.task in PER_SEQUENCE
    ends = np.unique(np.linspace(0, length - 1, min(params.losses, length)).round().astype(np.int64))
    ends = np.array([length - 1]) if per_sequence else ends
    kept = {key: opened for key, opened in leaves.items() if key in found.widths and len(opened) == length}
    flat = [leaf for opened in kept.values() for leaf in opened]
    table = {key: np.zeros((len(places), len(ends), length), np.float32) for key in kept}
    if not each.requires_grad:
        raise InputError("the model computes its answers without a gradient (no_grad, detach)")
    for row, end in enumerate(ends if flat else ends[:0]):
        loss = each.sum() if per_sequence else each[:, end].sum()
        gradients = iter(torch.autograd.grad(loss, flat, retain_graph=row + 1 < len(ends), allow_unused=True))
        for key, opened in kept.items():
            columns = [next(gradients) for _ in opened]
            sizes = [torch.zeros(len(places)) if one is None else one.double().norm(dim=1).cpu() for one in columns]
            ordered = sizes[::-1] if key.direction == "rev" else sizes  # opened in the order of reading
            table[key][:, row] = torch.stack(ordered, dim=1).numpy()
    return ends, {key: list(values) for key, values in table.items()}


def _nothing(epoch: int, reason: str) -> GradientFlow:
    none = np.zeros(0, np.int32)
    return GradientFlow(epoch, (), none, none, none, none, {}, reason)
