"""Small corpora of every task, with answers that can be read off the words, and quick trainings on them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np

from rnnreport.results.folder import RunFolder
from rnnreport.train import manager
from rnnreport.train.data import load_splits
from rnnreport.train.settings import Data, Fit, Model, Record, Settings

WORDS = list("abcdefgh")
CELLS = ("RNN", "GRU", "LSTM")


def sequences(count: int, seed: int = 0) -> list[list[str]]:
    source = random.Random(seed)
    return [[source.choice(WORDS) for _ in range(source.randint(3, 7))] for _ in range(count)]


def table(path: Path, columns: str, rows: list[tuple[str, ...]]) -> str:
    path.write_text("\n".join(["\t".join(columns.split()), *("\t".join(row) for row in rows)]) + "\n")
    return path.name


def corpus_of(task: str, folder: Path, count: int = 40) -> str:
    """A corpus of each task whose answers can be read off the words."""
    words = sequences(count)
    texts = [" ".join(line) for line in words]
    path = folder / f"{task}.tsv"
    match task:
        case "classification":
            return table(path, "text label", [(text, "ab"[text[0] > "d"]) for text in texts])
        case "multi-label":
            return table(path, "text labels", [(text, "|".join(w for w in "abc" if w in text)) for text in texts])
        case "regression":
            return table(path, "text target", [(text, f"{text.count('a') / 2}") for text in texts])
        case "tagging":
            tags = [" ".join("xy"[word > "d"] for word in line) for line in words]
            return table(path, "tokens tags", list(zip(texts, tags, strict=True)))
        case "step-regression":
            numbers = [" ".join("nan" if word == "h" else str(WORDS.index(word)) for word in line) for line in words]
            return table(path, "tokens targets", list(zip(texts, numbers, strict=True)))
        case "language-model":
            (folder / "text.txt").write_text("\n".join(texts))
            return "text.txt"
        case _:
            lengths = [len(line) for line in words]
            values = np.random.default_rng(0).normal(size=(sum(lengths), 3)).astype(np.float32)
            first = np.concatenate([[0], np.cumsum(lengths)[:-1]])
            np.savez(folder / "s.npz", values=values, length=lengths, y=(values[first, 0] > 0).astype(int))
            return "s.npz"


TASKS = (
    "classification", "multi-label", "regression", "tagging", "step-regression", "language-model", "series",
)  # fmt: skip


def settings(file: str, **tables: Any) -> Settings:
    """Small and quick unless told otherwise."""
    given = {
        "data": Data(file, valid=0.2, test=0.2, sequence_length=8),
        "model": Model("GRU", units=6, embedding=4),
        "training": Fit(epochs=2, batch_size=8, learning_rate=0.01),
        "record": Record(budget="quick"),
    } | tables
    return Settings(**given)


def run(wanted: Settings, folder: Path, out: str = "run", seed: int = 0) -> RunFolder:
    return manager.train_run(wanted, load_splits(wanted.data, folder), folder / out, seed=seed, name="test")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but the one that holds the wall clock."""
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if name != "metrics.jsonl"}


def metrics(folder: RunFolder) -> list[dict[str, float]]:
    return [{name: value for name, value in line.items() if name != "wall_s"} for line in folder.metrics()]


def log_of(folder: RunFolder) -> Any:
    return json.loads((folder.path / manager.FINISHED).read_text())
