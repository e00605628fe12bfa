"""Units and words in a real Chromium: weightings, chips, clouds, links."""

import numpy as np
import pytest

from rnnreport.report import render_report
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import WEIGHTINGS, Sequences, Units

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def run(analysed_runs):
    return RunFolder(analysed_runs[0])


@pytest.fixture(scope="module")
def report(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_report(run), encoding="utf-8")
    return path


def settle(page):
    """Two frames: the selection is announced in the first, drawn in the second."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def shown(page, kind, attribute):
    """Cluster label to its units or words, as drawn."""
    while page.locator("#clusters .more").count():
        page.locator("#clusters .more").first.click()
    return {
        int(box.get_attribute("data-label")): {
            int(item.get_attribute(attribute)) for item in box.locator(f"[{attribute}]").all()
        }
        for box in page.locator(f"#clusters .{kind}").all()
    }


def members(labels):
    return {label: set(np.flatnonzero(labels == label)) for label in range(labels.max() + 1)}


def test_every_weighting_and_k_shows_its_clusters_and_every_unit_and_word_once(open_page, report, run):
    page = open_page(report)
    units = run.result(Units, 0)
    assert page.locator("#mode").input_value() == str(units.modes.index(units.default_mode))
    for m in range(len(units.modes)):
        page.select_option("#mode", str(m))
        for i, k in enumerate(units.ks):
            page.select_option("#k", str(i))
            settle(page)
            chips, clouds = shown(page, "chip", "data-unit"), shown(page, "cloud", "data-word")
            everyone = [item for side in (chips, clouds) for label in side for item in side[label]]
            assert len(everyone) == units.response.shape[0] + units.response.shape[1]
            if np.isnan(units.cut[m, i]):
                assert "cannot be divided" in page.locator("#note-units").inner_text()
                continue
            assert {label: found for label, found in chips.items() if label >= 0} == {
                label: members(units.unit_labels[m, i]).get(label, set()) for label in range(k)
            }
            assert {label: found for label, found in clouds.items() if label >= 0} == {
                label: members(units.word_labels[m, i]).get(label, set()) for label in range(k)
            }
            sizes = [len(found) for label, found in sorted(chips.items()) if label >= 0]
            assert sizes == sorted(sizes)
            assert f"ARI {units.stability[m, i]:.2f}" in page.locator("#note-units").inner_text()
    assert WEIGHTINGS[units.modes[-1]] in page.locator("#mode option:checked").inner_text()


def test_weighting_and_k_are_in_the_link_and_come_back(open_page, report, run):
    page = open_page(report)
    units = run.result(Units, 0)
    page.select_option("#mode", str(units.modes.index("abs")))
    page.select_option("#k", "1")
    settle(page)
    again = open_page(report, hash=page.evaluate("location.hash"))
    assert again.locator("#mode").input_value() == str(units.modes.index("abs"))
    assert shown(again, "chip", "data-unit") == shown(page, "chip", "data-unit")
    assert open_page(report, hash="#mode=77&k=99").locator("#clusters .chip").count() > 1


def test_widest_link_slider(open_page, report, run):
    page = open_page(report)
    units = run.result(Units, 0)
    place = units.modes.index(units.default_mode), list(units.ks).index(units.default_k)
    page.locator("#link-filter").evaluate("node => { node.value = 0; node.dispatchEvent(new Event('input')); }")
    widths = "nodes => nodes.map((node) => Number(node.getAttribute('stroke-width'))).sort((a, b) => a - b)"
    page.locator("#stroke").focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    drawn = page.eval_on_selector_all("#clusters svg.ribbons path", widths)
    links = np.sort(np.abs(units.links[place][np.isfinite(units.links[place])]))
    np.testing.assert_allclose(drawn, np.maximum(0.5, 20 * links / links[-1]), atol=0.06)


def test_chips_of_equal_height(open_page, report):
    page = open_page(report)
    tall = "nodes => new Set(nodes.map((node) => node.clientHeight)).size"
    page.select_option("#align", "height")
    assert page.eval_on_selector_all("#clusters .squares", tall) == 1


def test_a_click_on_a_step_colours_the_units_by_their_state(open_page, report, run):
    page = open_page(report)
    page.locator("#text .token").nth(1).click()
    settle(page)
    found = page.evaluate("Array.from(RR.stateAt(RR.stepIndex(RR.selection.sequence, 1)))")
    units, first = run.result(Units, 0), run.result(Sequences).lengths[0]
    assert first > 1
    spans = np.ptp(units.activation, axis=0)
    assert (np.abs(np.array(found) - units.activation[1]) <= spans / 254 / 2 * 1.01 + 1e-6).all()
