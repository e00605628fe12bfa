"""Units and words in a real Chromium: weightings, chips, clouds, links."""

import re

import numpy as np
import pytest

from rnnreport.analyses import analyse
from rnnreport.report import render_report
from rnnreport.results.recorded import Gates
from rnnreport.results.schema import WEIGHTINGS, Sequences, UnitMap, Units, Words
from tests.browser.conftest import chip_colours, settle, show_figure, show_plot
from tests.fabricate import fabricate_run
from tests.small import ROUGH
from tests.typeset import plain

pytestmark = pytest.mark.browser


def pixel(page, plot, source, index):
    """Where on the screen a mark of a figure lies."""
    return page.evaluate(
        """([name, source, index]) => {
          const plot = RR.plots[name], data = plot.source(source).data, box = plot.place.getBoundingClientRect();
          const { frame } = Bokeh.index.roots.find((root) => root.model === plot.figure);
          return [box.left + frame.x_scale.compute(data.x[index]), box.top + frame.y_scale.compute(data.y[index])];
        }""",
        [plot, source, index],
    )


def shown(page, kind, attribute):
    """Cluster label to its units or words, as drawn."""
    while page.locator("#clusters .more").count():
        page.locator("#clusters .more").first.click()
    drawn = page.eval_on_selector_all(
        f"#clusters .{kind}",
        """(boxes, name) => boxes.map((box) => [
          Number(box.dataset.label),
          [...box.querySelectorAll(`[${name}]`)].map((node) => Number(node.getAttribute(name))),
        ])""",
        attribute,
    )
    return {label: set(items) for label, items in drawn}


def members(labels):
    return {label: set(np.flatnonzero(labels == label)) for label in range(labels.max() + 1)}


def test_every_weighting_and_k_shows_its_clusters_and_every_unit_and_word_once(open_page, report, run):
    page = open_page(report)
    units = run.result(Units, 0)
    assert page.locator("#mode").input_value() == str(units.modes.index(units.default_mode))
    for m in range(len(units.modes)):
        page.select_option("#mode", str(m))
        for i, k in enumerate(units.ks):
            page.select_option("#k", str(i))
            settle(page)
            chips, clouds = shown(page, "chip", "data-unit"), shown(page, "cloud", "data-word")
            everyone = [item for side in (chips, clouds) for label in side for item in side[label]]
            assert len(everyone) == units.response.shape[0] + units.response.shape[1]
            if np.isnan(units.cut[m, i]):
                assert "cannot be divided" in page.locator("#note-units").inner_text()
                continue
            assert {label: found for label, found in chips.items() if label >= 0} == {
                label: members(units.unit_labels[m, i]).get(label, set()) for label in range(k)
            }
            assert {label: found for label, found in clouds.items() if label >= 0} == {
                label: members(units.word_labels[m, i]).get(label, set()) for label in range(k)
            }
            sizes = [len(found) for label, found in sorted(chips.items()) if label >= 0]
            assert sizes == sorted(sizes)
            assert f"ARI {units.stability[m, i]:.2f}" in page.locator("#note-units").inner_text()
    assert WEIGHTINGS[units.modes[-1]] in page.locator("#mode option:checked").inner_text()


def test_weighting_and_k_are_in_the_link_and_come_back(open_page, report, run):
    page = open_page(report)
    units = run.result(Units, 0)
    page.select_option("#mode", str(units.modes.index("abs")))
    page.select_option("#k", "1")
    settle(page)
    again = open_page(report, hash=page.evaluate("location.hash"))
    assert again.locator("#mode").input_value() == str(units.modes.index("abs"))
    assert shown(again, "chip", "data-unit") == shown(page, "chip", "data-unit")
    assert open_page(report, hash="#mode=77&k=99").locator("#clusters .chip").count() > 1


def test_widest_link_slider(open_page, report, run):
    page = open_page(report)
    units = run.result(Units, 0)
    place = units.modes.index(units.default_mode), list(units.ks).index(units.default_k)
    page.locator("#link-filter").evaluate("node => { node.value = 0; node.dispatchEvent(new Event('input')); }")
    widths = "nodes => nodes.map((node) => Number(node.getAttribute('stroke-width'))).sort((a, b) => a - b)"
    page.locator("#figure-units .options summary").click()
    page.locator("#stroke").focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    drawn = page.eval_on_selector_all("#clusters svg.ribbons path", widths)
    links = np.sort(np.abs(units.links[place][np.isfinite(units.links[place])]))
    np.testing.assert_allclose(drawn, np.maximum(0.5, 20 * links / links[-1]), atol=0.06)


def test_the_links_of_the_chip_under_the_pointer_stand_out(open_page, report):
    page = open_page(report)
    chip = int(page.locator("#clusters svg.ribbons path").first.get_attribute("data-chip"))

    def bright():
        paths = page.locator("#clusters svg.ribbons path").all()
        return {
            int(path.get_attribute("data-chip")) for path in paths if path.get_attribute("stroke-opacity") == "0.42"
        }

    everything = bright()
    assert len(everything) > 1
    page.locator(f"#clusters .chip[data-label='{chip}'] header").hover()
    assert bright() == {chip}
    linked = page.locator("#clusters .cloud.linked").count()
    assert linked == page.locator(f"#clusters svg.ribbons path[data-chip='{chip}']").count()
    page.mouse.move(2, 2)
    assert bright() == everything
    page.locator(f"#clusters .chip[data-label='{chip}'] header button").click()
    page.mouse.move(2, 2)
    settle(page)
    paths = page.locator("#clusters svg.ribbons path[stroke-opacity='0.42']").all()
    assert all(str(chip) in (path.get_attribute("data-chip"), path.get_attribute("data-cloud")) for path in paths)


@pytest.mark.parametrize("align", ["width", "height"])
def test_every_square_is_painted_in_the_colour_of_its_unit(open_page, report, run, align):
    page = open_page(report)
    page.locator("#figure-units .options summary").click()
    page.select_option("#align", align)
    word = page.locator("#clusters .word").nth(5)
    word.click()
    settle(page)
    response = run.result(Units, 0).response[int(word.get_attribute("data-word"))]
    found = {unit: colour for unit, *colour in chip_colours(page)}
    assert set(found) == set(range(response.size))
    for unit, value in enumerate(response):
        red, _, blue, opaque = found[unit]
        assert opaque == 255
        if abs(value) > 0.05 * np.abs(response).max():
            assert (red > blue) == (value > 0)  # orange up, blue down


def test_a_chip_is_one_stop_of_the_tabulator_and_arrows_lead_from_unit_to_unit(open_page, report):
    page = open_page(report)
    chips = page.locator("#clusters .squares:has(.unit)")
    assert page.locator("#clusters .unit[tabindex='0']").count() == chips.count()
    largest = max(chips.all(), key=lambda chip: chip.locator(".unit").count())
    units = [unit.get_attribute("data-unit") for unit in largest.locator(".unit").all()]
    focused = "document.activeElement.dataset.unit"
    largest.locator(".unit").first.focus()
    visited = [page.evaluate(focused)]
    for key in ("ArrowLeft", "ArrowRight", "End", "ArrowRight", "Home"):
        page.keyboard.press(key)
        visited.append(page.evaluate(focused))
    assert visited == [units[0], units[0], units[1], units[-1], units[-1], units[0]]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    settle(page)
    assert page.evaluate("RR.selection.units") == [int(units[1])]
    assert page.evaluate(focused) == units[1]
    assert largest.locator(".unit").nth(1).get_attribute("aria-pressed") == "true"
    # So narrow that each unit has a row: the picture and the arrows follow.
    page.add_style_tag(content="#clusters { width: 95%; } #clusters .squares { width: 18px; }")
    settle(page)
    places = largest.locator(".unit").evaluate_all("nodes => nodes.map((node) => [node.offsetLeft, node.offsetTop])")
    below = next(i for i, (x, y) in enumerate(places) if y > places[0][1] and x == places[0][0])
    largest.locator(".unit").first.focus()
    for key, place in (("ArrowDown", below), ("ArrowUp", 0), ("ArrowUp", 0)):
        page.keyboard.press(key)
        assert page.evaluate(focused) == units[place]
    assert {colour[-1] for colour in chip_colours(page)} == {255}


def test_chips_of_equal_height(open_page, report):
    page = open_page(report)
    tall = "nodes => new Set(nodes.map((node) => node.clientHeight)).size"
    page.locator("#figure-units .options summary").click()
    page.select_option("#align", "height")
    assert page.eval_on_selector_all("#clusters .squares", tall) == 1


def test_a_click_on_a_step_colours_the_units_by_their_state(open_page, report, run):
    page = open_page(report)
    page.locator("#text .token").nth(1).click()
    settle(page)
    found = page.evaluate("Array.from(RR.stateAt(RR.stepIndex(RR.selection.sequence, 1)))")
    units, first = run.result(Units, 0), run.result(Sequences).lengths[0]
    assert first > 1
    spans = np.ptp(units.activation, axis=0)
    assert (np.abs(np.array(found) - units.activation[1]) <= spans / 254 / 2 * 1.01 + 1e-6).all()


def test_a_dot_of_the_map_of_units_selects_its_unit_and_back(open_page, report):
    page = open_page(report)
    show_plot(page, "unitmap")
    page.locator("#plot-unitmap").evaluate("node => node.scrollIntoView({ block: 'center' })")
    settle(page)
    x, y = pixel(page, "unitmap", "unitmap.points", 3)
    page.mouse.click(x, y)
    settle(page)
    assert page.evaluate("RR.selection.units") == [3]
    assert page.locator("#clusters .unit[data-unit='3']").get_attribute("aria-pressed") == "true"
    page.locator("#clusters .unit[data-unit='5']").click()
    settle(page)
    rings = page.evaluate("RR.plots.unitmap.source('unitmap.rings').data.x")
    points = page.evaluate("Array.from(RR.plots.unitmap.source('unitmap.points').data.x)")
    assert rings == [points[3], points[5]]
    assert "trustworthiness" in page.locator("#note-unitmap").inner_text()


@pytest.mark.parametrize("width", [1440, 390])
def test_the_map_of_units_keeps_its_proportions_and_names_them(open_page, report, run, width):
    page = open_page(report, width=width)
    show_plot(page, "unitmap")
    settle(page)
    drawn = page.evaluate(
        """() => {
          const { figure, place, source } = RR.plots.unitmap, { x, y } = source("unitmap.points").data;
          const { start, end } = figure.x_range, { start: low, end: high } = figure.y_range;
          const inside = x.every((a) => a > start && a < end) && y.every((b) => b > low && b < high);
          return { x: [...x], y: [...y], across: (end - start) / place.clientWidth, tall: (high - low) / 350, inside,
                   names: [...source("unitmap.names").data.text] };
        }"""
    )
    assert drawn["across"] == pytest.approx(drawn["tall"]) and drawn["inside"]
    places, found = run.result(UnitMap, 0).coordinates.astype(np.float64), np.stack([drawn["x"], drawn["y"]], axis=1)

    def distances(points):
        return np.linalg.norm(points[:, None] - points, axis=2) / np.linalg.norm(points[0] - points[1])

    np.testing.assert_allclose(distances(found), distances(places), atol=0.02)  # at most turned, as 12-bit codes
    assert sorted(drawn["names"], key=int) == [str(unit) for unit in range(len(places))]


def test_names_on_the_map_of_units_cover_neither_marks_nor_each_other(open_page, report):
    page = open_page(report, width=390)
    marks = np.random.default_rng(0).uniform(0, 200, (90, 2))
    placed = page.evaluate("(marks) => RR.placeNames(marks, [...marks.keys()])", marks.tolist())
    assert 45 <= len(placed) < 90  # some have no room
    pen = "Object.assign(new OffscreenCanvas(9, 9).getContext('2d'), { font: '10px sans-serif' })"
    widths = page.evaluate(f"((pen) => Array.from({{ length: 90 }}, (_, at) => pen.measureText(at).width))({pen})")
    boxes = [[x - 5, y - 5, x + 5, y + 5] for x, y in marks]
    for one in placed:
        (x, y), wide = marks[one["at"]], widths[one["at"]]
        left = x + one["dx"] - {"left": 0, "center": wide / 2, "right": wide}[one["align"]]
        boxes.append([left, y + one["dy"] - 4, left + wide, y + one["dy"] + 4])
    for place, box in enumerate(boxes[90:], start=90):
        other = np.array(boxes[:place])
        apart = (box[0] >= other[:, 2]) | (other[:, 0] >= box[2]) | (box[1] >= other[:, 3]) | (other[:, 1] >= box[3])
        assert apart.all()


def test_clusters_whose_hues_repeat_have_marks_of_another_form(open_page, report, run):
    page = open_page(report)
    show_plot(page, "unitmap")
    mode, k = np.argwhere(run.result(Units, 0).unit_labels.max(axis=2) >= 10)[0].tolist()
    page.evaluate("([mode, k]) => RR.set({ mode, k })", [mode, k])
    settle(page)
    colours, marks = (
        page.evaluate(f"[...RR.plots.unitmap.source('unitmap.points').data.{name}]") for name in ("color", "marker")
    )
    labels = page.evaluate("[...RR.row(RR.unitsOf().array('unitLabels'), RR.kPlace())]")
    assert max(labels) >= 10
    looks = {(mark, colour) for mark, colour, label in zip(marks, colours, labels, strict=True) if label >= 0}
    assert len(looks) == len(set(labels) - {-1})
    assert {mark for mark, label in zip(marks, labels, strict=True) if label >= 10} == {"square"}
    assert "■" in page.locator("#unitmap-legend").inner_text()


def test_two_units_side_by_side_with_their_strongest_words_as_text(open_page, report, run):
    page = open_page(report)
    show_plot(page, "boxes")
    for unit in (2, 6):
        page.locator(f"#clusters .unit[data-unit='{unit}']").click()
        settle(page)
    units, words = run.result(Units, 0), run.result(Words)
    often = np.flatnonzero(words.counts >= 10)
    often = often if often.size >= 4 else np.arange(words.counts.size)  # too few: all of them, and the note says so
    means = np.array(page.evaluate("Array.from(RR.plots.boxes.source('boxes').data.mean)"))
    expected = []
    for unit in (2, 6):
        order = often[np.argsort(units.response[often, unit], kind="stable")]
        shown = order if order.size <= 8 else np.r_[order[:4], order[-4:]]
        expected.extend(units.response[shown, unit])
    np.testing.assert_allclose(means, expected, atol=1e-3)
    strongest = often[np.abs(units.response[often, 6]).argmax()]
    assert f"Unit 6, largest responses: {words.names[strongest]} " in plain(page.locator("#strongest").inner_text())


def test_confidence_bands_and_flagged_words(open_page, report, run):
    units, words = run.result(Units, 0), run.result(Words)
    rare = int(np.flatnonzero(words.counts < 10)[0])
    often = int(np.argmax(words.counts))
    page = open_page(report, hash=f"#words={often}+{rare}&lens=word")
    show_plot(page, "response")
    note = plain(page.locator("#note-response").inner_text())
    assert f"n = {words.counts[rare]}, fewer than 10" in note and "200 draws" in note
    band = page.evaluate("""() => {
      const { sure_low, sure_high } = RR.plots.response.source('response.band-0').data;
      return Array.from(sure_high, (high, i) => high - sure_low[i]);
    }""")
    order = np.argsort(units.response[often], kind="stable")
    expected = 2 * 1.96 * units.standard_error[often][order]
    coarse = np.nanmax(units.standard_error) / 124  # they travel as 6-bit codes
    np.testing.assert_allclose(band, expected, atol=2 * 1.96 * coarse)
    assert "rare" in page.locator(f"#clusters .word[data-word='{rare}']").get_attribute("class")


def test_words_of_a_tagged_corpus_are_coloured_by_their_tag(open_page, rendered):
    run, path = rendered("tagging")
    page = open_page(path)
    words = run.result(Words)
    word = page.locator("#clusters .word").first
    assert "tagged" not in word.get_attribute("class")
    page.locator("#tags").check()
    assert "tagged" in word.get_attribute("class")
    unsure = {int(node.get_attribute("data-word")) for node in page.locator("#clusters .word.unsure").all()}
    drawn = {int(node.get_attribute("data-word")) for node in page.locator("#clusters .word").all()}
    assert unsure == {index for index in drawn if words.tag_share[index] <= 0.6}
    tag = words.tag_names[words.tags[int(word.get_attribute("data-word"))]]
    assert tag in page.locator("#units-legend").inner_text()


def test_gates_are_chosen_like_states_and_large_ones_are_left_out_with_a_note(open_page, tmp_path, monkeypatch):
    run = fabricate_run(tmp_path / "run", epochs=2, sequences=20, units=6, steps=(3, 7))
    gate = (0.5 + 0.5 * run.checkpoint(1).states["lstm.0.fwd.h"]).astype(np.float32)
    run.write_record(Gates(1, {"lstm.0.fwd.f": gate}))
    analyse(run, params=ROUGH)
    path = tmp_path / "report.html"
    path.write_text(render_report(run), encoding="utf-8")
    page = open_page(path)
    page.select_option("#state", "2")
    settle(page)
    for name in ("response", "boxes", "unitmap"):
        show_plot(page, name)
    assert "gate f" in page.locator("#note-units").inner_text()
    assert "of a gate: its value; bands" in page.locator("#note-response").inner_text()
    assert page.evaluate("RR.plots.response.figure.left[0].axis_label") == "value of the gate"
    word = int(page.locator("#clusters .word").first.get_attribute("data-word"))
    page.locator("#clusters .word").first.click()
    settle(page)
    drawn = page.evaluate("Array.from(RR.plots.response.source('response.line-0').data.y)")
    np.testing.assert_allclose(drawn, np.sort(run.result(Units, 2).response[word]), atol=1e-3)
    order = np.argsort(run.result(Units, 2).response[word], kind="stable")
    high = page.evaluate("Array.from(RR.plots.response.source('response.band-0').data.outer_high)")
    np.testing.assert_allclose(high, run.result(Units, 2).bands[3, word][order], atol=0.05)  # travel in 6 bits
    page.locator("#sentence").scroll_into_view_if_needed()
    settle(page)
    glyphs = page.locator("#sentence .glyph")
    step = int(glyphs.nth(1).get_attribute("data-p"))
    carried = page.evaluate("(p) => Array.from(RR.stateAt(p))", step)
    np.testing.assert_allclose(carried, run.result(Units, 2).activation[step], atol=0.02)
    glyphs.nth(1).click()
    settle(page)
    assert "gate" in page.locator("#note-sentence").inner_text()
    once = page.evaluate("Array.from(RR.plots.response.source('response.once').data.y)")
    np.testing.assert_allclose(np.sort(once), np.sort(carried), atol=1e-6)  # of a gate its value, not its change
    page.evaluate("RR.set({ sequence: 3, step: 1 })")
    show_figure(page, "pattern")
    values = np.array(page.evaluate("Array.from(RR.stateAt(RR.stepIndex(3, 1)))"))
    threshold = 0.3 * page.evaluate("RR.unitsOf().activationClip")
    on = {int(chip.get_attribute("data-unit")) for chip in page.locator("#pattern .on-unit").all()}
    assert on == set(np.flatnonzero(values > threshold)) and on
    assert "gate f" in page.locator("#note-pattern").inner_text()
    show_figure(page, "similar")
    assert "choose one of these" in page.locator("#similar").inner_text()
    monkeypatch.setattr("rnnreport.report.packing.units._MOST_SPREAD", 10)
    monkeypatch.setattr("rnnreport.report.packing.units._MOST_GATES", 10)
    path.write_text(render_report(run), encoding="utf-8")
    page = open_page(path)
    page.select_option("#state", "2")
    show_plot(page, "response")
    assert "its spread would make this page too large" in page.locator("#note-response").inner_text()
    page.locator("#sentence").scroll_into_view_if_needed()
    settle(page)
    assert page.locator("#sentence .glyph").count()  # one sequence is carried however little room there is
    monkeypatch.setattr("rnnreport.report.gather._MOST_GATES", 10)
    path.write_text(render_report(run), encoding="utf-8")
    page = open_page(path)
    assert page.locator("#state option").count() == 2
    assert "The 1 gates are analysed" in page.locator("#figure-units").inner_text()


def test_a_page_of_characters_says_nowhere_word(open_page, root):
    page = open_page(root / "sample_reports" / "source" / "report.html")
    page.locator("#clusters .chip [data-unit]").first.click()
    settle(page)
    assert page.locator("#title-units").inner_text().startswith("Characters coloured by how they move unit ")
    show_plot(page, "boxes")
    page.locator("#clusters .cloud [data-word]").first.click()
    settle(page)
    said = page.evaluate(
        "[...document.querySelectorAll('nav, section:not(#numbers)')].map((one) => one.innerText).join()"
    )
    assert "Units and characters" in said
    assert re.findall(r".{0,30}\bwords?\b.{0,30}", said, re.IGNORECASE) == []
