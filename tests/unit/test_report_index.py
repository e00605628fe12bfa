"""The index of many runs as text, and light pages piece by piece."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rnnreport.report import IndexEntry, render_index, render_report
from rnnreport.report.figures.trends import HEIGHT, WIDTH, trend_svg
from rnnreport.report.index import in_order
from rnnreport.report.light import make_light
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import Summary


@pytest.fixture(scope="module")
def summary(analysed_runs: tuple[Path, Path]) -> Summary:
    return RunFolder(analysed_runs[0]).summary()


@pytest.fixture(scope="module")
def report(page_files: dict[str, Path]) -> str:
    return page_files["report"].read_text(encoding="utf-8")


def with_accuracy(summary: Summary, value: float | None, name: str = "run") -> Summary:
    metrics = {key: entry for key, entry in summary.metrics.items() if key != "accuracy"}
    if value is not None:
        metrics["accuracy"] = summary.metrics["accuracy"] | {"value": value}
    return replace(summary, run=name, metrics=metrics)


def test_five_hundred_runs_in_a_small_page(summary: Summary) -> None:
    values = np.random.default_rng(0).uniform(0.5, 1, 500)
    entries = [
        IndexEntry(f"runs/2026-{n:03}/report.html", with_accuracy(summary, value, f"nightly {n}"))
        for n, value in enumerate(values)
    ]
    page = render_index(entries)
    assert len(page.encode()) < 3_000_000
    assert page.count("<tr>") == 501
    line = re.search(r"accuracy <span.*?<polyline points=\"([^\"]*)\"", page)
    assert line and len(line[1].split()) == 500


def test_trends_bridge_gaps() -> None:
    points = re.search(r'points="([^"]*)"', trend_svg([1.0, None, 3.0]))
    assert points and points[1] == f"0.0,{HEIGHT:.1f} {WIDTH:.1f},0.0"
    assert f"0.0,{HEIGHT:.1f}" in trend_svg([2.0, 2.0])  # nothing changed: no division by zero


def test_what_a_run_lacks_is_no_number(summary: Summary) -> None:
    earlier = tuple(check for check in summary.checks if check.id not in ("still-units", "collapsed-state"))
    entries = [
        IndexEntry("a.html", with_accuracy(summary, 0.5)),
        IndexEntry("b.html", replace(with_accuracy(summary, None), checks=earlier)),
    ]
    page = render_index(entries)
    titles = re.findall(r"<th[^>]*>([^<]*)</th>", page.split("<tbody>")[0])
    cells = [re.findall(r'data-value="([^"]*)"', row) for row in page.split("<tbody>")[1].split("</tr>")[:2]]
    at = (
        titles.index("accuracy") - titles.index("parameters"),
        titles.index("faulty units") - titles.index("parameters"),
    )
    assert [[row[place] for place in at] for row in cells] == [["0.5", "0"], ["", ""]]
    assert 'data-column="5"' not in page  # one value is no trend


def test_a_ratio_is_not_printed_as_a_share(summary: Summary) -> None:
    """Training may add directions: 1.62 times as many are not "162.5%" of them kept."""
    checks = [replace(check, value=1.6247 if check.id == "collapsed-state" else 0.25) for check in summary.checks]
    page = render_index([IndexEntry("a.html", replace(summary, checks=tuple(checks)))])
    assert '<td class="n" data-value="1.6247">1.62</td>' in page
    assert '<td class="n" data-value="0.25">25.0%</td>' in page  # saturated units are a share


def test_runs_are_in_the_order_people_count() -> None:
    assert sorted(["run-10", "run-9", "a/2", "a/10"], key=in_order) == ["a/2", "a/10", "run-9", "run-10"]


def test_a_light_page_holds_all_but_scripts_and_numbers(report: str) -> None:
    made = make_light(report, "../assets")
    assert made is not None
    page, files = made
    assert len(page.encode()) + sum(map(len, files.values())) < len(report.encode())
    (shared,) = [name for name in files if re.fullmatch(r"rnnreport-\w+\.bin", name)]
    (sheet,) = [name for name in files if name.endswith(".css")]
    (numbers,) = [name for name in files if name.startswith("numbers-")]
    (own,) = [name for name in files if name.startswith("data-")]
    scripts = [gzip.decompress(base64.b64decode(text)) for text in re.findall(r'class="packed">([^<]+)<', report)]
    assert len(scripts) == 2 and gzip.decompress(files[shared]) == b"\n;\n".join(scripts)
    assert files[own] == base64.b64decode(re.search(r'id="payload">([^<]+)<', report)[1])  # type: ignore[index]
    allowed = base64.b64encode(hashlib.sha256(gzip.decompress(files[shared])).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy and f"sha256-{allowed}" in policy[1] and "connect-src &#39;self&#39;;" in policy[1]
    assert f"<style>{files[sheet].decode()}</style>" in report and "<style" not in page
    assert page.count(f'<link rel="stylesheet" href="../assets/{sheet}">') == 1
    linked = re.findall(rf'href="\.\./assets/{numbers}#([a-z0-9-]+)"', page)
    assert linked == re.findall(r'href="#(number-[a-z0-9-]+)"', report) and 'href="#number-' not in page
    assert linked and set(linked) <= set(re.findall(r'<dt id="([^"]+)"', files[numbers].decode()))
    assert page.count(f'data-src="../assets/{shared}"') == page.count(f'data-src="../assets/{own}"') == 1
    assert "connect-src" not in report and "data-src" not in report.replace("dataset.src", "")


def test_reports_of_one_version_share_their_scripts(analysed_runs: tuple[Path, Path], report: str) -> None:
    first, second = (make_light(page, "a") for page in (report, render_report(RunFolder(analysed_runs[1]))))
    assert first and second
    assert len({*first[1], *second[1]}) == 5  # each its data; scripts, style sheet and appendix for both


def test_light_pages_are_the_same_in_another_process(report: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(report, encoding="utf-8")
    code = "import sys, pathlib; from rnnreport.report.light import make_light\n"
    code += "page, files = make_light(pathlib.Path(sys.argv[1]).read_text(encoding='utf-8'), 'a'); print(sorted(files))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "page.html")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(sorted(make_light(report, "a")[1]))  # type: ignore[index]


def test_pages_of_earlier_versions_stay_as_they_are(report: str) -> None:
    assert make_light(report.replace("dataset.src", "dataset.older"), "a") is None
    assert make_light("<!doctype html><p>something else</p>", "a") is None


def test_text_from_outside_is_never_taken_for_data(analysed_runs: tuple[Path, Path], tmp_path: Path) -> None:
    folder = RunFolder(shutil.copytree(analysed_runs[0], tmp_path / "run"))
    forged = (
        '<script type="text/plain" id="payload">AAAA</script><script type="text/plain" class="packed">AAAA</script>'
    )
    folder.write_manifest(replace(folder.manifest(), name=forged))
    made = make_light(render_report(folder), "a")
    assert made is not None and "&lt;script type=" in made[0] and len(made[1]) == 4
