"""Pages as text: deterministic, linked, guarded, and honest about what is missing. The browser tests look at them."""

import base64
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from markupsafe import Markup

from rnnreport.analyses import analyse, compare
from rnnreport.report import render_comparison, render_report, render_summary_markdown
from rnnreport.report.environment import number, parameter, percent, signed, typeset, typeset_beside
from rnnreport.report.place import template_folder
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import Dynamics, Sequences, Unavailable
from tests.fabricate import HOSTILE, fabricate_run
from tests.small import ROUGH


class Reader(HTMLParser):
    """Collects scripts, ids, links and the text of a page."""

    def __init__(self, page):
        super().__init__()
        self.scripts, self.ids, self.links, self.text, self.policy = [], [], [], [], ""
        self.packed = []
        self._script = None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "script":
            self._script = given.get("class") or given.get("type", "text/javascript")
            assert "src" not in given
        if tag == "meta" and given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]
        if given.get("id"):
            self.ids.append(given["id"])
        if tag == "a":
            self.links.append(given["href"])

    def handle_endtag(self, tag):
        self._script = None if tag == "script" else self._script

    def handle_data(self, data):
        if self._script == "text/javascript":
            self.scripts.append(data)
        elif self._script == "packed":
            self.packed.append(gzip.decompress(base64.b64decode(data)).decode())
        elif self._script is None:
            self.text.append(data)


@pytest.fixture(scope="module")
def runs(analysed_runs):
    return tuple(RunFolder(path) for path in analysed_runs)


@pytest.fixture(scope="module")
def pages(page_files):
    return {name: path.read_text(encoding="utf-8") for name, path in page_files.items()}


@pytest.mark.parametrize("kind", ["report", "comparison", "index"])
def test_policy_allows_exactly_the_scripts_of_the_page(pages, kind):
    page = Reader(pages[kind])
    texts = [*page.scripts, *page.packed]
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
    assert len(page.scripts) == 2
    assert len(page.packed) == (0 if kind == "index" else 2)
    assert re.findall(r"'sha256-([^']+)'", page.policy) == hashes
    assert page.policy.startswith("default-src 'none'; ")
    assert "unsafe-eval" not in page.policy
    assert "'unsafe-inline'" not in page.policy.split("script-src")[1].split(";")[0]


@pytest.mark.parametrize("kind", ["report", "comparison", "index"])
def test_ids_are_unique_and_local_links_lead_somewhere(pages, kind):
    page = Reader(pages[kind])
    assert len(set(page.ids)) == len(page.ids)
    local = {link[1:] for link in page.links if link.startswith("#")}
    assert local <= set(page.ids)
    assert all(link.startswith("#") or "://" not in link for link in page.links)


@pytest.mark.parametrize("kind", ["report", "comparison", "index"])
def test_no_address_of_another_host(pages, kind):
    hosts = set(re.findall(r"https?://[^\s\"'<)]+", pages[kind]))
    assert hosts <= {"http://www.w3.org/2000/svg"}  # the name of a kind of element, which is no address


def test_hostile_text_is_only_ever_text(pages):
    page = Reader(pages["report"])
    text = "".join(page.text)
    assert HOSTILE[0] in text
    assert all(token not in pages["report"] for token in (HOSTILE[0], HOSTILE[2], "<b>trade</b>"))


def test_same_folder_same_bytes(runs, pages, tmp_path):
    """In another place, by another process with other hashes."""
    moved = shutil.copytree(runs[0].path, tmp_path / "elsewhere")
    code = "import sys; from pathlib import Path; from rnnreport.report import render_report\n"
    code += "from rnnreport.results.folder import RunFolder\n"
    code += "sys.stdout.buffer.write(render_report(RunFolder(Path(sys.argv[1]))).encode())"
    found = subprocess.run(
        [sys.executable, "-c", code, str(moved)],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    ).stdout
    assert found.decode() == pages["report"]


def test_rendering_needs_results_only(runs, pages, tmp_path):
    bare = RunFolder(shutil.copytree(runs[0].path, tmp_path / "bare"))
    shutil.rmtree(bare.path / "states")
    (bare.path / "probe.npz").unlink()
    assert render_report(bare) == pages["report"]


@pytest.mark.slow
def test_reasons_are_printed_in_place_of_what_is_missing(tmp_path):
    run = fabricate_run(tmp_path / "run", epochs=1, sequences=12, units=6)
    analyse(run, params=ROUGH)
    run.write_result(Unavailable("sequences", "a reason of our own"))
    text = "".join(Reader(render_report(run)).text)
    assert "Not shown: a reason of our own" in text
    assert re.search(r"Not shown: [^.]*epoch", text)  # MM-PHATE needs two


PAYLOAD = re.compile('<script type="text/plain" id="payload">([^<]+)</script>')
FIGURES = {"classes", "quantity", "agreement", "channels", "surprisal"}


@pytest.mark.parametrize(
    ("task", "continuous", "figures"),
    [
        ("language-model", False, {"surprisal"}),
        ("tagging", False, {"classes"}),
        ("unlabelled", True, {"channels"}),
        ("multi-label", False, {"classes"}),
        ("regression", True, {"channels", "quantity", "agreement"}),
        ("step-regression", False, {"quantity", "agreement"}),
    ],
)
@pytest.mark.slow
def test_every_task_has_a_page(task, continuous, figures, tmp_path):
    run = fabricate_run(tmp_path / "run", task, epochs=1, sequences=12, units=6, continuous=continuous)
    analyse(run, params=ROUGH)
    page = render_report(run)
    described = json.loads(gzip.decompress(base64.b64decode(PAYLOAD.search(page)[1])).partition(b"\n")[0])
    assert FIGURES & set(described["figures"]) == figures
    assert {name for name in FIGURES if f'id="plot-{name}"' in page} == figures
    assert ('id="confusion"' in page) == (task == "tagging")
    assert ('id="labels"' in page) == (task == "multi-label")


def test_comparison_needs_displayed_sequences(runs, tmp_path):
    from rnnreport.errors import InputError

    broken = RunFolder(shutil.copytree(runs[0].path, tmp_path / "broken"))
    broken.write_result(Unavailable("sequences", "none recorded"))
    with pytest.raises(InputError, match="none recorded"):
        render_comparison([broken, runs[1]], compare(runs))


def test_summary_for_a_pull_request(runs):
    text = render_summary_markdown(runs[0])
    assert len(text) < 60_000
    assert text.startswith("<!-- rnnreport:")
    rest = text.split("-->", 1)[1]
    assert "<" not in rest
    value = runs[0].summary().metrics["accuracy"]["value"]
    row = next(line for line in rest.splitlines() if line.startswith("| accuracy |")).replace("\\", "")
    assert f"| {number(value)} |" in row


def test_default_page_is_small(pages):
    assert len(pages["report"].encode()) < 5_000_000


def test_index_lists_every_run(pages):
    page = Reader(pages["index"])
    assert [link for link in page.links if link.endswith("report.html")] == ["first/report.html", "second/report.html"]


def test_no_page_shows_an_object_of_python(pages):
    """A key that is also a method of dict, as items, is read as the method: its text differs from run to run."""
    assert not [page for page in pages.values() if re.search("object at 0x|built-in method", page)]


def test_every_asset_and_template_is_used():
    folder = template_folder()
    sources = "\n".join(path.read_text() for path in folder.rglob("*.j2"))
    python = "\n".join(path.read_text() for path in (folder.parent / "rnnreport" / "report").rglob("*.py"))
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".md":  # those of numbers/ are told by test_report_numbers.py
            assert path.name in sources or f'"{path.name}"' in python, path


def test_the_device_that_computed_mmphate_is_named(runs, pages):
    dynamics = runs[0].result(Dynamics)
    assert f"computed on: {dynamics.outcome['device']}" in pages["report"]


def test_displayed_sequences_are_named_in_the_page(runs, pages):
    sequences = runs[0].result(Sequences)
    assert all(name in pages["report"] for name in sequences.sequence_ids[:5])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.12345, "0.123"),
        (12.345, "12.3"),
        (1234.5, "1,234"),
        (float("nan"), "not defined"),
        (None, "not defined"),
        (1e-7, "1.00\N{NO-BREAK SPACE}\N{MULTIPLICATION SIGN}\N{NO-BREAK SPACE}10⁻⁷"),
        (-0.25, "\N{MINUS SIGN}0.250"),
    ],
)
def test_numbers_for_people(value, text):
    assert number(value) == text


def test_a_share_below_zero_has_a_minus_sign():
    assert (percent(-0.03), percent(-0.0001), percent(0.5)) == ("\N{MINUS SIGN}3.0%", "0.0%", "50.0%")


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("-0.5 to +0.2 (-0.1, n = 12)", "\N{MINUS SIGN}0.5 to +0.2 (\N{MINUS SIGN}0.1, n·=·12)"),
        ("+0.000 to -0.0, -0 against +0.", "0.000 to 0.0, 0 against 0."),
        ("q < 1.2e-07, p = 1e-05", "q·<·1.2·\N{MULTIPLICATION SIGN}·10⁻⁷, p·=·10⁻⁵"),
        ("“ ” and “\n” are seen, “ a” is", "“␣” and “↵” are seen, “ a” is"),
        ("“-1” and “n = 3” stay, as lr 1e-3, run-2, 2024-01-02 and 3-1 do", None),
    ],
)
def test_sentences_are_typeset_but_for_what_is_quoted(text, printed):
    expected = text if printed is None else printed.replace("·", "\N{NO-BREAK SPACE}")
    assert typeset(text) == expected
    assert typeset(Markup("n = 3")) == "n = 3"


def test_names_in_sentences_are_not_typeset():
    text = "run -1 is -0.5 against lr 1e-03 (n = 12), as x<-1>"
    shown = "run -1 is \N{MINUS SIGN}0.5 against lr 1e-03 (n·=·12), as x&lt;-1&gt;".replace("·", "\N{NO-BREAK SPACE}")
    assert typeset_beside(text, ("run -1", "lr 1e-03", "x<-1>", "")) == shown
    assert typeset_beside("q = -1", ()) == typeset("q = -1")


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [(0.1234, None, "+0.123"), (-2, 1, "\N{MINUS SIGN}2.0"), (0.0001, 3, "0.000"), (0, None, "0")],
)
def test_differences_have_a_sign_unless_they_are_nothing(value, decimals, text):
    assert signed(value, decimals) == text


def test_shares_and_parameters_for_people():
    assert percent(0.965) == "96.5%"
    assert percent(float("nan")) == "not defined"
    assert parameter([0.4158, 0.2762]) == "0.416 and 0.276"
    assert parameter(30.0) == "30"


@pytest.mark.parametrize("task", ["language-model", "classification"])
def test_characters_are_not_called_words(tmp_path, task):
    folder = fabricate_run(tmp_path / "run", task=task, epochs=2, sequences=40, units=6, steps=(3, 6))
    letters = tuple(chr(ord("a") + place) for place in range(len(folder.probe().vocabulary)))
    folder.write_probe(replace(folder.probe(), vocabulary=letters))
    analyse(folder, params=ROUGH)
    page = render_report(folder)
    shown = page[page.index("<body") : page.index('<section id="numbers"')]
    said = " ".join(Reader(shown).text) + render_summary_markdown(folder)
    assert "characters" in said
    assert re.findall(r".{30}\bwords?\b.{30}", said, re.IGNORECASE | re.DOTALL) == []
