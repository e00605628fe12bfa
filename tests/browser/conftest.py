"""A real Chromium, offline, with a fresh profile; a page that fails the test when it errs or asks the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Frame, Page, sync_playwright

from rnnreport.results.folder import RunFolder
from tests.browser.cases import render_case

READY = "html[data-ready=yes]"


@pytest.fixture(scope="session")
def browser(chromium: str, chromium_flags: list[str]) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=chromium_flags)
        yield started
        started.close()


@pytest.fixture(scope="session")
def tabs(browser: Browser) -> list[Page]:
    """Pages that one test after the other opens its files in, each with a profile of its own.

    A page that has compiled the scripts of a report before opens the next report in a third of the processor time.
    """
    return [browser.new_context(offline=True).new_page() for _ in range(2)]


@pytest.fixture
def open_page(browser: Browser, tabs: list[Page]) -> Iterator[Callable[..., Page]]:
    """Open a file: ``open_page(path, hash="", width=1440, scheme="light")`` waits until the page is ready.

    What the page folds is unfolded, unless ``folded``. ``forced="active"``: in the colours of the system.

    At the end of the test the page must have logged no error and asked for nothing but itself.
    """
    problems: list[str] = []
    pages: list[Page] = []
    heard = {
        "pageerror": lambda error: problems.append(f"error: {error}"),
        "dialog": lambda dialog: (problems.append(f"dialog: {dialog.message}"), dialog.dismiss()),
        "console": lambda line: problems.append(f"console: {line.text}") if line.type in ("error", "warning") else None,
        "request": lambda request: (
            None if request.url.split(":")[0] in ("file", "data", "blob") else problems.append(request.url)
        ),
    }

    def opened(
        path: Path, hash: str = "", width: int = 1440, scheme: str = "light", folded: bool = False, forced: str = "none"
    ) -> Page:
        used = len(pages)
        page = tabs[used] if used < len(tabs) else browser.new_context(offline=True).new_page()
        pages.append(page)
        for event, hear in heard.items():
            page.on(event, hear)
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(media="null", color_scheme=scheme, forced_colors=forced, reduced_motion="reduce")
        page.goto(f"{path.absolute().as_uri()}{hash}")
        page.wait_for_selector(READY, state="attached")
        if not folded:
            unfold(page)
        return page

    yield opened
    for page in pages[: len(tabs)]:
        leave(page)
        for event, hear in heard.items():
            page.remove_listener(event, hear)
    for page in pages[len(tabs) :]:
        page.context.close()
    assert problems == []


def leave(page: Page) -> None:
    """Nothing of this test reaches the next one: what the page stored, where the pointer is, what it timed."""
    page.evaluate("localStorage.clear(); sessionStorage.clear()")
    page.goto("about:blank")
    page.mouse.move(0, 0)


def unfold(page: Page | Frame) -> None:
    """Open everything that the page folds."""
    page.evaluate("for (const fold of document.querySelectorAll('details.more')) fold.open = true")


def show_plot(page: Page, name: str) -> None:
    """Scroll a Bokeh figure into view and wait until it is drawn."""
    page.locator(f"#plot-{name}").scroll_into_view_if_needed()
    page.wait_for_selector(f"#plot-{name}[data-ready=yes]")
    settle(page)  # its canvas is drawn after the model is there


def assert_accessible(page: Page) -> None:
    """axe finds nothing by the rules of WCAG 2 A and AA. What passes, half of its time, is not collected."""
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa"], "resultTypes": ["violations"]})
    assert found.violations_count == 0, found.generate_report()


@pytest.fixture(scope="module")
def run(analysed_runs: tuple[Path, Path]) -> RunFolder:
    return RunFolder(analysed_runs[0])


@pytest.fixture(scope="module")
def report(page_files: dict[str, Path]) -> Path:
    return page_files["report"]


@pytest.fixture(scope="session")
def rendered(made_once: Callable[..., Path]) -> Callable[[str], tuple[RunFolder, Path]]:
    """Run and page of a case of ``tests/browser/cases.py``. Copy the run before changing it."""
    made: dict[str, Path] = {}

    def get(case: str) -> tuple[RunFolder, Path]:
        if case not in made:
            made[case] = made_once(f"case {case}", lambda folder: render_case(folder, case))
        return RunFolder(made[case] / "run"), made[case] / "report.html"

    return get


def show_figure(page: Page, name: str) -> None:
    """Scroll a figure that draws only while it is seen into view, and wait until it is as it shall be."""
    page.locator(f"#figure-{name}").scroll_into_view_if_needed()
    page.locator(f"#{name} > *").first.wait_for(state="attached")
    for _ in range(2):  # the observer calls in one frame, what it draws is there in the next
        settle(page)


def settle(page: Page) -> None:
    """Two frames: the selection is announced in the first, drawn in the second."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def chip_colours(page: Page) -> list[list[int]]:
    """What colour every square of the memory chips has, read off the picture under the buttons: (unit, r, g, b, a)."""
    return page.evaluate(
        """() => [...document.querySelectorAll("#clusters .squares")].flatMap((box) => {
          const { width, height } = box.querySelector("canvas"), sharp = width / box.clientWidth;
          const pen = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
          pen.drawImage(box.querySelector("canvas"), 0, 0);
          return [...box.querySelectorAll(".unit")].map((unit) => {
            const x = unit.offsetLeft + unit.offsetWidth / 2, y = unit.offsetTop + unit.offsetHeight / 2;
            return [Number(unit.dataset.unit), ...pen.getImageData(x * sharp, y * sharp, 1, 1).data];
          });
        })"""
    )
