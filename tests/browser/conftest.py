"""A real Chromium, offline, with a fresh profile; a page that fails the test when it errs or asks the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Frame, Page, sync_playwright

from rnnreport.results.folder import RunFolder

READY = "html[data-ready=yes]"


@pytest.fixture(scope="session")
def browser(chromium: str, chromium_flags: list[str]) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=chromium_flags)
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a file: ``open_page(path, hash="", width=1440, scheme="light")`` waits until the page is ready.

    What the page folds is unfolded, unless ``folded``.

    At the end of the test the page must have logged no error and asked for nothing but itself.
    """
    problems: list[str] = []
    contexts = []

    def opened(
        path: Path, hash: str = "", width: int = 1440, scheme: str = "light", folded: bool = False, **options: object
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            offline=True,
            reduced_motion="reduce",
            **options,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(f"error: {error}"))
        page.on(
            "console",
            lambda line: problems.append(f"console: {line.text}") if line.type in ("error", "warning") else None,
        )
        page.on(
            "request",
            lambda request: (
                None if request.url.split(":")[0] in ("file", "data", "blob") else problems.append(request.url)
            ),
        )
        page.goto(f"{path.absolute().as_uri()}{hash}")
        page.wait_for_selector(READY, state="attached")
        if not folded:
            unfold(page)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert problems == []


def unfold(page: Page | Frame) -> None:
    """Open everything that the page folds."""
    page.evaluate("for (const fold of document.querySelectorAll('details.more')) fold.open = true")


def show_plot(page: Page, name: str) -> None:
    """Scroll a Bokeh figure into view and wait until it is drawn."""
    page.locator(f"#plot-{name}").scroll_into_view_if_needed()
    page.wait_for_selector(f"#plot-{name}[data-ready=yes]")
    page.wait_for_timeout(120)  # one frame of canvas drawing after the model is there


@pytest.fixture(scope="module")
def run(analysed_runs: tuple[Path, Path]) -> RunFolder:
    return RunFolder(analysed_runs[0])


@pytest.fixture(scope="module")
def report(page_files: dict[str, Path]) -> Path:
    return page_files["report"]


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
