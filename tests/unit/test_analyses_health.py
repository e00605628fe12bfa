"""Planted faults are named, each for what it is; healthy nets raise no alarm; the spectrum is that of PCA."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn

from rnnreport.analyses import rules
from rnnreport.analyses.health import (
    HealthParams,
    gate_shares,
    moments,
    participation_ratio,
    spectrum,
    state_health,
    stuck_gates,
    unit_faults,
)
from rnnreport.analyses.performance import PerformanceParams, performance
from rnnreport.analyses.rules.evidence import Evidence, Thresholds
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Floats, Gates
from rnnreport.results.schema import Check, Unavailable
from tests.fabricate import fabricate_run

PARAMS = HealthParams()
HIDDEN, CELL = "lstm.0.fwd.h", "lstm.0.fwd.c"
CHECKS = ("states-finite", "still-units", "duplicate-units", "saturated-units", "stuck-gates", "collapsed-state")


def trained_states(cell: str, seed: int, units: int = 24, steps: int = 40) -> Floats:
    """States of a small net after some training on sums of word values."""
    torch.manual_seed(seed)
    embedding, layer, head = nn.Embedding(20, 8), getattr(nn, cell)(8, units, batch_first=True), nn.Linear(units, 2)
    optimiser = torch.optim.Adam([*embedding.parameters(), *layer.parameters(), *head.parameters()], lr=0.01)
    tokens = torch.randint(0, 20, (150, 12))
    labels = (torch.linspace(-1, 1, 20)[tokens].sum(1) > 0).long()
    for _ in range(steps):
        batch = torch.randint(0, 150, (32,))
        scores = head(layer(embedding(tokens[batch]))[0][:, -1])
        nn.functional.cross_entropy(scores, labels[batch]).backward()
        optimiser.step(), optimiser.zero_grad()
    with torch.no_grad():
        found: Floats = layer(embedding(tokens))[0].reshape(-1, units).numpy()
    return found


def faults_of(states: Floats, *, bounded: bool = True) -> list[dict[str, Any]]:
    return unit_faults(HIDDEN, states, moments(states), PARAMS, bounded=bounded)


def kinds(states: Floats, *, bounded: bool = True) -> dict[int, str]:
    return {fault["unit"]: fault["kind"] for fault in faults_of(states, bounded=bounded)}


def rewritten(folder: RunFolder, **states: Floats) -> RunFolder:
    """The same run with other states at its last epoch."""
    last = folder.checkpoint(folder.epochs()[-1])
    named = {HIDDEN: states.get("hidden", last.states[HIDDEN]), CELL: states.get("cell", last.states[CELL])}
    folder.write_checkpoint(replace(last, states=named))
    return folder


def checks(folder: RunFolder) -> dict[str, Check]:
    probe, last = folder.probe(), folder.checkpoint(folder.epochs()[-1])
    scored = performance(probe, last, folder.metrics(), PerformanceParams())
    words, decisions = (Unavailable(name, "not asked for") for name in ("words", "decisions"))
    health = state_health(folder)
    found = Evidence(folder.manifest(), probe, last, scored, words, {}, Thresholds(), health, decisions)
    return {check.id: check for check in (rule(found) for rule in rules.RULES)}


@pytest.mark.parametrize("cell", ["RNN", "GRU", "LSTM"])
@pytest.mark.slow
def test_healthy_nets_raise_no_alarm_and_planted_faults_are_named(cell: str) -> None:
    alarms = 0
    for seed in range(20):
        states = trained_states(cell, seed)
        alarms += bool(kinds(states))
        sick = states.copy()
        sick[:, 3] = 0
        sick[:, 7] = 1
        sick[:, 15] = sick[:, 2]
        sick[:, 16] = -0.5 * sick[:, 4]
        sick[:, 20] = 0.4
        sick[17, 21] = np.nan
        planted = {3: "dead", 7: "saturated", 15: "duplicate", 16: "duplicate", 20: "constant", 21: "non-finite"}
        assert kinds(sick) == planted, f"{cell}, seed {seed}"
        twins = {one["unit"]: one["twin"] for one in faults_of(sick)}
        assert (twins[15], twins[16], twins[3]) == (2, 4, -1)
    assert alarms <= 1  # of 20


def test_the_bounds_of_each_fault() -> None:
    states = np.random.default_rng(0).uniform(-0.9, 0.9, (400, 12)).astype(np.float32)
    states[:, 5:] = 0.5 * np.sign(states[:, 5:])  # most units deviate by 0.5
    deviation = 0.5
    states[:, 0] = 9.9e-4 * np.sign(states[:, 0])
    states[:, 1] = 0.3 + 0.9e-3 * deviation * np.sign(states[:, 1])
    states[:, 2] = 0.3 + 1.2e-3 * deviation * np.sign(states[:, 2])
    states[:200, 3] = 0.96  # at half of the steps: not more
    states[:201, 4] = -0.96
    assert kinds(states) == {0: "dead", 1: "constant", 4: "saturated"}
    assert 4 not in kinds(states, bounded=False)


def test_a_chain_of_twins_names_units_that_stay() -> None:
    base = np.random.default_rng(1).normal(0, 0.2, (300, 3)).astype(np.float32)
    faults = faults_of(base[:, [0, 1, 0, 2, 0]])
    assert [(fault["unit"], fault["twin"]) for fault in faults] == [(2, 0), (4, 0)]
    assert all(fault["value"] == pytest.approx(1) for fault in faults)


def test_few_steps_say_little() -> None:
    states = np.random.default_rng(0).uniform(-0.9, 0.9, (29, 4)).astype(np.float32)
    states[:, 2], states[:, 3] = states[:, 1], 0
    assert kinds(states) == {3: "dead"}


def test_a_net_that_never_moves() -> None:
    states = np.full((60, 5), 0.3, np.float32)
    assert kinds(states) == dict.fromkeys(range(5), "constant")
    assert np.isnan(participation_ratio(spectrum(moments(states))))


def test_the_spectrum_is_that_of_pca() -> None:
    states = trained_states("GRU", 0)
    expected = PCA().fit(states.astype(np.float64)).explained_variance_
    found = spectrum(moments(states))
    np.testing.assert_allclose(found / found.sum(), expected / expected.sum(), atol=1e-12)
    assert participation_ratio(found) == pytest.approx(expected.sum() ** 2 / (expected**2).sum())


def test_moments_of_many_steps_need_less_memory_than_the_states() -> None:
    states = np.random.default_rng(0).normal(3, 1, (20_001, 48)).astype(np.float32)
    states[5, 7] = np.inf
    tracemalloc.start()
    found = moments(states)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < states.nbytes
    finite = np.delete(states, 7, axis=1).astype(np.float64)
    assert found.units.tolist() == [unit for unit in range(48) if unit != 7]
    np.testing.assert_allclose(found.mean, finite.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(found.covariance, np.cov(finite.T, bias=True), rtol=1e-10, atol=1e-12)


def test_participation_of_known_clouds() -> None:
    draw = np.random.default_rng(0).normal(size=(200_000, 4)).astype(np.float32)
    assert participation_ratio(spectrum(moments(draw))) == pytest.approx(4, rel=1e-3)
    assert participation_ratio(spectrum(moments(draw[:, :1] * np.arange(1, 5, dtype=np.float32)))) == pytest.approx(1)


def test_gates_are_counted_at_both_ends() -> None:
    gate = np.array([[0.05, 0.95, 0.5], [0.05, 0.95, 0.95], [0.05, 0.95, 0.1], [0.5, 0.95, 0.9]], np.float32)
    found = gate_shares({"lstm.0.fwd.f": gate, "lstm.0.fwd.g": gate}, PARAMS)
    assert list(found) == ["lstm.0.fwd.f"]  # g is a tanh
    np.testing.assert_array_equal(found["lstm.0.fwd.f"], np.float32([[0.75, 0, 0], [0, 1, 0.25]]))
    assert stuck_gates(found["lstm.0.fwd.f"], 0.99).tolist() == [False, True, False]


def test_a_healthy_run_passes_every_check(tmp_path: Path) -> None:
    found = checks(fabricate_run(tmp_path / "run"))
    verdicts = {id: found[id].verdict for id in CHECKS}
    assert verdicts == dict.fromkeys(CHECKS, "pass") | {"stuck-gates": "no data"}


def test_each_planted_fault_reaches_the_verdict_with_layer_and_unit(tmp_path: Path) -> None:
    def with_fault(name: str, unit: int, value: object) -> dict[str, Check]:
        folder = fabricate_run(tmp_path / name)
        hidden = folder.checkpoint(folder.epochs()[-1]).states[HIDDEN]
        hidden[:, unit] = hidden[:, value] if isinstance(value, int) else value
        return checks(rewritten(folder, hidden=hidden))

    for name, unit, value, id, word in (
        ("dead", 5, 0.0, "still-units", "dead"),
        ("saturated", 6, 1.0, "still-units", "saturated"),
        ("constant", 7, 0.25, "still-units", "constant"),
        ("duplicate", 8, 3, "duplicate-units", "duplicate"),
    ):
        found = with_fault(name, unit, value)
        doubted = {id for id in CHECKS if found[id].verdict == "warn"}
        assert doubted == {id}
        assert f"lstm, layer 1, hidden state h, unit {unit} ({word})" in found[id].text
        assert (found[id].value, found[id].anchor) == (1, "health")
    broken = with_fault("broken", 9, np.nan)
    assert broken["states-finite"].verdict == "fail"


def test_many_saturated_units(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", units=20)
    hidden = folder.checkpoint(folder.epochs()[-1]).states[HIDDEN]
    rising = np.arange(len(hidden)) < 0.6 * len(hidden)
    for saturated, verdict in ((2, "pass"), (3, "warn")):
        noise = np.random.default_rng(0).uniform(-0.9, 0.9, (len(hidden), saturated))
        hidden[:, :saturated] = np.where(rising[:, None], 0.97, noise)
        check = checks(rewritten(folder, hidden=hidden))["saturated-units"]
        assert (check.verdict, check.value, check.n) == (verdict, saturated / 20, 20)


def test_a_state_that_collapsed_onto_one_line(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run")
    before = checks(folder)["collapsed-state"]
    hidden = folder.checkpoint(folder.epochs()[-1]).states[HIDDEN]
    line = hidden[:, :1] * np.linspace(0.5, 1, hidden.shape[1], dtype=np.float32)
    after = checks(rewritten(folder, hidden=line + 1e-4 * hidden))["collapsed-state"]
    assert (before.verdict, after.verdict) == ("pass", "warn")
    assert "hidden state h uses 1.00 of 24 directions" in after.text
    still = checks(rewritten(folder, hidden=np.full_like(hidden, 0.3)))["collapsed-state"]
    assert still.verdict == "warn" and "none, because no unit moves" in still.text


def test_without_the_net_before_training_there_is_no_collapse_to_judge(tmp_path: Path) -> None:
    assert checks(fabricate_run(tmp_path / "run", epochs=1))["collapsed-state"].verdict == "no data"


def test_gates_that_never_open(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run")
    steps = int(folder.probe().lengths.sum())
    values = {f"lstm.0.fwd.{kind}": np.random.default_rng(0).uniform(0, 1, (steps, 24)) for kind in "ifo"}
    values["lstm.0.fwd.i"][:, :13] = 0.01
    gates = {key: gate.astype(np.float32) for key, gate in values.items()}
    folder.write_record(Gates(folder.epochs()[-1], gates))
    check = checks(folder)["stuck-gates"]
    assert (check.verdict, check.value, check.n) == ("warn", 13 / 24, 24)
    assert "gate i: of 24 units 13 are closed and 0 open" in check.text


def test_an_unbounded_state_cannot_saturate(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run")
    hidden = 3 * folder.checkpoint(folder.epochs()[-1]).states[HIDDEN]
    found = checks(rewritten(folder, hidden=hidden))["saturated-units"]
    assert found.verdict == "no data"
