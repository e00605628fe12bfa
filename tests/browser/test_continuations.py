"""The tree of continuations in a real Chromium: one context at a time, linked to sequences and words."""

import pytest

from rnnreport.analyses import analyse
from rnnreport.report import render_report
from rnnreport.results.schema import ContinuationTrees, Sequences, Words
from tests.browser.test_units import settle
from tests.fabricate import HOSTILE, fabricate_run
from tests.small import ROUGH
from tests.unit.test_report_trees import plant

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = fabricate_run(tmp_path_factory.mktemp("trees") / "run", "language-model", epochs=2, sequences=20, units=6)
    plant(folder)
    analyse(folder, params=ROUGH)
    (folder.path / "report.html").write_text(render_report(folder), encoding="utf-8")
    return folder


def shown(page):
    return [tree.get_attribute("data-sequence") for tree in page.locator(".continued").all() if tree.is_visible()]


def test_one_context_is_shown_and_leads_to_its_sequence(open_page, run):
    page, found = open_page(run.path / "report.html"), run.result(ContinuationTrees)
    assert shown(page) == [found.sequence_ids[0]]
    page.select_option("#context", "1")
    assert shown(page) == [found.sequence_ids[1]]
    page.locator("#context-read").click()
    settle(page)
    ids = run.result(Sequences).sequence_ids
    selection = page.evaluate("RR.selection")
    assert (ids[selection["sequence"]], selection["step"]) == (found.sequence_ids[1], 0)
    assert found.sequence_ids[1] in page.locator("#title-text").inner_text()


def test_a_selected_sequence_shows_its_tree(open_page, run):
    found, ids = run.result(ContinuationTrees), run.result(Sequences).sequence_ids
    page = open_page(run.path / "report.html", f"#sequence={ids.index(found.sequence_ids[1])}")
    assert shown(page) == [found.sequence_ids[1]]


def test_tokens_tell_their_shares_and_select_their_word(open_page, run):
    page = open_page(run.path / "report.html")
    node = page.locator(".continued:visible .node").nth(0)
    node.scroll_into_view_if_needed()
    box = node.locator("text").bounding_box()
    page.mouse.move(box["x"] + 6, box["y"] + 6)
    assert page.locator("#tooltip").inner_text().split("\n") == [
        "goal", "50.0% after this path", "50.0% for the whole path", "50.0% go on with other tokens",
        "click: select the word",
    ]  # fmt: skip
    page.mouse.click(box["x"] + 6, box["y"] + 6)
    settle(page)
    names = run.result(Words).names
    assert [names[word] for word in page.evaluate("RR.selection.words")] == ["goal"]
    assert "on" in node.get_attribute("class").split()
    hostile = page.locator(".continued:visible .node").nth(2)
    assert hostile.get_attribute("data-token") == HOSTILE[2]


@pytest.mark.parametrize("width", [390, 1440])
def test_texts_stay_inside_the_picture(open_page, run, width):
    page = open_page(run.path / "report.html", width=width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(
        """[...document.querySelectorAll(".continued:not([hidden]) .tree")].every((tree) =>
          [...tree.querySelectorAll("text")].every((text) => {
            const own = text.getBoundingClientRect(), all = tree.getBoundingClientRect();
            return own.right <= all.right + 1 && own.bottom <= all.bottom + 1 && own.top >= all.top - 1;
          }))"""
    )


def test_all_trees_are_there_without_scripts(run, browser):
    page = browser.new_context(java_script_enabled=False, offline=True).new_page()
    page.goto((run.path / "report.html").absolute().as_uri())
    assert page.locator(".continued:visible").count() == 2
    page.context.close()
