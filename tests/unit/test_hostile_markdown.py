"""Payloads in summary.md, as GitHub's own renderer reads it: none becomes markup, all are shown literally."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import cmarkgfm
import numpy as np
import pytest
from cmarkgfm.cmark import Options

from rnnreport.analyses import compare
from rnnreport.errors import printable
from rnnreport.report import markdown, render_summary_markdown
from rnnreport.report.environment import markdown_escape
from rnnreport.results import store
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import Performance
from tests.payloads import TEXTS

EXPECTED = {"h2", "h3", "p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "a"}
# what GitHub looks for in the text after Markdown: people, issues, emoji
REFERENCES = re.compile(r"@\w|#\d|\bGH-\d|:[\w+-]+:", re.IGNORECASE)


class Shown(HTMLParser):
    """Elements, comments and text of what a renderer made."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.comments: list[str] = []
        self.blocks = [""]
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.blocks.append("")

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def handle_data(self, data: str) -> None:
        self.blocks[-1] += data

    def unknown_decl(self, data: str) -> None:
        self.elements.append((f"![{data}", {}))


def rendered(text: str) -> Shown:
    data = text.encode("utf-8", errors="replace").decode()  # as it is written
    return Shown(cmarkgfm.github_flavored_markdown_to_html(data, Options.CMARK_OPT_UNSAFE))


def literally(payload: str) -> str:
    return printable(" ".join(payload.split()))


@pytest.fixture(scope="module")
def run(analysed_runs, tmp_path_factory) -> RunFolder:
    """A compared run with few rows, so that a hundred renderings cost little."""
    folder = RunFolder(shutil.copytree(analysed_runs[0], tmp_path_factory.mktemp("markdown") / "run"))
    comparison = compare([RunFolder(analysed_runs[1]), folder])
    folder.write_result(comparison)
    return folder


@pytest.mark.parametrize("batch", range(6))
def test_payloads_are_shown_and_do_nothing(run, monkeypatch, batch):
    manifest, summary, performance = run.manifest(), run.summary(), run.result(Performance)
    comparison = run.result(markdown.Comparison)
    flipped = np.flatnonzero(comparison.predicted[0] != comparison.predicted[1])[:2]
    assert flipped.size
    for payload in TEXTS[batch::6]:
        ids = tuple(f"{payload}{n}" for n in range(len(comparison.sequence_ids)))
        stored = {
            markdown.Comparison: replace(
                comparison,
                sequence_ids=ids,
                class_names=(payload,) * len(comparison.class_names),
            ),
            Performance: replace(performance, history_names=(payload,) * len(performance.history_names)),
        }
        real = run.result
        monkeypatch.setattr(run, "as_one", lambda: run)
        monkeypatch.setattr(
            run, "result", lambda kind, scope=None, stored=stored, real=real: stored.get(kind) or real(kind)
        )
        monkeypatch.setattr(
            run,
            "manifest",
            lambda payload=payload: replace(
                manifest,
                name=payload,
                corpus={**manifest.corpus, "name": payload},
                model={**manifest.model, "cell": payload},
            ),
        )
        check = replace(summary.checks[0], title=payload, text=payload)
        monkeypatch.setattr(
            run,
            "summary",
            lambda payload=payload, check=check: replace(
                summary,
                run=payload,
                checks=(check,),
                findings=({"text": payload, "anchor": "units"},),
                metrics={payload: summary.metrics["accuracy"]},
            ),
        )
        found = rendered(render_summary_markdown(run))
        monkeypatch.undo()
        assert {tag for tag, _ in found.elements} <= EXPECTED, payload
        links = [attributes for tag, attributes in found.elements if tag == "a"]
        assert links == [{"href": "report.html"}], payload
        assert all(set(attributes) <= {"align"} for tag, attributes in found.elements if tag != "a"), payload
        assert [comment.split(":")[0].strip() for comment in found.comments] == ["rnnreport"], payload
        text = literally(payload).encode("utf-8", errors="replace").decode()
        blocks = [" ".join(block.replace("\u2060", "").split()) for block in found.blocks]
        assert sum(text in block for block in blocks) >= 9, (
            payload
        )  # title, corpus, model, finding, rows of four tables
        assert not REFERENCES.search("\n".join(found.blocks)), payload


def test_the_renderer_would_show_what_is_not_escaped():
    found = rendered("x <img src=x> www.evil.example a@evil.example ![x](y)")
    assert [tag for tag, _ in found.elements] == ["p", "img", "a", "a", "img"]
    entity = rendered("someone&#64;evil.example")  # an entity alone does not help: addresses are found afterwards
    assert ("a", {"href": "mailto:someone@evil.example"}) in entity.elements
    assert not [tag for tag, _ in rendered(str(markdown_escape("someone@evil.example"))).elements if tag == "a"]


def test_the_mark_of_a_comment_is_only_words():
    for payload in TEXTS:
        assert re.fullmatch(r"<!-- rnnreport:[A-Za-z0-9.-]* -->", markdown.marker(payload))
    assert store.to_json({"a": TEXTS}).isascii()
