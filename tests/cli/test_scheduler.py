"""A real Dask cluster on this machine, two of whose three workers are killed midway: the same bytes as without."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from rnnreport.errors import InputError
from rnnreport.parallel import spreading
from tests.cli.test_bad_input import REVIEWS, WORDS
from tests.moments import contents

# Every pass over the corpus leaves its process and its size. In a worker it then waits for the test to say "on": so all
# have begun when one is killed, and that one is midway.
LONG, STREAMED = 4000, 256  # reviews of 20 words, in three shards; how many go together only where these are read
PATIENCE_S = 300
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
        folder = pathlib.Path(os.environ.get("RNNREPORT_TEST_FOLDER", "."))
        with open(folder / "passes", "a") as log:
            log.write(f"{{os.getpid()}} {{len(tokens)}}\\n")
        on = folder / f"on-{{len(tokens) == {STREAMED}}}"
        deadline = time.monotonic() + {PATIENCE_S}
        while "RNNREPORT_TEST_WAITS" in os.environ and not on.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.head(self.rnn(self.embedding(tokens))[0][:, -1])
"""


@pytest.fixture
def work(tmp_path) -> Path:
    (tmp_path / "slow_readers.py").write_text(MODEL)
    (tmp_path / "words.json").write_text(json.dumps(WORDS))
    words = [[WORDS[place * step % len(WORDS)] for step in range(1, 21)] for place in range(LONG)]
    long = "".join(f"{' '.join(text)}\t{('negative', 'positive')[place % 2]}\n" for place, text in enumerate(words))
    (tmp_path / "reviews.tsv").write_text(REVIEWS + REVIEWS.partition("\n")[2] * 9 + long)
    torch.manual_seed(0)
    rnn, embedding, head = (
        torch.nn.GRU(3, 4, batch_first=True),
        torch.nn.Embedding(len(WORDS), 3),
        torch.nn.Linear(4, 2),
    )
    for step in range(4):
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
        "PYTHONPATH": root, "RNNREPORT_TEST_FOLDER": str(work),
        "DASK_DISTRIBUTED__SCHEDULER__DASHBOARD__STATUS": "", "OMP_NUM_THREADS": "1",
    }  # fmt: skip


@pytest.fixture
def cluster(work, tmp_path_factory) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Address and workers."""
    elsewhere = tmp_path_factory.mktemp("cluster")  # the workers do not begin in the working directory of the command

    def start(*words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "distributed.cli." + words[0], *words[1:]]
        with open(elsewhere / "log", "ab") as log:
            env = environment(work) | {"RNNREPORT_TEST_WAITS": "yes"}
            return subprocess.Popen(command, cwd=elsewhere, env=env, stderr=log)

    described = elsewhere / "scheduler.json"
    scheduler = start(
        "dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(described)
    )
    workers = []
    try:
        wait(lambda: described.is_file() and described.read_text().endswith("}"))
        address = json.loads(described.read_text())["address"]
        workers += [start("dask_worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard") for _ in range(3)]
        wait(lambda: (elsewhere / "log").read_text().count("Registered to") >= 3)
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


RUN = (
    "run", "--model", "slow_readers:Reader", "--checkpoints", "step-*.pt", "--corpus", "reviews.tsv", "--vocabulary",
    "words.json", "--classes", "negative,positive", "--budget", "quick", "--max-steps", "200", "--name", "same",
)  # fmt: skip


def run(work: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "rnnreport", *RUN, *words]
    return subprocess.Popen(
        command, cwd=work, env=environment(work), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def readers(work: Path, size: int = 0) -> set[int]:
    """The processes that ran the model, on so many sequences at once."""
    log = work / "passes"
    lines = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    return {int(line[0]) for line in lines if len(line) == 2 and (not size or int(line[1]) == size)}


def kill(worker: subprocess.Popen[bytes]) -> None:
    worker.send_signal(signal.SIGKILL)
    assert worker.wait() == -signal.SIGKILL


def test_a_cluster_gives_the_same_bytes_also_when_workers_die(work, cluster, rnnreport, monkeypatch):
    address, workers = cluster
    first, second, third = workers
    spread = run(work, "--out", "spread", "--scheduler", address)
    wait(lambda: spread.poll() is not None or {worker.pid for worker in workers} <= readers(work))
    kill(first)
    (work / "on-False").touch()
    wait(lambda: spread.poll() is not None or {second.pid, third.pid} <= readers(work, STREAMED))
    kill(second)
    (work / "on-True").touch()
    out, err = spread.communicate(timeout=PATIENCE_S)
    assert (spread.returncode, out) == (0, "spread/report.html\n"), err
    assert readers(work, STREAMED) == {second.pid, third.pid} and third.poll() is None
    plain = rnnreport(*RUN, "--out", "plain")
    assert plain.code == 0, plain.err
    found, wanted = contents(work / "spread"), contents(work / "plain")
    assert found.keys() == wanted.keys() and "corpus/responses-0.npz" in map(str, wanted)
    timed = {"metrics.jsonl", "run.json", "provenance.json", "report.html"}  # times, and the command as typed
    assert [name for name in wanted if found[name] != wanted[name] and name not in timed] == []
    index_with(address, rnnreport, monkeypatch)


def index_with(address: str, rnnreport, monkeypatch) -> None:
    """The runs of the working directory, by the worker that is left and by this process; what a worker can lack."""
    words = ("index", ".", "--light", "--out")
    assert rnnreport(*words, "here").code == 0
    with monkeypatch.context() as patched:
        patched.delattr("rnnreport.report.light.make_light")  # of this process
        assert rnnreport(*words, "there", "--scheduler", address).code == 0
    here = contents(Path("here"))
    # index, two reports, and what both share: data, scripts, style sheet, how numbers are made
    assert len(here) == 1 + 2 + 4 and here == contents(Path("there"))
    with monkeypatch.context() as patched:
        patched.setattr("rnnreport.cli.index._runs", lambda _: [Path("lost")])
        outcome = rnnreport(*words, "nowhere", "--scheduler", address)
    assert outcome.code == 2 and "a worker does not find lost/report.html" in outcome.error
    with monkeypatch.context() as patched:
        patched.setattr("rnnreport.parallel.installed", lambda: {"numpy": "0.1"})
        outcome = rnnreport(*words, "nowhere", "--scheduler", address)
    assert outcome.code == 2 and f"has numpy {np.__version__}, not 0.1" in outcome.error
    with pytest.raises(InputError, match="a worker lacks a module: No module named 'lost'"):
        spread_over(address, lambda *_: importlib.import_module("lost"))
    assert not Path("nowhere").exists()


def spread_over(address: str, function) -> list[object]:
    with spreading(address) as spread:
        return list(spread(function, None, [1]))


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
