"""What answers the next question, not the first, is folded until it is asked for."""

import pytest

from tests.browser.conftest import settle

pytestmark = pytest.mark.browser


def test_a_folded_figure_is_drawn_when_it_is_opened(open_page, report):
    page = open_page(report, folded=True)
    assert page.locator("#figure-unitmap").is_hidden()
    page.locator("#more-unitmap > summary").click()
    page.wait_for_selector("#plot-unitmap[data-ready=yes]")
    assert page.locator("#plot-unitmap canvas").first.is_visible()
    page.locator("#more-unitmap > summary").click()
    assert page.locator("#figure-unitmap").is_hidden()


def test_a_link_to_a_folded_figure_opens_it(open_page, report):
    page = open_page(report, folded=True)
    page.evaluate("document.querySelector('.findings a').setAttribute('href', '#figure-jumps')")
    page.locator(".findings a").first.click()
    settle(page)
    page.wait_for_function("document.getElementById('title-jumps').getBoundingClientRect().top < innerHeight")
    assert page.locator("#figure-jumps").is_visible()


def test_folds_open_by_keyboard_and_without_scripts(browser, report):
    page = browser.new_page(java_script_enabled=False)
    page.goto(report.absolute().as_uri())
    fold = page.locator("#more-jumps > summary")
    fold.focus()
    page.keyboard.press("Enter")
    assert page.locator("#figure-jumps table").last.is_visible()
    page.close()


def test_a_figure_leads_to_how_its_numbers_are_made(open_page, report):
    page = open_page(report, folded=True)
    assert page.locator("#number-horizon").is_hidden()
    page.locator("#figure-memory .guide > summary").click()
    page.locator("#figure-memory .made a", has_text="Horizon").click()
    settle(page)
    assert page.locator("#number-horizon").is_visible()
    assert page.evaluate("document.activeElement.id") == "number-horizon"
    top, below = page.evaluate("""() => [document.activeElement.getBoundingClientRect().top,
        document.querySelector(".bar").getBoundingClientRect().bottom]""")
    assert below <= top < 400
