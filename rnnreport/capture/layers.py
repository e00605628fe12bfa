"""Modules of any kind whose outputs are states: named by path, recorded as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from rnnreport.capture.batches import Batch
from rnnreport.capture.recurrent import padded
from rnnreport.capture.watching import title_of
from rnnreport.errors import InputError

Arrangement = Literal["batch-first", "time-first", "steps"]


@dataclass(frozen=True)
class LayerCall:
    """The states that a named module gave.

    Attributes
    ----------
    name : str, path of the module in the model
    states : Tensor (T, B, H)
    """

    name: str
    states: Tensor


@dataclass(frozen=True)
class LayerReader:
    """How the outputs of one module become states.

    Attributes
    ----------
    name : str, path of the module in the model
    arrangement : "batch-first" (B, T, H) or "time-first" (T, B, H) of one call, or "steps": one call per step, each
        (B, H), (B, 1, H) or (1, B, H), in the order of the steps
    """

    name: str
    arrangement: Arrangement

    def read(self, outputs: Sequence[Any], batch: Batch) -> LayerCall:
        """The states of a batch.

        Raises
        ------
        InputError
            If the outputs have other shapes than the arrangement says.
        """
        states = _arranged(outputs, self.arrangement, *batch.steps.shape)
        if states is None:
            raise _refusal(self.name, outputs, batch)
        return LayerCall(self.name, states)


def refuse_unknown(model: nn.Module, layers: Sequence[str]) -> None:
    """Raise unless the model has all these modules.

    Raises
    ------
    InputError
        Names those it has.
    """
    names = list(dict.fromkeys(title_of(name) for name, _ in model.named_modules() if name))
    for layer in layers:
        if layer not in names:
            raise InputError(
                f"the model has no module {layer!r}", f"its modules are: {', '.join(names[:30]) or 'none'}"
            )


def find_reader(name: str, outputs: Sequence[Any], batch: Batch) -> LayerReader:
    """How a module's outputs are arranged, told by a batch with different numbers of sequences and of steps.

    Raises
    ------
    InputError
        If they are not one vector for each step.
    """
    arrangements: tuple[Arrangement, ...] = ("batch-first", "time-first", "steps")
    for arrangement in arrangements:
        if _arranged(outputs, arrangement, *batch.steps.shape) is not None:
            return LayerReader(name, arrangement)
    raise _refusal(name, outputs, batch)


def _arranged(outputs: Sequence[Any], arrangement: Arrangement, sequences: int, steps: int) -> Tensor | None:
    """States (T, B, H), or None where the outputs are not arranged like this."""
    if arrangement == "steps":
        each = [_of_step(output, sequences) for output in outputs]
        shapes = {output.shape for output in each if output is not None}
        known = [output for output in each if output is not None]
        return torch.stack(known) if len(known) == len(outputs) == steps and len(shapes) == 1 else None
    if len(outputs) != 1 or outputs[0] is None:
        return None
    if isinstance(outputs[0], PackedSequence):
        states = padded(outputs[0])[0]
    else:
        states = outputs[0].transpose(0, 1) if arrangement == "batch-first" and outputs[0].dim() == 3 else outputs[0]
    return states if states.dim() == 3 and tuple(states.shape[:2]) == (steps, sequences) else None


def _of_step(output: Any, sequences: int) -> Tensor | None:
    """(B, H) of one step."""
    if not isinstance(output, Tensor):
        return None
    if output.dim() == 3 and 1 in output.shape[:2]:
        output = output.squeeze(0 if output.shape[0] == 1 else 1)
    return output if output.dim() == 2 and output.shape[0] == sequences else None


def _refusal(name: str, outputs: Sequence[Any], batch: Batch) -> InputError:
    sequences, steps = batch.steps.shape
    shapes = sorted({str(_shape(output)) for output in outputs})
    gave = f"gave {' and '.join(shapes)} in {len(outputs)} calls" if outputs else "was not called"
    return InputError(
        f"the layer {name} {gave} in a batch of {sequences} sequences of {steps} steps",
        "its output must be (batch, time, features) or (time, batch, features), or (batch, features) once per step",
    )


def _shape(output: Any) -> Any:
    shaped = output.data if isinstance(output, PackedSequence) else output
    return "no tensor" if shaped is None else tuple(shaped.shape)
