"""A real Dask cluster of two workers on this machine, one of which is killed midway: the same bytes as without."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.cli.test_bad_input import REVIEWS, WORDS
from tests.moments import contents

# every pass over the corpus leaves the process that made it, and takes long enough to be interrupted
MODEL = f"""
import os, time, pathlib, torch
from torch import nn


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding({len(WORDS)}, 3)
        self.rnn = nn.GRU(3, 4, batch_first=True)
        self.head = nn.Linear(4, 2)

    def forward(self, tokens):
        if "slow" in os.environ.get("RNNREPORT_TEST", ""):
            time.sleep(0.05)
            with open(pathlib.Path(os.environ["RNNREPORT_TEST_LOG"]), "a") as log:
                log.write(f"{{os.getpid()}}\\n")
        return self.head(self.rnn(self.embedding(tokens))[0][:, -1])
"""
PATIENCE_S = 300


@pytest.fixture
def work(tmp_path) -> Path:
    (tmp_path / "slow_readers.py").write_text(MODEL)
    (tmp_path / "words.json").write_text(json.dumps(WORDS))
    (tmp_path / "reviews.tsv").write_text(REVIEWS + REVIEWS.partition("\n")[2] * 9)
    torch.manual_seed(0)
    rnn, embedding, head = (
        torch.nn.GRU(3, 4, batch_first=True),
        torch.nn.Embedding(len(WORDS), 3),
        torch.nn.Linear(4, 2),
    )
    for step in range(6):
        parts = {"rnn": rnn, "embedding": embedding, "head": head}
        state = {
            f"{name}.{key}": value * (1 + step / 10)
            for name, part in parts.items()
            for key, value in part.state_dict().items()
        }
        torch.save(state, tmp_path / f"step-{step}.pt")
    return tmp_path


def environment(work: Path) -> dict[str, str]:
    root = str(Path(__file__).resolve().parents[2])
    return os.environ | {
        "PYTHONPATH": root, "RNNREPORT_TEST": "slow", "RNNREPORT_TEST_LOG": str(work / "passes"),
        "DASK_DISTRIBUTED__SCHEDULER__DASHBOARD__STATUS": "", "OMP_NUM_THREADS": "1",
    }  # fmt: skip


@pytest.fixture
def cluster(work, tmp_path_factory) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Address and workers."""
    elsewhere = tmp_path_factory.mktemp("cluster")  # the workers do not begin in the working directory of the command

    def start(*words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "distributed.cli." + words[0], *words[1:]]
        with open(elsewhere / "log", "ab") as log:
            return subprocess.Popen(command, cwd=elsewhere, env=environment(work), stderr=log)

    described = elsewhere / "scheduler.json"
    scheduler = start(
        "dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(described)
    )
    workers = []
    try:
        wait(described.is_file)
        address = json.loads(described.read_text())["address"]
        workers += [start("dask_worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard") for _ in range(2)]
        wait(lambda: (elsewhere / "log").read_text().count("Registered to") >= 2)
        yield address, workers
    finally:
        for process in (*workers, scheduler):
            process.kill()
            process.communicate()


def wait(condition) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.05)


def run(work: Path, out: str, *words: str) -> subprocess.Popen[str]:
    command = [
        sys.executable, "-m", "rnnreport", "run", "--model", "slow_readers:Reader", "--checkpoints", "step-*.pt",
        "--corpus", "reviews.tsv", "--vocabulary", "words.json", "--classes", "negative,positive", "--out", out,
        "--budget", "quick", "--name", "same", *words,
    ]  # fmt: skip
    return subprocess.Popen(
        command, cwd=work, env=environment(work), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def passes(work: Path) -> list[int]:
    log = work / "passes"
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def test_a_cluster_gives_the_same_bytes_also_when_a_worker_dies(work, cluster):
    address, workers = cluster
    spread = run(work, "spread", "--scheduler", address)
    ours = {worker.pid for worker in workers}
    wait(lambda: spread.poll() is not None or ours <= set(passes(work)))
    workers[0].send_signal(signal.SIGKILL)
    out, err = spread.communicate(timeout=PATIENCE_S)
    assert (spread.returncode, out) == (0, "spread/report.html\n"), err
    assert workers[0].wait() == -signal.SIGKILL and workers[1].poll() is None
    plain = run(work, "plain")
    out, err = plain.communicate(timeout=PATIENCE_S)
    assert plain.returncode == 0, err
    found, wanted = contents(work / "spread"), contents(work / "plain")
    assert found.keys() == wanted.keys()
    timed = {"metrics.jsonl", "run.json", "provenance.json", "report.html"}  # times, and the command as typed
    assert [name for name in wanted if found[name] != wanted[name] and name not in timed] == []


def test_an_address_where_nobody_answers_is_one_line(rnnreport, runs, monkeypatch):
    monkeypatch.setattr("rnnreport.parallel._ANSWERS_WITHIN_S", 1)
    outcome = rnnreport("analyse", "first", "--force", "--scheduler", "tcp://127.0.0.1:1")
    assert (outcome.code, outcome.out) == (1, "")
    assert "no scheduler answers at tcp://127.0.0.1:1" in outcome.error and "dask scheduler" in outcome.error


def test_without_dask_the_extra_is_named(rnnreport, runs, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    outcome = rnnreport("analyse", "first", "--force", "--scheduler", "tcp://127.0.0.1:1")
    assert outcome.code == 2 and "rnnreport[dask]" in outcome.error


def test_dask_is_not_imported_without_an_address():
    script = (
        "import sys; from rnnreport.parallel import spreading\n"
        "with spreading(None) as spread: print(list(spread(lambda a, b: a + b, 1, [1, 2])))\n"
        "print({'distributed', 'dask', 'cloudpickle'} & sys.modules.keys())"
    )
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": root},
        check=True,
    )
    assert done.stdout == "[2, 3]\nset()\n"
