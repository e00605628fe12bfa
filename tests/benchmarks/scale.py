"""How time and memory of each stage grow with tokens, units and epochs.

``python -m tests.benchmarks.scale [--axis tokens|units|epochs] [--most SECONDS]``: untrained LSTMs that read drawn
sequences of 50 words, every stage in a process of its own, with one thread; processor time and the peak of the resident
memory. From one cell to the next of an axis the slope is the exponent of the time in the input: tokens, parameters of
the net, or epochs; 1 is as fast as the input. An axis ends before a cell whose predecessor took more than ``--most``
seconds in a stage (600).
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.benchmarks.timing import table

STEPS, WORDS = 50, 2000
STAGES = ("capture", "analyse", "render")


@dataclass(frozen=True)
class Cell:
    """One net on one corpus."""

    tokens: int = 10_000
    layers: int = 1
    units: int = 128
    epochs: int = 1

    @property
    def parameters(self) -> int:
        """Of the LSTM and its embedding, as many columns as units."""
        return WORDS * self.units + self.layers * (8 * self.units**2 + 8 * self.units)


AXES = {
    "tokens": [Cell(tokens=tokens) for tokens in (10_000, 100_000, 1_000_000)],
    "units": [Cell(), Cell(layers=2, units=650), Cell(layers=2, units=1500)],
    "epochs": [Cell(epochs=epochs) for epochs in (10, 50, 200)],
}


def capture(cell: Cell, folder: Path) -> None:
    """Write a checkpoint per epoch, apart from what is measured, and record them."""
    import torch
    from torch import Tensor, nn

    from rnnreport.capture.run import capture_run
    from rnnreport.load.corpus import Corpus
    from rnnreport.results.folder import RunFolder

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(WORDS, cell.units)
            self.rnn = nn.LSTM(cell.units, cell.units, cell.layers, batch_first=True)
            self.head = nn.Linear(cell.units, 2)

        def forward(self, tokens: Tensor) -> Tensor:
            scores: Tensor = self.head(self.rnn(self.embedding(tokens))[0][:, -1])
            return scores

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model, count = Reader().eval(), cell.tokens // STEPS
    for epoch in range(cell.epochs):
        torch.save(
            {name: value * (1 + epoch / 200) for name, value in model.state_dict().items()}, folder / f"{epoch}.pt"
        )
    draw = np.random.default_rng(0)
    corpus = Corpus(
        name="drawn",
        task="classification",
        sequence_ids=tuple(map(str, range(count))),
        inputs=tuple((draw.zipf(1.3, (count, STEPS)) % WORDS).astype(np.int32)),
        labels=draw.integers(0, 2, count).astype(np.int32),
        step_targets=(),
        vocabulary=tuple(map(str, range(WORDS))),
        class_names=("a", "b"),
        feature_names=(),
        skipped={},
        unknown_tokens=0,
        sha256="",
    )
    files = [folder / f"{epoch}.pt" for epoch in range(cell.epochs)]
    run = RunFolder(folder / "run")
    capture_run(model, corpus, run, name="scale", source="benchmark", weights=None, checkpoints=files)


def stage(name: str, cell: Cell, folder: Path) -> None:
    """One stage in this process; prints its seconds and megabytes."""
    from rnnreport.results.folder import RunFolder

    start = time.process_time()
    if name == "capture":
        capture(cell, folder)
    elif name == "analyse":
        from rnnreport.analyses import analyse

        analyse(RunFolder(folder / "run"))
    else:
        from rnnreport.report import render_report

        render_report(RunFolder(folder / "run"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps([time.process_time() - start, peak]))


def measure(cell: Cell) -> dict[str, tuple[float, float]]:
    """Seconds and megabytes of each stage."""
    with tempfile.TemporaryDirectory(prefix="rnnreport-scale-") as folder:
        found = {}
        for name in STAGES:
            words = [str(value) for value in (cell.tokens, cell.layers, cell.units, cell.epochs)]
            command = [sys.executable, "-m", "tests.benchmarks.scale", "--stage", name, folder, *words]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found[name] = tuple(json.loads(done.stdout))
        return found


def slope(axis: str, cell: Cell, last: Cell, seconds: float, before: float) -> str:
    """Exponent of the time in the size of the input from one cell to the next."""
    size = "parameters" if axis == "units" else axis
    return f"{math.log(seconds / before) / math.log(getattr(cell, size) / getattr(last, size)):.2f}"


def main(axes: list[str], most: float) -> None:
    """Print a table per axis."""
    parts = [f"{name}, {unit}" for name in STAGES for unit in ("s", "slope", "MB")]
    for axis in axes:
        rows: list[list[str]] = []
        last, before = Cell(), dict[str, tuple[float, float]]()
        for cell in AXES[axis]:
            if any(seconds > most for seconds, _ in before.values()):
                sys.stdout.write(f"left open: {cell}\n")
                continue
            found = measure(cell)
            row = [f"{cell.tokens:,}", f"{cell.layers} x {cell.units}", str(cell.epochs)]
            for name, (seconds, peak) in found.items():
                grown = slope(axis, cell, last, seconds, before[name][0]) if before else ""
                row += [f"{seconds:.1f}", grown, f"{peak:.0f}"]
            sys.stdout.write(f"{row}\n")
            sys.stdout.flush()
            rows.append(row)
            last, before = cell, found
        sys.stdout.write(f"\n{axis}\n\n{table(['tokens', 'layers x units', 'epochs', *parts], rows)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--axis", choices=AXES, action="append")
    parser.add_argument("--most", type=float, default=600.0)
    parser.add_argument("--stage", nargs=6)
    given = parser.parse_args()
    if given.stage:
        stage(given.stage[0], Cell(*map(int, given.stage[2:])), Path(given.stage[1]))
    else:
        main(given.axis or [*AXES], given.most)
