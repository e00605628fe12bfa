"""Results of the right types whose parts do not fit together: one line that names file and part, and no traceback."""

from __future__ import annotations

import dataclasses
import json
import shutil
import typing
from pathlib import Path

import numpy as np
import pytest

from rnnreport.cli import main
from rnnreport.errors import InputError
from rnnreport.report import render_report
from rnnreport.report.gather import gather
from rnnreport.results import schema
from rnnreport.results.entries import ENTRIES
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Probe
from rnnreport.results.schema import Units, Words
from rnnreport.results.shapes import SHAPES

SPOILT = {
    ("words", "counts"): (lambda array: array[:-1], "counts is of shape (38,), not (Words = 39)"),
    ("units-0", "response"): (lambda array: array[:-1], "response is of shape"),
    ("sequences", "lengths"): (lambda array: array[:-1], "lengths is of shape"),
    ("sequences", "tokens"): (lambda array: array + 10_000, "tokens are not all from 0 to below #token_names"),
    ("sequences", "labels"): (lambda array: array + 100, "labels are not all from -1 to below Classes = 4"),
    ("sequences", "epochs"): (lambda array: array[::-1], "epochs are not rising"),
    ("sequences", "distance"): (lambda array: array[:0], "distance is of shape (0,), not (Steps = "),
    ("projection", "coordinates"): (lambda array: array.T, "coordinates is of shape"),
    ("similar", "neighbours"): (lambda array: array + 10_000, "neighbours are not all from -1 to below Steps = "),
    ("similar-1", "neighbours"): (lambda array: array[:, 1:], "distances is of shape"),
    ("health", "widths"): (lambda array: array - 100, "widths are not all from 1 up"),
    ("machine", "fidelity"): (lambda array: array * 100, "fidelity are not all from 0 to 1"),
    ("machine", "step_states"): (lambda array: array + 50, "step_states are not all from -1 to below k = "),
    ("dynamics", "plane"): (lambda array: array * np.nan, "plane are not all finite"),
    ("jumps", "steps"): (lambda array: array + 50, "steps are beyond the lengths"),
    ("words", "names"): (lambda names: names[1:], "counts is of shape (39,), not (Words = 38)"),
    ("units-0", "scope"): (lambda _: "lstm.0.fwd.h", "scope is 'lstm.0.fwd.h', not 'lstm.0.fwd.c'"),
    ("units-1", "default_mode"): (lambda _: "loud", "default_mode is 'loud', which is none of modes"),
    ("units-0", "params"): (lambda params: {"seeds": params["seeds"]}, "params has no 'starts'"),
    ("projection", "trust"): (lambda trust: dict(list(trust.items())[1:]), "trust are not those of methods"),
    ("formation", "settled"): (lambda settled: {**settled, "epoch": None}, "settled['epoch'] is 'None', not integer"),
    ("formation", "jumps"): (
        lambda _: [{"epoch": 1, "after": 0, "support": 7.0}],
        "jumps['support'] are not all from 0",
    ),
}


@pytest.fixture
def copy(analysed_runs, tmp_path) -> Path:
    shutil.copytree(analysed_runs[0], tmp_path / "run")
    return tmp_path / "run"


def spoil(run: Path, file: str, part: str) -> str:
    """Spoil a part as ``SPOILT`` says, and give what a message then says of it."""
    change, told = SPOILT[file, part]
    marker = run / "results" / f"{file}.json"
    rest = {key: value for key, value in json.loads(marker.read_text()).items() if key != "digest"}
    arrays = dict(np.load(marker.with_suffix(".npz")))
    place = arrays if part in arrays else rest
    place[part] = change(place[part])
    np.savez(marker.with_suffix(".npz"), **arrays)
    marker.write_text(json.dumps(rest))
    return told


@pytest.mark.parametrize(("file", "part"), SPOILT)
def test_what_does_not_fit_is_named(copy, file, part):
    told = spoil(copy, file, part)
    with pytest.raises(InputError) as caught:
        gather(RunFolder.open(copy).as_one())
    said = str(caught.value)
    assert f"results/{file}.json: {told}" in said
    assert said.endswith(f"(rebuild it with `rnnreport analyse {copy} --force`)")


@pytest.mark.parametrize(
    ("command", "file", "part"),
    [
        ("render", "sequences", "tokens"),
        ("compare", "units-0", "response"),
        ("compare", "words", "counts"),
        ("compare", "machine", "step_states"),
        ("compare", "sequences", "lengths"),
    ],
)
def test_every_command_that_reads_it_says_so(copy, analysed_runs, tmp_path, capsys, command, file, part):
    told = spoil(copy, file, part)
    others = [str(analysed_runs[1])] if command == "compare" else []
    assert main([command, *others, str(copy), "--out", str(tmp_path / "page.html")]) == 2
    (line,) = [one for one in capsys.readouterr().err.splitlines() if one.startswith("rnnreport: ")]
    assert f"results/{file}.json: {told}" in line
    assert not (tmp_path / "page.html").exists()


def test_what_fits_is_not_blamed(analysed_runs):
    for run in analysed_runs:
        render_report(RunFolder.open(run))


def test_a_result_of_another_run_is_noticed_by_what_it_belongs_to(copy, analysed_runs):
    """Results that are right by themselves: one alone is read, together they do not fit."""
    rest = json.loads((copy / "results" / "words.json").read_text())
    arrays = dict(np.load(copy / "results" / "words.npz"))
    fewer = {name: array[:-1] if len(array) == len(rest["names"]) else array for name, array in arrays.items()}
    fewer["step_words"] = np.where(arrays["step_words"] == len(rest["names"]) - 1, -1, arrays["step_words"])
    np.savez(copy / "results" / "words.npz", **fewer)
    rest = {**rest, "names": rest["names"][:-1]}
    del rest["digest"]
    (copy / "results" / "words.json").write_text(json.dumps(rest))
    folder = RunFolder.open(copy)
    for kind, state in ((Words, None), (Units, 0)):
        folder.result(kind, state)
    with pytest.raises(InputError, match=r"units-0\.json: response is of shape \(39, 8\), not \(Words = 38, Units\)"):
        gather(folder.as_one())


def test_every_array_and_every_object_has_a_line():
    """Of what pages read: numbers of a run, not how it was made."""
    for kind, lines in SHAPES.items():
        hints = typing.get_type_hints(kind)
        arrays = {name for name, hint in hints.items() if "ndarray" in str(hint)} if kind is not Probe else set()
        assert arrays <= lines.keys() <= {field.name for field in dataclasses.fields(kind)}, kind
    for kind, entries in ENTRIES.items():
        assert entries.keys() <= {field.name for field in dataclasses.fields(kind)}, kind
    kinds = [
        kind
        for kind in vars(schema).values()
        if hasattr(kind, "analysis") and "ndarray" in str(typing.get_type_hints(kind))
    ]
    assert len(kinds) > 40 and set(kinds) <= SHAPES.keys()
