"""The steps that a network needs, as bars: what they say, and what a click selects."""

import shutil

import numpy as np
import pytest

from rnnreport.analyses.ablation import left_out_steps
from rnnreport.analyses.bootstrap import BootstrapParams
from rnnreport.report import render_report
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Ablation
from rnnreport.results.schema import LeftOutSteps
from tests.browser.conftest import settle

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def cut_report(run, tmp_path_factory):
    """The page of a run whose classifier knows nothing without the second of three steps."""
    folder = RunFolder(tmp_path_factory.mktemp("cut") / "run")
    shutil.copytree(run.path, folder.path)
    probe, epoch = folder.probe(), folder.epochs()[-1]
    places = np.flatnonzero(probe.lengths >= 3).astype(np.int32)
    output = folder.checkpoint(epoch).model_output[places]
    own = output[np.arange(places.size), probe.labels[places]]
    loss = np.tile(-np.log(own), (2, 3, 1)).astype(np.float32)
    right = np.tile(output.argmax(axis=1) == probe.labels[places], (2, 3, 1)).astype(np.float32)
    loss[1, 1], right[1, 1] = np.log(output.shape[1]), 0
    items = np.ones((3, places.size), np.int32)
    folder.write_record(Ablation(epoch, places, np.arange(4, dtype=np.int32), items, loss, right, ""))
    result = left_out_steps(folder, probe, BootstrapParams())
    assert isinstance(result, LeftOutSteps)
    folder.write_result(result)
    path = folder.path / "report.html"
    path.write_text(render_report(folder), encoding="utf-8")
    return path, result


def test_bars_say_their_numbers_and_select_their_step(open_page, cut_report):
    path, found = cut_report
    page = open_page(path)
    figure = page.locator("#figure-left-out")
    figure.scroll_into_view_if_needed()
    assert figure.locator(".finding").inner_text() == found.finding and "step 2" in found.finding
    bars = page.locator("#left-out .panel").first.locator("g")
    assert bars.count() == 3
    box = bars.nth(1).bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tip = page.locator("#tooltip").inner_text()
    assert tip.startswith("without step 2: ") and f"{100 * found.drop[0, 1]:.1f}%" in tip
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    settle(page)
    assert page.evaluate("[RR.selection.step, RR.selection.lens]") == [1, "step"]
    heights = [node.bounding_box()["height"] for node in page.locator("#left-out .panel").first.locator(".bar").all()]
    assert heights[1] > 10 and heights[0] == heights[2] == 0


def test_the_bars_fit_a_phone(open_page, cut_report):
    page = open_page(cut_report[0], width=390)
    page.locator("#figure-left-out").scroll_into_view_if_needed()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_run_without_it_says_why(open_page, report):
    page = open_page(report)
    assert "Not shown: it was not recorded" in page.locator("#figure-left-out").inner_text()
