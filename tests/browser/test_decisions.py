"""The decision timeline and the jump explorer in a browser: what they list and select is what the results say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rnnreport.analyses import analyse
from rnnreport.analyses.sample import SampleParams
from rnnreport.report import render_report
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import Decisions, Jumps, Sequences
from tests.browser.conftest import settle
from tests.fabricate import fabricate_run
from tests.small import ROUGH

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def sampled(tmp_path_factory) -> tuple[RunFolder, Path]:
    """A run of 90 sequences of which about half are displayed."""
    folder = tmp_path_factory.mktemp("decisions")
    run = fabricate_run(folder / "run", epochs=2, sequences=90, units=6, gain=0.5, steps=(2, 9))
    return run, reported(run)


def reported(run: RunFolder) -> Path:
    """The page of a run of which 250 steps are displayed."""
    analyse(run, params=replace(ROUGH, sample=SampleParams(250)))
    path = run.path.parent / "report.html"
    path.write_text(render_report(run), encoding="utf-8")
    return path


def displayed(run: RunFolder) -> tuple[Decisions, Sequences, np.ndarray]:
    """The timeline, the displayed sequences, and the place of each of these in the timeline."""
    found, shown = run.result(Decisions), run.result(Sequences)
    assert isinstance(found, Decisions) and isinstance(shown, Sequences)
    assert len(shown.lengths) < found.sizes[0]
    return found, shown, np.searchsorted(found.sequences, shown.probe_index)


def listed(page) -> list[int]:
    return sorted(int(row.get_attribute("data-q")) for row in page.locator("#table tr[data-q]").all())


def test_bars_of_the_timeline_list_their_sequences(open_page, sampled):
    run, path = sampled
    found, shown, places = displayed(run)
    page = open_page(path)
    half = np.quantile(found.decided / run.probe().lengths[found.sequences], 0.5, method="lower")
    title = f"Half of the sequences are decided after {half:.0%} of their steps"
    assert page.locator("#title-decisions").inner_text() == title
    bars = page.locator("#decided-bars .bar-part")
    assert bars.count() == np.count_nonzero(found.decided_counts[1:3])
    tenth = -(-10 * found.decided[places] // shown.lengths)
    for group, right in (("right", 1), ("wrong", 0)):
        inside = np.flatnonzero((tenth == 10) & (found.right[places] == right))
        bar = page.locator(f'#decided-bars .bar-part[aria-label*="90 to 100% of the steps, {group}"]')
        assert f"{found.decided_counts[found.groups.index(group), 9]} of " in bar.get_attribute("aria-label")
        bar.scroll_into_view_if_needed()
        bar.click()
        settle(page)
        assert listed(page) == inside.tolist() and inside.size
        assert "decided after 90 to 100%" in page.locator("#table-count").inner_text()
    page.select_option("#decision-by", "class")
    bar = page.locator('#flip-bars .bar-part[aria-label*="2 changes of the prediction"]').first
    bar.focus()
    page.keyboard.press("Enter")
    settle(page)
    first = shown.labels[listed(page)]
    assert len(set(first)) == 1
    expected = np.flatnonzero((found.flips[places] == 2) & (shown.labels == first[0]))
    assert listed(page) == expected.tolist()


def test_the_timeline_follows_the_selected_sequence_and_the_chosen_time(open_page, sampled):
    run, path = sampled
    found, shown, places = displayed(run)
    page = open_page(path)
    assert page.locator("#figure-decisions .here").count() == 0
    page.evaluate("RR.chooseSequence(3)")
    settle(page)
    assert page.locator("#figure-decisions .here").count() == 2 and page.locator("#margin-lines .mine").count() == 1
    told = f"decided at step {found.decided[places[3]]} of {shown.lengths[3]}, {found.flips[places[3]]} change"
    assert told in page.locator("#decision-legend").inner_text()
    own = page.locator("#margin-lines .mine").get_attribute("d").count("L") + 1
    assert own == shown.lengths[3]
    lines = page.locator("#margin-lines svg")
    lines.scroll_into_view_if_needed()
    settle(page)
    box = lines.bounding_box()
    assert page.locator("#decision-time-name").inner_text() == "100%"
    page.mouse.click(box["x"] + box["width"] * 0.54, box["y"] + box["height"] * 0.4)  # in the middle of the axis
    assert page.locator("#decision-time-name").inner_text() == "50%"
    error, chance = found.error[9]
    note = f"Calibration error {error:.3f}; chance alone allows up to {chance:.3f}."
    assert page.locator("#reliable-note").inner_text() == note
    assert page.locator("#reliable-dots circle").count() == np.count_nonzero(found.reliability[9, :, 2])
    page.locator("#reliable-dots circle").first.hover()
    filled = found.reliability[9][found.reliability[9, :, 2] > 0]
    assert f"{filled[0, 1]:.0%} of {filled[0, 2]:.0f} predictions right" in page.locator("#tooltip").inner_text()


def test_jumps_are_those_of_the_result_and_select_their_step(open_page, sampled):
    run, path = sampled
    jumps = run.result(Jumps)
    assert isinstance(jumps, Jumps)
    page = open_page(path)
    for measure, name in enumerate(jumps.measures):
        page.select_option("#jump-measure", str(measure))
        rows = page.locator("#jump-rows tbody tr")
        count = np.count_nonzero(jumps.sequences[measure] >= 0)
        assert rows.count() == count, name
        words = [jumps.names[k] for k in jumps.context[measure, :count, jumps.before]]
        assert rows.locator(".around b").all_inner_texts() == words
        clickable = jumps.displayed[jumps.sequences[measure, :count]] >= 0
        assert (rows.evaluate_all("rows => rows.map((row) => row.dataset.p !== '-1')")) == clickable.tolist()
        assert f"; {clickable.sum()} can be clicked" in page.locator("#jump-count").inner_text()
    place = int(np.flatnonzero(clickable)[0])
    row = page.locator("#jump-rows tbody tr").nth(place)
    row.scroll_into_view_if_needed()
    row.click()
    settle(page)
    selection = json.loads(page.evaluate("JSON.stringify([RR.selection.sequence, RR.selection.step])"))
    sequence = jumps.sequences[-1, place]
    assert selection == [jumps.displayed[sequence], jumps.steps[-1, place]]
    assert row.get_attribute("aria-selected") == "true"
    assert page.locator("#text .token.here").inner_text().strip() == jumps.names[jumps.context[-1, place, jumps.before]]
    page.locator("#jump-rows tbody tr.away").first.click()
    settle(page)
    assert json.loads(page.evaluate("JSON.stringify([RR.selection.sequence, RR.selection.step])")) == selection
    page.check("#jump-changes")
    classes = jumps.classes[-1][jumps.sequences[-1] >= 0]
    assert page.locator("#jump-rows tbody tr").count() == (classes[:, 0] != classes[:, 1]).sum()


def test_over_represented_tokens_are_named_and_chosen(open_page, tmp_path):
    run = fabricate_run(tmp_path / "run", epochs=2, sequences=200, units=6)
    probe, last = run.probe(), run.checkpoint(1)
    loud = np.flatnonzero(probe.tokens == probe.vocabulary.index("goal"))
    for states in last.states.values():
        states[loud] += np.where(np.arange(loud.size) % 2, 2, -2)[:, None]
    run.write_checkpoint(last)
    page = open_page(reported(run))
    jumps = run.result(Jumps)
    assert isinstance(jumps, Jumps)
    named = [jumps.names[k] for k in jumps.types[0] if k >= 0]
    assert named[0] == "goal"
    assert page.locator("#title-jumps").inner_text().startswith("“goal”")
    rows = page.locator("#jump-types tbody tr")
    assert [row.split("\t")[0] for row in rows.all_inner_texts()] == named
    among, sequences, everywhere = jumps.type_counts[0, 0]
    assert rows.first.locator("td").all_inner_texts()[:2] == [f"{among} of {everywhere}", str(sequences)]
    rows.first.locator("button").click()
    settle(page)
    assert page.evaluate("RR.description.words.names[RR.selection.words[0]]") == "goal"


def test_more_classes_than_colours_stay_different(open_page, sampled):
    """G6: the palette goes on beyond its ten colours, the same for a class in every view."""
    page = open_page(sampled[1])
    for theme in (False, True):
        page.evaluate(f"RR.setTheme({str(theme).lower()})")
        colours = page.evaluate("Array.from({ length: 30 }, (_, k) => RR.classColour(k))")
        assert len(set(colours)) == 30


@pytest.mark.parametrize(("task", "timeline"), [("multi-label", True), ("tagging", False), ("regression", False)])
def test_other_tasks(open_page, tmp_path, task, timeline):
    run = fabricate_run(tmp_path / "run", task, epochs=1, sequences=30, units=6, continuous=task == "regression")
    page = open_page(reported(run))
    assert (page.locator("#figure-decisions:not(.missing)").count() == 1) == timeline
    assert page.locator("#figure-decisions.missing").count() == (not timeline)
    assert page.locator("#jump-rows tbody tr").count() == 40
    assert page.locator("#jump-rows .prototype svg").count() > 0 if task == "regression" else True
    assert (page.locator("label:has(#jump-changes)").is_visible()) == (task == "tagging")
    if timeline:
        page.evaluate("RR.chooseSequence(3)")
        settle(page)
        assert page.locator("#margin-lines .mine").count() == 1
