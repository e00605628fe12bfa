"""Results of the right types whose parts do not fit together: one line that names file and part, and no traceback."""

from __future__ import annotations

import dataclasses
import json
import shutil
import typing
from pathlib import Path

import numpy as np
import pytest

from rnnreport.errors import InputError
from rnnreport.report import render_report
from rnnreport.results.folder import RunFolder
from rnnreport.results.shapes import SHAPES
from rnnreport.results.unfit import misfits_named, refuse_misfits

SPOILT = {
    ("words", "counts"): (lambda array: array[:-1], "counts is of shape"),
    ("units-0", "response"): (lambda array: array[:-1], "response is of shape"),
    ("sequences", "lengths"): (lambda array: array[:-1], "lengths is of shape"),
    ("sequences", "tokens"): (lambda array: array + 10_000, "tokens are not all from 0 to below #token_names"),
    ("sequences", "labels"): (lambda array: array + 100, "labels are not all from -1 to below Classes = 4"),
    ("sequences", "epochs"): (lambda array: array[::-1], "epochs are not rising"),
    ("sequences", "distance"): (lambda array: array[:0], "distance is of shape (0,), not (Steps = "),
    ("projection", "coordinates"): (lambda array: array.T, "coordinates is of shape"),
    ("similar", "neighbours"): (lambda array: array + 10_000, "neighbours are not all from -1 to below Steps = "),
}


@pytest.fixture
def copy(analysed_runs, tmp_path) -> Path:
    shutil.copytree(analysed_runs[0], tmp_path / "run")
    return tmp_path / "run"


def spoil(run: Path, file: str, part: str) -> str:
    """Spoil a part as ``SPOILT`` says, and give what a message then says of it."""
    change, told = SPOILT[file, part]
    marker = run / "results" / f"{file}.json"
    arrays = dict(np.load(marker.with_suffix(".npz")))
    np.savez(marker.with_suffix(".npz"), **{**arrays, part: change(arrays[part])})
    marker.write_text(
        json.dumps({key: value for key, value in json.loads(marker.read_text()).items() if key != "digest"})
    )
    return told


@pytest.mark.parametrize(("file", "part"), SPOILT)
def test_what_does_not_fit_is_named(copy, file, part):
    told = spoil(copy, file, part)
    with pytest.raises(InputError) as caught:
        refuse_misfits(RunFolder.open(copy))
    said = str(caught.value)
    assert f"results/{file}.json: {told}" in said
    assert said.endswith(f"(rebuild it with `rnnreport analyse {copy} --force`)")


def test_a_page_that_cannot_be_made_names_it(copy):
    told = spoil(copy, "sequences", "tokens")
    with pytest.raises(InputError, match=r"results/sequences\.json: " + told[:20]) as caught:
        render_report(RunFolder.open(copy))
    assert caught.value.exit_code == 2


def test_what_fits_is_not_blamed(analysed_runs):
    for run in analysed_runs:
        refuse_misfits(RunFolder.open(run))
    with pytest.raises(ZeroDivisionError), misfits_named(RunFolder.open(analysed_runs[0])):
        raise ZeroDivisionError


def test_every_array_has_a_line():
    for kind, lines in SHAPES.items():
        arrays = {name for name, hint in typing.get_type_hints(kind).items() if "ndarray" in str(hint)}
        assert arrays <= lines.keys() <= {field.name for field in dataclasses.fields(kind)}, kind
