"""Co-clusters against scikit-learn's SpectralCoclustering and planted blocks."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import SpectralCoclustering
from sklearn.metrics import adjusted_rand_score

from rnnreport.analyses.cocluster import (
    CoclusterParams,
    _default,
    _Solution,
    _Spectrum,
    adjusted_rand,
    cocluster,
    edge_weights,
    normalised_cut,
)
from rnnreport.results.schema import WEIGHTINGS

ROWS, COLUMNS = np.repeat([0, 1, 2], 30), np.repeat([0, 1, 2], 20)


def planted(heights: tuple[float, float, float], noise: float, seed: int) -> np.ndarray:
    blocks = np.equal.outer(ROWS, COLUMNS) * np.array(heights)[ROWS][:, None]
    return blocks + np.random.default_rng(seed).normal(0, noise, blocks.shape)


def only(mode: str, *ks: int) -> CoclusterParams:
    return CoclusterParams(modes=(mode,), ks=ks or CoclusterParams().ks)


@pytest.mark.parametrize("seed", range(5))
def test_planted_blocks_are_found_like_by_scikit_learn(seed: int) -> None:
    matrix = planted((1, 1, 1), 0.3, seed)
    for mode in ("raw", "positive"):
        found = cocluster(matrix, only(mode, 3))
        assert adjusted_rand_score(found.row_labels[0, 0], ROWS) == 1
        assert adjusted_rand_score(found.column_labels[0, 0], COLUMNS) == 1
        assert found.stability[0, 0] == 1
    model = SpectralCoclustering(3, random_state=seed).fit(matrix - matrix.min())
    assert adjusted_rand_score(ROWS, model.row_labels_) == adjusted_rand_score(COLUMNS, model.column_labels_) == 1


@pytest.mark.parametrize("seed", range(5))
def test_a_negative_block_is_seen_by_its_size_and_separates_the_words_in_signed_modes(seed: int) -> None:
    found = cocluster(planted((1, 1, -1), 0.3, seed), CoclusterParams(ks=(3,)))
    by_size = found.modes.index("abs")
    assert adjusted_rand_score(found.row_labels[by_size, 0], ROWS) == 1
    assert adjusted_rand_score(found.column_labels[by_size, 0], COLUMNS) == 1
    for mode in ("raw", "split"):
        assert adjusted_rand_score(found.row_labels[found.modes.index(mode), 0], ROWS) == 1


def test_edge_weights_of_every_mode() -> None:
    response = np.array([[1.0, -3.0], [-1.0, 1.0]])
    expected = {
        "raw": [[4, 0], [2, 4]],
        "positive": [[1, 0], [0, 1]],
        "negative": [[0, 3], [1, 0]],
        "abs": [[1, 3], [1, 1]],
        "split": [[1, 0, 0, 3], [0, 1, 1, 0]],
        "scaled": [[2.5, 0], [0.5, 2]],  # deviations 1 and 2, then shifted by -1.5
    }
    assert set(expected) == set(WEIGHTINGS)
    for mode, weights in expected.items():
        np.testing.assert_array_equal(edge_weights(mode, response), weights)


def test_a_unit_that_rises_and_falls_goes_with_its_stronger_half() -> None:
    matrix = np.zeros((40, 8))
    matrix[:20, :4], matrix[20:, 4:] = 1, -1
    matrix[20:, 0] = -3  # unit 0 rises a little with the first words and falls strongly with the others
    found = cocluster(matrix + np.random.default_rng(0).normal(0, 0.01, matrix.shape), only("split", 2))
    labels = found.column_labels[0, 0]
    assert labels[0] == labels[4] != labels[1] and labels[4] == found.row_labels[0, 0, 20]


def test_adjusted_rand_is_scikit_learns() -> None:
    draw = np.random.default_rng(0)
    for _ in range(20):
        one, other = draw.integers(0, 5, 60), draw.integers(0, 3, 60)
        other[:30] = one[:30] % 3
        assert adjusted_rand(one, other) == pytest.approx(adjusted_rand_score(one, other), abs=1e-12)
    assert adjusted_rand(np.zeros(4, int), np.zeros(4, int)) == 1


def uneven(seed: int) -> np.ndarray:
    """Responses in words of very different weight: the normalisation matters."""
    draw = np.random.default_rng(seed)
    return np.exp(draw.normal(size=(120, 6)) @ draw.normal(size=(6, 90)) / 2) * np.exp(draw.normal(size=(120, 1)))


def cut_of(weights: np.ndarray, rows: np.ndarray, columns: np.ndarray, k: int) -> float:
    return normalised_cut(weights, (weights.sum(axis=1), weights.sum(axis=0)), rows, columns, k)


def cuts_by_scikit_learn(matrix: np.ndarray, k: int) -> list[float]:
    fits = [SpectralCoclustering(k, random_state=seed).fit(matrix) for seed in range(5)]
    return [cut_of(matrix, fit.row_labels_, fit.column_labels_, k) for fit in fits]


def test_with_as_many_starts_the_cut_is_that_of_scikit_learns_best_seed_at_any_k() -> None:
    matrix = uneven(3)
    found = cocluster(matrix, CoclusterParams(modes=("raw",), starts=10))
    for k, cut, rows, columns in zip(found.ks, found.cut[0], found.row_labels[0], found.column_labels[0], strict=True):
        assert cut <= 1.002 * min(cuts_by_scikit_learn(matrix, k))
        assert cut == pytest.approx(cut_of(matrix, rows, columns, k), rel=1e-6)


def test_with_our_fewer_starts_the_mean_cut_is_no_worse_than_scikit_learns() -> None:
    for seed in range(3, 7):
        found = cocluster(uneven(seed), only("raw"))
        assert found.cut.mean() <= np.mean([cuts_by_scikit_learn(uneven(seed), k) for k in found.ks])


def test_the_leading_directions_of_a_large_matrix_are_those_of_the_full_decomposition() -> None:
    draw = np.random.default_rng(0)
    weights = 1 + 0.1 * draw.normal(size=(150, 5)) @ draw.normal(size=(5, 200)) + 0.05 * draw.random((150, 200))
    weights -= min(0, weights.min())
    truncated, full = _Spectrum.of(weights, 6), _Spectrum.of(weights, 150)
    np.testing.assert_allclose(truncated.values, full.values[:6], atol=1e-10)
    np.testing.assert_allclose(np.abs(truncated.vectors), np.abs(full.vectors[:, :6]), atol=1e-8)


def test_normalised_cut_of_two_blocks() -> None:
    weights = np.array([[3.0, 1.0], [0.0, 4.0]])
    labels = np.array([0, 1])
    # cluster 0: volume 4 + 3, inside 2 * 3; cluster 1: volume 4 + 5, inside 2 * 4
    assert cut_of(weights, labels, labels, 2) == pytest.approx((1 / 7 + 1 / 9) / 2)


def test_zero_rows_and_columns_are_unassigned_in_every_mode() -> None:
    matrix = planted((1, 1, 1), 0.3, 0)
    matrix[4], matrix[:, 7] = 0, 0
    found = cocluster(matrix, CoclusterParams())
    assert np.isfinite(found.cut).all()
    assert (found.row_labels[:, :, 4] == -1).all() and (found.column_labels[:, :, 7] == -1).all()
    assert (np.delete(found.row_labels, 4, axis=2) >= 0).all()
    assert (np.delete(found.column_labels, 7, axis=2) >= 0).all()


def test_words_and_units_without_weight_in_a_mode_are_unassigned_there_alone() -> None:
    matrix = np.abs(planted((1, 1, 1), 0.3, 0))
    matrix[4], matrix[:, 7] = -np.abs(matrix[4]), -np.abs(matrix[:, 7])
    found = cocluster(matrix, CoclusterParams())
    positive, raw, negative = (found.modes.index(mode) for mode in ("positive", "raw", "negative"))
    assert (found.row_labels[positive, :, 4] == -1).all() and (found.column_labels[positive, :, 7] == -1).all()
    assert (found.row_labels[raw] >= 0).all() and (found.column_labels[raw] >= 0).all()
    assert (found.row_labels[negative, 0, 4] >= 0) and found.default_mode != "negative"


def test_clusters_are_numbered_by_their_units() -> None:
    rows, columns = np.repeat([0, 1, 2], [10, 50, 30]), np.repeat([0, 1, 2], [40, 5, 15])
    matrix = np.equal.outer(rows, columns) + np.random.default_rng(0).normal(0, 0.1, (90, 60))
    found = cocluster(matrix, CoclusterParams(ks=(3,)))
    for mode in ("raw", "positive", "split", "scaled"):
        place = found.modes.index(mode)
        assert np.bincount(found.column_labels[place, 0]).tolist() == [5, 15, 40]
        assert set(found.row_labels[place, 0][rows == 1]) == {0}


def test_the_default_is_the_most_stable_then_the_larger_k_then_the_earlier_mode() -> None:
    assert cocluster(planted((1, 1, 1), 0.3, 0), CoclusterParams(ks=(2, 3, 8))).default_k == 3
    assert cocluster(planted((1, 1, 1), 0.3, 0), CoclusterParams(ks=(2,))).default_k == 2

    def solution(k: int, stability: float, left_out: int = 0) -> _Solution:
        return _Solution(k, np.repeat([-1, 0], [left_out, 100 - left_out]), COLUMNS, stability, 0.0)

    found = {
        "raw": {2: solution(2, 1.0), 3: solution(3, 0.9), 5: solution(5, 0.903)},
        "positive": {3: solution(3, 1.0, left_out=20), 5: solution(5, 0.9)},
        "abs": {8: solution(8, 0.8)},
    }
    assert _default(found, solution(1, 1.0), CoclusterParams()) == ("raw", 5)
    found["abs"][8] = solution(8, 0.95)
    assert _default(found, solution(1, 1.0), CoclusterParams()) == ("abs", 8)


@pytest.mark.parametrize("shape", [(1, 1), (40, 1), (1, 40), (2, 2)])
@pytest.mark.parametrize("value", [0.0, 1.0, -1.0])
def test_matrices_without_structure_are_one_cluster(shape: tuple[int, int], value: float) -> None:
    found = cocluster(np.full(shape, value), CoclusterParams())
    assert found.ks.tolist() == [1] and found.default_k == 1
    assert found.row_labels.shape == (6, 1, shape[0]) and found.column_labels.shape == (6, 1, shape[1])
    assert (found.row_labels == (0 if value else -1)).all()


def test_a_mode_that_cannot_be_divided_is_not_defined_and_the_others_are() -> None:
    found = cocluster(np.abs(planted((1, 1, 1), 0.3, 0)), CoclusterParams())
    negative = found.modes.index("negative")
    assert np.isnan(found.cut[negative]).all() and np.isnan(found.stability[negative]).all()
    assert (found.row_labels[negative] == -1).all()
    assert np.isfinite(np.delete(found.cut, negative, axis=0)).all()


def test_the_result_does_not_depend_on_the_sign_of_singular_vectors_or_the_scale() -> None:
    matrix = planted((1, 1, 1), 0.5, 1)
    one, two = cocluster(matrix, CoclusterParams()), cocluster(4 * matrix, CoclusterParams())
    np.testing.assert_array_equal(one.row_labels, two.row_labels)
    np.testing.assert_array_equal(one.column_labels, two.column_labels)
