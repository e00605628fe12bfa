"""Payloads on every page in a real Chromium: none runs, none asks for anything, all are shown as they are written."""

from __future__ import annotations

import functools
import json
import random
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from rnnreport.analyses import side_by_side
from rnnreport.cli import main
from rnnreport.report import IndexEntry, render_comparison, render_index, render_report, render_summary_markdown
from rnnreport.results import store
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import Sequences
from tests.browser.conftest import READY
from tests.hostile import hostile_run, other_answers, spelled, summary_of
from tests.payloads import PAYLOADS, TEXTS

pytestmark = pytest.mark.browser

# what a page may hold; a payload that becomes an element is none of these, or has an attribute that acts
ACTIVE = """() => {
  const found = [], here = location.href.split("/").slice(0, -1).join("/");
  const elements = new RegExp("^(img|image|iframe|object|embed|base|form|video|audio|source|marquee|portal|template|" +
    "math|foreignobject|animate|set|use|plaintext|xmp|x-widget|noembed)$", "i");
  for (const node of document.querySelectorAll("*")) {
    const tag = node.localName, address = node.src || node.href;
    if (elements.test(tag)) found.push(tag);
    if (/^(script|link)$/.test(tag) && address && !address.startsWith(here)) found.push(`${tag} ${address}`);
    for (const { name, value } of node.attributes) {
      if (/^on/i.test(name)) found.push(`${tag} ${name}`);
      const leads = /^(href|src|action|formaction|data|xlink:href|srcdoc|ping)$/i.test(name);
      if (leads && !/^(#|[\\w.%/~-]+(#|$)|data:)/.test(value)) found.push(`${tag} ${name}=${value}`);
      if (name === "style" && /evil|expression/.test(value)) found.push(`${tag} style`);
    }
  }
  return found;
}"""
# all that a reader sees, also in bubbles and by ear
TEXT = """() => {
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT,
    (node) => (/^(script|style)$/i.test(node.localName) ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT));
  const texts = [document.title];
  while (walk.nextNode()) {
    const node = walk.currentNode;
    if (node.nodeType === Node.TEXT_NODE) texts.push(node.data);
    else for (const name of ["title", "aria-label"]) if (node.hasAttribute(name)) texts.push(node.getAttribute(name));
  }
  return texts.join("\\n");
}"""


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Iterator[Page]:
    """One page for all of them: what it has compiled once, it need not compile again."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    yield context.new_page()
    context.close()


@pytest.fixture
def watched(tab: Page) -> Iterator[Page]:
    """A page that tells what a payload did: a dialog, an error, a request, a global."""
    happened: list[str] = []
    heard = {
        "dialog": lambda dialog: (happened.append(f"dialog {dialog.message}"), dialog.dismiss()),
        "pageerror": lambda error: happened.append(f"error {error}"),
        "console": lambda line: happened.append(f"console {line.text}") if line.type in ("error", "warning") else None,
        "request": lambda request: (
            None if re.match("(file|data|blob|http://127.0.0.1)", request.url) else happened.append(request.url)
        ),
        "popup": lambda _: happened.append("a window"),
    }
    for event, hear in heard.items():
        tab.on(event, hear)
    yield tab
    assert tab.evaluate("[typeof pwned, ({}).pwned === undefined]") == ["undefined", True]
    assert tab.evaluate(ACTIVE) == []
    tab.goto("about:blank")
    for event, hear in heard.items():
        tab.remove_listener(event, hear)
    assert happened == []


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFolder:
    return hostile_run(tmp_path_factory.mktemp("hostile") / "run")


@pytest.fixture(scope="module")
def html(run: RunFolder) -> str:
    return render_report(run)


def saved(path: Path, html: str) -> str:
    store.write_text(path, html)
    return path.as_uri()


def shown(page: Page) -> str:
    return " ".join(page.evaluate(TEXT).split())


def show_everything(page: Page) -> None:
    """Open what is folded and draw what is drawn when it is seen."""
    page.evaluate("document.querySelectorAll('details').forEach((node) => { node.open = true; })")
    page.evaluate("document.querySelectorAll('[id^=plot-], [id^=figure-]').forEach((node) => node.scrollIntoView())")
    height = page.evaluate("document.body.scrollHeight")
    for top in range(0, height, 800):
        page.evaluate(f"scrollTo(0, {top})")
        page.wait_for_timeout(20)


def missing(text: str, texts: tuple[str, ...] = TEXTS) -> list[str]:
    """Payloads that are not in a text; the parser leaves NUL out, or puts U+FFFD in its place."""
    return [one for one in texts if spelled(one) not in text and spelled(one.replace("\x00", "")) not in text]


def test_there_are_enough_payloads():
    assert len(set(TEXTS)) == len(PAYLOADS) >= 150
    assert all(why for _, why in PAYLOADS)


def test_the_watcher_sees_a_payload_that_works(browser, tmp_path):
    """Without escapes and policy the first few of them do what they are for."""
    page = browser.new_page()
    for payload in ("<script>pwned=1</script>", "<img src=x onerror=pwned=1>", "<svg onload=pwned=1>"):
        page.goto(saved(tmp_path / "bad.html", f"<!DOCTYPE html><title>x</title>{payload}"))
        page.wait_for_function("window.pwned === 1")
        assert page.evaluate(ACTIVE) or "script" in payload
    page.close()


def test_report(watched, run, html, tmp_path):
    watched.goto(saved(tmp_path / "report.html", html))
    watched.wait_for_selector(READY, state="attached")
    show_everything(watched)
    text = shown(watched)
    assert missing(text) == []
    for name in (" ".join(TEXTS[k::4]) for k in range(4)):  # classes
        assert spelled(name) in text
    ids = [n for n in range(len(TEXTS)) if spelled(f"{TEXTS[n]} {n}") in text]
    assert len(ids) > 100
    # every word selected, one after the other: titles, notes and bubbles are written by scripts
    titles = watched.evaluate(
        """async (count) => {
          const found = [];
          for (let word = 0; word < count; word++) {
            RR.set({ words: [word], lens: "word" });
            RR.announce();
            found.push([...document.querySelectorAll("[id^=title-], #bar")].map((node) => node.textContent).join(" "));
          }
          return found.join("\\n");
        }""",
        watched.evaluate("RR.limit('words')"),
    )
    assert len(missing(" ".join(titles.split()))) < len(TEXTS) / 2  # words of one occurrence cannot be chosen
    # an override of the reading direction turns its own token and none that follows
    found = run.result(Sequences)
    texts = [
        "".join(found.token_names[token] for token in part) for part in np.split(found.tokens, found.lengths.cumsum())
    ]
    overridden = [q for q, text in enumerate(texts) if re.search("[\u202e\u2067]", text)]
    read = watched.evaluate(
        """async (sequences) => {
          const turned = [];
          let overrides = 0;
          for (const sequence of sequences) {
            RR.set({ sequence });
            RR.announce();
            const tokens = [...document.querySelectorAll("#text .token")];
            overrides += tokens.some((token) => /[\u202e\u2067]/.test(token.textContent));
            const boxes = tokens.map((token) => token.getClientRects()).filter((boxes) => boxes.length === 1);
            const lines = boxes.map(([box]) => box);
            lines.slice(1).forEach((box, place) => {
              if (box.top === lines[place].top && box.left < lines[place].left) turned.push(sequence);
            });
          }
          return [overrides, turned];
        }""",
        overridden,
    )
    assert read == [len(overridden), []] and overridden


def test_report_of_numbers_and_its_names(watched, tmp_path):
    run = hostile_run(tmp_path / "run", continuous=True)
    watched.goto(saved(tmp_path / "report.html", render_report(run)))
    watched.wait_for_selector(READY, state="attached")
    show_everything(watched)
    assert missing(shown(watched)) == []
    features = [" ".join(TEXTS[k::3]) for k in range(3)]  # they stand at an axis, which is painted
    for name in (name for name in features if "\ud800" not in name):
        assert watched.evaluate("(name) => JSON.stringify(RR.description).includes(JSON.stringify(name))", name)


NET = """
import torch
from torch import nn


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, 4)
        self.rnn = nn.GRU(4, 6, batch_first=True)
        self.head = nn.Linear(6, 3)

    def forward(self, tokens):
        return self.head(self.rnn(self.embedding(tokens))[0][:, -1])


def split(text):
    return text.split("\\x1f")
"""


def test_report_of_a_model_with_all_that_is_recorded_of_it(watched, tmp_path, monkeypatch):
    """Sections about causes, gates and attractors are made by running the model; here it is run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(sys.path))
    (tmp_path / "hostile_net.py").write_text(NET.replace("WORDS", str(len(TEXTS))))
    (tmp_path / "words.json").write_text(json.dumps(TEXTS))
    draw = random.Random(0)
    labels = [" ".join(TEXTS[k::3]).strip() for k in range(3)]
    rows = [
        {"id": f"{TEXTS[n]} {n}", "text": "\x1f".join(draw.choices(TEXTS, k=7)), "label": labels[n % 3]}
        for n in range(90)
    ]
    (tmp_path / "corpus.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    arguments = ["--model", "hostile_net:Reader", "--corpus", "corpus.jsonl", "--tokenizer", "hostile_net:split"]
    arguments += ["--vocabulary", "words.json", "--name", " ".join(TEXTS).replace("\x00", ""), "--out", "run"]
    assert main(["-q", "run", *arguments]) == 0
    watched.goto((tmp_path / "run" / "report.html").as_uri())
    watched.wait_for_selector(READY, state="attached")
    show_everything(watched)
    text = shown(watched)
    assert missing(text) == []
    assert all(spelled(label) in text or spelled(label.replace("\x00", "")) in text for label in labels)


def test_comparison(watched, run, tmp_path):
    other = other_answers(run, tmp_path / "other")
    found = side_by_side([run, other])
    watched.goto(saved(tmp_path / "compare.html", render_comparison([run, other], found.comparison, found)))
    watched.wait_for_selector(READY, state="attached")
    show_everything(watched)
    watched.locator("#flips tbody tr").last.click()
    assert missing(shown(watched)) == []


def test_index_and_light_pages(watched, run, html, tmp_path):
    """Folders may be called nearly anything, and so may the runs of their summaries."""
    runs = tmp_path / "runs"
    for number, payload in enumerate(TEXTS):
        name = re.sub(r"[/\x00\ud800]", "_", payload)[:60] or "_"
        folder = runs / f"{number:03d}{name}"
        folder.mkdir(parents=True)
        for file in ("run.json", "report.html"):
            (folder / file).write_text("<!DOCTYPE html><title>x</title>")
        shutil.copy(run.path / "run.json", folder)
        (folder / "summary.json").write_text(summary_of(run, payload))
    (runs / f"{0:03d}{TEXTS[0].replace('/', '_')}" / "report.html").write_text(
        html.encode("utf-8", "replace").decode(), encoding="utf-8"
    )
    assert main(["-q", "index", str(runs), "--out", str(tmp_path / "site"), "--light"]) == 0
    with serving(tmp_path / "site") as address:
        watched.goto(address)
        watched.wait_for_selector("table tbody tr")
        assert missing(shown(watched)) == []
        assert watched.locator("tbody tr").count() == len(TEXTS)
        links = watched.eval_on_selector_all("tbody a", "nodes => nodes.map((node) => node.href)")
        assert len(links) == len(TEXTS)
        assert all(watched.request.get(link).ok for link in links[:5] + links[-5:])
        watched.locator("tbody a").first.click()
        watched.wait_for_selector(READY, state="attached")
        show_everything(watched)
        assert missing(shown(watched)) == []
    entries = [IndexEntry("run/report.html", replace(run.summary(), run=payload)) for payload in TEXTS]
    watched.goto(saved(tmp_path / "index.html", render_index(entries)))
    assert missing(shown(watched)) == []


class serving:  # noqa: N801  # used as a context
    """A folder on a web server of this machine."""

    def __init__(self, folder: Path) -> None:
        class Silent(SimpleHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Silent, directory=str(folder)))

    def __enter__(self) -> str:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}/"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


NUMBERS = (
    "0+1+2+3+4+5",
    "-1",
    "-0",
    "1e309",
    "NaN",
    "9" * 400,
    "0x1",
    "1.5",
    "",
    "99999999",
    "<img src=x onerror=pwned=1>",
)
HASHES = (
    *(f"{key}={value}" for key in ("words", "sequence", "epoch") for value in NUMBERS),
    *("words", "=1", "&&&&", "__proto__=1", "constructor=0", "toString=0", "__proto__[pwned]=1"),
    *("lens=<script>pwned=1</script>", "lens=word&lens=x", "step=5&sequence=0", "step=99999", "state=1&state=2"),
    *("mode=0&k=999", "mode=%00", "pinned=0+0+0+0", "cluster=0&cluster=1", "output=3+3", "units=1+1+1"),
    *("%", "%FF%FE", "\u202e", "\ud83d", "words=%3Cscript%3E", "javascript:pwned=1", "//evil.example"),
    "words=0&" * 2000,
    "x" * 100_000,
)


def test_states_of_a_page_in_hostile_links(watched, html, tmp_path):
    address = saved(tmp_path / "report.html", html)
    watched.goto(address)
    watched.wait_for_selector(READY, state="attached")
    before, keys = watched.evaluate("[JSON.stringify(RR.initial), Object.keys(RR.selection)]")
    for hash in HASHES:
        found = watched.evaluate(
            """(hash) => {
              history.replaceState(null, "", `#${hash}`);
              const found = RR.readHash();
              RR.set(found);
              RR.announce();
              const fits = (key, one) => Number.isInteger(one) && one >= 0 && one < RR.limit(key);
              const all = (key, value) => key === "lens" || [value].flat().every((one) => fits(key, one));
              return Object.entries(found).map(([key, value]) => [key, all(key, value)]);
            }""",
            hash,
        )
        assert all(key in keys and valid for key, valid in found), hash
    assert watched.evaluate("JSON.stringify(RR.initial)") == before
    watched.evaluate("RR.set({ ...RR.initial }); RR.announce()")


def test_summary_can_be_written(run):
    text = render_summary_markdown(run)
    assert len(text) < 60_000
