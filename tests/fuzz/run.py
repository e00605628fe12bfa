"""Coverage-guided fuzzing with atheris, of some targets or of all: ``python -m tests.fuzz.run [TARGET ...] --runs N``.

Each target runs in a process of its own, one after the other. What it finds beyond our own errors is printed, and the
input that does it stays in the folder of ``--corpora``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import atheris

_PARSERS = ["rnnreport.load", "rnnreport.results", "rnnreport.reading", "rnnreport.config", "rnnreport.train.settings"]
_PARSERS += [
    "rnnreport.report.index",
    "tomllib",
    "json",
    "csv",
    "zipfile",
    "numpy.lib.format",
    "numpy.lib._format_impl",
]


def main() -> int:
    """The number of targets that found something."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--run", type=Path, help="an analysed run folder; a small one is made where it is not given")
    parser.add_argument("--corpora", type=Path, help="folder that keeps the inputs found, a folder for each target")
    given = parser.parse_args()
    with atheris.instrument_imports(include=_PARSERS):
        from tests.fuzz.targets import make_targets, survives
    scratch = Path(tempfile.mkdtemp(prefix="fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    targets = make_targets(given.run or _analysed(scratch), scratch)
    found = 0
    for name in given.targets or targets:
        folder = (given.corpora or scratch) / f"corpus-{name}"
        folder.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(targets[name].seeds):
            (folder / f"seed-{number}").write_bytes(seed)
        found += _in_child(name, given.runs, folder, lambda data, target=targets[name]: survives(target, data))
    shutil.rmtree(scratch)
    return found


def _analysed(scratch: Path) -> Path:
    from rnnreport.analyses import analyse
    from tests.fabricate import fabricate_run

    path = scratch / "analysed"
    analyse(fabricate_run(path, epochs=3, sequences=40, units=8, steps=(3, 6)))
    return path


def _in_child(name: str, runs: int, folder: Path, call: object) -> bool:
    """Fuzz in a copy of this process, which the fuzzer ends. Whether something was found."""
    start = time.monotonic()
    log = folder.with_name(f"{folder.name}.log")
    child = os.fork()
    if not child:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        options = [f"-runs={runs}", "-rss_limit_mb=6000", "-timeout=60", "-max_len=4096", "-seed=1"]
        atheris.Setup([name, *options, f"-artifact_prefix={folder.parent}/crash-{name}-", str(folder)], call)
        atheris.Fuzz()
        os._exit(0)
    failed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
    lines = log.read_text(errors="replace").splitlines()
    done = next((line for line in reversed(lines) if line.startswith("Done ")), "")
    print(f"{name}: {'FOUND' if failed else 'ok'} {done} ({time.monotonic() - start:.0f} s)", flush=True)  # noqa: T201
    if failed:
        told = [line for line in lines if not line.startswith("#")]
        print("\n".join(told[-40:]), flush=True)  # noqa: T201
    return failed


if __name__ == "__main__":
    sys.exit(main())
