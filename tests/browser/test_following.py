"""A page made by ``rnnreport watch``: it loads itself again from disk and keeps what is looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from rnnreport.report.following import follow, stamp_of
from tests.browser.conftest import READY, settle

SELECTION = "#words=2&units=1&lens=word"


class Watched:
    """The page of a run, and what the watch does with it."""

    def __init__(self, html: str, path: Path) -> None:
        self.path = path
        self._html = html

    def epoch(self, number: int) -> None:
        """Write the page as after this epoch."""
        html, stamp = follow(self._html.replace("<h1", f'<p id="landed">{number}</p><h1', 1), self.path)
        self.path.write_text(html, encoding="utf-8")
        stamp_of(self.path).write_text(stamp, encoding="utf-8")

    def end(self) -> None:
        self.path.write_text(self._html, encoding="utf-8")
        stamp_of(self.path).unlink()


@pytest.fixture
def watched(report: Path, tmp_path: Path) -> Watched:
    watched = Watched(report.read_text(encoding="utf-8"), tmp_path / "report.html")
    watched.epoch(1)
    return watched


def shown(page: Page) -> str:
    return page.locator("#landed").inner_text()


def await_epoch(page: Page, number: int) -> None:
    page.wait_for_selector(f"#landed:text-is('{number}')", timeout=30_000)
    page.wait_for_selector(f"{READY}[data-following=yes]", state="attached")


def test_the_new_epoch_is_shown_with_selection_place_and_controls_kept(
    open_page: Callable[..., Page], watched: Watched
) -> None:
    page = open_page(watched.path, SELECTION)
    page.wait_for_selector("html[data-following=yes]", state="attached")
    chips = page.locator("[aria-pressed=true]:not(#following)").all_inner_texts()
    assert chips
    page.locator("#mode").select_option(index=1)
    page.locator("#dynamics-colour").select_option(index=2)
    page.locator("main details:visible > summary").first.click()
    page.evaluate("document.getElementById('sequences').scrollIntoView()")
    page.evaluate("scrollBy({ top: 300, behavior: 'instant' })")
    page.wait_for_timeout(1000)
    place = "document.getElementById('sequences').getBoundingClientRect().top"
    before, mode, hash = page.evaluate(place), page.locator("#mode").input_value(), page.evaluate("location.hash")
    assert before < -100
    watched.epoch(2)
    await_epoch(page, 2)
    settle(page)
    assert abs(page.evaluate(place) - before) <= 2
    assert page.evaluate("location.hash") == hash
    assert page.locator("#mode").input_value() == mode
    assert page.locator("#dynamics-colour").evaluate("select => select.selectedIndex") == 2
    assert page.locator("main details:visible").first.evaluate("one => one.open")
    watched.epoch(3)  # and again, in the page that was loaded by itself
    await_epoch(page, 3)
    assert abs(page.evaluate(place) - before) <= 2


def test_nothing_is_loaded_while_something_is_done_or_when_paused(
    open_page: Callable[..., Page], watched: Watched
) -> None:
    page = open_page(watched.path)
    page.wait_for_selector("html[data-following=yes]", state="attached")
    watched.epoch(2)
    for turn in range(12):  # longer than it waits for a pointer at rest
        page.mouse.move(200 + turn, 300)
        page.wait_for_timeout(500)
    assert shown(page) == "1"
    await_epoch(page, 2)  # the pointer rests

    button = page.get_by_role("button", name="Following")
    button.focus()
    page.keyboard.press("Enter")
    watched.epoch(3)
    page.get_by_role("button", name="Paused: newer page").wait_for(timeout=30_000)
    page.wait_for_timeout(4000)
    assert shown(page) == "2"
    page.keyboard.press("Enter")
    await_epoch(page, 3)
    assert page.evaluate("document.activeElement.id") == "following"


@pytest.fixture
def page_without_stamp(browser: Browser) -> Iterator[tuple[Page, list[str]]]:
    """A page, and the errors it reports: that the stamp is missing may be one."""
    context = browser.new_context(offline=True)
    page, problems = context.new_page(), list[str]()
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    yield page, problems
    context.close()


def test_the_last_page_is_an_ordinary_one(page_without_stamp: tuple[Page, list[str]], watched: Watched) -> None:
    page, problems = page_without_stamp
    page.goto(watched.path.as_uri())
    page.wait_for_selector(f"{READY}[data-following=yes]", state="attached")
    page.wait_for_selector('link[rel="stylesheet"]', state="attached")
    page.wait_for_timeout(2000)  # the stamp was seen
    with page.expect_navigation(timeout=30_000):
        watched.end()
    page.wait_for_selector(READY, state="attached")
    assert page.locator("#following").count() == 0 and page.locator("#landed").count() == 0
    assert all("ERR_FILE_NOT_FOUND" in problem for problem in problems)


def test_a_copy_without_its_stamp_stays_as_it_is(page_without_stamp: tuple[Page, list[str]], watched: Watched) -> None:
    stamp_of(watched.path).unlink()
    page, problems = page_without_stamp
    page.goto(watched.path.as_uri())
    page.wait_for_selector(f"{READY}[data-following=yes]", state="attached")
    page.wait_for_selector("#following", state="detached")
    page.wait_for_timeout(2500)
    assert shown(page) == "1"
    assert all("ERR_FILE_NOT_FOUND" in problem for problem in problems)


def test_an_ordinary_page_follows_nothing(report: Path) -> None:
    html = report.read_text(encoding="utf-8")
    assert "following" not in html.split("</head>")[1].split('class="packed"')[0].split("<h1")[0]
    assert "rnnreport-page" not in html and "style-src file:" not in html


def test_the_policy_allows_one_script_more_and_style_sheets_from_disk(report: Path, tmp_path: Path) -> None:
    html = report.read_text(encoding="utf-8")
    followed, stamp = follow(html, tmp_path / "report.html")
    policy = html.split('Content-Security-Policy" content="')[1].split('"')[0]
    wider = followed.split('Content-Security-Policy" content="')[1].split('"')[0]
    assert set(policy.split()) <= set(wider.split()) and len(set(wider.split()) - set(policy.split())) == 2
    assert follow(html, tmp_path / "report.html") == (followed, stamp)
    assert follow(html + " ", tmp_path / "report.html")[1] != stamp
