"""Words, the display sample and the map of units."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from rnnreport.analyses.sample import SampleParams, display_sample, evenly
from rnnreport.analyses.sequences import distances
from rnnreport.analyses.unit_map import UnitMapParams, map_units
from rnnreport.analyses.words import WordParams, find_words
from rnnreport.results.schema import Unavailable, UnitMap
from tests.fabricate import fabricate_run


def test_the_sample_follows_the_hashes_not_the_order(tmp_path: Path) -> None:
    probe = fabricate_run(tmp_path / "run", epochs=0).probe()
    sample = display_sample(probe, SampleParams(max_steps=100))
    order = sorted(range(120), key=lambda n: hashlib.sha256(probe.sequence_ids[n].encode()).hexdigest())
    assert set(sample.sequences) == set(order[: sample.sequences.size])
    total = int(probe.lengths[sample.sequences].sum())
    assert total <= 100 < total + probe.lengths[order[sample.sequences.size]]
    assert sample.steps.size == total and (np.diff(sample.steps) > 0).all()
    turned = replace(probe, sequence_ids=probe.sequence_ids[::-1], lengths=probe.lengths[::-1])
    again = display_sample(turned, SampleParams(max_steps=100))
    assert {turned.sequence_ids[n] for n in again.sequences} == {probe.sequence_ids[n] for n in sample.sequences}


def test_a_sequence_longer_than_the_budget_is_taken_whole(tmp_path: Path) -> None:
    probe = fabricate_run(tmp_path / "run", epochs=0, steps=(9, 9)).probe()
    sample = display_sample(probe, SampleParams(max_steps=5))
    assert sample.sequences.size == 1 and sample.steps.size == 9


@pytest.mark.parametrize(("count", "most", "expected"), [(5, 12, [0, 1, 2, 3, 4]), (9, 3, [0, 4, 8]), (4, 1, [3])])
def test_evenly_keeps_both_ends(count: int, most: int, expected: list[int]) -> None:
    assert evenly(count, most).tolist() == expected


def test_the_most_frequent_tokens_are_the_words(tmp_path: Path) -> None:
    probe = fabricate_run(tmp_path / "run", epochs=0).probe()
    found = find_words(probe, display_sample(probe, SampleParams()), WordParams(most_words=10))
    assert not isinstance(found, Unavailable)
    words, step_words = found
    counts = np.bincount(probe.tokens)
    assert sorted(counts, reverse=True)[:10] == words.counts.tolist()
    assert words.names == tuple(probe.vocabulary[token] for token in words.tokens)
    assert words.unseen == np.unique(probe.tokens).size - 10
    for step, word in enumerate(step_words):
        assert word == -1 or words.tokens[word] == probe.tokens[step]
    assert (step_words >= 0).sum() == words.counts.sum()


def test_prototypes_recover_planted_groups_in_input_units(tmp_path: Path) -> None:
    probe = fabricate_run(tmp_path / "run", epochs=0, continuous=True).probe()
    draw = np.random.default_rng(0)
    centres = np.array([[1.0, 1, 500], [2, 1, 900], [1, 2, 100], [2, 2, 300], [3, 3, 700], [3, 1, 200]])
    group = draw.choice(6, len(probe.values), p=[0.3, 0.24, 0.18, 0.14, 0.09, 0.05])
    probe = replace(
        probe, values=(centres[group] + draw.normal(0, [0.01, 0.01, 1], (group.size, 3))).astype(np.float32)
    )
    found = find_words(probe, display_sample(probe, SampleParams()), WordParams(prototypes=6))
    assert not isinstance(found, Unavailable)
    words, step_words = found
    assert words.names == ("p01", "p02", "p03", "p04", "p05", "p06")
    np.testing.assert_array_equal(words.counts, np.bincount(step_words))
    assert words.counts.tolist() == sorted(np.bincount(group).tolist(), reverse=True)
    assert adjusted_rand_score(group, step_words) == 1
    np.testing.assert_allclose(words.shapes, centres, rtol=0.01)


def test_there_are_no_more_prototypes_than_different_inputs(tmp_path: Path) -> None:
    probe = fabricate_run(tmp_path / "run", epochs=0, continuous=True).probe()
    probe = replace(probe, values=np.repeat([[1.0, 2.0, 3.0]], len(probe.values), axis=0).astype(np.float32))
    found = find_words(probe, display_sample(probe, SampleParams()), WordParams())
    assert not isinstance(found, Unavailable)
    assert found[0].names == ("p01",) and (found[1] == 0).all()


def test_distances_are_those_of_consecutive_states() -> None:
    states = np.array([[0, 0], [3, 4], [3, 4], [0, 0]], np.float32)
    np.testing.assert_array_equal(distances(states, np.array([0, 2, 4])), [5, np.nan, 5, np.nan])


def test_words_of_a_tagged_corpus_carry_their_majority_tag(tmp_path: Path) -> None:
    probe = fabricate_run(tmp_path / "run", "tagging", epochs=0).probe()
    targets = probe.targets.copy()
    places = np.flatnonzero(probe.tokens == probe.tokens[0])
    targets[places] = 1
    targets[places[: places.size // 3]] = 0
    probe = replace(probe, targets=targets)
    found = find_words(probe, display_sample(probe, SampleParams()), WordParams())
    assert not isinstance(found, Unavailable)
    words = found[0]
    place = int(np.flatnonzero(words.tokens == probe.tokens[0])[0])
    assert words.tag_names == probe.class_names and words.tags[place] == 1
    assert words.tag_share[place] == pytest.approx(1 - (places.size // 3) / places.size)
    for word, token in enumerate(words.tokens):
        carried = targets[probe.tokens == token]
        assert words.tag_share[word] == pytest.approx((carried == words.tags[word]).mean())
    plain = fabricate_run(tmp_path / "plain", epochs=0).probe()
    assert find_words(plain, display_sample(plain, SampleParams()), WordParams())[0].tag_names == ()


def test_units_of_one_group_lie_together_on_the_map_of_units() -> None:
    draw = np.random.default_rng(0)
    group = np.repeat([0, 1, 2], 20)
    states = (draw.normal(size=(500, 3))[:, group] + 0.4 * draw.normal(size=(500, 60))) * draw.uniform(0.1, 9, 60)
    states[:, 7] = 3.0  # a unit that never moves
    found = map_units("rnn.0.fwd.h", states.astype(np.float32), UnitMapParams())
    assert isinstance(found, UnitMap)
    flat, moving = found.coordinates, np.delete(np.arange(60), 7)
    centres = np.array([flat[moving[group[moving] == k]].mean(axis=0) for k in range(3)])
    nearest = np.linalg.norm(flat[moving][:, None] - centres, axis=2).argmin(axis=1)
    assert (nearest == group[moving]).all()
    assert found.trust["trustworthiness"] > 0.8 and found.params["steps"] == 500
    again = map_units("rnn.0.fwd.h", states.astype(np.float32), UnitMapParams())
    np.testing.assert_array_equal(flat, again.coordinates)


def test_few_or_damaged_units_have_no_map() -> None:
    states = np.random.default_rng(0).normal(size=(50, 5)).astype(np.float32)
    assert "only 5 units" in map_units("rnn.0.fwd.h", states, UnitMapParams()).reason
    states[3, 2] = np.nan
    assert "not finite" in map_units("rnn.0.fwd.h", states, UnitMapParams()).reason
