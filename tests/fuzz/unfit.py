"""Run folders whose records are of the right format but do not fit: ``python -m tests.fuzz.unfit --runs N [RUN ...]``.

One thing of one record is changed and its digest made anew, as a stranger could write it: of a result, or with
``--recorded`` of what was recorded, which then is analysed. Every command has to end as it does on any input: with a
page, or with one line that names the file, and exit code 2.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import resource
import shutil
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from rnnreport.cli import main as run_command
from rnnreport.results import store
from tests.fuzz.choices import ATOMS, Choices, disturbed
from tests.fuzz.shortcuts import with_known_layouts, with_old_figures
from tests.payloads import TEXTS

MOST_SECONDS, MOST_BYTES = 120, 6 * 2**30
_WHOLE = 100  # changes of which one for each folder is shown with its figures
_COMPARED = 0.2  # of the changes that a comparison reads


class Folder:
    """A run folder of which one record at a time is changed: a result, or what was ``recorded``."""

    def __init__(self, path: Path, *, recorded: bool = False) -> None:
        self.path, self.recorded = path, recorded
        found = _recordings(path) if recorded else _results(path)
        self.records = {one: one.read_bytes() for one in found}
        self.arrays = {one: one.with_suffix(".npz").read_bytes() for one in found if one.with_suffix(".npz").exists()}

    @contextmanager
    def changed(self, draw: random.Random) -> Iterator[tuple[Path, str]]:
        """Change one record, and say which and how; afterwards it is as it was."""
        file = draw.choice(list(self.records))
        rest = json.loads(self.records[file])
        rest.pop("digest", None)
        arrays = dict(np.load(file.with_suffix(".npz"))) if file in self.arrays else {}
        try:
            told, rest, arrays = self._spoiled(file, rest, arrays, draw)
            _write(file, rest, arrays)
            yield file, told
        finally:
            file.write_bytes(self.records[file])
            if file in self.arrays:
                file.with_suffix(".npz").write_bytes(self.arrays[file])
            else:
                file.with_suffix(".npz").unlink(missing_ok=True)

    def _spoiled(
        self, file: Path, rest: dict[str, Any], arrays: dict[str, np.ndarray], draw: random.Random
    ) -> tuple[str, dict[str, Any], dict[str, np.ndarray]]:
        way = draw.random()
        if way < 0.05:  # another record in its place, as of another state or run
            kin = [
                other for other in self.records if other.stem.rstrip("-0123456789") == file.stem.rstrip("-0123456789")
            ]
            other = draw.choice(kin if draw.random() < 0.7 else list(self.records))
            whole = dict(np.load(other.with_suffix(".npz"))) if other in self.arrays else {}
            return f"is {other.stem}", json.loads(self.records[other]), whole
        if way < 0.07:
            return "is unavailable", {"record": "Unavailable", "analysis": file.stem, "reason": draw.choice(TEXTS)}, {}
        if arrays and way < 0.75:
            name = draw.choice(sorted(arrays))
            told, array = spoiled(arrays[name], draw)
            return f"{name}: {told}", rest, {**arrays, name: array}
        if way < 0.85:
            return "json: several", disturbed(rest, Choices(draw.randbytes(40))), arrays
        told, rest = one_changed(rest, draw)
        return f"json {told}", rest, arrays


def _results(path: Path) -> list[Path]:
    beside = (path / name for name in ("summary.json", "provenance.json"))
    return [*sorted((path / "results").glob("*.json")), *(file for file in beside if file.exists())]


def _recordings(path: Path) -> list[Path]:
    """What analyses read; states of one epoch stand for those of the others."""
    made = {"summary.json", "provenance.json", "training.json", "vocabulary.json"}
    own = sorted(file for file in path.glob("*.json") if file.name not in made)
    states = sorted((path / "states").glob("*.json"))
    return [*own, states[0], states[-1], *sorted(path.glob("corpus/*.json")), *sorted(path.glob("sentences/*.json"))]


def _write(file: Path, rest: Any, arrays: dict[str, np.ndarray]) -> None:
    """With the digest that a writer of these values would give it."""
    file.with_suffix(".npz").unlink(missing_ok=True)
    members = []
    if arrays:
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        file.with_suffix(".npz").write_bytes(buffer.getvalue())
        with zipfile.ZipFile(buffer) as archive:
            members = archive.infolist()
    if isinstance(rest, dict):
        rest.pop("digest", None)
    try:
        store.write_json(file, rest, members)
    except (ValueError, TypeError, RecursionError):  # what our writer cannot write has no digest
        file.write_text(json.dumps(rest))


def spoiled(array: np.ndarray, draw: random.Random) -> tuple[str, np.ndarray]:
    """An array with one thing wrong, and what that is."""
    ways: dict[str, Callable[[], np.ndarray]] = {
        "raveled": lambda: array.ravel(),
        "an axis more": lambda: array[None],
        "empty": lambda: array[:0] if array.ndim else np.zeros(0, array.dtype),
        "axes swapped": lambda: array.T,
        "as text": lambda: array.astype("U8"),
        "as truth": lambda: array != 0,
        "doubles": lambda: array.astype(np.float64),
        "int64": lambda: np.nan_to_num(array.astype(np.float64)).clip(-1e9, 1e9).astype(np.int64),
        "uint8": lambda: np.nan_to_num(array.astype(np.float64)).clip(0, 255).astype(np.uint8),
        "negated": lambda: -array - 1,
        "zeros": lambda: np.zeros_like(array),
        "shifted far": lambda: array + np.array(10_000 if array.dtype.itemsize > 1 else 100, array.dtype),
    }
    for axis in range(array.ndim):
        size = array.shape[axis]
        ways[f"axis {axis} shorter"] = lambda axis=axis, size=size: array.take(range(max(0, size - 1)), axis)
        ways[f"axis {axis} longer"] = lambda axis=axis, size=size: array.take(
            [*range(size), *([size - 1] if size else [])], axis
        )
        ways[f"axis {axis} reversed"] = lambda axis=axis: np.flip(array, axis)
        ways[f"axis {axis} gone"] = lambda axis=axis, size=size: array.take(0, axis) if size else array.sum(axis)
    floating = array.dtype.kind == "f"
    values: tuple[float, ...] = (np.nan, np.inf, -np.inf, 1e30, -1e30, 1e-40, -1.0, 2.0)
    if not floating:
        limits = np.iinfo(array.dtype)
        values = (limits.min, limits.max, max(-1, limits.min), max(-2, limits.min), 0, 1, 7, min(10_000, limits.max))
    for value in values:
        ways[f"one {value}"] = lambda value=value: _with_one(array, value, draw)
        ways[f"all {value}"] = lambda value=value: np.full_like(array, value)
    told = draw.choice(list(ways))
    with np.errstate(all="ignore"):
        return told, ways[told]()


def _with_one(array: np.ndarray, value: float, draw: random.Random) -> np.ndarray:
    array = np.ascontiguousarray(array.copy())
    if array.size:
        array.flat[draw.randrange(array.size)] = value
    return array


def one_changed(value: Any, draw: random.Random) -> tuple[str, Any]:
    """JSON with one value replaced, removed or repeated, and where."""
    value = json.loads(json.dumps(value))
    inside, where = value, []
    while True:
        keys = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
        key = draw.choice(keys)
        where.append(key)
        if not (isinstance(inside[key], (dict, list)) and inside[key]) or draw.random() < 0.3:
            break
        inside = inside[key]
    way = draw.randrange(6)
    if way == 0:
        del inside[key]
        told = "gone"
    elif way == 1 and isinstance(inside, list):
        inside.append(inside[key])
        told = "twice"
    elif way <= 3:
        inside[key], told = draw.choice(TEXTS), "hostile text"
    else:
        inside[key] = draw.choice(ATOMS)
        told = f"{str(inside[key])[:20]!r}"
    return f"{'.'.join(str(one)[:20] for one in where[:5])}: {told}", value


def ends_well(*command: str) -> int:
    """The exit code of a command that refuses in one line or succeeds; raises AssertionError where it does neither."""
    out, told = io.StringIO(), io.StringIO()
    start = time.process_time()
    with redirect_stdout(out), redirect_stderr(told):
        code = run_command(["--quiet", "--debug", *command])
    text = told.getvalue()
    assert code in (0, 2, 3), f"{command[0]} ends with {code}: {text[-3000:]}"
    if code == 2:
        last = text.strip().splitlines()[-1]
        assert last.startswith("rnnreport: error: ") and len(last) < 5000, text[-3000:]
    assert time.process_time() - start < MOST_SECONDS, f"{command[0]} takes too long"
    return code


def try_once(folder: Folder, good: Path, draw: random.Random, scratch: Path) -> tuple[str, dict[str, int]]:
    """Change a record and call every command that reads it.

    Parameters
    ----------
    folder : Folder
    good : Path
        Another run on the same probe set, to compare with.
    draw : random.Random
    scratch : Path
        For what is written.

    Returns
    -------
    tuple of str and dict
        What was changed, and how each command ended.
    """
    with folder.changed(draw) as (file, told):
        told = f"{file.relative_to(folder.path).with_suffix('')} {told}"
        ends: dict[str, int] = {}
        try:
            for call in _calls(folder, file, good, draw, scratch):
                ends[call[0]] = ends_well(*call)
                if call[0] == "analyse" and ends["analyse"]:
                    break
        except Exception as error:
            error.add_note(f"changed: {told}")
            raise
        return told, ends


def _calls(folder: Folder, file: Path, good: Path, draw: random.Random, scratch: Path) -> Iterator[tuple[str, ...]]:
    """Commands that read a record."""
    run, target = str(folder.path), str(scratch / "page.html")
    if folder.recorded:
        yield "analyse", run, "--force"
    yield "render", run, "--out", target, "--force"
    compared = folder.recorded or file.stem in ("sequences", "words", "units-0", "machine", "summary")
    if compared and draw.random() < _COMPARED:
        yield "compare", str(good), run, "--out", target, "--force"
    if file.stem == "summary":
        yield "check", run
        yield "index", str(folder.path.parent), "--out", str(scratch / "site"), "--force"


def main() -> int:
    """The number of changes that no command may end on as it did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, help="analysed run folders; a small one is made without any")
    parser.add_argument("--recorded", action="store_true", help="change what was recorded, not the results")
    parser.add_argument("--good", type=Path, help="another run on the same probe set as the first")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1e9)
    given = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    scratch = Path(tempfile.mkdtemp(prefix="unfit-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    paths = given.folders or [_analysed(scratch)]
    copies = [Path(shutil.copytree(path, scratch / f"{n}" / path.name)) for n, path in enumerate(paths)]
    folders = [Folder(path, recorded=given.recorded) for path in copies]
    with with_old_figures(), with_known_layouts():
        for folder in folders:
            ends_well("render", str(folder.path), "--force")  # the index lists runs with a page
    found: Counter[str] = Counter()
    accepted: Counter[str] = Counter()
    start, number = time.monotonic(), 0
    for number in range(given.runs):
        if time.monotonic() - start > given.seconds:
            break
        draw = random.Random(f"{given.seed} {number}")
        folder = folders[number % len(folders)]
        whole = number % _WHOLE < len(folders)
        with nullcontext() if whole else with_old_figures(), nullcontext() if whole else with_known_layouts():
            try:
                told, ends = try_once(folder, given.good or paths[number % len(folders)], draw, scratch)
                accepted[told] += ends.get("render") == 0
            except Exception as error:
                lines = str(error).strip().splitlines()
                key = " | ".join(line.strip() for line in lines[-4:])[:400]
                found[key] += 1
                if found[key] == 1:
                    print(f"{number}: {getattr(error, '__notes__', '')}: {key}", flush=True)  # noqa: T201
    print(f"{number + 1} changes, {accepted.total()} shown, {found.total()} found, {time.monotonic() - start:.0f} s")  # noqa: T201
    for told, times in sorted(accepted.items()):
        if times:
            print(f"shown: {told}")  # noqa: T201
    shutil.rmtree(scratch)
    return len(found)


def _analysed(scratch: Path) -> Path:
    from rnnreport.analyses import analyse
    from tests.fabricate import fabricate_run

    path = scratch / "analysed"
    analyse(fabricate_run(path, epochs=3, sequences=40, units=8, steps=(3, 6)))
    return path


if __name__ == "__main__":
    sys.exit(main())
