"""The map of states in Chromium: methods, three dimensions by drag, other epochs and a baseline in the fixed map."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import expect

from rnnreport.analyses import analyse
from rnnreport.report import render_report
from rnnreport.report.environment import number
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import Projection, Sequences
from tests.browser.conftest import settle, show_plot
from tests.fabricate import fabricate_run

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    folder = tmp_path_factory.mktemp("map")
    run = fabricate_run(folder / "run", epochs=4, sequences=30, units=8, steps=(3, 8))
    analyse(
        run,
        baseline=fabricate_run(
            folder / "base", epochs=4, sequences=30, units=8, steps=(3, 8), seed=1, name="<b>base</b>"
        ),
    )
    page = folder / "report.html"
    page.write_text(render_report(run), encoding="utf-8")
    return page, run.result(Projection)


def dots(page):
    data = page.evaluate("(({ x, y }) => [Array.from(x), Array.from(y)])(RR.plots.map.source('map.points').data)")
    return np.array(data).T


def same_shape(drawn, wanted, within=0.001):
    """Equal up to one scale and shift, as far as 12 bits go; of what is placed into a map, 10 bits."""
    drawn, wanted = drawn - drawn.mean(axis=0), wanted - wanted.mean(axis=0)
    scale = np.linalg.norm(drawn) / np.linalg.norm(wanted)
    return np.abs(drawn - scale * wanted).max() < within * np.abs(drawn).max()


def test_every_method_is_drawn_with_its_measures(open_page, mapped):
    page, found = open_page(mapped[0]), mapped[1]
    show_plot(page, "map")
    page.locator("#map-trusted").click()  # unfolds the measures of all maps
    for place, method in enumerate(found.methods):
        page.select_option("#method", label=method)
        assert same_shape(dots(page), found.coordinates[place])
        row = page.locator(f"#map-trust tr[data-method='{place}']")
        assert row.get_attribute("aria-current") == "true"
        trustworthiness = f"{found.trust[method]['trustworthiness']:.3f}"
        assert trustworthiness in row.inner_text() and "seed" in row.inner_text()
        assert f"trustworthiness {trustworthiness}," in page.locator("#map-trusted").inner_text()


def test_a_drag_turns_the_map_in_space_and_not_in_the_plane(open_page, mapped):
    page, found = open_page(mapped[0]), mapped[1]
    show_plot(page, "map")
    assert page.locator("#map-view").is_disabled()  # t-SNE has no third dimension
    page.select_option("#method", label="PCA")
    box = page.locator("#plot-map").bounding_box()

    def drag():
        before = dots(page)
        page.mouse.move(box["x"] + 200, box["y"] + 150)
        page.mouse.down()
        page.mouse.move(box["x"] + 400, box["y"] + 190, steps=5)
        page.mouse.up()
        settle(page)
        return np.abs(dots(page) - before).max()

    assert drag() == 0
    page.select_option("#map-view", "space")
    assert drag() > 50
    turned = dots(page)
    page.locator("#map-turn").press("ArrowLeft")
    settle(page)
    assert np.abs(dots(page) - turned).max() > 5
    page.select_option("#map-view", "plane")
    assert same_shape(dots(page), found.coordinates[found.methods.index("PCA")])


def test_the_epoch_slider_moves_the_dots_and_leaves_the_map(open_page, mapped):
    page, found = open_page(mapped[0]), mapped[1]
    show_plot(page, "map")
    for method in ("PCA", found.methods[0]):
        page.select_option("#method", label=method)
        fixed = dots(page)
        slider = page.locator("#epoch").bounding_box()
        page.mouse.click(slider["x"] + 4, slider["y"] + slider["height"] / 2)
        expect(page.locator("#note-map")).to_contain_text("states of epoch 0, placed into the map of epoch 3")
        assert same_shape(dots(page), found.placed[method][0, :, :2], within=0.004)
        page.locator("#epoch").press("End")
        settle(page)
        np.testing.assert_array_equal(dots(page), fixed)
    page.select_option("#method", label="PHATE")
    page.locator("#epoch").press("Home")
    expect(page.locator("#note-map")).to_contain_text("shows epoch 3 of this network alone")


def test_a_baseline_is_shown_in_the_map(open_page, mapped):
    page, found = open_page(mapped[0]), mapped[1]
    show_plot(page, "map")
    page.select_option("#map-whose", "baseline")
    assert same_shape(dots(page), found.placed[found.methods[0]][-1])
    assert "<b>base</b>" in page.locator("#note-map").inner_text()


def test_a_region_is_counted_against_the_rest(open_page, mapped):
    page, shown = open_page(mapped[0]), RunFolder(mapped[0].parent / "run").result(Sequences)
    show_plot(page, "map")
    chosen = np.arange(10, 40)
    page.evaluate("(chosen) => { RR.plots.map.source('map.points').selected.indices = chosen; }", chosen.tolist())
    page.wait_for_selector("#region table")
    inside = np.isin(np.arange(len(shown.tokens)), chosen)
    token = np.array(shown.token_names)[shown.tokens]
    # of two classes equally likely but for the 8 bits of the page, the page's
    winners = page.evaluate("Array.from(RR.arrays['words.steps'], (_, p) => RR.reading.winner(p, RR.selection.epoch))")
    assert np.mean(np.array(winners) == shown.step_output[-1].argmax(axis=1)) > 0.98
    expects = np.array(shown.class_names)[winners]
    for table, values in zip(page.locator("#region table").all(), (token, expects), strict=True):
        rows = [row.locator("th, td").all_inner_texts() for row in table.locator("tbody tr").all()]
        counts = {value: int((values[inside] == value).sum()) for value in set(values[inside])}
        assert [int(row[1]) for row in rows] == sorted(counts.values(), reverse=True)[: len(rows)]
        assert len(rows) == min(8, len(counts))
        for value, n, here, elsewhere in rows:
            assert int(n) == counts[value] and here == f"{(values[inside] == value).mean():.1%}"
            assert elsewhere == f"{(values[~inside] == value).mean():.1%}"
    line = page.locator("#region li button").nth(2)
    line.click()
    assert page.locator("#text .token.here").get_attribute("data-p") == str(chosen[2])


def test_labels_of_steps_that_lie_together_are_under_each_other(open_page, mapped):
    page = open_page(mapped[0])
    names = {"x": [0, 0.5, 30, 0.2], "y": [5, 5, 5, 5.1], "text": ["start: a", "end: b", "far", "c"], "dy": [-6] * 4}
    staggered = page.evaluate("([names, scale]) => (RR.stagger(names, scale), names.dy)", [names, 10])
    assert staggered[:3] == [-6, 8, -6]
    down = [dy - 10 * y for dy, y in zip(staggered, names["y"], strict=True)]
    assert down[3] - down[1] >= 13  # below the second, which went below the first
    show_plot(page, "map")
    page.locator("#table tbody tr").first.click()
    settle(page)
    drawn = page.evaluate("(({ text, dy }) => [text.length, dy.length])(RR.plots.map.source('map.labels').data)")
    assert drawn[0] == drawn[1] >= 2


def test_a_title_about_a_map_follows_the_map(open_page, rendered):
    run, path = rendered("language-model")
    page = open_page(path)
    show_plot(page, "map")
    for method, trust in run.result(Projection).trust.items():
        page.select_option("#method", label=method)
        title = f"{method.partition(',')[0]} keeps neighbours with trustworthiness {number(trust['trustworthiness'])},"
        assert page.locator("#title-map").inner_text().startswith(title)
