"""Invariants of changes and kept rates on ragged sequences of any shape."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnreport.analyses.responses import word_responses
from rnnreport.formulas import changes, kept_rates

EXAMPLES = settings(max_examples=40, deadline=None)


@st.composite
def ragged_states(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=6))
    units = draw(st.integers(1, 5))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([1e-3, 1.0, 1e3]))
    states = scale * generator.normal(size=(sum(lengths), units))
    states[generator.random(states.shape) < draw(st.sampled_from([0.0, 0.5]))] = 0
    return states.astype(np.float32), np.concatenate([[0], np.cumsum(lengths)])


@EXAMPLES
@given(ragged_states())
def test_changes_add_up_to_the_last_state(ragged: tuple[np.ndarray, np.ndarray]) -> None:
    states, offsets = ragged
    sums = np.add.reduceat(changes(states, offsets).astype(np.float64), offsets[:-1])
    scale = 1e-5 * (1 + np.abs(states).max())
    np.testing.assert_allclose(sums, states[offsets[1:] - 1], atol=scale)


@EXAMPLES
@given(ragged_states())
def test_positive_and_negative_information_change_by_the_sum_of_the_changes(
    ragged: tuple[np.ndarray, np.ndarray],
) -> None:
    states, offsets = ragged
    positive = changes(np.maximum(states, 0), offsets).sum(axis=1)
    negative = changes(np.minimum(states, 0), offsets).sum(axis=1)
    expected = changes(states, offsets).sum(axis=1)
    np.testing.assert_allclose(positive + negative, expected, atol=1e-5 * (1 + np.abs(states).sum(axis=1).max()))


@EXAMPLES
@given(ragged_states())
def test_kept_rates_lie_between_nothing_and_everything(ragged: tuple[np.ndarray, np.ndarray]) -> None:
    states, offsets = ragged
    rates = kept_rates(states, offsets)
    assert rates.size == len(states) - (offsets.size - 1)
    assert ((rates >= 0) & (rates <= 1)).all()


@EXAMPLES
@given(ragged_states(), st.integers(0, 1000))
def test_responses_weighted_by_their_counts_add_up_to_all_changes(
    ragged: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    states, offsets = ragged
    delta = changes(states, offsets)
    _, words = np.unique(np.random.default_rng(seed).integers(0, 4, len(states)), return_inverse=True)
    found = word_responses(delta, words.astype(np.int32), int(words.max()) + 1)
    total = np.bincount(words) @ found.mean.astype(np.float64)
    np.testing.assert_allclose(total, delta.sum(axis=0, dtype=np.float64), atol=1e-4 * (1 + np.abs(states).max()))
    assert (np.diff(found.bands, axis=0) >= 0).all()
    assert ((found.explained >= 0) & (found.explained <= 1 + 1e-6)).all()
