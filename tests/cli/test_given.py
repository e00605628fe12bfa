"""What a user adds to a corpus: parts of speech by a function."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnnreport.analyses import analyse
from rnnreport.report import render_report
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import Words
from tests.cli.conftest import Command, Outcome

MODEL = """
import torch
from torch import nn

WORDS = ["<unk>", "the", "film", "plot", "is", "ends", "good", "bad"]


class Reader(nn.Module):
    def __init__(self, outputs=2, last=True):
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.rnn = nn.Embedding(8, 3), nn.LSTM(3, 4, batch_first=True)
        self.head, self.last = nn.Linear(4, outputs), last

    def forward(self, tokens):
        states = self.rnn(self.embedding(tokens))[0]
        return self.head(states[:, -1] if self.last else states)


def speech(tokens):
    kinds = {"the": "DET", "film": "NOUN", "plot": "NOUN", "is": "VERB", "ends": "VERB", "<unk>": "X"}
    return [kinds.get(token, "ADJ" if tokens[0] == "the" else "ADV") for token in tokens]


def short(tokens):
    return speech(tokens)[1:]


def numbers(tokens):
    return [1 for _ in tokens]


def fails(tokens):
    raise ValueError("no model")
"""
TEXTS = ["the film is good", "the plot is bad", "good film", "the film ends bad", "bad awful plot", "is good good"]
REVIEWS = "text\tlabel\n" + "".join(f"{text}\t{'ab'[n % 2]}\n" for n, text in enumerate(TEXTS))


@pytest.fixture
def capture(rnnreport: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Capture a small net of a module of its own, with further options."""
    name = "given_" + "".join(c for c in tmp_path.name if c.isalnum())
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / f"{name}.py").write_text(MODEL)
    (tmp_path / "words.txt").write_text("<unk>\nthe\nfilm\nplot\nis\nends\ngood\nbad\n")
    (tmp_path / "reviews.tsv").write_text(REVIEWS)
    (tmp_path / "text.txt").write_text("\n".join(TEXTS) + "\n")
    (tmp_path / "tags.tsv").write_text("tokens\ttags\nthe film ends\tA B A\nfilm ends\tB A\n")
    np.savez(tmp_path / "series.npz", X=np.zeros((3, 4, 2)))

    def call(*options: str, corpus: str = "reviews.tsv") -> Outcome:
        words = [] if corpus.endswith(".npz") else ["--vocabulary", "words.txt"]
        replaced = [option.replace("MODULE", name) for option in options]
        given = ["--model", f"{name}:Reader", "--corpus", corpus, *words, "--out", "run", "--force"]
        return rnnreport("capture", *given, *replaced)

    return call


def opened(outcome: Outcome) -> RunFolder:
    assert outcome.code == 0, outcome.err
    return RunFolder.open(Path("run"))


def test_parts_of_speech_colour_the_words(capture) -> None:  # type: ignore[no-untyped-def]
    folder = opened(capture("--pos", "MODULE:speech"))
    parts, probe = folder.parts_of_speech(), folder.probe()
    assert parts is not None and parts.names == ("ADJ", "ADV", "DET", "NOUN", "VERB", "X")
    tags = [parts.names[tag] for tag in parts.tags]
    assert tags[:8] == ["DET", "NOUN", "VERB", "ADJ", "DET", "NOUN", "VERB", "ADJ"]
    unknown = next(n for n, token in enumerate(probe.tokens) if probe.vocabulary[token] == "<unk>")
    assert tags[unknown] == "X"
    analyse(folder)
    words = folder.result(Words)
    assert isinstance(words, Words) and words.tag_names == parts.names
    found = {
        name: (parts.names[tag], round(float(share), 3))
        for name, tag, share in zip(words.names, words.tags, words.tag_share, strict=True)
    }
    # "good" is an adjective in one of four places: the others are not in a text that begins with "the"
    assert found["good"] == ("ADV", 0.75) and found["film"] == ("NOUN", 1.0)
    assert found["bad"] == ("ADJ", round(2 / 3, 3))
    assert 'id="tags"' in render_report(folder)


def test_without_a_function_nothing_is_coloured(capture) -> None:  # type: ignore[no-untyped-def]
    folder = opened(capture())
    assert folder.parts_of_speech() is None
    analyse(folder)
    assert 'id="tags"' not in render_report(folder)


@pytest.mark.parametrize(
    ("function", "corpus", "error"),
    [
        ("MODULE:short", "reviews.tsv", "--pos gives 3 strings for the 4 tokens of sequence 'line 2'"),
        ("MODULE:numbers", "reviews.tsv", "--pos gives 0 strings for the 4 tokens of sequence 'line 2'"),
        ("MODULE:fails", "reviews.tsv", "--pos fails on sequence 'line 2': ValueError: no model"),
        ("MODULE:missing", "reviews.tsv", "has no attribute 'missing'"),
        ("MODULE:speech", "tags.tsv", "the corpus is tagged already (leave out --pos)"),
    ],
)
def test_what_cannot_be_tagged_is_one_line(capture, function: str, corpus: str, error: str) -> None:  # type: ignore[no-untyped-def]
    per_step = ["--model-arg", "last=false"] if corpus == "tags.tsv" else []
    outcome = capture("--pos", function, *per_step, corpus=corpus)
    assert outcome.code == 2 and error in outcome.error
    assert not Path("run").exists()
