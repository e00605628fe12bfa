"""The numbers of a comparison against formulas written out, scipy and planted structure."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scipy.linalg import orthogonal_procrustes
from sklearn.metrics import confusion_matrix

from rnnreport.analyses.bootstrap import BootstrapParams, ratio_interval
from rnnreport.analyses.comparison import side_by_side
from rnnreport.analyses.comparison.clusters import match_by_words
from rnnreport.analyses.comparison.likeness import counterpart, in_order
from rnnreport.analyses.comparison.similarity import (
    debiased_cka,
    linear_cka,
    match_units,
    neighbour_overlap,
    procrustes_distance,
)
from rnnreport.analyses.significance import clustered_means, holm
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Checkpoint, Probe
from rnnreport.results.schema import Confusions, Effects, Likeness, Slices, Unavailable
from tests.fabricate import fabricate_run


def _draw(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def _turned(states: np.ndarray, seed: int) -> np.ndarray:
    rotation, _ = np.linalg.qr(_draw(seed, states.shape[1], states.shape[1]))
    return states @ rotation


def test_debiased_cka_equals_the_estimator_written_out() -> None:
    """Song et al. 2012, equation 5: HSIC_1 with kernel matrices whose diagonals are 0."""
    one, two = _draw(0, 30, 6), _draw(1, 30, 4) + _draw(0, 30, 6)[:, :4]

    def hsic(k: np.ndarray, m: np.ndarray) -> float:
        n, ones = len(k), np.ones(len(k))
        k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
        middle = (ones @ k @ ones) * (ones @ m @ ones) / ((n - 1) * (n - 2))
        return (np.trace(k @ m) + middle - 2 / (n - 2) * ones @ k @ m @ ones) / (n * (n - 3))

    k, m = one @ one.T, two @ two.T
    expected = hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))
    assert debiased_cka(one, two) == pytest.approx(expected, abs=1e-10)


def test_hsic_written_as_an_average_over_quadruples() -> None:
    """The estimator is unbiased because it averages over all quadruples of different steps (its definition)."""
    one, two = _draw(2, 7, 2), _draw(3, 7, 2)
    k, m = one @ one.T, two @ two.T

    def mean(k: np.ndarray, m: np.ndarray) -> float:
        quadruples = itertools.permutations(range(7), 4)
        return float(np.mean([k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q]) for i, j, q, r in quadruples]))

    expected = mean(k, m) / np.sqrt(mean(k, k) * mean(m, m))
    assert debiased_cka(one, two) == pytest.approx(expected, abs=1e-9)


def test_self_and_rotated_copies_are_the_same_and_strangers_are_not() -> None:
    """B3 of the specification."""
    states = _draw(4, 500, 12) * np.linspace(0.1, 3, 12) + 4
    for copy in (states, 1e-4 * _turned(states, 5) - 3, 1e6 * states, np.pad(states, ((0, 0), (0, 3)))):
        assert debiased_cka(states, copy) == pytest.approx(1, abs=1e-6)
        assert linear_cka(states, copy) == pytest.approx(1, abs=1e-6)
        assert procrustes_distance(states, copy) == pytest.approx(0, abs=1e-6)
    assert abs(debiased_cka(_draw(6, 2000, 40), _draw(7, 2000, 40))) < 0.05
    # with as many units as steps the usual estimate sees likeness between strangers, the debiased one does not
    few = [debiased_cka(_draw(2 * seed, 50, 50), _draw(2 * seed + 1, 50, 50)) for seed in range(20)]
    assert abs(np.mean(few)) < 0.05 < linear_cka(_draw(8, 50, 50), _draw(9, 50, 50))


@pytest.mark.parametrize("broken", [np.zeros((30, 3)), np.full((30, 2), 0.1), np.full((30, 2), np.nan)])
def test_states_without_variation_are_undefined(broken: np.ndarray) -> None:
    states = _draw(10, 30, 4)
    owners = np.arange(30) // 3
    assert np.isnan([debiased_cka(states, broken), procrustes_distance(states, broken)]).all()
    matched = match_units(states, broken)
    assert (matched.partner == -1).all() and np.isnan(matched.strength) and np.isnan(matched.chance)
    assert np.isnan(neighbour_overlap(states, np.full((30, 2), np.nan), owners))


@pytest.mark.parametrize("width", [3, 5, 8])
def test_procrustes_angle_equals_that_of_scipy(width: int) -> None:
    one, two = _draw(11, 60, 5), _draw(12, 60, width) + 0.8 * _draw(11, 60, 5)[:, [0] * width]
    larger = max(5, width)
    shapes = [np.pad(side - side.mean(axis=0), ((0, 0), (0, larger - side.shape[1]))) for side in (one, two)]
    shapes = [side / np.linalg.norm(side) for side in shapes]
    _, scale = orthogonal_procrustes(shapes[1], shapes[0])  # the nuclear norm of the product
    assert procrustes_distance(one, two) == pytest.approx(np.arccos(scale), abs=1e-7)


def test_procrustes_angle_is_a_distance() -> None:
    shapes = [_draw(seed, 40, 6) for seed in range(13, 17)]
    for one, two, three in itertools.permutations(shapes, 3):
        way = procrustes_distance(one, two) + procrustes_distance(two, three)
        assert procrustes_distance(one, three) <= way + 1e-12


def test_kept_neighbours_counted_one_by_one() -> None:
    one, two = _draw(17, 60, 4), _draw(17, 60, 4) + 0.6 * _draw(18, 60, 4)
    owners = np.repeat(np.arange(15), 4)
    shared = []
    for step in range(60):
        others = [other for other in range(60) if owners[other] != owners[step]]
        near = [set(sorted(others, key=lambda o, s=side: np.linalg.norm(s[o] - s[step]))[:10]) for side in (one, two)]
        shared.append(len(near[0] & near[1]) / 10)
    assert neighbour_overlap(one, two, owners) == pytest.approx(np.mean(shared))
    assert neighbour_overlap(one, _turned(one, 19), owners) == pytest.approx(1)
    assert np.isnan(neighbour_overlap(one, two, np.zeros(60, int)))  # one sequence has no other


def test_units_are_matched_as_they_were_shuffled() -> None:
    states = _draw(20, 400, 7)
    order = np.random.default_rng(21).permutation(7)
    signs = np.array([1, -1, 1, 1, -1, 1, -1])
    copy = (states * signs)[:, order] + 0.2 * _draw(22, 400, 7)
    found = match_units(states, copy)
    np.testing.assert_array_equal(order[found.partner], np.arange(7))
    expected = [np.corrcoef(states[:, u], copy[:, found.partner[u]])[0, 1] for u in range(7)]
    np.testing.assert_allclose(found.correlation, expected)
    assert found.strength > 0.95 and found.chance < 0.25


def test_matching_is_the_best_of_all_pairings() -> None:
    one, two = _draw(23, 50, 4), _draw(24, 50, 5)
    sizes = np.abs(np.corrcoef(one.T, two.T)[:4, 4:])
    best = max(sum(sizes[u, p] for u, p in enumerate(pairing)) for pairing in itertools.permutations(range(5), 4))
    assert match_units(one, two).strength == pytest.approx(best / 4)


def test_strangers_match_no_better_than_by_chance() -> None:
    slow = np.cumsum(_draw(25, 2, 600, 6), axis=1)  # random walks correlate by chance far more than noise does
    found = match_units(*slow, shifts=40)
    assert found.chance > 0.3 and found.strength < 1.6 * found.chance


def test_holm_written_out() -> None:
    p_values = np.array([0.01, 0.04, np.nan, 0.03, 0.005])
    np.testing.assert_allclose(holm(p_values), [0.03, 0.06, np.nan, 0.06, 0.02])
    assert holm(np.array([[0.9, 0.8]])).tolist() == [[1.0, 1.0]]


def test_means_of_single_items_are_the_t_test() -> None:
    values = _draw(26, 25, 3) + np.array([0, 0.5, 2])
    mean, low, high, p_value = clustered_means(values, np.ones((25, 1)))
    expected = stats.ttest_1samp(values, 0)
    np.testing.assert_allclose(mean, values.mean(axis=0))
    np.testing.assert_allclose(p_value, expected.pvalue)
    interval = expected.confidence_interval(0.95)
    np.testing.assert_allclose([low, high], [interval.low, interval.high])


def test_repeating_every_item_shrinks_no_interval() -> None:
    """B12: ten copies of each step know no more than one."""
    sums, sizes = _draw(27, 40, 2), np.random.default_rng(28).integers(1, 9, (40, 1)).astype(float)
    np.testing.assert_allclose(clustered_means(sums, sizes), clustered_means(10 * sums, 10 * sizes))


def test_intervals_of_clustered_means_hold_the_truth() -> None:
    held = 0
    for seed in range(300):
        draw = np.random.default_rng(seed)
        sizes = draw.integers(1, 12, 40)
        own = draw.normal(0, 1, 40)  # what all items of a sequence share
        sums = np.array([draw.normal(mine, 0.3, size).sum() for mine, size in zip(own, sizes, strict=True)])
        _, low, high, _ = clustered_means(sums[:, None], sizes[:, None].astype(float))
        held += low[0] < 0 < high[0]
    assert 0.90 <= held / 300 <= 0.98


def test_intervals_agree_with_the_bootstrap_and_hold_the_truth_in_small_groups_where_that_is_too_short() -> None:
    """Why groups and words, of ten sequences or more, have these intervals, and whole runs the bootstrap's."""
    for count, least, most in ((10, 0.7, 0.9), (200, 0.93, 1.03)):
        held, widths = [0, 0], []
        for seed in range(300):
            draw = np.random.default_rng(seed)
            sizes = draw.integers(1, 30, count).astype(float)
            sums = sizes * draw.normal(0, 1, count) + draw.normal(0, np.sqrt(sizes))
            _, low, high, _ = clustered_means(sums[:, None], sizes[:, None])
            _, *drawn = ratio_interval(sums, sizes, BootstrapParams(resamples=300, seed=seed))
            held[0] += low[0] < 0 < high[0]
            held[1] += drawn[0] < 0 < drawn[1]
            widths.append((drawn[1] - drawn[0]) / (high[0] - low[0]))
        assert least < np.median(widths) < most
        assert held[0] >= held[1] - 5 and 0.88 <= held[0] / 300 <= 0.98
        assert count > 10 or held[1] / 300 < 0.9


def test_too_few_sequences_have_no_interval() -> None:
    mean, low, high, p_value = clustered_means(np.array([[2.0], [0.0]]), np.array([[4.0], [0.0]]))
    assert mean[0] == 0.5 and np.isnan([low[0], high[0], p_value[0]]).all()
    assert clustered_means(np.zeros((9, 1)), np.ones((9, 1)))[3][0] == 1


def test_clusters_are_paired_by_words() -> None:
    first = np.array([0, 0, 0, 1, 1, 2, -1, -1], np.int32)
    second = np.array([2, 2, 1, 0, 0, 0, 1, 3], np.int32)
    partner, overlap = match_by_words(first, second, 3, 4)
    assert partner.tolist() == [1, -1, 0, -1]  # cluster 1 of the second shares a word only with a better paired one
    np.testing.assert_allclose(overlap, [2 / 3, np.nan, 2 / 3, np.nan])


def test_counterparts_of_other_architectures() -> None:
    lstm = ["rnn.1.fwd.h", "rnn.1.fwd.c", "rnn.0.fwd.h", "rnn.0.fwd.c"]
    assert in_order(lstm) == ["rnn.0.fwd.h", "rnn.0.fwd.c", "rnn.1.fwd.h", "rnn.1.fwd.c"]
    assert in_order(["decoder.0.fwd.h", "encoder.0.fwd.h"]) == ["encoder.0.fwd.h", "decoder.0.fwd.h"]
    gru = ["encoder.0.fwd.h", "encoder.1.fwd.h"]
    assert [counterpart(key, in_order(lstm), gru) for key in in_order(lstm)] == [gru[0], "", gru[1], ""]
    two = ["a.0.fwd.h", "b.0.fwd.h"]
    assert counterpart("rnn.0.fwd.h", lstm, two) == ""  # which of both it is cannot be told
    assert counterpart("b.0.fwd.h", two, two) == "b.0.fwd.h"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[RunFolder]:
    folder = tmp_path_factory.mktemp("runs")
    made = [(1.0, 24), (0.4, 16)]
    return [
        fabricate_run(folder / f"r{seed}", epochs=3, seed=seed, gain=gain, units=units, name=f"r{seed}")
        for seed, (gain, units) in enumerate(made)
    ]


def _last(folder: RunFolder) -> tuple[Probe, Checkpoint]:
    return folder.probe(), folder.checkpoint(folder.epochs()[-1])


def test_likeness_of_runs(runs: list[RunFolder]) -> None:
    found = side_by_side([*runs, runs[0]]).likeness
    assert isinstance(found, Likeness)
    assert found.states == ("lstm.0.fwd.c", "lstm.0.fwd.h")
    assert found.widths.tolist() == [[24, 24], [16, 16], [24, 24]]
    states = [_last(folder)[1].states for folder in runs]
    for place, key in enumerate(found.states):
        assert found.cka[0, 1, place] == pytest.approx(debiased_cka(states[0][key], states[1][key]))
        assert found.angle[1, 0, place] == pytest.approx(procrustes_distance(states[0][key], states[1][key]))
    np.testing.assert_allclose(found.cka[0, 2], 1)
    np.testing.assert_allclose(found.angle[0, 2], 0, atol=1e-6)
    np.testing.assert_allclose(found.matched[2], 1)
    np.testing.assert_allclose([found.neighbours[2], found.same_place[2]], 1)
    np.testing.assert_allclose(found.dynamics[[0, 2]], 0, atol=1e-6)
    assert (found.dynamics[1] > 1e-3).all() and (found.dynamics_halves > 0).all()
    assert (found.change[2] == 0).all() and np.isnan(found.change[1]).all()  # 16 units are not 24
    assert (found.matched[1] > found.matched_chance[1]).all()
    assert found.epochs.tolist() == [0, 1, 2]
    np.testing.assert_allclose(found.cka_by_epoch[:, :, :, -1], [found.cka[0], found.angle[0]])


def test_the_map_keeps_the_plane_of_the_baseline(runs: list[RunFolder]) -> None:
    """Planted: the second run is the first one, turned and three times as large; its states come to lie on it."""
    _, last = _last(runs[0])
    key = runs[0].manifest().state_keys[0]
    copy = RunFolder(runs[0].path.parent / "turned")
    copy.write_probe(runs[0].probe())
    copy.write_manifest(replace(runs[0].manifest(), name="turned"))
    turned = 3 * _turned(last.states[key].astype(np.float64), 3)
    copy.write_checkpoint(replace(last, states=last.states | {key: turned.astype(np.float32)}))
    found = side_by_side([runs[0], copy, runs[1]]).likeness
    np.testing.assert_allclose(found.plane[1], found.plane[0], atol=1e-6)
    assert found.plane_left[1] == pytest.approx(0, abs=1e-9) and 0 < found.plane_left[2] < 1
    from sklearn.decomposition import PCA

    reference = PCA(2).fit(last.states[key][found.plane_steps].astype(np.float64))
    np.testing.assert_allclose(found.plane_explained, reference.explained_variance_ratio_, rtol=1e-6)
    assert (
        abs(np.corrcoef(found.plane[0, :, 0], reference.transform(last.states[key])[found.plane_steps, 0])[0, 1])
        > 0.999
    )


def test_confusions_of_classes_and_of_tags(runs: list[RunFolder], tmp_path: Path) -> None:
    tagged = [
        fabricate_run(tmp_path / str(seed), "tagging", epochs=1, sequences=30, seed=seed, gain=1 - 0.4 * seed)
        for seed in (0, 1)
    ]
    for folders, items in ((runs, "sequences"), (tagged, "steps")):
        found = side_by_side(folders).confusions
        assert isinstance(found, Confusions) and found.items == items
        for folder, counts in zip(folders, found.counts, strict=True):
            probe, last = _last(folder)
            true, given = (
                (probe.labels, last.model_output) if items == "sequences" else (probe.targets, last.step_output)
            )
            expected = confusion_matrix(true, given.argmax(axis=1), labels=range(len(probe.class_names)))
            np.testing.assert_array_equal(counts, expected)


def test_slices_counted_one_by_one(runs: list[RunFolder]) -> None:
    found = side_by_side(runs).slices
    assert isinstance(found, Slices)
    probe = runs[0].probe()
    right = [_last(folder)[1].model_output.argmax(axis=1) == probe.labels for folder in runs]
    sequences = np.split(probe.tokens, probe.offsets[1:-1])
    for place, (kind, name) in enumerate(zip(found.kinds, found.names, strict=True)):
        if kind == "class":
            inside = probe.labels == probe.class_names.index(name)
        elif kind == "token":
            inside = np.array([probe.vocabulary.index(name) in tokens for tokens in sequences])
        else:
            low, high = (int(word) for word in name.removesuffix(" steps").split(" to "))
            inside = (probe.lengths >= low) & (probe.lengths <= high)
        np.testing.assert_array_equal(found.members[place], inside)
        assert found.difference[0, place] == pytest.approx(right[1][inside].mean() - right[0][inside].mean())
        only = int((right[0] & ~right[1] & inside).sum()), int((right[1] & ~right[0] & inside).sum())
        assert (found.only_baseline_right[0, place], found.only_run_right[0, place]) == only
        expected = stats.binomtest(only[1], sum(only)).pvalue if sum(only) else 1
        assert found.p_value[0, place] == pytest.approx(expected)
    assert set(found.kinds) == {"class", "length", "token"}
    np.testing.assert_array_equal(found.adjusted[0], holm(found.p_value[0]))
    of_length = found.members[np.array(found.kinds) == "length"]
    np.testing.assert_array_equal(of_length.sum(axis=0), 1)  # every sequence in one quarter


def test_effects_of_words_averaged_one_by_one(runs: list[RunFolder]) -> None:
    found = side_by_side(runs).effects
    assert isinstance(found, Effects)
    probe = runs[0].probe()
    lasts = [_last(folder)[1] for folder in runs]
    first = set(probe.offsets[:-1].tolist())
    for word in (0, 5, len(found.words) - 1):
        at = [s for s in np.flatnonzero(probe.tokens == probe.vocabulary.index(found.words[word])) if s not in first]
        assert found.counts[word] == len(at)
        means = []
        for place, last in enumerate(lasts):
            odds = [np.log(row / (1 - row)) for row in np.clip(last.step_output.astype(float), 1e-6, 1 - 1e-6)]
            means.append(np.mean([odds[s] - odds[s - 1] for s in at], axis=0))
            np.testing.assert_allclose(found.effect[place, word], means[-1], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.difference[0, word, :-1], means[1] - means[0], rtol=1e-4, atol=1e-5)
    # planted: a word of a group speaks for its class, and less so in the weaker run
    for word, output in (("goal", 0), ("market", 1), ("cell", 2)):
        place = found.words.index(word)
        assert found.low[0, place, output] > 0 and found.difference_high[0, place, output] < 0
    assert found.adjusted[0, found.words.index("cell"), 2] < 0.05


def test_a_word_that_turned_is_named(runs: list[RunFolder]) -> None:
    """Planted: a copy of the first run in which one class is taken for another."""
    _, last = _last(runs[0])
    copy = RunFolder(runs[0].path.parent / "swapped")
    copy.write_probe(runs[0].probe())
    copy.write_manifest(replace(runs[0].manifest(), name="swapped"))
    order = [1, 0, 2, 3]
    copy.write_checkpoint(
        replace(last, step_output=last.step_output[:, order], model_output=last.model_output[:, order])
    )
    result = side_by_side([runs[0], copy])
    found = result.effects
    assert isinstance(found, Effects)
    turned = {(found.words[w], int(k)) for w, k in np.argwhere(found.turned[0])}
    assert {("goal", 0), ("goal", 1), ("market", 0), ("market", 1)} <= turned
    assert not any(output > 1 for _, output in turned)
    assert any(sentence["anchor"] == "effects" for sentence in result.changes.found[0]["sentences"])


@pytest.mark.parametrize("task", ["multi-label", "regression", "tagging", "language-model", "step-regression"])
def test_every_task_compares_in_full(task: str, tmp_path: Path) -> None:
    pair = [fabricate_run(tmp_path / str(seed), task, epochs=2, seed=seed, gain=1 - seed / 2) for seed in range(2)]
    result = side_by_side(pair)
    assert isinstance(result.slices, Slices) and isinstance(result.effects, Effects)
    store = RunFolder(tmp_path / "stored")
    for record in result.records:
        store.write_result(record)
        if not isinstance(record, Unavailable):
            assert type(store.result(type(record))) is type(record)
    assert bool(result.effects.outputs) == (task in ("multi-label", "regression"))
