"""The state machine: its graph and its table select a state, which lists and marks its steps everywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import Machine
from tests.browser.conftest import settle

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def machine(run: RunFolder) -> Machine:
    found = run.result(Machine)
    assert isinstance(found, Machine)
    return found


def test_a_state_lists_its_steps_and_marks_them_in_text_and_address(
    report: Path, machine: Machine, open_page: Callable[..., Page]
) -> None:
    page = open_page(report)
    state = page.locator('svg.machine .state[data-node="1"]')
    state.scroll_into_view_if_needed()
    state.click()
    settle(page)
    assert page.evaluate("RR.selection.node") == 1
    displayed = int((machine.displayed == 1).sum())
    assert (
        f"{displayed} of its {machine.steps[1]} steps are displayed" in page.locator("#machine-places h4").inner_text()
    )
    places = page.evaluate(
        "() => [...document.querySelectorAll('#machine-places .token.meant')].map((token) => Number(token.dataset.p))"
    )
    assert 0 < len(places) <= displayed
    assert all(machine.displayed[place] == 1 for place in places)
    page.wait_for_function("location.hash.includes('node=1')")
    assert page.locator('#machine-states tr[aria-selected="true"]').get_attribute("data-node") == "1"
    page.locator("#machine-places .link").first.click()
    settle(page)
    inside = page.evaluate(
        """() => [...document.querySelectorAll('#text .token')]
          .map((one) => [Number(one.dataset.p), one.classList.contains('inside')])"""
    )
    assert inside and all((machine.displayed[place] == 1) == marked for place, marked in inside)
    page.get_by_role("button", name="machine state B: let go").click()
    settle(page)
    assert page.locator("#machine-places h4").count() == 0
    assert page.locator("#text .token.inside").count() == 0


def test_an_arrow_says_what_takes_it_and_keys_select_a_state(
    report: Path, machine: Machine, open_page: Callable[..., Page]
) -> None:
    page = open_page(report)
    head = page.locator("svg.machine .arrow .head").first
    head.scroll_into_view_if_needed()
    head.hover()
    assert " times, " in page.locator("#tooltip").inner_text()
    row = page.locator('#machine-states tr[data-node="0"] button')
    row.focus()
    page.keyboard.press("Enter")
    settle(page)
    assert page.evaluate("RR.selection.node") == 0
    page.locator('svg.machine .state[data-node="0"]').focus()
    page.keyboard.press("Enter")
    settle(page)
    assert page.evaluate("RR.selection.node") is None
    assert f"{machine.fidelity[0]:.1%}" in page.locator("#title-machine").inner_text()


def test_the_page_stays_narrow_on_a_telephone(report: Path, open_page: Callable[..., Page]) -> None:
    page = open_page(report, width=390, hash="#node=0")
    page.locator("#figure-machine").scroll_into_view_if_needed()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
