"""State health under a real mouse: named units and the dots of the gates lead to the figures of the unit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page

from rnnreport.analyses.gates import gate_use
from rnnreport.analyses.health import state_health
from rnnreport.report import render_report
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Gates
from rnnreport.results.schema import Words

SELECTION = "() => [RR.selection.state, RR.selection.units]"
HIDDEN = "lstm.0.fwd.h"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def sick(analysed_runs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page whose run has a dead unit 2 of the hidden state, a duplicate 5, and a gate 6 that is mostly shut."""
    path = tmp_path_factory.mktemp("sick")
    folder = RunFolder(shutil.copytree(analysed_runs[0], path / "run"))
    last = folder.checkpoint(folder.epochs()[-1])
    hidden = last.states[HIDDEN].copy()
    hidden[:, 2], hidden[:, 5] = 0, hidden[:, 3]
    folder.write_checkpoint(replace(last, states=last.states | {HIDDEN: hidden}))
    gate = np.full(hidden.shape, 0.5, np.float32)
    gate[: round(0.8 * len(gate)), 6] = 0.01
    folder.write_record(Gates(last.epoch, {"lstm.0.fwd.i": gate}))
    folder.write_result(state_health(folder))
    page = path / "report.html"
    page.write_text(render_report(folder), encoding="utf-8")
    return page


def test_a_named_unit_leads_to_its_figure(open_page: Callable[..., Page], sick: Path) -> None:
    page = open_page(sick)
    row = page.locator("#health-table tbody tr", has_text="hidden state h")
    assert row.locator("td").all_inner_texts()[1:6] == ["0", "1: 2", "0", "0", "1: 5"]
    assert page.locator("#title-health").inner_text() == "2 of 16 units are faulty"
    row.get_by_role("link", name="2").click()
    page.wait_for_function("() => RR.selection.units.length")
    state, units = page.evaluate(SELECTION)
    assert (page.evaluate("(state) => RR.description.states[state]", state), units) == (
        "lstm, layer 1, hidden state h",
        [2],
    )
    assert page.locator("#figure-boxes").bounding_box()["y"] < 400


def test_dots_of_a_gate_name_their_units(open_page: Callable[..., Page], sick: Path) -> None:
    page = open_page(sick)
    picture = page.locator(".gate svg")
    picture.scroll_into_view_if_needed()
    corner = picture.evaluate(
        "(svg) => { const at = new DOMPoint(80, 100).matrixTransform(svg.getScreenCTM()); return [at.x, at.y]; }"
    )
    page.mouse.move(*corner)
    tip = page.locator("#tooltip").inner_text()
    assert tip.splitlines() == ["unit 6", "lstm, layer 1, gate i", "closed at 80% of the steps, open at 0%"]
    start = picture.evaluate(
        "(svg) => { const at = new DOMPoint(0, 100).matrixTransform(svg.getScreenCTM()); return [at.x, at.y]; }"
    )
    page.mouse.move(*start)
    assert page.locator("#tooltip").inner_text().startswith("units 0, 1, 2, 3, 4, 5 and 1 more")
    before = page.evaluate(SELECTION)
    page.mouse.click(*corner)  # the gates of this run were not analysed like states, so nothing is chosen
    assert page.evaluate(SELECTION) == before


def test_a_word_that_moves_a_gate_selects_it_with_its_unit(
    open_page: Callable[..., Page], analysed_runs: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = RunFolder(shutil.copytree(analysed_runs[0], tmp_path / "run"))
    probe = folder.probe()
    common = int(np.bincount(probe.tokens).argmax())
    gate = np.full((probe.tokens.size, 8), 0.5, np.float32) + 0.01 * (np.arange(probe.tokens.size) % 7)[:, None]
    gate[probe.tokens == common, 3] = 0.99
    folder.write_record(Gates(folder.epochs()[-1], {"lstm.0.fwd.f": gate}))
    words = folder.result(Words)
    step_words = np.array([words.names.index(probe.vocabulary[token]) for token in probe.tokens], np.int32)
    folder.write_result(state_health(folder))
    folder.write_result(gate_use(folder, probe, step_words))
    page_file = tmp_path / "report.html"
    page_file.write_text(render_report(folder), encoding="utf-8")
    page = open_page(page_file)
    assert page.locator(".gate .band").count() == 1
    word = page.locator(".gate-words .link").first
    assert word.inner_text() == probe.vocabulary[common]
    assert "most in unit 3" in word.get_attribute("title")
    word.click()
    page.wait_for_function("() => RR.selection.words.length")
    assert page.evaluate("RR.selection.words.map((word) => RR.description.words.names[word])") == [
        probe.vocabulary[common]
    ]
