"""Commands that are ended at random moments, and called again.

``python -m tests.faults [TRIES]`` ends train, run, render and index in turn (200 tries by default, a fifth of them with
SIGTERM and SIGINT instead of SIGKILL) and prints what was found. A parent that has loaded everything forks each
command, so that the moments are spread over its work and not over its imports.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import openTSNE  # noqa: F401  # loaded once, here
import torch
import torch._dynamo  # by the first optimiser, for longer than a training takes

import rnnreport.analyses.pipeline
import rnnreport.capture.run
import rnnreport.report
import rnnreport.train.manager  # noqa: F401
from rnnreport.cli import main
from rnnreport.errors import InputError
from rnnreport.results.folder import RunFolder

WORDS = ["the", "film", "is", "good", "bad", "not"]
MODEL = """
from torch import nn
class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.rnn, self.head = nn.Embedding(6, 3), nn.GRU(3, 4, batch_first=True), nn.Linear(4, 2)
    def forward(self, tokens):
        return self.head(self.rnn(self.embedding(tokens))[0][:, -1])
"""
CONFIG = """
[data]
train = "reviews.tsv"
valid = 0.2
test = 0.2
[model]
cell = "GRU"
units = 4
embedding = 3
[training]
epochs = 12
batch-size = 8
[record]
budget = "quick"
"""
CAPTURE = [
    *("--model", "reviewers:Reader", "--corpus", "reviews.tsv", "--vocabulary", "words.json"),
    *("--classes", "negative,positive", "--budget", "quick"),
]
SIGNALS = (signal.SIGKILL,) * 8 + (signal.SIGTERM, signal.SIGINT)
CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}
_CLOCK = ("metrics.jsonl", "provenance.json", "report.html", "run.json")  # hold times


@dataclass(frozen=True)
class Scene:
    """A command in a working directory.

    Attributes
    ----------
    arguments : of the command
    prepare : function of the directory, sets the scene
    ended : function of the directory, raises AssertionError unless what an end leaves is sound; says what it was
    finished : function of the directory, raises unless the next call has done its work
    """

    arguments: list[str]
    prepare: Callable[[Path], None]
    ended: Callable[[Path], str]
    finished: Callable[[Path], None]


class Scenes:
    """The four commands, each with what is complete."""

    def __init__(self, folder: Path) -> None:
        self.base = folder / "base"
        self.base.mkdir()
        source = random.Random(0)
        rows = [(["the", "film", "is", source.choice(["good", "bad", "not"])], source.choice("ab")) for _ in range(40)]
        lines = [f"{' '.join(words)}\t{'positive' if label == 'a' else 'negative'}" for words, label in rows]
        (self.base / "reviews.tsv").write_text("\n".join(["text\tlabel", *lines]) + "\n")
        (self.base / "words.json").write_text(json.dumps(WORDS))
        (self.base / "reviewers.py").write_text(MODEL)
        (self.base / "small.toml").write_text(CONFIG)
        self.seconds: dict[str, float] = {}
        for name, words in (
            ("run", ["run", *CAPTURE, "--out", "run"]),
            ("train", ["train", "small.toml"]),
            ("render", ["render", "run", "--force"]),
            ("index", ["index", ".", "--out", "site", "--light"]),
        ):
            _, status, used = os.wait4(_start(self.base, words), 0)
            assert status == 0, name
            self.seconds[name] = used.ru_utime + used.ru_stime
        self.complete = {path.name: _whole(path) for path in map(self.base.joinpath, ("run", "small", "site"))}

    def of(self, command: str) -> Scene:
        """The scene of a command."""
        if command == "train":
            return Scene(["train", "small.toml"], self._clear, self._training, self._trained)
        if command == "run":
            return Scene(["run", *CAPTURE, "--out", "run", "--force"], self._old_run, self._replaced, self._run)
        if command == "render":
            return Scene(["render", "run", "--force"], self._old_page, self._page, self._run)
        return Scene(["index", ".", "--out", "site", "--light", "--force"], self._old_site, self._site, self._indexed)

    def _clear(self, work: Path) -> None:
        shutil.copytree(self.base, work, ignore=shutil.ignore_patterns("run", "small", "site"))

    def _old_run(self, work: Path) -> None:
        self._clear(work)
        shutil.copytree(self.base / "run", work / "run")
        (work / "run" / "summary.md").write_text("old")
        (work / "run" / "old.txt").write_text("old")

    def _old_page(self, work: Path) -> None:
        self._clear(work)
        shutil.copytree(self.base / "run", work / "run")
        for name in ("report.html", "summary.md"):
            (work / "run" / name).write_text("old")

    def _old_site(self, work: Path) -> None:
        self._clear(work)
        shutil.copytree(self.base / "run", work / "run")
        shutil.copytree(self.base / "run", work / "more" / "run")
        (work / "site").mkdir()
        (work / "site" / "index.html").write_text("old")

    def _training(self, work: Path) -> str:
        if not (work / "small" / "run.json").is_file():
            return "before"
        folder = RunFolder.open(work / "small")
        for epoch in folder.recorded_epochs():
            folder.checkpoint(epoch)
        assert len(folder.metrics()) >= len(folder.recorded_epochs())
        return "complete" if (work / "small" / "training.json").is_file() else "resumable"

    def _trained(self, work: Path) -> None:
        _same(_whole(work / "small"), self.complete["small"])

    def _replaced(self, work: Path) -> str:
        if (work / "run" / "old.txt").exists():
            before = {"summary.md": b"old", "old.txt": b"old"}
            _same(_whole(work / "run"), self.complete["run"] | before)
            return "before"
        self._run(work)
        return "complete"

    def _run(self, work: Path) -> None:
        _same(_whole(work / "run"), self.complete["run"])
        assert _ends(work / "run" / "report.html")

    def _page(self, work: Path) -> str:
        pages = [(work / "run" / name).read_bytes() for name in ("report.html", "summary.md")]
        whole = [(self.base / "run" / name).read_bytes() for name in ("report.html", "summary.md")]
        assert all(page in (b"old", full) for page, full in zip(pages, whole, strict=True))
        return "complete" if pages == whole else "before"

    def _site(self, work: Path) -> str:
        shown = (work / "site" / "index.html").read_text()
        for path in (work / "site").rglob("*.html"):
            assert path.read_text() == "old" or _ends(path)
        for path in (work / "site" / "assets").glob("[!.]*"):
            assert path.read_bytes() == (self.base / "site" / "assets" / path.name).read_bytes()
        return "before" if shown == "old" else "complete"

    def _indexed(self, work: Path) -> None:
        assert {"index.html", "reports/run/report.html", "reports/more/run/report.html"} < _whole(work / "site").keys()
        assert self._site(work) == "complete"


def attempt(scenes: Scenes, command: str, end: signal.Signals, share: float, work: Path) -> str:
    """End a command after a share of its usual processor time and call it again.

    Returns
    -------
    str
        What the end left: "before", "resumable" or "complete".
    """
    scene = scenes.of(command)
    scene.prepare(work)
    child = _start(work, scene.arguments)
    _let_work(child, share * scenes.seconds[command])
    os.kill(child, end)
    code = _wait(child)
    assert code in (0, -end, CODES.get(end)), f"exit code {code} after {end.name}"
    if end in CODES:
        assert not _hidden(work), f"{end.name} left {_hidden(work)}"
    found = scene.ended(work)
    assert _wait(_start(work, scene.arguments)) == 0, "the next call failed"
    scene.finished(work)
    assert not _hidden(work), f"the next call left {_hidden(work)}"
    return found


def _start(work: Path, arguments: list[str]) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell takes from what it starts with "&"
        os.chdir(work)
        sys.path.insert(0, str(work))
        with open(work.parent / "said.txt", "a") as said:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
        code = main(["-q", *arguments])
    except KeyboardInterrupt:
        code = 130
    finally:
        os._exit(code)


def _let_work(child: int, seconds: float) -> None:
    """Wait until a child has used so much processor time, however busy the machine is, or has ended."""
    clock = (~child << 3) | 2  # of the processor time of another process, as clock_getcpuclockid(3) makes it
    while not os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        if time.clock_gettime(clock) >= seconds:
            return
        time.sleep(0.0005)


def _wait(child: int) -> int:
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _hidden(work: Path) -> list[str]:
    return [str(path.relative_to(work)) for path in work.rglob(".*")]


def _whole(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _same(found: dict[str, bytes], wanted: dict[str, bytes]) -> None:
    """The same files, and the same bytes in those without times."""
    assert found.keys() == wanted.keys(), found.keys() ^ wanted.keys()
    differing = [name for name in found if found[name] != wanted[name] and name not in _CLOCK]
    assert not differing, differing


def _ends(page: Path) -> bool:
    return page.read_text().rstrip().endswith("</html>")


def run(tries: int, fixed: bool) -> Iterator[tuple[str, str, str]]:
    """All tries in turn: the command, the signal that ended it, and what that left.

    Parameters
    ----------
    tries : int
    fixed : bool
        At moments spread evenly, instead of drawn ones.
    """
    torch.set_num_threads(1)
    draw = random.Random()
    with tempfile.TemporaryDirectory(prefix="rnnreport-faults-") as folder:
        scenes = Scenes(Path(folder))
        turns = zip(itertools.cycle(("train", "run", "render", "index")), range(tries), strict=False)
        for command, number in turns:
            round_ = number // 4
            end = SIGNALS[round_ % len(SIGNALS)] if not fixed else SIGNALS[-1 - number % 3]
            share = (number + 1) * 0.618 % 1 if fixed else draw.uniform(0, 1.1)
            work = Path(folder) / f"try-{number}"
            try:
                found = attempt(scenes, command, end, share, work)
            except (AssertionError, InputError) as error:
                said = (Path(folder) / "said.txt").read_text()[-500:]
                raise SystemExit(f"try {number}, {command}, {end.name} at {share:.3f}: {error}\n{said}") from error
            shutil.rmtree(work)
            yield command, end.name, found


if __name__ == "__main__":
    wanted = [word for word in sys.argv[1:] if word != "--fixed"]
    counts: Counter[tuple[str, str, str]] = Counter()
    for done, found in enumerate(run(int(wanted[0]) if wanted else 200, "--fixed" in sys.argv), start=1):
        counts[found] += 1
        sys.stderr.write(f"{done}: {' '.join(found)}\n")
    for key, count in sorted(counts.items()):
        sys.stdout.write(f"{' '.join(key)}: {count}\n")
