"""How batches reach a model and how its output comes back: read off its signature and one trial, not guessed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from rnnreport.capture.batches import Batch
from rnnreport.capture.recurrent import RecurrentCall, recorded_calls, refuse_unsupported
from rnnreport.errors import InputError, RnnReportError
from rnnreport.load.importing import failure_of

Adapter = Callable[[nn.Module, Tensor, Tensor], Tensor]

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
    """

    adapter: Adapter | None
    lengths_name: str
    time_major: bool

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


def observe(model: nn.Module, convention: Convention, batch: Batch) -> tuple[Any, list[RecurrentCall]]:
    """Run a batch and watch: the raw output and the calls of the recurrent modules, checked against the batch.

    Raises
    ------
    InputError
        If the model fails or its recurrent modules did not run once over exactly these sequences and steps.
    """
    with recorded_calls(model) as calls:
        raw = convention.run(model, batch)
    refuse_unsupported(model, calls)
    for call in calls:
        _refuse_other_shape(call, batch)
    return raw, calls


def find_convention(model: nn.Module, adapter: Adapter | None, trial: Batch) -> Convention:
    """Find out how the model wants its input.

    The signature says whether it wants lengths. The order of the axes is the one for which the recurrent modules see
    the trial batch's steps along their own time axis; the trial has different numbers of sequences and steps.

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
            _, calls = observe(model, convention, trial)
        except InputError as error:
            refusals.append(error)
            continue
        _refuse_chance(model, convention, trial, calls)
        return convention
    raise refusals[0]


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


def _axes(call: RecurrentCall) -> tuple[int, int]:
    """Steps and sequences that a recurrent module saw."""
    if isinstance(call.inputs, PackedSequence):
        return len(call.inputs.batch_sizes), int(call.inputs.batch_sizes[-1])  # the last step: of the longest only
    if call.inputs.dim() == 2:
        return call.inputs.shape[0], 1
    first, second = call.inputs.shape[:2]
    return (second, first) if call.module.batch_first else (first, second)


def _refuse_other_shape(call: RecurrentCall, batch: Batch) -> None:
    sequences, steps = batch.steps.shape
    if _axes(call) != (steps, sequences):
        seen_steps, seen_sequences = _axes(call)
        raise InputError(
            f"{call.name} saw {seen_sequences} sequences of {seen_steps} steps in a batch of {sequences} of {steps}",
            f"states are shown for models that take one step per token; or {_REMEDY}",
        )


def _refuse_chance(model: nn.Module, convention: Convention, trial: Batch, calls: list[RecurrentCall]) -> None:
    """A second call must give the same states, or no number of the report would mean anything."""
    _, again = observe(model, convention, trial)
    for call, repeated in zip(calls, again, strict=True):
        first, second = _data(call), _data(repeated)
        if first.shape != second.shape or not torch.allclose(first, second, 0.0, _SAME_TWICE, equal_nan=True):
            raise InputError(
                f"{call.name} gives other states when the same batch comes twice",
                "in eval mode nothing may be random, and no state may be carried from one batch to the next",
            )


def _data(call: RecurrentCall) -> Tensor:
    return call.output.data if isinstance(call.output, PackedSequence) else call.output
