"""Folders and files appear whole or not at all, also when the command is interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rnnreport.cli.outputs import new_folder
from rnnreport.errors import InputError


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("exists", [False, True])
def test_an_error_leaves_what_was_there(tmp_path, error, exists):
    target = tmp_path / "run"
    if exists:
        target.mkdir()
        (target / "run.json").write_text("old")
    with pytest.raises(error), new_folder(target, force=True, marker="run.json") as building:
        (building / "run.json").write_text("new")
        raise error
    assert [path.name for path in tmp_path.iterdir()] == (["run"] if exists else [])
    if exists:
        assert (target / "run.json").read_text() == "old"


def test_the_folder_appears_at_the_end(tmp_path):
    target = tmp_path / "new" / "run"
    with new_folder(target, force=False, marker="run.json") as building:
        (building / "run.json").write_text("new")
        assert building.parent == target.parent
        assert building.name == ".run.partial"
        assert not target.exists()
    assert [path.name for path in target.parent.iterdir()] == ["run"]
    assert target.stat().st_mode & 0o777 == 0o755


def test_an_empty_folder_is_no_obstacle(tmp_path):
    (tmp_path / "run").mkdir()
    with new_folder(tmp_path / "run", force=False, marker="run.json") as building:
        (building / "run.json").write_text("new")
    assert (tmp_path / "run" / "run.json").read_text() == "new"


def test_force_does_not_replace_a_file(tmp_path):
    (tmp_path / "run").write_text("mine")
    with (
        pytest.raises(InputError, match="left alone"),
        new_folder(tmp_path / "run", force=True, marker="run.json"),
    ):
        pytest.fail("the block must not run")
    assert (tmp_path / "run").read_text() == "mine"


def test_ctrl_c_stops_the_demo_without_a_trace(tmp_path):
    command = [sys.executable, "-m", "rnnreport", "demo", "--task", "sentiment", "--out", "demo"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_environment()
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".demo.partial/rnn/states/*.json")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == "rnnreport: interrupted"
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_closed_pipe_is_no_traceback(analysed_runs):
    command = f"'{sys.executable}' -m rnnreport render '{analysed_runs[0]}' --out - | head -c 10"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=_environment(), check=False)
    assert done.stdout == "<!doctype "
    assert "Traceback" not in done.stderr


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
