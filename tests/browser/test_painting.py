"""Painting: figures out of sight wait, the pointed step has a layer of its own, units of wide models share columns."""

import numpy as np
import pytest

from tests.browser.conftest import settle, show_plot

pytestmark = pytest.mark.browser

COUNT = """(name) => {
  const view = Bokeh.index.roots.find((root) => root.model === RR.plots[name].figure);
  window.painted = 0;
  window.layers = [];
  view.repainted.connect(() => { window.painted += 1; });
  const primary = view._paint_primary.bind(view);
  view._paint_primary = (...given) => { window.layers.push("primary"); primary(...given); };
}"""


def until(page, condition):
    """Asked by the driver: a condition polled in the page itself is evaluated there, which the policy forbids."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never true: {condition}")


def test_a_figure_out_of_sight_has_its_data_and_is_painted_when_it_comes_back(open_page, report):
    page = open_page(report)
    show_plot(page, "map")
    page.locator("#figure-units").scroll_into_view_if_needed()
    until(page, "RR.plots.map.figure.hold_render")
    page.evaluate(COUNT, "map")
    before = page.evaluate("RR.plots.map.source('map.points').data.alpha.join()")
    page.locator("#clusters .word").nth(2).click()
    settle(page)
    assert page.evaluate("RR.plots.map.source('map.points').data.alpha.join()") != before
    assert page.evaluate("window.painted") == 0
    page.locator("#plot-map").scroll_into_view_if_needed()
    until(page, "window.painted > 0 && window.layers.includes('primary')")


def test_pointing_at_a_step_paints_its_mark_alone(open_page, report):
    page = open_page(report)
    show_plot(page, "distance")
    settle(page)
    page.evaluate(COUNT, "distance")
    page.evaluate("RR.point(1)")
    until(page, "window.painted > 0")
    assert page.evaluate("RR.plots.distance.source('distance.here').data.x.length") > 0
    assert page.evaluate("window.layers") == []


def test_columns_of_many_units_reach_from_the_lowest_to_the_highest(open_page, report):
    page = open_page(report)
    values = np.random.default_rng(0).normal(size=1000)
    values[7] = np.nan
    order = np.random.default_rng(1).permutation(1000)
    found = page.evaluate(
        """([values, order]) => {
          const { centre, edge, curve } = RR.columns(order), value = (unit) => values[unit] ?? NaN;
          return { centre, low: edge(value, false), high: edge(value, true), curve: curve(value) };
        }""",
        [[None if np.isnan(value) else value for value in values.tolist()], order.tolist()],
    )
    groups = np.split(values[order], range(3, 1000, 3))
    assert len(found["centre"]) == len(groups) == 334
    np.testing.assert_allclose(found["low"], [np.nanmin(group) for group in groups])
    np.testing.assert_allclose(found["high"], [np.nanmax(group) for group in groups])
    assert len(found["curve"]["y"]) == 2 * len(groups)
    few = page.evaluate("RR.columns([2, 0, 1]).curve((unit) => 10 * unit)")
    assert few == {"x": [0, 1, 2], "y": [20, 0, 10]}
