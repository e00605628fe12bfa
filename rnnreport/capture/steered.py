"""A model run step by step while something is done to its states inside the recurrence: held, or made leaves.

The model itself runs, so that whatever it does besides (attention, residual connections, its head) takes part. Only
torch's recurrent operations are taken apart (``unrolled.py``), and what the caller gives back for a state is what the
next step, the layer above and the head go on from.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.overrides import TorchFunctionMode

from rnnreport.capture.batches import Batch
from rnnreport.capture.inspection import Inspection
from rnnreport.capture.isolation import attributes_kept
from rnnreport.capture.operations import CELL_OPERATIONS, SEQUENCE_OPERATIONS, arguments_of, states_of
from rnnreport.capture.stitching import stitch
from rnnreport.capture.unrolled import unroll
from rnnreport.capture.watching import followed, watched
from rnnreport.errors import InputError
from rnnreport.results.recorded import StateKey

Steer = Callable[[StateKey, Tensor], Tensor]  # what takes the place of the state h (B, H) of a step


class Steering:
    """A model on one batch: first as it is, which tells whose each recurrent operation is, then steered.

    Parameters
    ----------
    model : nn.Module
    found : Inspection
    batch : Batch
        Of sequences of one length.

    Attributes
    ----------
    batch : Batch
    raw : the model's output for the batch as it is

    Raises
    ------
    InputError
        If the model fails, or runs no recurrent operation of torch's.
    """

    def __init__(self, model: nn.Module, found: Inspection, batch: Batch) -> None:
        self._model, self._found, self.batch = model, found, batch
        with attributes_kept(model), watched(model) as seen:
            self.raw = found.convention.run(model, batch)
        runs = {id(piece): run.name for run in stitch(seen.pieces, batch.steps.shape[1]) for piece in run.pieces}
        self._owners = [runs[id(one.piece)] for one in seen.pieces]
        if not self._owners:
            raise InputError("the model has no recurrent layer of torch's", "states of other modules cannot be steered")

    def run(self, copies: int, steer: Steer) -> tuple[Any, Batch]:
        """The raw output for ``copies`` of the batch, one after the other, and the batch that they make.

        Raises
        ------
        InputError
            If the model fails or runs other operations than before.
        """
        batch = self.batch
        axes = [1] * (batch.inputs.dim() - 1)
        wide = Batch(
            np.tile(batch.sequences, copies), np.tile(batch.steps, (copies, 1)), batch.inputs.repeat(copies, *axes)
        )
        running: list[PackedSequence | None] = []
        watch = _Steered(self._owners, self._found.convention.backward, running, steer)

        def enter(_name: str, module: nn.Module, given: Any) -> None:
            running.append(given if isinstance(given, PackedSequence) else None)

        def leave(_name: str, _module: nn.Module, _output: Any) -> None:
            running.pop()

        with attributes_kept(self._model), followed(self._model, enter, leave), watch:
            raw = self._found.convention.run(self._model, wide)
        if watch.seen != len(self._owners):
            raise InputError("the model runs other layers when it is run again", "in eval mode nothing may be random")
        return raw, wide


class _Steered(TorchFunctionMode):
    """Replaces states while the model runs; its operations belong to ``owners`` in the order in which they come.

    ``running`` are the packed inputs of the modules that run, which alone know the order of the batch: packing sorts
    sequences of one length too, as it likes.
    """

    def __init__(
        self, owners: list[str], backward: frozenset[str], running: list[PackedSequence | None], steer: Steer
    ) -> None:
        super().__init__()
        self._owners, self._backward, self._running, self._steer = owners, backward, running, steer
        self.seen = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        if func not in SEQUENCE_OPERATIONS and func not in CELL_OPERATIONS:
            return func(*args, **named)
        owner = self._owners[self.seen] if self.seen < len(self._owners) else ""
        self.seen += 1
        if func in CELL_OPERATIONS:
            result = func(*args, **named)
            hidden, *cells = states_of(result)
            held = self._hold(owner, None, 0, 0, hidden)
            return (held, *cells) if cells else held
        packed = self._running[-1] if self._running else None
        hold = partial(self._hold, owner, packed)
        return unroll(SEQUENCE_OPERATIONS[func], arguments_of(args, named), hold)[0]

    def _hold(self, owner: str, packed: PackedSequence | None, layer: int, side: int, hidden: Tensor) -> Tensor:
        key = StateKey(owner, layer, "rev" if side == 1 or owner in self._backward else "fwd", "h")
        if packed is None or packed.sorted_indices is None or packed.unsorted_indices is None:
            return self._steer(key, hidden)
        return self._steer(key, hidden[packed.unsorted_indices])[packed.sorted_indices]
