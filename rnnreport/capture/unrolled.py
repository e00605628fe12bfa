"""A model run with its gradient: every state of every layer a tensor of its own, the embedded tokens leaves.

Torch's recurrent operations are taken apart into steps, because they give neither the cells nor the states of the
layers below, and cuDNN refuses a gradient in evaluation mode. The formulas are those of ``replay.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from rnnreport.capture.operations import (
    CELL_OPERATIONS,
    SEQUENCE_OPERATIONS,
    arguments_of,
    states_of,
    weights_of,
)
from rnnreport.capture.recurrent import Mode, Weights
from rnnreport.errors import InputError

Steps = list[Tensor]  # T tensors (B, H), in the order of the sequence
State = tuple[Tensor, ...]  # h, or h and c
Hold = Callable[[int, int, Tensor], Tensor]  # what takes the place of h (B, H), given layer, side (0, 1) and h


class Unrolled(TorchFunctionMode):
    """Watches a model that is run on B copies of one sequence of T tokens, B different from T.

    Parameters
    ----------
    tokens : int64 (B, T), or None where the input is no token ids

    Attributes
    ----------
    leaves : list of Tensor (B, T, D) or (T, B, D), what an embedding gave for the tokens at once
    step_leaves : list of Tensor, what it gave for one step of them, in the order of the calls
    """

    def __init__(self, tokens: Tensor | None) -> None:
        super().__init__()
        self.leaves: list[Tensor] = []
        self.step_leaves: list[Tensor] = []
        self._step_ids: list[Tensor] = []
        self._tokens = tokens
        self._states: list[Steps] = []
        self._cells: dict[int, list[State]] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        if func in SEQUENCE_OPERATIONS:
            result, states = unroll(SEQUENCE_OPERATIONS[func], arguments_of(args, named))
            self._states += states
            return result
        result = func(*args, **named)
        if func in CELL_OPERATIONS:
            weights = args[2] if len(args) > 2 else named["w_ih"]
            self._cells.setdefault(id(weights), []).append(states_of(result))
        if func is nn.functional.embedding:
            given = dict(zip(("input", "weight"), args, strict=False)) | named
            return self._embedded(given["input"], result, given["weight"])
        if func is torch.embedding:
            given = dict(zip(("weight", "indices"), args, strict=False)) | named
            return self._embedded(given["indices"], result, given["weight"])
        return result

    def states(self) -> Iterator[Steps]:
        """Every state that was seen at all its steps; of a loop over cells also from its end, where it may begin."""
        yield from self._states
        for calls in self._cells.values():
            for steps in zip(*calls, strict=True):
                yield list(steps)
                yield list(steps[::-1])

    def in_order(self) -> bool:
        """Whether the embeddings of single steps were those of the tokens, from the first to the last."""
        if self._tokens is None or len(self._step_ids) != self._tokens.shape[1]:
            return False
        return torch.equal(torch.stack(self._step_ids, dim=1), self._tokens)

    def _leaf(self, output: Tensor, weight: Tensor, shape: torch.Size, step: int | None) -> Tensor:
        """The leaf that takes the place of what an embedding gave for ids of a shape: all steps, or a single one."""
        return output.detach().requires_grad_()

    def _embedded(self, ids: Tensor, output: Tensor, weight: Tensor) -> Tensor:
        """What an embedding gave for the tokens becomes a leaf; embeddings of anything else are left alone."""
        if self._tokens is None:
            return output
        (copies, steps), flat = self._tokens.shape, ids.reshape(-1)
        aligned = ids.T if ids.shape == (steps, copies) else ids
        if aligned.shape == (copies, steps) and torch.equal(aligned, self._tokens):
            leaf = self._leaf(output, weight, ids.shape, None)
            self.leaves.append(leaf)
        elif len(flat) == copies and bool((self._tokens == flat[:, None]).all(0).any()):
            leaf = self._leaf(output, weight, ids.shape, len(self.step_leaves))
            self.step_leaves.append(leaf)
            self._step_ids.append(flat)
        else:
            return output
        return leaf.clone()  # a model may change it in place, as it may not change a leaf


@contextmanager
def outputs_of(model: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, list[Any]]]:
    """Collect what modules give, with its gradient, while the model runs inside the ``with`` block."""
    outputs: dict[str, list[Any]] = {path: [] for path in layers}

    def collect(path: str, _module: nn.Module, _given: Any, output: Any) -> None:
        outputs[path].append(output)

    handles = [model.get_submodule(path).register_forward_hook(partial(collect, path)) for path in layers]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def states_of_outputs(outputs: dict[str, list[Any]], copies: int, steps: int) -> Iterator[Steps]:
    """Every tensor among what modules gave at all steps, at once or at each."""
    for calls in outputs.values():
        for tensors in zip(*(_tensors(call) for call in calls), strict=False):
            if len(tensors) == steps and tensors[0].dim() == 2:
                yield list(tensors)
                yield list(tensors[::-1])
            elif tensors[0].shape[:2] == (copies, steps):
                yield list(tensors[0].unbind(1))
            elif tensors[0].shape[:2] == (steps, copies):
                yield list(tensors[0].unbind(0))


def _tensors(output: Any) -> list[Tensor]:
    """The tensors of an output, in its order."""
    if isinstance(output, Tensor):
        return [output]
    if isinstance(output, Mapping):
        return [tensor for item in output.values() for tensor in _tensors(item)]
    return [tensor for item in output for tensor in _tensors(item)] if isinstance(output, (tuple, list)) else []


def unroll(mode: Mode, given: dict[str, Any], hold: Hold | None = None) -> tuple[tuple[Tensor, ...], list[Steps]]:
    """Run a sequence operation step by step, with its gradient.

    Parameters
    ----------
    mode : Mode
    given : dict, by ``arguments_of``
    hold : Hold, optional
        Called after every step of every layer and side; the recurrence goes on from what it gives.

    Returns
    -------
    tuple of Tensor
        What the operation gives.
    list of Steps
        The states of every layer and direction, of an LSTM h and c.

    Raises
    ------
    InputError
        If the sequences of a packed batch differ in length.
    """
    sizes, sides = given.get("batch_sizes"), 2 if given["bidirectional"] else 1
    if sizes is not None and len(set(sizes.tolist())) > 1:
        raise InputError("a packed batch holds sequences of several lengths", "give copies of one sequence")
    turned = sizes is None and bool(given.get("batch_first", False))
    values = given["data"].reshape(len(sizes), -1, given["data"].shape[-1]) if sizes is not None else given["input"]
    values = values.transpose(0, 1) if turned else values
    initial, finals, found = states_of(given["hx"]), [], []
    weights = list(weights_of(list(given["params"]), int(given["num_layers"]) * sides, bool(given["has_biases"])))
    for layer in range(int(given["num_layers"])):
        outputs = []
        for index in range(layer * sides, (layer + 1) * sides):
            order = -1 if index % 2 and sides == 2 else 1
            held = None if hold is None else partial(hold, layer, index - layer * sides)
            states = _run(mode, weights[index], values, tuple(state[index] for state in initial), order, held)
            finals.append(states[-1])
            in_order = states[::order]
            outputs.append(torch.stack([state[0] for state in in_order]))
            found += [list(steps) for steps in zip(*in_order, strict=True)]
        values = torch.cat(outputs, dim=2)
    final = tuple(torch.stack(states) for states in zip(*finals, strict=True))
    output = values.transpose(0, 1) if turned else values if sizes is None else values.flatten(0, 1)
    return (output, *final), found


def _run(
    mode: Mode, weights: Weights, values: Tensor, state: State, order: int, hold: Callable[[Tensor], Tensor] | None
) -> list[State]:
    """States after every step of one layer and direction, in the order in which it reads (T, B, D)."""
    found = []
    for given in nn.functional.linear(values, weights.input, weights.input_bias).unbind(0)[::order]:
        state = _step(mode, weights, given, state)
        state = state if hold is None else (hold(state[0]), *state[1:])
        found.append(state)
    return found


def _step(mode: Mode, weights: Weights, given: Tensor, state: State) -> State:
    """The next state from W_ih x + b_ih, ``given``, and the last state."""
    kept = nn.functional.linear(state[0], weights.hidden, weights.hidden_bias)
    if mode == "LSTM":
        i, f, g, o = (given + kept).chunk(4, dim=1)
        cell = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
        hidden = o.sigmoid() * cell.tanh()
        return hidden if weights.projection is None else hidden @ weights.projection.t(), cell
    if mode == "GRU":
        (r, z, n), (kept_r, kept_z, kept_n) = given.chunk(3, dim=1), kept.chunk(3, dim=1)
        update = (z + kept_z).sigmoid()
        return ((1 - update) * (n + (r + kept_r).sigmoid() * kept_n).tanh() + update * state[0],)
    return (torch.relu(given + kept) if mode == "RNN_RELU" else torch.tanh(given + kept),)
