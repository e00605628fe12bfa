"""Small runs with everything that capture records: of every task, of a corpus with all that a user adds, of a net that
explodes."""

from __future__ import annotations

import importlib
import random
import sys
from contextlib import chdir
from pathlib import Path

from rnnreport.cli import main
from rnnreport.train.settings import Fit, Record
from tests import trainings

_NET = """
import torch
from torch import nn


class Reader(nn.Module):
    def __init__(self, cell="LSTM", outputs=2, last=True, gain=1.0):
        super().__init__()
        torch.manual_seed(0)
        more = {"nonlinearity": "relu"} if cell == "RNN" else {}
        self.embedding, self.rnn = nn.Embedding(8, 3), getattr(nn, cell)(3, 6, batch_first=True, **more)
        self.head, self.last = nn.Linear(6, outputs), last
        with torch.no_grad():
            self.rnn.weight_hh_l0.mul_(gain)

    def forward(self, tokens):
        states = self.rnn(self.embedding(tokens))[0]
        return self.head(states[:, -1] if self.last else states)


def speech(tokens):
    return ["ADJ" if token in ("good", "bad") else "NOUN" for token in tokens]
"""
_WORDS = ("<unk>", "the", "film", "plot", "is", "ends", "good", "bad")
# of the exploding net: the corpus and what the factory is told
EXPLODING = {
    "classification": ("reviews.tsv", ()),
    "language-model": ("text.txt", ("outputs=8", "last=false")),
    "tagging": ("tags.tsv", ("last=false",)),
    "regression": ("mood.tsv", ("outputs=1",)),
}


def trained(task: str, folder: Path) -> Path:
    """A run of a task of ``trainings``, at the standard budget: the command line of the tests spends less."""
    wanted = trainings.settings(
        trainings.corpus_of(task, folder),
        record=Record(budget="standard"),
        training=Fit(epochs=2, batch_size=8, learning_rate=0.01),
    )
    return trainings.run(wanted, folder).path


def given(folder: Path) -> Path:
    """A run on a part of a corpus, with sentences and parts of speech."""
    more = ("--sentence", "the film is awful", "--sentence", "bad", "--pos", f"{_module(folder)}:speech")
    return _captured(folder, "reviews.tsv", *more, "--max-steps", "150")


def exploding(task: str, gain: float, folder: Path) -> Path:
    """A run of a net whose states grow by this factor at every step, to infinity."""
    corpus, arguments = EXPLODING[task]
    words = [word for one in ("cell=RNN", f"gain={gain}", *arguments) for word in ("--model-arg", one)]
    return _captured(folder, corpus, *words)


def _captured(folder: Path, corpus: str, *more: str) -> Path:
    module = _module(folder)
    source = random.Random(0)
    lines = [[source.choice(_WORDS[1:]) for _ in range(source.randint(3, 9))] for _ in range(40)]
    texts = [" ".join(line) for line in lines]
    trainings.table(folder / "reviews.tsv", "text label", [(text, "ab"["good" in text]) for text in texts])
    trainings.table(folder / "mood.tsv", "text target", [(text, str(text.count("good"))) for text in texts])
    tags = [" ".join("AB"[word in ("good", "bad")] for word in line) for line in lines]
    trainings.table(folder / "tags.tsv", "tokens tags", list(zip(texts, tags, strict=True)))
    (folder / "text.txt").write_text("\n".join(texts) + "\n")
    (folder / "words.txt").write_text("\n".join(_WORDS) + "\n")
    sys.path.insert(0, str(folder))
    try:
        importlib.invalidate_caches()
        with chdir(folder):
            call = ["capture", "--model", f"{module}:Reader", "--corpus", corpus, "--vocabulary", "words.txt"]
            code = main(["--quiet", *call, "--budget", "standard", "--out", "run", *more])
            assert code == 0, f"capture ends with {code}"
    finally:
        sys.path.remove(str(folder))
    return folder / "run"


def _module(folder: Path) -> str:
    """A module of its own name: Python would take one of the same name from memory."""
    name = "net_" + "".join(c for c in str(folder) if c.isalnum())
    (folder / f"{name}.py").write_text(_NET)
    return name
