"""How the representation formed: every measure against a known value, and the planted training against its plan."""

from __future__ import annotations

import math
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rnnreport.analyses.mmphate import budget, measures, resamples
from rnnreport.analyses.mmphate.budget import estimate, refusal
from rnnreport.analyses.mmphate.dynamics import DynamicsParams, Embedded, training_dynamics
from rnnreport.analyses.mmphate.embed import EmbedParams, embed
from rnnreport.analyses.mmphate.formation import FormationParams, formation
from rnnreport.analyses.mmphate.kernel import KernelParams, multislice_kernel, standardise
from rnnreport.analyses.mmphate.pairs import close_slices
from rnnreport.results.schema import Dynamics, Formation, NodeStates, Unavailable
from tests.courses import BOUNDARIES, planted
from tests.fabricate import fabricate_run


@pytest.fixture(scope="module")
def embedded() -> tuple[Embedded, np.ndarray]:
    """The planted training, embedded, and the communities of its units."""
    training = planted(0)
    epochs, steps, units, samples = training.activity.shape
    kernel = multislice_kernel(training.activity.reshape(-1, units, samples), KernelParams())
    found = embed(kernel, EmbedParams(landmarks=1000))
    dynamics = Dynamics(
        scope="rnn.0.fwd.h",
        epochs=np.arange(epochs, dtype=np.int32),
        steps=np.arange(steps, dtype=np.int32),
        units=np.arange(units, dtype=np.int32),
        plane=found.plane.astype(np.float32),
        space=found.space.astype(np.float32),
        active=np.zeros(0, np.int32),
        params={},
        outcome={},
        left_out=(),
        guide="",
    )
    states = NodeStates((dynamics.scope,), np.zeros(units, np.int32))
    whole = Embedded(dynamics, training.activity, kernel.nodes, np.arange(samples), states)
    return whole, training.community.astype(np.int32)


@pytest.fixture(scope="module")
def formed(embedded: tuple[Embedded, np.ndarray]) -> Formation:
    losses = ("test_loss", np.arange(24, dtype=np.int32), np.linspace(3, 0.7, 24))
    return formation(*embedded, losses, FormationParams(resamples=20))


def test_the_page_is_told_where_the_picture_is_purer_than_the_activity(formed: Formation) -> None:
    """Statement 16: in the first phase the communities are almost absent, and the picture shows them all the same."""
    picture, activity = formed.purity
    first, second, third = slice(0, 8), slice(8, 16), slice(16, 24)
    assert picture[first].mean() > 0.85 and activity[first].mean() < 0.4
    assert picture[second].mean() > 0.9 and activity[second].mean() > 0.9
    assert formed.chance == pytest.approx(5 / 23)
    flagged = formed.flagged["purity"]
    assert set(range(8)) <= set(flagged) and not set(range(8, 16)) & set(flagged)
    assert (np.abs(picture - activity)[third] > 0.2).mean() == np.mean([epoch in flagged for epoch in range(16, 24)])
    apart = np.abs(formed.alignment[0] - formed.alignment[1]) > 0.2
    assert formed.flagged["alignment"] == tuple(np.flatnonzero(apart))


def test_jumps_are_at_the_planted_boundaries(formed: Formation) -> None:
    assert sorted(jump["epoch"] for jump in formed.jumps) == list(BOUNDARIES)
    assert all(jump["support"] >= 0.9 and jump["after"] == jump["epoch"] - 1 for jump in formed.jumps)


def test_epochs_that_lie_further_apart_are_no_jump(embedded: tuple[Embedded, np.ndarray]) -> None:
    """A steady drift, recorded at every epoch at first and then at every sixth."""
    draw = np.random.default_rng(0)
    epochs = np.r_[0:12, 17:66:6].astype(np.int32)
    start, way = draw.normal(size=(2, 1, 4, 10, 50))
    activity = start + 0.004 * epochs[:, None, None, None] * way
    shape = (len(epochs) * 4, 10, 50)
    dynamics = replace(
        embedded[0].dynamics,
        epochs=epochs,
        steps=np.arange(4, dtype=np.int32),
        units=np.arange(10, dtype=np.int32),
        space=draw.normal(size=(len(epochs) * 40, 3)).astype(np.float32),
    )
    states = NodeStates((dynamics.scope,), np.zeros(10, np.int32))
    drift = Embedded(dynamics, activity, standardise(activity).reshape(shape), np.arange(50), states)
    found = formation(drift, None, None, FormationParams(resamples=5))
    assert found.jumps == () and np.nanmax(found.change[1]) < 1.5 * np.nanmin(found.change[1])
    apart = np.linalg.norm(np.diff(activity[[11, 12]], axis=0))
    assert apart > 4 * np.linalg.norm(np.diff(activity[[10, 11]], axis=0))  # and yet six times as far from one another


def test_the_finding_says_what_changed_and_warns(formed: Formation) -> None:
    assert "still changing at the end" in formed.finding and formed.settled["epoch"] == 23
    assert {f"abruptly at epochs {a} and {b}" in formed.finding for a, b in ((8, 16), (16, 8))} == {True, False}
    assert f"In {len(formed.flagged['purity'])} of 24 epochs" in formed.finding
    assert "identity carried by inter-step edges" in formed.finding


def test_the_finding_says_when_the_geometry_was_final(embedded: tuple[Embedded, np.ndarray]) -> None:
    """A training that stops changing at epoch 9, while its loss goes on falling."""
    whole, communities = embedded
    noise = np.random.default_rng(0).normal(0, 0.02, whole.activity.shape)
    stopped = whole.activity[np.minimum(np.arange(24), 9)] + noise
    losses = ("test_loss", np.arange(24, dtype=np.int32), np.linspace(3, 0.7, 24))
    found = formation(replace(whole, activity=stopped), communities, losses, FormationParams(resamples=20))
    settled = found.settled
    assert settled["epoch"] == 9 - (found.similarity[8] >= 0.95) and settled["low"] <= 9 <= settled["high"] + 1
    doubt = f"(95% interval {settled['low']} to {settled['high']}, 60 sequences resampled)"
    assert f"final geometry at epoch {settled['epoch']} {doubt}" in found.finding
    assert f"the test loss still went from {np.linspace(3, 0.7, 24)[settled['epoch']]:.3g} to 0.7." in found.finding


def test_entropy_of_the_activity_falls_where_that_of_the_picture_hardly_moves(formed: Formation) -> None:
    picture, activity = (np.nanmean(values.reshape(3, 8, -1), axis=(1, 2)) for values in formed.within_step)
    assert np.ptp(activity) > 3 * np.ptp(picture)
    assert activity[0] > activity[1] > activity[2]


def test_entropies_follow_their_units(embedded: tuple[Embedded, np.ndarray], formed: Formation) -> None:
    """Statement 18."""
    whole, communities = embedded
    order = np.random.default_rng(0).permutation(24)
    dynamics = whole.dynamics
    space = dynamics.space.reshape(24, 20, 24, 3)[:, :, order].reshape(-1, 3)
    activity, nodes = whole.activity[:, :, order], whole.nodes[:, order]
    moved = replace(whole, dynamics=replace(dynamics, space=space), activity=activity, nodes=nodes)
    found = formation(moved, communities[order], None, FormationParams(resamples=2))
    assert formed.within_step.shape == (2, 24, 20) and formed.within_unit.shape == (2, 24, 24)
    np.testing.assert_allclose(found.within_step, formed.within_step, atol=1e-4)
    np.testing.assert_allclose(found.within_unit, formed.within_unit[:, :, order], atol=1e-4)
    np.testing.assert_allclose(found.purity, formed.purity, atol=1e-6)


def test_entropy_of_known_distributions() -> None:
    """Statement 17."""
    points = np.random.default_rng(0).normal(size=(2000, 3))
    exact = 1.5 * math.log(2 * math.pi * math.e)
    found = measures.nearest_neighbour_entropy(points, 3)
    assert found == pytest.approx(exact, abs=0.15)
    assert measures.nearest_neighbour_entropy(7 * points, 3) == pytest.approx(found + 3 * math.log(7))
    assert math.isnan(measures.nearest_neighbour_entropy(points[:3], 3))
    assert math.isfinite(measures.nearest_neighbour_entropy(points[:4], 3))
    assert math.isnan(measures.nearest_neighbour_entropy(np.repeat(points[:2], 5, axis=0), 3))


def test_alignment_of_a_line_and_of_a_zigzag() -> None:
    line = np.broadcast_to(np.arange(6.0)[:, None, None], (6, 4, 2))
    zigzag = np.broadcast_to((np.arange(6) % 2.0)[:, None, None], (6, 4, 2))
    still = np.zeros((6, 4, 2))
    found = measures.alignment(np.stack([line, zigzag, still]))
    np.testing.assert_allclose(found, [1, -1, np.nan])
    assert np.isnan(measures.alignment(line[None, :2])).all()


def test_change_is_the_mean_move() -> None:
    places = np.zeros((3, 2, 4, 2))
    places[1:, :, :2] += [3, 4]
    np.testing.assert_allclose(measures.change(places), [np.nan, 2.5, 0])


def test_similarity_and_participation_of_known_states() -> None:
    draw = np.random.default_rng(0)
    last = draw.normal(size=(400, 5))
    turned = last @ np.linalg.qr(draw.normal(size=(5, 5)))[0] * 3 + 1
    other = draw.normal(size=(400, 5))
    flat = np.outer(last[:, 0], np.ones(5))
    similarity = measures.similarity_with_last(np.stack([other, np.ones((400, 5)), turned, last]))
    assert similarity[0] < 0.1 and np.isnan(similarity[1]) and similarity[2:] == pytest.approx([1, 1])
    ratio = measures.participation_ratio(np.stack([flat, last]))
    assert ratio[0] == pytest.approx(1) and 4.5 < ratio[1] <= 5


def test_settling_and_jumps_of_known_curves() -> None:
    assert measures.settled_place(np.array([0.2, 0.96, 0.9, 0.97, 1]), 0.95) == 3
    assert measures.settled_place(np.ones(3), 0.95) == 0
    assert measures.settled_place(np.array([np.nan, 0.5, 1]), 0.95) == 2
    changes = np.array([np.nan, 1, 1, 9, 1, 5, 4, 1, 1, 1])
    assert measures.jumps(changes, 3).tolist() == [3, 5]
    assert measures.jumps(np.array([np.nan, 1, 1, 1]), 3).size == 0


def test_resamples_by_sums_are_those_of_drawn_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(3)
    activity = np.cumsum(draw.normal(size=(5, 3, 6, 12)), axis=0) + 40
    activity[:, :, 2] = 7  # a constant unit
    activity[1:, :, 3] = activity[0, :, 3]  # one that never changes
    activity[:, :, 4, 1:] = 0  # one that is constant unless the first sequence is drawn
    monkeypatch.setattr(resamples, "_AT_A_TIME", 150)  # some units at a time
    counts = resamples.drawn_counts(12, 20, 0)
    similarity, change = (
        resamples.resampled_similarity(activity, counts),
        resamples.resampled_change(activity, counts),
    )
    assert (counts.sum(axis=1) == 12).all() and (counts[:, 0] == 0).any()
    for row, count in enumerate(counts.astype(int)):
        drawn = np.repeat(activity, count, axis=3)
        states = drawn.transpose(0, 1, 3, 2).reshape(5, -1, 6)
        np.testing.assert_allclose(similarity[row], measures.similarity_with_last(states), rtol=1e-9)
        np.testing.assert_allclose(change[row], measures.change(standardise(drawn)) / np.sqrt(12), atol=1e-7)


def test_purity_is_refused_where_every_picture_has_the_same() -> None:
    points = np.random.default_rng(0).normal(size=(2, 3, 6, 3))
    groups = np.array([0, 0, 0, 1, 1, 1], np.int32)
    assert np.isnan(measures.purity(points, groups, 5)).all()
    assert np.isfinite(measures.purity(points, groups, 4)).all()
    assert measures.chance_of_same(np.full(4, -1, np.int32)) is None


def test_the_most_active_class_of_a_node(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", epochs=2, units=4)
    probe = folder.probe()
    steps = np.repeat(probe.labels, probe.lengths)
    for checkpoint in list(folder.checkpoints()):
        states = checkpoint.states["lstm.0.fwd.h"]
        for unit in range(4):  # a unit far away from its mean on the sequences of one class only
            states[:, unit] = np.where(steps == unit, 5, 0) + 0.1 * np.sin(np.arange(len(steps)) + unit)
        folder.write_checkpoint(checkpoint)
    found = training_dynamics(folder, "lstm.0.fwd.h", probe, DynamicsParams(steps=3))
    assert isinstance(found, Embedded)
    assert found.dynamics.active.reshape(2, 3, 4).tolist() == [[[0, 1, 2, 3]] * 3] * 2


@pytest.mark.parametrize("reach", [20.0, 200.0])
def test_an_estimate_of_memory_counts_what_each_thread_holds(monkeypatch: pytest.MonkeyPatch, reach: float) -> None:
    activity = planted(0, epochs=20, steps=50, samples=40, per_community=1).activity
    points = np.ascontiguousarray(standardise(activity.reshape(1000, -1, 40))[:, 0])
    tracemalloc.start()
    found = close_slices(points, 25, KernelParams.tile, reach)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    close = 2 * found.count(reach) / 1000  # 66 or all
    assert peak - kept < budget.compared_bytes(1000, close) < 2 * (peak - kept)
    with_threads = estimate(1000, 4, 40, 200).bytes
    monkeypatch.setattr(budget, "MOST", 0)
    assert with_threads - estimate(1000, 4, 40, 200).bytes == pytest.approx(4 * budget.compared_bytes(1000, 350))


def test_an_estimate_grows_with_the_size_and_too_much_is_refused(tmp_path: Path) -> None:
    small, large = estimate(100, 30, 50, 2000), estimate(1000, 30, 50, 2000)
    assert small.seconds < large.seconds and small.bytes < large.bytes
    assert refusal((20, 10, 32), 100, 2000, 8e9) == ""
    text = refusal((100, 100, 60), 100, 2000, 3e9)
    fits = int(text.split("--mmphate-nodes ")[1]) // (100 * 60)
    assert refusal((fits, 100, 60), 100, 2000, 3e9) == "" != refusal((fits + 1, 100, 60), 100, 2000, 3e9)
    assert "--mmphate-nodes" in refusal((2, 20000, 300), 100, 2000, 3e9)
    folder = fabricate_run(tmp_path / "run", epochs=3)
    found = training_dynamics(folder, "lstm.0.fwd.h", folder.probe(), DynamicsParams(most_bytes=1e6))
    assert isinstance(found, Unavailable) and "limit of 0.0 GB" in found.reason
