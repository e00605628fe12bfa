"""How long the units remember: pointing names one, a click leads to its figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import settle

pytestmark = pytest.mark.browser


def test_a_dot_names_its_unit_and_selects_it(report: Path, open_page: Callable[..., Page]) -> None:
    page = open_page(report)
    page.locator("#memory-units svg").scroll_into_view_if_needed()
    at = page.evaluate(
        """() => {
          const group = document.querySelector("#memory-units .units"), svg = group.ownerSVGElement;
          const [, x, y] = group.querySelector(".dots").getAttribute("d").match(/M([\\d.]+) ([\\d.]+)/);
          const point = new DOMPoint(Number(x), Number(y)).matrixTransform(svg.getScreenCTM());
          return [point.x, point.y, group.dataset.units.split(" ")[0], group.dataset.title];
        }"""
    )
    page.mouse.move(at[0], at[1])
    settle(page)
    tip = page.locator("#tooltip").inner_text()
    assert f"unit {at[2]}:" in tip
    assert at[3] in tip
    page.mouse.click(at[0], at[1])
    settle(page)
    assert page.evaluate("RR.selection.units.map(String)") == [at[2]]
