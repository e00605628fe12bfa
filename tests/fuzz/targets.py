"""What is fuzzed: every parser of what strangers give, called with bytes.

A target returns, or raises an error of ours; anything else is a finding. Files are written to a folder of the caller's,
in memory where there is one.
"""

from __future__ import annotations

import dataclasses
import gzip
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import nn

from rnnreport.analyses.rules import CHECK_IDS
from rnnreport.analyses.thresholds import parse_policy
from rnnreport.capture.layers import NamedLayer, parse_layers
from rnnreport.config import read_settings, read_thresholds
from rnnreport.errors import RnnReportError
from rnnreport.load import importing
from rnnreport.load.arguments import parse_arguments, read_arguments
from rnnreport.load.checkpoints import read_state_dict
from rnnreport.load.corpus import load_corpus
from rnnreport.load.sentences import read_sentences
from rnnreport.load.tokenizers import make_tokenizer, tokenize
from rnnreport.load.vocabulary import read_vocabulary
from rnnreport.load.weights import load_weights
from rnnreport.report.index import IndexEntry, render_index
from rnnreport.results import schema, store
from rnnreport.results.folder import RunFolder
from rnnreport.results.provenance import read_provenance
from rnnreport.results.recorded import Checkpoint, Probe
from rnnreport.train.settings import read_settings as read_training
from tests.fuzz.choices import Choices, disturbed, disturbed_arrays

TOKENIZERS = ("whitespace", "word", "char")


@dataclass(frozen=True)
class Target:
    """A parser, and inputs that it accepts, to begin with.

    Attributes
    ----------
    call : function of bytes
    seeds : tuple of bytes
    """

    call: Callable[[bytes], object]
    seeds: tuple[bytes, ...]


def survives(target: Target, data: bytes) -> bool:
    """Whether the input was accepted; raises whatever is no error of ours."""
    try:
        target.call(data)
    except RnnReportError as error:
        assert "\n" not in str(error) and len(str(error)) < 20_000
        return False
    return True


def make_targets(run: Path, scratch: Path) -> dict[str, Target]:
    """All targets.

    Parameters
    ----------
    run : Path
        An analysed run folder, whose files are disturbed.
    scratch : Path
        Empty folder.
    """
    return {
        **_corpora(scratch),
        **_settings(scratch),
        **_weights(scratch),
        **_records(run, scratch),
        **_strings(scratch),
    }


def _corpora(scratch: Path) -> dict[str, Target]:
    def text(suffix: str) -> Callable[[bytes], object]:
        def call(data: bytes) -> object:
            path = scratch / f"corpus{suffix}"
            tokenizer = TOKENIZERS[len(data) % 3]
            path.write_bytes(gzip.compress(data, 1, mtime=0) if suffix.endswith(".gz") and len(data) % 5 else data)
            return load_corpus(
                path, tokenizer=tokenizer, sequence_length=4, classes=("a", "b") if len(data) % 7 == 0 else None
            )

        return call

    tables = {
        "tsv": (
            b"text\tlabel\na film\tgood\nanother one\tbad\n",
            b"tokens\ttags\nthe film\tD N\n",
            b"text\ttarget_a\ttarget_b\tid\nx y\t1.5\t-2\tn1\n",
            b"text\tlabels\nx\ta|b\ny\t\n",
            b"tokens\ttargets\na b\tnan 1e3\n",
        ),
        "csv": (b'text,label\n"a ""film"", yes",good\nb,bad\n', b'text,target\n"two\nlines",3\n'),
        "jsonl": (
            b'{"text": "a b", "label": "x"}\n{"text": "c", "label": 3}\n',
            b'{"tokens": ["a", "b"], "tags": ["D", "N"]}\n',
            b'{"text": "a", "labels": ["x", "y"], "id": 7}\n',
            b'{"text": "a", "target": [1, 2.5]}\n',
            b'{"tokens": ["a"], "targets": [null]}\n{"tokens": ["b"], "targets": [2]}\n',
        ),
        "txt": (b"a line of text\nanother\n", "naïve — 日本語\n".encode()),
    }
    found = {name: Target(text(f".{name}"), seeds) for name, seeds in tables.items()}
    found["gz"] = Target(text(".txt.gz"), (gzip.compress(b"a b\nc\n", mtime=0), b"plain text\n"))

    series = {
        "X": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        "length": np.array([3, 2]),
        "y": np.array([0, 1]),
        "class_names": np.array(["a", "b"]),
        "feature_names": np.array(list("wxyz")),
        "ids": np.array(["p", "q"]),
        "scale": np.ones(4),
    }
    flat = {"values": np.ones((5, 2), np.float32), "length": np.array([3, 2]), "step_targets": np.zeros((5, 1))}
    many = {**{name: series[name] for name in ("X", "length")}, "labels": np.array([[0, 1], [1, 0]])}
    real = {"X": series["X"], "targets": np.array([1.5, 2.5])}
    archives = (series, flat, many, real)

    def npz(data: bytes) -> object:
        choices = Choices(data)
        arrays = disturbed_arrays(choices.of(archives), choices)
        path = scratch / "series.npz"
        path.write_bytes(_spoiled(_archive(arrays), choices))
        return load_corpus(path)

    def raw(data: bytes) -> object:
        path = scratch / "raw.npz"
        path.write_bytes(data)
        return load_corpus(path)

    found["npz"] = Target(npz, (bytes(8), bytes(range(40)), b"\x01\x02\x00\x03\x04" * 6))
    found["npz-bytes"] = Target(raw, tuple(_archive(arrays) for arrays in archives))

    def header(data: bytes) -> object:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED if len(data) % 2 else zipfile.ZIP_STORED) as archive:
            archive.writestr("X.npy", data)
        return raw(buffer.getvalue())

    one = io.BytesIO()
    np.save(one, series["X"])
    found["npy"] = Target(header, (one.getvalue(),))

    def vocabulary(suffix: str) -> Callable[[bytes], object]:
        def call(data: bytes) -> object:
            path = scratch / f"words{suffix}"
            path.write_bytes(data)
            return read_vocabulary(path)

        return call

    found["vocabulary-json"] = Target(vocabulary(".json"), (b'["a", "<unk>"]', b'{"a": 0, "b": 2}'))
    found["vocabulary-txt"] = Target(vocabulary(".txt"), (b"a\nb\n<unk>\n",))
    return found


def _archive(arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.save(member, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue())
    return buffer.getvalue()


def _spoiled(data: bytes, choices: Choices) -> bytes:
    """A byte changed here and there, where anything is left to choose from."""
    spoiled = bytearray(data)
    for _ in range(choices.below(3)):
        place = (choices.below(65_536) * 7919) % max(1, len(spoiled))
        spoiled[place] = choices.below(256)
    return bytes(spoiled)


def _settings(scratch: Path) -> dict[str, Target]:
    def arguments(suffix: str) -> Callable[[bytes], object]:
        def call(data: bytes) -> object:
            path = scratch / f"arguments{suffix}"
            path.write_bytes(data)
            return read_arguments(path)

        return call

    def configured(name: str) -> Callable[[bytes], object]:
        def call(data: bytes) -> object:
            folder = scratch / name.replace(".", "-")
            folder.mkdir(exist_ok=True)
            (folder / name).write_bytes(data)
            read_settings(folder, {"max-size", "model", "tokenizer"})
            return parse_policy(*read_thresholds(folder), CHECK_IDS)

        return call

    def training(data: bytes) -> object:
        path = scratch / "training.toml"
        head, _, override = data.partition(b"\x00")
        path.write_bytes(head)
        return read_training(path, [override.decode("utf-8", "replace")] if override else [])

    thresholds = b'max-size = 12\n[thresholds]\naccuracy = {min = 0.8, level = "warn"}\nstuck-gates = "off"\n'
    project = b"[tool.rnnreport]\nmodel = 'a:b'\n[tool.rnnreport.thresholds.accuracy]\nmax_drop = 0.1\n"
    config = b'[data]\ntrain = "a.tsv"\nclasses = ["x", "y"]\n[model]\ncell = "GRU"\nunits = [8, 4]\n'
    config += b"[training]\nseeds = [0, 1]\nlearning-rate = 1e-3\n"
    return {
        "arguments-json": Target(arguments(".json"), (b'{"units": 4, "deep": {"a": [1, null]}}',)),
        "arguments-toml": Target(
            arguments(".toml"), (b'units = 4\n[deep]\nat = 1979-05-27T07:32:00Z\nx = [1, 0xff, "a"]\n',)
        ),
        "rnnreport-toml": Target(configured("rnnreport.toml"), (thresholds,)),
        "pyproject": Target(configured("pyproject.toml"), (project,)),
        "training-toml": Target(training, (config, config + b"\x00model.units=16", config + b"\x00training.seeds=[3]")),
    }


def _weights(scratch: Path) -> dict[str, Target]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 2, bias=False))

    def file(suffix: str) -> Callable[[bytes], object]:
        def call(data: bytes) -> object:
            path = scratch / f"weights{suffix}"
            path.write_bytes(data)
            read_state_dict(path)
            return load_weights(net, path)

        return call

    def header(data: bytes) -> object:
        size = len(data) if not data or data[-1] % 8 else data[-1] << 40
        return file(".safetensors")(size.to_bytes(8, "little") + data + bytes(16))

    whole, nested, old = io.BytesIO(), io.BytesIO(), io.BytesIO()
    torch.save(net.state_dict(), whole)
    torch.save({"epoch": 3, "state_dict": {f"module.{key}": value for key, value in net.state_dict().items()}}, nested)
    torch.save(net.state_dict(), old, _use_new_zipfile_serialization=False)
    shape = b'{"0.weight":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}'
    return {
        "torch": Target(file(".pt"), (whole.getvalue(), nested.getvalue())),
        "torch-old": Target(file(".pt"), (old.getvalue(), pickle.dumps({"a": [1, 2]}, 2))),
        "safetensors": Target(file(".safetensors"), (len(shape).to_bytes(8, "little") + shape + bytes(16),)),
        "safetensors-header": Target(header, (shape,)),
    }


def _records(run: Path, scratch: Path) -> dict[str, Target]:
    """Files of a run folder. The bytes choose what is wrong with them; what remains of the bytes spoils the file."""
    folder = RunFolder(scratch / "run")
    folder.path.mkdir()
    manifest = json.loads((run / "run.json").read_text())
    (folder.path / "run.json").write_text(json.dumps(manifest))

    def written(name: str, value: Any) -> None:
        path = folder.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(json.dumps(value).encode("utf-8", "surrogatepass"))

    def plain(name: str, read: Callable[[], object], seeds: tuple[bytes, ...] = ()) -> Target:
        original = json.loads((run / name).read_text()) if (run / name).exists() else {}

        def call(data: bytes) -> object:
            choices = Choices(data)
            try:
                written(name, disturbed(original, choices))
                return read()
            finally:
                written(name, original)

        return Target(call, (bytes(6), bytes(range(30)), *seeds))

    def raw(name: str, read: Callable[[], object]) -> Target:
        original = (run / name).read_bytes() if (run / name).exists() else b"{}"

        def call(data: bytes) -> object:
            try:
                (folder.path / name).write_bytes(data)
                return read()
            finally:
                (folder.path / name).write_bytes(original)

        return Target(call, (original[:4000],))

    found = {
        "manifest": plain("run.json", folder.manifest),
        "manifest-bytes": raw("run.json", folder.manifest),
        "metrics": raw("metrics.jsonl", folder.metrics),
        "summary": plain("summary.json", lambda: render_index([IndexEntry("r/report.html", folder.summary())] * 2)),
        "provenance": raw("provenance.json", lambda: read_provenance(folder)),
    }
    cards = {"capture": dataclasses.asdict(_card())}
    found["provenance"] = Target(found["provenance"].call, (json.dumps(cards).encode(), b"{}"))
    records = [(run / "probe", Probe), (sorted((run / "states").glob("*.json"))[0].with_suffix(""), Checkpoint)]
    for path in sorted((run / "results").glob("*.json")):
        name = json.loads(path.read_text())["record"]
        records.append((path.with_suffix(""), getattr(schema, name)))
    sources = []
    for path, kind in records:
        npz = path.with_name(f"{path.name}.npz")
        arrays = dict(np.load(npz)) if npz.exists() else {}
        sources.append((kind, json.loads(path.with_name(f"{path.name}.json").read_text()), arrays))

    def record(data: bytes) -> object:
        choices = Choices(data)
        kind, rest, arrays = choices.of(sources)
        arrays = {name: array[:20] for name, array in arrays.items()}
        (scratch / "record.json").write_text(json.dumps(disturbed(rest, choices)))
        (scratch / "record.npz").write_bytes(_spoiled(_archive(disturbed_arrays(arrays, choices)), choices))
        return store.load(scratch / "record", kind)

    found["records"] = Target(record, tuple(bytes([n]) * 12 for n in range(len(sources))))
    return found


def _card() -> Any:
    from rnnreport.results.provenance import StageCard

    return StageCard(
        "rnnreport run", {"model": ["a:b", "default"]}, 1, "cpu", "Linux", {"torch": "2"}, "abc", False, {"x": 1.5}
    )


def _strings(scratch: Path) -> dict[str, Target]:
    model = nn.Sequential(nn.Linear(1, 1))
    (scratch / "seen.tsv").write_text("text\tlabel\na film\tx\n<unk> b\ty\n")
    corpus = load_corpus(scratch / "seen.tsv")

    def text(data: bytes) -> str:
        return data.decode("utf-8", "surrogateescape")

    def layers(data: bytes) -> object:
        return [NamedLayer.parse(text(data)), parse_layers(model, text(data).split("\x00"))]

    def tokenizer(data: bytes) -> object:
        missing = mock.patch.object(importing.importlib, "import_module", side_effect=ModuleNotFoundError("absent"))
        with missing:  # what a name means is the user's; here it is nothing
            return tokenize(make_tokenizer(text(data)), "a film", "file:1")

    def sentence(data: bytes) -> object:
        return read_sentences(text(data).split("\x00"), TOKENIZERS[len(data) % 3], corpus)

    return {
        "layers": Target(layers, (b"0:h,c", b"0\x000:x")),
        "tokenizers": Target(tokenizer, (b"word", b"a:b", b"a.py:b", b"../x:y")),
        "sentences": Target(sentence, (b"a film", b"b\x00unknown words")),
        "arguments": Target(
            lambda data: parse_arguments(text(data).split("\x00")), (b"units=4", b'a=[1, "x"]\x00b=text')
        ),
    }
