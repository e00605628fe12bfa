"""What the READMEs show is run as it stands there, page after page in one folder."""

from __future__ import annotations

import importlib
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from rnnreport.capture.recorder import Recorder
from rnnreport.cli import cli, main
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import Performance

FIRST, LOAD, CAPTURE, COMMANDS, PAGES = (
    f"{folder}README.md" for folder in ("", *(f"rnnreport/{name}/" for name in ("load", "capture", "cli", "report")))
)
READ = (FIRST, LOAD, CAPTURE, COMMANDS, PAGES)  # in the order in which one builds on the other
# The first page is run in full. What follows needs less: the examples of LOAD are untrained nets, of which a small part
# of the corpus says as much.
QUICK = {"RNNREPORT_BUDGET": "quick"}
SETTINGS = {FIRST: {}, LOAD: QUICK | {"RNNREPORT_MAX_STEPS": "400"}, CAPTURE: QUICK, COMMANDS: QUICK, PAGES: QUICK}
NOT_HERE = ("rnnreport demo", "rnnreport watch ", "make ")  # they take minutes, or go on until Ctrl-C


def blocks(root: Path, language: str, page: str = FIRST) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (root / page).read_text(), re.MULTILINE | re.DOTALL)


def modules(root: Path) -> dict[str, str]:
    """The Python blocks that begin with the name of their file, and the first example."""
    named = ((re.match(r"# (\w+\.py)\n", block), block) for page in READ for block in blocks(root, "python", page))
    return {"model.py": blocks(root, "python")[0]} | {name[1]: block for name, block in named if name}


def commands(root: Path, *pages: str) -> list[str]:
    """Every command of the shell blocks, continuation lines joined, comments cut."""
    text = "".join(block for page in pages or READ for block in blocks(root, "sh", page)).replace("\\\n", " ")
    return [line.partition("#")[0].strip() for line in text.splitlines() if line.partition("#")[0].strip()]


@pytest.fixture(scope="module")
def ran(tmp_path_factory, root):
    """A folder in which every command of every page was run, those of rnnreport in this process."""
    folder = tmp_path_factory.mktemp("readme")
    for name, text in modules(root).items():
        (folder / name).write_text(text)
    for page in READ:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            for name, value in SETTINGS[page].items():
                patch.setenv(name, value)
            for command in commands(root, page):
                if not command.startswith(NOT_HERE):
                    run(command, patch)
    return folder


def run(command: str, patch: pytest.MonkeyPatch) -> None:
    program, *arguments = shlex.split(command)
    patch.setattr("sys.path", list(sys.path))  # what a command prepends is undone
    if program == "rnnreport":
        assert main(arguments) == 0, command
    else:
        assert program == "python", command
        subprocess.run([sys.executable, *arguments], check=True)


def test_the_example_has_thirty_lines(root):
    lines = [line for line in blocks(root, "python")[0].splitlines() if line.strip()]
    assert len(lines) == 30


def test_the_run_is_complete(ran):
    folder = RunFolder.open(ran / "reader")
    assert (folder.path / "report.html").stat().st_size > 500_000
    assert folder.epochs() == [250, 500, 750, 1000, 1250, 1500]
    assert folder.result(Performance).metrics["accuracy"]["value"] > 0.95
    assert json.loads((folder.path / "summary.json").read_text())["run"] == "reader"


@pytest.mark.parametrize("shape", ["lengths", "packed", "waves"])
def test_models_of_each_shape_are_read_as_they_are_called(ran, root, rnnreport, monkeypatch, shape):
    """The command as it stands makes a report; with known weights its states are those of each sequence alone."""
    assert (ran / "shapes" / shape / "report.html").stat().st_size > 500_000
    (command,) = [command for command in commands(root) if f"--model {shape}:" in command]
    monkeypatch.chdir(ran)
    monkeypatch.syspath_prepend(ran)
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


def test_a_cell_of_ones_own_has_the_states_that_it_returned(ran, monkeypatch):
    """The command as it stands makes a report; the states are those of a loop over the cell itself."""
    folder = RunFolder.open(ran / "shapes" / "own")
    assert (folder.path / "report.html").stat().st_size > 500_000
    assert folder.manifest().state_keys == ("cell.0.fwd.h", "cell.0.fwd.c")
    monkeypatch.syspath_prepend(ran)
    own = importlib.import_module("own")
    seen = []

    class Noting(own.Cell):
        def forward(self, x, state):
            seen.append(super().forward(x, state))
            return seen[-1]

    torch.manual_seed(0)
    model = own.Own()
    recorder = Recorder(model, folder.probe(), ran / "noted", layers=["cell:h,c"])
    states = recorder.capture(0).states
    model.cell.__class__ = Noting
    with torch.no_grad():
        for sequence in np.split(folder.probe().tokens, np.cumsum(folder.probe().lengths)[:-1]):
            model(torch.from_numpy(sequence.astype(np.int64))[None])
    for place, kind in enumerate("hc"):
        own_states = torch.cat([step[place] for step in seen])
        np.testing.assert_allclose(states[f"cell.0.fwd.{kind}"], own_states, atol=1e-6)


def test_every_other_command_left_its_page(ran, root):
    done = {command.split()[1] for command in commands(root) if command.startswith("rnnreport ")}
    assert done == set(cli.commands) - {"train"}  # whose configurations test_train.py trains
    for page in ("epochs.html", "index.html", "last/report.html", "compare.html", "site/index.html"):
        assert (ran / page).stat().st_size > 10_000


def test_no_page_with_commands_is_left_out(root):
    pages = {path.relative_to(root).as_posix() for path in (root / "rnnreport").rglob("README.md")}
    assert {page for page in pages if blocks(root, "sh", page)} == set(READ) - {FIRST}


@pytest.mark.parametrize("page", [FIRST, CAPTURE])
def test_the_training_loop_records(ran, root, monkeypatch, tmp_path, page):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ran)
    for name in ("reviews.tsv", "words.json"):
        (tmp_path / name).symlink_to(ran / name)
    model = importlib.import_module("model").Reader()
    (loop,) = [block for block in blocks(root, "python", page) if "recorder.epoch(" in block]
    exec(loop, {"model": model, "train_one_epoch": lambda _: 0.5})
    folder = RunFolder.open(tmp_path / "training")
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
    first, reference = (root / FIRST).read_text(), (root / COMMANDS).read_text()
    for name in cli.commands:
        assert f"rnnreport {name}" in first
    for code in (0, 1, 2, 3, 130):
        assert f"| {code} |" in reference


def test_the_first_page_is_short(root):
    assert len((root / FIRST).read_text().encode()) < 14_000


def pages(root: Path) -> list[Path]:
    folders = ("rnnreport", "templates", "tests")  # those of sample_reports: tests/golden
    return [*root.glob("*.md"), *(path for name in folders for path in (root / name).rglob("*.md"))]


def anchors(text: str) -> set[str]:
    """Those that GitHub and GitLab make of the headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}


def test_local_links_exist(root):
    for page in pages(root):
        for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
            name, _, anchor = link.partition("#")
            if not link.startswith("http"):
                target = page.parent / name if name else page
                assert target.exists(), f"{page}: {link}"
                assert not anchor or anchor in anchors(target.read_text()), f"{page}: {link}"


def test_every_folder_says_what_belongs_in_it(root):
    folders = {path.parent for path in (root / "rnnreport").glob("*/__init__.py")}
    for folder in {*folders, root / "templates", root / "tests"}:
        assert "What belongs here" in (folder / "README.md").read_text(), folder
