"""The README's example is run as it stands there."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from rnnreport.capture.recorder import Recorder
from rnnreport.cli import cli
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import Performance


def blocks(root: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (root / "README.md").read_text(), re.MULTILINE | re.DOTALL)


def modules(root: Path) -> dict[str, str]:
    """The Python blocks that begin with the name of their file."""
    named = ((re.match(r"# (\w+\.py)\n", block), block) for block in blocks(root, "python"))
    return {name[1]: block for name, block in named if name}


def commands(root: Path) -> list[str]:
    """Every command of the shell blocks, continuation lines joined, comments cut."""
    text = "".join(blocks(root, "sh")).replace("\\\n", " ")
    return [line.partition("#")[0].strip() for line in text.splitlines() if line.partition("#")[0].strip()]


@pytest.fixture(scope="module")
def shell(tmp_path_factory, root):
    """Run a command of the README with this Python's programs first."""
    folder = tmp_path_factory.mktemp("readme")
    programs = tmp_path_factory.mktemp("bin")
    for name, target in (("python", ""), ("rnnreport", "-m rnnreport")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {target} "$@"\n')
        (programs / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(root)}

    def run(command: str) -> str:
        done = subprocess.run(
            ["sh", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    (folder / "model.py").write_text(blocks(root, "python")[0])
    for name, text in modules(root).items():
        (folder / name).write_text(text)
    run.folder = folder
    for command in commands(root):
        if command.startswith(("python ", "rnnreport run ")):
            run(command)
    return run


def test_the_example_has_thirty_lines(root):
    lines = [line for line in blocks(root, "python")[0].splitlines() if line.strip()]
    assert len(lines) == 30


def test_the_run_is_complete(shell):
    folder = RunFolder.open(shell.folder / "reader")
    assert (folder.path / "report.html").stat().st_size > 500_000
    assert folder.epochs() == [250, 500, 750, 1000, 1250, 1500]
    assert folder.result(Performance).metrics["accuracy"]["value"] > 0.95
    assert json.loads((folder.path / "summary.json").read_text())["run"] == "reader"


@pytest.mark.parametrize("shape", ["lengths", "packed", "waves"])
def test_models_of_each_shape_are_read_as_they_are_called(shell, root, rnnreport, monkeypatch, shape):
    """The command as it stands makes a report; with known weights its states are those of each sequence alone."""
    assert (shell.folder / "shapes" / shape / "report.html").stat().st_size > 500_000
    (command,) = [command for command in commands(root) if f"--model {shape}:" in command]
    monkeypatch.chdir(shell.folder)
    monkeypatch.syspath_prepend(shell.folder)
    monkeypatch.delitem(sys.modules, shape, raising=False)
    options = command.split()[2:-1]
    arguments = {"units": 12} if "units=12" in options else {}
    torch.manual_seed(0)
    model = getattr(importlib.import_module(shape), shape.title())(**arguments).eval()
    torch.save(model.state_dict(), f"{shape}.pt")
    outcome = rnnreport("capture", *options, f"known/{shape}", "--weights", f"{shape}.pt")
    assert outcome.code == 0, outcome.err
    folder = RunFolder.open(Path("known", shape))
    probe, checkpoint = folder.probe(), folder.checkpoint(0)
    sequences = np.split(probe.values if shape == "waves" else probe.tokens, np.cumsum(probe.lengths)[:-1])
    states, outputs = [], []
    model.rnn.batch_first = False
    with torch.no_grad():
        for sequence in sequences:
            steps = torch.from_numpy(sequence)[:, None]
            steps = steps if shape == "waves" else model.embedding(steps.long())
            hidden = model.rnn(steps)[0][:, 0]
            states.append(hidden)
            outputs.append(model.head(hidden[-1]).softmax(0))
    (key,) = [key for key in checkpoint.states if key.endswith(".fwd.h")]
    np.testing.assert_allclose(checkpoint.states[key], torch.cat(states), atol=1e-6)
    np.testing.assert_allclose(checkpoint.model_output, torch.stack(outputs), atol=1e-6)


def test_a_cell_of_ones_own_has_the_states_that_it_returned(shell, monkeypatch):
    """The command as it stands makes a report; the states are those of a loop over the cell itself."""
    folder = RunFolder.open(shell.folder / "shapes" / "own")
    assert (folder.path / "report.html").stat().st_size > 500_000
    assert folder.manifest().state_keys == ("cell.0.fwd.h", "cell.0.fwd.c")
    monkeypatch.syspath_prepend(shell.folder)
    own = importlib.import_module("own")
    seen = []

    class Noting(own.Cell):
        def forward(self, x, state):
            seen.append(super().forward(x, state))
            return seen[-1]

    torch.manual_seed(0)
    model = own.Own()
    recorder = Recorder(model, folder.probe(), shell.folder / "noted", layers=["cell:h,c"])
    states = recorder.capture(0).states
    model.cell.__class__ = Noting
    with torch.no_grad():
        for sequence in np.split(folder.probe().tokens, np.cumsum(folder.probe().lengths)[:-1]):
            model(torch.from_numpy(sequence.astype(np.int64))[None])
    for place, kind in enumerate("hc"):
        own_states = torch.cat([step[place] for step in seen])
        np.testing.assert_allclose(states[f"cell.0.fwd.{kind}"], own_states, atol=1e-6)


def test_the_other_commands_work_too(shell, root):
    rest = [command for command in commands(root) if command.startswith("rnnreport ")]
    elsewhere = ("rnnreport run ", "rnnreport demo", "rnnreport watch ")  # watch goes on until Ctrl-C
    done = [command for command in rest if not command.startswith(elsewhere)]
    assert {command.split()[1] for command in done} == {"capture", "analyse", "render", "compare", "check", "index"}
    for command in done:
        shell(command)
    for page in ("last/report.html", "compare.html", "index.html"):
        assert (shell.folder / page).stat().st_size > 10_000


def test_the_training_loop_records(shell, root, monkeypatch):
    monkeypatch.chdir(shell.folder)
    monkeypatch.syspath_prepend(shell.folder)
    model = importlib.import_module("model").Reader()
    (loop,) = [block for block in blocks(root, "python") if "recorder.epoch(" in block]
    exec(loop, {"model": model, "train_one_epoch": lambda _: 0.5})
    folder = RunFolder.open(shell.folder / "training")
    assert folder.epochs() == list(range(1, 11))
    assert {line["train_loss"] for line in folder.metrics()} == {0.5}


def test_demo_commands_parse(root):
    for command in commands(root):
        if command.startswith("rnnreport demo"):
            cli.commands["demo"].make_context("demo", command.split()[2:])


def test_make_targets_exist(root):
    targets = re.findall(r"^(\w+):", (root / "Makefile").read_text(), re.MULTILINE)
    for command in commands(root):
        if command.startswith("make "):
            assert command.split()[1] in targets


def test_every_command_and_exit_code_is_described(root):
    text = (root / "README.md").read_text()
    for name in cli.commands:
        assert f"rnnreport {name}" in text
    for code in (0, 1, 2, 3, 130):
        assert f"| {code} |" in text


def test_local_links_exist(root):
    for name in ("README.md", "CONTRIBUTING.md"):
        for link in re.findall(r"\]\(([^)#]+)\)", (root / name).read_text()):
            if not link.startswith("http"):
                assert (root / link).exists(), f"{name}: {link}"
