"""A sentence as glyphs of the clusters of units, step by step, in a real Chromium."""

import numpy as np
import pytest

from rnnreport.results.schema import Sequences, Units, Words
from tests.browser.conftest import settle, show_plot
from tests.information import cluster_information

pytestmark = pytest.mark.browser


def glyphs(page):
    page.locator("#sentence").scroll_into_view_if_needed()
    page.wait_for_selector("#sentence .glyph")
    settle(page)
    return page.locator("#sentence .glyph")


def test_the_published_step_as_a_glyph(open_page, report):
    page = open_page(report)
    found = page.evaluate("RR.information([0.4, -3, -0.5], [1, -2, 0.5], [0, 1, 2])")
    assert found["gainedPositive"] == pytest.approx(-1.1) and found["gainedNegative"] == pytest.approx(-1.5)
    assert found["keptRate"] == pytest.approx(2.4 / 3.5)
    glyph = page.evaluate("RR.glyphParts(RR.information([0.4, -3, -0.5], [1, -2, 0.5], [0, 1, 2]), 3)")
    assert glyph["high"] == pytest.approx(0.4 / 3) and glyph["low"] == pytest.approx(-3.5 / 3)
    lost, gained = glyph["parts"]
    assert (lost["from"], lost["to"], lost["way"]) == (pytest.approx(0.4 / 3), pytest.approx(1.5 / 3), "down")
    assert (gained["from"], gained["to"], gained["way"]) == (pytest.approx(-3.5 / 3), pytest.approx(-2 / 3), "down")
    assert page.evaluate("RR.glyphParts(RR.information([1, -2], [1, -2], [0, 1]), 2).parts") == []
    assert page.evaluate("RR.information([1, -2], null, [0, 1]).keptRate") == 0


@pytest.mark.parametrize("state", [0, 1])
def test_glyphs_show_the_sums_of_the_selected_state(open_page, report, run, state):
    page = open_page(report, hash=f"#state={state}&sequence=2")
    drawn, sequences, units = glyphs(page), run.result(Sequences), run.result(Units, state)
    starts = np.concatenate([[0], np.cumsum(sequences.lengths)])
    states = units.activation[starts[2] : starts[3]]
    assert drawn.count() == len(states)
    labels = units.unit_labels[units.modes.index(units.default_mode), list(units.ks).index(units.default_k)]
    coarse = np.ptp(units.activation, axis=0).max() / 254  # states travel as 8-bit codes, of each unit's own range
    for label in range(labels.max() + 1):
        members = np.flatnonzero(labels == label)
        expected = cluster_information(states, members)
        shown = page.evaluate(
            """([first, count, members]) => Array.from({ length: count }, (_, t) =>
              RR.information(RR.stateAt(first + t), t ? RR.stateAt(first + t - 1) : null, members))""",
            [int(starts[2]), len(states), members.tolist()],
        )
        for name, values in (("positive", expected.positive), ("gainedNegative", expected.gained_negative)):
            np.testing.assert_allclose([one[name] for one in shown], values, atol=coarse * len(members))
        np.testing.assert_allclose([one["keptRate"] for one in shown], expected.kept_rate, atol=0.1)


def test_clicking_a_glyph_marks_its_step_everywhere_and_draws_this_occurrence(open_page, report, run):
    page = open_page(report, hash="#sequence=2")
    show_plot(page, "response")
    glyph = glyphs(page).nth(1)
    glyph.click()
    settle(page)
    words, units, sequences = run.result(Words), run.result(Units, 0), run.result(Sequences)
    start = int(sequences.lengths[:2].sum())
    assert page.locator("#text .token.here").count() == 1
    assert glyphs(page).nth(1).get_attribute("aria-pressed") == "true"
    word = words.step_words[start + 1]
    assert word >= 0 and words.names[word] in page.locator("#title-response").inner_text()
    once = np.array(page.evaluate("Array.from(RR.plots.response.source('response.once').data.y)"))
    order = np.argsort(units.response[word], kind="stable")
    change = (units.activation[start + 1] - units.activation[start])[order]
    np.testing.assert_allclose(once, change, atol=np.ptp(units.activation, axis=0).max() / 127)
    assert "this occurrence" in page.locator("#note-response").inner_text()
    chips = page.locator("#sentence .glyph-chip")
    chips.first.click()
    settle(page)
    label = page.evaluate("RR.selection.cluster")
    assert page.locator(f"#clusters .chip[data-label='{label}']").get_attribute("class").split()[-1] == "on"
    glyphs(page).nth(1).click()
    settle(page)
    assert page.evaluate("RR.selection.step") is None


def test_two_sequences_below_each_other_on_one_scale(open_page, report):
    page = open_page(report, hash="#sequence=2")
    glyphs(page)
    alone = page.locator("#sentence text.axis").first.text_content()
    page.locator("#sentence-pin").click()
    page.locator("#table tr[data-q='5']").click()
    glyphs(page)  # back into view, where they are drawn
    settle(page)
    assert page.locator("#sentence .strip").count() == 2
    scales = {page.locator("#sentence .strip").nth(i).locator("text.axis").first.text_content() for i in range(2)}
    assert len(scales) == 1 and float(scales.pop()) >= float(alone)
    again = open_page(report, hash=page.evaluate("location.hash"))
    glyphs(again)
    assert again.locator("#sentence .strip").count() == 2


def test_zoom_widens_the_glyphs(open_page, report):
    page = open_page(report, hash="#sequence=2")
    before = glyphs(page).first.bounding_box()["width"]
    page.locator("#sentence-zoom").focus()
    page.keyboard.press("End")
    assert glyphs(page).first.bounding_box()["width"] > 2 * before
