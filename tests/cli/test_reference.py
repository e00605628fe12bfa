"""The command reference is what ``--help`` says, in the style of sqlite-utils' documentation."""

from __future__ import annotations

import difflib

import pytest

from rnnreport.cli import cli
from tests.cli.reference import MARKER, PAGE, reference


def test_the_reference_is_current() -> None:
    committed = PAGE.read_text(encoding="utf-8")
    lines = (text.splitlines(keepends=True) for text in (committed, reference(committed)))
    stale = "".join(difflib.unified_diff(*lines, "committed", "as --help says"))
    assert not stale, f"stale: run `python -m tests.cli.reference`\n{stale}"


def test_it_is_what_the_program_prints(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")  # of which click leaves two free
    shown = PAGE.read_text(encoding="utf-8").partition(MARKER)[2]
    for name in ("", *cli.commands):
        cli.main([*name.split(), "--help"], prog_name="rnnreport", standalone_mode=False)
        assert f"```text\n{capsys.readouterr().out}```\n" in shown
