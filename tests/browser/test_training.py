"""The training section with a real mouse: curves of the formation, heat maps, and the picture of MM-PHATE."""

import re

import numpy as np
import pytest

from rnnreport.results.schema import ActiveWords, Dynamics, Formation, Pictures, Probes, RawPictures, Words
from tests.browser.conftest import settle, show_plot

pytestmark = pytest.mark.browser

POINTS = "RR.plots.dynamics.source('dynamics.points').data"


def middle_of(page, selector):
    page.locator(selector).evaluate("node => node.scrollIntoView({ block: 'center' })")
    settle(page)
    return page.locator(selector).bounding_box()


def pixel(page, index):
    """Where on the screen a point of the picture lies."""
    return page.evaluate(
        """(index) => {
          const { figure, place } = RR.plots.dynamics, { x, y } = RR.plots.dynamics.source('dynamics.points').data;
          const view = Bokeh.index.roots.find((root) => root.model === figure), box = place.getBoundingClientRect();
          return [box.left + view.frame.x_scale.compute(x[index]), box.top + view.frame.y_scale.compute(y[index])];
        }""",
        index,
    )


def test_clicking_a_curve_selects_the_epoch_and_marks_it_in_every_panel(open_page, report, run):
    page = open_page(report)
    epochs = run.result(Formation).epochs
    box = middle_of(page, ".formed:not([hidden]) [data-panel=similarity] .panel-plot")
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 20)
    place = round(0.5 * (len(epochs) - 1))
    tip = page.locator("#tooltip").inner_text()
    assert f"epoch {epochs[place]}" in tip or f"epoch {epochs[place] + 1}" in tip
    page.mouse.click(box["x"] + 1, box["y"] + 20)
    settle(page)
    assert page.evaluate("RR.epochs()[RR.selection.epoch]") == epochs[0]
    left = page.eval_on_selector_all(".panel .here", "nodes => nodes.map((node) => node.style.left)")
    assert len(left) >= 6 and set(left) == {"0%"}


def test_clicking_a_heat_map_selects_the_unit_and_the_epoch(open_page, report, run):
    page = open_page(report)
    formed = run.result(Formation)
    page.select_option("#heats-of", label="spread of the steps of each unit")
    box = middle_of(page, "#heats .heat:last-child canvas")
    rows, columns = len(formed.units), len(formed.epochs)
    page.mouse.click(box["x"] + box["width"] * 1.5 / columns, box["y"] + box["height"] * 3.5 / rows)
    settle(page)
    assert page.evaluate("RR.selection.units") == [int(formed.units[3])]
    assert page.evaluate("RR.epochs()[RR.selection.epoch]") == formed.epochs[1]


def test_what_can_be_read_is_shown_step_by_step_with_its_control(open_page, report, run):
    page = open_page(report)
    probes = run.result(Probes)
    assert page.locator("#probes-finding").inner_text() == probes.finding
    page.select_option("#heats-of", label="what can be read at each step")
    assert page.locator("#heats canvas").count() == 2
    box = middle_of(page, "#heats .heat:first-child canvas")
    rows, columns = len(probes.steps), len(probes.epochs)
    page.mouse.move(box["x"] + box["width"] * 2.5 / columns, box["y"] + box["height"] * 0.5 / rows)
    tip = page.locator("#tooltip").inner_text()
    assert f"epoch {probes.epochs[2]}, step {probes.steps[0] + 1}" in tip
    shown = float(re.search(r"([\d.]+)% of", tip)[1]), float(re.search(r"labels ([\d.]+)%", tip)[1])
    assert shown == pytest.approx((100 * probes.accuracy[2, 0], 100 * probes.control[2, 0]), abs=0.5)
    box = middle_of(page, ".formed:not([hidden]) [data-panel=read] .panel-plot")
    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 20)
    tip = page.locator("#tooltip").inner_text()
    assert float(re.search(r"other sequences ([\d.]+)", tip)[1]) == pytest.approx(probes.mean[0, -1], rel=0.01)
    assert float(re.search(r"shuffled labels ([\d.]+)", tip)[1]) == pytest.approx(probes.control[-1].mean(), rel=0.01)


def test_clicking_a_point_selects_its_unit_epoch_and_step(open_page, report, run):
    page = open_page(report)
    show_plot(page, "dynamics")
    middle_of(page, "#turn")
    found = run.result(Dynamics)
    steps, units = len(found.steps), len(found.units)
    # the point furthest right has no neighbour in front of it
    index = page.evaluate(f"(() => {{ const x = [...{POINTS}.x]; return x.indexOf(Math.max(...x)); }})()")
    page.mouse.click(*pixel(page, index))
    settle(page)
    chosen = page.evaluate("RR.selection")
    near = page.evaluate(
        """(index) => {
          const { x, y } = RR.plots.dynamics.source('dynamics.points').data;
          return [...x.keys()].filter((i) => Math.hypot(x[i] - x[index], y[i] - y[index]) < 25);
        }""",
        index,
    )
    nodes = {(i // (steps * units), i // units % steps, i % units) for i in near}
    assert (
        chosen["epoch"],
        found.steps.tolist().index(chosen["step"]),
        found.units.tolist().index(chosen["units"][0]),
    ) in nodes
    assert chosen["sequence"] is not None
    lines = page.evaluate("RR.plots.dynamics.source('dynamics.path').data.x.map((line) => line.length)")
    assert lines == [len(found.epochs)]
    page.locator("#dynamics-paths").uncheck()
    settle(page)
    assert page.evaluate("RR.plots.dynamics.source('dynamics.path').data.x.length") == 0


def test_playing_the_epochs_moves_nothing_but_what_is_shown(open_page, report, run):
    page = open_page(report)
    show_plot(page, "dynamics")
    found = run.result(Dynamics)
    each = len(found.steps) * len(found.units)
    places = page.evaluate(f"[...{POINTS}.x]")
    # which epochs are to be seen, after each that the page announces
    page.evaluate(
        f"""(each) => {{
          window.seen = [];
          RR.on(['epoch'], () => window.seen.push([...new Set([...{POINTS}.alpha.keys()]
            .filter((i) => {POINTS}.alpha[i] > 0.1).map((i) => Math.floor(i / each)))]));
        }}""",
        each,
    )
    page.locator("#dynamics-play").click()
    page.wait_for_selector("#dynamics-play[aria-pressed=false]", timeout=60_000)
    settle(page)
    assert page.evaluate("window.seen") == [[place] for place in range(len(found.epochs))]
    assert page.evaluate(f"[...{POINTS}.x]") == places


def test_the_slider_shows_every_embedded_epoch_also_where_the_page_can_select_fewer(open_page, report, run):
    page = open_page(report)
    show_plot(page, "dynamics")
    epochs = run.result(Dynamics).epochs.tolist()
    each = len(run.result(Dynamics).plane) // len(epochs)
    page.evaluate(
        "([first, last]) => { RR.epochs = () => [first, last]; RR.set({ epoch: 1 }); }", [epochs[0], epochs[-1]]
    )
    middle_of(page, "#turn")
    slider = page.locator("#dynamics-scrub")
    slider.focus()
    for place in range(len(epochs) - 2, -1, -1):
        page.keyboard.press("ArrowLeft")
        settle(page)
        seen = f"[...{POINTS}.alpha.keys()].filter((i) => {POINTS}.alpha[i] > 0.1).map((i) => Math.floor(i / {each}))"
        assert page.evaluate(f"[...new Set({seen})]") == [place]
        assert page.locator("#dynamics-epoch").inner_text() == f"epoch {epochs[place]}"
    assert page.evaluate("RR.selection.epoch") == 0
    page.evaluate("RR.set({ epoch: 1 })")  # chosen elsewhere: it is followed here
    settle(page)
    assert slider.input_value() == str(len(epochs) - 1)


def test_presets_and_colours(open_page, report, run):
    page = open_page(report)
    show_plot(page, "dynamics")
    found = run.result(Dynamics)
    middle_of(page, "#turn")
    space = page.evaluate("[...RR.arrays['dynamics.space']]")
    for name, axis, sign in (("front", 0, 1), ("side", 2, 1), ("top", 0, 1)):
        page.locator(f"[data-turn={name}]").click()
        settle(page)
        x = page.evaluate(f"[...{POINTS}.x].slice(0, 9)")
        np.testing.assert_allclose(x, sign * np.array(space[axis:27:3]), atol=1e-2)
    seen = set()
    for value in ("epoch", "step", "unit", "community", "active", "group"):
        page.select_option("#dynamics-colour", value)
        settle(page)
        seen.add(page.evaluate(f"{POINTS}.color.join()"))
        assert page.locator("#dynamics-legend .key").count() > 0
    assert len(seen) == 6
    groups = set(run.result(ActiveWords).groups.tolist())
    assert len(set(page.evaluate(f"{POINTS}.color"))) == len(groups) == page.locator("#dynamics-legend .key").count()
    page.select_option("#dynamics-colour", "active")
    settle(page)
    active = page.evaluate(f"{POINTS}.color")
    assert len(set(active)) == len(np.unique(found.active))


def test_a_box_lists_its_points_and_selects_their_units_and_steps(open_page, report, run):
    page = open_page(report)
    show_plot(page, "dynamics")
    page.select_option("#dynamics-view", "plane")
    page.locator("#dynamics-box").check()
    box = middle_of(page, "#plot-dynamics")
    found, words = run.result(Dynamics), run.result(Words)
    steps, units = len(found.steps), len(found.units)
    index = page.evaluate(f"(() => {{ const x = [...{POINTS}.x]; return x.indexOf(Math.max(...x)); }})()")
    across, down = pixel(page, index)
    left, top = max(box["x"] + 2, across - 200), max(box["y"] + 2, down - 150)
    inside = [
        i
        for i, (x, y) in enumerate(pixel(page, i) for i in range(len(found.plane)))
        if left < x < across + 5 and top < y < down + 5
    ]
    assert len(inside) > 1
    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move(across + 5, down + 5, steps=5)
    page.mouse.up()
    page.wait_for_selector("#nodes table")
    settle(page)
    assert page.locator("#nodes .note").inner_text().startswith(f"{len(inside)} points of")
    shown = [float(value) > 0.5 for value in page.evaluate(f"[...{POINTS}.alpha]")]
    assert [i for i, bright in enumerate(shown) if bright] == inside
    counts = {}
    for i in inside:
        counts.setdefault(int(found.units[i % units]), []).append(i)
    ordered = sorted(counts, key=lambda unit: (-len(counts[unit]), unit))
    assert page.evaluate("RR.selection.units") == ordered[:2]
    first = page.locator("#nodes tbody tr").first.locator("td").all_inner_texts()
    assert first[0] == str(len(counts[ordered[0]]))
    answers = run.result(ActiveWords).words[counts[ordered[0]]]
    named = first[-1].split(" (")[0]
    assert named in words.names and words.names.index(named) in answers
    at = sorted({int(found.steps[i // units % steps]) for i in inside})
    sequence, step = page.evaluate("[RR.selection.sequence, RR.selection.step]")
    assert step in at
    lengths = page.evaluate("[...RR.arrays['sequences.lengths']]")
    marked = page.eval_on_selector_all(
        "#text .token", "all => all.flatMap((t, i) => t.classList.contains('brushed') ? [i] : [])"
    )
    assert marked == [step for step in at if step < lengths[sequence]]
    page.locator("#nodes .link", has_text="Close").click()
    settle(page)
    assert page.locator("#nodes table").count() == 0 and page.locator("#text .brushed").count() == 0


def test_the_raw_pictures_take_the_place_of_the_standardised_ones(open_page, report, run):
    page = open_page(report)
    show_plot(page, "dynamics")
    titles = "[...document.querySelectorAll('#pictures h4')].map((node) => node.textContent)"
    drawn = "[...document.querySelectorAll('#pictures canvas')].map((canvas) => canvas.toDataURL())"
    before = dict(zip(page.evaluate(titles), page.evaluate(drawn), strict=True))
    page.select_option("#pictures-input", "rawPictures")
    settle(page)
    after = dict(zip(page.evaluate(titles), page.evaluate(drawn), strict=True))
    assert list(after) == ["MM-PHATE", *run.result(RawPictures).methods]
    assert after["MM-PHATE"] == before["MM-PHATE"] and after["PCA"] != before["PCA"]
    rows = page.locator("#figure-pictures tbody tr").all_inner_texts()
    assert sum("as it is" in row for row in rows) == len(run.result(RawPictures).methods)


@pytest.mark.parametrize("width", [1440, 390])
def test_the_picture_has_true_proportions(open_page, report, width):
    page = open_page(report, width=width)
    show_plot(page, "dynamics")
    across, down = page.evaluate(
        """() => {
          const { figure } = RR.plots.dynamics;
          const { x_scale, y_scale } = Bokeh.index.roots.find((root) => root.model === figure).frame;
          return [x_scale, y_scale].map((scale) => Math.abs(scale.compute(1000) - scale.compute(0)));
        }"""
    )
    assert across == pytest.approx(down, rel=0.02)


def test_the_other_pictures_take_the_colours_of_the_first(open_page, report, run):
    page = open_page(report)
    show_plot(page, "dynamics")
    drawn = "[...document.querySelectorAll('#pictures canvas')].map((canvas) => canvas.toDataURL())"
    empty = "(() => { const canvas = document.createElement('canvas'); canvas.width = canvas.height = 520; "
    empty += "return canvas.toDataURL(); })()"
    before = page.evaluate(drawn)
    assert len(before) == len(run.result(Pictures).methods) and page.evaluate(empty) not in before
    page.select_option("#dynamics-colour", "community")
    settle(page)
    assert all(old != new for old, new in zip(before, page.evaluate(drawn), strict=True))
    assert page.locator("#figure-pictures tbody tr").count() == len(before) + len(run.result(RawPictures).methods)
