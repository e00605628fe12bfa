"""How a page starts: its packed scripts under its policy, in a frame without rights, and where they cannot start."""

import pytest

from tests.browser.conftest import READY, settle, show_plot

pytestmark = pytest.mark.browser


def test_packed_scripts_run_from_a_file(open_page, report):
    page = open_page(report)
    assert page.evaluate("[typeof Bokeh, typeof RR]") == ["object", "object"]
    show_plot(page, "map")
    assert page.evaluate("document.querySelectorAll('script[src], script[nonce]').length") == 0


def test_report_works_in_a_frame_that_may_only_run_scripts(open_page, report, tmp_path):
    """As services that keep results show it: an opaque origin, without storage."""
    outer = tmp_path / "outer.html"
    outer.write_text(
        f"""<html data-ready="yes"><iframe sandbox="allow-scripts" width="1300" height="850" src="{report.as_uri()}">"""
    )
    page = open_page(outer)
    frame = page.frames[1]
    frame.wait_for_selector(READY, state="attached")
    assert frame.evaluate("origin") == "null"
    frame.locator("#clusters .word").first.click()
    settle(frame)
    assert frame.locator("#bar .pick").count() == 1


def test_a_script_that_the_policy_does_not_list_does_not_run(browser, report):
    page = browser.new_page()
    page.goto(report.absolute().as_uri())
    page.wait_for_selector(READY, state="attached")
    page.evaluate(
        """() => {
          const added = document.createElement("script");
          added.textContent = "window.ran = 1";
          document.body.append(added);
        }"""
    )
    assert page.evaluate("window.ran") is None
    page.close()


@pytest.mark.parametrize(
    "spoil",
    ["delete window.DecompressionStream", "Object.defineProperty(window, 'IntersectionObserver', { value: null })"],
    ids=["a browser that cannot unpack", "a view that fails"],
)
def test_where_scripts_fail_the_page_shows_what_it_shows_without(browser, report, spoil):
    page = browser.new_page()
    page.add_init_script(spoil)
    page.goto(report.absolute().as_uri())
    page.wait_for_selector("main > .failed")
    assert "could not start" in page.locator("main > .failed").inner_text()
    assert page.locator("#figure-map .static svg").is_visible()
    assert page.locator("#plot-map").is_hidden()
    page.close()
