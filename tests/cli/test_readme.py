"""The README's example is run as it stands there."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rnnreport.cli import cli
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import Performance


def blocks(root: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (root / "README.md").read_text(), re.MULTILINE | re.DOTALL)


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
    assert (folder.path / "report.html").stat().st_size > 1_000_000
    assert folder.epochs() == [250, 500, 750, 1000, 1250, 1500]
    assert folder.result(Performance).metrics["accuracy"]["value"] > 0.95
    assert json.loads((folder.path / "summary.json").read_text())["run"] == "reader"


def test_the_other_commands_work_too(shell, root):
    rest = [command for command in commands(root) if command.startswith("rnnreport ")]
    done = [command for command in rest if not command.startswith(("rnnreport run ", "rnnreport demo"))]
    assert {command.split()[1] for command in done} == {"capture", "analyse", "render", "compare", "index"}
    for command in done:
        shell(command)
    for page in ("last/report.html", "compare.html", "index.html"):
        assert (shell.folder / page).stat().st_size > 10_000


def test_the_training_loop_records(shell, root, monkeypatch):
    monkeypatch.chdir(shell.folder)
    monkeypatch.syspath_prepend(shell.folder)
    model = importlib.import_module("model").Reader()
    exec(blocks(root, "python")[1], {"model": model, "train_one_epoch": lambda _: 0.5})
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
