"""The report in a real Chromium, from disk, offline, with real mouse and keyboard input."""

import itertools
import re
import shutil

import numpy as np
import pytest

from rnnreport.results.schema import Sequences, Units, Words
from tests.browser.conftest import assert_accessible, chip_colours, settle, show_plot
from tests.fabricate import HOSTILE
from tests.typeset import plain

pytestmark = pytest.mark.browser


def picks(page):
    return page.locator("#bar .pick span").all_inner_texts()


def colours(page, selector):
    return page.eval_on_selector_all(selector, "nodes => nodes.map((node) => getComputedStyle(node).backgroundColor)")


def pixel(page, plot, source, index):
    """Where on the screen a mark of a figure lies."""
    return page.evaluate(
        """([name, source, index]) => {
          const plot = RR.plots[name], data = plot.source(source).data, figure = plot.figure;
          const view = Bokeh.index.roots.find((root) => root.model === figure);
          const box = plot.place.getBoundingClientRect(), inner = view.frame.bbox;
          return [box.left + inner.left + view.frame.x_scale.compute(data.x[index]) - inner.left,
                  box.top + inner.top + view.frame.y_scale.compute(data.y[index]) - inner.top];
        }""",
        [plot, source, index],
    )


def test_hostile_tokens_are_shown_and_do_nothing(open_page, report):
    page = open_page(report)  # which fails if there is a dialog
    assert page.locator("#clusters .word", has_text=HOSTILE[0]).count() == 1
    assert page.locator("main img, main script").count() == 0
    for name in ("response", "boxes", "classes", "distance", "map", "dynamics"):
        show_plot(page, name)


def test_policy_forbids_eval(browser, report):
    page = browser.new_page()
    page.goto(report.absolute().as_uri())
    # From a timer: the driver lifts the ban for its own call stack.
    code = "setTimeout(() => { try { done(String(eval('1'))); } catch (error) { done(error.name); } })"
    assert page.evaluate(f"() => new Promise((done) => {code})") == "EvalError"
    page.close()


def test_clicking_a_word_changes_every_view(open_page, report, run):
    page = open_page(report)
    for name in ("response", "map", "dynamics"):
        show_plot(page, name)
    word = page.locator("#clusters .word").nth(5)
    index, name = int(word.get_attribute("data-word")), word.inner_text()
    before = chip_colours(page), page.evaluate("RR.plots.map.source('map.points').data.alpha.join()")
    dynamics = page.evaluate("RR.plots.dynamics.source('dynamics.points').data.alpha.join()")
    word.click()
    settle(page)
    assert picks(page) == [f"“{name}”"]
    assert name in page.locator("#title-units").inner_text()
    assert chip_colours(page) != before[0]
    assert name in page.locator("#title-response").inner_text()
    count = run.result(Words).counts[index]
    assert f"n = {count}" in plain(page.locator("#note-response").inner_text())
    assert page.evaluate("RR.plots.map.source('map.points').data.alpha.join()") != before[1]
    assert page.evaluate("RR.plots.dynamics.source('dynamics.points').data.alpha.join()") != dynamics
    page.select_option("#table-filter", "word")
    page.locator("#table tbody tr").first.click()
    settle(page)
    same = page.locator("#text .token.same").all_inner_texts()
    assert same and set(same) == {name}


def test_sliders_of_the_units_figure(open_page, report, run):
    page = open_page(report)
    units = run.result(Units, 0)
    links = np.abs(units.links[units.modes.index(units.default_mode), list(units.ks).index(units.default_k)])
    for share in (0.2, 0.6, 1.0):
        page.locator("#link-filter").evaluate(
            "(node, share) => { node.value = share; node.dispatchEvent(new Event('input')); }", share
        )
        expected = int((links >= share * np.nanmax(links) * 0.9999).sum())  # links travel as 16-bit codes
        assert page.locator("#clusters svg.ribbons path").count() == expected > 0
    before = chip_colours(page)
    page.locator("#figure-units .options summary").click()
    page.locator("#clip").focus()
    page.keyboard.press("ArrowLeft")
    assert chip_colours(page) != before


def test_clicking_a_unit_changes_every_view(open_page, report, run):
    page = open_page(report)
    for name in ("boxes", "map", "dynamics"):
        show_plot(page, name)
    unit = page.locator("#clusters .unit").nth(3)
    index = int(unit.get_attribute("data-unit"))
    text, words = colours(page, "#text .token"), page.locator("#clusters .word").nth(2)
    colour = words.evaluate("node => getComputedStyle(node).color")
    unit.click()
    settle(page)
    assert picks(page) == [f"unit {index}"]
    assert unit.get_attribute("aria-pressed") == "true"
    assert f"unit {index}" in page.locator("#title-boxes").inner_text()
    assert words.evaluate("node => getComputedStyle(node).color") != colour
    assert colours(page, "#text .token") != text
    assert page.locator("#map-colour").input_value() == "unit"
    means = page.evaluate("Array.from(RR.plots.boxes.source('boxes').data.mean)")
    response = run.result(Units, 0).response[:, index]
    assert all(min(abs(response - mean)) < 1e-3 for mean in means)


def test_clicking_a_sequence_and_a_token(open_page, report, run):
    page = open_page(report)
    for name in ("classes", "distance", "map"):
        show_plot(page, name)
    sequences = run.result(Sequences)
    page.locator("#table tr[data-q='4']").click()
    settle(page)
    assert picks(page) == [sequences.sequence_ids[4]]
    assert page.locator("#text .token").count() == sequences.lengths[4]
    assert page.evaluate("RR.plots.distance.source('distance').data.x.length") == sequences.lengths[4]
    assert page.evaluate("RR.plots.map.source('map.path').data.x0.length") == sequences.lengths[4] - 1
    page.locator("#text .token").nth(1).click()
    settle(page)
    assert picks(page) == [sequences.sequence_ids[4], "step 2"]
    assert page.locator("#text .token.here").count() == 1
    assert page.evaluate("Array.from(RR.plots.classes.source('classes.here').data.x)") == [1]
    assert page.evaluate("Array.from(RR.plots.distance.source('distance.here').data.x)") == [0, 1]
    assert "step 2" in page.locator("#title-units").inner_text()


def test_clicking_a_dot_of_the_map_selects_its_step(open_page, report, run):
    page = open_page(report)
    show_plot(page, "map")
    page.locator("#plot-map").evaluate("node => node.scrollIntoView({ block: 'center' })")
    settle(page)
    sequences = run.result(Sequences)
    x, y = pixel(page, "map", "map.points", 7)
    page.mouse.move(x, y)
    settle(page)
    assert page.locator("#tooltip").is_visible()
    page.mouse.click(x, y)
    settle(page)
    step = page.evaluate("RR.stepIndex(RR.selection.sequence, RR.selection.step)")
    apart = "([a, b]) => { const { x, y } = RR.plots.map.source('map.points').data; "
    apart += "return Math.hypot(x[a] - x[b], y[a] - y[b]); }"
    assert page.evaluate(apart, [7, step]) < 40  # another dot may lie on top of it
    assert picks(page)[-1] == f"step {page.evaluate('RR.selection.step') + 1}"
    assert page.locator("#text .token").count() == sequences.lengths[page.evaluate("RR.selection.sequence")]


def test_the_six_label_rules(open_page, report, run):
    page = open_page(report)
    show_plot(page, "map")
    page.locator("#figure-map .options summary").click()
    found = run.result(Sequences)
    starts = np.concatenate([[0], np.cumsum(found.lengths)])
    inside = np.setdiff1d(np.arange(starts[-1]), starts[1:] - 1)  # steps that have a next one
    output, now = found.step_output[-1], inside
    jumps = {
        "distance": now[found.distance[now] >= 0.4 * found.largest_distance],
        "output": now[np.abs(output[now] - output[now + 1]).max(axis=1) >= 0.3],
        "change": now[output[now].argmax(axis=1) != output[now + 1].argmax(axis=1)],
    }
    assert all(steps.size for steps in jumps.values())
    for rule, steps in jumps.items():
        for side, expected in (("after", steps + 1), ("before", steps)):
            box = page.locator(f"[data-rule={rule}][data-side={side}]")
            box.check()
            asked = f"RR.labelled(RR.reading, [{{ rule: '{rule}', side: '{side}', threshold: %s }}], 0, {starts[-1]})"
            threshold = {"distance": 0.4, "output": 0.3, "change": 0}[rule]
            labelled = page.evaluate(f"[...({asked % threshold}).keys()]")
            assert (
                abs(len(labelled) - expected.size) <= 1 and len(set(labelled) ^ set(expected.tolist())) <= 2
            )  # 8-bit codes
            assert page.locator("#map-labelled").inner_text().startswith(f"{len(labelled)} labelled")
            box.uncheck()
    assert page.locator("#map-labelled").inner_text() == ""


def test_fading_and_rings(open_page, report, run):
    page = open_page(report)
    show_plot(page, "map")
    page.locator("#figure-map .options summary").click()
    found = run.result(Sequences)
    page.locator("#fade-right").check()
    settle(page)
    alpha = np.array(page.evaluate("Array.from(RR.plots.map.source('map.points').data.alpha)"))
    right = np.repeat(found.predicted == found.labels, found.lengths)
    assert set(np.round(alpha[right], 3)) == {0.12} and set(np.round(alpha[~right], 3)) == {0.8}
    page.locator("#ends").check()
    settle(page)
    assert page.evaluate("RR.plots.map.source('map.rings').data.x.length") == 2 * len(found.lengths)


def test_pointing_at_a_token_marks_it_on_the_map(open_page, report):
    page = open_page(report)
    show_plot(page, "map")
    page.locator("#text .token").nth(2).hover()
    settle(page)
    marked = page.evaluate("[RR.plots.map.source('map.here').data.x.length, RR.pointed]")
    assert marked == [1, 2]
    page.mouse.move(5, 5)
    settle(page)
    assert page.evaluate("RR.plots.map.source('map.here').data.x.length") == 0


def test_the_epoch_is_chosen_by_slider_and_by_curve(open_page, report):
    page = open_page(report)
    for name in ("classes", "curve-loss", "dynamics"):
        show_plot(page, name)
    cells, units = (
        page.evaluate("RR.plots.classes.source('classes').data.color.join()"),
        chip_colours(page),
    )
    page.locator("#epoch").focus()
    page.keyboard.press("Home")
    settle(page)
    assert page.locator("#epoch-name").inner_text().startswith("0 of")
    assert page.evaluate("RR.plots.classes.source('classes').data.color.join()") != cells
    assert page.evaluate("RR.plots['curve-loss'].find('curve-loss.cursor').location") == 0
    assert chip_colours(page) != units
    assert page.locator("#title-units").inner_text().endswith(", at epoch 0")
    show_plot(page, "curve-loss")
    box = page.locator("#plot-curve-loss").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.4)
    settle(page)
    assert page.evaluate("RR.selection.epoch") > 0
    assert page.evaluate("RR.plots.classes.source('classes').data.color.join()") == cells


def test_mm_phate_turns_by_drag_and_by_key(open_page, report):
    page = open_page(report)
    show_plot(page, "dynamics")
    place = "RR.plots.dynamics.source('dynamics.points').data.x.slice(0, 20).join()"
    start = page.evaluate(place)
    page.locator("#turn").evaluate("node => node.scrollIntoView({ block: 'center' })")
    box = page.locator("#turn").bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 120, middle[1] + 30, steps=4)
    page.mouse.up()
    settle(page)
    dragged = page.evaluate(place)
    assert dragged != start
    page.locator("#turn").focus()
    page.keyboard.press("ArrowLeft")
    settle(page)
    assert page.evaluate(place) != dragged
    page.select_option("#dynamics-view", "plane")
    settle(page)
    plane = page.evaluate("[RR.plots.dynamics.source('dynamics.points').data.x[3], RR.arrays['dynamics.plane'][6]]")
    assert plane[0] == pytest.approx(plane[1])


def test_the_link_restores_the_selection(open_page, report):
    page = open_page(report)
    page.locator("#clusters .word").nth(1).click()
    page.locator("#clusters .unit").nth(2).click()
    page.locator("#table tr[data-q='3']").click()
    page.locator("#text .token").nth(0).click()
    page.locator("#epoch").focus()
    page.keyboard.press("Home")
    settle(page)
    chosen = picks(page)
    assert len(chosen) == 4
    again = open_page(report, hash=page.url[page.url.index("#") :])
    settle(again)
    assert picks(again) == chosen
    assert again.locator("#epoch").input_value() == "0"
    for hostile in ("#words=99999&sequence=-1&step=x", "#state=7&k=88&units=1e9", "#lens=<b>&epoch=%00"):
        settle(open_page(report, hash=hostile))


def test_keyboard_steps_through_the_sequences(open_page, report):
    page = open_page(report)
    page.locator("#table tr[data-q='2']").click()
    page.keyboard.press("ArrowDown")
    settle(page)
    assert page.evaluate("RR.selection.sequence") == 3
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    settle(page)
    assert page.evaluate("RR.selection.sequence") == 1
    page.locator("#text .token").nth(1).click()
    for step, sequence in ((None, 1), (None, None)):  # first the step, then its sequence
        page.keyboard.press("Escape")
        settle(page)
        assert page.evaluate("[RR.selection.step, RR.selection.sequence]") == [step, sequence]
    page.locator("#table tr[data-q='0']").click()
    page.keyboard.press("ArrowUp")  # before the first one there is none
    settle(page)
    assert page.evaluate("RR.selection.sequence") is None


def test_a_cell_of_the_confusion_matrix_lists_its_sequences(open_page, report, run):
    page = open_page(report)
    sequences = run.result(Sequences)
    button = page.locator("#confusion button").first
    actual, predicted = int(button.get_attribute("data-actual")), int(button.get_attribute("data-predicted"))
    button.click()
    settle(page)
    expected = ((sequences.labels == actual) & (sequences.predicted == predicted)).sum()
    assert page.locator("#table tr[data-q]").count() == expected


def test_tags_that_were_missed_are_marked_and_found(open_page, rendered):
    run, path = rendered("tagging")
    page = open_page(path)
    found = run.result(Sequences)
    missed = found.step_output[-1].argmax(axis=1) != found.targets
    starts = np.concatenate([[0], np.cumsum(found.lengths)])
    assert page.locator("#text .token.missed").count() == missed[: starts[1]].sum()
    button = page.locator("#confusion td:not(.hit) button").first
    actual, predicted = int(button.get_attribute("data-actual")), int(button.get_attribute("data-predicted"))
    here = (found.targets == actual) & (found.step_output[-1].argmax(axis=1) == predicted)
    button.click()
    settle(page)
    expected = sum(here[a:b].any() for a, b in itertools.pairwise(starts))
    assert page.locator("#table tr[data-q]").count() == expected > 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_accessible_and_as_wide_as_the_window(open_page, report, scheme, width):
    page = open_page(report, scheme=scheme, width=width)
    for name in ("response", "boxes", "classes", "distance", "map", "curve-loss", "dynamics"):
        show_plot(page, name)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    assert_accessible(page)


def test_theme_button(open_page, report):
    page = open_page(report)
    show_plot(page, "map")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("#theme").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != paper
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_without_scripts_the_page_still_speaks(browser, report):
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto(report.absolute().as_uri())
    assert page.locator("#overview h1").is_visible()
    assert page.locator(".static svg").count() >= 2
    assert page.locator(".static svg").first.is_visible()
    assert page.locator("#figure-units .static table").is_visible()
    assert not page.locator("#bar").is_visible()
    context.close()


def test_printed_page_holds_the_static_figures_on_a_few_sheets(open_page, report):
    page = open_page(report, folded=True)
    page.emulate_media(media="print")
    assert page.locator(".static svg").first.is_visible()
    assert not page.locator("#plot-map").is_visible()
    printed = page.pdf(format="A4")
    assert len(printed) > 20_000
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 4
    page.set_viewport_size({"width": 710, "height": 1000})  # the width of a sheet: no table is cut off
    cut = page.locator(".frame table:visible").evaluate_all(
        "tables => tables.filter((one) => one.getBoundingClientRect().right > 712).length"
    )
    assert cut == 0
    said = page.locator("main").inner_text()
    assert "Units and words that respond together" in page.evaluate(
        "getComputedStyle(document.getElementById('title-units'), '::after').content"
    )
    assert not re.findall(r"\b(?:click|drag|slider)\b", said, re.IGNORECASE)  # nothing of this can be done on paper


def test_what_is_asked_for_stands_below_the_selection_in_a_narrow_window(open_page, report):
    page = open_page(report, width=390)
    page.evaluate("RR.set({ units: [1], sequence: 0, step: 1 })")
    settle(page)
    page.evaluate("document.getElementById('figure-map').scrollIntoView()")
    bar = page.locator("#bar").bounding_box()
    assert page.locator("#title-map").bounding_box()["y"] >= bar["y"] + bar["height"]


def test_names_of_curves_are_apart_in_printed_panels(open_page, report):
    page = open_page(report, folded=True)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 710, "height": 1000})
    panels = page.locator(".formed >> nth=0 >> .panel-plot").evaluate_all(
        """panels => panels.map((panel) => [...panel.querySelectorAll(".curve-name")].map((name) => {
          const { left, top, bottom } = name.getBoundingClientRect();
          return { top, bottom, inside: left >= panel.getBoundingClientRect().left - 1 };
        })).filter((names) => names.length > 1)"""
    )
    assert panels
    for names in panels:
        ordered = sorted(names, key=lambda one: one["top"])
        assert all(one["inside"] for one in names)
        assert all(upper["bottom"] <= lower["top"] + 1 for upper, lower in itertools.pairwise(ordered))


def test_in_a_sandboxed_frame(open_page, report, tmp_path):
    shutil.copy(report, tmp_path / "report.html")
    frame = tmp_path / "frame.html"
    frame.write_text(
        "<!doctype html><html data-ready=yes>"
        "<iframe sandbox='allow-scripts' src='report.html' width=1200 height=800></iframe>"
    )
    page = open_page(frame)
    inner = page.frame_locator("iframe")
    inner.locator("html[data-ready=yes]").wait_for(state="attached")
    inner.locator("#clusters .word").first.click()
    assert re.match("“", inner.locator("#bar .pick").first.inner_text())
