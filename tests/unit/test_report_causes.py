"""Which units matter on the page: the numbers that are drawn, and what the titles say of them."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from rnnreport.analyses.importance import unit_importance
from rnnreport.analyses.rules import state_is_used
from rnnreport.report.figures.importance import importance_bars, importance_curve
from rnnreport.report.packing_causes import importance_context
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import Unavailable, UnitImportance
from tests.fabricate import fabricate_run
from tests.fabricate_causes import write_unit_ablation

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
    idle.write_unit_ablation(record)
    result = unit_importance(idle, idle.probe())
    assert isinstance(result, UnitImportance)
    check = state_is_used(cast(Any, SimpleNamespace(importance=result)))
    assert (check.verdict, check.value) == ("warn", 0)
    page = importance_context(cast(Any, SimpleNamespace(importance=result, units=[])))["importance"]
    assert page["title"] == "Holding all 8 units at their mean costs nothing beyond doubt"
    missing = unit_importance(fabricate_run(tmp_path / "none", epochs=1, sequences=5), folder.probe())
    assert isinstance(missing, Unavailable)
