"""Which inputs a state depends on: the size of its derivative with respect to every step of the input.

The norm of the Jacobian of the state after step t with respect to the embedding (or the values) of step s, by automatic
differentiation. Copies of one sequence go through the model together, one for each direction in which the state is
differentiated, so that a single backward pass gives a row of all s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnreport.budget import LEFT_OUT
from rnnreport.capture.batches import Batch, a_parameter, make_batch, step_budget
from rnnreport.capture.inspection import Inspection
from rnnreport.capture.isolation import attributes_kept, untouched
from rnnreport.capture.probe import hash_order
from rnnreport.capture.unrolled import Steps, Unrolled, outputs_of, states_of_outputs
from rnnreport.errors import InputError
from rnnreport.results.recorded import Checkpoint, Floats, Probe, Salience, StateKey

_SAME = 1e-3  # of the largest state: how far a state run step by step may be from the recorded one


@dataclass(frozen=True)
class SalienceParams:
    """Sequences and their steps at most, multiplications at most (a few seconds), and directions of a wide state.

    Of a large model the first sequence is cut to the steps that fit, but to no fewer than ``least``.
    A state of up to ``exact`` units is differentiated in all directions. A wider one is in ``directions`` random ones,
    which estimates the norm with a standard deviation of at most 1 / sqrt(2 ``directions``) of it.
    """

    sequences: int = 24
    steps: int = 64
    least: int = 6
    multiplications: float = 3e10
    exact: int = 64
    directions: int = 16
    seed: int = 0


FURTHER = SalienceParams(sequences=8, multiplications=1e10)  # of states that are not shown first


class _MissingError(Exception):
    """Why a model's salience cannot be computed."""


def read_salience(
    model: nn.Module,
    probe: Probe,
    found: Inspection,
    checkpoint: Checkpoint,
    params: SalienceParams | None = None,
    key: StateKey | None = None,
) -> Salience:
    """The salience of a state on the first sequences by the hash of their ids; model left as it was.

    Parameters
    ----------
    model : nn.Module
    probe : Probe
    found : Inspection
    checkpoint : Checkpoint
        Of the model as it is now: what is differentiated must be the state recorded there.
    params : SalienceParams, optional
    key : StateKey, optional
        One of the recorded states; by default the one shown first.
    """
    params = params or SalienceParams()
    key = key or next(iter(found.widths))
    width, recorded = found.widths[key], checkpoint.states[str(key)]
    directions = _directions(width, params)
    places: list[int] = []
    norms: list[Floats] = []
    reason = "" if params.multiplications else LEFT_OUT
    left = params.multiplications / (len(directions) * weights_of_a_step(model, probe))
    with torch.inference_mode(False), untouched(model), torch.enable_grad():
        for place in hash_order(probe.sequence_ids)[: params.sequences]:
            length = min(int(probe.lengths[place]), params.steps)
            if length**2 > left and not places:
                length = min(length, max(params.least, math.isqrt(int(left))))
            if length**2 > left:
                reason = reason or "the model is so large that the derivatives of one sequence would take too long"
                break
            left -= length**2
            rows = slice(probe.offsets[place], probe.offsets[place] + length)
            try:
                norms.append(_norms(model, probe, found, place, recorded[rows], directions))
            except (_MissingError, InputError, RuntimeError) as error:  # of autograd: whatever it cannot differentiate
                reason = reason or " ".join(str(error).split())
                continue
            places.append(place)
    return Salience(
        epoch=checkpoint.epoch,
        scope=str(key),
        sequences=np.array(places, np.int32),
        lengths=np.array([len(each) for each in norms], np.int32),
        norms=np.concatenate([each.ravel() for each in norms]) if norms else np.zeros(0, np.float32),
        directions=len(directions),
        units=width,
        reason="" if norms else reason,
    )


def _directions(width: int, params: SalienceParams) -> Tensor:
    """(R, H): all units, or random orthogonal directions whose mean square over all states is the same."""
    if width <= params.exact:
        return torch.eye(width)
    generator = torch.Generator().manual_seed(params.seed)
    basis: Tensor = torch.linalg.qr(torch.randn(width, params.directions, generator=generator))[0]
    return basis.T * math.sqrt(width / params.directions)


def weights_of_a_step(model: nn.Module, probe: Probe) -> int:
    """Numbers that a step is multiplied with: all parameters but those that have a row for every token."""
    words = len(probe.vocabulary)
    return sum(each.numel() for each in model.parameters() if not words or words not in each.shape) or 1


def _norms(
    model: nn.Module, probe: Probe, found: Inspection, place: int, recorded: Floats, directions: Tensor
) -> Floats:
    """float32 (T, T), row t and column s, of the first T steps of a sequence."""
    length = len(recorded)
    size = max(1, step_budget(probe) // length - 1)
    squares = np.zeros((length, length))
    for start in range(0, len(directions), size):
        squares += _squares(model, probe, found, place, recorded, directions[start : start + size])
    return np.sqrt(squares).astype(np.float32)


def _squares(
    model: nn.Module, probe: Probe, found: Inspection, place: int, recorded: Floats, directions: Tensor
) -> NDArray[np.float64]:
    """float64 (T, T): squares of the derivatives in these directions, summed over them and over the input's width."""
    length, count = len(recorded), len(directions)
    copies = count + (count == length)  # so that a shape tells copies from steps
    batch = make_batch(probe, np.full(copies, place), a_parameter(model), length)
    inputs, states = _run(model, found, batch, recorded)
    towards = torch.zeros(copies, directions.shape[1])
    towards[:count] = directions
    squares = np.zeros((length, length))
    for t, state in enumerate(states):
        if not state.requires_grad:
            raise _MissingError("the model computes its states without a gradient (no_grad, detach)")
        gradients = torch.autograd.grad(
            state, [*inputs.whole, *inputs.single], towards.to(state), retain_graph=True, allow_unused=True
        )
        sizes = [None if each is None else each.double().square() for each in gradients]
        for size in sizes[: len(inputs.whole)]:
            if size is not None:
                by_step = size if size.shape[0] == length else size.transpose(0, 1)
                squares[t] += by_step.flatten(1).sum(1).cpu().numpy()
        for s, size in enumerate(sizes[len(inputs.whole) :]):
            squares[t, s] += 0.0 if size is None else float(size.sum())
    return squares


@dataclass(frozen=True)
class _Inputs:
    """What the states are differentiated by: tensors of all steps, (B, T, D) or (T, B, D), and tensors of one each."""

    whole: list[Tensor]
    single: list[Tensor]


def _run(model: nn.Module, found: Inspection, batch: Batch, recorded: Floats) -> tuple[_Inputs, Steps]:
    """Run copies of one sequence with a gradient: the inputs, and the states that are the recorded ones.

    Raises
    ------
    _MissingError
        If the tokens pass no embedding, or the recorded state does not come out.
    """
    values = batch.inputs.requires_grad_() if batch.inputs.is_floating_point() else None
    given = batch if values is None else replace(batch, inputs=values.clone())
    layers = [reader.layer.path for reader in found.convention.layers]
    with (
        attributes_kept(model),
        outputs_of(model, layers) as outputs,
        Unrolled(None if values is not None else batch.inputs) as seen,
    ):
        found.convention.run(model, given)
    inputs = (
        _Inputs(seen.leaves, seen.step_leaves if seen.in_order() else []) if values is None else _Inputs([values], [])
    )
    if not inputs.whole and not inputs.single:
        raise _MissingError("the tokens reach the model by no embedding (as one-hot vectors, for example)")
    for states in (*seen.states(), *states_of_outputs(outputs, *batch.steps.shape)):
        if _is_recorded(states, recorded):
            return inputs, states
    raise _MissingError("run step by step with a gradient, the model gives other states than those recorded")


def _is_recorded(states: Steps, recorded: Floats) -> bool:
    if len(states) != len(recorded) or states[0].shape[1:] != recorded.shape[1:]:
        return False
    found = np.stack([state[0].detach().to("cpu", torch.float32).numpy() for state in states])
    return bool(np.abs(found - recorded).max() <= _SAME * max(1e-3, float(np.abs(recorded).max())))
