"""Recordings of the right types whose parts do not fit together: one line that names file and part."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnreport.cli import main
from rnnreport.results.causes import Attribution, GradientFlow, UnitAblation
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Ablation, Gates, Perturbation
from rnnreport.results.recorded_dynamics import FixedPointSearch, IntegrationProbe, Stretching
from rnnreport.results.store import DamagedError
from tests import recordings

RECORDS = (
    Gates, Perturbation, Ablation, UnitAblation, Attribution, GradientFlow,
    FixedPointSearch, IntegrationProbe, Stretching,
)  # fmt: skip
H, C = "states/rnn.0.fwd.h", "states/rnn.0.fwd.c"

SPOILT: dict[tuple[str, str], tuple[Callable[[Any], Any], str]] = {
    ("probe", "lengths"): (lambda lengths: lengths - 10, "lengths are not all from 1 up"),
    ("probe", "tokens"): (lambda tokens: tokens + 100, "tokens are not all from 0 to below Vocabulary = 8"),
    ("probe", "labels"): (lambda labels: labels[1:], "labels is of shape"),
    ("states/epoch-000000", H): (lambda states: states[1:], "states is of shape"),
    ("states/epoch-000000", "epoch"): (lambda epoch: epoch + 1, "is of epoch 1"),
    ("states/epoch-000000", "step_output"): (lambda output: output[:, :1], "step_output is of shape"),
    ("gates", "values/rnn.0.fwd.i"): (lambda gate: gate[:, :2], "values is of shape"),
    ("speech", "tags"): (lambda tags: tags - 5, "tags are not all from 0 to below #names = 2"),
    ("salience", "lengths"): (lambda lengths: lengths[:0], "lengths is of shape (0,), not (M = "),
    ("salience", "scope"): (lambda _: "rnn.0.fwd.c", "scope is 'rnn.0.fwd.c', not 'rnn.0.fwd.h'"),
    ("salience-1", "lengths"): (lambda lengths: np.full_like(lengths, -(2**31)), "lengths are not all from 1 up"),
    ("salience-1", "sequences"): (lambda sequences: sequences + 500, "sequences are not all from 0 to below Probe = "),
    ("perturbation", "lags"): (lambda lags: lags[::-1], "lags are not rising"),
    ("ablation", "right"): (lambda right: right[0], "right is of shape"),
    ("ablation", "edges"): (lambda edges: edges[:0], "edges are none, without a reason"),
    ("unit-ablation", "kinds"): (lambda kinds: ["all", *kinds[1:]], "kinds do not begin with the only 'none'"),
    ("unit-ablation", "members"): (lambda members: members * 0, "members are not all, in order"),
    ("attribution", "steps"): (lambda steps: steps + 50, "steps are beyond the lengths"),
    ("attribution", "lengths"): (lambda lengths: lengths + 50, "lengths are longer than the sequences"),
    ("gradient-flow", "counts"): (lambda counts: counts + 1, "steps is of shape"),
    ("fixed-points", "owners"): (lambda owners: owners[::-1] + 1, "owners are not all from 0 to below I = "),
    ("integration", "participation"): (lambda held: {**held, "twin": 1.0}, "participation are not those of slow"),
    ("stretching", "sums"): (lambda sums: sums[0], "sums is of shape"),
    ("corpus/responses-0", "tokens"): (lambda tokens: tokens + 9, "tokens are not all from 0 to below Vocabulary = 8"),
    ("corpus/gates-0", "mean"): (lambda mean: mean[1:], "mean is of shape"),
    ("sentences/probe", "tokens"): (lambda tokens: tokens + 100, "tokens are not all from 0 to below Vocabulary = 8"),
    ("sentences/states", C): (lambda states: states[1:], "states is of shape"),
    ("sentences/written", "written"): (lambda written: written[1:], "written is of shape (1,), not (Probe = 2)"),
}


@pytest.fixture
def run(made_once: Callable[[str, Callable[[Path], object]], Path], tmp_path: Path) -> Path:
    made = made_once("given", recordings.given)
    return Path(shutil.copytree(made / "run", tmp_path / "run"))


def spoil(run: Path, file: str, part: str) -> str:
    """Spoil a part as ``SPOILT`` says, and give what a message then says of it."""
    change, told = SPOILT[file, part]
    marker = run / f"{file}.json"
    rest = {key: value for key, value in json.loads(marker.read_text()).items() if key != "digest"}
    arrays = dict(np.load(marker.with_suffix(".npz"))) if marker.with_suffix(".npz").exists() else {}
    place = arrays if part in arrays else rest
    place[part] = change(place[part])
    if arrays:
        np.savez(marker.with_suffix(".npz"), **arrays)
    marker.write_text(json.dumps(rest))
    return told


def read(folder: RunFolder) -> None:
    """Everything that analyses read."""
    folder.probe(), *folder.checkpoints(), folder.parts_of_speech(), folder.sentences(), folder.corpus_gates()
    for kind in RECORDS:
        folder.record(kind)
    for number in range(len(folder.manifest().state_keys)):
        folder.corpus_responses(number), folder.salience(number), folder.salience(number, given=True)


def test_what_fits_is_not_blamed(run: Path) -> None:
    read(RunFolder.open(run).as_one())


@pytest.mark.parametrize(("file", "part"), SPOILT)
def test_what_does_not_fit_is_named(run: Path, file: str, part: str) -> None:
    told = spoil(run, file, part)
    with pytest.raises(DamagedError) as caught:
        read(RunFolder.open(run).as_one())
    assert f"{file}.json" in str(caught.value) and told in str(caught.value)
    assert "record the run again" in str(caught.value)


def test_the_command_says_so_in_one_line(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = spoil(run, "ablation", "right")
    assert main(["analyse", str(run)]) == 2
    (line,) = [one for one in capsys.readouterr().err.splitlines() if one.startswith("rnnreport: ")]
    assert f"ablation.json: {told}" in line
    assert not (run / "results").exists()
