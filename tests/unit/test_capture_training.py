"""Recording a training: two lines in any loop, which never fail it; the folder is readable at any moment."""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import rnnreport
from rnnreport import InputError, Recorder, RecordingWarning, RunFolder, make_probe
from rnnreport.load.corpus import Corpus, load_corpus
from rnnreport.results import metrics, placing

torch.set_num_threads(1)

# one process imports torch once, and every test forks from it
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["torch", "rnnreport.capture.recorder"])


class Net(nn.Module):
    def __init__(self, units: int = 6) -> None:
        super().__init__()
        self.emb, self.rnn, self.fc = nn.Embedding(10, 5), nn.GRU(5, units, batch_first=True), nn.Linear(units, 2)
        self.norm = nn.BatchNorm1d(2, affine=False)
        self.broken = False

    def forward(self, tokens: Tensor) -> Tensor:
        if self.broken:
            raise RuntimeError("the model is\nbroken")
        output: Tensor = self.norm(self.fc(self.rnn(self.emb(tokens))[0][:, -1]))
        return output


def net_of(epoch: int) -> Net:
    torch.manual_seed(epoch)
    return Net()


def make_corpus(folder: Path, seed: int = 0) -> Corpus:
    rng = random.Random(seed)
    rows = [f"{n % 2}\t{' '.join(rng.choice('abcdefgh') for _ in range(3 + n % 4))}\n" for n in range(20)]
    folder.mkdir(exist_ok=True)
    (folder / "a.tsv").write_text("label\ttext\n" + "".join(rows))
    return load_corpus(folder / "a.tsv")


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return make_corpus(tmp_path / "corpus")


def states_of(epoch: int, folder: RunFolder) -> np.ndarray[Any, Any]:
    """The states that the net of an epoch has on the probe set, by torch alone, a sequence at a time."""
    net, probe = net_of(epoch), folder.probe()
    with torch.no_grad():
        pieces = [
            net.rnn(net.emb(torch.from_numpy(t).long()[None]))[0][0]
            for t in np.split(probe.tokens, probe.offsets[1:-1])
        ]
    return torch.cat(pieces).numpy()


def check_epoch(epoch: int, folder: RunFolder) -> None:
    checkpoint = folder.checkpoint(epoch)
    assert checkpoint.epoch == epoch
    np.testing.assert_allclose(checkpoint.states["rnn.0.fwd.h"], states_of(epoch, folder), atol=1e-6)


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_two_lines_in_a_loop(corpus: Corpus, tmp_path: Path) -> None:
    model = Net()
    recorder = rnnreport.Recorder(model, corpus, run=str(tmp_path / "runs" / "a"))
    assert not (tmp_path / "runs" / "a").exists()  # nothing before the first epoch
    for epoch in (1, 2):
        model.load_state_dict(net_of(epoch).state_dict())
        recorder.epoch(epoch, loss=torch.tensor(0.5 / epoch, requires_grad=True), accuracy=np.float32(0.25))
    folder = RunFolder.open(tmp_path / "runs" / "a")
    assert folder.epochs() == [1, 2]
    for epoch in (1, 2):
        check_epoch(epoch, folder)
    assert [(line["loss"], line["accuracy"]) for line in folder.metrics()] == [(0.5, 0.25), (0.25, 0.25)]
    manifest = folder.manifest()
    assert (manifest.name, manifest.corpus) == ("a", corpus.info())
    assert manifest.model["source"].endswith(":Net")


def test_a_probe_set_alone_is_described_as_what_it_is(corpus: Corpus, tmp_path: Path) -> None:
    probe = make_probe(corpus, 30)
    Recorder(Net(), probe, tmp_path / "run").epoch(1)
    stored = RunFolder.open(tmp_path / "run").manifest().corpus
    assert (stored["sequences"], stored["steps"]) == (len(probe.lengths), probe.lengths.sum())
    Recorder(Net(), corpus, tmp_path / "other", max_steps=30).epoch(1)
    other = RunFolder.open(tmp_path / "other").manifest()
    assert other.probe_sha256 == RunFolder.open(tmp_path / "run").manifest().probe_sha256
    assert other.corpus["sequences"] == 20


def test_without_metrics_those_of_the_probe_set_are_written(corpus: Corpus, tmp_path: Path) -> None:
    recorder = Recorder(Net(), corpus, tmp_path / "run")
    recorder.epoch(1)
    right = recorder.capture(1).model_output.argmax(1) == recorder.probe.labels
    assert RunFolder(tmp_path / "run").metrics()[0]["accuracy"] == right.mean()


def test_a_recording_goes_on_where_it_was(corpus: Corpus, tmp_path: Path) -> None:
    first = Recorder(net_of(1), corpus, tmp_path / "run", name="first")
    for epoch in (1, 2):
        first.epoch(epoch, loss=0.5)
    manifest = (tmp_path / "run" / "run.json").read_bytes()
    again = Recorder(net_of(2), make_probe(corpus), tmp_path / "run", name="second")
    again.epoch(2, loss=0.4)
    again.epoch(3, loss=0.3)
    folder = RunFolder.open(tmp_path / "run")
    assert (tmp_path / "run" / "run.json").read_bytes() == manifest
    assert folder.epochs() == [1, 2, 3]
    assert [(line["epoch"], line["loss"]) for line in folder.metrics()] == [(1, 0.5), (2, 0.4), (3, 0.3)]
    check_epoch(1, folder)
    check_epoch(2, folder)


def test_another_probe_set_or_model_is_refused_before_training(corpus: Corpus, tmp_path: Path) -> None:
    Recorder(Net(), corpus, tmp_path / "run").epoch(1)
    before = files(tmp_path / "run")
    with pytest.raises(InputError, match="another probe set"):
        Recorder(Net(), make_corpus(tmp_path / "other", seed=1), tmp_path / "run")
    with pytest.raises(InputError, match=r"another model: GRU 1 x 6 of 298 parameters, now GRU 1 x 7 of "):
        Recorder(Net(7), corpus, tmp_path / "run")
    assert files(tmp_path / "run") == before


def test_what_goes_wrong_is_a_warning_and_later_epochs_are_recorded(corpus: Corpus, tmp_path: Path) -> None:
    model = Net().train()
    recorder = Recorder(model, corpus, tmp_path / "run")
    model.broken = True
    with pytest.warns(RecordingWarning, match="epoch 1 is not recorded: .*RuntimeError: the model is broken") as caught:
        recorder.epoch(1, loss=0.1)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert model.training
    model.broken = False
    for wrong in (-1, 1.5, "2", None):
        with pytest.warns(RecordingWarning, match="is not a number from 0 up"):
            recorder.epoch(wrong)  # type: ignore[arg-type]
    with pytest.warns(RecordingWarning, match="the metric 'loss' is no number"):
        recorder.epoch(2, loss=torch.ones(3))  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()
    recorder.epoch(3, loss=0.3)
    assert RunFolder.open(tmp_path / "run").epochs() == [3]


def test_the_strict_form_raises(corpus: Corpus, tmp_path: Path) -> None:
    recorder = Recorder(Net(), corpus, tmp_path / "run")
    recorder.model.broken = True
    with pytest.raises(InputError, match="the model is broken"):
        recorder.record(1)


@pytest.mark.parametrize("call", ["write", "replace", "open"])
def test_a_full_disk_leaves_the_earlier_epochs(call: str, corpus: Corpus, tmp_path: Path, monkeypatch: Any) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    target = {
        "write": "rnnreport.results.store.os.fdopen",
        "replace": "rnnreport.results.store.os.replace",
        "open": "rnnreport.results.placing._open",
    }[call]
    model = net_of(1)
    recorder = Recorder(model, corpus, tmp_path / "run")
    recorder.epoch(1, loss=0.1)
    states = files(tmp_path / "run" / "states")
    with monkeypatch.context() as disk:
        disk.setattr(target, full)
        with pytest.warns(RecordingWarning, match=r"epoch 2 is not recorded: cannot write .*: No space left on device"):
            recorder.epoch(2, loss=0.2)
    folder = RunFolder.open(tmp_path / "run")
    assert files(tmp_path / "run" / "states") == states
    assert folder.epochs() == [1]
    model.load_state_dict(net_of(3).state_dict())
    recorder.epoch(3, loss=0.3)
    assert folder.epochs() == [1, 3]
    check_epoch(1, folder)
    check_epoch(3, folder)
    assert {line["epoch"]: line["loss"] for line in folder.metrics()}.items() >= {1: 0.1, 3: 0.3}.items()


@contextmanager
def longest_file(size: int) -> Iterator[None]:
    """Within, the system writes what fits into a file of this many bytes and refuses the rest, as a full disk does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_line_of_metrics_that_was_half_written(corpus: Corpus, tmp_path: Path) -> None:
    recorder = Recorder(net_of(1), corpus, tmp_path / "run")
    recorder.epoch(1, loss=0.1)
    size = (tmp_path / "run" / "metrics.jsonl").stat().st_size
    with longest_file(size + 9), pytest.warns(RecordingWarning, match=r"cannot write .*metrics\.jsonl: File too large"):
        recorder.epoch(2, loss=0.2)
    assert (tmp_path / "run" / "metrics.jsonl").stat().st_size == size + 9
    assert [line["epoch"] for line in RunFolder.open(tmp_path / "run").metrics()] == [1]
    recorder.epoch(3, loss=0.3)
    assert [line["epoch"] for line in RunFolder.open(tmp_path / "run").metrics()] == [1, 3]


def test_states_that_were_half_written(corpus: Corpus, tmp_path: Path) -> None:
    model = net_of(1)
    recorder = Recorder(model, corpus, tmp_path / "run")
    with longest_file(1000), pytest.warns(RecordingWarning, match=r"cannot write .*probe\.npz: File too large"):
        recorder.epoch(0)
    assert not RunFolder(tmp_path / "run").exists()
    recorder.epoch(1, loss=0.1)
    before = files(tmp_path / "run" / "states")
    with longest_file(1000), pytest.warns(RecordingWarning, match=r"cannot write .*epoch-000002\.npz: File too large"):
        recorder.epoch(2, loss=0.2)
    assert files(tmp_path / "run" / "states") == before
    model.load_state_dict(net_of(3).state_dict())
    recorder.epoch(3, loss=0.3)
    folder = RunFolder.open(tmp_path / "run")
    assert folder.epochs() == [1, 3]
    check_epoch(1, folder)
    check_epoch(3, folder)


def record_until_killed(corpus: Corpus, path: Path, started: Any, kill_at: int) -> None:
    """Record on from the last epoch; with ``kill_at`` die right before that opening or renaming of a file."""
    torch.set_num_threads(1)
    calls = count(1)

    def deadly(function: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            if next(calls) == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **options)

        return call

    placing._open, os.fdopen, os.replace = deadly(placing._open), deadly(os.fdopen), deadly(os.replace)
    metrics.open = deadly(open)  # type: ignore[attr-defined]  # of the metrics, in that module alone
    model = net_of(0)
    recorder = Recorder(model, corpus, path)
    done = RunFolder(path).epochs()
    started.set()
    for epoch in count(done[-1] + 1 if done else 1):
        model.load_state_dict(net_of(epoch).state_dict())
        recorder.epoch(epoch, loss=epoch / 10)


def kill_one(corpus: Corpus, path: Path, *, after_s: float = 0.0, kill_at: int = 0) -> None:
    started = FORKS.Event()
    process = FORKS.Process(target=record_until_killed, args=(corpus, path, started, kill_at))
    process.start()
    if not kill_at:
        assert started.wait(60)
        time.sleep(after_s)
        process.kill()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


def check_folder(path: Path) -> int:
    """Every listed epoch loads, holds what torch says, and has its metrics; the number of epochs."""
    if not RunFolder(path).exists():
        return 0
    folder = RunFolder.open(path)
    epochs = folder.epochs()
    assert epochs == list(range(1, len(epochs) + 1))
    for epoch in epochs:
        check_epoch(epoch, folder)
    losses = {line["epoch"]: line["loss"] for line in folder.metrics()}
    assert all(losses[epoch] == epoch / 10 for epoch in epochs)
    return len(epochs)


def test_killed_at_random_moments_it_stays_readable_and_goes_on(corpus: Corpus, tmp_path: Path) -> None:
    moments = random.Random(0)
    found = []
    for _ in range(10):
        kill_one(corpus, tmp_path / "run", after_s=moments.uniform(0.0, 0.12))
        found.append(check_folder(tmp_path / "run"))
    assert found == sorted(found)
    assert found[-1] > found[0]
    Recorder(net_of(found[-1] + 1), corpus, tmp_path / "run").epoch(found[-1] + 1, loss=(found[-1] + 1) / 10)
    assert check_folder(tmp_path / "run") == found[-1] + 1
    assert not list((tmp_path / "run").rglob(".*"))  # what killed writers left behind


def test_killed_before_every_single_write(corpus: Corpus, tmp_path: Path) -> None:
    """An epoch has the metrics and two files of states; the first one also two of the probe set and the manifest.

    Metrics are one call, and one to look for a torn line where there are some; the other files are three each.
    """
    recorded = []
    for kill_at in range(1, 26):
        path = tmp_path / str(kill_at)
        kill_one(corpus, path, kill_at=kill_at)
        recorded.append(check_folder(path))
        Recorder(net_of(recorded[-1] + 1), corpus, path).record(recorded[-1] + 1, loss=(recorded[-1] + 1) / 10)
        assert check_folder(path) == recorded[-1] + 1
        assert not list(path.rglob(".*"))  # what the killed one left behind
        shutil.rmtree(path)
    assert recorded == [0] * 16 + [1] * 8 + [2]
