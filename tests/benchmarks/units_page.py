"""Size of the page of a wide model, how long a click on a word takes in it, and how much of it is its own work.

``python -m tests.benchmarks.units_page [UNITS LAYERS EPOCHS [FOLDER]]`` (1500 2 1). A fabricated LSTM, h and c of every
layer, 300 words; needs a Chromium (``RNNREPORT_CHROMIUM``, or on the path).
"""

from __future__ import annotations

import dataclasses
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from rnnreport.analyses import analyse
from rnnreport.report import render_report
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Floats, Probe
from tests.benchmarks.browser import chromium, main_thread, ready_page
from tests.fabricate import fabricate_run

VOCABULARY, SEQUENCES, CLICKS = 400, 400, 15
# From the click to the end of the second frame after it: the selection is announced in the first, drawn in the second.
CLICK = """(word) => new Promise((done) => {
  const start = performance.now();
  document.querySelector(`#clusters .word[data-word='${word}']`).click();
  requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - start)));
})"""


def fabricate(path: Path, units: int, layers: int, epochs: int) -> RunFolder:
    """A small run whose words and states are replaced by many."""
    folder = fabricate_run(path, "language-model", epochs=epochs, sequences=SEQUENCES, units=4, steps=(8, 22))
    draw = np.random.default_rng(0)
    small = folder.probe()
    tokens = np.minimum(draw.zipf(1.3, small.tokens.size) - 1, VOCABULARY - 1).astype(np.int32)
    targets = np.append(tokens[1:], -1).astype(np.int32)
    targets[small.offsets[1:] - 1] = -1
    vocabulary = tuple(f"word{place}" for place in range(VOCABULARY))
    folder.write_probe(dataclasses.replace(small, tokens=tokens, targets=targets, vocabulary=vocabulary))
    keys = tuple(f"lstm.{layer}.fwd.{kind}" for layer in range(layers) for kind in "ch")
    model = {**folder.manifest().model, "layers": layers, "units": units}
    folder.write_manifest(dataclasses.replace(folder.manifest(), state_keys=keys, model=model))
    for checkpoint in list(folder.checkpoints()):
        states = {key: state(small, tokens, units, [place, checkpoint.epoch]) for place, key in enumerate(keys)}
        folder.write_checkpoint(dataclasses.replace(checkpoint, states=states))
    return folder


def state(probe: Probe, tokens: np.ndarray, units: int, seed: list[int]) -> Floats:
    """float32 (S, H): a leaky sum of what each word adds, with noise."""
    draw = np.random.default_rng(seed)
    pushes = draw.normal(0, 0.4, (VOCABULARY, 8)) @ draw.normal(size=(8, units))
    moved = (pushes[tokens] + draw.normal(0, 0.3, (tokens.size, units))).astype(np.float32)
    for first, last in zip(probe.offsets[:-1], probe.offsets[1:], strict=True):
        for step in range(first + 1, last):
            moved[step] += 0.8 * moved[step - 1]
    return moved


def clicks(page_file: Path) -> tuple[list[float], list[float]]:
    """Milliseconds of each click on a word until the second frame; of them, processor time of the main thread."""
    with chromium() as browser:
        page = ready_page(browser, page_file.absolute().as_uri())
        page.locator("#sentence").scroll_into_view_if_needed()
        page.locator("#figure-units").scroll_into_view_if_needed()
        page.wait_for_timeout(700)
        words = [word.get_attribute("data-word") for word in page.locator("#clusters .word").all()[: CLICKS + 1]]
        clock = main_thread(page)
        found, efforts = [], []
        for word in words:
            before = clock()
            found.append(float(page.evaluate(CLICK, word)))
            efforts.append(clock() - before)
    return found[1:], efforts[1:]  # the first one warms up


def main(units: int, layers: int, epochs: int, folder: Path) -> None:
    """Print one line of the table."""
    run = fabricate(folder / "run", units, layers, epochs)
    start = time.perf_counter()
    analyse(run)
    seconds = time.perf_counter() - start
    page = folder / "report.html"
    page.write_text(render_report(run), encoding="utf-8")
    size = page.stat().st_size / 1e6
    found, efforts = clicks(page)
    times = f"{statistics.median(found):.0f} | {min(found):.0f} | {max(found):.0f}"
    effort = f"{statistics.median(efforts):.0f} ({min(efforts):.0f} to {max(efforts):.0f})"
    load = f"{os.getloadavg()[0]:.1f}"
    sys.stdout.write(f"| {units} | {layers} | {epochs} | {seconds:.0f} | {size:.1f} | {times} | {effort} | {load} |\n")


if __name__ == "__main__":
    sizes = [int(value) for value in sys.argv[1:4]] or [1500, 2, 1]
    with tempfile.TemporaryDirectory() as scratch:
        main(*sizes, Path(sys.argv[4]) if len(sys.argv) > 4 else Path(scratch))
