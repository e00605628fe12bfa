"""The jump explorer against loops over single steps, shifts drawn at random, and planted jumps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import hypergeom

from rnnreport.analyses.jumps import JumpParams, jump_measures, largest_jumps, over_represented, shift_chances
from rnnreport.analyses.sample import SampleParams, display_sample
from rnnreport.analyses.significance import holm
from rnnreport.results.recorded import Checkpoint, Doubles, Ints, Probe, Task
from rnnreport.results.schema import Jumps, Unavailable
from tests.fabricate import fabricate_run

SCOPE = "lstm.0.fwd.h"


def recorded(path: Path, task: Task = "classification", **options: object) -> tuple[Probe, Checkpoint]:
    folder = fabricate_run(path / "run", task, epochs=3, **options)  # type: ignore[arg-type]
    return folder.probe(), folder.checkpoint(2)


def explored(probe: Probe, last: Checkpoint, types: Ints | None = None, steps: int = 300, **params: object) -> Jumps:
    types = probe.tokens if types is None else types
    names = probe.vocabulary or tuple(f"p{n}" for n in range(types.max() + 1))
    sample = display_sample(probe, SampleParams(steps))
    found = largest_jumps(SCOPE, probe, last, sample, types, names, JumpParams(**params))  # type: ignore[arg-type]
    assert isinstance(found, Jumps)
    return found


def alone(probe: Probe, last: Checkpoint, types: Ints, fewest: int) -> dict[tuple[int, int], list[float]]:
    """(sequence, step from 1) to its three measures, one jump at a time."""
    found: dict[tuple[int, int], list[float]] = {}
    by_type: dict[int, list[float]] = {}
    for n in range(len(probe.lengths)):
        states = last.states[SCOPE][probe.offsets[n] : probe.offsets[n + 1]].astype(np.float64)
        for t in range(1, len(states)):
            moved = float(np.linalg.norm(states[t] - states[t - 1]))
            found[n, t] = [moved, moved / max(float(np.linalg.norm(state)) for state in states[t - 1 : t + 1])]
            by_type.setdefault(int(types[probe.offsets[n] + t]), []).append(moved)
    for (n, t), values in found.items():
        same = by_type[int(types[probe.offsets[n] + t])]
        values.append(float((values[0] - np.mean(same)) / np.std(same)) if len(same) >= fewest else float("nan"))
    return found


@pytest.mark.parametrize("task", ["classification", "tagging", "language-model"])
def test_every_jump_as_a_loop_finds_it(tmp_path: Path, task: Task) -> None:
    probe, last = recorded(tmp_path, task, steps=(1, 14))
    found = explored(probe, last)
    own = alone(probe, last, probe.tokens, 20)
    shown = set(display_sample(probe, SampleParams(300)).sequences.tolist())
    assert 0 < len(shown) < len(probe.lengths)
    for m in range(3):
        known = {key: values for key, values in own.items() if np.isfinite(values[m])}
        assert found.counted[m] == len(known)
        best = sorted((values[m] for values in known.values()), reverse=True)[:40]
        np.testing.assert_allclose(found.values[m, :, m], best, rtol=1e-4)
        for j in range(40):
            place, t = found.sequences[m, j], int(found.steps[m, j])
            n = probe.sequence_ids.index(found.sequence_ids[place])
            np.testing.assert_allclose(found.values[m, j], own[n, t], rtol=1e-4)
            assert found.lengths[place] == probe.lengths[n]
            assert (found.displayed[place] >= 0) == (n in shown)
            if found.displayed[place] >= 0:
                assert sorted(shown)[found.displayed[place]] == n
            step = int(probe.offsets[n]) + t
            around = [probe.vocabulary[probe.tokens[step + way]] if 0 <= t + way < probe.lengths[n] else None
                      for way in range(-5, 4)]  # fmt: skip
            assert [found.names[k] if k >= 0 else None for k in found.context[m, j]] == around
            assert found.before == 5
            if task == "language-model":
                assert found.classes[m, j].tolist() == [-1, -1]
            else:
                assert found.classes[m, j].tolist() == last.step_output[[step - 1, step]].argmax(axis=1).tolist()


def planted(draw: np.random.Generator, effect: float = 0.0) -> tuple[Probe, Ints, NDArray[np.int64], NDArray[np.int64]]:
    """Jumps without an effect of the words, but dependent: sequences move differently far, large moves come in runs,
    every sequence has favourite words, and words repeat. ``effect``: how much word 0 adds to the logarithm of a move.

    Returns the probe set, the words, all jumps and the largest hundredth of them.
    """
    count, steps, words = 40, 60, 30
    sizes, tokens = np.zeros((count, steps)), np.zeros((count, steps), np.int32)
    for n in range(count):
        favourites = draw.choice(words, 5, replace=False)
        level = 0.0
        for t in range(steps):
            level = 0.9 * level + draw.normal(0, 0.5)
            sizes[n, t] = level
            repeated = t and draw.random() < 0.6
            tokens[n, t] = tokens[n, t - 1] if repeated else draw.choice(favourites if draw.random() < 0.7 else words)
        sizes[n] += draw.normal(0, 1) + effect * (tokens[n] == 0)
    probe, *_ = walks(draw, words, count, steps)
    known = np.flatnonzero(np.arange(count * steps) % steps > 0)
    top = known[np.argsort(-sizes.ravel()[known])[: known.size // 100 + 1]]
    return probe, tokens.ravel(), known, top


def test_chances_are_those_of_shifts_drawn_at_random() -> None:
    """And unlike those of independent jumps (Fisher's test)."""
    probe, types, known, top = planted(np.random.default_rng(3))
    draw = np.random.default_rng(0)
    found = shift_chances(types, known, top, probe.offsets)
    among = np.bincount(types[top], minlength=30)
    rows, largest = types.reshape(40, 60)[:, 1:], np.zeros((40, 59), bool)
    largest[top // 60, top % 60 - 1] = True
    drawn = []
    for _ in range(20_000):
        turned = (np.arange(59) + draw.integers(0, 59, 40)[:, None]) % 59
        drawn.append(np.bincount(np.take_along_axis(rows, turned, axis=1)[largest], minlength=30))
    expected = (np.array(drawn) >= among).mean(axis=0)
    assert (expected[among == 0] == 1).all() and (among > 1).sum() > 4
    np.testing.assert_allclose(found, expected, atol=0.015)
    assert np.abs(independent(types, known, top) - expected).max() > 0.1


def independent(types: Ints, known: NDArray[np.int64], top: NDArray[np.int64]) -> Doubles:
    """Chances if jumps were independent of each other: the hypergeometric distribution."""
    counts, among = (np.bincount(types[steps], minlength=30) for steps in (known, top))
    return np.asarray(hypergeom.sf(among - 1, known.size, counts, top.size))


@pytest.mark.slow
def test_dependent_jumps_name_words_without_an_effect_as_rarely_as_asked() -> None:
    """5% in the long run; of 400, more than 33 with a probability of one in a thousand."""
    false, naive, real = 0, 0, 0
    for seed in range(400):
        probe, types, known, top = planted(np.random.default_rng(seed))
        found, tested = over_represented(types, known, top, probe, JumpParams())
        assert tested == 30
        false += bool(found)
        naive += bool((holm(independent(types, known, top)) < 0.05).any())
        if seed < 40:
            probe, types, known, top = planted(np.random.default_rng(seed), effect=4)
            real += 0 in [one.type for one in over_represented(types, known, top, probe, JumpParams())[0]]
    assert false <= 33
    assert naive > 200  # what the dependence would do to a test that does not know of it
    assert real >= 36


def test_of_a_long_sequence_some_shifts_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    probe, types, known, top = planted(np.random.default_rng(3))
    exact = shift_chances(types, known, top, probe.offsets)
    monkeypatch.setattr("rnnreport.analyses.jumps._MOST_SHIFTED", 150)
    np.testing.assert_allclose(shift_chances(types, known, top, probe.offsets), exact, atol=0.15)


def test_the_listed_types_are_those_of_the_test(tmp_path: Path) -> None:
    probe, last = recorded(tmp_path, sequences=400)
    found = explored(probe, last, largest_share=0.05)
    own = alone(probe, last, probe.tokens, 20)
    token = {key: probe.vocabulary[probe.tokens[probe.offsets[key[0]] + key[1]]] for key in own}
    total = {name: sum(one == name for one in token.values()) for name in set(token.values())}
    top = sorted(own, key=lambda key: -own[key][0])[: int(np.ceil(0.05 * len(own)))]
    assert found.largest[0] == len(top) and found.tested[0] == sum(count >= 5 for count in total.values())
    places = np.array([probe.offsets[n] + t for n, t in own]), np.array([probe.offsets[n] + t for n, t in top])
    chances = shift_chances(probe.tokens, *places, probe.offsets)
    names = [name for name, count in total.items() if count >= 5]
    p = dict(zip(names, holm(chances[[probe.vocabulary.index(name) for name in names]]), strict=True))
    listed = [found.names[k] for k in found.types[0] if k >= 0]
    assert listed and set(listed) == {name for name in names if p[name] < 0.05} and len(listed) < 12
    for name, (among, sequences, everywhere), value in zip(listed, found.type_counts[0], found.type_p[0], strict=False):
        inside = [key for key in top if token[key] == name]
        assert (among, sequences, everywhere) == (len(inside), len({n for n, _ in inside}), total[name])
        assert value == pytest.approx(p[name], rel=1e-6)


def test_holm_is_between_bonferroni_and_nothing() -> None:
    draw = np.random.default_rng(0)
    for _ in range(50):
        p = draw.random(12) ** 3
        found = holm(p)
        assert (found >= p).all() and (found <= np.minimum(1, 12 * p)).all()
        rejected, order = 0, np.sort(p)
        while rejected < 12 and order[rejected] < 0.05 / (12 - rejected):  # the step-down procedure itself
            rejected += 1
        assert (found < 0.05).sum() == rejected


def walks(
    draw: np.random.Generator, words: int = 30, count: int = 150, steps: int = 40
) -> tuple[Probe, Checkpoint, Ints]:
    """Random walks whose steps are of one size, read with random words."""
    lengths = np.full(count, steps, np.int32)
    tokens = draw.integers(0, words, steps * count).astype(np.int32)
    probe = Probe(
        task="unlabelled", sequence_ids=tuple(f"s{n}" for n in range(count)), lengths=lengths, tokens=tokens,
        values=np.zeros((0, 0), np.float32), labels=np.zeros(0, np.int32), targets=np.zeros(0, np.int32),
        truths=np.zeros((0, 0), np.float32), vocabulary=tuple(f"w{k}" for k in range(words)), class_names=(),
        feature_names=(), sampled_from=count,
    )  # fmt: skip
    moves = draw.normal(0, 1, (steps * count, 6))
    nothing = np.zeros((0, 0), np.float32)
    states = {SCOPE: moves.reshape(count, steps, 6).cumsum(axis=1).reshape(-1, 6).astype(np.float32)}
    top = np.zeros((0, 5), np.int32), np.zeros((0, 5), np.float32)
    return probe, Checkpoint(0, states, nothing, nothing, np.zeros(0, np.float32), *top), tokens


@pytest.mark.slow
def test_words_without_an_effect_are_rarely_named() -> None:
    named = []
    for seed in range(60):
        probe, last, _ = walks(np.random.default_rng(seed))
        named.append((explored(probe, last).types >= 0).any(axis=1))
    assert (np.mean(named, axis=0) <= 0.15).all()  # 5% in the long run; up to 8 of 60 by chance


def test_a_planted_word_and_a_planted_jump_are_found() -> None:
    """Word 3 always moves the state four times as far; at one place a quiet word moves it as far as word 3 does."""
    probe, last, tokens = walks(np.random.default_rng(5))
    moves = np.diff(last.states[SCOPE].reshape(150, 40, 6), axis=1, prepend=0).reshape(-1, 6)
    moves *= np.where(tokens == 3, 4, 1)[:, None]
    moves[tokens == 7] *= 0.1
    place = int(np.flatnonzero((tokens == 7) & (np.arange(6000) % 40 == 20))[0])
    moves[place] = 4
    states = moves.reshape(150, 40, 6).cumsum(axis=1).reshape(-1, 6).astype(np.float32)
    found = explored(probe, replace(last, states={SCOPE: states}))
    assert [found.names[k] for k in found.types[0] if k >= 0] == ["w3"] and found.type_p[0, 0] < 1e-20
    assert found.type_counts[0, 0, 0] == found.largest[0] == 59 and found.type_counts[0, 0, 1] > 40
    absolute = {found.names[k] for k in found.context[0, :, found.before]}
    assert absolute == {"w3"}
    first = found.sequence_ids[found.sequences[2, 0]], found.steps[2, 0]
    assert first == (f"s{place // 40}", place % 40)  # standardised, the quiet word's jump is the strangest of all
    assert found.values[2, 0, 2] > 10


def test_relative_jumps_lie_between_none_and_a_reversal() -> None:
    states = np.array([[0, 0], [3, 4], [3, 4], [-3, -4], [0, 0], [0, 0]], np.float32)
    found = jump_measures(states, np.array([0, 6]), np.zeros(6, np.int32), 20)
    np.testing.assert_allclose(found[0], [np.nan, 5, 0, 10, 5, 0])
    np.testing.assert_allclose(found[1], [np.nan, 1, 0, 2, 1, np.nan])
    assert np.isnan(found[2]).all()  # five jumps are too few to standardise


def test_few_jumps_and_prototypes(tmp_path: Path) -> None:
    probe, last = recorded(tmp_path, continuous=True, sequences=4, steps=(2, 4))
    types = np.arange(probe.lengths.sum(), dtype=np.int32) % 3
    found = explored(probe, last, types)
    jumps = int((probe.lengths - 1).sum())
    assert found.counted.tolist() == [jumps, jumps, 0]
    assert (found.sequences[0] >= 0).sum() == jumps and (found.sequences[2] == -1).all()
    assert np.isnan(found.values[0, jumps:]).all() and set(found.names) <= {"p0", "p1", "p2"}
    assert "prototype" in found.guide


def test_nothing_to_rank(tmp_path: Path) -> None:
    probe, last = recorded(tmp_path, sequences=5, steps=(1, 1))
    sample = display_sample(probe, SampleParams())
    found = largest_jumps(SCOPE, probe, last, sample, probe.tokens, probe.vocabulary, JumpParams())
    assert isinstance(found, Unavailable)


def test_states_that_are_not_finite_count_nowhere(tmp_path: Path) -> None:
    probe, last = recorded(tmp_path)
    states = last.states[SCOPE].copy()
    broken = int(np.flatnonzero(probe.lengths > 4)[0])
    states[probe.offsets[broken] + 2] = np.nan
    one, two = explored(probe, last), explored(probe, replace(last, states={SCOPE: states}))
    assert one.counted[0] - two.counted[0] == 2 and np.isfinite(two.values[0, :, :2]).all()
