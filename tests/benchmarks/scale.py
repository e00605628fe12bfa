"""How time and memory of each stage grow with tokens, units and epochs.

``python -m tests.benchmarks.scale [--axis tokens|units|epochs] [--most SECONDS] [--to FILE]``: untrained LSTMs that
read drawn sequences of 50 words, every stage in a process of its own, with one thread; its processor time and the peak
of its resident memory, and the size of the page. From one cell to the next of an axis the slope is the exponent of the
time in the input: tokens, parameters of the net, or epochs; 1 is as fast as the input. An axis ends before a cell whose
predecessor took more than ``--most`` seconds in a stage (600). Every cell is added to FILE once it is measured, and is
not measured again when it is there. Corpus and weights are written beforehand, which does not count.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

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


def reader(cell: Cell) -> Any:
    """An untrained model, the same for every process."""
    import torch
    from torch import Tensor, nn

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
    return Reader().eval()


def prepare(cell: Cell, folder: Path) -> None:
    """Write a checkpoint per epoch, the corpus and its vocabulary."""
    import torch

    weights = reader(cell).state_dict()
    for epoch in range(cell.epochs):
        torch.save({name: value * (1 + epoch / 200) for name, value in weights.items()}, folder / f"{epoch}.pt")
    draw = np.random.default_rng(0)
    texts = draw.zipf(1.3, (cell.tokens // STEPS, STEPS)) % WORDS
    labels = draw.integers(0, 2, len(texts))
    lines = ["text\tlabel"]
    lines += [f"{' '.join(map(str, text))}\t{'ab'[label]}" for text, label in zip(texts, labels, strict=True)]
    (folder / "drawn.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "words.json").write_text(json.dumps(list(map(str, range(WORDS)))), encoding="utf-8")


def capture(cell: Cell, folder: Path) -> None:
    """Read the corpus and record every checkpoint."""
    from rnnreport.capture.run import capture_run
    from rnnreport.load.corpus import load_corpus
    from rnnreport.results.folder import RunFolder

    corpus = load_corpus(folder / "drawn.tsv", vocabulary=folder / "words.json")
    files = [folder / f"{epoch}.pt" for epoch in range(cell.epochs)]
    capture_run(
        reader(cell), corpus, RunFolder(folder / "run"), name="scale", source="drawn", weights=None, checkpoints=files
    )


def stage(name: str, cell: Cell, folder: Path) -> None:
    """One stage in this process; prints its seconds and megabytes, and those of the page."""
    from rnnreport.results.folder import RunFolder

    run, page = RunFolder(folder / "run"), 0
    if name == "prepare":
        prepare(cell, folder)
    elif name == "capture":
        capture(cell, folder)
    elif name == "analyse":
        from rnnreport.analyses import analyse

        analyse(run)
    else:
        from rnnreport.report import render_report

        page = len(render_report(run).encode())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps([time.process_time(), peak, page / 1e6]))


def measure(cell: Cell) -> dict[str, list[float]]:
    """Seconds and megabytes of each stage, those of the page, and the load average at its end."""
    with tempfile.TemporaryDirectory(prefix="rnnreport-scale-") as folder:
        found = {}
        for name in ("prepare", *STAGES):
            words = [str(value) for value in asdict(cell).values()]
            command = [sys.executable, "-m", "tests.benchmarks.scale", "--stage", name, folder, *words]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found[name] = [*json.loads(done.stdout), os.getloadavg()[0]]
        return found


def measured(cell: Cell, to: Path | None) -> dict[str, list[float]]:
    """What the file holds of this cell; otherwise it is measured and added."""
    known = to.read_text(encoding="utf-8").splitlines() if to and to.exists() else []
    for one in map(json.loads, known):
        if one["cell"] == asdict(cell):
            stages: dict[str, list[float]] = one["stages"]
            return stages
    found = measure(cell)
    if to:
        with to.open("a", encoding="utf-8") as out:
            out.write(json.dumps({"cell": asdict(cell), "stages": found}) + "\n")
    return found


def slope(axis: str, cell: Cell, last: Cell, seconds: float, before: float) -> str:
    """Exponent of the time in the size of the input from one cell to the next."""
    size = "parameters" if axis == "units" else axis
    return f"{math.log(seconds / before) / math.log(getattr(cell, size) / getattr(last, size)):.2f}"


def main(axes: list[str], most: float, to: Path | None) -> None:
    """Print a table per axis."""
    parts = [f"{name}, {unit}" for name in STAGES for unit in ("s", "slope", "MB")]
    for axis in axes:
        rows: list[list[str]] = []
        last, before = Cell(), dict[str, list[float]]()
        for cell in AXES[axis]:
            if any(before[name][0] > most for name in STAGES if before):
                sys.stdout.write(f"left open: {cell}\n")
                continue
            found = measured(cell, to)
            row = [f"{cell.tokens:,}", f"{cell.layers} x {cell.units}", str(cell.epochs)]
            for name in STAGES:
                seconds, peak = found[name][:2]
                grown = slope(axis, cell, last, seconds, before[name][0]) if before else ""
                row += [f"{seconds:.1f}", grown, f"{peak:.0f}"]
            rows.append([*row, f"{found['render'][2]:.1f}"])
            last, before = cell, found
        header = ["tokens", "layers x units", "epochs", *parts, "page, MB"]
        sys.stdout.write(f"\n{axis}\n\n{table(header, rows)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--axis", choices=AXES, action="append")
    parser.add_argument("--most", type=float, default=600.0)
    parser.add_argument("--to", type=Path)
    parser.add_argument("--stage", nargs=6)
    given = parser.parse_args()
    if given.stage:
        stage(given.stage[0], Cell(*map(int, given.stage[2:])), Path(given.stage[1]))
    else:
        main(given.axis or [*AXES], given.most, given.to)
