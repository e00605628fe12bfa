"""Which units matter on the page: the numbers that are drawn, and what the titles say of them."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from rnnreport.analyses.attribution import AttributionTableParams, explain, input_attribution
from rnnreport.analyses.gradient_reach import gradient_reach
from rnnreport.analyses.importance import unit_importance
from rnnreport.analyses.rules.states import gradients_reach, state_is_used
from rnnreport.analyses.sample import SampleParams, display_sample
from rnnreport.report.figures.attribution import agreement_picture
from rnnreport.report.figures.importance import importance_bars, importance_curve
from rnnreport.report.figures.reach import reach_curves, reach_matrix
from rnnreport.report.packing.causes import attribution_context, importance_context, reach_context
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import GradientReach, InputAttribution, Unavailable, UnitImportance
from tests.fabricate import fabricate_run
from tests.fabricate_causes import write_attribution, write_gradient_flow, write_unit_ablation

KEY = "lstm.0.fwd.h"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    made = fabricate_run(tmp_path_factory.mktemp("run") / "run", epochs=1, sequences=40, units=8, steps=(3, 6))
    write_unit_ablation(made)
    return made


@pytest.fixture(scope="module")
def found(folder: RunFolder) -> UnitImportance:
    result = unit_importance(folder, folder.probe())
    assert isinstance(result, UnitImportance)
    return result


def test_rises_are_those_recorded_and_units_enough_are_counted(found: UnitImportance) -> None:
    np.testing.assert_allclose(found.rise[:, 0], (np.arange(8) + 1) / 4, rtol=0.02)
    assert (found.rise[:, 1] < found.rise[:, 0]).all() and (found.rise[:, 0] < found.rise[:, 2]).all()
    assert (found.p_values < 0.001).all()
    # units cost 0.25, 0.5, ... 2: right up to about 3 in all, which are the four least important ones
    assert found.enough[0] == 4
    assert found.needed[0] == 2
    assert found.whole[0] == 1
    assert found.constant[0] == 0
    assert found.judged == 20
    assert found.agreement[0] == pytest.approx(1)


def test_bars_are_ranked_and_name_their_units(found: UnitImportance) -> None:
    text = str(importance_bars(found, ["other", KEY]))
    assert re.findall(r'data-unit="(\d+)"', text) == [str(unit) for unit in range(7, -1, -1)]
    assert set(re.findall(r'data-state="(-?\d+)"', text)) == {"1"}
    widths = [float(width) for width in re.findall(r'class="bar" [^>]*width="([\d.]+)"', text)]
    np.testing.assert_allclose(np.array(widths) / widths[0], found.rise[::-1, 0] / found.rise[7, 0], atol=0.01)
    assert 'data-state="-1"' in str(importance_bars(found, []))


def test_the_curve_begins_with_everything_and_ends_with_the_constant(found: UnitImportance) -> None:
    text = str(importance_curve(found))
    ends = {}
    for kind in ("most", "least", "random"):
        points = re.search(rf'class="curve {kind}" d="M(.*?)"', text)
        assert points is not None
        places = [tuple(map(float, point.split())) for point in points.group(1).split("L")]
        assert len(places) == 9
        ends[kind] = places[0], places[-1]
    assert len(set(ends.values())) == 1


def test_titles_state_the_finding(found: UnitImportance) -> None:
    page = importance_context(cast(Any, SimpleNamespace(importance=found, units=[])))["importance"]
    assert page["title"] == "4 of 8 units carry 90% of the accuracy"
    assert "100.0%" in page["note"] and "n = 20 sequences (bars: 40)" in page["note"]
    assert page["bars_title"] == "8 of 8 units matter beyond doubt"


def test_a_state_that_nothing_reads_is_doubtful(folder: RunFolder, found: UnitImportance, tmp_path: Path) -> None:
    passed = state_is_used(cast(Any, SimpleNamespace(importance=found)))
    assert (passed.verdict, passed.value, passed.n) == ("pass", 1.0, 20)
    idle = fabricate_run(tmp_path / "idle", epochs=1, sequences=40, units=8, steps=(3, 6))
    record = write_unit_ablation(idle)
    record.loss[:] = record.loss[0]
    record.right[:] = record.right[0]
    idle.write_record(record)
    result = unit_importance(idle, idle.probe())
    assert isinstance(result, UnitImportance)
    check = state_is_used(cast(Any, SimpleNamespace(importance=result)))
    assert (check.verdict, check.value) == ("warn", 0)
    page = importance_context(cast(Any, SimpleNamespace(importance=result, units=[])))["importance"]
    assert page["title"] == "Holding all 8 units at their mean costs nothing beyond doubt"
    missing = unit_importance(fabricate_run(tmp_path / "none", epochs=1, sequences=5), folder.probe())
    assert isinstance(missing, Unavailable)


def test_words_are_listed_with_what_each_occurrence_adds(folder: RunFolder) -> None:
    record, probe = write_attribution(folder), folder.probe()
    sample = display_sample(probe, SampleParams(max_steps=60))
    found = input_attribution(folder, probe, sample, probe.tokens, probe.vocabulary)
    assert isinstance(found, InputAttribution)
    assert (found.explained, found.unreliable) == (40, 1)
    np.testing.assert_allclose(found.errors, np.where(sample.sequences == 0, 0.5, 0), atol=1e-5)
    assert found.agreement[:3].tolist() == pytest.approx([1, 1, 1])
    pieces = np.split(record.gradients, probe.offsets[1:-1])
    larger = [np.maximum(piece, piece**3) for piece in pieces]
    assert found.agreement[3] == sum((values > 0.01 * values.max()).sum() >= 4 for values in larger) > 0
    for place, word in enumerate(found.words):
        assert found.means[place, 0] == pytest.approx((probe.vocabulary.index(word) + 1) / 10)
    rows = np.repeat(np.arange(40), probe.lengths)
    for group, name in enumerate(found.groups):
        own = (rows % 2 == probe.class_names.index(name)) & (rows > 0)  # the first sequence is unreliable
        counts = {w: len(set(rows[own & (probe.tokens == w)])) for w in range(len(probe.vocabulary))}
        largest = [probe.vocabulary[w] for w in sorted(counts, reverse=True) if counts[w] >= 5][:5]
        assert [word for word, at in zip(found.words, found.group, strict=True) if at == group] == largest
    shown = np.flatnonzero(np.isin(record.sequences, sample.sequences))
    assert found.lengths.tolist() == record.lengths[shown].tolist()
    assert found.gradients.size == found.lengths.sum()
    page = attribution_context(cast(Any, SimpleNamespace(attribution=found)))["attribution"]
    assert "1 unreliable (2% or more)" in page["note"] and "2 sequences were too long or beyond" in page["note"]
    assert not page["unreliable"]
    assert page["agreement"].startswith("Rank correlation within a sequence 1.00")
    assert str(agreement_picture(found)).count("h0") == len(np.unique(found.pairs.round(4), axis=0))  # a dot a place


def test_of_a_language_model_only_the_last_steps_are_listed(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", "language-model", epochs=1, sequences=40, units=4, steps=(9, 14))
    record, probe = write_attribution(folder, broken=0), folder.probe()
    sample = display_sample(probe, SampleParams())
    found = explain(record, probe, sample, probe.tokens, probe.vocabulary, AttributionTableParams())
    last = [probe.tokens[end - 5 : end] for end in probe.offsets[1:]]
    assert found.groups == ("the next token",)
    assert len(found.words) == min(10, found.tested)
    for word, occurrences, sequences in zip(found.words, found.occurrences, found.word_sequences, strict=True):
        number = probe.vocabulary.index(word)
        assert occurrences == sum((tokens == number).sum() for tokens in last)
        assert sequences == sum(number in tokens for tokens in last)


def test_many_that_do_not_add_up_get_a_badge(folder: RunFolder) -> None:
    record, probe = write_attribution(folder, broken=20), folder.probe()
    sample = display_sample(probe, SampleParams())
    found = explain(record, probe, sample, None, (), AttributionTableParams())
    assert found.unreliable == 20
    page = attribution_context(cast(Any, SimpleNamespace(attribution=found)))["attribution"]
    assert page["unreliable"]
    assert page["title"] == "No single input adds to an answer beyond doubt"
    assert found.tested == 0


@pytest.mark.parametrize(("factor", "verdict"), [(0.05, "vanishing"), (0.9, "sound"), (5.0, "exploding")])
def test_the_factor_is_found_and_judged(factor: float, verdict: str, tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", epochs=1, sequences=40, units=4, steps=(5, 9))
    write_gradient_flow(folder, factor)
    found = gradient_reach(folder, folder.probe())
    assert isinstance(found, GradientReach)
    value, low, high = found.factors[0]
    assert value == pytest.approx(factor, rel=0.002)
    assert low < value < high < 1.02 * low
    assert found.verdicts == (verdict,)
    assert found.remaining[0, 0] == pytest.approx(value**found.span)
    curve = found.curves["lstm.0.fwd.h"]
    np.testing.assert_allclose(curve[:, 1], np.log10(factor) * curve[:, 0], atol=0.05)
    check = gradients_reach(cast(Any, SimpleNamespace(reach=found)))
    assert check.verdict == ("pass" if verdict == "sound" else "warn")
    assert (check.n, check.value) == (40, pytest.approx(found.remaining[0, 0]))
    page = reach_context(cast(Any, SimpleNamespace(reach=found)))["reach"]
    assert page["title"].endswith(f": {verdict} over {found.span} steps")
    cells = str(reach_matrix(found)).count("h")
    assert cells >= np.isfinite(found.matrix).sum() > 24 * 4
    assert str(reach_curves(found)).count('class="curve first"') == 1


def test_vanishing_is_no_warning_where_every_step_has_an_answer(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", "tagging", epochs=1, sequences=40, units=4, steps=(5, 9))
    write_gradient_flow(folder, 0.05)
    found = gradient_reach(folder, folder.probe())
    check = gradients_reach(cast(Any, SimpleNamespace(reach=found)))
    assert (check.verdict, check.text.split(": ")[-1]) == ("pass", "vanishing")
