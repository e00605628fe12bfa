"""Modules of any kind whose outputs are states: named by path, recorded as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
_ARRANGEMENTS: tuple[Arrangement, ...] = ("batch-first", "time-first", "steps")


@dataclass(frozen=True)
class NamedLayer:
    """What the user says of a module whose output is recorded.

    Attributes
    ----------
    path : str, of the module in the model
    kinds : tuple of str, names of the states it returns, in their order or the keys of a dict; () for one state, "h",
        the first tensor that it returns
    """

    path: str
    kinds: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> NamedLayer:
        """Read ``PATH`` or ``PATH:NAME,NAME``.

        Raises
        ------
        InputError
            If a name is no identifier or appears twice.
        """
        path, colon, names = text.partition(":")
        kinds = tuple(name.strip() for name in names.split(",")) if colon else ()
        for kind in kinds:
            if not kind.isidentifier() or kinds.count(kind) > 1:
                raise InputError(
                    f"layer {text!r}: the states cannot be called {names!r}", "write different names, as in cell:h,c"
                )
        return cls(path, kinds)


@dataclass(frozen=True)
class LayerCall:
    """The states that a named module gave.

    Attributes
    ----------
    name : str, path of the module in the model
    states : dict of str to Tensor (T, B, H), by the name of the state; H may differ
    """

    name: str
    states: dict[str, Tensor]

    @property
    def default(self) -> str:
        """The name of the state that is shown first."""
        return "h" if "h" in self.states else next(iter(self.states))


@dataclass(frozen=True)
class LayerReader:
    """How the outputs of one module become states.

    Attributes
    ----------
    layer : NamedLayer
    arrangements : tuple, of each state: "batch-first" (B, T, H) or "time-first" (T, B, H) of one call, or "steps": one
        call per step, each (B, H), (B, 1, H) or (1, B, H), in the order of the steps
    """

    layer: NamedLayer
    arrangements: tuple[Arrangement, ...]

    def read(self, outputs: Sequence[Any], batch: Batch) -> LayerCall:
        """The states of a batch.

        Raises
        ------
        InputError
            If the outputs are others or of other shapes than in the trial.
        """
        states = {}
        for (kind, each), arrangement in zip(_by_kind(self.layer, outputs).items(), self.arrangements, strict=True):
            found = _arranged(each, arrangement, *batch.steps.shape)
            if found is None:
                raise _refusal(self.layer, kind, each, batch)
            states[kind] = found
        return LayerCall(self.layer.path, states)


def parse_layers(model: nn.Module, texts: Sequence[str]) -> tuple[NamedLayer, ...]:
    """The layers that the user names.

    Raises
    ------
    InputError
        If the model does not have one of them, or one is named twice.
    """
    layers = tuple(NamedLayer.parse(text) for text in texts)
    paths = [layer.path for layer in layers]
    known = list(dict.fromkeys(title_of(name) for name, _ in model.named_modules() if name))
    for path in paths:
        if path not in known:
            raise InputError(f"the model has no module {path!r}", f"its modules are: {', '.join(known[:30]) or 'none'}")
        if paths.count(path) > 1:
            raise InputError(f"the layer {path} is named twice", f"name all its states at once: {path}:h,c")
    return layers


def find_reader(layer: NamedLayer, outputs: Sequence[Any], batch: Batch) -> LayerReader:
    """How a module's outputs are arranged, told by a batch with different numbers of sequences and of steps.

    Parameters
    ----------
    layer : NamedLayer
    outputs : sequence, what the module returned in each call, as in ``Watched``
    batch : Batch

    Raises
    ------
    InputError
        If they are not one vector for each step and state.
    """
    found = []
    for kind, each in _by_kind(layer, outputs).items():
        shape = batch.steps.shape
        fitting = (arrangement for arrangement in _ARRANGEMENTS if _arranged(each, arrangement, *shape) is not None)
        arrangement = next(fitting, None)
        if arrangement is None:
            raise _refusal(layer, kind, each, batch)
        found.append(arrangement)
    return LayerReader(layer, tuple(found))


def _by_kind(layer: NamedLayer, outputs: Sequence[Any]) -> dict[str, list[Any]]:
    """What each call returned for each state.

    Raises
    ------
    InputError
        If a call returned another number of tensors than there are names, or a dict without one of them.
    """
    if not layer.kinds:
        return {"h": [_first(output) for output in outputs]}
    calls = [_named_tensors(layer, output) for output in outputs]
    return {kind: [call[place] for call in calls] for place, kind in enumerate(layer.kinds)}


def _first(output: Any) -> Any:
    """The first tensor of an output, which is where modules put the state: (output, state), (h, c) or h itself."""
    while isinstance(output, (tuple, list)) and not isinstance(output, PackedSequence) and output:
        output = output[0]
    return output if isinstance(output, (Tensor, PackedSequence)) else None


def _named_tensors(layer: NamedLayer, output: Any) -> list[Any]:
    if isinstance(output, Mapping):
        missing = [kind for kind in layer.kinds if not isinstance(output.get(kind), (Tensor, PackedSequence))]
        if missing:
            raise InputError(
                f"the layer {layer.path} returns a dict without {missing[0]!r}",
                f"name some of its keys that hold tensors: {', '.join(map(str, output))}",
            )
        return [output[kind] for kind in layer.kinds]
    found = list(_flat(output))
    if len(found) != len(layer.kinds):
        raise InputError(
            f"the layer {layer.path} returns {len(found)} tensors, and {len(layer.kinds)} names are given: "
            f"{', '.join(layer.kinds)}",
            "give each tensor that it returns a name, in their order",
        )
    return found


def _flat(output: Any) -> Iterator[Any]:
    """The tensors of an output, however they are nested."""
    if isinstance(output, (Tensor, PackedSequence)):
        yield output
    elif isinstance(output, (tuple, list)):
        for item in output:
            yield from _flat(item)
    elif isinstance(output, Mapping):
        yield from _flat(list(output.values()))


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


def _refusal(layer: NamedLayer, kind: str, outputs: Sequence[Any], batch: Batch) -> InputError:
    sequences, steps = batch.steps.shape
    shapes = sorted({str(_shape(output)) for output in outputs})
    gave = f"gave {' and '.join(shapes)} in {len(outputs)} calls" if outputs else "was not called"
    state = f" as {kind}" if layer.kinds and outputs else ""
    return InputError(
        f"the layer {layer.path} {gave}{state} in a batch of {sequences} sequences of {steps} steps",
        "its output must be (batch, time, features) or (time, batch, features), or (batch, features) once per step",
    )


def _shape(output: Any) -> Any:
    shaped = output.data if isinstance(output, PackedSequence) else output
    return "no tensor" if shaped is None else tuple(shaped.shape)
