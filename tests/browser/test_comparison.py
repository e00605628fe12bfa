"""The comparison page and the index in a real Chromium."""

import re
from dataclasses import replace

import numpy as np
import pytest
from playwright.sync_api import expect

from rnnreport.analyses import side_by_side
from rnnreport.analyses.comparison import as_of
from rnnreport.report import IndexEntry, render_comparison, render_index
from rnnreport.results.folder import RunFolder
from tests.browser.conftest import assert_accessible, settle, show_plot
from tests.fabricate import fabricate_run
from tests.typeset import plain

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def runs(analysed_runs):
    return [RunFolder(path) for path in analysed_runs]


@pytest.fixture(scope="module")
def details(runs):
    return side_by_side([*runs, runs[0]])


@pytest.fixture(scope="module")
def comparison(details):
    return details.comparison


@pytest.fixture(scope="module")
def pages(runs, details, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    three = [*runs, runs[0]]
    (folder / "compare.html").write_text(render_comparison(three, details.comparison, details), encoding="utf-8")
    entries = [IndexEntry(f"{run.path.name}/report.html", run.summary()) for run in runs]
    (folder / "index.html").write_text(render_index(entries, comparison="compare.html"), encoding="utf-8")
    return folder


def test_changed_predictions_lead_to_the_reading(open_page, pages, comparison):
    page = open_page(pages / "compare.html")
    show_plot(page, "reading")
    changed = np.flatnonzero(comparison.predicted[0] != comparison.predicted[1])
    rows = page.locator("#flips tbody tr")
    assert rows.count() == len(changed) > 0
    last = rows.last
    name = last.locator("th").inner_text()
    last.click()
    expect(page.locator("#title-reading")).to_contain_text(name)
    assert page.locator("#readings .read").count() == 3
    assert last.get_attribute("aria-selected") == "true"
    label = comparison.labels[changed[-1]]
    curve = page.evaluate("Array.from(RR.plots.reading.source('reading.line-1').data.y)")
    assert curve[-1] <= comparison.confidence[1, changed[-1]] + 0.01 or label == comparison.predicted[1, changed[-1]]


def test_pointing_marks_the_step_in_every_run(open_page, pages):
    page = open_page(pages / "compare.html")
    page.locator("#readings .token").nth(1).hover()
    assert page.locator("#readings .token.pointed").count() == 3


def test_link_restores_the_sequence(open_page, pages):
    page = open_page(pages / "compare.html")
    page.select_option("#pick", index=5)
    expect(page).to_have_url(re.compile("sequence="))
    title = page.locator("#title-reading").inner_text()
    again = open_page(pages / "compare.html", hash=page.url[page.url.index("#") :])
    assert again.locator("#title-reading").inner_text() == title


def test_the_page_opens_with_what_changed(open_page, pages, details):
    page = open_page(pages / "compare.html")
    first = page.locator("figure").first
    assert first.get_attribute("id") == "figure-findings"
    assert first.locator(".changes > li").count() == 2
    for verdict, found in zip(details.changes.verdicts, first.locator(".changes > li").all(), strict=True):
        assert verdict in found.inner_text()
    link = first.locator("a[href='#figure-likeness']").first
    link.click()
    settle(page)
    assert 0 <= page.locator("#figure-likeness").bounding_box()["y"] < 300


def test_swapping_turns_every_difference(open_page, pages, details):
    page = open_page(pages / "compare.html")
    row = page.locator("#effects tbody tr[data-run='1']").first
    cells = lambda kind: [row.locator(f".{kind}").nth(place).inner_text() for place in range(1)]  # noqa: E731
    before = cells("first"), cells("second"), float(plain(row.locator(".signed").inner_text()))
    ends = [float(end) for end in plain(row.locator(".range").inner_text()).split(" to ")]
    edges = page.locator("#machine-edges tbody tr[data-run='1'] .signed")
    counted = [int(plain(text)) for text in edges.all_text_contents()]
    page.locator("#swap").click()
    settle(page)
    assert counted and [int(plain(text)) for text in edges.all_text_contents()] == [-value for value in counted]
    assert (cells("first"), cells("second")) == before[:2]
    order = row.locator("td").evaluate_all("cells => cells.map((cell) => cell.className)")
    assert order.index("n second") < order.index("n first")
    assert float(plain(row.locator(".signed").inner_text())) == -before[2]
    assert [float(end) for end in plain(row.locator(".range").inner_text()).split(" to ")] == [-ends[1], -ends[0]]
    assert page.locator("#readings .who b").all_inner_texts()[:2] == ["second", "first"]
    expect(page).to_have_url(re.compile("swap=1"))
    page.locator("#swap").click()
    settle(page)
    assert float(plain(row.locator(".signed").inner_text())) == before[2]


def test_printed_comparison_says_nothing_that_only_a_pointer_can_do(open_page, pages):
    page = open_page(pages / "compare.html", folded=True)
    assert "click" in page.locator("#note-flips").inner_text()
    page.emulate_media(media="print")
    assert not re.findall(r"\b(?:click|drag)\b", page.locator("main").inner_text())
    adjusted = page.locator("#readings .token").first.evaluate("token => getComputedStyle(token).printColorAdjust")
    assert adjusted == "exact"  # white text on a colour would be white on white


def test_only_what_changed(open_page, pages, details):
    page = open_page(pages / "compare.html")
    rows = page.locator("#effects tbody tr[data-run='1']")
    assert rows.locator("visible=true").count() > 0
    page.locator("#changed").check()
    settle(page)
    certain = (details.effects.adjusted[0][:, :-1] < 0.05).any(axis=1).sum()
    shown = page.locator("#effects tbody tr:visible")
    assert shown.count() == min(30, certain) and page.locator("#effects tr[data-same]:visible").count() == 0
    assert page.locator(".changes > li:visible").count() == sum(word == "changed" for word in details.changes.verdicts)
    # the sequences on offer are those on which the runs differ
    names = page.locator("#pick option:not([hidden])").all_inner_texts()
    assert names and all("differ" in name for name in names)


def test_another_run_beside_the_baseline(open_page, pages):
    page = open_page(pages / "compare.html")
    page.select_option("#other", "2")
    settle(page)
    assert set(page.locator("#slices tbody tr:visible").evaluate_all("rows => rows.map((row) => row.dataset.run)")) == {
        "2"
    }
    assert {float(plain(text)) for text in page.locator("#slices tr:visible .signed").all_inner_texts()} == {0}
    assert page.locator(".confusions .side:visible").count() == 2
    dashes = page.locator("#clusters-legend .line").evaluate_all("lines => lines.map((line) => line.style.background)")
    assert ["transparent 2px" in dash for dash in dashes] == [False, True]  # the third run's line is dotted
    said = "getComputedStyle(document.querySelector('.table-scroll:has(#slices)'), '::after').content"
    assert page.evaluate(said) == "none"
    page.locator("#changed").check()
    settle(page)
    assert page.evaluate(said) == '"nothing that changed significantly"'
    page.locator("#changed").uncheck()
    settle(page)
    again = open_page(pages / "compare.html", hash=page.url[page.url.index("#") :])
    assert again.locator("#other").input_value() == "2"


def test_a_group_lists_its_changed_predictions(open_page, pages, details):
    page = open_page(pages / "compare.html")
    changed = (details.comparison.predicted != details.comparison.predicted[0]).any(axis=0)
    row = page.locator("#slices tbody tr:visible").first
    place = int(row.get_attribute("data-group"))
    row.click()
    settle(page)
    assert page.locator("#flips tbody tr:visible").count() == (changed & (details.slices.members[place] > 0)).sum()
    page.locator("#flips-group button").click()
    assert page.locator("#flips tbody tr:visible").count() == changed.sum()


def test_a_word_is_followed_through_both_runs(open_page, pages, details):
    page = open_page(pages / "compare.html")
    show_plot(page, "overlay")
    word = 3
    page.select_option("#word", str(word))
    settle(page)
    for run in range(2):
        drawn = page.evaluate(f"Array.from(RR.plots.overlay.source('overlay.run-{run}').data.y)")
        expected = np.sort(details.clusters.response[str(run)][word])[::-1]
        np.testing.assert_allclose(drawn, expected, atol=np.ptp(details.clusters.response[str(run)]) / 200)
    assert page.locator("#beside .word[aria-pressed=true]").count() == 2
    units = page.locator("#beside .matched").first.locator(".half").first.locator(".unit").count()
    assert units == (details.clusters.unit_labels["0"] == 0).sum()


def test_both_maps_show_the_same_steps_on_the_same_axes(open_page, pages, details):
    page = open_page(pages / "compare.html")
    for side in (0, 1):
        show_plot(page, f"plane-{side}")
    page.select_option("#pick", index=2)
    settle(page)
    steps = page.locator("#readings .read").first.locator(".token").count()
    ranges = []
    for side in (0, 1):
        plot = f"RR.plots['plane-{side}']"
        assert page.evaluate(f"{plot}.source('plane-{side}.path').data.x.length") == steps
        ranges.append(page.evaluate(f"[{plot}.figure.x_range.start, {plot}.figure.x_range.end]"))
        drawn = np.array(page.evaluate(f"Array.from({plot}.source('plane-{side}.points').data.x)"))
        expected = details.likeness.plane[side, :, 0]
        assert np.corrcoef(drawn, expected)[0, 1] > 0.9999
    assert ranges[0] == ranges[1]
    page.locator("#readings .token").nth(1).hover()
    for side in (0, 1):
        assert page.evaluate(f"RR.plots['plane-{side}'].source('plane-{side}.here').data.x.length") == 1


@pytest.mark.parametrize("name", ["compare.html", "index.html"])
@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_accessible_and_as_wide_as_the_window(open_page, pages, name, width, scheme):
    page = open_page(pages / name, width=width, scheme=scheme)
    if name == "compare.html":
        for plot in ("reading", "curve-loss", "similarity", "plane-0", "plane-1", "overlay"):
            show_plot(page, plot)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert_accessible(page)


def test_index_sorts_by_a_click(open_page, pages, runs):
    page = open_page(pages / "index.html")
    column = page.locator("#runs thead th").all_inner_texts().index("accuracy")
    order = sorted(runs, key=lambda run: run.summary().metrics["accuracy"]["value"])
    page.locator("#runs thead button").nth(column).click()
    assert page.locator("#runs tbody th").all_inner_texts() == [run.summary().run for run in order]
    page.locator("#runs thead button").nth(column).click()
    assert page.locator("#runs tbody th").all_inner_texts() == [run.summary().run for run in reversed(order)]


def gru(folder):
    """The same run, as if it had been a GRU: another architecture, without a cell state."""
    manifest = folder.manifest()
    for checkpoint in list(folder.checkpoints()):
        states = {"gru.0.fwd.h": checkpoint.states["lstm.0.fwd.h"]}
        folder.write_checkpoint(replace(checkpoint, states=states))
    folder.write_manifest(replace(manifest, model=manifest.model | {"cell": "GRU"}, state_keys=("gru.0.fwd.h",)))
    return folder


@pytest.mark.parametrize(
    ("kind", "task"),
    [
        ("architectures", "classification"),
        ("sizes", "tagging"),
        ("checkpoints", "classification"),
        ("seeds", "language-model"),
    ],
)
def test_swap_and_only_what_changed_for_every_kind_of_pair(open_page, tmp_path, kind, task):
    count = 3 if kind == "seeds" else 2
    made = [
        fabricate_run(
            tmp_path / str(place),
            task,
            epochs=2,
            sequences=24,
            steps=(3, 7),
            seed=0 if kind == "checkpoints" else place,
            units=6 + 4 * place * (kind == "sizes"),
            gain=1 - 0.4 * place * (kind in ("sizes", "architectures")),
            name=f"run {place}",
        )
        for place in range(count)
    ]
    made[1] = gru(made[1]) if kind == "architectures" else made[1]
    runs = [
        as_of(run, 0 if kind == "checkpoints" and place else 1, tmp_path / f"of {place}")
        for place, run in enumerate(made)
    ]
    details = side_by_side(runs)
    path = tmp_path / "compare.html"
    path.write_text(render_comparison(runs, details.comparison, details), encoding="utf-8")
    page = open_page(path)
    names = [f"run {place}, epoch {0 if kind == 'checkpoints' and place else 1}" for place in range(count)]
    assert page.locator("#readings .who b").all_inner_texts()[:2] == names[:2]
    sides = page.locator(".confusions .side h4:visible")
    tables = [] if task == "language-model" else names
    assert sides.all_inner_texts() == tables
    page.locator("#swap").click()
    settle(page)
    assert page.locator("#readings .who b").all_inner_texts()[:2] == names[1::-1]
    assert sides.all_inner_texts() == tables[::-1]
    show_plot(page, "plane-0")
    assert page.locator("#plane-name-0").inner_text().startswith(names[1])
    assert page.locator("#beside .matched .half .note").first.inner_text().startswith(names[1])
    page.locator("#changed").check()
    settle(page)
    assert page.locator(".changes > li:visible").count() == details.changes.verdicts.count("changed")
    assert page.locator("[data-same]:visible").count() == 0
    if kind == "seeds":
        page.select_option("#other", "2")
        settle(page)
        assert page.locator("#readings .who b").all_inner_texts()[:2] == [names[2], names[0]]
    text = page.locator("main").text_content()
    assert not any(word in text for word in ("NaN", "undefined"))
