"""The published JSON Schema against real summaries, and against its own dataclasses."""

from __future__ import annotations

import dataclasses
import json
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from rnnreport.analyses import SummaryParams, analyse
from rnnreport.analyses.rules import CHECK_IDS
from rnnreport.analyses.thresholds import parse_policy
from rnnreport.results.recorded import FORMAT_VERSION, Task
from rnnreport.results.schema import Check, Summary
from tests.fabricate import fabricate_run
from tests.small import ROUGH

SCHEMA = json.loads((files("rnnreport.results") / "summary.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)


def written(path: Path, **options: Any) -> Any:
    folder = fabricate_run(path, sequences=12, units=6, steps=(2, 5), **({"epochs": 2} | options))
    policy = parse_policy({"accuracy": {"min": 0.9}, "still-units": "off"}, "", CHECK_IDS)
    analyse(folder, params=dataclasses.replace(ROUGH, summary=SummaryParams(policy=policy)))
    return json.loads((path / "summary.json").read_text(encoding="utf-8"))


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("task", get_args(Task))
def test_summaries_of_every_task_follow_it(tmp_path: Path, task: Task) -> None:
    VALIDATOR.validate(written(tmp_path / "run", task=task))


def test_summaries_of_the_samples_follow_it(root: Path) -> None:
    found = sorted((root / "sample_reports").glob("*/summary.json"))
    assert found
    for path in found:
        VALIDATOR.validate(json.loads(path.read_text(encoding="utf-8")))


def test_a_run_of_one_sequence_and_a_broken_one(tmp_path: Path) -> None:
    VALIDATOR.validate(written(tmp_path / "single", epochs=1) | {"verdict": "no data"})
    folder = fabricate_run(tmp_path / "broken", sequences=12, units=6, epochs=1)
    last = folder.checkpoint(0)
    last.states["lstm.0.fwd.h"][:] = np.nan
    last.model_output[:] = np.nan
    folder.write_checkpoint(last)
    analyse(folder, params=ROUGH)
    VALIDATOR.validate(json.loads((tmp_path / "broken" / "summary.json").read_text(encoding="utf-8")))


def test_it_names_the_keys_of_the_records() -> None:
    assert set(SCHEMA["properties"]) == {"digest"} | {field.name for field in dataclasses.fields(Summary)}
    assert set(SCHEMA["$defs"]["check"]["properties"]) == {field.name for field in dataclasses.fields(Check)}
    assert SCHEMA["properties"]["format_version"]["const"] == FORMAT_VERSION
    assert set(SCHEMA["properties"]["task"]["enum"]) == set(get_args(Task))


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "good"},
        {"task": "translation"},
        {"format_version": 2},
        {"metrics": {"accuracy": {"value": "high", "low": None, "high": None, "n": 3, "unit": "share"}}},
        {"checks": [{"id": "a"}]},
        {"findings": [{"text": "", "anchor": "overview"}]},
        {"surplus": 1},
    ],
)
def test_what_is_wrong_is_refused(root: Path, change: dict[str, Any]) -> None:
    right = json.loads((root / "sample_reports" / "lstm" / "summary.json").read_text(encoding="utf-8"))
    assert VALIDATOR.is_valid(right)
    assert not VALIDATOR.is_valid(right | change)
