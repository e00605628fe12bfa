"""From options to a loaded model: arguments from files, classes allowed in weights, folders of checkpoints."""

from __future__ import annotations

import importlib
import json
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from rnnreport.results.folder import RunFolder

MODEL = """
from torch import nn


class Tagger(nn.Module):
    def __init__(self, words=3, units=4):
        super().__init__()
        self.embedding, self.rnn = nn.Embedding(words, 3), nn.GRU(3, units, batch_first=True)
        self.head = nn.Linear(units, 2)

    def forward(self, tokens):
        return self.head(self.rnn(self.embedding(tokens))[0])
"""


@pytest.fixture
def capture(rnnreport, tmp_path, monkeypatch):
    """Capture a small tagger of a module of its own, with further options; the folder it makes."""
    name = "taggers_" + "".join(c for c in tmp_path.name if c.isalnum())
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / f"{name}.py").write_text(MODEL)
    (tmp_path / "words.txt").write_text("the\nfilm\nends\n")
    (tmp_path / "tags.tsv").write_text("tokens\ttags\nthe film ends\tA B A\nfilm ends\tB A\n")

    def call(*options: str) -> RunFolder:
        given = ["--model", f"{name}:Tagger", "--corpus", "tags.tsv", "--vocabulary", "words.txt", "--out", "run"]
        outcome = rnnreport("capture", "--force", *given, *options)
        assert outcome.code == 0, outcome.err
        return RunFolder.open(Path("run"))

    call.module = name
    return call


def saved(module: str, path: Path, seed: int = 0) -> dict[str, torch.Tensor]:
    """Weights of a new model in a file; its state dict."""
    torch.manual_seed(seed)
    state = importlib.import_module(module).Tagger().state_dict()
    path.parent.mkdir(exist_ok=True)
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    return state


def units(folder: RunFolder) -> int:
    return folder.manifest().model["units"]


@pytest.mark.parametrize(("name", "text"), [("net.toml", "units = 5\nwords = 3\n"), ("net.json", '{"units": 5}')])
def test_arguments_from_a_file_and_one_that_overrides_it(capture, tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert units(capture()) == 4
    assert units(capture("--model-args", name)) == 5
    assert units(capture("--model-args", name, "--model-arg", "units=6")) == 6
    assert units(capture("--model-arg", "units=6", "--model-args", name)) == 6


def test_the_way_out_that_a_refusal_prints_works(capture, tmp_path):
    state = saved(capture.module, tmp_path / "plain.pt")
    for epoch in (1, 2):
        torch.save({"model": state, "args": Namespace(epoch=epoch)}, tmp_path / f"epoch-{epoch}.pt")
    plain = capture("--weights", "plain.pt").checkpoint(0).step_output
    options = ["--safe-global", "argparse:Namespace"]
    before = set(torch.serialization.get_safe_globals())
    assert (capture("--weights", "epoch-1.pt", *options).checkpoint(0).step_output == plain).all()
    assert capture("--checkpoints", "epoch-*.pt", *options).epochs() == [1, 2]
    assert set(torch.serialization.get_safe_globals()) == before


def test_folders_of_checkpoints_in_the_order_of_their_numbers(capture, tmp_path):
    for step in (20, 100, 60):
        saved(capture.module, tmp_path / f"checkpoint-{step}" / "model.safetensors", seed=step)
    last = capture("--weights", "checkpoint-100").checkpoint(0).step_output
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    assert manifest["model"]["weights_sha256"]
    for pattern in ("checkpoint-*", "checkpoint-*/model.safetensors"):
        folder = capture("--checkpoints", pattern, "--weights", "checkpoint-100")
        assert folder.epochs() == [0, 1, 2]
        assert (folder.checkpoint(2).step_output == last).all()
