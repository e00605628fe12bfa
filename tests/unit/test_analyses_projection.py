"""The maps of states: what is planted shows, what cannot be mapped is said, and other states find their places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from rnnreport.analyses.pipeline import AnalysisParams, analyse
from rnnreport.analyses.projection import Guest, ProjectionParams, maps, principal_plane, project, trust
from rnnreport.analyses.projection.displayed import align
from rnnreport.analyses.projection.measures import disparity, shepard, strangeness
from rnnreport.analyses.sample import Sample, SampleParams, display_sample
from rnnreport.results.recorded import Doubles, Floats, Ints, Probe
from rnnreport.results.schema import GivenPlaces, Projection, Sequences, Unavailable
from tests.fabricate import fabricate_run

SCOPE = "lstm.0.fwd.h"
TSNE = "t-SNE, perplexity 30"
FAST = ProjectionParams(seed_points=100)


def planted(probe: Probe) -> tuple[Floats, Ints]:
    """Three groups of states, far apart, and the group of each."""
    draw = np.random.default_rng(0)
    group = draw.integers(0, 3, probe.tokens.size).astype(np.int32)
    return (8 * np.eye(3, 10)[group] + draw.normal(size=(group.size, 10))).astype(np.float32), group


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Projection, Floats, Ints, Sample]:
    """The planted groups; epoch 0 has a little noise, the baseline its units in another order, larger and shifted."""
    probe = fabricate_run(tmp_path_factory.mktemp("maps") / "run", epochs=1).probe()
    sample = display_sample(probe, SampleParams())
    states, group = planted(probe)
    noise = np.random.default_rng(1).normal(0, 0.1, states.shape).astype(np.float32)
    guest = Guest("turned", states[:, ::-1] * 3 + 1)
    found, _ = project(SCOPE, states, probe, sample, FAST, [(0, states + noise)], guest)
    assert isinstance(found, Projection)
    return found, states[sample.steps], group[sample.steps], sample


def nearest_group(flat: Doubles, reference: Doubles, group: Ints) -> Ints:
    """The group whose centre in ``reference`` is nearest."""
    centres = np.array([reference[group == k].mean(axis=0) for k in range(3)])
    return np.asarray(np.linalg.norm(flat[:, None] - centres, axis=2).argmin(axis=1))


def test_the_plane_is_that_of_scikit_learn() -> None:
    points = np.random.default_rng(0).normal(size=(200, 7)) @ np.diag([5, 4, 3, 2, 1, 1, 1])
    plane, share = principal_plane(points)
    model = PCA(2).fit(points)
    np.testing.assert_allclose(np.abs(plane), np.abs(model.transform(points)), atol=1e-9)
    np.testing.assert_allclose(share, model.explained_variance_ratio_, atol=1e-9)


def test_every_method_keeps_planted_groups_apart(mapped) -> None:
    found, _, group, _ = mapped
    assert found.methods == (TSNE, "t-SNE, perplexity 10", "t-SNE, perplexity 100", "PCA", "PHATE")
    assert found.space_methods == ("PCA", "PHATE")
    for flat in (*found.coordinates, *found.space):
        assert (nearest_group(flat, flat, group) == group).mean() > 0.99
    assert found.trust[TSNE]["trustworthiness"] > found.trust["PCA"]["trustworthiness"] > 0.5


def test_every_map_states_its_settings_and_measures(mapped) -> None:
    found, shown, _, _ = mapped
    for method in found.methods:
        assert {"trustworthiness", "continuity", "shepard", "neighbours", "disparity"} <= set(found.trust[method])
        assert {"seed", "states"} <= set(found.params[method]) and found.params[method]["states"] == len(shown)
        assert 0 <= found.trust[method]["disparity"] < 1
    assert [found.params[name]["perplexity"] for name in found.methods[:3]] == [30, 10, 100]
    assert found.trust["PCA"]["disparity"] == 0 < found.trust[TSNE]["disparity"]


def test_a_few_states_settle_early_and_are_fitted_once_less(monkeypatch, tmp_path) -> None:
    """After all 350 and 200 iterations trust is the same: 0.975 and 0.976 of 149 states."""
    run = fabricate_run(tmp_path / "run", epochs=2, sequences=30, steps=(3, 7), units=6)
    probe, states = run.probe(), run.checkpoint(1).states[SCOPE]
    sample = display_sample(probe, SampleParams())
    last: list[list[int]] = []

    class Watched(maps._Settled):
        def __init__(self) -> None:
            super().__init__()
            last.append([])

        def __call__(self, iteration: int, divergence: float, embedding: object) -> bool:
            last[-1].append(iteration)
            return super().__call__(iteration, divergence, embedding)

    monkeypatch.setattr(maps, "_Settled", Watched)
    few = ProjectionParams(phate_states=0)
    found, _ = project(SCOPE, states, probe, sample, few)
    stopped = [iterations[-1] for iterations in last]
    assert len(stopped) == 2 * len(found.methods[:-1]) and stopped[0] < 200 and stopped[1] < 200
    monkeypatch.setattr(maps, "_LEAST_GAIN", -np.inf)
    long, _ = project(SCOPE, states, probe, sample, few)
    assert last[-1][-1] == 200
    for method in found.methods[:-1]:
        assert found.trust[method]["trustworthiness"] > long.trust[method]["trustworthiness"] - 0.01


def test_distances_in_three_principal_components_are_those_of_the_space() -> None:
    points = np.random.default_rng(0).normal(size=(300, 3)) * [5, 2, 1]
    plane, _ = principal_plane(points)
    assert shepard(points, points) == pytest.approx(1)
    assert 0.8 < shepard(points, plane) < 1 and abs(shepard(points, plane[::-1])) < 0.2


def test_earlier_states_land_where_they_lie_and_a_turned_network_is_turned_back(mapped) -> None:
    found, _, group, _ = mapped
    assert set(found.placed) == {TSNE, "PCA"} and found.placed_epochs.tolist() == [0]
    for method, placed in found.placed.items():
        reference = found.coordinates[found.methods.index(method)]
        for other in placed[:, :, :2]:
            assert (nearest_group(other, reference, group) == group).mean() > 0.98
    size = np.abs(found.coordinates[0]).max()
    moved = np.linalg.norm(found.placed[TSNE][0] - found.coordinates[0], axis=1)
    assert np.median(moved) < 0.1 * size
    assert found.baseline.startswith("turned, ") and " 0% " in found.baseline


def test_sentences_given_by_hand_land_where_they_lie_in_every_map_that_takes_others(tmp_path: Path) -> None:
    probe = fabricate_run(tmp_path / "run", epochs=1, sequences=40).probe()
    sample = display_sample(probe, SampleParams())
    states, group = planted(probe)
    params = ProjectionParams(perplexities=(30.0, 10.0), seed_points=60, phate_states=100)
    given = states[:30] + np.random.default_rng(1).normal(0, 0.1, (30, 10)).astype(np.float32)
    found, placed = project(SCOPE, states, probe, sample, params, given=given)
    assert isinstance(found, Projection) and isinstance(placed, GivenPlaces)
    assert set(placed.placed) == {TSNE, "t-SNE, perplexity 10", "PCA"} and 0 < placed.strangeness < 0.5
    for method, where in placed.placed.items():
        reference = found.coordinates[found.methods.index(method)]
        assert (nearest_group(where[:, :2], reference, group[sample.steps]) == group[:30]).all()
    broken = project(SCOPE, states, probe, sample, params, given=np.full((1, 10), np.nan, np.float32))[1]
    assert isinstance(broken, Unavailable) and "finite" in broken.reason


def test_placing_moves_nothing_of_the_map_itself(mapped) -> None:
    found, shown, _, _ = mapped
    space = found.space[found.space_methods.index("PCA")]
    np.testing.assert_array_equal(space[:, :2], found.coordinates[found.methods.index("PCA")])
    np.testing.assert_allclose(
        np.linalg.norm(space.std(axis=0)) ** 2,
        shown.var(axis=0).sum() * sum(found.params["PCA"]["explained"]),
        rtol=1e-4,
    )


def test_strange_states_are_told_from_similar_ones() -> None:
    draw = np.random.default_rng(0)
    cloud = draw.normal(size=(1000, 5))
    assert strangeness(draw.normal(size=(300, 5)), cloud) == pytest.approx(1, abs=0.15)
    assert strangeness(draw.normal(size=(300, 5)) + 20, cloud) > 10
    assert np.isnan(strangeness(cloud, np.ones((5, 5))))


def test_another_network_is_matched_as_far_as_it_can_be() -> None:
    draw = np.random.default_rng(0)
    ours = draw.normal(size=(200, 3)) * [3, 2, 1]
    turned = 4 * ours @ Rotation.random(rng=0).as_matrix() + 7
    aligned, missed = align(turned, ours)
    np.testing.assert_allclose(aligned, ours, atol=1e-9)
    assert missed == pytest.approx(0, abs=1e-9)
    wide = np.hstack([turned, np.zeros((200, 2))])
    np.testing.assert_allclose(align(wide, ours)[0], ours, atol=1e-9)
    assert align(draw.normal(size=(200, 3)), ours)[1] > 0.8


def test_few_states_lower_the_perplexity_and_say_so(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", epochs=1, sequences=8)
    probe, sample = folder.probe(), display_sample(folder.probe(), SampleParams())
    found, _ = project(SCOPE, folder.checkpoint(0).states[SCOPE], probe, sample, FAST)
    assert isinstance(found, Projection)
    most = (sample.steps.size - 1) / 3
    assert found.params[found.methods[0]]["perplexity"] == pytest.approx(min(30, most))
    lowered = [settings["lowered from"] for settings in found.params.values() if "lowered from" in settings]
    assert (lowered == [30] if most < 30 else lowered == [100]) and found.placed == {}
    assert most >= 30 or any("perplexity 100" in line for line in found.left_out)


def test_many_states_are_sampled_for_phate_whole_sequences_at_a_time(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", epochs=1)
    probe, sample = folder.probe(), display_sample(folder.probe(), SampleParams())
    params = ProjectionParams(seed_points=60, perplexities=(30,), phate_states=200, landmarks=50)
    found, _ = project(SCOPE, folder.checkpoint(0).states[SCOPE], probe, sample, params)
    assert isinstance(found, Projection)
    known = np.isfinite(found.coordinates[found.methods.index("PHATE")]).all(axis=1)
    assert 150 < known.sum() == found.params["PHATE"]["states"] <= 200
    owner = np.repeat(np.arange(probe.lengths.size), probe.lengths)
    assert all(len(set(known[owner == n])) == 1 for n in range(probe.lengths.size))
    assert any(f"PHATE maps {known.sum()} of" in line for line in found.left_out)
    assert np.isfinite(found.coordinates[:2]).all()


def test_the_same_states_give_the_same_maps_to_the_bit(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", epochs=2, sequences=40)
    probe, sample = folder.probe(), display_sample(folder.probe(), SampleParams())
    both = [folder.checkpoint(epoch).states[SCOPE] for epoch in (0, 1)]
    with threadpool_limits(1):
        one, other = (project(SCOPE, both[1], probe, sample, FAST, [(0, both[0])])[0] for _ in range(2))
    assert isinstance(one, Projection) and isinstance(other, Projection)
    for name in ("coordinates", "space", "strangeness"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for name, values in one.placed.items():
        np.testing.assert_array_equal(values, other.placed[name])
    assert one.trust == other.trust


def test_distances_of_steps_do_not_depend_on_the_projection(tmp_path: Path) -> None:
    """G2: the distance shown is that of the states themselves."""
    folder = fabricate_run(tmp_path / "run", epochs=2, sequences=30, units=8)
    analyse(folder, params=AnalysisParams(projection=FAST))
    sequences = folder.result(Sequences)
    states = folder.checkpoint(1).states[folder.manifest().state_keys[0]]
    ends = np.cumsum(sequences.lengths)
    moves = np.linalg.norm(np.diff(states.astype(np.float64), axis=0), axis=1)
    inner = np.setdiff1d(np.arange(len(states)), ends - 1)
    np.testing.assert_allclose(sequences.distance[inner], moves[inner], rtol=1e-6)
    assert np.isnan(sequences.distance[ends - 1]).all()


def test_a_baseline_is_placed_by_the_pipeline(tmp_path: Path) -> None:
    few = {"epochs": 3, "sequences": 40, "units": 8}
    ours, theirs = (fabricate_run(tmp_path / str(seed), seed=seed, **few) for seed in (0, 1))
    analyse(ours, baseline=theirs, params=AnalysisParams(projection=FAST))
    found = ours.result(Projection)
    assert found.placed_epochs.tolist() == [0, 1] and found.baseline.startswith("fabricated classification")
    assert all(len(placed) == 3 for placed in found.placed.values()) and len(found.strangeness) == 3
    assert found.strangeness[0] > 0


def test_epochs_are_kept_within_the_budget() -> None:
    params = ProjectionParams(epochs=12, placed_states=40_000)
    assert params.kept_epochs(range(21), 2872) == [0, 2, 4, 5, 7, 9, 11, 13, 15, 16, 18, 20]
    assert params.kept_epochs(range(21), 10_000) == [0, 7, 13, 20] and params.kept_epochs(range(21), 99_999) == [20]


def test_a_perfect_map_has_perfect_trust_and_a_shuffled_one_has_not() -> None:
    points = np.random.default_rng(0).normal(size=(100, 2))
    assert trust(points, points, 12)["trustworthiness"] == trust(points, points, 12)["continuity"] == 1
    assert trust(points, points[::-1], 12)["trustworthiness"] < 0.7
    assert trust(points[:7], points[:7], 12)["neighbours"] == 3


def test_folding_costs_trustworthiness_and_tearing_costs_continuity() -> None:
    angle = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    line = np.stack([angle, np.zeros(100)], axis=1)
    torn, folded = trust(circle, line, 12), trust(line, circle * [1, 0], 12)
    assert torn["trustworthiness"] > 0.99 > torn["continuity"]
    assert folded["continuity"] > folded["trustworthiness"] + 0.1


def test_one_unit_still_has_a_plane_to_spread_in(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", epochs=1, units=1, sequences=12)
    probe, sample = folder.probe(), display_sample(folder.probe(), SampleParams())
    found, _ = project("lstm.0.fwd.h", folder.checkpoint(0).states["lstm.0.fwd.h"], probe, sample, ProjectionParams())
    assert isinstance(found, Projection)
    assert (found.coordinates[found.methods.index("PCA")][:, 1] == 0).all()
    assert found.coordinates[0].std(axis=0).min() > 0.1


def test_two_maps_differ_by_what_no_rotation_undoes() -> None:
    points = np.random.default_rng(0).normal(size=(50, 2))
    assert disparity(points, 3 * points[:, ::-1] + 2) == pytest.approx(0, abs=1e-12)
    assert disparity(points, points[::-1]) > 0.5
