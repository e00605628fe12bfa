"""How far the state moves, in its own units and by the largest move, and where the label rule draws its line (G2)."""

from __future__ import annotations

import numpy as np
import pytest

from rnnreport.results.schema import Sequences
from tests.browser.conftest import settle, show_plot

pytestmark = pytest.mark.browser


def test_moves_are_told_in_both_units(open_page, report, run):
    page, found = open_page(report), run.result(Sequences)
    page.locator("#text .token").first.hover()
    distance = float(found.distance[0])
    told = page.locator("#tooltip").inner_text().splitlines()[-1]
    share = float(told.split(", ")[1].split("%")[0]) / 100
    assert told.endswith("% of the largest move of all") and share == pytest.approx(
        distance / found.largest_distance, abs=1e-3
    )
    assert float(told.split(" by ")[1].split(" ")[0]) == pytest.approx(distance, rel=0.01)
    show_plot(page, "distance")
    bars = np.array(page.evaluate("Array.from(RR.plots.distance.source('distance').data.top)"), float)
    assert np.isfinite(bars).sum() == found.lengths[0] - 1


def test_the_rule_for_moves_draws_its_line(open_page, report, run):
    page, found = open_page(report), run.result(Sequences)
    show_plot(page, "distance")
    line = "(({ visible, location }) => [visible, location])(RR.plots.distance.find('distance.threshold'))"
    assert page.evaluate(line)[0] is False
    show_plot(page, "map")
    page.locator("#figure-map .options summary").click()
    page.locator("[data-rule=distance][data-side=before]").check()
    settle(page)
    visible, location = page.evaluate(line)
    assert visible and location == pytest.approx(0.4 * found.largest_distance, rel=1e-4)
    slider = page.locator("[data-threshold=distance]")
    slider.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    settle(page)
    assert page.evaluate(line)[1] == pytest.approx(0.45 * found.largest_distance, rel=1e-4)
    page.locator("[data-rule=distance][data-side=before]").uncheck()
    settle(page)
    assert page.evaluate(line)[0] is False
