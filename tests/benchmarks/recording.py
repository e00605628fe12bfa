"""Cost of recording an epoch as a share of the epoch, at the demo's size; prints a Markdown table.

``python -m tests.benchmarks.recording [task ...]`` (some minutes). An epoch is what the demo's loop does between two
recordings: training, then the losses on both splits; the training alone is also given. Medians of the epochs of one
run, in which both are measured in turn, so that the load of the machine moves them together.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import get_args

import torch

from rnnreport.capture.recorder import Recorder
from rnnreport.train import loop
from rnnreport.train.demo import _MAX_STEPS, probe_corpus
from rnnreport.train.nets import Cell
from rnnreport.train.tasks import TaskName, load_task

COLUMNS = (
    "net",
    "epochs",
    "epoch, ms",
    "training alone, ms",
    "recording, ms",
    "of it capture, ms",
    "share of the epoch",
    "share of the training",
    "making the recorder, ms",
)
CELLS: tuple[Cell, ...] = get_args(Cell)


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def row(name: TaskName, cell: Cell) -> str:
    """One line of the table."""
    task = load_task(name, 0)
    net = loop.build(task, cell, 0)
    corpus = probe_corpus(task)
    epochs = loop.train(net, task, 0)
    scored: list[loop.Scores] = []
    training: list[float] = []
    recording: list[float] = []
    capturing: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        recorder = Recorder(net, corpus, folder, max_steps=_MAX_STEPS)
        start = time.perf_counter() - started
        recorder.record(next(epochs).epoch)
        for _ in range(task.epochs):
            training.append(seconds(lambda: scored.append(next(epochs))))
            recording.append(seconds(lambda: recorder.record(scored[-1].epoch, **scored[-1].metrics())))
            capturing.append(seconds(lambda: recorder.capture(scored[-1].epoch)))
    epoch, record, capture = (statistics.median(each) for each in (training, recording, capturing))
    scoring = statistics.median(seconds(lambda: loop._scores(net, task, 0)) for _ in range(5))
    return (
        f"| {name}, {cell} | {len(recording)} | {epoch * 1e3:,.0f} | {(epoch - scoring) * 1e3:,.0f} "
        f"| {record * 1e3:.1f} | {capture * 1e3:.1f} | {record / epoch:.1%} | {record / (epoch - scoring):.1%} "
        f"| {start * 1e3:.0f} |"
    )


def main(names: list[str]) -> None:
    """Print the table."""
    torch.set_num_threads(1)  # as the demo does
    sys.stdout.write(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}\n")
    for name in get_args(TaskName):
        if not names or name in names:
            for cell in CELLS:
                sys.stdout.write(row(name, cell) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
