"""The MM-PHATE kernel against a brute-force evaluation, and the embedding against its parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnnreport.analyses.mmphate.device import best_device
from rnnreport.analyses.mmphate.diffusion import (
    diffuse,
    knee,
    landmark_labels,
    potential,
    potential_distances,
    singular_values,
    von_neumann_entropy,
)
from rnnreport.analyses.mmphate.dynamics import DynamicsParams, Embedded, training_dynamics
from rnnreport.analyses.mmphate.embed import EmbedParams, Engine, embed
from rnnreport.analyses.mmphate.kernel import Kernel, KernelParams, multislice_kernel, standardise
from rnnreport.analyses.mmphate.layout import LayoutParams, classical_scaling, lay_out, stress, unit_variance
from rnnreport.results.schema import Unavailable
from tests.fabricate import fabricate_run

PARAMS = KernelParams(inter_neighbours=5)
ENGINES: tuple[Engine, ...] = ("rnnreport", "phate")


def walk(slices: int, units: int, samples: int, seed: int = 0) -> np.ndarray:
    """Activity that drifts from slice to slice, so that some pairs of slices are close and others far."""
    return np.cumsum(np.random.default_rng(seed).normal(size=(slices, units, samples)), axis=0)


def brute_force(activity: np.ndarray, intra: int, inter: int, alpha: float = 5.0) -> np.ndarray:
    """The formulas node by node, without any structure."""
    slices, units, _ = activity.shape
    z = np.empty_like(activity)
    for s in range(slices):
        for i in range(units):
            x = activity[s, i]
            z[s, i] = (x - x.mean()) / x.std() if x.std() > 0 else 0
    medians = []
    for i in range(units):
        nearest = []
        for s in range(slices):
            others = sorted(np.sqrt(((z[s, i] - z[r, i]) ** 2).sum()) for r in range(slices) if r != s)
            nearest.append(others[inter - 1])
        medians.append(np.median(nearest))
    sigma = np.mean(medians)
    kernel = np.zeros((slices * units, slices * units))
    for s in range(slices):
        block = np.zeros((units, units))
        for i in range(units):
            distance = [np.sqrt(((z[s, i] - z[s, j]) ** 2).sum()) for j in range(units)]
            epsilon = sorted(distance[j] for j in range(units) if j != i)[intra - 1]
            block[i] = [np.exp(-((d / epsilon) ** alpha)) for d in distance]
        block[block < 1e-4] = 0
        kernel[s * units : (s + 1) * units, s * units : (s + 1) * units] = (block + block.T) / 2
    for i in range(units):
        for s in range(slices):
            for r in range(slices):
                if r != s:
                    kernel[s * units + i, r * units + i] = np.exp(-((z[s, i] - z[r, i]) ** 2).sum() / sigma**2)
    kernel[kernel < 1e-4] = 0
    return kernel


@pytest.mark.parametrize(("slices", "units", "samples"), [(12, 5, 8), (7, 3, 4), (8, 9, 20)])
def test_kernel_equals_brute_force(slices: int, units: int, samples: int) -> None:
    activity = walk(slices, units, samples)
    found = multislice_kernel(activity, PARAMS).matrix.toarray()
    expected = brute_force(activity, intra=2, inter=5)
    assert ((found > 0) == (expected > 0)).all()
    assert (expected == 0).any() and (expected[~np.eye(len(expected), dtype=bool)] > 0).any()
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_kernel_is_symmetric_with_unit_diagonal_and_bounded_entries() -> None:
    slices, units = 30, 40
    matrix = multislice_kernel(walk(slices, units, 10), KernelParams()).matrix
    assert abs(matrix - matrix.T).max() == 0
    np.testing.assert_array_equal(matrix.diagonal(), 1)
    assert matrix.data.min() >= 1e-4 and matrix.data.max() <= 1
    rows, columns = matrix.nonzero()
    assert ((rows // units == columns // units) | (rows % units == columns % units)).all()


def test_kernel_invariances() -> None:
    activity = walk(10, 6, 12)
    draw = np.random.default_rng(1)
    plain = multislice_kernel(activity, PARAMS).matrix.toarray()

    def kernel(changed: np.ndarray) -> np.ndarray:
        return multislice_kernel(changed, PARAMS).matrix.toarray()

    np.testing.assert_allclose(kernel(activity[:, :, draw.permutation(12)]), plain, atol=1e-10)
    affine = draw.uniform(0.1, 10, (10, 6, 1)) * activity + draw.normal(size=(10, 6, 1))
    np.testing.assert_allclose(kernel(affine), plain, atol=1e-10)
    units, slices = draw.permutation(6), draw.permutation(10)
    nodes = np.arange(60).reshape(10, 6)
    moved = nodes[:, units].ravel()
    np.testing.assert_allclose(kernel(activity[:, units]), plain[np.ix_(moved, moved)], atol=1e-12)
    moved = nodes[slices].ravel()
    np.testing.assert_allclose(kernel(activity[slices]), plain[np.ix_(moved, moved)], atol=1e-12)
    flipped = activity.copy()
    flipped[3, 2] *= -1
    assert np.abs(kernel(flipped) - plain).max() > 0.01


def test_sigma_is_the_mean_of_medians_of_neighbour_distances() -> None:
    from sklearn.neighbors import NearestNeighbors

    activity = walk(40, 4, 9)
    scored = standardise(activity)
    medians = []
    for unit in range(4):
        distance, _ = NearestNeighbors(n_neighbors=25).fit(scored[:, unit]).kneighbors()
        medians.append(np.median(distance[:, -1]))
    assert multislice_kernel(activity, KernelParams()).sigma == pytest.approx(np.mean(medians), abs=1e-12)


def test_few_slices_and_units_clamp_the_neighbours() -> None:
    kernel = multislice_kernel(walk(4, 2, 6), KernelParams())
    assert (kernel.inter_neighbours, kernel.intra_neighbours) == (3, 1)


@pytest.mark.parametrize(("slices", "units", "samples"), [(6, 2, 5), (30, 2, 1), (2, 2, 3), (40, 3, 1)])
def test_the_smallest_shapes_stay_finite(slices: int, units: int, samples: int) -> None:
    """Two units, one sample (which standardises to nothing), two slices: as one step of two epochs would have."""
    kernel = multislice_kernel(walk(slices, units, samples), KernelParams())
    assert np.isfinite(kernel.matrix.data).all() and (kernel.matrix.diagonal() == 1).all() and kernel.sigma > 0
    found = embed(kernel, EmbedParams(landmarks=20))
    assert np.isfinite(found.plane).all() and np.isfinite(found.space).all()


@pytest.mark.parametrize("landmarks", [8, 100])
@pytest.mark.parametrize("kind", ["constant unit", "duplicate units", "all constant but one", "equal slices"])
def test_degenerate_units_stay_finite(kind: str, landmarks: int) -> None:
    activity = walk(6, 4, 5)
    if kind == "constant unit":
        activity[:, 1] = 0.3
    elif kind == "duplicate units":
        activity[:, 1] = activity[:, 2] = activity[:, 0]
    elif kind == "equal slices":
        activity[:] = activity[0]
    else:
        activity[:, 1:] = 0
    kernel = multislice_kernel(activity, KernelParams())
    assert np.isfinite(kernel.matrix.data).all() and (kernel.matrix.diagonal() == 1).all()
    found = embed(kernel, EmbedParams(landmarks=landmarks))
    assert np.isfinite(found.plane).all() and np.isfinite(found.space).all()


def test_the_tile_and_the_first_guess_of_the_bandwidth_change_nothing() -> None:
    activity = walk(150, 3, 6) * np.linspace(0.1, 3, 150)[:, None, None]
    whole = multislice_kernel(activity, KernelParams(tile=4096))
    for tile in (1, 7, 64):
        part = multislice_kernel(activity, KernelParams(tile=tile))
        assert part.sigma == pytest.approx(whole.sigma, abs=1e-12)
        np.testing.assert_array_equal(part.matrix.indices, whole.matrix.indices)
        np.testing.assert_allclose(part.matrix.data, whole.matrix.data, atol=1e-12)


def test_a_guess_that_is_too_short_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    from rnnreport.analyses.mmphate import kernel

    expected = multislice_kernel(walk(40, 3, 8), PARAMS)
    monkeypatch.setattr(kernel, "_guess", lambda nodes, neighbours: expected.sigma / 10)
    found = multislice_kernel(walk(40, 3, 8), PARAMS)
    assert found.sigma == expected.sigma
    assert abs(found.matrix - expected.matrix).max() == 0


def test_many_samples_become_components_that_keep_the_distances() -> None:
    from scipy.spatial.distance import pdist

    activity = walk(6, 5, 130)
    nodes = multislice_kernel(activity, PARAMS).nodes
    assert nodes.shape == (6, 5, 100)
    # 30 nodes span at most 29 dimensions, so that 100 components lose nothing
    flat = standardise(activity).reshape(30, -1)
    np.testing.assert_allclose(pdist(nodes.reshape(30, -1)), pdist(flat), atol=1e-9)


def landmarks_of_graphtools(kernel: Kernel, landmarks: int) -> tuple[np.ndarray, np.ndarray]:
    """The labels that graphtools finds, and its operator of them."""
    import graphtools

    graph = graphtools.Graph(
        kernel.matrix, precomputed="affinity", n_landmark=landmarks, random_state=0, verbose=0, n_svd=20
    )
    operator = np.asarray(graph.landmark_op)
    return np.unique(graph.clusters, return_inverse=True)[1], operator


def test_operator_of_given_landmarks_is_that_of_graphtools() -> None:
    kernel = multislice_kernel(walk(60, 8, 10), KernelParams())
    labels, expected = landmarks_of_graphtools(kernel, 50)
    found = diffuse(kernel, labels)
    np.testing.assert_allclose(found.operator, expected, atol=1e-12)
    np.testing.assert_allclose(found.operator.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(np.asarray(found.to_landmarks.sum(axis=1)).ravel(), 1, atol=1e-12)


def test_eigenvalues_of_the_operator_count_the_components() -> None:
    apart = np.concatenate([walk(9, 4, 8, seed=1), 1e4 + 1e3 * walk(9, 4, 8, seed=2)])
    kernel = multislice_kernel(apart, KernelParams(inter_neighbours=3))
    found = embed(kernel, EmbedParams())
    values = np.linalg.eigvals(diffuse(kernel, np.arange(72)).operator)
    assert np.abs(values.imag).max() < 1e-6
    assert values.real.min() > -1e-6 and values.real.max() < 1 + 1e-6
    assert (np.abs(values.real - 1) < 1e-9).sum() == found.components


def test_entropy_and_t_are_those_of_phate() -> None:
    import phate

    kernel = multislice_kernel(walk(15, 5, 10), KernelParams())
    operator = diffuse(kernel, landmark_labels(kernel.nodes, 40, seed=0)).operator
    np.testing.assert_allclose(singular_values(operator), np.linalg.svd(operator)[1], atol=1e-9)
    expected = phate.vne.compute_von_neumann_entropy(operator)
    found = embed(kernel, EmbedParams(landmarks=40))
    np.testing.assert_allclose(found.entropy, expected, atol=1e-6)
    assert found.t == phate.vne.find_knee_point(expected)
    assert (np.diff(von_neumann_entropy(singular_values(operator))) <= 1e-9).all()


def test_the_knee_is_where_two_lines_meet() -> None:
    assert knee(np.concatenate([np.linspace(10, 2, 9), np.linspace(1.9, 1, 30)])) == 8

    def miss(places: np.ndarray, values: np.ndarray) -> float:
        return float(np.abs(np.polyval(np.polyfit(places, values, 1), places) - values).sum())

    places = np.arange(40)
    draw = np.random.default_rng(0)
    for _ in range(20):
        curve = np.sort(draw.exponential(size=40))[::-1]
        errors = [miss(places[: b + 1], curve[: b + 1]) + miss(places[b:], curve[b:]) for b in range(1, 39)]
        assert knee(curve) == 1 + int(np.argmin(errors))


@pytest.mark.parametrize("gamma", [0, 1, 0.5])
def test_potential_is_that_of_phate(gamma: float) -> None:
    import phate

    kernel = multislice_kernel(walk(20, 5, 10), KernelParams())
    labels = landmark_labels(kernel.nodes, 30, seed=0)
    operator = diffuse(kernel, labels).operator
    reference = phate.PHATE(knn_dist="precomputed_affinity", n_landmark=None, gamma=gamma, t=4, verbose=0)
    reference.fit(kernel.matrix)
    stepped = np.linalg.matrix_power(operator, 4)
    expected = {0: 2 * np.sqrt(stepped), 1: -np.log(stepped + 1e-7), 0.5: stepped**0.25 / 0.25}[gamma]
    np.testing.assert_allclose(potential(operator, 4, gamma), expected, rtol=1e-4, atol=1e-5)


def test_landmarks_lie_within_units_and_merge_alike_slices() -> None:
    nodes = multislice_kernel(walk(30, 4, 6), KernelParams()).nodes
    labels = landmark_labels(nodes, 20, seed=0).reshape(30, 4)
    assert sorted(set(labels.ravel())) == list(range(20))
    for unit in range(4):
        assert not set(labels[:, unit]) & set(labels[:, (unit + 1) % 4])
    np.testing.assert_array_equal(landmark_labels(nodes, 120, seed=0), np.arange(120))
    alike = np.repeat(nodes[:2], 15, axis=0)
    found = landmark_labels(alike, 20, seed=0).reshape(30, 4)
    assert (found[:15] == found[0]).all() and (found[15:] == found[15]).all()
    assert len(np.unique(found)) == 8  # two different slices of four units need no more


def test_classical_scaling_finds_points_again() -> None:
    from scipy.spatial.distance import pdist, squareform

    points = np.random.default_rng(0).normal(size=(40, 3))
    distances = squareform(pdist(points))
    np.testing.assert_allclose(pdist(classical_scaling(distances, 3, seed=0)), pdist(points), atol=1e-8)
    assert lay_out(distances, 3, LayoutParams()).stress < 1e-6


def test_layout_is_no_worse_than_that_of_scikit_learn() -> None:
    from scipy.spatial.distance import pdist, squareform
    from sklearn.manifold import smacof

    kernel = multislice_kernel(walk(25, 6, 10), KernelParams())
    operator = diffuse(kernel, landmark_labels(kernel.nodes, 150, seed=0)).operator
    distances = potential_distances(potential(operator, 5, 0))
    for dimensions in (2, 3):
        points, _ = smacof(
            distances,
            n_components=dimensions,
            n_init=4,
            max_iter=1000,
            eps=1e-7,
            random_state=0,
            normalized_stress=False,
        )
        reached = stress(squareform(distances, checks=False), pdist(points))
        assert lay_out(distances, dimensions, LayoutParams()).stress <= 1.005 * reached


def test_coincident_landmarks_and_a_single_place_stay_finite() -> None:
    from scipy.spatial.distance import pdist, squareform

    points = np.repeat(np.random.default_rng(0).normal(size=(5, 4)), 6, axis=0)
    found = lay_out(squareform(pdist(points)), 2, LayoutParams())
    assert np.isfinite(found.points).all() and found.stress < 0.3
    np.testing.assert_array_equal(lay_out(np.zeros((4, 4)), 2, LayoutParams()).points, np.zeros((4, 2)))


def test_same_landmarks_and_power_give_the_picture_of_phate() -> None:
    """Statement 9 of the specification: the same landmarks, t and potential; only the layout's start is our own."""
    import phate
    from scipy.spatial import procrustes
    from sklearn.manifold import smacof

    kernel = multislice_kernel(walk(80, 8, 10), KernelParams())
    labels, operator = landmarks_of_graphtools(kernel, 200)
    diffusion = diffuse(kernel, labels)
    t = phate.vne.find_knee_point(phate.vne.compute_von_neumann_entropy(operator))
    assert max(1, knee(von_neumann_entropy(singular_values(diffusion.operator)))) == t
    distances = potential_distances(potential(diffusion.operator, t, 0))
    ours = diffusion.to_landmarks @ lay_out(distances, 2, LayoutParams(iterations=3000, tolerance=1e-9)).points
    power = 2 * np.sqrt(np.linalg.matrix_power(operator, t))
    wanted = np.sqrt(((power[:, None] - power[None]) ** 2).sum(axis=2))
    start = classical_scaling(wanted, 2, seed=1)
    theirs, _ = smacof(wanted, n_components=2, init=start, n_init=1, max_iter=3000, eps=1e-9, normalized_stress=False)
    assert procrustes(diffusion.to_landmarks @ theirs, ours)[2] <= 5e-4


@pytest.mark.parametrize("engine", ["rnnreport", "phate"])
def test_embedding_is_quiet_repeatable_and_leaves_the_global_generator_alone(
    capfd: pytest.CaptureFixture[str], engine: Engine
) -> None:
    kernel = multislice_kernel(walk(20, 8, 10), KernelParams())
    np.random.seed(1)  # the state that a user's program may rely on
    expected = np.random.RandomState(1).rand()
    first = embed(kernel, EmbedParams(landmarks=60, engine=engine))
    assert np.random.rand() == expected
    second = embed(kernel, EmbedParams(landmarks=60, engine=engine))
    np.testing.assert_array_equal(first.plane, second.plane)
    np.testing.assert_array_equal(first.space, second.space)
    assert capfd.readouterr() == ("", "")
    assert first.landmarks <= 60 and first.components == 1
    assert first.plane.mean(axis=0) == pytest.approx([0, 0], abs=1e-12)
    assert first.space.var(axis=0).sum() == pytest.approx(1)
    assert 0 <= first.space_stress < 1 and 0 <= first.plane_stress < 1
    assert engine == "phate" or first.space_stress < first.plane_stress


def test_both_engines_give_the_same_picture() -> None:
    from scipy.spatial import procrustes

    kernel = multislice_kernel(walk(40, 10, 20), KernelParams())
    ours, theirs = (embed(kernel, EmbedParams(landmarks=150, engine=engine)) for engine in ENGINES)
    assert procrustes(theirs.space, ours.space)[2] < 0.05
    assert ours.space_stress <= 1.01 * theirs.space_stress


def test_stress_ignores_scale_and_grows_with_distortion() -> None:
    wanted = np.array([1.0, 2.0, 3.0])
    assert stress(wanted, 5 * wanted) == pytest.approx(0, abs=1e-7)
    shown = np.array([1.0, 2.0, 2.0])
    scale = (wanted @ shown) / (shown @ shown)
    assert stress(wanted, shown) == pytest.approx(np.sqrt(((wanted - scale * shown) ** 2).sum() / (wanted @ wanted)))
    assert stress(np.zeros(3), wanted) == 0


def test_unit_variance_of_a_single_place() -> None:
    np.testing.assert_array_equal(unit_variance(np.ones((4, 2))), np.zeros((4, 2)))


def test_dynamics_choose_and_say_what_they_leave_out(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", epochs=9, units=12)
    probe = folder.probe()
    found = training_dynamics(
        folder, "lstm.0.fwd.h", probe, DynamicsParams(epochs=4, steps=3, units=6, samples=40, nodes=70)
    )
    assert isinstance(found, Embedded)
    found = found.dynamics
    assert found.epochs.tolist()[0] == 0 and found.epochs.tolist()[-1] == 8
    nodes = found.epochs.size * found.steps.size * found.units.size
    assert nodes <= 70 and found.plane.shape == (nodes, 2) and found.space.shape == (nodes, 3)
    assert (probe.lengths > found.steps[-1]).sum() >= 40
    assert found.outcome["device"] == best_device().name
    assert found.outcome["samples"] == 40 and found.outcome["interslice_knn"] < 25
    said = " ".join(found.left_out)
    assert "epochs" in said and "units" in said and "sequences" in said and "steps" in said and "instead of 25" in said


def test_nodes_are_in_the_order_of_epoch_step_unit(tmp_path: Path) -> None:
    """A unit that never changes sits at one place of its own; all its nodes must coincide."""
    folder = fabricate_run(tmp_path / "run", epochs=3, units=6)
    for checkpoint in list(folder.checkpoints()):
        checkpoint.states["lstm.0.fwd.h"][:, 2] = 0.5
        folder.write_checkpoint(checkpoint)
    found = training_dynamics(folder, "lstm.0.fwd.h", folder.probe(), DynamicsParams(steps=4))
    assert isinstance(found, Embedded)
    found = found.dynamics
    spread = found.space.reshape(3, 4, 6, 3).std(axis=(0, 1)).sum(axis=1)
    assert spread.argmin() == 2


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"epochs": 1}, "two recorded epochs"),
        ({"units": 1}, "only one"),
        ({"sequences": 4}, "needs 5"),
    ],
)
def test_dynamics_need_epochs_units_and_samples(tmp_path: Path, options: dict[str, int], reason: str) -> None:
    folder = fabricate_run(tmp_path / "run", **({"epochs": 2} | options))  # type: ignore[arg-type]
    found = training_dynamics(folder, "lstm.0.fwd.c", folder.probe(), DynamicsParams())
    assert isinstance(found, Unavailable) and reason in found.reason
