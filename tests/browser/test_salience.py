"""What a state depends on, in a real Chromium: bars over the tokens of the selected sequence, by the selected step."""

import numpy as np
import pytest

from rnnreport.analyses import analyse
from rnnreport.report import render_report
from rnnreport.results.recorded import Salience
from rnnreport.results.schema import Dependence, Sequences
from tests.browser.test_units import settle
from tests.fabricate import fabricate_run
from tests.small import ROUGH

pytestmark = pytest.mark.browser

CUT = 3  # steps looked at of the longest sequence


def plant(folder, reason=""):
    """Norms (s + 1) / (t + 1) of every third sequence; a row of zeros; the longest one is cut."""
    probe = folder.probe()
    places = np.arange(0, len(probe.lengths), 3)[::-1]
    longest = places[probe.lengths[places].argmax()]
    lengths = np.where(places == longest, CUT, probe.lengths[places]).astype(np.int32)
    blocks = []
    for length in lengths:
        t, s = np.mgrid[:length, :length]
        block = np.where(s <= t, (s + 1) / (t + 1), 0) * (t != 1)
        blocks.append(block.ravel().astype(np.float32))
    nothing = np.zeros(0, np.int32)
    folder.write_salience(
        Salience(
            epoch=folder.epochs()[-1],
            scope="lstm.0.fwd.c",
            sequences=nothing if reason else places.astype(np.int32),
            lengths=nothing if reason else lengths,
            norms=np.concatenate(blocks) if not reason else nothing.astype(np.float32),
            directions=16,
            units=24,
            reason=reason,
        )
    )
    return int(longest)


def plant_other(folder):
    """Of the hidden state, one sequence whose steps depend on themselves alone."""
    length = int(folder.probe().lengths[0])
    norms = np.eye(length, dtype=np.float32).ravel()
    places, lengths = np.zeros(1, np.int32), np.array([length], np.int32)
    found = Salience(folder.epochs()[-1], "lstm.0.fwd.h", places, lengths, norms, 24, 24, "")
    folder.write_salience(found, 1)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = fabricate_run(tmp_path_factory.mktemp("salience") / "run", epochs=3, sequences=40)
    plant(folder)
    plant_other(folder)
    analyse(folder, params=ROUGH)
    (folder.path / "report.html").write_text(render_report(folder), encoding="utf-8")
    return folder


def bars(page):
    """Heights of the bars over the tokens, in px."""
    return page.evaluate(
        """[...document.querySelectorAll("#text .token")].map((token) =>
          parseFloat(getComputedStyle(token).backgroundSize.split(",")[0].split(" ").at(-1)))"""
    )


def told(page):
    return page.locator("#text-dependence").inner_text()


def test_bars_show_the_row_of_the_selected_step(open_page, run):
    found, shown = run.result(Dependence), run.result(Sequences)
    q = next(q for q in found.sequences if 5 <= shown.lengths[q] < shown.lengths.max())
    page = open_page(run.path / "report.html", f"#sequence={q}")
    assert "Select a step" in told(page)
    assert "leaning" not in page.locator("#text").get_attribute("class")
    token = page.locator("#text .token").nth(3)
    token.click()
    settle(page)
    shares = np.array([1, 2, 3, 4] + [0] * (shown.lengths[q] - 4)) / 4
    np.testing.assert_allclose(np.array(bars(page)) / 8, shares, atol=0.01)
    assert "after step 4" in told(page) and "strongest, 1.00 (lstm, layer 1, cell state c)" in told(page)
    page.locator("#text .token").nth(1).hover()
    assert "depends on it by 0.500 (50.0% of the strongest)" in page.locator("#tooltip").inner_text()
    page.locator("#text .token").nth(1).click()
    settle(page)
    assert "does not change with any input" in told(page)
    assert "leaning" not in page.locator("#text").get_attribute("class")


def test_the_selected_state_is_the_one_that_depends(open_page, run):
    shown, other = run.result(Sequences), run.result(Dependence, 1)
    (q,) = other.sequences
    page = open_page(run.path / "report.html", f"#sequence={q}&step=2&lens=step")
    first = bars(page)
    page.select_option("#state", "1")
    settle(page)
    np.testing.assert_allclose(np.array(bars(page)) / 8, np.arange(shown.lengths[q]) == 2, atol=0.01)
    assert "(lstm, layer 1, hidden state h)" in told(page)
    elsewhere = next(place for place in range(len(shown.lengths)) if place != q)
    page.evaluate("(q) => RR.set({ sequence: q, step: 0 })", elsewhere)
    settle(page)
    assert f"What lstm, layer 1, hidden state h depends on was computed for 1 of the {len(shown.lengths)}" in told(page)
    page.select_option("#state", "0")
    page.evaluate("(q) => RR.set({ sequence: q, step: 2 })", int(q))
    settle(page)
    assert bars(page) == first


def test_what_was_not_computed_is_said(open_page, run):
    found, shown = run.result(Dependence), run.result(Sequences)
    without = next(q for q in range(len(shown.lengths)) if q not in found.sequences)
    page = open_page(run.path / "report.html", f"#sequence={without}&step=0&lens=step")
    assert f"computed for {len(found.sequences)} of the {len(shown.lengths)} displayed sequences" in told(page)
    page.locator("#text-dependence button").click()
    settle(page)
    chosen = page.evaluate("RR.selection")
    assert chosen["sequence"] in found.sequences and max(bars(page)) == pytest.approx(8, abs=0.1)
    longest = found.sequences[np.argmax(shown.lengths[found.sequences] > found.lengths)]
    page = open_page(run.path / "report.html", f"#sequence={longest}&step={CUT}&lens=step")
    assert f"the first {CUT} steps" in told(page)
    page = open_page(run.path / "report.html", f"#sequence={longest}&step=2&lens=step&epoch=0")
    assert "at the last epoch only" in told(page)
    guide = page.locator("#figure-text .guide")
    guide.locator("summary").click()
    assert "in 16 of 24 directions, with a typical error of at most 18%" in guide.inner_text()


@pytest.mark.parametrize("recorded", [True, False])
def test_a_run_without_says_why(open_page, tmp_path, recorded):
    folder = fabricate_run(tmp_path / "run", "language-model", epochs=1, sequences=20, units=6, steps=(3, 7))
    if recorded:
        plant(folder, "the tokens reach the model by <b>no</b> embedding")
    analyse(folder, params=ROUGH)
    path = folder.path / "report.html"
    path.write_text(render_report(folder), encoding="utf-8")
    reason = "no</b> embedding." if recorded else "it was not recorded: rnnreport run and rnnreport capture record it."
    assert told(open_page(path)).endswith(reason)


def test_shares_are_of_the_displayed_sequences_in_their_order(run):
    found, shown, recorded = run.result(Dependence), run.result(Sequences), run.salience()
    assert set(shown.probe_index[found.sequences]) == set(recorded.sequences)
    starts = np.append(0, np.cumsum(found.lengths.astype(int) ** 2))
    rows = np.append(0, np.cumsum(found.lengths))
    for place, sequence in enumerate(found.sequences):
        length = found.lengths[place]
        assert length in (shown.lengths[sequence], CUT)
        block = found.shares[starts[place] : starts[place + 1]].reshape(length, length)
        t, s = np.mgrid[:length, :length]
        np.testing.assert_allclose(block, np.where(s <= t, (s + 1) / (t + 1), 0) * (t != 1), rtol=1e-6)
        assert found.largest[rows[place] : rows[place + 1]].tolist() == [float(t != 1) for t in range(length)]
