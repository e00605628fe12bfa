"""Which units matter: pointing at a row says what its unit costs, a click leads to the unit's own figures."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from rnnreport.analyses.importance import unit_importance
from rnnreport.report import render_report
from rnnreport.results.folder import RunFolder
from tests.browser.conftest import settle
from tests.fabricate_causes import write_unit_ablation

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def caused(run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = RunFolder(tmp_path_factory.mktemp("causes") / "run")
    shutil.copytree(run.path, folder.path)
    write_unit_ablation(folder)
    folder.write_result(unit_importance(folder, folder.probe()))
    path = folder.path / "report.html"
    path.write_text(render_report(folder), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [1440, 390])
def test_a_row_says_what_its_unit_costs_and_selects_it(
    caused: Path, open_page: Callable[..., Page], width: int
) -> None:
    page = open_page(caused, width=width)
    row = page.locator("#importance-bars .part").first
    row.scroll_into_view_if_needed()
    row.hover()
    settle(page)
    tip = page.locator("#tooltip").inner_text()
    assert "unit 7 of lstm, layer 1, hidden state h: loss +1.99" in tip
    assert "accuracy is the same" in tip
    assert "Holm, 8 units" in tip
    row.click()
    settle(page)
    assert page.evaluate("RR.selection.units") == [7]
    assert page.evaluate("RR.description.states[RR.selection.state]") == "lstm, layer 1, hidden state h"
    frame = page.locator("#figure-importance")
    assert frame.locator("h3").inner_text() == "4 of 8 units carry 90% of the accuracy"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
