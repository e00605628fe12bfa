"""What each command writes, prints and returns."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rnnreport.cli import cli, outputs
from rnnreport.results.folder import RunFolder

RENDERED = {"report.html", "summary.md"}


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def test_every_command_and_option_has_help(rnnreport):
    general = rnnreport("--help")
    assert general.code == 0
    assert set(cli.commands) == {
        "demo",
        "train",
        "run",
        "capture",
        "analyse",
        "render",
        "compare",
        "check",
        "index",
        "watch",
    }
    for name, command in cli.commands.items():
        assert name in general.out
        shown = rnnreport(name, "--help")
        assert (shown.code, shown.err) == (0, "")
        assert all(parameter.help for parameter in command.params if parameter.param_type_name == "option")


def test_version(rnnreport):
    import rnnreport as package

    assert rnnreport("--version").out.split()[-1] == package.__version__


@pytest.mark.parametrize(
    "arguments",
    [["--nonsense"], ["nonsense"], ["render"], ["compare", "one"], ["demo", "--task", "mnist"], ["run", "--seed", "x"]],
)
def test_wrong_usage_is_one_line_and_two(rnnreport, arguments):
    outcome = rnnreport(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.count("\n") == 1
    assert "--help" in outcome.error


def test_render_writes_the_page_and_the_summary(rnnreport, runs):
    run = runs[0]
    before = names(run)
    outcome = rnnreport("render", run)
    assert (outcome.code, outcome.out) == (0, f"{run / 'report.html'}\n")
    assert names(run) == before | RENDERED
    assert (run / "report.html").read_text().startswith("<!doctype html>")


def test_render_is_the_same_again(rnnreport, runs):
    assert rnnreport("render", runs[0], "--out", "one.html").code == 0
    assert rnnreport("render", runs[0], "--out", "two.html").code == 0
    assert Path("one.html").read_bytes() == Path("two.html").read_bytes()


def test_stdout_holds_the_page_and_nothing_else(rnnreport, runs):
    before = names(runs[0])
    rnnreport("render", runs[0], "--out", "page.html")
    outcome = rnnreport("render", runs[0], "--out", "-")
    assert outcome.code == 0
    assert outcome.out == Path("page.html").read_text()
    assert names(runs[0]) == before
    compared = rnnreport("compare", *runs, "--out", "-")
    assert compared.out.startswith("<!doctype html>")
    assert compared.out.rstrip().endswith("</html>")


def test_quiet_silences_everything_but_errors(rnnreport, runs):
    assert rnnreport("-q", "analyse", runs[0], "--force").err == ""
    assert rnnreport("-q", "analyse", runs[0]).error


def test_existing_outputs_are_refused_without_force(rnnreport, runs):
    run = runs[0]
    (run / "report.html").write_text("mine")
    Path("page.html").write_text("mine")
    Path("index.html").write_text("mine")
    for arguments in (
        ["render", run],
        ["render", run, "--out", "page.html"],
        ["analyse", run],
        ["compare", *runs, "--out", "page.html"],
        ["index", ".", "--out", "."],
        ["demo", "--out", run],
    ):
        outcome = rnnreport(*arguments)
        assert (outcome.code, outcome.out) == (2, "")
        assert "--force" in outcome.error
    for path in (run / "report.html", Path("page.html"), Path("index.html")):
        assert path.read_text() == "mine"
    assert rnnreport("render", run, "--force").code == 0
    assert (run / "report.html").read_text() != "mine"


def test_analyse_makes_the_results_anew(rnnreport, runs):
    run = runs[0]
    assert rnnreport("analyse", run, "--force").code == 0
    before = {path.name: path.read_bytes() for path in (run / "results").iterdir()}
    (run / "results" / "stale.json").write_text("{}")
    outcome = rnnreport("analyse", run, "--force")
    assert (outcome.code, outcome.out) == (0, f"{run / 'results'}\n")
    assert {path.name: path.read_bytes() for path in (run / "results").iterdir()} == before
    assert not [name for name in names(run) if name.startswith(".")]


def test_a_failed_analysis_leaves_the_old_results(rnnreport, runs, monkeypatch):
    run = runs[0]
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}

    def fail(folder: RunFolder, *_: object) -> None:
        assert len(list((folder.made / "results").iterdir())) > 10
        raise RuntimeError("broken\nin two lines")

    monkeypatch.setattr("rnnreport.analyses.pipeline.summarise", fail)
    outcome = rnnreport("analyse", run, "--force")
    assert outcome.code == 1
    assert "unexpected RuntimeError: broken in two lines" in outcome.error
    assert "Traceback" not in outcome.err
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert names(run) == {path.relative_to(run).parts[0] for path in before}
    assert "Traceback" in rnnreport("--debug", "analyse", run, "--force").err


def test_compare(rnnreport, runs):
    outcome = rnnreport("compare", *runs, "--out", "new/compare.html")
    assert (outcome.code, outcome.out) == (0, "new/compare.html\n")
    assert 'id="figure-findings"' in Path("new/compare.html").read_text(encoding="utf-8")


def test_analyse_with_a_baseline_adds_the_comparison(rnnreport, runs):
    first, second = runs
    assert rnnreport("analyse", second, "--baseline", first, "--force").code == 0
    assert json.loads((second / "results" / "comparison.json").read_text())["runs"] == ["first", "second"]


def test_index_links_every_rendered_run(rnnreport, runs):
    for run in runs:
        rnnreport("render", run)
    Path("nested/.hidden.partial-1").mkdir(parents=True)
    shutil.copytree(runs[0], "nested/third")
    shutil.copytree(runs[0], "nested/.hidden.partial-1/fourth")
    shutil.copytree(runs[0], "unrendered", ignore=shutil.ignore_patterns("report.html"))
    outcome = rnnreport("index", ".", "--out", "site")
    assert (outcome.code, outcome.out) == (0, "site/index.html\n")
    assert "1 of 4 runs have no report" in outcome.err
    page = Path("site/index.html").read_text()
    for link in ("../first/report.html", "../second/report.html", "../nested/third/report.html"):
        assert f'href="{link}"' in page
    assert ".hidden.partial" not in page


def test_index_links_folders_of_any_name(rnnreport, runs):
    rnnreport("render", runs[0])
    Path("site").mkdir()
    shutil.copytree(runs[0], "site/javascript:alert(1)#?%41")
    rnnreport("index", "site", "--out", "site")
    assert 'href="javascript%3Aalert%281%29%23%3F%2541/report.html"' in Path("site/index.html").read_text()


def test_an_index_of_nothing_is_refused(rnnreport):
    Path("empty").mkdir()
    assert rnnreport("index", "empty", "--out", "site").code == 2
    assert not Path("site").exists()


def test_pages_that_are_too_large(rnnreport, runs, monkeypatch):
    outcome = rnnreport("render", runs[0], "--max-size", "0.1")
    assert (outcome.code, outcome.out) == (2, "")
    assert "--max-size" in outcome.error
    assert "report.html" not in names(runs[0])
    monkeypatch.setattr(outputs, "_LARGE_MB", 0.2)
    outcome = rnnreport("render", runs[0], "--force")
    assert outcome.code == 0
    assert "warning: the page is 0." in outcome.err


@pytest.mark.parametrize("command", ["render", "analyse"])
def test_what_is_no_run_folder(rnnreport, command):
    Path("folder").mkdir()
    outcome = rnnreport(command, "folder")
    assert outcome.code == 2
    assert "is not a run folder" in outcome.error


def test_different_probe_sets_are_refused(rnnreport, runs):
    from tests.fabricate import fabricate_run

    fabricate_run(Path("other"), epochs=1, sequences=30, units=8)
    outcome = rnnreport("compare", runs[0], "other", "--out", "page.html")
    assert outcome.code == 2
    assert not Path("page.html").exists()
