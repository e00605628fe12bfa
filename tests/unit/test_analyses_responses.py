"""Responses and kept rates against the published fixtures of RNNVis."""

from __future__ import annotations

import numpy as np
import pytest

from rnnreport.analyses.bootstrap import BootstrapParams
from rnnreport.analyses.cocluster import CoclusterParams, Coclusters
from rnnreport.analyses.information import mean_kept_rates
from rnnreport.analyses.responses import kept_rate_summary, standard_errors, word_responses
from rnnreport.analyses.units import strengths
from rnnreport.formulas import changes, kept_rates
from tests.information import cluster_information


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
        modes=("raw",),
        ks=np.array([1, 2], np.int32),
        row_labels=np.array([[[0, 0], [0, -1]]], np.int32),
        column_labels=np.array([[[0, 0], [0, 0]]], np.int32),
        stability=np.ones((1, 2), np.float32),
        cut=np.zeros((1, 2), np.float32),
        default_mode="raw",
        default_k=1,
    )
    links, association = strengths(np.array([[1, -1], [3, 1]], np.float32), clusters)
    assert links[0, 0, 0, 0] == 1.0
    np.testing.assert_array_equal(np.isnan(links[0, 0]), [[False, True], [True, True]])
    np.testing.assert_array_equal(links[0, 1, 0], [0, np.nan])
    np.testing.assert_array_equal(association[0], [[0, 2], [0, 0]])
    assert set(CoclusterParams().ks) >= {2, 3, 5, 8, 10, 15, 20}


def test_information_of_the_published_step() -> None:
    found = cluster_information(np.array([[1, -2, 0.5], [0.4, -3, -0.5]], np.float32), np.arange(3))
    assert found.positive == pytest.approx([1.5, 0.4]) and found.negative == pytest.approx([-2, -3.5])
    assert found.gained_positive[1] == pytest.approx(-1.1) and found.gained_negative[1] == pytest.approx(-1.5)
    assert found.kept_rate[1] == pytest.approx(2.4 / 3.5)


def test_information_of_identity_flip_and_zero() -> None:
    states = np.array([[0, 0], [1, -2], [1, -2], [-1, 2]], np.float32)
    found = cluster_information(states, np.arange(2))
    assert found.kept_rate.tolist() == [0, 0, 1, 0]
    assert found.gained_positive[2] == found.gained_negative[2] == 0


def test_gains_add_up_to_the_changes_and_rates_are_shares() -> None:
    draw = np.random.default_rng(0)
    states = draw.normal(size=(50, 12)).astype(np.float32)
    members = draw.random(12) < 0.5
    found = cluster_information(states, members)
    delta = changes(states, np.array([0, 50]))[:, members].sum(axis=1, dtype=np.float64)
    np.testing.assert_allclose(found.gained_positive + found.gained_negative, delta, rtol=1e-5, atol=1e-5)
    assert (found.kept_rate >= 0).all() and (found.kept_rate <= 1).all()


def test_changes_add_up_to_the_last_state_of_each_sequence() -> None:
    states = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    delta = changes(states, np.array([0, 4, 9]))
    np.testing.assert_allclose(delta[:4].sum(axis=0), states[3], atol=1e-6)
    np.testing.assert_allclose(delta[4:].sum(axis=0), states[8], atol=1e-6)


def test_responses_do_not_depend_on_the_order_of_the_sequences() -> None:
    draw = np.random.default_rng(0)
    pieces = [draw.normal(size=(length, 4)).astype(np.float32) for length in (3, 5, 2)]
    words = [draw.integers(0, 2, len(piece)).astype(np.int32) for piece in pieces]

    def responses(order: list[int]) -> np.ndarray:
        offsets = np.cumsum([0, *(len(pieces[n]) for n in order)])
        delta = changes(np.concatenate([pieces[n] for n in order]), offsets)
        return word_responses(delta, np.concatenate([words[n] for n in order]), 2).mean

    np.testing.assert_allclose(responses([0, 1, 2]), responses([2, 0, 1]), atol=1e-6)


def test_kept_rates_of_clusters_are_the_means_over_the_steps_of_every_sequence() -> None:
    states = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
    labels = np.array([[[0, 0, 1, 1, -1], [2, 2, 2, 0, 0]]], np.int32)
    found = mean_kept_rates(states, np.array([0, 4, 9]), labels, np.array([2, 3], np.int32))
    for place, label in ((0, 0), (0, 1), (1, 0), (1, 2)):
        members = labels[0, place] == label
        rates = [cluster_information(part, members).kept_rate[1:] for part in (states[:4], states[4:])]
        assert found[0, place, label] == pytest.approx(np.concatenate(rates).mean(), abs=1e-6)
    assert np.isnan(found[0, 0, 2]) and np.isnan(found[0, 1, 1])
    assert np.isnan(mean_kept_rates(states[:1], np.array([0, 1]), labels, np.array([2, 3], np.int32))).all()


def test_standard_errors_are_those_of_means_over_sequences() -> None:
    draw = np.random.default_rng(0)
    lengths = np.full(400, 5)
    per_sequence = draw.normal(size=(400, 1, 2)) * [1, 3]  # steps of a sequence agree: 2,000 steps say no more than 400
    delta = (per_sequence + draw.normal(0, 0.01, (400, 5, 2))).reshape(2000, 2).astype(np.float32)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    found = standard_errors(delta, offsets, np.zeros(2000, np.int32), 1, BootstrapParams(resamples=400))
    expected = per_sequence[:, 0].std(axis=0, ddof=1) / np.sqrt(400)
    np.testing.assert_allclose(found[0], expected, rtol=0.12)


def test_bands_of_two_standard_errors_hold_the_true_mean_about_as_often_as_they_say() -> None:
    draw = np.random.default_rng(1)
    lengths = draw.integers(1, 6, 60)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    steps = int(offsets[-1])
    delta = draw.normal(size=(steps, 300)) + np.repeat(draw.normal(size=(60, 300)), lengths, axis=0)
    words = draw.integers(0, 2, steps).astype(np.int32)
    mean = word_responses(delta.astype(np.float32), words, 2).mean
    errors = standard_errors(delta.astype(np.float32), offsets, words, 2, BootstrapParams(resamples=200))
    assert 0.9 < (np.abs(mean) < 1.96 * errors).mean() < 0.98  # 600 true means of zero, 95% expected


def test_a_word_of_one_sequence_has_no_standard_error_and_the_draws_are_declared() -> None:
    delta = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    words, offsets = np.array([0, 0, 1, 1, 1, 2], np.int32), np.array([0, 4, 6])
    one, again = (standard_errors(delta, offsets, words, 3, BootstrapParams(resamples=50)) for _ in range(2))
    assert np.isnan(one[[0, 2]]).all() and np.isfinite(one[1]).all()
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, standard_errors(delta, offsets, words, 3, BootstrapParams(resamples=50, seed=1)))
