"""A report with every kind of figure, as readers set their machines: contrast, keyboard, no motion, what is read out.

It is rendered from the results of ``sample_reports/lstm``: fabricated runs have no recording of causes and computation.
"""

from __future__ import annotations

import re

import pytest

from rnnreport.report import render_report
from rnnreport.results.folder import RunFolder
from tests.browser.conftest import assert_accessible, show_plot

pytestmark = pytest.mark.browser

SEEN = 0.01  # s, of a motion
MOST_STOPS = 3000


@pytest.fixture(scope="module")
def whole(root, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "report.html"
    path.write_text(render_report(RunFolder(root / "sample_reports" / "lstm")), encoding="utf-8")
    return path


def unfolded(page):
    """The page with everything open and every figure drawn once."""
    page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
    for name in page.eval_on_selector_all(".plot", "places => places.map((place) => place.id.slice(5))"):
        show_plot(page, name)
    return page


@pytest.mark.parametrize(("width", "scheme", "forced"), [(1440, "dark", "none"), (390, "light", "active")])
def test_accessible_and_as_wide_as_the_window(open_page, whole, width, scheme, forced):
    page = unfolded(open_page(whole, width=width, scheme=scheme, forced=forced))
    assert page.evaluate("matchMedia('(forced-colors: active)').matches") == (forced == "active")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert_accessible(page)


def test_every_picture_is_told_or_hidden(open_page, whole):
    page = unfolded(open_page(whole))
    untold = page.evaluate(
        """() => {
          const names = ["aria-label", "aria-labelledby", "title"];
          const named = (node) => names.some((name) => node.getAttribute(name)?.trim())
            || node.querySelector(":scope > title")?.textContent.trim();
          const inside = (node) => node.matches("canvas") && node.closest("[role=img], [role=figure]");
          const told = (node) => named(node) && node.hasAttribute("role");
          return [...document.querySelectorAll("canvas, svg, .plot")]
            .filter((node) => !node.closest("[aria-hidden=true]") && !told(node) && !inside(node))
            .map((node) => `${node.closest("[id]")?.id}: ${node.outerHTML.slice(0, 120)}`);
        }"""
    )
    assert untold == []
    assert page.locator(".plot").count() > 5 and page.locator("main svg").count() > 10


def test_tab_goes_through_the_page_and_shows_where_it_is(open_page, whole):
    page = unfolded(open_page(whole))
    page.evaluate("""() => {
      let count = 0;
      const seen = new Map();
      window.stop = () => {
        let node = document.activeElement;
        while (node.shadowRoot?.activeElement) node = node.shadowRoot.activeElement;
        if (node === document.body) return null;
        const again = seen.has(node), style = getComputedStyle(node);
        seen.set(node, count++);
        const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1
          && !/rgba\\(.*, 0\\)/.test(style.outlineColor);
        const wide = (part) => parseFloat(getComputedStyle(part).strokeWidth) >= 4;
        const drawn = [...node.querySelectorAll("rect")].some(wide);
        return { again, marked: ring || drawn, what: `${node.closest("[id]")?.id}: ${node.outerHTML.slice(0, 100)}` };
      };
    }""")
    page.evaluate("scrollTo(0, 0)")
    stops = []
    while len(stops) < MOST_STOPS:
        page.keyboard.press("Tab")
        stop = page.evaluate("stop()")
        if stop is None or stop["again"]:
            break
        stops.append(stop)
    assert stop is None, stop["what"]  # the end of the page, not a trap
    assert len(stops) > 50
    assert [one["what"] for one in stops if not one["marked"]] == []
    reached = " ".join(one["what"] for one in stops)
    assert all(f'id="{name}"' in reached for name in ("state", "epoch", "theme", "dynamics-play"))


def test_nothing_moves_where_motion_is_reduced(open_page, whole):
    page = unfolded(open_page(whole))
    slow = page.evaluate(
        """(seen) => {
          const seconds = (text) => parseFloat(text) / (text.trim().endsWith("ms") ? 1000 : 1);
          const moves = (node, part) => {
            const style = getComputedStyle(node, part);
            const times = `${style.transitionDuration},${style.animationDuration}`.split(",");
            return times.some((one) => seconds(one) > seen);
          };
          return [...document.querySelectorAll("*")]
            .filter((node) => [null, "::before", "::after"].some((part) => moves(node, part)))
            .map((node) => node.outerHTML.slice(0, 100));
        }""",
        SEEN,
    )
    assert slow == []
    assert page.evaluate("document.getAnimations().length") == 0
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    epoch = page.evaluate("RR.selection.epoch")
    page.locator("#dynamics-play").scroll_into_view_if_needed()
    page.wait_for_timeout(800)  # longer than a frame of the epochs
    assert page.evaluate("RR.selection.epoch") == epoch
    assert page.locator("#dynamics-play").get_attribute("aria-pressed") == "false"


@pytest.mark.parametrize("width", [1440, 390])
def test_what_a_link_leads_to_is_not_under_the_header(open_page, whole, width):
    page = open_page(whole, width=width)
    for link in page.locator("header nav a").all():
        name = re.sub("^#", "", link.get_attribute("href"))
        page.evaluate("(name) => { location.hash = ''; location.hash = name; }", name)
        page.wait_for_timeout(50)
        covered = page.evaluate(
            """(name) => {
              const head = document.querySelector(`#${name} h1, #${name} h2:not(.sr)`).getBoundingClientRect().top;
              const above = [...document.querySelectorAll("header.masthead, #bar")]
                .filter((node) => getComputedStyle(node).position !== "static")
                .map((node) => node.getBoundingClientRect())
                .filter(({ top }) => top < head);
              return Math.max(0, ...above.map(({ bottom }) => bottom)) - head;
            }""",
            name,
        )
        assert covered <= 1, name
