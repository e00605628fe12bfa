"""When gates open and close: against planted openings, by hand, and with words that have nothing to do with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnnreport.analyses.gates import GateParams, gate_use
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Gates
from rnnreport.results.schema import GateUse, Unavailable
from tests.fabricate import fabricate_run

FORGET, CANDIDATE = "lstm.0.fwd.f", "lstm.0.fwd.g"


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return fabricate_run(tmp_path / "run", epochs=1, sequences=80, steps=(5, 15))


def looked_at(run: RunFolder, forget: np.ndarray, params: GateParams | None = None) -> GateUse:
    run.write_record(Gates(0, {FORGET: forget.astype(np.float32), CANDIDATE: forget.astype(np.float32)}))
    found = gate_use(run, run.probe(), run.probe().tokens, params)
    assert isinstance(found, GateUse)
    assert found.scopes == (FORGET,)  # a candidate is no gate
    return found


def test_words_that_were_made_to_open_and_to_close_a_gate_are_found_with_their_units(run: RunFolder) -> None:
    probe, rng = run.probe(), np.random.default_rng(0)
    counts = np.bincount(probe.tokens)
    opening, closing = np.argsort(-counts)[:2]
    gate = rng.uniform(0.4, 0.6, (probe.tokens.size, 6))
    gate[probe.tokens == opening, 2] += 0.4
    gate[probe.tokens == closing] -= 0.2
    gate[probe.tokens == closing, 4] -= 0.1
    found = looked_at(run, gate)
    assert found.words[0, 0, 0] == opening and found.units[0, 0, 0] == 2
    assert found.words[0, 1, 0] == closing and found.units[0, 1, 0] == 4
    for way, word in enumerate((opening, closing)):
        at = probe.tokens == word
        assert found.means[0, way, 0] == pytest.approx(gate[at].mean(), abs=1e-5)
        assert found.low[0, way, 0] < found.means[0, way, 0] < found.high[0, way, 0]
        assert found.counts[0, way, 0] == at.sum()
        assert found.unit_means[0, way, 0] == pytest.approx(gate[at, found.units[0, way, 0]].mean(), abs=1e-5)
    assert found.overall[0] == pytest.approx(gate.mean(), abs=1e-5)
    assert (found.words[0, 1, 1:] != opening).all()


def test_shares_over_time_are_those_counted_by_hand(run: RunFolder) -> None:
    probe = run.probe()
    owners = np.repeat(np.arange(80), probe.lengths)
    share = (np.arange(owners.size) - probe.offsets[owners] + 0.5) / probe.lengths[owners]
    gate = np.full((owners.size, 4), 0.5)
    gate[share < 0.5, :3] = 0.05  # three of four units closed in the first half
    gate[share >= 0.5, 0] = 0.95
    found = looked_at(run, gate, GateParams(times=2))
    np.testing.assert_allclose(found.shares[0], [[0.75, 0], [0, 0.25]], atol=1e-6)
    assert found.steps.tolist() == [(share < 0.5).sum(), (share >= 0.5).sum()]


def test_short_sequences_have_no_empty_stretch(tmp_path: Path) -> None:
    short = fabricate_run(tmp_path / "short", epochs=1, steps=(2, 4))
    found = looked_at(short, np.full((short.probe().tokens.size, 2), 0.95))
    assert found.steps.size == 4 and (found.steps > 0).all() and (found.shares[0, 1] == 1).all()


def test_a_gate_that_only_sequences_move_is_opened_by_no_word(tmp_path: Path) -> None:
    """Whole sequences are open or closed, whatever they read: repeated steps are no further evidence."""
    alarms = 0
    for seed in range(10):
        run = fabricate_run(tmp_path / f"run{seed}", epochs=1, sequences=80, steps=(5, 15))
        probe = run.probe()
        level = np.random.default_rng(seed).uniform(0, 1, 80)[np.repeat(np.arange(80), probe.lengths)]
        alarms += bool((looked_at(run, np.repeat(level[:, None], 3, axis=1)).words >= 0).any())
    assert alarms <= 2


def test_rare_words_are_not_tested(run: RunFolder) -> None:
    probe = run.probe()
    rare = int(np.flatnonzero(np.bincount(probe.tokens) == np.bincount(probe.tokens)[probe.tokens].min())[0])
    gate = np.where(probe.tokens[:, None] == rare, 0.99, 0.5) * np.ones((1, 3))
    found = looked_at(run, gate, GateParams(fewest=int(np.bincount(probe.tokens)[rare]) + 1))
    assert rare not in found.words
    assert found.tested < np.unique(probe.tokens).size


def test_without_gates_and_without_words(run: RunFolder) -> None:
    missing = gate_use(run, run.probe(), None)
    assert isinstance(missing, Unavailable) and "no gates" in missing.reason
    run.write_record(Gates(0, {FORGET: np.full((run.probe().tokens.size, 2), 0.3, np.float32)}))
    found = gate_use(run, run.probe(), None)
    assert isinstance(found, GateUse) and found.tested == 0 and (found.words == -1).all()
