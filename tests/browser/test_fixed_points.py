"""Fixed points: chosen in the plane or in the list, described below, marked on the map, linked with the sequences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page

from rnnreport.analyses.fixed_points import fixed_points
from rnnreport.analyses.lyapunov import lyapunov_spectrum
from rnnreport.analyses.sample import SampleParams, display_sample
from rnnreport.report import render_report
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded_dynamics import FixedPointSearch, Stretching
from rnnreport.results.schema import Projection
from tests.browser.conftest import settle, show_plot

pytestmark = pytest.mark.browser
INPUTS = ("the mean input", "no input (zero)", "“<img src=x onerror=alert(1)>”")


def planted(folder: RunFolder) -> FixedPointSearch:
    """Three points at the mean input, none at zero, one at the third; each is a visited state."""
    probe, key, epoch = folder.probe(), folder.manifest().state_keys[0], folder.epochs()[-1]
    states = folder.checkpoint(epoch).states[key].astype(np.float64)
    count, width = 4, states.shape[1]
    moduli = np.linspace(0.95, 0.1, width) * np.array([[1.0], [1.2], [1.0], [1.0]])
    moduli[3, 0] = 1 - 1e-9  # stable, though not as the value travels to the page
    return FixedPointSearch(
        epoch=epoch,
        scopes=(key,),
        hidden=(0, width),
        inputs=INPUTS,
        starts=10,
        sequences=len(probe.lengths),
        owners=np.array([0, 0, 0, 2], np.int32),
        points=states[[3, 20, 40, 60]],
        speeds=np.array([1e-30, 1e-20, 1e-6, 1e-30]),
        arrivals=np.array([5, 3, 1, 9], np.int32),
        eigenvalues=np.stack([moduli, np.zeros((count, width))], axis=2),
        readout=np.full((count, 4), 0.5, np.float32),
        drive=np.tile(np.array([0, 1, 2], np.float32), (count, 4, 1)),
        outputs=np.tile(np.array([0.1, 0.6, 0.2, 0.1], np.float32), (count, 1)),
        top_outputs=np.zeros((count, 0), np.int32),
        top_values=np.zeros((count, 0), np.float32),
        slow=states[:10].astype(np.float32),
        slow_owners=np.zeros(10, np.int32),
        counts=np.array([[8, 1, 1, 0, 0], [0, 0, 0, 10, 0], [9, 0, 0, 1, 0]], np.int32),
        remark="",
        reason="",
    )


@pytest.fixture(scope="module")
def page_with_points(analysed_runs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    import shutil

    path = tmp_path_factory.mktemp("points") / "run"
    shutil.copytree(analysed_runs[0], path)
    folder = RunFolder(path)
    probe, last = folder.probe(), folder.checkpoint(folder.epochs()[-1])
    folder.write_record(planted(folder))
    sums = -np.outer(probe.lengths, [0.1, 0.4, 0.3]).astype(np.float64)
    sequences = np.arange(len(probe.lengths), dtype=np.int32)
    folder.write_record(Stretching(last.epoch, sequences, probe.lengths, sums, 0, 8, ""))
    projection = folder.result(Projection)
    folder.write_result(fixed_points(folder, probe, display_sample(probe, SampleParams()), last, projection))
    folder.write_result(lyapunov_spectrum(folder))
    summary = folder.summary()
    folder.write_summary(replace(summary, run="points"))
    page = path / "report.html"
    page.write_text(render_report(folder), encoding="utf-8")
    return page


def test_a_click_on_a_point_shows_its_spectrum_modes_answer_and_neighbours(
    page_with_points: Path, open_page: Callable[..., Page]
) -> None:
    page = open_page(page_with_points)
    page.locator("#fixed-plane").scroll_into_view_if_needed()
    assert "1 stable point, 1 saddle and 1 slow point" in page.locator("#title-fixed-points").inner_text()
    assert page.locator("#fixed-plane .input:not([visibility=hidden]) .point").count() == 3
    page.locator('#fixed-plane .point[data-point="1"] circle').click(force=True)
    settle(page)
    assert page.locator('#fixed-plane .point[data-point="1"]').get_attribute("class").endswith(" on")
    assert page.locator("#fixed-point").input_value() == "1"
    assert page.locator("#fixed-spectrum .out").count() == 1
    says = page.locator("#fixed-says").inner_text()
    assert "saddle, 1 growing, 3 starts" in says and "the head says there" in says and "“<b>trade</b>” 0.6" in says
    assert "<img src=x" in says  # the other input that pushes most, as text
    page.locator("#fixed-says .link").first.click()
    settle(page)
    assert page.evaluate("RR.selection.step !== null && RR.stepIndex(RR.selection.sequence, RR.selection.step)") == 20
    assert page.locator("#fixed-plane .trail.on").count() <= 1


def test_another_input_shows_its_own_points_here_and_on_the_map(
    page_with_points: Path, open_page: Callable[..., Page]
) -> None:
    page = open_page(page_with_points)
    show_plot(page, "map")
    marks = "RR.plots.map.source('map.fixed').data"
    assert page.evaluate(f"{marks}.x.length") == 3
    assert page.locator("#fixed-point option").last.inner_text() == "3: slow point, 1 start"
    assert page.evaluate(f"[...{marks}.marker]") == ["circle", "circle", "x"]
    near = page.evaluate(
        f"Math.hypot({marks}.x[0] - RR.plots.map.source('map.points').data.x[3],"
        f" {marks}.y[0] - RR.plots.map.source('map.points').data.y[3])"
    )
    assert near < 60  # of 2,000: the point is the state of that step
    page.select_option("#fixed-input", "2")
    settle(page)
    assert page.evaluate(f"{marks}.x.length") == 1
    assert page.locator("#title-fixed-points").inner_text().startswith(f"At {INPUTS[2]} the state has 1 stable point")
    mode = page.locator("#fixed-says .modes tbody tr").first.inner_text()
    assert mode.startswith("stays") and "never ends" in mode and page.locator("#fixed-spectrum .out").count() == 0
    page.select_option("#fixed-input", "1")
    settle(page)
    assert "no start comes to rest" in page.locator("#title-fixed-points").inner_text()
    assert page.locator("#fixed-point").is_disabled() and page.locator("#fixed-says").inner_text() == ""


def test_the_exponents_are_drawn_without_scripts_too(page_with_points: Path, open_page: Callable[..., Page]) -> None:
    page = open_page(page_with_points, width=390, scheme="dark")
    assert "die out" in page.locator("#title-lyapunov").inner_text()
    assert page.locator("#figure-lyapunov circle.in").count() == 3
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
