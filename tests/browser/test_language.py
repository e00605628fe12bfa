"""What a language model expects next, in a real Chromium: the ranks of tokens, the one that came, the losses."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from rnnreport.analyses import analyse
from rnnreport.report import render_report
from rnnreport.results.schema import Sequences
from tests.browser.conftest import show_plot
from tests.browser.test_report import picks, pixel, settle
from tests.browser.test_tasks import column, starts_of
from tests.fabricate import fabricate_run
from tests.small import ROUGH

pytestmark = pytest.mark.browser

RANKS = 5
AFTER = 7  # token that follows the last step of a sequence in the stream


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Sequences cut from a stream: the last step of some has an answer as well."""
    folder = fabricate_run(
        tmp_path_factory.mktemp("language") / "run", "language-model", epochs=2, sequences=24, units=6, steps=(5, 9)
    )
    probe, last = folder.probe(), folder.checkpoint(1)
    ends = probe.offsets[1:-1] - 1
    targets, surprisal, top = probe.targets.copy(), last.surprisal.copy(), last.top_tokens.copy()
    targets[ends] = top[ends, 1] = AFTER
    surprisal[ends] = -np.log(last.top_probabilities[ends, 1])
    folder.write_probe(replace(probe, targets=targets))
    folder.write_checkpoint(replace(last, surprisal=surprisal, top_tokens=top))
    analyse(folder, params=ROUGH)
    (folder.path / "report.html").write_text(render_report(folder), encoding="utf-8")
    return folder


@pytest.fixture
def shown(run):
    return run.result(Sequences)


def came(run):
    """Rank of the token that came at each displayed step of the first probe sequences, -1 where it is not on top."""
    probe, last, found = run.probe(), run.checkpoint(1), run.result(Sequences)
    steps = np.concatenate([np.arange(*probe.offsets[n : n + 2]) for n in found.probe_index])
    hits = last.top_tokens[steps] == probe.targets[steps][:, None]
    return np.where(hits.any(axis=1), hits.argmax(axis=1), -1)


def test_ranks_losses_and_the_token_that_came_are_those_recorded(open_page, run, shown):
    q = 6
    page, steps = open_page(run.path / "report.html", f"#sequence={q}"), slice(*starts_of(shown)[q : q + 2])
    show_plot(page, "tops")
    show_plot(page, "surprisal")
    count = shown.lengths[q]
    assert column(page, "tops", "x").tolist() == np.repeat(np.arange(count), RANKS).tolist()
    texts = page.evaluate("RR.plots.tops.source('tops.names').data.text")
    names = [shown.token_names[token] for token in shown.top_tokens[steps].ravel()]
    assert len(texts) == len(names)
    for text, name in zip(texts, names, strict=True):
        assert name.startswith(text.removesuffix("…").replace("␣", " ")), (text, name)
    odds = (column(page, "tops.odds", "right") - column(page, "tops.odds", "x")) / 0.92
    np.testing.assert_allclose(odds, shown.top_probabilities[steps].ravel(), atol=0.003)
    ranks = came(run)[steps]
    expected = [(t, rank) for t, rank in enumerate(ranks) if rank >= 0]
    assert list(zip(column(page, "tops.came", "x"), column(page, "tops.came", "y"), strict=True)) == expected
    assert (count - 1, 1) in expected  # the answer to the last step stands in the next sequence
    losses = column(page, "surprisal", "top")
    np.testing.assert_allclose(losses, shown.surprisal[steps], atol=1e-3)
    colours = page.evaluate("RR.plots.tops.source('tops').data.color")
    assert colours[::RANKS] == page.evaluate("RR.plots.surprisal.source('surprisal').data.color")
    assert colours == [colour for colour in colours[::RANKS] for _ in range(RANKS)]
    note = page.locator("#tops-note").inner_text()
    known, everything = np.isfinite(shown.surprisal), came(run)
    for share in ((everything == 0)[known].mean(), (everything >= 0)[known].mean()):
        assert f"{share:.1%}" in note
    assert f"of {known.sum():,} displayed steps" in note
    assert f"of all displayed {np.nanmean(shown.surprisal):.2f} nats" in page.locator("#surprisal-note").inner_text()
    assert "8 nats" in page.locator("#tops-legend").inner_text()


def test_cells_are_linked_both_ways(open_page, run, shown):
    q = 6
    page = open_page(run.path / "report.html", f"#sequence={q}")
    for name in ("map", "tops", "surprisal", "distance"):
        show_plot(page, name)
    page.locator("#plot-tops").evaluate("node => node.scrollIntoView({ block: 'center' })")
    t, rank = 2, 3
    place = pixel(page, "tops", "tops", t * RANKS + rank)
    page.mouse.move(*place)
    settle(page)
    p = starts_of(shown)[q] + t
    tip = page.locator("#tooltip").inner_text()
    name = shown.token_names[shown.top_tokens[p, rank]]
    assert f"this cell: “{name}” {shown.top_probabilities[p, rank]:.1%}" in tip
    assert f"then came “{shown.token_names[shown.targets[p]]}”" in tip
    assert page.locator("#text .token.pointed").count() == 1
    assert column(page, "surprisal.here", "x").tolist() == [t] and len(column(page, "map.here", "x")) == 1
    page.mouse.click(*place)
    settle(page)
    assert picks(page) == [shown.sequence_ids[q], f"step {t + 1}"]
    assert "here" in page.locator("#text .token").nth(t).get_attribute("class")
    page.mouse.move(2, 2)
    settle(page)
    page.locator("#text .token").nth(1).hover()
    settle(page)
    assert sorted(column(page, "tops.here", "x").tolist()) == [1, t]
    page.locator("#table tr[data-q='9']").click()
    settle(page)
    assert len(column(page, "tops", "x")) == shown.lengths[9] * RANKS


def test_a_run_analysed_before_the_next_tokens_were_kept(open_page, run, shown, tmp_path):
    shutil.copytree(run.path, tmp_path / "run")
    folder = type(run)(tmp_path / "run")
    folder.write_result(replace(shown, targets=np.zeros(0, np.int32)))
    (tmp_path / "report.html").write_text(render_report(folder), encoding="utf-8")
    page, q = open_page(tmp_path / "report.html", "#sequence=6"), 6
    show_plot(page, "tops")
    steps = slice(*starts_of(shown)[q : q + 2])
    inner = [(t, rank) for t, rank in enumerate(came(run)[steps][:-1]) if rank >= 0]
    assert list(zip(column(page, "tops.came", "x"), column(page, "tops.came", "y"), strict=True)) == inner


def test_a_vocabulary_of_three_tokens_has_three_ranks(open_page, tmp_path):
    folder = fabricate_run(tmp_path / "run", "language-model", epochs=1, sequences=20, units=6, steps=(3, 7))
    probe, last = folder.probe(), folder.checkpoint(0)
    targets = np.where(probe.targets < 0, -1, probe.targets % 3).astype(np.int32)
    small = replace(probe, vocabulary=("a", "b", "c"), tokens=probe.tokens % 3, targets=targets)
    top = np.tile(np.array([0, 1, 2, -1, -1], np.int32), (len(probe.tokens), 1))
    odds = np.tile(np.array([0.5, 0.3, 0.2, 0, 0], np.float32), (len(probe.tokens), 1))
    folder.write_probe(small)
    folder.write_checkpoint(replace(last, top_tokens=top, top_probabilities=odds))
    analyse(folder, params=ROUGH)
    found = folder.result(Sequences)
    assert found.token_names == ("a", "b", "c") and (found.top_tokens == top[: len(found.tokens)]).all()
    (tmp_path / "report.html").write_text(render_report(folder), encoding="utf-8")
    page = open_page(tmp_path / "report.html")
    show_plot(page, "tops")
    assert set(page.evaluate("RR.plots.tops.source('tops.names').data.text")) == {"a", "b", "c"}
    assert set(column(page, "tops", "y")) == {0, 1, 2}
