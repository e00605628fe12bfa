"""The training section of a network with two layers: nodes know their layer, and choosing them selects its state."""

import re
from pathlib import Path

import numpy as np
import pytest

from rnnreport.analyses import analyse
from rnnreport.report import render_report
from rnnreport.report.titles import formation_title
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import Dynamics, Formation, NodeStates, Probes
from tests.browser.conftest import settle, show_plot
from tests.browser.test_training import POINTS, middle_of, pixel
from tests.fabricate import deepen, fabricate_run
from tests.small import ROUGH

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFolder:
    folder = deepen(
        fabricate_run(tmp_path_factory.mktemp("deep") / "run", epochs=3, units=12, sequences=40, steps=(3, 6))
    )
    analyse(folder, params=ROUGH)
    return folder


@pytest.fixture(scope="module")
def report(run, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_report(run), encoding="utf-8")
    return path


def test_points_are_coloured_by_layer_in_both_views(open_page, report, run):
    page = open_page(report)
    show_plot(page, "dynamics")
    nodes = run.result(NodeStates)
    wanted = np.tile(nodes.of_unit, len(run.result(Dynamics).plane) // nodes.of_unit.size)
    assert len(nodes.states) == 2
    for view in ("space", "plane"):
        page.select_option("#dynamics-view", view)
        page.select_option("#dynamics-colour", "layer")
        settle(page)
        colours = np.array(page.evaluate(f"[...{POINTS}.color]"))
        assert len({*colours[wanted == 0]}) == len({*colours[wanted == 1]}) == 1 and len({*colours}) == 2
    assert page.locator("#dynamics-legend .key").all_inner_texts() == ["layer 1 (12 units)", "layer 2 (6 units)"]


def test_a_point_of_another_layer_selects_its_state_and_unit(open_page, report, run):
    page = open_page(report)
    show_plot(page, "dynamics")
    page.select_option("#dynamics-view", "plane")
    middle_of(page, "#turn")
    nodes, units = run.result(NodeStates), run.result(Dynamics).units
    assert page.evaluate("RR.description.states[RR.selection.state]") == "lstm, layer 2, hidden state h"
    # a point of the lower layer that no other one is near to
    index = page.evaluate(
        f"""(layerOf) => {{
          const {{ x, y }} = {POINTS}, all = [...x.keys()];
          const alone = (i) => Math.min(...all.map((j) => (j === i ? 1e9 : Math.hypot(x[i] - x[j], y[i] - y[j]))));
          const own = all.filter((i) => layerOf[i % layerOf.length] === 0);
          return own.reduce((best, i) => (alone(i) > alone(best) ? i : best), own[0]);
        }}""",
        nodes.of_unit.tolist(),
    )
    place = index % units.size
    across, down = pixel(page, index)
    page.mouse.move(across - 40, down)
    page.mouse.move(across, down, steps=4)
    assert f"layer 1, unit {units[place]}" in page.locator("#tooltip").inner_text()
    page.mouse.click(across, down)
    page.wait_for_selector("#nodes table")
    settle(page)
    assert page.evaluate("RR.description.states[RR.selection.state]") == "lstm, layer 1, hidden state h"
    assert page.evaluate("RR.selection.units") == [int(units[place])]
    assert page.locator("#nodes tbody th").inner_text() == f"layer 1, unit {units[place]}"
    assert page.locator(f".unit[data-unit='{units[place]}']").first.get_attribute("aria-pressed") == "true"
    lines = page.evaluate("RR.plots.dynamics.source('dynamics.path').data.x.length")
    assert lines == 1  # the unit of this layer alone, though the other one has a unit of this number
    bright = {i % units.size for i, alpha in enumerate(page.evaluate(f"[...{POINTS}.alpha]")) if alpha > 0.2}
    assert bright == {place}


def test_curves_and_probes_are_those_of_the_selected_state(open_page, report, run):
    page = open_page(report)
    shown = "[...document.querySelectorAll('.formed')].filter((node) => !node.hidden).map((node) => node.innerText)"
    first = page.evaluate(shown)
    title = formation_title(run.result(Formation), "layer 2, hidden state h")
    assert page.locator("#title-formation").inner_text() == title
    assert len(first) == 1 and run.result(Formation).finding[:60] in first[0]
    assert "6 units" in first[0] and run.result(Probes).finding in first[0] and "in the picture" in first[0]
    page.select_option("#heats-of", label="spread of the steps of each unit")
    for key in ("lstm.0.fwd.h", "lstm.0.fwd.c"):
        number, kind = run.manifest().state_keys.index(key), key[-1]
        page.select_option("#state", str(number))
        settle(page)
        second = page.evaluate(shown)
        own, read = run.result(Formation, number), run.result(Probes, number)
        assert own.scope == read.scope == key
        title = formation_title(own, f"layer 1, {'cell' if kind == 'c' else 'hidden'} state {kind}")
        assert page.locator("#title-formation").inner_text() == title
        assert len(second) == 1 and own.finding[:60] in second[0] and read.finding in second[0]
        assert "12 units" in second[0]
        # the picture is of hidden states: of the cell state there is the activity alone
        assert ("in the picture" in second[0].split("in the activity itself")[1]) is (kind == "h")
        canvases = page.locator("#heats canvas")
        assert canvases.count() == (2 if kind == "h" else 1)
        assert canvases.first.get_attribute("aria-label").endswith("3 epochs by 12 units")
    page.select_option("#heats-of", label="what can be read at each step")
    canvas = page.locator("#heats canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + box["height"] * 0.1)
    share = 100 * run.result(Probes, run.manifest().state_keys.index("lstm.0.fwd.c")).accuracy[2, 0]
    assert f"step {run.result(Dynamics).steps[0] + 1}" in page.locator("#tooltip").inner_text()
    assert float(re.search(r"([\d.]+)%", page.locator("#tooltip").inner_text())[1]) == pytest.approx(share, abs=0.5)


def test_a_box_over_both_layers_selects_units_of_one(open_page, report, run):
    page = open_page(report)
    show_plot(page, "dynamics")
    page.select_option("#dynamics-view", "plane")
    page.locator("#dynamics-box").check()
    middle_of(page, "#plot-dynamics")
    places = np.array([pixel(page, i) for i in range(0, len(run.result(Dynamics).plane), 7)])
    page.mouse.move(*(places.min(axis=0) - 5))
    page.mouse.down()
    page.mouse.move(*(places.max(axis=0) + 5), steps=5)
    page.mouse.up()
    page.wait_for_selector("#nodes table")
    settle(page)
    names = page.locator("#nodes tbody th").all_inner_texts()
    layer = names[0].split(",")[0]
    assert f"2 units of {layer} with most of them" in page.locator("#nodes .note").inner_text()
    assert page.evaluate("RR.description.states[RR.selection.state]") == f"lstm, {layer}, hidden state h"
    assert [f"{layer}, unit {unit}" for unit in page.evaluate("RR.selection.units")] == [
        name for name in names if name.startswith(layer)
    ][:2]
