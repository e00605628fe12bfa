"""What the report shows of several labels, of quantities and of expected predictions that only some sequences have."""

import itertools

import numpy as np
import pytest
from playwright.sync_api import expect

from rnnreport.analyses import compare
from rnnreport.report import render_comparison
from rnnreport.results.schema import Performance, Sequences
from tests.browser.cases import CASES, SAMPLED, fabricate_case
from tests.browser.conftest import assert_accessible, show_plot
from tests.browser.test_report import picks, pixel, settle

pytestmark = pytest.mark.browser

MINUS = "\N{MINUS SIGN}"


def listed(page):
    """The displayed sequences in the table, in order."""
    return page.eval_on_selector_all("#table tr[data-q]", "rows => rows.map((row) => Number(row.dataset.q))")


def column(page, source, name):
    plot = source.split(".")[0]
    values = page.evaluate(f"Array.from(RR.plots.{plot}.source('{source}').data.{name}, (value) => String(value))")
    return np.array(values, dtype=float)


def starts_of(sequences):
    return np.concatenate([[0], np.cumsum(sequences.lengths)])


WIDE, NARROW = (1440, "light"), (390, "dark")
NEW = ("multi-label", "regression", "step-regression")
OTHERS = ("multi-label, sampled", "classification, sampled", "regression, sampled", "step-regression, words")
OTHERS += ("language-model", "tagging", "unlabelled")  # of "classification" test_report.py looks at a page
LOOKS = [
    *((case, *look) for case in NEW for look in (WIDE, NARROW)),
    *((case, *(NARROW if place % 2 else WIDE)) for place, case in enumerate(OTHERS)),
]


@pytest.mark.parametrize(("case", "width", "scheme"), LOOKS)
def test_every_page_is_accessible_and_free_of_gibberish(open_page, rendered, case, width, scheme):
    page = open_page(rendered(case)[1], width=width, scheme=scheme)
    for name in page.eval_on_selector_all(".plot", "places => places.map((place) => place.id.slice(5))"):
        show_plot(page, name)
    for q in range(6):
        page.locator(f"#table tr[data-q='{q}']").click()
    settle(page)
    text = page.locator("main").inner_text()
    # what is hidden, too, but for the appendix on numbers, which speaks of NaN
    text += "".join(
        page.eval_on_selector_all("main > :not(#numbers)", "parts => parts.map((part) => part.textContent)")
    )
    assert not any(word in text for word in ("NaN", "undefined", "Infinity", "null"))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert_accessible(page)


def test_sets_of_labels_are_compared_in_the_table(open_page, rendered):
    run, path = rendered("multi-label")
    page, found = open_page(path), run.result(Sequences)
    actual, given = found.truths >= 0.5, found.outputs >= 0.5
    assert (actual & ~given).any() and (given & ~actual).any()
    for q in range(len(found.lengths)):
        cells = page.locator(f"#table tr[data-q='{q}'] td")
        for cell, there, wrong, sign in (
            (1, actual[q], actual[q] & ~given[q], f"{MINUS} "),
            (2, given[q], given[q] & ~actual[q], "+ "),
        ):
            names = [(sign if wrong[k] else "") + found.class_names[k] for k in np.flatnonzero(there)] or ["none"]
            assert cells.nth(cell).locator("span").all_inner_texts() == names
        assert cells.nth(3).inner_text() == str((actual[q] != given[q]).sum())
    page.select_option("#table-filter", "right")
    assert listed(page) == np.flatnonzero((actual == given).all(axis=1)).tolist()


def test_numbers_of_a_label_list_their_sequences(open_page, rendered):
    run, path = rendered("multi-label")
    page, found, counts = open_page(path), run.result(Sequences), run.result(Performance).label_counts
    actual, given = found.truths >= 0.5, found.outputs >= 0.5
    assert len(found.lengths) == found.total_sequences  # so that the numbers of the probe set are those listed
    kinds = {"there": actual, "found": actual & given, "missed": actual & ~given, "extra": given & ~actual}
    label = int(np.abs(given.astype(int) - actual).sum(axis=0).argmax())
    assert counts[label].tolist() == [
        kinds["found"][:, label].sum(), kinds["extra"][:, label].sum(), kinds["missed"][:, label].sum(),
        (~actual & ~given)[:, label].sum(),
    ]  # fmt: skip
    for kind, members in kinds.items():
        for button in page.locator(f"#labels button[data-label='{label}'][data-kind='{kind}']").all():
            button.click()
            settle(page)
            assert listed(page) == np.flatnonzero(members[:, label]).tolist()
            assert page.locator("#output").input_value() == str(label)
    assert page.locator("#labels button[data-kind=missed], #labels button[data-kind=extra]").count() > 0


def test_the_chosen_label_colours_every_view_and_is_in_the_link(open_page, rendered):
    run, path = rendered("multi-label")
    page, found = open_page(path), run.result(Sequences)
    for name in ("classes", "map"):
        show_plot(page, name)
    tints = "nodes => nodes.map((node) => node.style.getPropertyValue('--tint')).join()"
    before = (
        page.eval_on_selector_all("#text .token", tints),
        page.evaluate("RR.plots.map.source('map.points').data.color.join()"),
    )
    page.select_option("#output", "2")
    settle(page)
    assert page.eval_on_selector_all("#text .token", tints) != before[0]
    assert page.evaluate("RR.plots.map.source('map.points').data.color.join()") != before[1]
    for legend in ("#text-legend", "#map-legend"):
        assert found.class_names[2] in page.locator(legend).inner_text()
    again = open_page(path, hash=page.url[page.url.index("#") :])
    settle(again)
    assert again.locator("#output").input_value() == "2"
    assert again.eval_on_selector_all("#text .token", tints) == page.eval_on_selector_all("#text .token", tints)
    settle(open_page(path, hash="#output=4"))  # there are four labels: this one is ignored


def test_labels_over_time(open_page, rendered):
    run, path = rendered("multi-label")
    page, found = open_page(path), run.result(Sequences)
    show_plot(page, "classes")
    page.locator("#table tr[data-q='3']").click()
    settle(page)
    steps = slice(*starts_of(found)[3:5])
    assert len(column(page, "classes", "x")) == found.lengths[3] * len(found.class_names)
    dots = set(zip(column(page, "classes.named", "x"), column(page, "classes.named", "y"), strict=True))
    assert dots == set(zip(*np.nonzero(found.step_output[-1, steps] >= 0.5), strict=True))
    names = page.evaluate("Array.from(RR.plots.classes.find('classes.names').major_label_overrides.values())")
    assert [name.endswith("✓") for name in names] == (found.truths[3] >= 0.5).tolist()
    page.locator("#plot-classes").evaluate("node => node.scrollIntoView({ block: 'center' })")
    page.mouse.click(*pixel(page, "classes", "classes", len(names) + 2))  # second step, third label
    settle(page)
    assert page.evaluate("[RR.selection.step, RR.selection.output]") == [1, 2]


def test_label_rules_fit_the_task(open_page, rendered):
    asked = {
        "multi-label": ["distance", "output", "change"],
        "regression": ["distance", "output"],
        "language-model": ["distance"],
    }
    for case, rules in asked.items():
        page = open_page(rendered(case)[1])
        show_plot(page, "map")
        given = page.eval_on_selector_all(
            "[data-rule][data-side=after]", "boxes => boxes.map((box) => box.dataset.rule)"
        )
        assert given == rules
    run, path = rendered("regression")
    page, found = open_page(path, hash="#output=1"), run.result(Sequences)
    inside = np.setdiff1d(np.arange(found.tokens.size), starts_of(found)[1:] - 1)
    values = found.step_output[-1, :, 1]
    reach = np.concatenate([values, found.truths[:, 1], found.outputs[:, 1]])
    jumps = inside[np.abs(values[inside + 1] - values[inside]) >= 0.1 * np.ptp(reach)] + 1
    rule = f"RR.labelled(RR.reading, [{{ rule: 'output', side: 'after', threshold: 0.1 }}], 0, {found.tokens.size})"
    labelled = page.evaluate(f"[...({rule}).keys()]")
    assert 0 < jumps.size < inside.size
    assert len(set(labelled) ^ set(jumps.tolist())) <= 1  # 16-bit codes
    run, path = rendered("multi-label")
    page, found = open_page(path), run.result(Sequences)
    named = found.step_output[-1] >= 0.5
    inside = np.setdiff1d(np.arange(found.tokens.size), starts_of(found)[1:] - 1)
    changed = inside[(named[inside] != named[inside + 1]).any(axis=1)]
    rule = f"RR.labelled(RR.reading, [{{ rule: 'change', side: 'before', threshold: 0 }}], 0, {found.tokens.size})"
    labelled = page.evaluate(f"[...({rule}).keys()]")
    assert changed.size > 0 and len(set(labelled) ^ set(changed.tolist())) <= 2  # 8-bit codes


def test_a_point_of_the_scatter_leads_to_its_sequence(open_page, rendered):
    run, path = rendered("regression")
    page, found = open_page(path), run.result(Sequences)
    show_plot(page, "agreement")
    for k in (0, 1):
        page.select_option("#output", str(k))
        settle(page)
        np.testing.assert_allclose(column(page, "agreement.points", "x"), found.truths[:, k], rtol=1e-6)
        np.testing.assert_allclose(column(page, "agreement.points", "y"), found.outputs[:, k], rtol=1e-6)
        bounds = page.evaluate(
            "(() => { const range = RR.plots.agreement.figure.x_range; return [range.start, range.end]; })()"
        )
        both = np.concatenate([found.truths[:, k], found.outputs[:, k]])
        assert bounds[0] < both.min() and both.max() < bounds[1] < both.max() + np.ptp(both)
    q = int(np.abs(found.truths[:, 1] - found.outputs[:, 1]).argmax())  # it lies apart from the others
    page.locator("#plot-agreement").evaluate("node => node.scrollIntoView({ block: 'center' })")
    place = pixel(page, "agreement", "agreement.points", q)
    page.mouse.move(*place)
    settle(page)
    assert found.sequence_ids[q] in page.locator("#tooltip").inner_text()
    page.mouse.click(*place)
    settle(page)
    assert picks(page) == [found.sequence_ids[q]]
    assert column(page, "agreement.here", "x") == pytest.approx(
        [found.truths[q, 1]] * len(column(page, "agreement.here", "x"))
    )


def test_sequences_are_sorted_by_the_size_of_their_error(open_page, rendered):
    run, path = rendered("regression")
    page, found = open_page(path, hash="#output=1"), run.result(Sequences)
    error = found.outputs[:, 1] - found.truths[:, 1]
    heads = page.locator("#table thead button")
    place = [name.split()[0] for name in heads.all_inner_texts()].index("error")
    heads.nth(place).click()
    heads.nth(place).click()
    assert listed(page) == np.argsort(-np.abs(error), kind="stable").tolist()
    first = page.locator("#table tbody tr").first.locator("td").nth(place).inner_text()
    assert float(first.replace(MINUS, "-")) == pytest.approx(error[listed(page)[0]], rel=0.01)


def test_a_series_is_drawn_with_its_channels_and_its_quantity(open_page, rendered):
    run, path = rendered("step-regression")
    page, found = open_page(path, hash="#sequence=2&output=1"), run.result(Sequences)
    for name in ("channels", "quantity", "agreement"):
        show_plot(page, name)
    steps = slice(*starts_of(found)[2:4])
    targets, values = found.truths[steps, 1], found.step_output[-1, steps, 1]
    np.testing.assert_allclose(column(page, "quantity.target", "y"), targets, rtol=1e-6)
    np.testing.assert_allclose(column(page, "quantity", "y"), values, atol=np.ptp(found.step_output[..., 1]) / 60_000)
    known = np.isfinite(targets)
    assert not known.all()  # the last step has no target, and no error is drawn there
    np.testing.assert_array_equal(column(page, "quantity.error", "x"), np.flatnonzero(known))
    lines = page.evaluate("RR.plots.channels.source('channels').data.ys.map((line) => Array.from(line))")
    for d, line in enumerate(lines):  # each channel in its row, from its lowest to its highest value
        channel = found.values[:, d]
        expected = d + 0.42 - 0.84 * (channel[steps] - channel.min()) / np.ptp(channel)
        np.testing.assert_allclose(line, expected, atol=0.01)
    for q, (start, stop) in enumerate(itertools.pairwise(starts_of(found))):
        size = np.sqrt(np.nanmean((found.step_output[-1, start:stop, 1] - found.truths[start:stop, 1]) ** 2))
        shown = page.locator(f"#table tr[data-q='{q}'] td").nth(1).inner_text()
        assert float(shown.replace(",", "")) == pytest.approx(size, rel=0.01)


def test_a_step_is_marked_in_every_figure_of_a_series(open_page, rendered):
    _, path = rendered("step-regression")
    page = open_page(path, hash="#sequence=2")
    for name in ("channels", "quantity", "distance", "agreement", "map"):
        show_plot(page, name)
    page.locator("#text .token").nth(1).hover()
    settle(page)
    assert column(page, "channels.here", "x").tolist() == column(page, "quantity.here", "x").tolist() == [1]
    assert len(column(page, "agreement.here", "x")) == len(column(page, "map.here", "x")) == 1
    tip = page.locator("#tooltip").inner_text()
    assert "predicts" in tip and "target" in tip and "heat & light" in tip
    page.locator("#plot-quantity").evaluate("node => node.scrollIntoView({ block: 'center' })")
    x, _ = pixel(page, "quantity", "quantity", 2)
    box = page.locator("#plot-quantity").bounding_box()
    page.mouse.click(x, box["y"] + 20)  # far from the lines: the whole column of the step takes the click
    settle(page)
    assert picks(page)[-1] == "step 3"
    assert column(page, "channels.here", "x")[0] == 2


@pytest.mark.parametrize("case", [case for case in CASES if "sampled" in case])
def test_sequences_without_expected_predictions_say_so_and_are_neutral(open_page, rendered, case):
    run, path = rendered(case)
    page, found = open_page(path), run.result(Sequences)
    for name in ("map", "distance"):
        show_plot(page, name)
    known = np.isfinite(found.step_output[-1]).all(axis=1)[starts_of(found)[:-1]]
    assert known.sum() == SAMPLED < len(known)
    line = f"not among the {SAMPLED} displayed sequences whose prefixes were re-run"
    tints = "nodes => nodes.map((node) => node.style.getPropertyValue('--tint'))"
    grey = page.evaluate("RR.css('rule')")
    first = found.sequence_ids[int(np.flatnonzero(known)[0])]  # one that has them is shown until another is chosen
    assert first in page.locator("#title-text").inner_text() and line not in page.locator("#text-colour").inner_text()
    for q in (int(np.flatnonzero(~known)[0]), int(np.flatnonzero(known)[0])):
        page.locator(f"#table tr[data-q='{q}']").click()
        settle(page)
        assert (line in page.locator("#text-colour").inner_text()) == (not known[q])
        assert (set(page.eval_on_selector_all("#text .token", tints)) == {grey}) == (not known[q])
    colours = page.evaluate("RR.plots.map.source('map.points').data.color")
    assert [colour == grey for colour in colours] == np.repeat(~known, found.lengths).tolist()
    missing = found.lengths[~known].sum()
    assert f"not known for {missing} states" in page.locator("#map-legend").inner_text()
    page.locator("#epoch").focus()
    page.keyboard.press("Home")
    settle(page)
    place = {"classification": 2, "multi-label": 3}.get(run.manifest().task, 2)
    cells = [page.locator(f"#table tr[data-q='{q}'] td").nth(place).inner_text() for q in np.flatnonzero(~known)]
    assert set(cells) <= {"", "\N{EN DASH}"}  # the model's own answers are known for the last epoch only


@pytest.mark.parametrize("case", ["multi-label", "regression", "step-regression", "multi-label, sampled"])
def test_runs_are_read_side_by_side(open_page, rendered, tmp_path, case):
    first, _ = rendered(case)
    second = fabricate_case(tmp_path / "second", case, seed=1, gain=0.4)
    (tmp_path / "compare.html").write_text(
        render_comparison([first, second], compare([first, second])), encoding="utf-8"
    )
    page, runs = open_page(tmp_path / "compare.html"), [run.result(Sequences) for run in (first, second)]
    show_plot(page, "reading")
    page.select_option("#output", "1")
    q = int(np.flatnonzero(np.isfinite(runs[0].step_output[-1]).all(axis=1)[starts_of(runs[0])[:-1]])[0])
    page.select_option("#pick", str(q))
    settle(page)
    steps = slice(*starts_of(runs[0])[q : q + 2])
    for place, found in enumerate(runs):
        room = np.nanmax(found.step_output[..., 1]) - np.nanmin(found.step_output[..., 1])
        curve = column(page, f"reading.line-{place}", "y")
        np.testing.assert_allclose(curve, found.step_output[-1, steps, 1], atol=0.003 * room)
    if runs[0].task != "multi-label":
        owner = steps if runs[0].task == "step-regression" else q
        aims = np.broadcast_to(runs[0].truths[owner, 1], runs[0].lengths[q])
        np.testing.assert_allclose(column(page, "reading.target", "y"), aims, rtol=1e-6)
    expect(page.locator("#readings .who").first).to_contain_text("predicted" if "step" not in case else "RMSE")
    assert page.locator("#confusion, #flips").count() == 0
    unknown = np.flatnonzero(~np.isfinite(runs[0].step_output[-1]).all(axis=1)[starts_of(runs[0])[:-1]])
    assert (unknown.size > 0) == ("sampled" in case)
    for q in unknown[:1].tolist():
        page.select_option("#pick", str(q))
        expect(page.locator("#readings .who").first).to_contain_text("prefixes were re-run")
        expect(page.locator("#readings .who").first).to_contain_text("predicted")
    text = page.locator("main").text_content()
    assert not any(word in text for word in ("NaN", "undefined", "micro_f1", "mean_rmse"))
    assert_accessible(page)
