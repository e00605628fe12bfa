"""Linear probes over time and layers: planted information, labels without any, folds, and what is asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rnnreport.analyses.properties import properties
from rnnreport.analyses.readable import ReadableParams, readable_properties, sequence_folds, stretches
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import PartsOfSpeech
from rnnreport.results.schema import Readable, Unavailable
from tests.fabricate import fabricate_run

H = "lstm.0.fwd.h"
C = "lstm.0.fwd.c"


def with_states(run: RunFolder, **states: np.ndarray) -> RunFolder:
    last = run.checkpoint(run.epochs()[-1])
    named = {H: states.get("h", last.states[H]), C: states.get("c", last.states[C])}
    run.write_checkpoint(replace(last, states={key: value.astype(np.float32) for key, value in named.items()}))
    return run


def row(found: Readable, name: str, key: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    layer, place = found.states.index(key), found.properties.index(name)
    return found.accuracy[layer, place], found.control[layer, place], found.low[layer, place]


def probed(run: RunFolder, params: ReadableParams | None = None) -> Readable:
    found = readable_properties(run, run.probe(), None, params)
    assert isinstance(found, Readable)
    return found


def test_what_was_planted_is_read_where_and_when_it_was_planted(tmp_path: Path) -> None:
    """The hidden state knows the class in the second half of every sequence, the cell state the step before."""
    run = fabricate_run(tmp_path / "run", epochs=1, sequences=200, steps=(10, 20))
    probe, rng = run.probe(), np.random.default_rng(0)
    owners = np.repeat(np.arange(200), probe.lengths)
    place = np.arange(owners.size) - probe.offsets[owners]
    late = place >= probe.lengths[owners] / 2
    noise = rng.normal(size=(owners.size, 24))
    hidden = noise + 20 * np.eye(24)[probe.labels[owners]] * late[:, None]
    rank = np.argsort(np.argsort(-np.bincount(probe.tokens, minlength=42), kind="stable"))
    previous = np.where(place > 0, rank[np.roll(probe.tokens, 1)].clip(max=11), 12)
    found = probed(with_states(run, h=hidden, c=0.2 * noise + np.eye(24)[previous]))
    accuracy, control, low = row(found, "class", H)
    assert accuracy[4:].min() > 0.95 and (low[4:] > 0.3).all()  # 70 % and 90 %
    assert abs(accuracy[1:3] - control[1:3]).max() < 0.15  # 10 % and 30 %
    accuracy, control, low = row(found, "token 1 step back", C)
    assert accuracy[0] > control[0] + 0.3 and low[0] > 0.2
    other, chance, _ = row(found, "token 1 step back", H)
    assert abs(other[0] - chance[0]) < 0.15
    assert "70%" in found.finding or "90%" in found.finding


def test_random_labels_are_read_by_chance_alone(tmp_path: Path) -> None:
    """Statement B9: the interval of accuracy minus control holds 0 for labels drawn at random.

    Cells of one run depend on each other, so that more than 5 % of them may miss it.
    """
    inside = []
    for seed in range(3):
        run = fabricate_run(tmp_path / f"run{seed}", epochs=3, sequences=120)
        labels = np.random.default_rng(seed).integers(0, 2, 120).astype(np.int32)
        run.write_probe(replace(run.probe(), labels=labels))
        found = probed(run)
        place = found.properties.index("class")
        known = np.isfinite(found.accuracy[:, place])
        inside.append(((found.low[:, place] <= 0) & (found.high[:, place] >= 0))[known])
        assert abs(found.accuracy[:, place][known].mean() - 0.5) < 0.1
    assert np.concatenate(inside).mean() >= 0.8


def test_folds_never_share_a_sequence(tmp_path: Path) -> None:
    """Statement B9: states that know nothing but which sequence they are of cannot tell its random label."""
    folds = sequence_folds(7, 3, 5).reshape(7, 3)
    assert (folds == folds[:, :1]).all() and np.unique(folds).size == 5
    run = fabricate_run(tmp_path / "run", epochs=1, sequences=60, steps=(20, 20))
    probe = run.probe()
    identity = np.eye(60)[np.repeat(np.arange(60), 20)]
    run.write_probe(replace(probe, labels=(np.random.default_rng(3).permutation(60) % 2).astype(np.int32)))
    found = probed(with_states(run, h=identity))
    accuracy, _, low = row(found, "class", H)
    # shared sequences would give 1; without them the probe has only the other sequences' mean, on the wrong side of 1/2
    assert accuracy[0] < 0.6 and not (low > 0).any()


def test_stretches_give_every_sequence_equally_many_steps_of_its_own(tmp_path: Path) -> None:
    probe = fabricate_run(tmp_path / "run", epochs=1, steps=(3, 40)).probe()
    chosen = np.array([5, 2, 9])
    for steps in stretches(probe, chosen, ReadableParams()):
        assert steps.shape[0] == 3
        assert (steps >= probe.offsets[chosen][:, None]).all() and (steps < probe.offsets[chosen + 1][:, None]).all()
    first, last = stretches(probe, chosen, ReadableParams())[1], stretches(probe, chosen, ReadableParams())[-1]
    share = lambda steps: (steps - probe.offsets[chosen][:, None]) / probe.lengths[chosen][:, None]  # noqa: E731
    assert (share(first) < 0.2).all() and (share(last) >= 0.8 - 1 / 3).all()


def test_every_task_is_asked_for_what_it_answers(tmp_path: Path) -> None:
    wanted = {
        "classification": "class",
        "tagging": "tag",
        "language-model": "next token",
        "multi-label": "label ",
        "regression": "<i>mood</i>, which fifth",
        "step-regression": "<i>mood</i>, which fifth",
        "unlabelled": "token 1 step back",
    }
    for task, name in wanted.items():
        probe = fabricate_run(tmp_path / task, task=task, epochs=1).probe()  # type: ignore[arg-type]
        found = properties(probe, None, None, (1, 3))
        assert found[0].name.startswith(name)
        assert all(one.labels.shape == (int(probe.lengths.sum()),) for one in found)
        back = next(one for one in found if one.name == "token 3 steps back")
        starts = probe.offsets[:-1]
        assert all((back.labels[start : start + 3] == -1).all() for start in starts)
        common = np.argsort(-np.bincount(probe.tokens), kind="stable")[0]
        at = starts[0] + 3
        assert (back.labels[at] == 0) == (probe.tokens[at - 3] == common)
    fifths = next(one for one in found if one.name == "step, which fifth")
    place = np.arange(probe.tokens.size) - np.repeat(probe.offsets[:-1], probe.lengths)
    assert all(np.ptp(fifths.labels[place == step]) == 0 for step in range(3)) and not fifths.over_time


def test_tags_of_a_function_are_asked_for(tmp_path: Path) -> None:
    run = fabricate_run(tmp_path / "run", epochs=1)
    probe = run.probe()
    run.write_parts_of_speech(PartsOfSpeech((probe.tokens % 3).astype(np.int32), ("A", "B", "C")))
    found = probed(with_states(run, h=np.eye(24)[probe.tokens % 3]))
    accuracy, control, low = row(found, "part of speech", H)
    assert accuracy[0] == 1 and low[0] > 0 and control[0] < 0.7


@pytest.mark.parametrize(("sequences", "steps", "reason"), [(8, (3, 6), "need 20"), (60, (1, 1), "need 20")])
def test_too_little_is_not_probed(sequences: int, steps: tuple[int, int], reason: str, tmp_path: Path) -> None:
    run = fabricate_run(tmp_path / "run", epochs=1, sequences=sequences, steps=steps)
    found = readable_properties(run, run.probe(), None)
    assert isinstance(found, Unavailable) and reason in found.reason


def test_wide_states_are_probed_in_their_leading_directions(tmp_path: Path) -> None:
    run = fabricate_run(tmp_path / "run", epochs=1, sequences=60)
    probe = run.probe()
    owners = np.repeat(np.arange(60), probe.lengths)
    wide = 0.01 * np.random.default_rng(0).normal(size=(owners.size, 40))
    wide[:, 7] += 5 * (probe.labels[owners] == 0)
    found = probed(with_states(run, h=wide), ReadableParams(dimensions=8))
    accuracy, control, _ = row(found, "class", H)
    assert accuracy[0] > control[0] + 0.1
