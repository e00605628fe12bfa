"""Whatever a user gets wrong: one clear line on stderr, exit code 2, nothing left behind."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

WORDS = ("the", "film", "is", "good", "bad", "not")
REVIEWS = "text\tlabel\nthe film is good\tpositive\nthe film is not good\tnegative\nthe film is bad\tnegative\n"

MODEL = f"""
import torch
from torch import nn


class Reader(nn.Module):
    def __init__(self, units=4):
        super().__init__()
        self.embedding = nn.Embedding({len(WORDS)}, 3)
        self.rnn = nn.GRU(3, units, batch_first=True)
        self.head = nn.Linear(units, 2)

    def forward(self, tokens):
        return self.head(self.rnn(self.embedding(tokens))[0][:, -1])


def fails():
    raise RuntimeError("no such\\nthing")


def nothing():
    return None


number = 3
"""


class Net(nn.Module):
    """The same parameters as the factory's."""

    def __init__(self, units: int = 4) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(WORDS), 3)
        self.rnn = nn.GRU(3, units, batch_first=True)
        self.head = nn.Linear(units, 2)


@pytest.fixture
def arguments(tmp_path, monkeypatch) -> dict[str, str]:
    """Options that work; a test spoils one of them."""
    monkeypatch.delitem(sys.modules, "reviewers", raising=False)
    (tmp_path / "reviewers.py").write_text(MODEL)
    (tmp_path / "words.json").write_text(json.dumps(WORDS))
    (tmp_path / "reviews.tsv").write_text(REVIEWS)
    torch.manual_seed(0)
    torch.save(Net().state_dict(), tmp_path / "good.pt")
    return {
        "--model": "reviewers:Reader",
        "--weights": "good.pt",
        "--corpus": "reviews.tsv",
        "--vocabulary": "words.json",
        "--classes": "negative,positive",
        "--out": "run",
    }


def call(rnnreport, command: str, arguments: dict[str, str]):
    return rnnreport(command, *(word for option in arguments.items() for word in option))


def test_the_options_work_before_they_are_spoiled(rnnreport, arguments):
    outcome = call(rnnreport, "capture", arguments)
    assert (outcome.code, outcome.out) == (0, "run\n")


def non_finite(path: Path) -> None:
    state = Net().state_dict()
    state["rnn.weight_hh_l0"][2, 1] = float("nan")
    torch.save(state, path)


FILES = {
    "wide.pt": lambda path: torch.save(Net(units=5).state_dict(), path),
    "renamed.pt": lambda path: torch.save(
        {key.replace("head", "classifier"): value for key, value in Net().state_dict().items()}, path
    ),
    "module.pt": lambda path: torch.save(Net(), path),
    "nan.pt": non_finite,
    "text.pt": lambda path: path.write_text("not weights"),
    "namespace.pt": lambda path: torch.save({"model": Net().state_dict(), "args": Namespace(units=4)}, path),
    "folder": lambda path: path.mkdir(),
    "comma.json": lambda path: path.write_text('{\n"units": 4,\n}'),
    "list.json": lambda path: path.write_text("[4]"),
    "twice.toml": lambda path: path.write_text("units = 4\nunits = 5\n"),
    "width.toml": lambda path: path.write_text("width = 4\n"),
    "args.yaml": lambda path: path.write_text("units: 4\n"),
    "empty.tsv": lambda path: path.write_text(""),
    "header.tsv": lambda path: path.write_text("text\tlabel\n"),
    "short.tsv": lambda path: path.write_text("text\tlabel\nthe film is good\tpositive\nthe film\n"),
    "broken.jsonl": lambda path: path.write_text('{"text": "the film", "label": "positive"}\n{"text": "the\n'),
    "neutral.tsv": lambda path: path.write_text(f"{REVIEWS}the film is not bad\tneutral\n"),
    "unseen.tsv": lambda path: path.write_text(f"{REVIEWS}the plot is bad\tnegative\n"),
    "latin.tsv": lambda path: path.write_bytes(REVIEWS.encode() + b"caf\xe9\tpositive\n"),
    "moods.tsv": lambda path: path.write_text("text\tlabels\nthe film\t\nthe film is good\tpositive|neutral\n"),
    "stars.csv": lambda path: path.write_text('text,target\nthe film is good,4.5\nthe film is bad,"1,5"\n'),
    "both.npz": lambda path: np.savez(path, X=np.zeros((2, 3, 4)), y=[0, 1], targets=[0.5, 1.5]),
    "nan.npz": lambda path: np.savez(path, X=np.full((2, 3, 4), np.nan, np.float32)),
    "objects.npz": lambda path: np.savez(path, X=np.array([object()])),
    "notes.pdf": lambda path: path.write_text("text"),
    "twice.json": lambda path: path.write_text('["the", "the"]'),
}

CASES = {
    "missing weights": ({"--weights": "absent.pt"}, ["absent.pt"]),
    "missing corpus": ({"--corpus": "absent.tsv"}, ["absent.tsv"]),
    "missing vocabulary": ({"--vocabulary": "absent.json"}, ["absent.json"]),
    "missing module": ({"--model": "absent_module:build"}, ["absent_module"]),
    "missing factory": ({"--model": "reviewers:Writer"}, ["reviewers.py", "Writer"]),
    "no factory string": ({"--model": "reviewers"}, ["reviewers", "module:name"]),
    "a factory that is none": ({"--model": "reviewers:number"}, ["int", "not callable"]),
    "a factory that fails": ({"--model": "reviewers:fails"}, ["RuntimeError", "no such thing", "reviewers.py"]),
    "a factory without a model": ({"--model": "reviewers:nothing"}, ["NoneType"]),
    "a wrong argument": ({"--model-arg": "width=3"}, ["width"]),
    "an argument without value": ({"--model-arg": "units"}, ["KEY=VALUE"]),
    "a missing file of arguments": ({"--model-args": "absent.json"}, ["absent.json", "does not exist"]),
    "broken JSON": ({"--model-args": "comma.json"}, ["comma.json:3"]),
    "a list of arguments": ({"--model-args": "list.json"}, ["list.json", "not a table"]),
    "an argument twice": ({"--model-args": "twice.toml"}, ["twice.toml", "line 2"]),
    "a wrong argument in a file": ({"--model-args": "width.toml"}, ["width"]),
    "another kind of arguments": ({"--model-args": "args.yaml"}, ["args.yaml", ".toml"]),
    "a file for a module": ({"--model": "reviewers.py:Reader"}, ["reviewers.py", "write reviewers:Reader"]),
    "objects beside the weights": ({"--weights": "namespace.pt"}, ["--safe-global argparse:Namespace"]),
    "a safe global that is none": ({"--safe-global": "argparse:Absent"}, ["argparse", "Absent"]),
    "a safe global that is dangerous": ({"--safe-global": "os:system"}, ["os:system", "any code"]),
    "a folder without weights": ({"--weights": "folder"}, ["folder", "model.safetensors"]),
    "weights of another shape": (
        {"--weights": "wide.pt"},
        ["wide.pt", "rnn.weight_ih_l0 (15, 3) instead of (12, 3)", "head.weight"],
    ),
    "weights of other names": ({"--weights": "renamed.pt"}, ["missing: head.weight", "unexpected: classifier.weight"]),
    "a pickled module": ({"--weights": "module.pt"}, ["module.pt", "pickled", "state_dict"]),
    "weights that are not finite": ({"--weights": "nan.pt"}, ["rnn.weight_hh_l0", "1 of 48", "not finite"]),
    "no weights at all": ({"--weights": "text.pt"}, ["text.pt"]),
    "an empty corpus": ({"--corpus": "empty.tsv"}, ["empty.tsv", "empty"]),
    "a corpus of a header": ({"--corpus": "header.tsv"}, ["header.tsv", "empty"]),
    "a short line": ({"--corpus": "short.tsv"}, ["short.tsv:3"]),
    "a broken line": ({"--corpus": "broken.jsonl"}, ["broken.jsonl:2"]),
    "a label never seen": ({"--corpus": "neutral.tsv"}, ["neutral.tsv:5", "neutral"]),
    "one of several labels never seen": ({"--corpus": "moods.tsv"}, ["moods.tsv:3", "neutral", "--classes"]),
    "a quantity that is no number": ({"--corpus": "stars.csv"}, ["stars.csv:3", "'1,5'", "point"]),
    "two kinds of answers": ({"--corpus": "both.npz"}, ["both.npz", "'y'", "'targets'"]),
    "a word never seen": ({"--corpus": "unseen.tsv"}, ["unseen.tsv:5", "plot"]),
    "bytes that are no text": ({"--corpus": "latin.tsv"}, ["latin.tsv:5", "UTF-8"]),
    "values that are not finite": ({"--corpus": "nan.npz"}, ["nan.npz", "not finite"]),
    "pickled arrays": ({"--corpus": "objects.npz"}, ["objects.npz"]),
    "another kind of file": ({"--corpus": "notes.pdf"}, [".pdf"]),
    "a word twice": ({"--vocabulary": "twice.json"}, ["twice.json", "the"]),
    "a wrong tokenizer": ({"--tokenizer": "letters"}, ["letters"]),
    "a wrong head": ({"--head": "absent"}, ["absent"]),
    "a wrong adapter": ({"--adapter": "reviewers:absent"}, ["adapter", "absent"]),
    "no checkpoints": ({"--checkpoints": "step-*.pt"}, ["step-*.pt"]),
    "checkpoints that end elsewhere": ({"--checkpoints": "wide.pt"}, ["good.pt", "wide.pt"]),
    "a baseline that is none": ({"--baseline": "absent"}, ["absent", "not a run folder"]),
    "too few classes": ({"--classes": "negative"}, ["reviews.tsv:2", "positive"]),
    "too many classes": ({"--classes": "negative,positive,neutral"}, ["3", "2"]),
}


@pytest.mark.parametrize(("spoiled", "told"), CASES.values(), ids=CASES.keys())
def test_one_line_and_nothing_left_behind(rnnreport, arguments, tmp_path, spoiled, told):
    for value in spoiled.values():
        if value in FILES:
            FILES[value](tmp_path / value)
    before = sorted(tmp_path.iterdir())
    outcome = call(rnnreport, "run", arguments | spoiled)
    assert outcome.code == 2
    assert outcome.out == ""
    for text in told:
        assert text in outcome.error
    assert outcome.err == f"{outcome.error}\n"
    assert [path for path in sorted(tmp_path.iterdir()) if path.name != "__pycache__"] == before


def test_force_keeps_the_old_run_when_the_new_one_fails(rnnreport, arguments, tmp_path):
    call(rnnreport, "capture", arguments)
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    FILES["nan.pt"](tmp_path / "nan.pt")
    assert call(rnnreport, "capture", arguments).code == 2
    assert rnnreport("capture", "--force", *sum((arguments | {"--weights": "nan.pt"}).items(), ())).code == 2
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before
    assert rnnreport("capture", "--force", *sum(arguments.items(), ())).code == 0


def test_force_leaves_strangers_alone(rnnreport, arguments, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("years of work")
    outcome = rnnreport("capture", "--force", *sum(arguments.items(), ()))
    assert outcome.code == 2
    assert "run.json" in outcome.error
    assert (tmp_path / "run" / "thesis.txt").read_text() == "years of work"


def test_arguments_of_the_factory_are_json_or_text(rnnreport, arguments, tmp_path):
    torch.save(Net(units=5).state_dict(), tmp_path / "wide.pt")
    outcome = call(rnnreport, "capture", arguments | {"--weights": "wide.pt", "--model-arg": "units=5"})
    assert outcome.code == 0
    assert json.loads((tmp_path / "run" / "run.json").read_text())["model"]["units"] == 5


def test_a_page_that_is_too_large_does_not_cost_the_run(rnnreport, arguments, tmp_path):
    outcome = call(rnnreport, "run", arguments | {"--max-size": "0.1"})
    assert outcome.code == 2
    assert "--max-size" in outcome.error
    assert not (tmp_path / "run" / "report.html").exists()
    assert rnnreport("render", "run").code == 0
