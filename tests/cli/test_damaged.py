"""Damaged files are named with what rebuilds them; folders of older formats are shown or refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from rnnreport.results import provenance
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import Health, Jumps, Memory
from tests.cli.test_bad_input import arguments, call  # noqa: F401  # a fixture
from tests.fuzz.targets import _card as card
from tests.moments import contents


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("results/health.json", "`rnnreport analyse first --force`"),
        ("results/sequences.npz", "`rnnreport analyse first --force`"),
        ("summary.json", "`rnnreport analyse first --force`"),
        ("run.json", "record the run again"),
    ],
)
@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_file_is_named_with_what_rebuilds_it(rnnreport, runs, name, remedy, damage):
    path = Path("first") / name
    data = bytearray(path.read_bytes())
    if damage == "cut":
        del data[len(data) // 2 :]
    else:
        data[len(data) // 2] ^= 1
    path.write_bytes(data)
    outcome = rnnreport("render", "first")
    assert (outcome.code, outcome.out) == (2, "")
    assert str(path).removesuffix(".npz").removesuffix(".json") in outcome.error and remedy in outcome.error
    assert not Path("first/report.html").exists()
    if (name, damage) == ("results/sequences.npz", "flipped"):
        assert rnnreport("-q", "analyse", "first", "--force").code == 0
        assert rnnreport("-q", "render", "first").code == 0


def test_a_damaged_recording_names_the_command_that_made_it(rnnreport, runs):
    folder = RunFolder(runs[0])
    command = "rnnreport run --model example:build --corpus news.tsv --out run"
    folder.write_manifest(dataclasses.replace(folder.manifest(), command=command))
    path = folder.path / "states" / f"epoch-{folder.epochs()[-1]:06d}.npz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 16
    path.write_bytes(data)
    before = contents(runs[0])
    outcome = rnnreport("analyse", "first", "--force")
    assert outcome.code == 2
    assert str(path) in outcome.error and f"`{command}` and --force" in outcome.error
    assert contents(runs[0]) == before


def test_a_flipped_digit_of_a_loss_is_named_with_its_line(rnnreport, runs):
    folder = RunFolder(runs[0])
    command = "rnnreport run --model example:build --corpus news.tsv --out run"
    folder.write_manifest(dataclasses.replace(folder.manifest(), command=command))
    lines = (folder.path / "metrics.jsonl").read_text().splitlines(keepends=True)
    value = json.loads(lines[1])["train_loss"]
    digit = str(value)[-1]
    lines[1] = lines[1].replace(str(value), str(value)[:-1] + str((int(digit) + 1) % 10), 1)
    (folder.path / "metrics.jsonl").write_text("".join(lines))
    outcome = rnnreport("analyse", "first", "--force")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.error.endswith(
        "first/metrics.jsonl:2 is damaged: its digest does not agree with its content "
        f"(delete the line, or record the run again, with `{command}` and --force)"
    )


def test_a_damaged_provenance_is_named_and_can_be_deleted(rnnreport, runs):
    path = Path("first/provenance.json")
    provenance.write_provenance(RunFolder(runs[0]), "capture", card())
    assert rnnreport("-q", "render", "first").code == 0
    path.write_text(path.read_text().replace("1.5", "1.6"))
    for words in (["render", "first", "--force"], ["analyse", "first", "--force"]):
        outcome = rnnreport("-q", *words)
        assert (
            outcome.code == 2 and "first/provenance.json is damaged" in outcome.error and "delete it" in outcome.error
        )
    path.unlink()
    assert rnnreport("-q", "analyse", "first", "--force").code == 0


def older(run: Path) -> RunFolder:
    """Make of a folder what an earlier version left: no digests, and fewer analyses."""
    for path in [*run.rglob("*.json")]:
        value = json.loads(path.read_text())
        if isinstance(value, dict) and value.pop("digest", None):
            path.write_text(json.dumps(value, indent=2))
    for kind in (Memory, Health, Jumps):
        for path in (run / "results").glob(f"{kind.analysis}.*"):
            path.unlink()
    return RunFolder(run)


def test_an_older_folder_is_shown_and_says_what_it_lacks(rnnreport, runs):
    older(runs[0])
    assert rnnreport("render", "first").code == 0
    assert "the run was analysed by an earlier version" in Path("first/report.html").read_text()
    assert rnnreport("-q", "analyse", "first", "--force").code == 0
    assert "digest" in json.loads(Path("first/results/memory.json").read_text())


def test_results_with_other_keys_are_refused_with_the_way_out(rnnreport, runs):
    folder = older(runs[0])
    path = folder.path / "results" / "units-0.npz"
    arrays = dict(np.load(path))
    del arrays["response"]
    np.savez(path, **arrays)
    outcome = rnnreport("render", "first")
    assert outcome.code == 2
    assert "units-0.json" in outcome.error and "has the wrong keys" in outcome.error and "['response']" in outcome.error
    assert "`rnnreport analyse first --force`" in outcome.error


def test_a_folder_of_another_format_is_refused(rnnreport, runs):
    manifest = json.loads((runs[0] / "run.json").read_text())
    (runs[0] / "run.json").write_text(json.dumps(manifest | {"format_version": 0, "surplus": 1}))
    for words in (["render", "first"], ["analyse", "first", "--force"], ["check", "first"]):
        outcome = rnnreport(*words)
        assert outcome.code == 2
        assert "format version 0, this rnnreport reads 1" in outcome.error and "capture again" in outcome.error
