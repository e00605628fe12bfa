"""The whole product in one command: three nets trained, recorded, analysed, reported and compared."""

from __future__ import annotations

import hashlib
from contextlib import closing
from pathlib import Path
from typing import get_args

import numpy as np
import torch

from rnnreport.analyses import analyse, side_by_side
from rnnreport.capture.recorder import Recorder
from rnnreport.capture.run import record_once
from rnnreport.load.corpus import NO_LABELS, Corpus
from rnnreport.progress import Stage, note, track
from rnnreport.report import (
    IndexEntry,
    render_comparison,
    render_index,
    render_report,
    render_summary_markdown,
)
from rnnreport.results import store
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Floats, Ints
from rnnreport.train.loop import build, train
from rnnreport.train.nets import Cell
from rnnreport.train.tasks import Task, TaskName, load_task

_CELLS: tuple[Cell, ...] = get_args(Cell)
_MAX_STEPS = 20_000

Inputs = tuple[Ints, ...] | tuple[Floats, ...]


def run_demo(name: TaskName, out: Path, seed: int = 0) -> list[Path]:
    """Train an RNN, a GRU and an LSTM, report on each, compare them and list them.

    Parameters
    ----------
    name : {"digits", "sentiment", "source"}
    out : Path
        Existing empty folder; gets ``rnn/``, ``gru/``, ``lstm/``, ``compare.html`` and ``index.html``.
    seed : int
        Of the data, the initial weights and the order of training.

    Returns
    -------
    list of Path
        The pages made, relative to ``out``.
    """
    task = load_task(name, seed)
    corpus = probe_corpus(task)
    folders = [record_net(task, corpus, cell, out / cell.lower(), seed) for cell in _CELLS]
    for folder in folders:
        note(f"analysing {folder.path.name}")
        analyse(folder)
        with Stage("page"):
            store.write_text(folder.path / "report.html", render_report(folder))
            store.write_text(folder.path / "summary.md", render_summary_markdown(folder))
    with Stage("comparison"):
        found = side_by_side(folders)
        store.write_text(out / "compare.html", render_comparison(folders, found.comparison, found))
    reports = [Path(folder.path.name) / "report.html" for folder in folders]
    entries = [IndexEntry(href.as_posix(), folder.summary()) for href, folder in zip(reports, folders, strict=True)]
    store.write_text(out / "index.html", render_index(entries, comparison="compare.html"))
    return [*reports, Path("compare.html"), Path("index.html")]


def probe_corpus(task: Task) -> Corpus:
    """The test split as a corpus, on which the states are recorded."""
    sequences = [sequence.numpy() for sequence in task.test.inputs]
    if task.feature_names:
        inputs: Inputs = tuple(sequence.astype(np.float32) for sequence in sequences)
    else:
        inputs = tuple(sequence.astype(np.int32) for sequence in sequences)
    return Corpus(
        name=task.title,
        task="language-model" if task.language_model else "classification",
        sequence_ids=task.test.ids,
        inputs=inputs,
        labels=NO_LABELS if task.language_model else torch.stack(task.test.targets).numpy().astype(np.int32),
        step_targets=(),
        vocabulary=task.vocabulary,
        class_names=task.class_names,
        feature_names=task.feature_names,
        skipped={},
        unknown_tokens=0,
        sha256=_digest(inputs),
    )


def _digest(inputs: Inputs) -> str:
    digest = hashlib.sha256()
    for sequence in inputs:
        digest.update(sequence.tobytes())
    return digest.hexdigest()


def record_net(task: Task, corpus: Corpus, cell: Cell, path: Path, seed: int) -> RunFolder:
    """Train one net and record the test split at every epoch.

    Parameters
    ----------
    task : Task
    corpus : Corpus, its test split, from ``probe_corpus``
    cell : {"RNN", "GRU", "LSTM"}
    path : Path, the run folder to make
    seed : int
        Of the initial weights and the order of training.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # nets this small only wait for each other's threads
    try:
        net = build(task, cell, seed)
        recording = Recorder(
            net,
            corpus,
            path,
            name=f"{cell} on {task.name}",
            source="rnnreport demo",
            command=f"rnnreport demo --task {task.name}",
            seed=seed,
            max_steps=_MAX_STEPS,
        )
        with closing(recording) as recorder:  # its lock must be gone before the folder moves
            for scores in track(train(net, task, seed), f"training {cell}, epochs", task.epochs + 1):
                recorder.record(scores.epoch, **scores.metrics())
            record_once(recorder, task.epochs)
    finally:
        torch.set_num_threads(threads)
    return recorder.folder
