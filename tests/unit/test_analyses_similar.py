"""The most similar states of other sequences, held against scikit-learn's neighbours and against brute force."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from rnnreport.analyses.pipeline import _write_similar
from rnnreport.analyses.sample import SampleParams, display_sample
from rnnreport.analyses.similar import SimilarParams, similar_states
from rnnreport.results.schema import Similar, Unavailable
from tests.fabricate import fabricate_run

K = 4


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    return fabricate_run(tmp_path_factory.mktemp("similar") / "run", epochs=1, sequences=70).probe()


@pytest.fixture(scope="module")
def sample(probe):
    """Not all sequences, so that displayed steps and recorded steps are not the same numbers."""
    found = display_sample(probe, SampleParams(max_steps=400))
    assert found.steps.size < probe.lengths.sum() and found.steps.size > 256
    return found


@pytest.fixture(scope="module")
def states(probe):
    """Far from the origin, so that a formula that loses digits would not find the nearest; a fifth are repeated."""
    draw = np.random.default_rng(1)
    found = 300 + draw.normal(0, 0.05, (int(probe.lengths.sum()), 12))
    repeated = draw.choice(len(found), len(found) // 5, replace=False)
    found[repeated] = found[draw.choice(repeated[:5], repeated.size)]
    return found.astype(np.float32)


def no_classes(states):
    return np.full(len(states), -1, np.int32)


def owners_of(probe, sample):
    return np.repeat(np.arange(sample.sequences.size), probe.lengths[sample.sequences])


def test_neighbours_are_those_of_scikit_learn_without_the_own_sequence(probe, sample, states):
    found = similar_states("lstm.0.fwd.h", states, no_classes(states), probe, sample, SimilarParams(k=K))
    points, owners = states[sample.steps].astype(np.float64), owners_of(probe, sample)
    search = NearestNeighbors(n_neighbors=len(points), algorithm="brute").fit(points - 300)
    order = search.kneighbors(points - 300, return_distance=False)
    exact = np.linalg.norm(points[:, None] - points[None], axis=2)
    assert found.neighbours.shape == found.distances.shape == (len(points), K)
    compared = 0
    for p, (row, other) in enumerate(zip(found.neighbours, order, strict=True)):
        elsewhere = other[owners[other] != owners[p]]
        np.testing.assert_allclose(found.distances[p], np.sort(exact[p][elsewhere])[:K], rtol=1e-6)
        np.testing.assert_allclose(found.distances[p], exact[p][row], rtol=1e-6)
        if exact[p][elsewhere[K]] - exact[p][elsewhere[K - 1]] > 1e-4:  # scikit-learn's distances are rough
            compared += 1
            assert set(row) == set(elsewhere[:K])
        assert (owners[row] != owners[p]).all()
    assert compared > 100 and (found.distances == 0).any() and (np.diff(found.distances) >= 0).all()


def test_equally_near_states_come_in_their_order(probe, sample, states):
    found = similar_states("lstm.0.fwd.h", states, no_classes(states), probe, sample, SimilarParams(k=K))
    ties = np.diff(found.distances) == 0
    assert ties.sum() > 20 and (np.diff(found.neighbours)[ties] > 0).all()


def test_share_of_angles_and_typical_distance(probe, sample, states):
    draw = np.random.default_rng(2)
    own = draw.normal(0, 1, states.shape).astype(np.float32)
    found = similar_states("lstm.0.fwd.h", own, no_classes(own), probe, sample, SimilarParams(k=K))
    points, owners = own[sample.steps].astype(np.float64), owners_of(probe, sample)
    apart = owners[:, None] != owners[None]
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    angles = np.where(apart, unit @ unit.T, -2)
    by_angle = np.argsort(-angles, axis=1)[:, :K]
    shared = [np.isin(row, other).sum() for row, other in zip(found.neighbours, by_angle, strict=True)]
    assert found.cosine_share == pytest.approx(sum(shared) / found.neighbours.size)
    assert 0.1 < found.cosine_share < 0.95
    every = np.linalg.norm(points[:, None] - points[None], axis=2)[apart]
    assert found.typical == pytest.approx(np.median(every), rel=0.02)
    assert 0.9 * 20_000 < found.pairs < 20_000


def test_how_often_the_nearest_state_expects_the_same_class(probe, sample, states):
    draw = np.random.default_rng(3)
    planted = draw.integers(-1, 3, len(states)).astype(np.int32)  # one in four expects none
    apart = (states + 50 * planted[:, None]).astype(np.float32)
    found = similar_states("lstm.0.fwd.h", apart, planted, probe, sample, SimilarParams(k=K))
    known = planted[sample.steps][planted[sample.steps] >= 0]
    assert found.compared == known.size and found.same_class == 1
    assert found.chance == pytest.approx(np.mean(known[:, None] == known[None]))
    drawn = similar_states("lstm.0.fwd.h", states, planted, probe, sample, SimilarParams(k=K))
    assert drawn.same_class == pytest.approx(drawn.chance, abs=0.1)
    none = similar_states("lstm.0.fwd.h", states, no_classes(states), probe, sample, SimilarParams(k=K))
    assert none.compared == 0 and np.isnan([none.same_class, none.chance]).all()


def test_states_that_are_not_finite_have_no_neighbours_and_are_none(probe, sample, states):
    broken = states.copy()
    broken[sample.steps[5]] = np.nan
    found = similar_states("lstm.0.fwd.h", broken, no_classes(broken), probe, sample, SimilarParams(k=K))
    assert (found.neighbours[5] == -1).all() and np.isnan(found.distances[5]).all()
    assert 5 not in found.neighbours
    without = similar_states("lstm.0.fwd.h", states, no_classes(states), probe, sample, SimilarParams(k=K))
    same = np.setdiff1d(np.flatnonzero((without.neighbours != 5).all(axis=1)), [5])
    np.testing.assert_array_equal(found.neighbours[same], without.neighbours[same])


def test_too_few_states(probe, states):
    one = display_sample(probe, SampleParams(max_steps=1))
    assert one.sequences.size == 1
    found = similar_states("lstm.0.fwd.h", states, no_classes(states), probe, one, SimilarParams())
    assert isinstance(found, Unavailable) and found.reason == "only one sequence is displayed"
    two = replace(one, sequences=np.array([0, 1], np.int32), steps=np.arange(probe.lengths[:2].sum()))
    few = similar_states("lstm.0.fwd.h", states, no_classes(states), probe, two, SimilarParams(k=50))
    first, second = probe.lengths[:2]
    assert ((few.neighbours >= 0).sum(axis=1) == np.repeat([second, first], [first, second])).all()
    broken = np.full_like(states, np.inf)
    found = similar_states("lstm.0.fwd.h", broken, no_classes(broken), probe, two, SimilarParams())
    assert isinstance(found, Unavailable) and "finite" in found.reason


def test_every_kind_of_state_is_compared_as_far_as_that_is_cheap(tmp_path):
    folder = fabricate_run(tmp_path / "run", epochs=1, sequences=20)
    probe, sample = folder.probe(), display_sample(folder.probe(), SampleParams())
    last, (h, c) = folder.checkpoint(0), folder.manifest().state_keys
    once = sample.steps.size**2 * last.states[h].shape[1]
    for most, kinds in (
        (2 * once, (Similar, Similar)),
        (2 * once - 1, (Similar, Unavailable)),
        (0, (Similar, Unavailable)),
    ):
        _write_similar(folder, folder.manifest(), probe, sample, last, SimilarParams(most_products=most))
        first, second = folder.result(Similar), folder.result(Similar, 1)
        assert (type(first), type(second)) == kinds
        assert first.scope == h and (kinds[1] is Unavailable or second.scope == c)
    assert "take long" in second.reason
