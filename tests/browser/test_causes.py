"""Which units matter: pointing at a row says what its unit costs, a click leads to the unit's own figures."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from rnnreport.analyses.attribution import input_attribution
from rnnreport.analyses.gradient_reach import gradient_reach
from rnnreport.analyses.importance import unit_importance
from rnnreport.analyses.sample import SampleParams, display_sample
from rnnreport.report import render_report
from rnnreport.results.folder import RunFolder
from tests.browser.conftest import settle
from tests.fabricate import VOCABULARY
from tests.fabricate_causes import write_attribution, write_gradient_flow, write_unit_ablation

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def caused(run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = RunFolder(tmp_path_factory.mktemp("causes") / "run")
    shutil.copytree(run.path, folder.path)
    write_unit_ablation(folder)
    write_attribution(folder)
    write_gradient_flow(folder, 0.8)
    probe = folder.probe()
    folder.write_result(unit_importance(folder, probe))
    sample = display_sample(probe, SampleParams())
    folder.write_result(input_attribution(folder, probe, sample, probe.tokens, probe.vocabulary))
    folder.write_result(gradient_reach(folder, probe))
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


def test_bars_under_the_text_show_what_the_answer_came_from(caused: Path, open_page: Callable[..., Page]) -> None:
    page = open_page(caused, "#sequence=1")
    told = page.locator("#text-attribution")
    told.scroll_into_view_if_needed()
    heights = (
        "[...document.querySelectorAll('#text .token')].map((token) => Number(token.style.getPropertyValue('--adds')))"
    )
    assert not page.locator("#text.adding").count()
    told.locator("button").click()
    settle(page)
    assert page.locator("#text.adding").count() == 1
    tokens = page.evaluate(
        "[...document.querySelectorAll('#text .token')].map((token) => RR.reading.token(Number(token.dataset.p)))"
    )
    values = [(VOCABULARY.index(token) + 1) / 10 for token in tokens]
    assert page.evaluate(heights) == pytest.approx([value / max(values) for value in values], abs=1e-3)
    assert "completeness error 0.0%" in told.inner_text()
    page.locator("#text .token").first.hover()
    settle(page)
    assert f"adds +{values[0]:.3g}" in page.locator("#tooltip").inner_text()
    page.evaluate("RR.chooseSequence(0)")
    settle(page)
    assert "unreliable: completeness error 50%" in told.inner_text()
    told.locator("button").click()
    settle(page)
    assert not page.locator("#text.adding").count()


def test_the_other_frames_say_what_they_found(caused: Path, open_page: Callable[..., Page]) -> None:
    page = open_page(caused, width=390)
    assert (
        page.locator("#title-reach").inner_text()
        == "Each step back multiplies the gradient by 0.80: sound over 4 steps"
    )
    assert page.locator("#title-attribution").inner_text().count("speaks most for") == 1
    assert page.locator("#figure-attribution .adds tbody tr").count() == 2
    assert page.locator("#figure-attribution script").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
