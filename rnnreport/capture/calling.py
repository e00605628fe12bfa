"""How batches reach a model and how its output comes back: read off its signature and one trial, not guessed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from rnnreport.capture.batches import Batch
from rnnreport.capture.isolation import attributes_kept
from rnnreport.capture.layers import LayerCall, LayerReader, NamedLayer, find_reader
from rnnreport.capture.recurrent import RecurrentCall
from rnnreport.capture.stitching import stitch
from rnnreport.capture.watching import RECURRENT_MODULES, Watched, watched, watching
from rnnreport.errors import InputError, RnnReportError
from rnnreport.load.importing import failure_of

Adapter = Callable[[nn.Module, Tensor, Tensor], Tensor]
Call = RecurrentCall | LayerCall

LENGTH_NAMES = frozenset({"lengths", "length", "seq_lens", "seq_lengths", "input_lengths"})
_REMEDY = "say how with --adapter module:function, called with (model, inputs, lengths)"
_SAME_TWICE = 1e-5


@dataclass(frozen=True)
class Convention:
    """How one model is called.

    Attributes
    ----------
    adapter : function (model, inputs, lengths) -> output, or None for ``model(inputs, ...)``
    lengths_name : str, the parameter of ``forward`` that wants the lengths; "" for none
    time_major : bool, whether the model wants (T, B) instead of (B, T)
    layers : tuple of LayerReader, the modules whose outputs are recorded because they were named
    backward : frozenset of str, the names of the runs that take the steps from the last to the first
    """

    adapter: Adapter | None
    lengths_name: str
    time_major: bool
    layers: tuple[LayerReader, ...] = ()
    backward: frozenset[str] = frozenset()

    def run(self, model: nn.Module, batch: Batch) -> Any:
        """The model's raw output for a batch.

        Raises
        ------
        InputError
            If the model fails.
        """
        inputs = batch.inputs.transpose(0, 1) if self.time_major else batch.inputs
        named = {self.lengths_name: batch.lengths} if self.lengths_name else {}
        try:
            if self.adapter is not None:
                return self.adapter(model, inputs, batch.lengths)
            return model(inputs, **named)
        except RnnReportError:
            raise
        except Exception as error:
            raise InputError(
                f"the model fails on a batch of {tuple(inputs.shape)} {str(inputs.dtype).removeprefix('torch.')}: "
                f"{failure_of(error)}",
                f"check that corpus and vocabulary are the model's own, or {_REMEDY}",
            ) from error


def observe(
    model: nn.Module, convention: Convention, batch: Batch, *, keep_gates: bool = False
) -> tuple[Any, list[Call]]:
    """Run a batch and watch: the raw output and the runs of the recurrent layers, checked against the batch.

    ``keep_gates`` as in ``watching``.

    Returns
    -------
    raw : the model's output
    list of RecurrentCall or LayerCall
        In the order in which they ended, the named layers last.

    Raises
    ------
    InputError
        If the model fails or its recurrent layers did not run over exactly these sequences and steps.
    """
    with observing(model, convention, keep_gates=keep_gates) as see:
        return see(batch)


@contextmanager
def observing(
    model: nn.Module, convention: Convention, *, keep_gates: bool = False
) -> Iterator[Callable[[Batch], tuple[Any, list[Call]]]]:
    """Observe several batches, each as by ``observe``.

    A state that the model keeps as an attribute is put back, so that every batch starts from the same one.

    Yields
    ------
    function (batch) -> raw, calls
    """
    with watching(model, [reader.layer.path for reader in convention.layers], keep_gates=keep_gates) as run:

        def see(batch: Batch) -> tuple[Any, list[Call]]:
            with attributes_kept(model), run() as seen:
                raw = convention.run(model, batch)
            return raw, _calls(model, convention, batch, seen)

        yield see


def find_convention(
    model: nn.Module, adapter: Adapter | None, trial: Batch, layers: Sequence[NamedLayer] = ()
) -> Convention:
    """Find out how the model wants its input.

    The signature says whether it wants lengths. The order of the axes is the one for which the recurrent layers see
    the trial batch's steps along their own time axis; the trial has different numbers of sequences and steps.

    Parameters
    ----------
    model : nn.Module
    adapter : function, optional
    trial : Batch
    layers : sequence of NamedLayer
        Modules whose outputs are to be recorded.

    Raises
    ------
    InputError
        If the model cannot be called so, or gives another output when it is called again.
    """
    name = "" if adapter is not None else _lengths_name(model)
    refusals = []
    for time_major in (False, True) if adapter is None else (False,):
        convention = Convention(adapter, name, time_major)
        try:
            with attributes_kept(model), watched(model, [layer.path for layer in layers]) as seen:
                convention.run(model, trial)
            readers = tuple(find_reader(layer, seen.outputs[layer.path], trial) for layer in layers)
            convention = replace(convention, layers=readers)
            calls = _calls(model, convention, trial, seen)
        except InputError as error:
            refusals.append(error)
            continue
        _refuse_chance(model, convention, trial, calls)
        return replace(convention, backward=frozenset(_backward(model, convention, trial)))
    raise refusals[0]


def _calls(model: nn.Module, convention: Convention, batch: Batch, seen: Watched) -> list[Call]:
    """The runs over this batch; where layers are named, recurrent ones that run over other steps are left out.

    A named layer that is a recurrent one of torch's is recorded as such, with its cells.
    """
    sequences, steps = batch.steps.shape
    if not convention.layers:
        found = stitch(seen.pieces, steps)
        _refuse_none(model, found)
        for call in found:
            _refuse_other_shape(call, batch)
    else:
        try:
            found = stitch(seen.pieces, steps)
        except InputError:
            found = []
        found = [call for call in found if (call.sequences, call.steps) == (sequences, steps)]
    calls: dict[str, Call] = {call.name: replace(call, backward=call.name in convention.backward) for call in found}
    for reader in convention.layers:
        path = reader.layer.path
        own = calls.pop(path, None)
        calls[path] = own if own and not reader.layer.kinds else reader.read(seen.outputs[path], batch)
    return list(calls.values())


def _backward(model: nn.Module, convention: Convention, trial: Batch) -> Iterator[str]:
    """Names of the runs that read the sequence from its end.

    A run that reads the tokens one by one sees a change of the last token at its last step, or else at its first; what
    reads all tokens at every step (above a layer of both directions) sees it most in the one or the other. A run counts
    as backward where the first token tells the same.
    """
    if trial.steps.shape[1] == 1:
        return
    try:
        runs = [observe(model, convention, batch)[1] for batch in (trial, altered(trial, 0), altered(trial, -1))]
    except InputError:  # what the model does depends on what it reads, so a change tells nothing about the order
        return
    for plain, first, last in zip(*runs, strict=False):
        if isinstance(plain, RecurrentCall) and isinstance(first, RecurrentCall) and isinstance(last, RecurrentCall):
            early, late = (_changes(plain.inputs(), other.inputs()) for other in (first, last))
            if not plain.bidirectional and late[0] > late[-1] and early[-1] > early[0]:
                yield plain.name


def altered(batch: Batch, step: int) -> Batch:
    """The batch with another token, or other values, at one step of every sequence."""
    inputs = batch.inputs.clone()
    if inputs.is_floating_point():
        inputs[:, step] += 1
    else:
        least, greatest = inputs.min(), inputs.max()
        inputs[:, step] = torch.where(inputs[:, step] == least, greatest, least)
    return replace(batch, inputs=inputs)


def _changes(inputs: Tensor, others: Tensor) -> Tensor:
    """How much each step differs, (T,)."""
    return (inputs - others).abs().sum(dim=(1, 2))


def first_tensor(raw: Any) -> Tensor:
    """The prediction in a model's output: the tensor itself, the first of a tuple, or "logits" of a mapping.

    Raises
    ------
    InputError
        If there is none.
    """
    found = raw.get("logits") if isinstance(raw, Mapping) else raw
    if isinstance(found, (tuple, list)) and not isinstance(found, PackedSequence):
        found = next((item for item in found if isinstance(item, Tensor)), None)
    if not isinstance(found, Tensor):
        keys = f" with the keys {', '.join(map(str, raw))}" if isinstance(raw, Mapping) else ""
        raise InputError(
            f"the model returns {type(raw).__name__}{keys}, in which no prediction is found",
            f"return a tensor, a tuple that begins with it, or a dict with 'logits'; or {_REMEDY}",
        )
    return found


def _lengths_name(model: nn.Module) -> str:
    """The parameter of ``forward`` that wants lengths.

    Raises
    ------
    InputError
        If ``forward`` cannot be called with inputs (and lengths) alone.
    """
    parameters = list(inspect.signature(model.forward).parameters.values())
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    lengths = next((parameter.name for parameter in parameters[1:] if parameter.name in LENGTH_NAMES), "")
    for parameter in parameters[1:]:
        required = parameter.default is inspect.Parameter.empty and parameter.kind not in kinds
        if required and parameter.name != lengths:
            raise InputError(
                f"forward of {type(model).__name__} needs {parameter.name!r} and it is not known what that is", _REMEDY
            )
    return lengths


def _refuse_none(model: nn.Module, calls: list[RecurrentCall]) -> None:
    """Raise unless a recurrent layer ran.

    Raises
    ------
    InputError
        Says what the model has instead.
    """
    if not calls:
        kinds = sorted({type(module).__name__ for module in model.modules() if isinstance(module, RECURRENT_MODULES)})
        why = f"it has {', '.join(kinds)}, but its forward does not call it" if kinds else "it has none of torch's"
        raise InputError(
            f"no recurrent module was called in {type(model).__name__}: {why}",
            "name the module whose output is the state with --layer PATH",
        )


def _refuse_other_shape(call: RecurrentCall, batch: Batch) -> None:
    sequences, steps = batch.steps.shape
    longest = int(np.count_nonzero(batch.ends == steps))  # a packed batch counts those that take all steps
    if call.steps != steps or call.sequences not in (sequences, longest):
        raise InputError(
            f"{call.name} saw {call.sequences} sequences of {call.steps} steps in a batch of {sequences} of {steps}",
            f"states are shown of layers that take one step per token: name those with --layer PATH, or {_REMEDY}",
        )


def _refuse_chance(model: nn.Module, convention: Convention, trial: Batch, calls: list[Call]) -> None:
    """A second call must give the same states, or no number of the report would mean anything."""
    _, again = observe(model, convention, trial)
    if [call.name for call in calls] != [call.name for call in again]:
        raise InputError(
            f"{type(model).__name__} runs other layers when the same batch comes twice",
            "in eval mode nothing may be random",
        )
    for call, repeated in zip(calls, again, strict=True):
        first, second = _states(call), _states(repeated)
        if first.shape != second.shape or not torch.allclose(first, second, 0.0, _SAME_TWICE, equal_nan=True):
            raise InputError(
                f"{call.name} gives other states when the same batch comes twice",
                "in eval mode nothing may be random, and no state may be carried from one batch to the next",
            )


def _states(call: Call) -> Tensor:
    return torch.cat(list(call.states.values()), dim=2) if isinstance(call, LayerCall) else call.outputs()
