"""A range of steps, the units on throughout it and where else they are, in a real Chromium, against brute force."""

from itertools import pairwise

import numpy as np
import pytest

from rnnreport.results.schema import Sequences, Units
from tests.browser.conftest import settle, show_figure, show_plot
from tests.browser.test_report import picks
from tests.browser.test_tasks import starts_of

pytestmark = pytest.mark.browser

CASES = [(3, (1, 2), 30), (7, (0, 2), 10), (12, (2, 2), 60), (1, (0, 0), 5), (5, (0, 1), 100)]  # sequence, range, %
STEPS = "nodes => nodes.map((node) => Number(node.dataset.p))"


@pytest.fixture
def shown(run):
    return run.result(Sequences)


def states_of(page):
    """The states as the page has them: coded in 8 bits."""
    return np.array(page.evaluate("Array.from(RR.arrays['words.steps'], (_, p) => Array.from(RR.stateAt(p)))"))


def set_threshold(page, share):
    show_figure(page, "pattern")
    page.locator("#pattern-threshold").evaluate(
        "(node, value) => { node.value = value; node.dispatchEvent(new Event('input')); }", share
    )
    return page.evaluate("RR.unitsOf().activationClip") * share / 100


def stretches(states, starts, units, threshold, skipped):
    """Every stretch of other steps at which the most of these units are on, by looking at all windows."""
    on = (states[:, units] > threshold).sum(axis=1)
    on[skipped] = 0
    most, found = on.max(), []
    for first, end in pairwise(starts):
        for a in range(first, end):
            for b in range(a, end):
                inside = (on[a : b + 1] == most).all()
                if inside and (a == first or on[a - 1] < most) and (b + 1 == end or on[b + 1] < most):
                    others = (states[a : b + 1] > threshold).all(axis=0).sum() - np.isin(
                        np.flatnonzero((states[a : b + 1] > threshold).all(axis=0)), units
                    ).sum()
                    found.append((a - b, others, a, b))
    return most, [(a, b) for _, _, a, b in sorted(found)] if most else []


def listed(page):
    """The stretches in the list, as displayed steps, after all of them are unfolded."""
    while page.locator("#pattern button", has_text="more …").count():
        page.locator("#pattern button", has_text="more …").click()
    rows = [row.locator(".token.meant").evaluate_all(STEPS) for row in page.locator("#pattern ol li").all()]
    return [(row[0], row[-1]) for row in rows]


def units_of(page):
    return sorted(int(chip.get_attribute("data-unit")) for chip in page.locator("#pattern .on-unit").all())


@pytest.mark.parametrize("scope", [0, 1])
@pytest.mark.parametrize(("q", "chosen", "share"), CASES)
def test_units_and_stretches_are_those_of_brute_force(open_page, report, run, shown, scope, q, chosen, share):
    page = open_page(report, f"#state={scope}&sequence={q}&range={chosen[0]}+{chosen[1]}")
    threshold, states, starts = set_threshold(page, share), states_of(page), starts_of(shown)
    recorded = run.result(Units, scope).activation
    np.testing.assert_allclose(states, recorded, atol=1.1 * np.ptp(recorded, axis=0).max() / 508)
    inside = slice(starts[q] + chosen[0], starts[q] + chosen[1] + 1)
    units = np.flatnonzero((states[inside] > threshold).all(axis=0))
    assert units_of(page) == units.tolist()
    for unit in units:
        chip = page.locator(f"#pattern .on-unit[data-unit='{unit}']")
        assert f"{(states[:, unit] > threshold).mean():.1%}" in chip.inner_text()
    most, expected = stretches(states, starts, units, threshold, inside)
    assert listed(page) == expected
    text = page.locator("#pattern").inner_text()
    if units.size and most == units.size:
        assert f"{'All of them are' if most > 1 else 'It is'} on at {len(expected)} other place" in text
    elif most:
        assert f"{most} of them are, at {len(expected)} place" in text
    assert f"searched: {len(states)} steps" in page.locator("#note-pattern").inner_text()


def test_ranges_and_thresholds_differ_in_what_they_find(open_page, report, shown):
    """The cases above hold full matches, partial ones, and stretches of several steps."""
    page, kinds = open_page(report), set()
    starts, states = starts_of(shown), states_of(page)
    for q, (a, b), share in CASES:
        threshold = page.evaluate("RR.unitsOf().activationClip") * share / 100
        inside = slice(starts[q] + a, starts[q] + b + 1)
        units = np.flatnonzero((states[inside] > threshold).all(axis=0))
        most, found = stretches(states, starts, units, threshold, inside)
        kinds |= {"none"} if not units.size else {"all"} if most == units.size else {"part"}
        kinds |= {"long"} if any(b > a for a, b in found) else set()
    assert kinds == {"all", "part", "none", "long"}


def test_off_just_before_and_after(open_page, report, shown):
    q, a, b = 4, 1, 1
    page, starts = open_page(report, f"#sequence={q}&range={a}+{b}"), starts_of(shown)
    threshold, states = set_threshold(page, 5), states_of(page)
    on = states > threshold
    here, before, after = (on[starts[q] + t] for t in (a, a - 1, b + 1))
    assert (here & before).any() and (here & after).any() and (here & ~before).any()
    page.locator("#pattern-before").click()
    assert units_of(page) == np.flatnonzero(here & ~before).tolist()
    page.locator("#pattern-after").click()
    assert units_of(page) == np.flatnonzero(here & ~before & ~after).tolist()
    page.locator("#pattern-before").click()
    assert units_of(page) == np.flatnonzero(here & ~after).tolist()


def test_a_range_is_dragged_shift_clicked_and_typed(open_page, report, shown):
    q = int(np.flatnonzero(shown.lengths >= 6)[0])
    page = open_page(report, f"#sequence={q}")
    show_figure(page, "pattern")
    assert "Select a step" in page.locator("#pattern").inner_text()
    token = page.locator("#text .token")
    token.nth(0).scroll_into_view_if_needed()

    def centre(t):
        box = token.nth(t).bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    page.mouse.move(*centre(3))
    page.mouse.down()
    for t in (2, 1):  # backwards
        page.mouse.move(*centre(t), steps=4)
    page.mouse.up()
    settle(page)
    assert page.evaluate("[RR.selection.range, RR.selection.step]") == [[1, 3], None]
    ranged = page.eval_on_selector_all("#text .token.ranged", STEPS)
    assert ranged == [starts_of(shown)[q] + t for t in (1, 2, 3)]
    assert picks(page) == [shown.sequence_ids[q], "steps 2 to 4"]
    show_figure(page, "pattern")
    assert page.locator("#range-from").input_value() == "2" and page.locator("#range-to").input_value() == "4"
    page.keyboard.press("Escape")
    settle(page)
    assert page.evaluate("RR.selection.range") == []
    token.nth(4).click()
    token.nth(2).click(modifiers=["Shift"])
    settle(page)
    assert page.evaluate("[RR.selection.range, RR.selection.step]") == [[2, 4], 4]
    token.nth(5).focus()
    page.keyboard.press("Shift+Enter")
    settle(page)
    assert page.evaluate("RR.selection.range") == [4, 5]
    show_figure(page, "pattern")
    page.locator("#range-from").fill("1")
    page.keyboard.press("Tab")
    settle(page)
    assert page.evaluate("RR.selection.range") == [0, 5]
    assert f"from step 1 to 6 of {shown.sequence_ids[q]}" in page.locator("#title-pattern").inner_text()
    again = open_page(report, page.url[page.url.index("#") :])
    settle(again)
    assert again.evaluate("RR.selection.range") == [0, 5] and again.locator("#text .token.ranged").count() == 6
    page.locator(f"#table tr[data-q='{q + 1}']").click()
    settle(page)
    assert page.evaluate("RR.selection.range") == [] and page.locator("#text .token.ranged").count() == 0


def test_units_and_places_lead_to_the_other_views(open_page, report, shown):
    page = open_page(report, "#sequence=3&step=2&lens=step")
    show_plot(page, "map")
    show_figure(page, "pattern")
    assert "at step 3 of" in page.locator("#title-pattern").inner_text()  # the selected step is a range of one
    chip = page.locator("#pattern .on-unit").first
    chip.click()
    settle(page)
    assert picks(page)[0] == f"unit {chip.get_attribute('data-unit')}"
    assert chip.get_attribute("aria-pressed") == "true"
    place = page.locator("#pattern ol .token.meant").first
    p = int(place.get_attribute("data-p"))
    q = int(np.searchsorted(starts_of(shown), p, side="right")) - 1
    place.click()
    settle(page)
    assert picks(page)[1:] == [shown.sequence_ids[q], f"step {p - starts_of(shown)[q] + 1}"]
    assert page.locator("#text .token.here").get_attribute("data-p") == str(p)
