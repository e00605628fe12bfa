"""Nothing on a page moves by itself once it is there: what is drawn late finds its place kept free."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import settle

LINE = 20.25  # px of a note; a wrapped line more or less is allowed for where texts are long


def heights(page: Page) -> dict[str, float]:
    """How tall every figure is."""
    return page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll("figure.frame")]
          .map((figure) => [figure.id, figure.getBoundingClientRect().height]))"""
    )


@pytest.mark.parametrize("width", [1440, 390])
def test_figures_keep_their_height_when_they_come_into_view(
    open_page: Callable[..., Page], report: Path, width: int
) -> None:
    page = open_page(report, width=width)
    before = heights(page)
    for place in page.locator(".plot").all():
        place.scroll_into_view_if_needed()
        settle(page)
    page.wait_for_function(
        "[...document.querySelectorAll('.plot')].every((place) => place.dataset.ready || !place.offsetParent)"
    )
    settle(page)
    allowed = 1 if width == 1440 else 2 * LINE
    grown = {
        name: (before[name], height) for name, height in heights(page).items() if abs(height - before[name]) > allowed
    }
    assert grown == {}
