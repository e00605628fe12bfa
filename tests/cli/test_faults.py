"""Accidents: kills, signals, full and read-only disks, two processes at one folder, damaged and old files."""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from rnnreport.capture.recorder import _keep_others_out
from rnnreport.results import locks, provenance, store
from rnnreport.results.folder import RunFolder
from rnnreport.results.locks import locked
from rnnreport.results.schema import Health, Jumps, Memory
from tests.cli.test_bad_input import arguments, call  # noqa: F401  # a fixture
from tests.cli.test_train import CONFIG, reviews
from tests.fuzz.targets import _card as card
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


def python(*words: str) -> list[str]:
    return [sys.executable, *words]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}


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


# --- the disk refuses


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """No file may become larger, as on a disk that is full then."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def rendered(rnnreport, runs) -> Path:
    assert rnnreport("render", runs[0]).code == 0
    return runs[0]


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
        pytest.skip("only root may mount")
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=900k", "tmpfs", place], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
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
            pytest.skip("mounting is not allowed here")
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


# --- two processes


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


# --- damaged and old files


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("results/health.json", "`rnnreport analyse first --force`"),
        ("results/sequences.npz", "`rnnreport analyse first --force`"),
        ("summary.json", "`rnnreport analyse first --force`"),
        ("run.json", "record the run again"),
    ],
)
@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_file_is_named_with_what_rebuilds_it(rnnreport, runs, name, remedy, damage):
    path = Path("first") / name
    data = bytearray(path.read_bytes())
    if damage == "cut":
        del data[len(data) // 2 :]
    else:
        data[len(data) // 2] ^= 1
    path.write_bytes(data)
    outcome = rnnreport("render", "first")
    assert (outcome.code, outcome.out) == (2, "")
    assert str(path).removesuffix(".npz").removesuffix(".json") in outcome.error and remedy in outcome.error
    assert not Path("first/report.html").exists()
    if (name, damage) == ("results/sequences.npz", "flipped"):
        assert rnnreport("-q", "analyse", "first", "--force").code == 0
        assert rnnreport("-q", "render", "first").code == 0


def test_a_damaged_recording_names_the_command_that_made_it(rnnreport, runs):
    folder = RunFolder(runs[0])
    command = "rnnreport run --model example:build --corpus news.tsv --out run"
    folder.write_manifest(dataclasses.replace(folder.manifest(), command=command))
    path = folder.path / "states" / f"epoch-{folder.epochs()[-1]:06d}.npz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 16
    path.write_bytes(data)
    before = contents(runs[0])
    outcome = rnnreport("analyse", "first", "--force")
    assert outcome.code == 2
    assert str(path) in outcome.error and f"`{command}` and --force" in outcome.error
    assert contents(runs[0]) == before


def test_a_flipped_digit_of_a_loss_is_named_with_its_line(rnnreport, runs):
    folder = RunFolder(runs[0])
    command = "rnnreport run --model example:build --corpus news.tsv --out run"
    folder.write_manifest(dataclasses.replace(folder.manifest(), command=command))
    lines = (folder.path / "metrics.jsonl").read_text().splitlines(keepends=True)
    value = json.loads(lines[1])["train_loss"]
    digit = str(value)[-1]
    lines[1] = lines[1].replace(str(value), str(value)[:-1] + str((int(digit) + 1) % 10), 1)
    (folder.path / "metrics.jsonl").write_text("".join(lines))
    outcome = rnnreport("analyse", "first", "--force")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.error.endswith(
        "first/metrics.jsonl:2 is damaged: its digest does not agree with its content "
        f"(delete the line, or record the run again, with `{command}` and --force)"
    )


def test_a_damaged_provenance_is_named_and_can_be_deleted(rnnreport, runs):
    path = Path("first/provenance.json")
    provenance.write_provenance(RunFolder(runs[0]), "capture", card())
    assert rnnreport("-q", "render", "first").code == 0
    path.write_text(path.read_text().replace("1.5", "1.6"))
    for words in (["render", "first", "--force"], ["analyse", "first", "--force"]):
        outcome = rnnreport("-q", *words)
        assert (
            outcome.code == 2 and "first/provenance.json is damaged" in outcome.error and "delete it" in outcome.error
        )
    path.unlink()
    assert rnnreport("-q", "analyse", "first", "--force").code == 0


def older(run: Path) -> RunFolder:
    """Make of a folder what an earlier version left: no digests, and fewer analyses."""
    for path in [*run.rglob("*.json")]:
        value = json.loads(path.read_text())
        if isinstance(value, dict) and value.pop("digest", None):
            path.write_text(json.dumps(value, indent=2))
    for kind in (Memory, Health, Jumps):
        for path in (run / "results").glob(f"{kind.analysis}.*"):
            path.unlink()
    return RunFolder(run)


def test_an_older_folder_is_shown_and_says_what_it_lacks(rnnreport, runs):
    older(runs[0])
    assert rnnreport("render", "first").code == 0
    assert "the run was analysed by an earlier version" in Path("first/report.html").read_text()
    assert rnnreport("-q", "analyse", "first", "--force").code == 0
    assert "digest" in json.loads(Path("first/results/memory.json").read_text())


def test_results_with_other_keys_are_refused_with_the_way_out(rnnreport, runs):
    folder = older(runs[0])
    path = folder.path / "results" / "units-0.npz"
    arrays = dict(np.load(path))
    del arrays["response"]
    np.savez(path, **arrays)
    outcome = rnnreport("render", "first")
    assert outcome.code == 2
    assert "units-0.json" in outcome.error and "has the wrong keys" in outcome.error and "['response']" in outcome.error
    assert "`rnnreport analyse first --force`" in outcome.error


def test_a_folder_of_another_format_is_refused(rnnreport, runs):
    manifest = json.loads((runs[0] / "run.json").read_text())
    (runs[0] / "run.json").write_text(json.dumps(manifest | {"format_version": 0, "surplus": 1}))
    for words in (["render", "first"], ["analyse", "first", "--force"], ["check", "first"]):
        outcome = rnnreport(*words)
        assert outcome.code == 2
        assert "format version 0, this rnnreport reads 1" in outcome.error and "capture again" in outcome.error
