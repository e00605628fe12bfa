"""The comparison page and the index in a real Chromium."""

import re

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from rnnreport.analyses import compare
from rnnreport.report import IndexEntry, render_comparison, render_index
from rnnreport.results.folder import RunFolder
from tests.browser.conftest import show_plot

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def runs(analysed_runs):
    return [RunFolder(path) for path in analysed_runs]


@pytest.fixture(scope="module")
def comparison(runs):
    return compare(runs)


@pytest.fixture(scope="module")
def pages(runs, comparison, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    (folder / "compare.html").write_text(render_comparison(runs, comparison), encoding="utf-8")
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
    assert page.locator("#readings .read").count() == 2
    assert last.get_attribute("aria-selected") == "true"
    label = comparison.labels[changed[-1]]
    curve = page.evaluate("Array.from(RR.plots.reading.source('reading.line-1').data.y)")
    assert curve[-1] <= comparison.confidence[1, changed[-1]] + 0.01 or label == comparison.predicted[1, changed[-1]]


def test_pointing_marks_the_step_in_every_run(open_page, pages):
    page = open_page(pages / "compare.html")
    page.locator("#readings .token").nth(1).hover()
    assert page.locator("#readings .token.pointed").count() == 2


def test_link_restores_the_sequence(open_page, pages):
    page = open_page(pages / "compare.html")
    page.select_option("#pick", index=5)
    expect(page).to_have_url(re.compile("sequence="))
    title = page.locator("#title-reading").inner_text()
    again = open_page(pages / "compare.html", hash=page.url[page.url.index("#") :])
    assert again.locator("#title-reading").inner_text() == title


@pytest.mark.parametrize("name", ["compare.html", "index.html"])
@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_accessible_and_as_wide_as_the_window(open_page, pages, name, width, scheme):
    page = open_page(pages / name, width=width, scheme=scheme)
    if name == "compare.html":
        for plot in ("reading", "curve-loss", "similarity"):
            show_plot(page, plot)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa"]})
    assert found.violations_count == 0, found.generate_report()


def test_index_sorts_by_a_click(open_page, pages, runs):
    page = open_page(pages / "index.html")
    column = page.locator("#runs thead th").all_inner_texts().index("accuracy")
    order = sorted(runs, key=lambda run: run.summary().metrics["accuracy"]["value"])
    page.locator("#runs thead button").nth(column).click()
    assert page.locator("#runs tbody th").all_inner_texts() == [run.summary().run for run in order]
    page.locator("#runs thead button").nth(column).click()
    assert page.locator("#runs tbody th").all_inner_texts() == [run.summary().run for run in reversed(order)]
