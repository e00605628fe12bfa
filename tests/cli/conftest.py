"""Running commands in this process, where torch is loaded once."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from rnnreport import progress
from rnnreport.cli import main


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line an error consists of."""
        (line,) = [line for line in self.err.splitlines() if line.startswith("rnnreport: error: ")]
        return line


Command = Callable[..., Outcome]


@pytest.fixture
def rnnreport(capfd, monkeypatch, tmp_path) -> Command:
    """Call the command line in an empty working directory; what takes seconds of every run is left out."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RNNREPORT_BUDGET", "quick")
    # what a command switches or prepends is undone
    monkeypatch.setattr(progress, "_QUIET", False)
    monkeypatch.setattr("sys.path", list(sys.path))

    def call(*arguments: object) -> Outcome:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture
def runs(analysed_runs, tmp_path) -> tuple[Path, Path]:
    """Own copies of two analysed runs, in the working directory."""
    for run in analysed_runs:
        shutil.copytree(run, tmp_path / run.name)
    return Path("first"), Path("second")


@pytest.fixture(scope="session")
def with_page(made_once, analysed_runs) -> Path:
    """The first of them with its page, as the command leaves it. Copy before changing."""

    def make(folder: Path) -> None:
        run = shutil.copytree(analysed_runs[0], folder / "first")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(progress, "_QUIET", False)
            patch.setattr("sys.path", list(sys.path))
            assert main(["-q", "render", str(run)]) == 0

    return made_once("with-page", make) / "first"


@pytest.fixture
def rendered(rnnreport: Command, runs: tuple[Path, Path], with_page: Path) -> Path:
    """The first of ``runs`` with its page, in the working directory."""
    shutil.copytree(with_page, runs[0], dirs_exist_ok=True)
    return runs[0]


def python(*words: str) -> list[str]:
    """A command of this interpreter."""
    return [sys.executable, *words]


def environment() -> dict[str, str]:
    """Of a process that is to find this package, wherever it runs."""
    return os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
