"""Two processes at one folder: commands, recorders, and what a killed one leaves."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rnnreport.capture.recorder import _keep_others_out
from rnnreport.results import locks, store
from rnnreport.results.folder import RunFolder
from rnnreport.results.locks import locked
from tests.cli.conftest import environment, python
from tests.cli.test_bad_input import arguments, call  # noqa: F401  # a fixture
from tests.cli.test_train import CONFIG, reviews
from tests.moments import contents

HOLDER = """
import sys, time
from pathlib import Path
from rnnreport.results.locks import locked
with locked(Path(sys.argv[1]), sys.argv[2], shared=sys.argv[3:] == ["shared"]):
    print("held", flush=True)
    time.sleep(600)
"""
LOOP = """
import select, sys, time
import torch
from torch import nn
import rnnreport
from rnnreport.errors import RnnReportError

class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.rnn, self.head = nn.Embedding(6, 3), nn.GRU(3, 4, batch_first=True), nn.Linear(4, 2)
    def forward(self, tokens):
        return self.head(self.rnn(self.embedding(tokens))[0][:, -1])

torch.manual_seed(0)
with open("own.tsv", "w") as stream:
    stream.write("text\\tlabel\\n" + "".join(f"{a} {b}\\t{n}\\n" for n, a in enumerate("ab") for b in "cdefg"))
corpus = rnnreport.load_corpus("own.tsv")
model = Reader().eval()
model.embedding = nn.Embedding(len(corpus.vocabulary), 3)
recorder = rnnreport.Recorder(model, corpus, run=sys.argv[1])
epoch = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    epoch += 1
    recorder.epoch(epoch, loss=1 / epoch)
    if epoch == 1:
        print("recorded", flush=True)
    time.sleep(0.2)
"""


@pytest.fixture
def hold() -> Iterator[Callable[..., int]]:
    """Let another process hold the lock of a folder; its process id."""
    processes = []

    def start(path: Path, part: str = "", *shared: str) -> int:
        process = subprocess.Popen(
            python("-c", HOLDER, str(path), part, *shared), stdout=subprocess.PIPE, text=True, env=environment()
        )
        processes.append(process)
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        return process.pid

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_commands_on_one_folder_exclude_each_other(rnnreport, rendered, hold):
    (rendered / "summary.md").write_text("old")
    other = hold(rendered)
    for words in (
        ["analyse", "first", "--force"],
        ["render", "first", "--force"],
        ["render", "first", "--out", "-"],
        ["check", "first"],
        ["compare", "second", "first", "--out", "page.html"],
        ["analyse", "second", "--baseline", "first", "--force"],
        ["demo", "--out", "first", "--force"],
    ):
        outcome = rnnreport(*words)
        assert (outcome.code, outcome.out) == (1, ""), words
        assert f"first is in use by process {other} on " in outcome.error
        assert outcome.err == f"{outcome.error}\n"
    assert (rendered / "summary.md").read_text() == "old"
    assert rnnreport("index", ".", "--out", "site").code == 0  # it reads single files, each of them whole


def test_readers_share_a_folder(rnnreport, rendered, hold):
    hold(rendered, "", "shared")
    assert rnnreport("check", "first").code in (0, 3)
    outcome = rnnreport("render", "first", "--force")
    assert outcome.code == 1 and "in use" in outcome.error


def test_a_second_training_is_refused_and_pages_are_not(rnnreport, tmp_path, hold):
    reviews(tmp_path)
    (tmp_path / "small.toml").write_text(CONFIG)
    assert rnnreport("train", "small.toml", "--override", "training.epochs=1").code == 0
    before = contents(Path("small"))
    other = hold(Path("small"), "training")
    for force in ([], ["--force"]):
        outcome = rnnreport("train", "small.toml", *force)
        assert outcome.code == 1 and f"in use by process {other}" in outcome.error
    assert contents(Path("small")) == before
    with locked(Path("small")):  # a page of a training that goes on may be made
        pass


def test_a_lock_that_a_kill_left_is_taken_over(rnnreport, rendered, tmp_path):
    (tmp_path / ".first.lock").write_text("process 1 on elsewhere")
    assert rnnreport("render", "first", "--force").code == 0
    assert not list(tmp_path.glob(".*"))


@pytest.fixture
def recording(tmp_path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """A training loop of a user's own, in another process, that has recorded an epoch and records on."""
    (tmp_path / "loop.py").write_text(LOOP)
    processes = []

    def start(run: str) -> subprocess.Popen[str]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(python("loop.py", run), text=True, cwd=tmp_path, env=environment(), **pipes)
        processes.append(process)
        assert process.stdout is not None
        process.told = process.stdout.readline()
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_two_recorders_exclude_each_other_and_pages_are_made_beside_one(rnnreport, tmp_path, recording):
    first = recording("runs/own")
    assert first.told == "recorded\n"
    second = recording("runs/own")
    said = second.communicate()[1]
    assert second.returncode == 1
    assert f"runs/own is in use by process {first.pid} on " in said.splitlines()[-1]
    assert said.splitlines()[-1].endswith("(wait until it is done, or end it)")
    refused = rnnreport("demo", "--out", "runs/own", "--force")
    assert refused.code == 1 and f"in use by process {first.pid}" in refused.error
    before = RunFolder.open(Path("runs/own")).epochs()
    assert rnnreport("-q", "analyse", "runs/own").code == 0
    assert rnnreport("-q", "render", "runs/own").code == 0
    first.stdin.write("end\n")
    first.stdin.flush()
    assert first.wait() == 0 and first.stderr.read() == ""  # no warning: what the pages did disturbed no epoch
    assert len(RunFolder.open(Path("runs/own")).epochs()) > len(before) > 0
    assert not list(Path("runs").glob(".*"))
    assert recording("runs/own").told == "recorded\n"


def test_a_recorder_that_was_killed_leaves_no_obstacle(tmp_path, recording):
    first = recording("own")
    first.kill()
    first.wait()
    second = recording("own")
    assert second.told == "recorded\n"
    second.stdin.write("end\n")
    second.stdin.flush()
    assert second.wait() == 0
    assert not list(tmp_path.glob(".*"))


def test_a_process_that_records_anew_stays_alone(tmp_path):
    """The recorder of before ends after the new one has begun, as in a notebook whose cell is run again."""
    path = tmp_path / "run"
    before = _keep_others_out(path)
    now = _keep_others_out(path)
    before()
    done = subprocess.run(
        python("-c", HOLDER, str(path), "training"), env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and f"in use by process {os.getpid()}" in done.stderr
    now()
    assert not list(tmp_path.iterdir())


def test_a_forked_child_has_no_part_in_a_lock(tmp_path):
    with locked(tmp_path / "run"):
        child = os.fork()
        if not child:
            try:
                with locked(tmp_path / "run"):
                    os._exit(1)
            except locks.InUseError:
                os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert (tmp_path / ".run.lock").exists()
    assert not list(tmp_path.iterdir())


def test_what_a_killed_comparison_left_is_removed_by_the_next(rnnreport, runs, tmp_path, monkeypatch):
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    script = "import sys, time\nfrom rnnreport.results import placing\n"
    script += (
        "with placing.scratch() as path:\n    (path / 'states').mkdir()\n    print(path, flush=True)\n    input()\n"
    )
    variables = environment() | {"TMPDIR": str(place)}
    killed, busy = (
        subprocess.Popen(python("-c", script), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=variables)
        for _ in range(2)
    )
    left, used = (Path(process.stdout.readline().strip()) for process in (killed, busy))
    killed.kill()
    killed.communicate()
    (place / "rnnreport-scratch-link").symlink_to(tmp_path / "first")
    assert sorted(place.iterdir()) == sorted([left, used, place / "rnnreport-scratch-link"])
    assert rnnreport("-q", "compare", "first@0", "first", "--out", "compare.html").code == 0
    assert sorted(place.iterdir()) == sorted([used, place / "rnnreport-scratch-link"])
    assert (used / "states").is_dir() and (tmp_path / "first" / "run.json").is_file()
    busy.communicate("\n")
    assert [path.name for path in place.iterdir()] == ["rnnreport-scratch-link"]


def test_one_process_may_use_its_own_folder_twice(rnnreport, rendered):
    assert rnnreport("-q", "analyse", "first", "--baseline", "first", "--force").code == 0
    assert rnnreport("-q", "check", "first", "--baseline", "first").code in (0, 3)


def test_a_lock_excludes_however_many_come_and_go(tmp_path):
    """Eight processes add to one number; a lock that is removed under another's feet would lose some."""
    script = (
        "import sys; from pathlib import Path; from rnnreport.results.locks import locked\n"
        "from rnnreport.results import store\n"
        "for _ in range(40):\n"
        "    with locked(Path(sys.argv[1]), wait=True):\n"
        "        number = int(Path(sys.argv[1]).read_text()); store.write_text(Path(sys.argv[1]), str(number + 1))\n"
    )
    (tmp_path / "number").write_text("0")
    processes = [
        subprocess.Popen(python("-c", script, str(tmp_path / "number")), env=environment(), stderr=subprocess.PIPE)
        for _ in range(8)
    ]
    assert [process.communicate()[1] for process in processes] == [b""] * 8
    assert (tmp_path / "number").read_text() == "320"
    assert [path.name for path in tmp_path.iterdir()] == ["number"]


def test_a_file_that_another_process_writes_is_refused(tmp_path):
    with (
        open(tmp_path / ".page.html.tmp", "wb") as other,
    ):
        lock = locks.take(other.fileno(), tmp_path / "page.html")
        with pytest.raises(locks.InUseError, match=r"page\.html is being written by another process"):
            store.write_text(tmp_path / "page.html", "mine")
        os.close(lock)
    store.write_text(tmp_path / "page.html", "mine")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_planted_link_is_not_followed(tmp_path):
    (tmp_path / "victim").write_text("years of work")
    (tmp_path / ".page.html.tmp").symlink_to("victim")
    store.write_text(tmp_path / "page.html", "mine")
    os.link(tmp_path / "victim", tmp_path / ".page.html.tmp")
    store.write_text(tmp_path / "page.html", "mine, too")
    assert (tmp_path / "victim").read_text() == "years of work"
    assert (tmp_path / "page.html").read_text() == "mine, too" and not (tmp_path / "page.html").is_symlink()


def test_without_a_place_for_a_lock_there_is_none(tmp_path, monkeypatch):
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(locks.os, "open", refuse)
    with locked(tmp_path / "run"):
        assert list(tmp_path.iterdir()) == []
