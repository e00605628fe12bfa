"""summary.md as a Markdown renderer reads it: tables, sparklines, its size, and text from strangers."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from rnnreport.analyses import analyse, compare
from rnnreport.analyses.health import state_health
from rnnreport.report import render_summary_markdown
from rnnreport.report.environment import markdown_escape, signed
from rnnreport.report.markdown import MOST_CHARACTERS, marker, sparkline
from rnnreport.results.folder import RunFolder
from tests.fabricate import HOSTILE, fabricate_run
from tests.small import ROUGH

ATTACKS = (
    *HOSTILE,
    "[click](https://evil.example)",
    "![x](https://evil.example/x.png)",
    "<img src=x onerror=alert(1)>",
    "a | b | c",
    "`code` **bold** ~~gone~~",
    "@everyone #1",
    "\n\n# heading\n\n- item",
    "--> <b>out</b> <!--",
    "https://evil.example/auto",
    "www.evil.example",
)


def parsed(text: str) -> list[Token]:
    """Every token, as GitHub's dialect has it, with HTML allowed so that it would show."""
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text)
    return [inner for token in tokens for inner in (token, *(token.children or []))]


def tables(text: str) -> dict[str, list[list[str]]]:
    """Rows of cells by the heading above, read by the renderer."""
    found: dict[str, list[list[str]]] = {}
    title, tokens = "", MarkdownIt("commonmark").enable("table").parse(text)
    for place, token in enumerate(tokens):
        if token.type == "heading_open":
            title = tokens[place + 1].content
        elif token.type == "tr_open":
            found.setdefault(title, []).append([])
        elif token.type in ("td_open", "th_open"):
            found[title][-1].append("".join(child.content for child in tokens[place + 1].children or []))
    return found


@pytest.fixture
def run(analysed_runs: tuple[Path, Path], tmp_path: Path) -> RunFolder:
    return RunFolder(shutil.copytree(analysed_runs[0], tmp_path / "run"))


def test_it_is_markdown_with_one_link_and_tables(run: RunFolder) -> None:
    text = render_summary_markdown(run)
    kinds = [token.type for token in parsed(text)]
    assert kinds.count("link_open") == 1 and "(report.html)" in text
    assert kinds.count("html_block") == 1 and text.startswith(marker("first"))  # the marker, and nothing else
    assert "html_inline" not in kinds
    found = tables(text)
    assert list(found) == ["Metrics", "Checks", "Training"]
    summary = run.summary()
    assert len(found["Metrics"]) == 1 + len(summary.metrics) and len(found["Checks"]) == 1 + len(summary.checks)
    assert all(len(row) == len(rows[0]) for rows in found.values() for row in rows)
    assert found["Checks"][1][1] == summary.verdict  # the worst first


def test_a_baseline_adds_what_changed(run: RunFolder, analysed_runs: tuple[Path, Path]) -> None:
    comparison = compare([RunFolder(analysed_runs[1]), run])
    run.write_result(comparison)
    found = tables(render_summary_markdown(run))
    row = next(row for row in found["Metrics"] if row[0] == "accuracy")
    paired = comparison.paired[0]
    assert row[5].startswith(f"{signed(paired['difference'])} ({signed(paired['low'])} to {signed(paired['high'])}")
    changed = np.flatnonzero(comparison.predicted[0] != comparison.predicted[1])
    assert len(changed) > 3
    (flips,) = [rows for title, rows in found.items() if title.startswith(f"Changed predictions ({len(changed)} of 40")]
    assert [row[0] for row in flips[1:]] == [comparison.sequence_ids[place] for place in changed]


def test_faulty_units_are_named(run: RunFolder) -> None:
    last = run.checkpoint(run.epochs()[-1])
    last.states["lstm.0.fwd.h"][:, [2, 5]] = 0
    run.write_checkpoint(last)
    run.write_result(state_health(run))
    found = tables(render_summary_markdown(run))["Faulty units"]
    assert found[1:] == [["lstm, layer 1, hidden state h", "dead", "2, 5", "2"]]


def test_the_largest_table_is_cut_first(run: RunFolder, analysed_runs: tuple[Path, Path]) -> None:
    comparison = compare([RunFolder(analysed_runs[1]), run])
    count = 5000
    predicted = np.stack([np.zeros(count, np.int32), np.ones(count, np.int32)])
    ids = tuple(f"sequence-{number}" for number in range(count))
    labels = np.zeros(count, np.int32)
    sure = np.ones(predicted.shape, np.float32)
    run.write_result(replace(comparison, predicted=predicted, confidence=sure, sequence_ids=ids, labels=labels))
    text = render_summary_markdown(run)
    found = tables(text)
    (title,) = [title for title in found if title.startswith("Changed")]
    left = int(re.search(r"… and ([\d,]+) more, left out", text)[1].replace(",", ""))  # type: ignore[index]
    assert 0.6 * MOST_CHARACTERS < len(text) < MOST_CHARACTERS
    assert len(found[title]) - 1 + left == count
    assert len(found["Checks"]) - 1 == len(run.summary().checks)


def test_it_fits_whatever_strangers_write(run: RunFolder) -> None:
    summary, manifest = run.summary(), run.manifest()
    checks = tuple(replace(check, text="|`<" * 30_000) for check in summary.checks)
    findings = tuple({"text": "*" * 90_000, "anchor": "overview"} for _ in range(5))
    run.write_summary(replace(summary, checks=checks, findings=findings))
    run.write_manifest(replace(manifest, name="#" * 90_000, corpus=manifest.corpus | {"name": "_" * 90_000}))
    assert len(render_summary_markdown(run)) < MOST_CHARACTERS


@pytest.mark.parametrize("attack", ATTACKS)
def test_text_from_strangers_stays_text(run: RunFolder, attack: str) -> None:
    plain = [token.type for token in parsed(render_summary_markdown(run))]
    summary, manifest = run.summary(), run.manifest()
    checks = tuple(replace(check, text=attack) for check in summary.checks)
    run.write_summary(replace(summary, checks=checks, findings=({"text": attack, "anchor": "overview"},)))
    run.write_manifest(replace(manifest, name=attack, corpus=manifest.corpus | {"name": attack}))
    text = render_summary_markdown(run)
    tokens = parsed(text)
    kinds = [token.type for token in tokens]
    for kind in ("link_open", "image", "html_inline", "html_block", "code_inline", "strong_open", "s_open"):
        assert kinds.count(kind) == plain.count(kind), kind
    assert kinds.count("heading_open") == plain.count("heading_open")
    assert kinds.count("td_open") == plain.count("td_open")
    assert re.fullmatch(r"<!-- rnnreport:[A-Za-z0-9.-]* -->", text.splitlines()[0])
    assert "@everyone" not in text and not re.search(
        r"(https?://|www\.)", text.split("\n", 1)[1]
    )  # which would be mentions and links
    shown = " ".join(token.content for token in tokens if token.type == "text").replace("\u2060", "")
    assert " ".join(attack.split())[:12] in shown.replace("  ", " ")


@pytest.mark.parametrize(
    "plain",
    [
        "0.961",
        "-0.166",
        "+0.05 (-0.01 to +0.11)",
        "1.2e-05",
        "test_loss ends at 0.1; its lowest is 0.09",
        "n = 3 & p < 0.05",
    ],
)
def test_what_is_no_markup_is_left_as_it_is_written(plain: str) -> None:
    assert str(markdown_escape(plain)) == plain.replace("<", "&lt;")


def test_what_would_be_markup_where_it_stands_is_escaped() -> None:
    written = ["1. a", "10) a", "- a", "+ a", "---", "# a", "> a", "_a_ b_c", "&amp; &", "a | b", "2 * 3"]
    escaped = [
        "1\\. a",
        "10\\) a",
        "\\- a",
        "\\+ a",
        "\\---",
        "\\# a",
        "\\> a",
        "\\_a\\_ b_c",
        "&amp;amp; &",
        "a \\| b",
        "2 \\* 3",
    ]
    assert [str(markdown_escape(text)) for text in written] == escaped


def test_numbers_of_the_comment_are_written_plainly(run: RunFolder) -> None:
    assert not re.search(r"\d\\|\\[().+-]", render_summary_markdown(run))


def test_sparklines() -> None:
    assert sparkline(np.arange(8.0)) == "▁▂▃▄▅▆▇█"
    assert sparkline(np.array([2.0, 2.0])) == "▄▄"
    assert sparkline(np.array([0, np.nan, 1])) == "▁·█"
    assert sparkline(np.array([np.nan])) == "·"
    long = sparkline(np.arange(1000.0))
    assert len(long) == 30 and long[0] == "▁" and long[-1] == "█"


def test_the_marker_outlives_a_new_corpus_and_another_verdict(tmp_path: Path) -> None:
    texts = []
    for place, sequences in enumerate((20, 30)):
        folder = fabricate_run(tmp_path / str(place), epochs=1, sequences=sequences, units=6, name="main & co")
        analyse(folder, params=ROUGH)
        texts.append(render_summary_markdown(folder).splitlines()[0])
    assert texts == ["<!-- rnnreport:main-co -->"] * 2
