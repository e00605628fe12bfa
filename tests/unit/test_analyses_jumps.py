"""The jump explorer against loops over single steps, Fisher's test of SciPy, and planted jumps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import fisher_exact

from rnnreport.analyses.jumps import JumpParams, jump_measures, largest_jumps
from rnnreport.analyses.sample import SampleParams, display_sample
from rnnreport.analyses.significance import holm
from rnnreport.results.recorded import Checkpoint, Ints, Probe, Task
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


def test_over_representation_is_fishers_test(tmp_path: Path) -> None:
    probe, last = recorded(tmp_path, sequences=400)
    found = explored(probe, last, largest_share=0.05)
    own = alone(probe, last, probe.tokens, 20)
    token = {key: probe.vocabulary[probe.tokens[probe.offsets[key[0]] + key[1]]] for key in own}
    total = {name: sum(one == name for one in token.values()) for name in set(token.values())}
    ordered = sorted(own, key=lambda key: -own[key][0])
    top = ordered[: int(np.ceil(0.05 * len(own)))]
    assert found.largest[0] == len(top) and found.tested[0] == sum(count >= 5 for count in total.values())
    p = {}
    for name, count in total.items():
        if count >= 5:
            inside = sum(token[key] == name for key in top)
            table = np.array([[inside, len(top) - inside], [count - inside, len(own) - len(top) - count + inside]])
            p[name] = fisher_exact(table, alternative="greater").pvalue
    names = sorted(p, key=lambda name: p[name])
    adjusted, last_p = {}, 0.0
    for place, name in enumerate(names):  # Holm, written out
        last_p = max(last_p, min(1.0, (len(names) - place) * p[name]))
        adjusted[name] = last_p
    expected = {name for name in names if adjusted[name] < 0.05}
    listed = [found.names[k] for k in found.types[0] if k >= 0]
    assert expected and set(listed) == expected and len(expected) < 12
    for name, (among, sequences, everywhere), value in zip(listed, found.type_counts[0], found.type_p[0], strict=False):
        inside = [key for key in top if token[key] == name]
        assert (among, sequences, everywhere) == (len(inside), len({n for n, _ in inside}), total[name])
        assert value == pytest.approx(adjusted[name], rel=1e-6)


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


def walks(draw: np.random.Generator, words: int = 30, count: int = 150) -> tuple[Probe, Checkpoint, Ints]:
    """Random walks of 40 steps whose steps are of one size, read with random words."""
    lengths = np.full(count, 40, np.int32)
    tokens = draw.integers(0, words, 40 * count).astype(np.int32)
    probe = Probe(
        task="unlabelled", sequence_ids=tuple(f"s{n}" for n in range(count)), lengths=lengths, tokens=tokens,
        values=np.zeros((0, 0), np.float32), labels=np.zeros(0, np.int32), targets=np.zeros(0, np.int32),
        truths=np.zeros((0, 0), np.float32), vocabulary=tuple(f"w{k}" for k in range(words)), class_names=(),
        feature_names=(), sampled_from=count,
    )  # fmt: skip
    moves = draw.normal(0, 1, (40 * count, 6))
    nothing = np.zeros((0, 0), np.float32)
    states = {SCOPE: moves.reshape(count, 40, 6).cumsum(axis=1).reshape(-1, 6).astype(np.float32)}
    top = np.zeros((0, 5), np.int32), np.zeros((0, 5), np.float32)
    return probe, Checkpoint(0, states, nothing, nothing, np.zeros(0, np.float32), *top), tokens


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
