"""Cost of capture as a ratio to the plain forward pass of the same module in the same run; prints two Markdown tables.

``python -m tests.benchmarks.capture`` (about two minutes), one thread.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnreport.capture.batches import Batch, make_batch
from rnnreport.capture.calling import Convention, observe
from rnnreport.capture.inspection import a_parameter, inspect_model
from rnnreport.capture.isolation import untouched
from rnnreport.capture.replay import EVERYTHING, STATES, replay
from rnnreport.capture.workspace import scan
from rnnreport.results.recorded import Probe
from tests.benchmarks.timing import Action, shares, table

SHAPES = ((128, 64, 50), (256, 64, 100), (650, 32, 35), (1500, 20, 35))  # units, sequences, steps
REPEATS = 5


def stepped(module: nn.RNNBase, inputs: Tensor) -> None:
    """What people do today to see every state: one call per step."""
    state = None
    for step in range(inputs.shape[1]):
        _, state = module(inputs[:, step : step + 1], state)


def cells(cell: nn.RNNCellBase, inputs: Tensor) -> None:
    """The same with a cell."""
    state = None
    for step in range(inputs.shape[1]):
        state = cell(inputs[:, step], state)


class Bare(nn.Module):
    """A recurrent layer and nothing else."""

    def __init__(self, rnn: nn.RNNBase) -> None:
        super().__init__()
        self.rnn = rnn

    def forward(self, inputs: Tensor) -> Tensor:
        """States of the last layer."""
        states: Tensor = self.rnn(inputs)[0]
        return states


def probe_of(values: NDArray[np.float32]) -> Probe:
    """Sequences (N, T, D) without labels."""
    count, steps, features = values.shape
    names = tuple(str(number) for number in range(count))
    none = np.zeros(0, np.int32)
    lengths = np.full(count, steps, np.int32)
    flat, truths = values.reshape(-1, features), np.zeros((0, 0), np.float32)
    return Probe("unlabelled", names, lengths, none, flat, none, none, truths, (), (), ("x",) * features, count)


def captured(model: nn.Module, convention: Convention, batch: Batch, kinds: Collection[str], keep_gates: bool) -> None:
    """One batch, watched and replayed."""
    for call in observe(model, convention, batch, keep_gates=keep_gates)[1]:
        replay(call, kinds)


def actions(kind: str, units: int, sequences: int, steps: int) -> tuple[Action, dict[str, Action]]:
    """The forward pass, and what is compared with it."""
    torch.manual_seed(0)
    rnn = getattr(nn, kind)(units, units, batch_first=True)
    model, cell = Bare(rnn).eval(), getattr(nn, f"{kind}Cell")(units, units)
    probe = probe_of(torch.randn(sequences, steps, units).numpy())
    with untouched(model):
        convention = inspect_model(model, probe, None, None, sequences).convention
    batch = make_batch(probe, np.arange(sequences), a_parameter(model))
    capture = partial(captured, model, convention, batch)
    return partial(model, batch.inputs), {
        "h": partial(capture, ["h"], False),
        "h and c": partial(capture, STATES, False),
        "h, c and gates": partial(capture, EVERYTHING, False),
        "the same, gates kept by torch": partial(capture, EVERYTHING, True),
        "stepping the layer": partial(stepped, rnn, batch.inputs),
        "stepping the cell": partial(cells, cell, batch.inputs),
    }


def parts(units: int, sequences: int, steps: int) -> tuple[Action, dict[str, Action]]:
    """The forward pass of an LSTM, and what cells and gates of given states cannot do without."""
    torch.manual_seed(0)
    lstm, inputs = nn.LSTM(units, units).eval(), torch.randn(steps, sequences, units)
    rows, weights = inputs.flatten(0, 1), lstm.weight_ih_l0.t().contiguous()
    gates = torch.rand(steps, sequences, 4 * units)
    values = gates.clone()
    return partial(lstm, inputs), {
        "two products": lambda: [torch.mm(rows, weights) for _ in range(2)],
        "the same without o": lambda: [torch.mm(rows, weights[:, : 3 * units]) for _ in range(2)],
        "activations": lambda: [part.sigmoid_() for part in values.chunk(4, dim=2)],
        "scan": partial(scan, gates, torch.zeros(sequences, units)),
    }


def main() -> None:
    """Print both tables."""
    out = sys.stdout
    torch.set_num_threads(1)
    out.write(f"One thread, torch {torch.__version__}, medians of {REPEATS} rounds, shares of the forward pass.\n\n")
    with torch.no_grad():
        rows, columns = [], []
        for kind in ("LSTM", "GRU"):
            for shape in SHAPES:
                found = shares(*actions(kind, *shape), REPEATS)
                columns = list(found)
                rows.append([kind, *_named(*shape), *(f"{ratio:.2f}" for ratio in found.values())])
        out.write(table(["", "units", "batch", *columns], rows) + "\n")
        rows = []
        for shape in SHAPES:
            found = shares(*parts(*shape), REPEATS)
            columns = list(found)
            rows.append([*_named(*shape), *(f"{ratio:.2f}" for ratio in found.values())])
        out.write(table(["units", "batch", *columns], rows))


def _named(units: int, sequences: int, steps: int) -> list[str]:
    return [str(units), f"{sequences} x {steps}"]


if __name__ == "__main__":
    main()
