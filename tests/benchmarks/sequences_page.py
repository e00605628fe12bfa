"""The page of a large corpus: its size, the time to the first linked selection, frames while a text is pointed along.

``python -m tests.benchmarks.sequences_page [SEQUENCES UNITS EPOCHS [FOLDER]]`` (2000 128 12). Fabricated sequences of
10 to 200 steps, 105 on average, four classes; needs a Chromium (``RNNREPORT_CHROMIUM``, or on the path) and 100 MB of
disk per epoch. All input is the real mouse's.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, Page

from rnnreport.analyses import analyse
from rnnreport.report import render_report
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import Sequences
from tests.benchmarks.browser import chromium, main_thread, ready_page
from tests.benchmarks.timing import table
from tests.fabricate import fabricate_run

OPENINGS, PASSES, LONGEST = 10, 3, 200
COLUMNS = [
    *("sequences", "steps", "units", "epochs", "displayed", "analysis, CPU-s", "page, MB", "first selection, s"),
    *("frames per s", "ms per frame: median, 95%, 99%", "frames", "main thread per frame, CPU-ms", "load"),
]
WATCH = """() => {
  window.frames = [];
  let last = null;
  const note = (now) => {
    if (last !== null) window.frames.push(now - last);
    last = now;
    window.watching = requestAnimationFrame(note);
  };
  window.watching = requestAnimationFrame(note);
}"""
MIDDLES = """(nodes) => nodes.map((node) => {
  const box = node.getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
})"""


def first_selection(browser: Browser, file: Path) -> float:
    """Seconds from opening the file until a clicked sequence is drawn in the linked views, scrolling included."""
    page = browser.new_page(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    page.set_default_timeout(120_000)
    page.goto(file.as_uri(), wait_until="commit")
    page.locator("#table tbody tr[data-q]").nth(1).click()
    page.locator("#bar .pick").first.wait_for()
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    elapsed: float = page.evaluate("performance.now()") / 1000
    page.close()
    return elapsed


def pointed_along(page: Page) -> list[float]:
    """Milliseconds of each frame while the mouse goes from token to token."""
    page.locator("#text").evaluate("node => node.scrollIntoView({ block: 'center' })")
    page.wait_for_timeout(500)
    places = page.locator("#text .token").evaluate_all(MIDDLES)
    page.evaluate(WATCH)
    for x, y in places:
        page.mouse.move(x, y)
    page.wait_for_timeout(100)
    page.evaluate("cancelAnimationFrame(window.watching)")
    found: list[float] = page.evaluate("window.frames")
    return found


def measure(file: Path, longest: int) -> list[str]:
    """The page's half of a line of the table; ``longest``: the displayed sequence that is pointed along."""
    with chromium() as browser:
        opened = [first_selection(browser, file) for _ in range(OPENINGS)]
        page = ready_page(browser, f"{file.as_uri()}#sequence={longest}")
        pointed_along(page)  # to warm up
        clock = main_thread(page)
        before = clock()
        frames = [frame for _ in range(PASSES) for frame in pointed_along(page)]
        effort = (clock() - before) / len(frames)
    shares = ", ".join(f"{np.percentile(frames, share):.0f}" for share in (50, 95, 99))
    return [
        f"{statistics.median(opened):.2f} ({min(opened):.2f} to {max(opened):.2f})",
        f"{1000 * len(frames) / sum(frames):.0f}",
        shares,
        str(len(frames)),
        f"{effort:.1f}",
    ]


def main(sequences: int, units: int, epochs: int, folder: Path) -> None:
    """Print one line of the table."""
    run = RunFolder(folder / "run")
    if not run.path.exists():
        fabricate_run(run.path, epochs=epochs, sequences=sequences, units=units, steps=(10, LONGEST))
    start = time.process_time()
    analyse(run)
    seconds = time.process_time() - start
    file = (folder / "report.html").absolute()
    file.write_text(render_report(run), encoding="utf-8")
    shown, steps = run.result(Sequences), int(run.probe().lengths.sum())
    row = [f"{sequences:,}", f"{steps:,}", str(units), str(epochs), str(len(shown.lengths)), f"{seconds:.0f}"]
    row += [f"{file.stat().st_size / 1e6:.2f}", *measure(file, int(shown.lengths.argmax()))]
    sys.stdout.write(table(COLUMNS, [[*row, f"{os.getloadavg()[0]:.1f}"]]))


if __name__ == "__main__":
    sizes = [int(value) for value in sys.argv[1:4]] or [2000, 128, 12]
    with tempfile.TemporaryDirectory() as scratch:
        main(*sizes, Path(sys.argv[4]) if len(sys.argv) > 4 else Path(scratch))
