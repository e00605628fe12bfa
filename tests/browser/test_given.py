"""Sentences given by hand in a real Chromium: read like the others, judged by nothing."""

from dataclasses import replace

import numpy as np
import pytest

from rnnreport.analyses import analyse
from rnnreport.report import render_report
from rnnreport.results.recorded import NUMERIC, PER_SEQUENCE, Checkpoint, Sentences
from rnnreport.results.schema import GivenPlaces, GivenSentences, Projection, Sequences
from tests.browser.conftest import show_figure, show_plot
from tests.browser.test_tasks import column
from tests.browser.test_units import settle
from tests.fabricate import HOSTILE, fabricate_run
from tests.small import ROUGH

pytestmark = pytest.mark.browser

WRITTEN = (("goal", "<b>unheard</b>", HOSTILE[0], "match"), ("bank",))


def plant(folder):
    """Give two sentences whose states and answers are those of other steps; the second token is unknown."""
    probe, last = folder.probe(), folder.checkpoint(folder.epochs()[-1])
    ids = [probe.vocabulary.index(token) if token in probe.vocabulary else 5 for text in WRITTEN for token in text]
    states = Checkpoint(
        epoch=last.epoch,
        states={key: values[10:15] for key, values in last.states.items()},
        step_output=last.step_output[10:15],
        model_output=last.model_output[:2],
        surprisal=np.where([True, True, True, False, False], last.surprisal[10:15], np.nan).astype(np.float32)
        if last.surprisal.size
        else last.surprisal,
        top_tokens=last.top_tokens[10:15],
        top_probabilities=last.top_probabilities[10:15],
    )
    folder.write_sentences(Sentences(WRITTEN), _without_answers(probe, ids), states)


def _without_answers(probe, ids):
    targets = np.full(5, -1, np.int32) if probe.task == "language-model" else np.zeros(0, np.int32)
    return replace(
        probe,
        sequence_ids=("given 1", "given 2"),
        lengths=np.array([4, 1], np.int32),
        tokens=np.array(ids, np.int32),
        labels=np.zeros(0, np.int32),
        targets=targets,
        truths=np.zeros((0, 0), np.float32),
        sampled_from=2,
    )


def run_states(page):
    """The states as the page has them, those of the sentences last."""
    return np.array(page.evaluate("Array.from(RR.arrays['words.steps'], (_, p) => Array.from(RR.stateAt(p)))"))


def on_the_map(page, maps, given):
    """The first of two sentences is selected: its four states are dots and a path, and lead to their steps."""
    for place, method in enumerate(maps.methods):
        page.select_option("#method", str(place))
        dots = column(page, "map.given", "x"), column(page, "map.given", "y")
        note = page.locator("#note-map").inner_text()
        if method not in given.placed:
            assert not dots[0].size and "given 1 is not on this map" in note
            continue
        assert "framed: 5 states of sentences given by --sentence" in note and "not on this map" not in note
        assert len(column(page, "map.path", "x0")) == 3
        own, where = (np.array([column(page, name, axis) for axis in "xy"]).T for name in ("map.points", "map.given"))
        both = np.concatenate([maps.coordinates[place], given.placed[method][:, :2]])
        scale = np.linalg.norm(np.ptp(own[: -len(where)], axis=0)) / np.linalg.norm(
            np.ptp(maps.coordinates[place], axis=0)
        )
        np.testing.assert_array_equal(own[-len(where) :], where)
        np.testing.assert_allclose(own - own[0], scale * (both - both[0]), atol=2)
    page.select_option("#method", "0")
    index = len(maps.coordinates[0]) + 1
    page.evaluate("(index) => { RR.plots.map.source('map.points').selected.indices = [index]; }", index)
    settle(page)
    assert page.locator("#text .token.here").get_attribute("data-p") == str(index)


@pytest.mark.parametrize(
    "task",
    ["classification", "multi-label", "regression", "language-model", "tagging", "step-regression", "unlabelled"],
)
def test_given_sentences_are_read_and_not_judged(open_page, tmp_path, task):
    folder = fabricate_run(tmp_path / "run", task, epochs=2, sequences=20, units=6, steps=(3, 7))
    plant(folder)
    analyse(folder, params=ROUGH)
    shown, given = folder.result(Sequences), folder.result(GivenSentences)
    path = folder.path / "report.html"
    path.write_text(render_report(folder), encoding="utf-8")
    count = len(shown.lengths)
    page = open_page(path, f"#sequence={count}")
    assert "How given 1 is read" in page.locator("#title-text").inner_text()
    assert "given by --sentence, read at the last epoch" in page.locator("#note-text").inner_text()
    assert f"{count} displayed sequences and 2 given by --sentence" in page.locator("#note-table").inner_text()
    tokens = page.locator("#text .token")
    assert tokens.all_inner_texts() == list(WRITTEN[0])
    assert [("unknown" in token.get_attribute("class").split()) for token in tokens.all()] == [
        False,
        True,
        False,
        False,
    ]
    tokens.nth(1).hover()
    tip = page.locator("#tooltip").inner_text()
    assert "not in the vocabulary" in tip and "true" not in tip and "undefined" not in tip
    texts = page.locator("#note-text").inner_text() + page.locator("#text-dependence").inner_text()
    assert not any(word in texts for word in ("undefined", "NaN", "✓", "✗", "true"))
    tokens.nth(2).click()
    settle(page)
    unit = page.evaluate("Array.from(RR.stateAt(RR.stepIndex(RR.selection.sequence, 2)))")
    key = folder.manifest().state_keys[0]
    spread = given.activation[key].max(axis=0) - given.activation[key].min(axis=0)
    np.testing.assert_allclose(unit, given.activation[key][2], atol=0.02 * (1 + spread.max()))
    page.select_option("#table-filter", "given")
    rows = page.locator("#table tbody tr")
    assert rows.count() == 2 and "undefined" not in page.locator("#table").inner_text()
    if task in PER_SEQUENCE and task not in NUMERIC:
        page.select_option("#table-filter", "wrong")
        assert not any("given" in text for text in rows.all_inner_texts())
    if page.locator("#plot-map").count():
        show_plot(page, "map")
        assert f"of {count} sequences" in page.locator("#note-map").inner_text()
        on_the_map(page, folder.result(Projection), folder.result(GivenPlaces))
    show_figure(page, "similar")
    near = page.eval_on_selector_all("#similar .token.meant", "nodes => nodes.map((node) => Number(node.dataset.p))")
    states, here = run_states(page), int(page.locator("#text .token.here").get_attribute("data-p"))
    gaps = np.linalg.norm(states[: shown.lengths.sum()] - states[here], axis=1)
    assert near[0] == here >= gaps.size
    np.testing.assert_allclose(gaps[near[1:]], np.sort(gaps)[: len(near) - 1], rtol=1e-4)
    page.locator("#figure-sentence").scroll_into_view_if_needed()
    page.wait_for_selector("#sentence .glyph")
    assert page.locator("#sentence .strip text.unknown").count() == 1
    page.evaluate("RR.set({ epoch: 0 })")
    settle(page)
    assert "undefined" not in page.locator("#figure-text").inner_text()
