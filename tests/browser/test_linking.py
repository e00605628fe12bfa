"""Every view of a sequence points at the same step and leads to it, for every task, under a real mouse."""

import numpy as np
import pytest

from rnnreport.results.schema import Sequences
from tests.browser.conftest import settle, show_plot
from tests.browser.test_tasks import column, starts_of

pytestmark = pytest.mark.browser

# Figures over the steps by task, each with the source of the marks that take the pointer.
MARKS = {"distance": "distance", "classes": "classes", "quantity": "quantity.columns", "channels": "channels.columns"}
MARKS |= {"tops": "tops", "surprisal": "surprisal"}
FIGURES = {
    "classification": {"classes"},
    "classification, series": {"classes", "channels"},
    "multi-label": {"classes"},
    "tagging": {"classes"},
    "regression": {"quantity"},
    "step-regression": {"quantity", "channels"},
    "language-model": {"tops", "surprisal"},
    "unlabelled": set(),
}
Q, STEPS = 5, "nodes => nodes.map((node) => Number(node.dataset.p))"


def spot(page, name, step):
    """Where on the screen a mark of the step lies, inside the figure."""
    page.locator(f"#plot-{name}").evaluate("node => node.scrollIntoView({ block: 'center' })")
    return page.evaluate(
        """([name, source, step]) => {
          const plot = RR.plots[name], data = plot.source(source).data;
          const view = Bokeh.index.roots.find((root) => root.model === plot.figure);
          const at = Array.from(data.x).indexOf(step), box = plot.place.getBoundingClientRect();
          const { x_scale, y_scale, bbox } = view.frame;
          const y = y_scale.compute(data.y ? data.y[at] : (data.top[at] + (data.bottom?.[at] ?? 0)) / 2);
          return [box.left + x_scale.compute(step), box.top + Math.min(bbox.bottom - 3, Math.max(bbox.top + 3, y))];
        }""",
        [name, MARKS[name], step],
    )


@pytest.mark.parametrize("case", FIGURES)
def test_figures_text_map_and_table_are_linked_both_ways(open_page, rendered, case):
    run, path = rendered(case)
    shown = run.result(Sequences)
    page, first = open_page(path), int(starts_of(shown)[Q])
    names = [*FIGURES[case], "distance"]
    assert set(names) == {name for name in MARKS if page.locator(f"#plot-{name}").count()}
    for name in (*names, "map"):
        show_plot(page, name)
    page.locator(f"#table tr[data-q='{Q}']").click()  # the table leads to every view
    settle(page)
    for name in names:
        steps = set(column(page, MARKS[name], "x").astype(int).tolist())
        assert steps == set(range(shown.lengths[Q])), name
    page.locator("#text .token").nth(2).hover()  # the text points in every figure
    settle(page)
    for name in names:
        marked = column(page, f"{name}.here", "x").tolist()
        assert marked == ([1, 2] if name == "distance" else [2]), name
    here = page.evaluate("['x', 'y'].map((axis) => RR.plots.map.source('map.here').data[axis][0])")
    assert here == page.evaluate(f"['x', 'y'].map((axis) => RR.plots.map.source('map.points').data[axis][{first + 2}])")
    for step, name in enumerate(names, start=1):  # every figure points in the text and leads to the step
        place = spot(page, name, step)
        page.mouse.move(*place)
        settle(page)
        assert page.eval_on_selector_all("#text .token.pointed", STEPS) == [first + step], name
        assert f"step {step + 1} of" in page.locator("#tooltip").inner_text(), name
        page.mouse.click(*place)
        settle(page)
        assert page.evaluate("[RR.selection.sequence, RR.selection.step]") == [Q, step], name
        assert page.eval_on_selector_all("#text .token.here", STEPS) == [first + step], name
        for other in names:
            assert step in column(page, f"{other}.here", "x"), (name, other)
        page.mouse.move(2, 2)
    assert page.locator("#table tr[aria-selected=true]").get_attribute("data-q") == str(Q)


@pytest.mark.parametrize("case", FIGURES)
def test_a_dot_of_the_map_leads_to_its_step(open_page, rendered, case):
    run, path = rendered(case)
    shown = run.result(Sequences)
    page = open_page(path)
    show_plot(page, "map")
    xy = np.column_stack([column(page, "map.points", axis) for axis in "xy"])
    apart = np.linalg.norm(xy[:, None] - xy[None], axis=2) + 1e9 * np.eye(len(xy))
    p = int(apart.min(axis=1).argmax())  # the dot that lies furthest from all others
    q = int(np.searchsorted(starts_of(shown), p, side="right")) - 1
    page.locator("#plot-map").evaluate("node => node.scrollIntoView({ block: 'center' })")
    place = page.evaluate(
        """(p) => {
          const plot = RR.plots.map, data = plot.source('map.points').data, box = plot.place.getBoundingClientRect();
          const { x_scale, y_scale } = Bokeh.index.roots.find((root) => root.model === plot.figure).frame;
          return [box.left + x_scale.compute(data.x[p]), box.top + y_scale.compute(data.y[p])];
        }""",
        p,
    )
    page.mouse.move(*place)
    settle(page)
    assert shown.sequence_ids[q] in page.locator("#tooltip").inner_text()
    page.mouse.click(*place)
    settle(page)
    assert page.evaluate("[RR.selection.sequence, RR.selection.step]") == [q, p - starts_of(shown)[q]]
    assert page.eval_on_selector_all("#text .token.here", STEPS) == [p]
    assert page.locator("#table tr[aria-selected=true]").get_attribute("data-q") == str(q)


def test_a_missed_tag_is_framed_in_the_figure_and_underlined_in_the_text(open_page, rendered):
    run, path = rendered("tagging")
    shown = run.result(Sequences)
    page, starts = open_page(path), starts_of(shown)
    show_plot(page, "classes")
    missed = shown.step_output[-1].argmax(axis=1) != shown.targets
    assert 0.05 < missed.mean() < 0.95
    for q in range(4):
        page.locator(f"#table tr[data-q='{q}']").click()
        settle(page)
        steps = np.flatnonzero(missed[starts[q] : starts[q + 1]])
        framed = list(zip(column(page, "classes.missed", "x"), column(page, "classes.missed", "y"), strict=True))
        assert framed == [(t, shown.targets[starts[q] + t] + 1) for t in steps]
        assert page.eval_on_selector_all("#text .token.missed", STEPS) == (starts[q] + steps).tolist()
