"""MM-PHATE on trainings with a known course: what it must find, and what it must not be trusted with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import procrustes
from scipy.spatial.distance import cdist
from threadpoolctl import threadpool_limits

from rnnreport.analyses.mmphate.embed import EmbedParams, embed
from rnnreport.analyses.mmphate.kernel import KernelParams, multislice_kernel, standardise
from rnnreport.analyses.mmphate.preservation import nearest, preservation
from tests.courses import BOUNDARIES, bifurcations, planted


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_planted_communities_and_boundaries_are_found(seed: int) -> None:
    """Statements 14 and 15; five neighbours of 23 share the community by chance in 5 of 23 cases."""
    training = planted(seed)
    epochs, steps, units, samples = training.activity.shape
    kernel = multislice_kernel(training.activity.reshape(-1, units, samples), KernelParams())
    space = embed(kernel, EmbedParams(landmarks=1000)).space.reshape(epochs, steps, units, 3)
    purity = [
        (training.community[nearest(step, 5)] == training.community[:, None]).mean()
        for step in space[slice(*BOUNDARIES)].reshape(-1, units, 3)
    ]
    assert np.mean(purity) >= 0.9
    moved = np.linalg.norm(np.diff(space, axis=0), axis=3).mean(axis=(1, 2))
    largest = np.argsort(moved)[-2:]
    assert sorted(largest + 1) == list(BOUNDARIES)
    assert moved[largest].min() >= 5 * np.median(moved)


def test_neighbours_of_the_authors_suite_are_kept_better_than_published() -> None:
    """Statement 13, for one scenario; all three are in the benchmark. Published: MM-PHATE .221 and .401."""
    activity = bifurcations("clean and warped").astype(np.float64)
    slices = activity.reshape(-1, *activity.shape[2:])
    flat = slices.reshape(len(slices) * 6, -1)
    centred = flat - flat.mean(axis=0)
    plain = centred @ np.linalg.svd(centred, full_matrices=False)[2][:3].T
    nodes = standardise(slices)
    # the published values of PCA, to five digits: the regenerated data are those of the authors
    assert preservation(nodes, plain, 10).within_unit == pytest.approx(0.18021, abs=1e-5)
    kernel = multislice_kernel(slices, KernelParams())
    space = embed(kernel, EmbedParams()).space
    for neighbours, least in ((10, 0.25), (40, 0.44)):
        kept = preservation(nodes, space, neighbours)
        assert kept.within_unit is not None and kept.within_unit >= least
        assert kept.within_slice is None  # six units have no more than five neighbours, which every layout keeps


def test_own_landmarks_give_the_picture_of_m_phate() -> None:
    """Statement 10, against m-phate 0.1.6 itself: every 25th node, as embedded with 4,000 landmarks and two seeds.

    In 2-D the statement's 0.002 holds. In 3-D measured are 0.0020 and 0.0023 or 0.0024: there are several minima of
    nearly the same stress, of which that of m-phate is not the lowest (``tests/benchmarks/README.md``).
    """
    reference = np.load(Path(__file__).with_name("mphate_planted.npz"))
    activity = planted(0).activity
    found = embed(multislice_kernel(activity.reshape(-1, *activity.shape[2:]), KernelParams()), EmbedParams())
    assert found.t in reference["t"]
    for name, shown, most in (("plane", found.plane, 0.002), ("space", found.space, 0.003)):
        for picture in reference[name]:
            assert procrustes(picture, shown[::25])[2] <= most


def test_preservation_counts_shared_neighbours() -> None:
    nodes = np.random.default_rng(0).normal(size=(30, 12, 4))
    same = preservation(nodes, nodes.reshape(-1, 4), 5)
    assert (same.within_slice, same.within_unit) == (1, 1)
    apart = preservation(nodes, np.random.default_rng(1).normal(size=(360, 4)), 5)
    assert apart.within_slice == pytest.approx(5 / 11, abs=0.05)
    assert apart.within_unit == pytest.approx(5 / 29, abs=0.05)
    assert preservation(nodes, nodes.reshape(-1, 4), 11).within_slice is None


@pytest.mark.parametrize("features", [3, 40])
def test_the_nearest_are_those_of_the_smallest_distances(features: int) -> None:
    points = np.random.default_rng(0).normal(size=(300, features))
    distance = cdist(points, points)
    np.fill_diagonal(distance, np.inf)
    np.testing.assert_array_equal(np.sort(nearest(points, 7)), np.sort(np.argsort(distance)[:, :7]))
    equal = nearest(np.repeat(points[:2], 9, axis=0), 5)  # nine points each at two places
    assert (equal // 9 == np.arange(18)[:, None] // 9).all() and (equal != np.arange(18)[:, None]).all()
    assert all(np.unique(row).size == 5 for row in equal)


def test_threads_do_not_change_the_picture() -> None:
    """Statement 12."""
    training = planted(0, epochs=6, steps=8)
    kernel = multislice_kernel(training.activity.reshape(48, 24, 60), KernelParams())
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(embed(kernel, EmbedParams(landmarks=300)))
    assert found[0].t == found[1].t
    assert procrustes(found[0].space, found[1].space)[2] <= 0.005


def test_kept_entries_grow_with_the_nodes_not_with_their_pairs() -> None:
    """Statement 21: at most three times as many for twice the slices of the same course."""
    course = planted(0, epochs=48, steps=40).activity[:, :, :6]
    entries = [
        multislice_kernel(steps.reshape(-1, 6, 60), KernelParams()).matrix.nnz for steps in (course[:, ::2], course)
    ]
    assert entries[1] <= 3 * entries[0]
