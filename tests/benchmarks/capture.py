"""Cost of capture as a ratio to the plain forward pass of the same module in the same run; prints a Markdown table.

``python -m tests.benchmarks.capture`` (about two minutes). Ratios, not seconds: the load of the machine moves both.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnreport.capture.batches import make_batch
from rnnreport.capture.calling import observe
from rnnreport.capture.inspection import a_parameter, inspect_model
from rnnreport.capture.isolation import untouched
from rnnreport.capture.replay import replay
from rnnreport.results.recorded import Probe

SHAPES = ((128, 64, 50), (256, 64, 100), (650, 32, 35), (1500, 20, 35))  # units, sequences, steps
REPEATS = 9


def seconds(action: Callable[[], object]) -> float:
    """Median of some runs, after one to warm up."""
    action()
    taken = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        action()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def stepped(lstm: nn.LSTM, inputs: Tensor) -> None:
    """What people do today to see every cell state: one call per step."""
    state = None
    for step in range(inputs.shape[1]):
        _, state = lstm(inputs[:, step : step + 1], state)


def cells(cell: nn.LSTMCell, inputs: Tensor) -> None:
    """The same with ``nn.LSTMCell``."""
    state = None
    for step in range(inputs.shape[1]):
        state = cell(inputs[:, step], state)


class Bare(nn.Module):
    """An LSTM and nothing else."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(units, units, batch_first=True)

    def forward(self, inputs: Tensor) -> Tensor:
        """States of the last layer."""
        states: Tensor = self.lstm(inputs)[0]
        return states


def probe_of(values: NDArray[np.float32]) -> Probe:
    """Sequences (N, T, D) without labels."""
    count, steps, features = values.shape
    names = tuple(str(number) for number in range(count))
    none = np.zeros(0, np.int32)
    lengths = np.full(count, steps, np.int32)
    flat = values.reshape(-1, features)
    return Probe("unlabelled", names, lengths, none, flat, none, none, flat[:0, :0], (), (), ("x",) * features, count)


def row(units: int, sequences: int, steps: int) -> str:
    """One line of the table."""
    torch.manual_seed(0)
    model, cell = Bare(units).eval(), nn.LSTMCell(units, units)
    probe = probe_of(torch.randn(sequences, steps, units).numpy())
    with untouched(model):
        convention = inspect_model(model, probe, None, None, sequences).convention
    batch = make_batch(probe, np.arange(sequences), a_parameter(model))
    forward = seconds(lambda: model(batch.inputs))

    def captured(gates: bool) -> None:
        for call in observe(model, convention, batch)[1]:
            replay(call, gates=gates)

    ratios = [
        seconds(lambda: captured(False)) / forward,
        seconds(lambda: captured(True)) / forward,
        seconds(lambda: stepped(model.lstm, batch.inputs)) / forward,
        seconds(lambda: cells(cell, batch.inputs)) / forward,
    ]
    return f"| {units} | {sequences} x {steps} | " + " | ".join(f"{ratio:.2f}" for ratio in ratios) + " |"


def main() -> None:
    """Print the table."""
    out = sys.stdout
    out.write("| units | batch | h and c | h, c and gates | stepping nn.LSTM | stepping nn.LSTMCell |\n")
    out.write("| ---: | --- | ---: | ---: | ---: | ---: |\n")
    with torch.no_grad():
        for shape in SHAPES:
            out.write(row(*shape) + "\n")
            out.flush()


if __name__ == "__main__":
    main()
