"""A short run of every fuzz target with fixed seeds. The long, coverage-guided one is ``python -m tests.fuzz.run``."""

from __future__ import annotations

import random
import shutil

import pytest

from tests.fuzz.choices import mutated
from tests.fuzz.targets import Target, make_targets, survives

EXECUTIONS = 100
NAMES = (
    "tsv",
    "csv",
    "jsonl",
    "txt",
    "gz",
    "npz",
    "npz-bytes",
    "npy",
    "vocabulary-json",
    "vocabulary-txt",
    "arguments-json",
    "arguments-toml",
    "rnnreport-toml",
    "pyproject",
    "training-toml",
    "torch",
    "torch-old",
    "safetensors",
    "safetensors-header",
    "manifest",
    "manifest-bytes",
    "metrics",
    "summary",
    "provenance",
    "records",
    "layers",
    "tokenizers",
    "sentences",
    "arguments",
)


@pytest.fixture(scope="module")
def targets(analysed_runs, tmp_path_factory) -> dict[str, Target]:
    scratch = tmp_path_factory.mktemp("fuzz")
    shutil.copy(analysed_runs[0] / "run.json", scratch)
    return make_targets(analysed_runs[0], scratch)


def test_every_target_is_run(targets):
    assert set(NAMES) == set(targets)


@pytest.mark.parametrize("name", NAMES)
def test_only_errors_of_our_own(targets, name):
    target = targets[name]
    accepted = 0
    if name not in ("npz", "manifest", "summary", "records"):  # of those the bytes choose what is wrong
        for seed in target.seeds:
            accepted += survives(target, seed)
        assert accepted
    draw = random.Random(name)
    for _ in range(EXECUTIONS):
        data = mutated(target.seeds, draw)
        try:
            survives(target, data)
        except Exception as error:
            error.add_note(f"input: {data[:2000]!r}")
            raise
