"""The index under a real mouse; light reports from a web server; reports inside sandboxed frames."""

from __future__ import annotations

import functools
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

import rnnreport
from rnnreport.cli import main
from rnnreport.report import IndexEntry, render_index, render_report
from rnnreport.results.folder import RunFolder
from tests.browser.conftest import READY
from tests.typeset import plain

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(analysed_runs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A light site of two runs."""
    path = tmp_path_factory.mktemp("site")
    for run in analysed_runs:
        folder = RunFolder(shutil.copytree(run, path / "runs" / run.name))
        (folder.path / "report.html").write_text(render_report(folder), encoding="utf-8")
    assert main(["-q", "index", str(path / "runs"), "--out", str(path / "site"), "--light"]) == 0
    return path / "site"


@pytest.fixture
def served(site: Path) -> Iterator[str]:
    class Silent(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Silent, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def index(analysed_runs: tuple[Path, Path], tmp_path: Path) -> Path:
    made = RunFolder(analysed_runs[0]).summary()
    entries = []
    for number, (name, verdict, accuracy) in enumerate(
        [("main 1", "pass", 0.7), ("main 2", "warn", 0.9), ("branch 1", "fail", 0.5), ("main 3", "warn", 0.8)]
    ):
        metrics = made.metrics | {"accuracy": made.metrics["accuracy"] | {"value": accuracy}}
        entries.append(IndexEntry(f"{number}/report.html", replace(made, run=name, verdict=verdict, metrics=metrics)))
    path = tmp_path / "index.html"
    path.write_text(render_index(entries), encoding="utf-8")
    return path


def names(page: Page) -> list[str]:
    rows = page.locator("#runs tbody tr")
    return [row.locator("th").inner_text() for row in rows.all() if row.is_visible()]


def test_filters_and_order_reach_the_trends(open_page: Callable[..., Page], index: Path) -> None:
    page = open_page(index)
    trend = page.locator(".trend", has_text="accuracy")
    assert plain(trend.locator(".note").inner_text()) == "70.0% → 80.0%, n = 4"
    page.select_option("#by-verdict", "warn")
    assert names(page) == ["main 2", "main 3"]
    assert page.locator("#shown").inner_text() == "2 shown"
    assert plain(trend.locator(".note").inner_text()) == "90.0% → 80.0%, n = 2"
    assert len(trend.locator("polyline").get_attribute("points").split()) == 2
    page.select_option("#by-verdict", "")
    page.fill("#find", "MAIN")
    assert names(page) == ["main 1", "main 2", "main 3"]
    page.get_by_role("button", name="accuracy").click()
    assert names(page) == ["main 1", "main 3", "main 2"]
    assert plain(trend.locator(".note").inner_text()) == "70.0% → 90.0%, n = 3"
    page.fill("#find", "nothing")
    assert names(page) == [] and plain(trend.locator(".note").inner_text()) == "no run shown has it"


def test_a_long_name_is_cut_in_its_middle(
    open_page: Callable[..., Page], analysed_runs: tuple[Path, Path], tmp_path: Path
) -> None:
    summary, name = RunFolder(analysed_runs[0]).summary(), f"sweep {'x' * 190} seed -1"
    path = tmp_path / "index.html"
    path.write_text(render_index([IndexEntry("report.html", replace(summary, run=name))]), encoding="utf-8")
    link = open_page(path).locator("#runs th a")
    assert link.text_content() == link.get_attribute("title") == name
    box = link.bounding_box()
    assert box and box["width"] < 400 and box["height"] < 30
    head, tail = (part.bounding_box() for part in link.locator("span").all())
    assert head and tail and tail["width"] > 40 and tail["x"] + tail["width"] <= box["x"] + box["width"] + 1


def test_a_point_of_a_trend_names_its_run(open_page: Callable[..., Page], index: Path) -> None:
    page = open_page(index)
    box = page.locator(".trend", has_text="accuracy").locator("svg").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.99, box["y"] + 10)
    assert page.locator("#tooltip").inner_text() == "main 3: 80.0%"
    assert page.locator("tr.pointed th").inner_text() == "main 3"
    page.mouse.move(2, 2)
    assert page.locator("#tooltip").is_hidden() and page.locator("tr.pointed").count() == 0


def test_a_light_site_works_from_a_server(browser: Browser, site: Path, served: str) -> None:
    assert len(list((site / "assets").iterdir())) == 5  # scripts, style sheet and appendix, and the data of two runs
    assert all(path.stat().st_size < 1_000_000 for path in site.rglob("*.*"))
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page, problems, asked = context.new_page(), [], []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if line.type in ("error", "warning") else None)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{served}/index.html")
    page.get_by_role("link", name="second").click()
    page.wait_for_selector(READY, state="attached")
    page.locator("#plot-map").scroll_into_view_if_needed()
    page.wait_for_selector("#plot-map[data-ready=yes]")
    assert page.evaluate("() => RR.arrays['sequences.lengths'].length") > 0
    context.close()
    assert [line for line in problems if "favicon" not in line and "404" not in line] == []
    assert all(url.startswith(served) or url.startswith(("data:", "blob:")) for url in asked)
    assert sum(url.endswith(".bin") for url in asked) == 2


def test_a_light_page_without_its_files_says_so(browser: Browser, site: Path, tmp_path: Path) -> None:
    shutil.copy(site / "reports" / "first" / "report.html", tmp_path / "alone.html")
    context = browser.new_context()
    page = context.new_page()
    page.goto((tmp_path / "alone.html").as_uri())
    page.locator(".failed").wait_for()
    assert "could not start" in page.locator(".failed").inner_text()
    assert page.locator("#overview h1").inner_text() == "first"
    context.close()


BOTH = "allow-scripts", "allow-scripts allow-same-origin"


@pytest.mark.parametrize(
    ("how", "sandbox"), [*((how, sandbox) for how in ("src", "srcdoc") for sandbox in BOTH), ("show", BOTH[0])]
)
def test_a_report_works_in_a_sandboxed_frame(
    browser: Browser, analysed_runs: tuple[Path, Path], report: Path, tmp_path: Path, how: str, sandbox: str
) -> None:
    """As experiment trackers and notebooks show it: storage and the address may be out of reach."""
    host = tmp_path / "host.html"
    frame_text = f'<iframe id="frame" sandbox="{sandbox}" width="1200" height="800"></iframe>'
    if how == "show":
        frame_text = rnnreport.show(analysed_runs[0])._repr_html_().replace("<iframe ", '<iframe id="frame" ')
    host.write_text(frame_text, encoding="utf-8")
    context = browser.new_context(viewport={"width": 1300, "height": 900}, offline=True)
    page, problems = context.new_page(), []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    page.goto(host.as_uri())
    shown = report.as_uri() if how == "src" else report.read_text(encoding="utf-8")
    if how != "show":
        page.evaluate("([how, shown]) => { document.getElementById('frame')[how] = shown; }", [how, shown])
    frame = page.frame_locator("#frame")
    frame.locator(READY).wait_for(state="attached")
    frame.locator("#theme").click()
    frame.locator("#figure-units").scroll_into_view_if_needed()
    frame.locator("#clusters .chip, #clusters svg").first.wait_for()
    word = frame.locator("#clusters .word").nth(3)
    word.click()
    expect(word).to_have_attribute("aria-pressed", "true")
    expect(frame.locator("#title-units")).to_contain_text(word.inner_text())
    row = frame.locator("#table tbody tr").nth(2)
    row.scroll_into_view_if_needed()
    row.click()
    expect(row).to_have_attribute("aria-selected", "true")
    expect(frame.locator("#title-text")).to_contain_text(row.locator("td, th").first.inner_text())
    frame.locator("#text .token").nth(1).click()
    expect(frame.locator("#text .token.here")).to_have_count(1)
    context.close()
    assert problems == []
