"""Shell completion as rnnreport/cli/README.md sets it up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def asked(**variables: str) -> str:
    """What the program answers to a shell, which knows it by its name."""
    code = "import sys; sys.argv[0] = 'rnnreport'; from rnnreport.cli import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell(root: Path, shell: str) -> None:
    assert "_RNNREPORT_COMPLETE" in asked(_RNNREPORT_COMPLETE=f"{shell}_source", PYTHONPATH=str(root))
    assert f"{shell}_source" in (root / "rnnreport" / "cli" / "README.md").read_text()


def test_commands_and_options_are_completed(root: Path) -> None:
    given = {"_RNNREPORT_COMPLETE": "bash_complete", "PYTHONPATH": str(root)}
    assert asked(COMP_WORDS="rnnreport ch", COMP_CWORD="1", **given).split() == ["plain,check"]
    assert asked(COMP_WORDS="rnnreport check --b", COMP_CWORD="2", **given).split() == ["plain,--baseline"]
    assert asked(COMP_WORDS="rnnreport check x --format j", COMP_CWORD="4", **given).split() == ["plain,json"]
