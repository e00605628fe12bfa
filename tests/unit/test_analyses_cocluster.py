"""Co-clusters against scikit-learn's SpectralCoclustering and planted blocks."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import SpectralCoclustering
from sklearn.metrics import adjusted_rand_score

from rnnreport.analyses.cocluster import CoclusterParams, _default_k, _Solution, cocluster, normalised_cut

ROWS, COLUMNS = np.repeat([0, 1, 2], 30), np.repeat([0, 1, 2], 20)


def planted(heights: tuple[float, float, float], noise: float, seed: int) -> np.ndarray:
    blocks = np.equal.outer(ROWS, COLUMNS) * np.array(heights)[ROWS][:, None]
    return blocks + np.random.default_rng(seed).normal(0, noise, blocks.shape)


@pytest.mark.parametrize("seed", range(5))
def test_planted_blocks_are_found_like_by_scikit_learn(seed: int) -> None:
    matrix = planted((1, 1, 1), 0.3, seed)
    found = cocluster(matrix, CoclusterParams(ks=(3,)))
    assert adjusted_rand_score(found.row_labels[0], ROWS) == 1
    assert adjusted_rand_score(found.column_labels[0], COLUMNS) == 1
    model = SpectralCoclustering(3, random_state=seed).fit(matrix - matrix.min())
    assert adjusted_rand_score(found.row_labels[0], model.row_labels_) == 1
    assert adjusted_rand_score(found.column_labels[0], model.column_labels_) == 1
    assert found.stability[0] == 1


@pytest.mark.parametrize("seed", range(5))
def test_a_negative_block_still_separates_the_words(seed: int) -> None:
    found = cocluster(planted((1, 1, -1), 0.3, seed), CoclusterParams(ks=(3,)))
    assert adjusted_rand_score(found.row_labels[0], ROWS) == 1


def test_the_cut_is_no_worse_than_scikit_learns_at_any_k() -> None:
    draw = np.random.default_rng(3)
    shifted = np.exp(draw.normal(size=(120, 6)) @ draw.normal(size=(6, 60)) / 2)
    shifted *= np.exp(draw.normal(size=(120, 1)))  # words of very different weight: the normalisation matters
    found = cocluster(shifted, CoclusterParams())
    for k, cut, rows, columns in zip(found.ks, found.cut, found.row_labels, found.column_labels, strict=True):
        fits = [SpectralCoclustering(k, random_state=seed).fit(shifted) for seed in range(5)]
        theirs = min(normalised_cut(shifted, fit.row_labels_, fit.column_labels_, k) for fit in fits)
        assert cut <= 1.002 * theirs
        assert cut == pytest.approx(normalised_cut(shifted, rows, columns, k), rel=1e-6)


def test_normalised_cut_of_two_blocks() -> None:
    weights = np.array([[3.0, 1.0], [0.0, 4.0]])
    labels = np.array([0, 1])
    # cluster 0: volume 4 + 3, inside 2 * 3; cluster 1: volume 4 + 5, inside 2 * 4
    assert normalised_cut(weights, labels, labels, 2) == pytest.approx((1 / 7 + 1 / 9) / 2)


def test_zero_rows_and_columns_are_unassigned() -> None:
    matrix = planted((1, 1, 1), 0.3, 0)
    matrix[4], matrix[:, 7] = 0, 0
    found = cocluster(matrix, CoclusterParams())
    assert (found.row_labels[:, 4] == -1).all() and (found.column_labels[:, 7] == -1).all()
    assert (np.delete(found.row_labels, 4, axis=1) >= 0).all()
    assert (np.delete(found.column_labels, 7, axis=1) >= 0).all()


def test_clusters_are_numbered_by_their_units() -> None:
    rows, columns = np.repeat([0, 1, 2], [10, 50, 30]), np.repeat([0, 1, 2], [40, 5, 15])
    matrix = np.equal.outer(rows, columns) + np.random.default_rng(0).normal(0, 0.1, (90, 60))
    found = cocluster(matrix, CoclusterParams(ks=(3,)))
    assert np.bincount(found.column_labels[0]).tolist() == [5, 15, 40]
    assert set(found.row_labels[0][rows == 1]) == {0}


def test_the_default_k_is_the_most_stable_and_then_the_larger() -> None:
    assert cocluster(planted((1, 1, 1), 0.3, 0), CoclusterParams(ks=(2, 3, 8))).default_k == 3
    assert cocluster(planted((1, 1, 1), 0.3, 0), CoclusterParams(ks=(2,))).default_k == 2

    def solution(k: int, stability: float) -> _Solution:
        return _Solution(k, ROWS, COLUMNS, stability, 0.0)

    found = [solution(2, 1.0), solution(3, 0.9), solution(5, 0.9), solution(8, 0.8)]
    assert _default_k(found, CoclusterParams()) == 5


@pytest.mark.parametrize("shape", [(1, 1), (40, 1), (1, 40), (2, 2)])
@pytest.mark.parametrize("value", [0.0, 1.0, -1.0])
def test_matrices_without_structure_are_one_cluster(shape: tuple[int, int], value: float) -> None:
    found = cocluster(np.full(shape, value), CoclusterParams())
    assert found.ks.tolist() == [1] and found.default_k == 1
    assert found.row_labels.shape == (1, shape[0]) and found.column_labels.shape == (1, shape[1])


def test_the_result_does_not_depend_on_the_sign_of_singular_vectors_or_the_scale() -> None:
    matrix = planted((1, 1, 1), 0.5, 1)
    one, two = cocluster(matrix, CoclusterParams()), cocluster(4 * matrix, CoclusterParams())
    np.testing.assert_array_equal(one.row_labels, two.row_labels)
    np.testing.assert_array_equal(one.column_labels, two.column_labels)
