"""Commands that are ended, and full and read-only disks."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rnnreport.results.folder import RunFolder
from tests.cli.conftest import environment, python
from tests.cli.test_bad_input import arguments, call  # noqa: F401  # a fixture
from tests.cli.test_train import CONFIG, reviews
from tests.conftest import missing
from tests.moments import contents


def test_commands_that_are_ended_leave_what_was_there_or_all_of_the_new(tmp_path):
    done = subprocess.run(
        python("-m", "tests.faults", "8", "--fixed"),
        cwd=Path(__file__).resolve().parents[2],
        env=environment() | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert sum(int(line.rpartition(": ")[2]) for line in done.stdout.splitlines()) == 8


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """No file may become larger, as on a disk that is full then."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def refused(outcome, path: str) -> None:
    assert (outcome.code, outcome.out) == (1, "")
    assert path in outcome.error and "too large" in outcome.error and "free space" in outcome.error
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize(
    ("words", "size", "told"),
    [
        (["-q", "analyse", "first", "--force"], 800, "results/"),
        (["analyse", "first", "--force"], 3_000, "results/"),
        (["render", "first", "--force"], 800, "summary.md"),
        (["render", "first", "--force"], 200_000, "report.html"),
        (["compare", "first", "second", "--out", "page.html"], 1_000, "page.html"),
        (["index", ".", "--out", "site"], 1_000, "site/index.html"),
        (["index", ".", "--out", "site", "--light"], 100_000, "site/"),
    ],
)
def test_a_full_disk_is_one_line_and_loses_nothing(rnnreport, rendered, tmp_path, words, size, told):
    before = contents(tmp_path)
    with at_most(size):
        outcome = rnnreport(*words)
    refused(outcome, told)
    after = contents(tmp_path)
    assert before.items() <= after.items()
    assert not [name for name in after if Path(name).name.startswith(".") or ".analysis" in name]


@pytest.mark.parametrize("size", [800, 1_500])
def test_a_full_disk_during_a_capture(rnnreport, arguments, tmp_path, size):  # noqa: F811
    assert call(rnnreport, "capture", arguments).code == 0
    before = contents(tmp_path)
    with at_most(size):
        outcome = rnnreport("run", "--force", *sum(arguments.items(), ()))
    refused(outcome, "run.partial")
    kept = {name: data for name, data in contents(tmp_path).items() if "__pycache__" not in name}
    assert kept == {name: data for name, data in before.items() if "__pycache__" not in name}


def test_a_training_goes_on_when_there_is_room_again(rnnreport, tmp_path):
    reviews(tmp_path)
    (tmp_path / "small.toml").write_text(CONFIG)
    with at_most(3_000):
        refused(rnnreport("train", "small.toml"), "small/")
    assert not list(tmp_path.rglob(".*"))
    assert rnnreport("train", "small.toml").code == 0
    assert RunFolder.open(Path("small")).epochs() == [0, 1, 2, 3]


def test_a_disk_that_is_really_full(rnnreport, rendered, tmp_path):
    """What a limit of the size of files cannot show: there is no room for the temporary file itself."""
    if os.getuid():
        missing("only root may mount")
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=900k", "tmpfs", place], capture_output=True).returncode:
        missing("mounting is not allowed here")
    try:
        shutil.copytree(rendered, place / "run", ignore=shutil.ignore_patterns("report.html", "states"))
        shutil.copytree(rendered / "states", place / "run" / "states")
        with open(place / "filler", "wb", buffering=0) as filler, pytest.raises(OSError, match="No space"):
            while True:
                filler.write(bytes(4096))
        before = contents(place)
        for words in (["render", place / "run"], ["analyse", place / "run", "--force"]):
            outcome = rnnreport(*words)
            assert outcome.code == 1 and "No space left on device" in outcome.error
            assert contents(place) == before
        assert rnnreport("check", place / "run").code in (0, 3)  # which writes nothing
        (place / "filler").unlink()
        assert rnnreport("render", place / "run", "--out", tmp_path / "page.html").code == 0
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_full_standard_output_is_told(rendered):
    command = f"'{sys.executable}' -m rnnreport render '{rendered.absolute()}' --out - > /dev/full"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "rnnreport: error: No space left on device"
    assert "Traceback" not in done.stderr


def test_a_read_only_folder_can_be_read_and_is_not_written(rnnreport, rendered, tmp_path):
    if os.getuid():
        rendered.chmod(0o555)
        tmp_path.chmod(0o555)
        end: Callable[[], object] = lambda: (tmp_path.chmod(0o755), rendered.chmod(0o755))  # noqa: E731
    else:
        mount = ["mount", "--bind", "-o", "ro", tmp_path, tmp_path]
        if subprocess.run(mount, capture_output=True).returncode:
            missing("mounting is not allowed here")
        end = lambda: subprocess.run(["umount", "-l", tmp_path], check=True)  # noqa: E731
    try:
        before = contents(tmp_path)
        for words in (["render", "first", "--force"], ["analyse", "first", "--force"], ["index", ".", "--out", "site"]):
            outcome = rnnreport(*(tmp_path / word if word in ("first", ".", "site") else word for word in words))
            assert (outcome.code, outcome.out) == (1, ""), words
            assert "Read-only file system" in outcome.error or "Permission denied" in outcome.error
        assert rnnreport("check", tmp_path / "first").code in (0, 3)
        assert rnnreport("-q", "render", tmp_path / "first", "--out", "-").code == 0
        assert contents(tmp_path) == before
    finally:
        end()
