"""Other places of the corpus in a real Chromium: the most similar states of other sequences."""

import numpy as np
import pytest

from rnnreport.results.schema import Sequences, Similar
from tests.browser.conftest import settle, show_figure, show_plot
from tests.browser.test_report import picks
from tests.browser.test_tasks import column, starts_of

pytestmark = pytest.mark.browser

STEPS = "nodes => nodes.map((node) => Number(node.dataset.p))"


def meant(page, place):
    """The displayed steps that a list points out."""
    show_figure(page, place.removeprefix("#"))
    return page.eval_on_selector_all(f"{place} .token.meant", STEPS)


@pytest.fixture
def shown(run):
    return run.result(Sequences)


@pytest.fixture
def near(run):
    return run.result(Similar)


def test_the_nearest_states_of_the_selected_step_are_listed_in_their_context(open_page, report, shown, near):
    q, t = 4, 2
    page, p = open_page(report, f"#sequence={q}&step={t}&lens=step"), starts_of(shown)[q] + t
    assert meant(page, "#similar") == [p, *near.neighbours[p]]
    assert f"step {t + 1} of {shown.sequence_ids[q]}" in page.locator("#title-similar").inner_text()
    assert f"of the {len(shown.tokens)} displayed states" in page.locator("#note-similar").inner_text()
    rows = page.locator("#similar ol li").all()
    starts = starts_of(shown)
    for row, other, far in zip(rows, near.neighbours[p], near.distances[p], strict=True):
        owner = int(np.searchsorted(starts, other, side="right")) - 1
        text = row.inner_text()
        assert text.startswith(
            f"{shown.sequence_ids[owner]}, step {other - starts[owner] + 1} of {shown.lengths[owner]}"
        )
        assert float(text.split(" of the typical distance")[0].split()[-1]) == pytest.approx(
            far / near.typical, abs=0.02
        )
        k = shown.step_output[-1, other].argmax()
        assert f"expects {shown.class_names[k]}" in text
        assert f"true class {shown.class_names[shown.labels[owner]]}" in text
        tokens = [shown.token_names[token] for token in shown.tokens[starts[owner] : starts[owner + 1]]]
        assert row.locator(".token").all_inner_texts() == tokens  # sequences of at most 6 steps: all of it


def test_another_kind_of_state_has_neighbours_of_its_own(open_page, report, run, shown, near):
    q, t = 4, 2
    page, p = open_page(report, f"#state=1&sequence={q}&step={t}&lens=step"), starts_of(shown)[q] + t
    other = run.result(Similar, 1)
    assert other.scope != near.scope and (other.neighbours[p] != near.neighbours[p]).any()
    assert meant(page, "#similar") == [p, *other.neighbours[p]]
    page.select_option("#state", "0")
    settle(page)
    assert meant(page, "#similar") == [p, *near.neighbours[p]]


def test_a_place_leads_to_its_step_and_points_in_every_view(open_page, report, shown, near):
    q, t = 4, 2
    page, p = open_page(report, f"#sequence={q}&step={t}&lens=step"), starts_of(shown)[q] + t
    show_plot(page, "map")
    other = int(near.neighbours[p, 1])
    owner = int(np.searchsorted(starts_of(shown), other, side="right")) - 1
    show_figure(page, "similar")
    token = page.locator("#similar ol li").nth(1).locator(".token.meant")
    token.scroll_into_view_if_needed()
    token.hover()
    settle(page)
    assert len(column(page, "map.here", "x")) == 2
    assert shown.sequence_ids[owner] in page.locator("#tooltip").inner_text()
    token.click()
    settle(page)
    assert picks(page) == [shown.sequence_ids[owner], f"step {other - starts_of(shown)[owner] + 1}"]
    assert meant(page, "#similar")[0] == other
    page.locator("#text .token").nth(0).hover()
    settle(page)
    first = starts_of(shown)[owner]
    assert page.eval_on_selector_all("#similar .token.pointed", STEPS).count(int(first)) >= 1
    page.locator("#similar ol .link").first.focus()
    page.keyboard.press("Enter")
    settle(page)
    assert meant(page, "#similar")[0] == near.neighbours[other, 0]


def test_without_a_step_the_last_one_is_meant(open_page, report, shown):
    page = open_page(report, "#sequence=4")
    assert meant(page, "#similar")[0] == starts_of(shown)[5] - 1
    assert "select a step" in page.locator("#note-similar").inner_text()


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1440, "light")])
def test_lists_fit_the_page(open_page, report, width, scheme):
    page = open_page(report, "#sequence=4&step=2", width=width, scheme=scheme)
    for name in ("similar", "pattern"):
        show_figure(page, name)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
