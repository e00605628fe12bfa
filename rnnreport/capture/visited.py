"""The states that a network visits on the probe set as points of its step s -> F(s, x), and the inputs it met there.

Which layers the step is made of is read from one observed call: the layer whose states are shown first, and those below
it as long as each reads nothing but the states of the one before. What cannot be written as such a step is refused, and
whether the step gives the recorded states is checked on all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnreport.capture.batches import a_parameter, make_batch, step_budget
from rnnreport.capture.calling import Call, observing
from rnnreport.capture.expected import default_call
from rnnreport.capture.inspection import Inspection
from rnnreport.capture.layers import LayerCall
from rnnreport.capture.recurrent import RecurrentCall, Weights
from rnnreport.capture.replay import replay
from rnnreport.capture.stepping import StepLayer, StepSystem, double, step_layers
from rnnreport.errors import InputError
from rnnreport.results.recorded import Probe, StateKey

_SAME = 1e-3  # of the largest state: how far F(s, x) may be from the state that followed
_PASSED_ON = 1e-6  # likewise of the states that a layer gives and those that the next one reads
_BATCH = 256  # sequences


@dataclass(frozen=True)
class Visited:
    """States s of some sequences, float64, one sequence after the other.

    Attributes
    ----------
    system : StepSystem
    places : int64 (N,), of the sequences in the probe set
    lengths : int64 (N,)
    states : Tensor (S, W), after each step
    before : Tensor (S, W), before each step
    inputs : Tensor (S, D), of each step
    remark : str, what of the network the step leaves out; "" for nothing
    """

    system: StepSystem
    places: NDArray[np.int64]
    lengths: NDArray[np.int64]
    states: Tensor
    before: Tensor
    inputs: Tensor
    remark: str

    @property
    def starts(self) -> NDArray[np.int64]:
        """int64 (N + 1,): steps of sequence n are ``starts[n]:starts[n + 1]``."""
        return np.concatenate([[0], np.cumsum(self.lengths)])


@dataclass(frozen=True)
class _Part:
    """The part of a network that is one step: its layers, the call that gives it inputs, and what is left out."""

    system: StepSystem
    lowest: str
    remark: str


def visit(model: nn.Module, probe: Probe, found: Inspection, places: NDArray[np.int64]) -> Visited:
    """Run the model on some sequences; to be called inside ``untouched``.

    Parameters
    ----------
    model : nn.Module
    probe : Probe
    found : Inspection
    places : int64 (N,), at least one

    Raises
    ------
    InputError
        If its layers are of another kind than torch's, read from the end, or give other states than their own step.
    """
    part: _Part | None = None
    by_row: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
    lengths = probe.lengths[places].astype(np.int64)
    with observing(model, found.convention) as see:
        for rows in _alike(lengths, step_budget(probe)):
            _, calls = see(make_batch(probe, places[rows], a_parameter(model)))
            part = part or _part_of(calls)
            for row, values in zip(rows.tolist(), zip(*_points(part, calls), strict=True), strict=True):
                by_row[row] = values
    assert part is not None
    states, before, inputs = (torch.cat([by_row[row][kind] for row in range(len(places))]) for kind in range(3))
    visited = Visited(part.system, places, lengths, states, before, inputs, part.remark)
    _refuse_other_states(visited)
    return visited


def _alike(lengths: NDArray[np.int64], steps: int) -> Iterator[NDArray[np.int64]]:
    """Rows of equal length that go together, at most so many steps of them."""
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        size = max(1, min(_BATCH, steps // int(length)))
        yield from (rows[start : start + size] for start in range(0, len(rows), size))


def _part_of(calls: Sequence[Call]) -> _Part:
    """The layer shown first and those below it, while each reads the states of the one before and nothing else.

    Raises
    ------
    InputError
        If that layer is none of torch's, reads from the end, or takes its steps with changing weights.
    """
    top = default_call(calls)
    if isinstance(top, LayerCall):
        raise InputError(
            f"the states are those of the module {top.name}, whose step is not known: only that of torch's own RNN, "
            "GRU and LSTM is"
        )
    if top.backward:
        raise InputError(f"{top.name} reads the sequence from its end")
    if top.bidirectional:
        layer = top.layers - 1
        below = " given what both directions of the layer below make of the sequence" if layer else ""
        only = StepSystem(step_layers(top.name, top.mode, _weights(top)[2 * layer : 2 * layer + 1], layer))
        return _Part(only, top.name, f"the forward direction of layer {layer + 1} alone{below}")
    stack = [top]
    earlier = [call for call in calls[: list(calls).index(top)] if isinstance(call, RecurrentCall)]
    while lower := next((call for call in reversed(earlier) if _passes_on(call, stack[0])), None):
        stack.insert(0, lower)
        earlier = earlier[: earlier.index(lower)]
    layers: list[StepLayer] = []
    for call in stack:
        layers += step_layers(call.name, call.mode, _weights(call))
    left = len([call for call in calls if call is not top]) - (len(stack) - 1)
    names = ", ".join(call.name for call in stack)
    remark = f"{names} alone, given what it reads; {left} other recurrent layers are not part of its state"
    return _Part(StepSystem(tuple(layers)), stack[0].name, remark if left else "")


def _weights(call: RecurrentCall) -> tuple[Weights, ...]:
    """By layer, then direction; the same at all steps.

    Raises
    ------
    InputError
        If they change from step to step.
    """
    first = call.pieces[0].weights
    for piece in call.pieces[1:]:
        if not all(one.equals(other) for one, other in zip(first, piece.weights, strict=True)):
            raise InputError(f"{call.name} takes its steps with changing weights")
    return first


def _passes_on(lower: RecurrentCall, upper: RecurrentCall) -> bool:
    """Whether the one reads the states that the other gives."""
    if lower.bidirectional or lower.backward:
        return False
    given, read = lower.outputs(), upper.inputs()
    return given.shape == read.shape and bool(
        (given - read).abs().max() <= _PASSED_ON * max(1e-3, float(given.abs().max()))
    )


def _points(part: _Part, calls: Sequence[Call]) -> tuple[Tensor, Tensor, Tensor]:
    """States after and before each step (B, T, W), and inputs (B, T, D)."""
    named = {call.name: call for call in calls if isinstance(call, RecurrentCall)}
    found = {key: values for call in named.values() for key, values in replay(call).items()}
    after = torch.cat([double(found[key]) for key in part.system.keys], dim=2)
    start = []
    for layer in part.system.layers:
        call = named[layer.module]
        place = layer.layer * (2 if call.bidirectional else 1)
        start += [double(state[place]) for state in call.pieces[0].initial]
    before = torch.cat([torch.cat(start, dim=1).unsqueeze(1), after[:, :-1]], dim=1)
    lowest = part.system.layers[0]
    if lowest.layer:  # of both directions, above another one
        below = StateKey(lowest.module, lowest.layer - 1, "fwd", "h")
        read = torch.cat([double(found[below]), double(found[replace(below, direction="rev")])], dim=2)
    else:
        read = double(named[part.lowest].inputs()).transpose(0, 1)
    return after, before, read


def _refuse_other_states(visited: Visited) -> None:
    """Raise unless the step gives every state that followed.

    Raises
    ------
    InputError
    """
    if not visited.states.isfinite().all():
        raise InputError("some of the recorded states are not finite")
    following = visited.system.step(visited.before, visited.inputs)
    size = max(1e-3, float(visited.states.abs().max()))
    apart = float((following - visited.states).abs().max())
    if not apart <= _SAME * size:
        raise InputError(
            f"a step computed from the weights differs by {apart:.2g} from the recorded states, as where the model "
            "changes a state between two steps"
        )
