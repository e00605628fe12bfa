"""Corpora that no page could hold whole: the page stays small and says what it shows of them."""

import re

import pytest

from rnnreport.analyses import AnalysisParams, analyse
from rnnreport.analyses.projection import ProjectionParams
from rnnreport.report import render_report
from rnnreport.results.schema import Sequences
from tests.fabricate import fabricate_run

ALL, ONE = AnalysisParams(), AnalysisParams(projection=ProjectionParams.while_training())  # maps: most of the time


@pytest.mark.parametrize(("sequences", "steps", "epochs", "params"), [(2_000, 100, 2, ALL), (10_000, 6, 1, ONE)])
def test_page_of_many_sequences_is_small_and_says_what_was_sampled(tmp_path, sequences, steps, epochs, params):
    run = fabricate_run(tmp_path / "run", epochs=epochs, sequences=sequences, units=8, steps=(steps, steps))
    analyse(run, params=params)
    page = render_report(run)
    assert len(page.encode()) < 5_000_000
    shown = run.result(Sequences)
    assert 0 < len(shown.lengths) < sequences == shown.total_sequences
    text = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    sampled = f"{len(shown.lengths):,} of {sequences:,} recorded sequences"
    assert sampled in text and f"({len(shown.distance):,} of {sequences * steps:,} steps)" in text
