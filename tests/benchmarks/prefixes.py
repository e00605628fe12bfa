"""Cost of re-running a model on prefixes, where no head holds; prints a Markdown table.

``python -m tests.benchmarks.prefixes`` (a minute). A bidirectional GRU with mean pooling reads 100 series of a length.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from rnnreport.capture.expected import NOWHERE
from rnnreport.capture.recorder import Recorder
from rnnreport.results.recorded import Probe
from tests.benchmarks.timing import seconds, table

SEQUENCES, FEATURES = 100, 12
REPEATS = 5


class Pooled(nn.Module):
    """Class scores (B, 2) of the mean of the states of both directions."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.rnn = nn.GRU(FEATURES, units, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * units, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        scores: Tensor = self.head(self.rnn(inputs)[0].mean(1))
        return scores


def probe(steps: int) -> Probe:
    """Series of one length."""
    rng = np.random.default_rng(0)
    return Probe(
        task="classification",
        sequence_ids=tuple(f"s{number}" for number in range(SEQUENCES)),
        lengths=np.full(SEQUENCES, steps, np.int32),
        tokens=np.zeros(0, np.int32),
        values=rng.normal(size=(SEQUENCES * steps, FEATURES)).astype(np.float32),
        labels=rng.integers(0, 2, SEQUENCES).astype(np.int32),
        targets=np.zeros(0, np.int32),
        truths=np.zeros((0, 0), np.float32),
        vocabulary=(),
        class_names=("a", "b"),
        feature_names=tuple(f"x{number}" for number in range(FEATURES)),
        sampled_from=SEQUENCES,
    )


def row(units: int, steps: int) -> list[str]:
    """One line of the table: medians of recordings with and without prefixes in turn."""
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(Pooled(units), probe(steps), folder)
        with_prefixes = recorder.inspection
        without = replace(with_prefixes, expected=replace(with_prefixes.expected, prefixes=NOWHERE))
        times: dict[str, list[float]] = {"with": [], "without": []}
        for _ in range(REPEATS):
            for name, inspection in (("with", with_prefixes), ("without", without)):
                recorder.__dict__["inspection"] = inspection
                times[name].append(seconds(lambda: recorder.capture(0)))
    whole, alone = (statistics.median(times[name]) for name in ("with", "without"))
    return [
        str(units),
        str(steps),
        str(with_prefixes.expected.prefixes.size),
        f"{alone * 1e3:.0f}",
        f"{whole * 1e3:.0f}",
    ]


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    rows = [row(units, steps) for units in (32, 128) for steps in (8, 30, 100, 230, 315)]
    columns = ["units", "steps", "sequences sampled of 100", "capture without, ms", "with prefixes, ms"]
    sys.stdout.write(table(columns, rows))


if __name__ == "__main__":
    main()
