"""Nets trained on real corpora and reported on through the command line, with what each net says by itself.

A net is asked for one sequence at a time, without padding, packing or batches.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Checkpoint, Floats
from rnnreport.results.schema import Sequences
from tests import nets

EPOCHS = 3
CHUNK = 32
CLASSES = ("negative", "positive")


@dataclass(frozen=True)
class Alone:
    """What a net says about one sequence.

    Attributes
    ----------
    states : dict of state key to float32 (T, H)
    scores : Tensor (K,) of the sequence, or (T, V) of each step
    """

    states: dict[str, Floats]
    scores: Tensor


@dataclass(frozen=True)
class Reported:
    """A finished run.

    Attributes
    ----------
    folder : RunFolder
        Inside the working directory of the command, which holds everything it was given.
    tokens : list of list of str, the corpus as it is written
    ids : dict of token to the net's id
    answers : list of int: the class of each sequence, or the token after each but the last of the stream
    alone : list of Alone, one per sequence
    stderr : str, of the command
    """

    folder: RunFolder
    tokens: list[list[str]]
    ids: dict[str, int]
    answers: list[int]
    alone: list[Alone]
    stderr: str

    @property
    def page(self) -> Path:
        return self.folder.path / "report.html"

    @property
    def last(self) -> Checkpoint:
        return self.folder.checkpoint(self.folder.epochs()[-1])

    def known(self, token: str) -> str:
        """The token as the net sees it."""
        return token if token in self.ids else "<unk>"

    def displayed(self) -> list[list[str]]:
        """The displayed sequences as the net sees them."""
        shown = self.folder.result(Sequences).probe_index
        return [[self.known(token) for token in self.tokens[index]] for index in shown]


def report_sentiment(data: Path, root: Path, folder: Path) -> Reported:
    """SST-2: a GRU trained on the train split and reported on a sixth of the dev split, with every epoch."""
    rows = [line.split("\t") for line in _lines(data / "sst" / "sst.tsv.gz")[1:] if line]
    rows = [row for row in rows if row[2]]  # neutral sentences have no label of two classes
    train, dev = ([(row[3].lower(), int(row[2])) for row in rows if row[0] == part] for part in ("train", "dev"))
    dev = dev[::6]  # they are in the order of their labels
    counts = Counter(word for text, _ in train for word in text.split())
    ids = {word: number for number, word in enumerate(["<unk>", *(w for w in counts if counts[w] > 1)], start=1)}

    (folder / "ckpt").mkdir()
    torch.manual_seed(0)
    model = nets.Sentiment(1 + len(ids))
    texts = [encode(text.split(), ids) for text, _ in train]
    nets.train_sentiment(model, texts, torch.tensor([label for _, label in train]), EPOCHS, folder / "ckpt")

    (folder / "words.json").write_text(json.dumps(ids), encoding="utf-8")
    lines = "".join(f"{text}\t{CLASSES[label]}\n" for text, label in dev)
    (folder / "dev.tsv").write_text(f"text\tlabel\n{lines}", encoding="utf-8")
    arguments = ["--model", "nets:Sentiment", "--model-arg", f"words={1 + len(ids)}", "--corpus", "dev.tsv"]
    arguments += ["--checkpoints", "ckpt/epoch_*.pt", "--vocabulary", "words.json", "--classes", ",".join(CLASSES)]
    run, stderr = _rnnreport_run(folder, root, arguments)
    tokens = [text.split() for text, _ in dev]
    alone = [sentence_alone(model, encode(words, ids)) for words in tokens]
    return Reported(run, tokens, ids, [label for _, label in dev], alone, stderr)


def report_language(data: Path, root: Path, folder: Path) -> Reported:
    """WikiText-2: an LSTM trained on the beginning of one part and reported on the beginning of another."""
    train = _stream(_lines(data / "wikitext2" / "wiki.test.txt.gz"))[:60_000]
    counts = Counter(word for word in train if word not in ("<unk>", "<eos>"))
    ids = {word: number for number, word in enumerate(["<unk>", "<eos>", *(w for w, _ in counts.most_common(2000))])}
    torch.manual_seed(0)
    model = nets.Language(len(ids))
    nets.train_language(model, encode(train, ids), epochs=2)

    lines = _lines(data / "wikitext2" / "wiki.valid.txt.gz")
    sizes = np.cumsum([len(_stream([line])) for line in lines])
    lines = lines[: int(np.searchsorted(sizes, 1200)) + 1]
    torch.save(model.state_dict(), folder / "weights.pt")
    (folder / "vocab.json").write_text(json.dumps(list(ids)), encoding="utf-8")
    (folder / "valid.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    arguments = ["--model", "nets:Language", "--model-arg", f"words={len(ids)}", "--weights", "weights.pt"]
    arguments += ["--corpus", "valid.txt", "--tokenizer", "whitespace", "--vocabulary", "vocab.json"]
    run, stderr = _rnnreport_run(folder, root, [*arguments, "--sequence-length", str(CHUNK)])
    stream = _stream(lines)
    tokens = [stream[start : start + CHUNK] for start in range(0, len(stream), CHUNK)]
    alone = [_chunk_alone(model, encode(words, ids)) for words in tokens]
    return Reported(run, tokens, ids, encode(stream, ids)[1:].tolist(), alone, stderr)


def encode(tokens: Sequence[str], ids: dict[str, int]) -> Tensor:
    return torch.tensor([ids.get(token, ids["<unk>"]) for token in tokens])


@torch.no_grad()
def sentence_alone(model: nets.Sentiment, tokens: Tensor) -> Alone:
    states = model.gru(model.embedding(tokens[None]))[0][0]
    return Alone({"gru.0.fwd.h": states.numpy()}, model(tokens[None], torch.tensor([len(tokens)]))[0])


@torch.no_grad()
def _chunk_alone(model: nets.Language, tokens: Tensor) -> Alone:
    """Word by word, so that the cell state is seen at every step."""
    hidden, cell, state = [], [], None
    for word in tokens:
        output, state = model.lstm(model.embedding(word[None]), state)
        hidden.append(output[0].numpy())
        cell.append(state[1][0].numpy())
    scores = model(tokens[:, None])[0][:, 0]
    return Alone({"lstm.0.fwd.h": np.stack(hidden), "lstm.0.fwd.c": np.stack(cell)}, scores)


def _lines(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return stream.read().split("\n")


def _stream(lines: Sequence[str]) -> list[str]:
    return [word for line in lines for word in [*line.split(), "<eos>"]]


def _rnnreport_run(folder: Path, root: Path, arguments: Sequence[str]) -> tuple[RunFolder, str]:
    """A process of its own, with -P: the working directory is importable only because rnnreport makes it so."""
    shutil.copy(nets.__file__, folder / "nets.py")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "rnnreport", "run", *arguments, "--out", "run"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{Path('run') / 'report.html'}\n"
    return RunFolder.open(folder / "run"), done.stderr
