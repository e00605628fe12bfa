"""Two checkpoints of one run compared from the command line, as RUN@EPOCH."""

import re
from pathlib import Path

import numpy as np
import pytest

from rnnreport.analyses.comparison import as_of, side_by_side, split_epoch
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import MatchedClusters, Sequences


def test_two_checkpoints_of_one_run(rnnreport, runs):
    before = {path: path.read_bytes() for path in Path("first").rglob("*") if path.is_file()}
    outcome = rnnreport("compare", "first@0", "first", "--out", "compare.html")
    assert (outcome.code, outcome.out) == (0, "compare.html\n")
    page = Path("compare.html").read_text(encoding="utf-8")
    assert re.search(r"<h1>first, epoch 0 against first</h1>", page)
    assert {path: path.read_bytes() for path in Path("first").rglob("*") if path.is_file()} == before


def test_a_run_as_of_an_epoch_is_the_run_that_ended_there(runs, tmp_path):
    folder = RunFolder(tmp_path / runs[0])
    earlier = as_of(folder, 1, tmp_path / "scratch")
    assert earlier.epochs() == [0, 1] and earlier.metrics() == folder.metrics()[:2]
    assert earlier.manifest().name == "first, epoch 1"
    shown, last = earlier.result(Sequences), folder.checkpoint(1)
    np.testing.assert_array_equal(shown.predicted, last.model_output.argmax(axis=1)[shown.probe_index])
    found = side_by_side([earlier, folder])
    assert isinstance(found.clusters, MatchedClusters)
    probe = folder.probe()
    right = [folder.checkpoint(epoch).model_output.argmax(axis=1) == probe.labels for epoch in (1, 2)]
    place = found.comparison.metric_names.index("accuracy")
    np.testing.assert_allclose(found.comparison.metrics[:, place, 0], [one.mean() for one in right])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("first@7", "first has no recorded epoch 7 (choose one of 0, 1, 2)"),
        ("nowhere@1", "nowhere is not a run folder"),
        ("first@last", "first@last is not a run folder"),
    ],
)
def test_an_epoch_that_is_not_there(rnnreport, runs, given, message):
    outcome = rnnreport("compare", "first", given, "--out", "compare.html")
    assert outcome.code == 2 and message in outcome.error
    assert not Path("compare.html").exists()


def test_a_folder_of_that_very_name_is_meant(tmp_path):
    (tmp_path / "run@3").mkdir()
    assert split_epoch(tmp_path / "run@3") == (tmp_path / "run@3", None)
    assert split_epoch(tmp_path / "other@3") == (tmp_path / "other", 3)
