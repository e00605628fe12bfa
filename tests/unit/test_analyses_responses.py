"""Responses and kept rates against the published fixtures of RNNVis."""

from __future__ import annotations

import numpy as np
import pytest

from rnnreport.analyses.cocluster import CoclusterParams, Coclusters
from rnnreport.analyses.responses import kept_rate_summary, word_responses
from rnnreport.analyses.units import _strengths
from rnnreport.formulas import changes, kept_rates


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)[:, None]


def test_tokens_a_b_a() -> None:
    delta = changes(column(0.5, 0.2, 0.9), np.array([0, 3]))
    found = word_responses(delta, np.array([0, 1, 0], np.int32), 2)
    np.testing.assert_allclose(found.mean[:, 0], [0.6, -0.3], atol=1e-6)


def test_every_sequence_starts_from_zero() -> None:
    delta = changes(column(0.5, 0.2, 0.9), np.array([0, 1, 3]))
    np.testing.assert_allclose(delta[:, 0], [0.5, 0.2, 0.7], atol=1e-6)


def test_bands_of_the_values_0_to_100() -> None:
    found = word_responses(column(*range(101)), np.zeros(101, np.int32), 1)
    assert found.mean[0, 0] == 50
    np.testing.assert_array_equal(found.bands[:, 0, 0], [9, 25, 75, 91])


def test_explained_share_is_the_r_squared_of_a_regression_on_word_identity() -> None:
    from sklearn.linear_model import LinearRegression

    draw = np.random.default_rng(0)
    words = draw.integers(0, 5, 300).astype(np.int32)
    delta = (draw.normal(size=(5, 3))[words] + draw.normal(size=(300, 3))).astype(np.float32)
    found = word_responses(delta, words, 5).explained
    indicators = np.eye(5)[words]
    expected = [LinearRegression().fit(indicators, unit).score(indicators, unit) for unit in delta.T]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_steps_of_no_word_are_left_out() -> None:
    found = word_responses(column(1, 2, 100, 3), np.array([0, 0, -1, 0], np.int32), 1)
    assert found.mean[0, 0] == 2
    assert found.explained[0] == 0


def test_kept_rate_of_the_published_step() -> None:
    states = np.array([[1, -2, 0.5], [0.4, -3, -0.5]], np.float32)
    assert kept_rates(states, np.array([0, 2])) == pytest.approx([2.4 / 3.5], abs=1e-6)


def test_kept_rate_of_identity_flip_and_zero() -> None:
    states = np.array([[1, -2], [1, -2], [-1, 2], [0, 0], [1, 1]], np.float32)
    np.testing.assert_array_equal(kept_rates(states, np.array([0, 5])), [1, 0, 0, 0])


def test_kept_rate_does_not_cross_sequences() -> None:
    states = np.array([[1.0], [1.0], [1.0]], np.float32)
    assert kept_rates(states, np.array([0, 1, 3])).tolist() == [1.0]
    assert np.isnan(kept_rate_summary(kept_rates(states, np.array([0, 1, 2, 3])))).all()


def test_link_strength_of_one_cluster() -> None:
    clusters = Coclusters(
        ks=np.array([1, 2], np.int32),
        row_labels=np.array([[0, 0], [0, -1]], np.int32),
        column_labels=np.array([[0, 0], [0, 0]], np.int32),
        stability=np.ones(2, np.float32),
        cut=np.zeros(2, np.float32),
        default_k=1,
    )
    links, association = _strengths(np.array([[1, -1], [3, 1]], np.float32), clusters)
    assert links[0, 0, 0] == 1.0
    np.testing.assert_array_equal(np.isnan(links[0]), [[False, True], [True, True]])
    np.testing.assert_array_equal(links[1, 0], [0, np.nan])
    np.testing.assert_array_equal(association, [[0, 2], [0, 0]])
    assert CoclusterParams().ks == (2, 3, 5, 8, 10, 15, 20)
