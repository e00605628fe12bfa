"""Watching a model run: every recurrent operation with the numbers it used, and the outputs of named modules.

The numbers come from one place, a function mode that sees every call of torch's recurrent operations, however it came
about: through a module, through its ``forward`` alone, from a loop over cells, with weights that a wrapper or a
parametrisation computes anew. The modules say what belongs to whom: while a model is watched, the ``forward`` of each
of its modules also keeps a list of the modules that are running.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.overrides import TorchFunctionMode

from rnnreport.capture.operations import (
    CELL_OPERATIONS,
    SEQUENCE_OPERATIONS,
    SequenceOperation,
    is_packed,
    run_cell,
)
from rnnreport.capture.recurrent import Piece
from rnnreport.errors import InputError

ROOT_NAME = "model"
RECURRENT_MODULES = (nn.RNNBase, nn.RNNCellBase)

_COMPILED = "_orig_mod"  # what torch.compile puts into the names of a part of the model


@dataclass(frozen=True)
class OwnedPiece:
    """A piece and what it belongs to: pieces of one ``owner`` may be steps of one run, and are called ``name``."""

    name: str
    owner: tuple[str, int]
    piece: Piece


@dataclass
class Watched:
    """What was seen, in the order in which it ended.

    Attributes
    ----------
    pieces : list of OwnedPiece
    outputs : dict of module path to its outputs, tensors in tuples, lists and dicts, for the modules asked for
    """

    pieces: list[OwnedPiece] = field(default_factory=list)
    outputs: dict[str, list[Any]] = field(default_factory=dict)


@contextmanager
def watched(model: nn.Module, layers: Sequence[str] = (), *, keep_gates: bool = False) -> Iterator[Watched]:
    """Watch a model while it runs once inside the ``with`` block; parameters as for ``watching``."""
    with watching(model, layers, keep_gates=keep_gates) as run, run() as seen:
        yield seen


@contextmanager
def watching(
    model: nn.Module, layers: Sequence[str] = (), *, keep_gates: bool = False
) -> Iterator[Callable[[], AbstractContextManager[Watched]]]:
    """Prepare a model for being watched in several runs; nothing of this is left on it after the ``with`` block.

    Parameters
    ----------
    model : nn.Module
    layers : sequence of str
        Paths of modules whose outputs are kept.
    keep_gates : bool
        Let torch keep the gates of an LSTM as for training, where it can: cells and gates then cost little, but states
        differ from those of an inference pass by rounding.

    Yields
    ------
    function () -> context manager of Watched
        The model is watched inside that one's ``with`` block.
    """
    running: list[_Frame] = []
    watch = _Watch(model, running, keep_gates)
    named = reversed(list(model.named_modules())) if layers else ()
    first = {title_of(path): module for path, module in named}

    def enter(name: str, module: nn.Module, given: Any) -> None:
        running.append(_Frame(name, module, given if isinstance(given, PackedSequence) else None))

    def leave(name: str, module: nn.Module, output: Any) -> None:
        running.pop()
        if name in watch.seen.outputs and module is first[name]:
            watch.seen.outputs[name].append(_copied(output))

    @contextmanager
    def run() -> Iterator[Watched]:
        watch.seen = Watched(outputs={name: [] for name in layers})
        with watch:
            yield watch.seen

    with followed(model, enter, leave):
        yield run


@contextmanager
def followed(
    model: nn.Module, enter: Callable[[str, nn.Module, Any], None], leave: Callable[[str, nn.Module, Any], None]
) -> Iterator[None]:
    """Be told whenever a module of the model runs inside the ``with`` block, also when ``forward`` is called alone.

    Parameters
    ----------
    model : nn.Module
    enter : function (path, module, first argument), called before a module runs
    leave : function (path, module, output), called after it; the output is None where it failed
    """
    replaced: list[tuple[nn.Module, Any]] = []
    try:
        for path, module in model.named_modules():
            replaced.append((module, module.__dict__.get("forward")))
            name = title_of(path)
            module.__dict__["forward"] = _following(
                module.forward, partial(enter, name, module), partial(leave, name, module)
            )
        yield
    finally:
        for module, own in replaced:
            if own is None:
                del module.__dict__["forward"]
            else:
                module.__dict__["forward"] = own


def _following(
    forward: Callable[..., Any], enter: Callable[[Any], None], leave: Callable[[Any], None]
) -> Callable[..., Any]:
    @wraps(forward)
    def following(*arguments: Any, **named: Any) -> Any:
        output = None
        enter(arguments[0] if arguments else named.get("input"))
        try:
            output = forward(*arguments, **named)
        finally:
            leave(output)
        return output

    return following


def title_of(path: str) -> str:
    """A module's path as the user wrote it, without the parts that torch.compile put in."""
    return ".".join(part for part in path.split(".") if part != _COMPILED) if _COMPILED in path else path


@dataclass(frozen=True)
class _Frame:
    """A module that is running, and the packed input that it was given, which alone knows the order of the batch."""

    name: str
    module: nn.Module
    packed: PackedSequence | None = None

    @property
    def recurrent(self) -> bool:
        return isinstance(self.module, RECURRENT_MODULES)


def _copied(output: Any) -> Any:
    """An output with copies of its tensors, because the model may go on to change its own; the rest is left out."""
    if isinstance(output, PackedSequence):
        return output._replace(data=output.data.detach().clone())
    if isinstance(output, Mapping):
        return {name: _copied(item) for name, item in output.items()}
    if isinstance(output, (tuple, list)):
        return [_copied(item) for item in output]
    return output.detach().clone() if isinstance(output, Tensor) else None


class _Watch(TorchFunctionMode):
    def __init__(self, model: nn.Module, running: list[_Frame], keep_gates: bool) -> None:
        super().__init__()
        self.seen = Watched()
        self._keep_gates = keep_gates
        self._running = running
        self._holders = {
            id(parameter): _Frame(title_of(name), module)
            for name, module in model.named_modules()
            for parameter in module._parameters.values()
            if parameter is not None
        }

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        if func not in SEQUENCE_OPERATIONS and func not in CELL_OPERATIONS:
            return func(*args, **named)
        innermost = self._running[-1] if self._running else None
        frame = innermost if innermost is not None and innermost.recurrent else None
        packed = frame.packed if frame else None
        if packed is None and func in SEQUENCE_OPERATIONS and is_packed(args, named):
            where = (innermost and innermost.name) or ROOT_NAME
            raise InputError(
                f"{where} runs torch.{func.__name__} on a packed batch that it did not receive as a PackedSequence, so "
                "the order of the sequences is not known",
                "give the PackedSequence to an nn.RNN, nn.GRU or nn.LSTM that is a part of the model",
            )
        if func in CELL_OPERATIONS:
            result, piece = run_cell(func, args, named)
        else:
            order = packed.unsorted_indices if packed else None
            result, piece = SequenceOperation(func, args, named, order).run(self._keep_gates)
        self.seen.pieces.append(self._owned(piece, innermost, _tensors(args, named)))
        return result

    def _owned(self, piece: Piece, innermost: _Frame | None, given: list[Tensor]) -> OwnedPiece:
        """Whose operation it was: the running recurrent module's, else the weights' holder's, else who runs it."""
        held = 0
        holder = innermost
        if innermost is None or not innermost.recurrent:
            held = next((id(tensor) for tensor in given if id(tensor) in self._holders), 0)
            holder = self._holders.get(held, innermost)
        name = (holder.name if holder else "") or ROOT_NAME
        # a module that holds the weights of several layers itself is told apart by the weights
        return OwnedPiece(name, (name, 0 if holder and holder.recurrent else held), piece)


def _tensors(arguments: Sequence[Any], named: dict[str, Any]) -> list[Tensor]:
    flat: list[Tensor] = []
    for value in [*arguments, *named.values()]:
        flat += [value] if isinstance(value, Tensor) else []
        flat += [item for item in value if isinstance(item, Tensor)] if isinstance(value, (tuple, list)) else []
    return flat
