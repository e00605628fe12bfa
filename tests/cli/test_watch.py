"""``rnnreport watch`` as a process beside one that records."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rnnreport.report import render_report
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import Dynamics, Projection
from rnnreport.results.schema.landmarks import Landmarks
from tests.cli.conftest import Command
from tests.fabricate import fabricate_run
from tests.unit.test_interrupts import Dying

PATIENCE_S = 300  # far more than it takes, so that only a watch that hangs fails


class Training:
    """A run whose epochs land one by one."""

    def __init__(self, whole: RunFolder, path: Path) -> None:
        self.folder = RunFolder(path)
        self.page = path / "report.html"
        self._manifest = whole.manifest()
        self._checkpoints = list(whole.checkpoints())
        self._metrics = whole.metrics()
        self.folder.write_probe(whole.probe())

    def begin(self) -> None:
        self.folder.write_manifest(self._manifest)

    def land(self, epoch: int) -> None:
        self.folder.append_metrics(self._metrics[epoch])
        self.folder.write_checkpoint(self._checkpoints[epoch])

    def states(self, name: str) -> Path:
        return self.folder.path / "states" / name

    @property
    def stamp(self) -> str:
        path = self.page.with_name("report.stamp.css")
        return path.read_text(encoding="utf-8") if path.exists() else ""


@pytest.fixture
def training(tmp_path: Path) -> Training:
    return Training(fabricate_run(tmp_path / "whole", epochs=4, sequences=40, units=6, steps=(3, 6)), tmp_path / "run")


@pytest.fixture
def watching(training: Training, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "rnnreport", "watch", str(training.folder.path)]
    with open(tmp_path / "said.txt", "w", encoding="utf-8") as said:
        process = subprocess.Popen(command, stderr=said, stdout=subprocess.PIPE, text=True)
        yield process
        process.kill()
        process.communicate()


def wait(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.1)


def test_a_page_for_every_epoch_until_interrupted(
    training: Training, watching: subprocess.Popen[str], tmp_path: Path
) -> None:
    def said() -> str:
        return (tmp_path / "said.txt").read_text(encoding="utf-8")

    wait(lambda: "watching" in said())
    assert not training.page.exists()
    training.begin()
    training.land(0)
    training.land(1)
    wait(lambda: training.stamp)
    first, page = training.stamp, training.page.read_text(encoding="utf-8")
    assert 'data-stamp="report.stamp.css"' in page and "style-src file: " in page
    assert first.split('"')[1] in page

    training.states("epoch-000002.npz").write_bytes(b"half of it")  # counts as recorded only with its .json
    time.sleep(3)
    assert training.stamp == first and "no page" not in said()
    training.states("epoch-000002.json").write_text('{"record": "Checkpoint"}', encoding="utf-8")
    wait(lambda: "no page of this epoch, the one before stays" in said())
    assert training.stamp == first and training.page.read_text(encoding="utf-8") == page
    assert training.folder.summary().findings is not None  # and the results before are there again

    training.land(2)
    wait(lambda: training.stamp != first)
    found = training.folder.result(Dynamics)
    assert isinstance(found, Dynamics) and found.epochs.tolist() == [0, 1, 2]
    assert "updated 1 times" in " ".join(found.left_out)
    mapped = training.folder.result(Projection)
    assert isinstance(mapped, Projection) and set(mapped.methods) == {"t-SNE, perplexity 30", "PCA"}
    assert "while the training is watched" in " ".join(mapped.left_out)
    landmarks = training.folder.result(Landmarks)
    assert isinstance(landmarks, Landmarks) and landmarks.updates == 1

    watching.send_signal(signal.SIGINT)
    out, _ = watching.communicate(timeout=PATIENCE_S)
    assert (watching.returncode, out) == (130, "")
    assert said().endswith("rnnreport: interrupted\n")
    assert training.page.read_text(encoding="utf-8") == render_report(training.folder)  # an ordinary page at last
    assert not training.stamp
    assert [path.name for path in training.folder.path.rglob(".*")] == []


def test_an_interrupted_analysis_leaves_nothing_half_made(
    training: Training, watching: subprocess.Popen[str], tmp_path: Path
) -> None:
    training.begin()
    training.land(0)
    wait((training.folder.path / ".analysis.partial").exists)
    watching.send_signal(signal.SIGINT)
    watching.communicate(timeout=PATIENCE_S)
    assert watching.returncode == 130
    assert sorted(path.name for path in training.folder.path.iterdir()) == [
        "metrics.jsonl",
        "probe.json",
        "probe.npz",
        "run.json",
        "states",
    ]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("lost", ["dropped", "replaced by an error"])
def test_ctrl_c_ends_it_also_where_its_exception_is_lost(
    training: Training, rnnreport: Command, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    training.begin()
    training.land(0)

    def analyse(*_: object, **__: object) -> None:
        if lost == "dropped":
            Dying(lambda: signal.raise_signal(signal.SIGINT))
            return
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise TypeError("cannot compare") from None

    def sleep(_: float) -> None:
        pytest.fail("it went on watching")

    monkeypatch.setattr("rnnreport.analyses.analyse", analyse)
    monkeypatch.setattr("rnnreport.cli.watch.time.sleep", sleep)
    outcome = rnnreport("watch", training.folder.path)
    assert outcome.code == 130
    assert outcome.err.endswith("rnnreport: interrupted\n")


def test_a_folder_that_cannot_be_recorded_into_is_refused(rnnreport: Command, tmp_path: Path) -> None:
    outcome = rnnreport("watch", tmp_path / "none" / "run")
    assert outcome.code == 2 and "is no folder" in outcome.error
