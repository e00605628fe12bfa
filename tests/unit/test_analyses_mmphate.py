"""The MM-PHATE kernel against a brute-force evaluation, and the embedding against its parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnnreport.analyses.mmphate.dynamics import DynamicsParams, training_dynamics
from rnnreport.analyses.mmphate.embed import EmbedParams, embed, stress, unit_variance, von_neumann_entropy
from rnnreport.analyses.mmphate.kernel import KernelParams, inter_bandwidth, multislice_kernel, standardise
from rnnreport.results.schema import Dynamics, Unavailable
from tests.fabricate import fabricate_run

PARAMS = KernelParams(inter_neighbours=5)


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

    scored = standardise(walk(40, 4, 9))
    medians = []
    for unit in range(4):
        distance, _ = NearestNeighbors(n_neighbors=25).fit(scored[:, unit]).kneighbors()
        medians.append(np.median(distance[:, -1]))
    assert inter_bandwidth(scored, 25) == pytest.approx(np.mean(medians), abs=1e-12)


def test_few_slices_and_units_clamp_the_neighbours() -> None:
    kernel = multislice_kernel(walk(4, 2, 6), KernelParams())
    assert (kernel.inter_neighbours, kernel.intra_neighbours) == (3, 1)


@pytest.mark.parametrize("kind", ["constant unit", "duplicate units", "all constant but one"])
def test_degenerate_units_stay_finite(kind: str) -> None:
    activity = walk(6, 4, 5)
    if kind == "constant unit":
        activity[:, 1] = 0.3
    elif kind == "duplicate units":
        activity[:, 1] = activity[:, 2] = activity[:, 0]
    else:
        activity[:, 1:] = 0
    kernel = multislice_kernel(activity, KernelParams()).matrix
    assert np.isfinite(kernel.data).all() and (kernel.diagonal() == 1).all()
    found = embed(kernel, EmbedParams())
    assert np.isfinite(found.plane).all() and np.isfinite(found.space).all()


def test_entropy_and_t_are_those_of_phate() -> None:
    import phate

    operator = multislice_kernel(walk(15, 5, 10), KernelParams()).matrix.toarray()
    operator /= operator.sum(axis=1, keepdims=True)
    expected = phate.vne.compute_von_neumann_entropy(operator)
    found = embed(multislice_kernel(walk(15, 5, 10), KernelParams()).matrix, EmbedParams())
    np.testing.assert_allclose(found.entropy, expected, atol=1e-6)
    assert found.t == phate.vne.find_knee_point(expected)
    assert (np.diff(von_neumann_entropy(np.linalg.svd(operator)[1])) <= 1e-9).all()


def test_embedding_is_quiet_repeatable_and_leaves_the_global_generator_alone(
    capfd: pytest.CaptureFixture[str],
) -> None:
    kernel = multislice_kernel(walk(20, 8, 10), KernelParams()).matrix
    np.random.seed(1)  # the state that a user's program may rely on
    expected = np.random.RandomState(1).rand()
    first = embed(kernel, EmbedParams(landmarks=60))
    assert np.random.rand() == expected
    second = embed(kernel, EmbedParams(landmarks=60))
    np.testing.assert_array_equal(first.plane, second.plane)
    np.testing.assert_array_equal(first.space, second.space)
    assert capfd.readouterr() == ("", "")
    assert first.landmarks <= 60 and first.components == 1
    assert first.plane.mean(axis=0) == pytest.approx([0, 0], abs=1e-12)
    assert first.space.var(axis=0).sum() == pytest.approx(1)
    assert 0 <= first.space_stress < first.plane_stress < 1


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
    assert isinstance(found, Dynamics)
    assert found.epochs.tolist()[0] == 0 and found.epochs.tolist()[-1] == 8
    nodes = found.epochs.size * found.steps.size * found.units.size
    assert nodes <= 70 and found.plane.shape == (nodes, 2) and found.space.shape == (nodes, 3)
    assert (probe.lengths > found.steps[-1]).mean() >= 0.5
    assert found.params["samples"] == 40 and found.params["interslice_knn"] < 25
    said = " ".join(found.left_out)
    assert "epochs" in said and "units" in said and "sequences" in said and "steps" in said and "instead of 25" in said


def test_nodes_are_in_the_order_of_epoch_step_unit(tmp_path: Path) -> None:
    """A unit that never changes sits at one place of its own; all its nodes must coincide."""
    folder = fabricate_run(tmp_path / "run", epochs=3, units=6)
    for checkpoint in list(folder.checkpoints()):
        checkpoint.states["lstm.0.fwd.h"][:, 2] = 0.5
        folder.write_checkpoint(checkpoint)
    found = training_dynamics(folder, "lstm.0.fwd.h", folder.probe(), DynamicsParams(steps=4))
    assert isinstance(found, Dynamics)
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
