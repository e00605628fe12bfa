"""Watching the recurrent modules of a model: what each received and gave, by hooks that always come off again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from rnnreport.errors import InputError

Sequences = Tensor | PackedSequence
Initial = Tensor | tuple[Tensor, Tensor] | None

ROOT_NAME = "model"


@dataclass(frozen=True)
class RecurrentCall:
    """One call of an ``nn.RNN``, ``nn.GRU`` or ``nn.LSTM``, with copies that later in-place operations cannot reach.

    Attributes
    ----------
    name : str, path of the module in the model; "model" where the model itself is the recurrent module
    module : nn.RNNBase
    inputs : Tensor or PackedSequence, as given
    initial : h0, or (h0, c0), or None, as given
    output : Tensor or PackedSequence, states of the last layer
    """

    name: str
    module: nn.RNNBase
    inputs: Sequences
    initial: Initial
    output: Sequences


@contextmanager
def recorded_calls(model: nn.Module) -> Iterator[list[RecurrentCall]]:
    """Collect the calls of all recurrent modules, in their order, while the model runs inside the ``with`` block."""
    calls: list[RecurrentCall] = []
    with ExitStack() as stack:
        for name, module in model.named_modules():
            if isinstance(module, nn.RNNBase):
                watcher = _Watcher(name or ROOT_NAME, calls)
                stack.callback(module.register_forward_pre_hook(watcher.before, with_kwargs=True).remove)
                stack.callback(module.register_forward_hook(watcher.after).remove)
        yield calls


class _Watcher:
    """Hooks of one module; the input is copied before the call, the output after it."""

    def __init__(self, name: str, calls: list[RecurrentCall]) -> None:
        self._name = name
        self._calls = calls
        self._given: tuple[Sequences, Initial] | None = None

    def before(self, module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        inputs = arguments[0] if arguments else named["input"]
        initial = arguments[1] if len(arguments) > 1 else named.get("hx")
        self._given = _copied(inputs), _copied_initial(initial)

    def after(self, module: nn.Module, arguments: tuple[Any, ...], result: tuple[Sequences, Any]) -> None:
        assert isinstance(module, nn.RNNBase) and self._given is not None
        inputs, initial = self._given
        self._given = None
        self._calls.append(RecurrentCall(self._name, module, inputs, initial, _copied(result[0])))


def _copied(sequences: Sequences) -> Sequences:
    if isinstance(sequences, PackedSequence):
        return sequences._replace(data=sequences.data.detach().clone())
    return sequences.detach().clone()


def _copied_initial(initial: Initial) -> Initial:
    if initial is None or isinstance(initial, Tensor):
        return None if initial is None else initial.detach().clone()
    return initial[0].detach().clone(), initial[1].detach().clone()


def refuse_unsupported(model: nn.Module, calls: list[RecurrentCall]) -> None:
    """Raise unless every recurrent module that ran, ran once.

    Raises
    ------
    InputError
        If none was called, or one was called more than once in a forward pass.
    """
    if not calls:
        raise InputError(f"no recurrent module was called in {type(model).__name__}: {_why_none(model)}", _REMEDY)
    names = [call.name for call in calls]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise InputError(
            f"{repeated} was called {names.count(repeated)} times in one forward pass",
            "call it once with whole sequences",
        )


_REMEDY = "states are read from nn.RNN, nn.GRU and nn.LSTM modules that are called with whole sequences"


def _why_none(model: nn.Module) -> str:
    modules = list(model.modules())
    cells = sorted({type(module).__name__ for module in modules if isinstance(module, nn.RNNCellBase)})
    layers = sorted({type(module).__name__ for module in modules if isinstance(module, nn.RNNBase)})
    if layers:
        return f"it has {', '.join(layers)}, but its forward does not call it, or only through .forward"
    if cells:
        return f"it steps {', '.join(cells)} in a loop of its own, which is not supported"
    return "it has none"
