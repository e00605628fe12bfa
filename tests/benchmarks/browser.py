"""A Chromium whose load-independent effort can be read: the processor time of a page's main thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

from tests.conftest import CHROMIUM_FLAGS, find_chromium


@contextmanager
def chromium() -> Iterator[Browser]:
    """As the browser tests start it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(CHROMIUM_FLAGS))
        yield browser
        browser.close()


def ready_page(browser: Browser, address: str) -> Page:
    """A page at 1440 x 900 pixels, every figure drawn; without smooth scrolling, which takes its own time."""
    page = browser.new_page(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    page.set_default_timeout(120_000)
    page.goto(address)
    page.wait_for_selector("html[data-ready=yes]", state="attached")
    page.evaluate("for (const fold of document.querySelectorAll('details.more')) fold.open = true")
    for plot in page.locator(".plot").all():
        plot.scroll_into_view_if_needed()
        page.wait_for_timeout(700)
    return page


def main_thread(page: Page) -> Callable[[], float]:
    """A clock: milliseconds of processor time that the tasks of the page's main thread have taken."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def taken() -> float:
        metrics = {entry["name"]: entry["value"] for entry in session.send("Performance.getMetrics")["metrics"]}
        return 1000 * float(metrics["TaskDuration"])

    return taken
