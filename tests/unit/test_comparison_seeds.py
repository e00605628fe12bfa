"""B11 of the specification: seeds of one configuration are no change, planted faults are, in the right layer first."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rnnreport.analyses.bootstrap import BootstrapParams
from rnnreport.analyses.comparison import CompareParams, side_by_side
from rnnreport.analyses.comparison.dynamics import DynamicsParams
from rnnreport.analyses.comparison.floor import configuration, noise_floor, seeds
from rnnreport.analyses.comparison.likeness import LikenessParams
from rnnreport.analyses.comparison.runs import read
from rnnreport.analyses.performance import PerformanceParams
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import Changes
from tests import seeds as nets

SEEDS = 8
QUICK = CompareParams(
    performance=PerformanceParams(bootstrap=BootstrapParams(resamples=300)),
    likeness=LikenessParams(
        most_epochs=1,
        most_steps=600,
        neighbour_steps=40,
        shifts=1,
        dynamics=DynamicsParams(starts=2, iterations=5),
    ),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("seeds")


@pytest.fixture(scope="module")
def trained() -> list[nets.Net]:
    return [nets.train(seed) for seed in range(SEEDS)]


@pytest.fixture(scope="module")
def runs(folder: Path, trained: list[nets.Net]) -> list[RunFolder]:
    return [nets.record(net, folder / f"seed{seed}", seed) for seed, net in enumerate(trained)]


def _changes(folders: list[RunFolder]) -> Changes:
    found = side_by_side(folders, QUICK).changes
    assert isinstance(found, Changes)
    return found


def test_two_seeds_of_one_configuration_are_no_significant_change(runs: list[RunFolder]) -> None:
    """Every pair, judged by the spread of the seeds that are not in it; and every pair by itself."""
    pairs = list(itertools.combinations(range(SEEDS), 2))
    beside = [[runs[place] for place in range(SEEDS) if place not in pair][:5] for pair in pairs]
    judged = [
        _changes([runs[one], runs[two], *rest]).verdicts[0] for (one, two), rest in zip(pairs, beside, strict=True)
    ]
    alone = [_changes([runs[one], runs[two]]).verdicts[0] for one, two in pairs]
    for verdicts in (judged, alone):
        assert verdicts.count("no significant change") >= 0.95 * len(pairs)


@pytest.mark.parametrize(
    ("damage", "layer"),
    [
        (nets.shift_gate(0), 0),
        (nets.shift_gate(1), 1),
        (nets.restart_layer(0), 0),
        (nets.restart_layer(1), 1),
    ],
    ids=["gate of layer 1", "gate of layer 2", "layer 1 anew", "layer 2 anew"],
)
def test_a_fault_is_named_with_its_layer(
    damage: Callable[[nets.Net], None],
    layer: int,
    trained: list[nets.Net],
    runs: list[RunFolder],
    tmp_path: Path,
) -> None:
    broken = nets.record(nets.damaged(trained[0], damage), tmp_path / "broken", 0)
    found = _changes([runs[0], broken, *runs[1:]])
    assert found.verdicts[0] == "changed"
    assert any(f"layer {layer + 1}," in sentence["text"] for sentence in found.found[0]["sentences"])
    # a copy with a fault has the manifest of a seed, but was not trained separately
    assert set(found.seeds) == {0, *range(2, SEEDS + 1)}
    alone = _changes([runs[0], broken])  # without other seeds as well
    assert alone.verdicts[0] == "changed"
    (told,) = [one["text"] for one in alone.found[0]["sentences"] if one["anchor"] == "likeness"]
    assert "the first state that differs is rnn, layer " in told and f"layer {layer + 1}, hidden state h" in told
    changed = {name for name, values in nets_weights(broken).items() if nets_weights(runs[0])[name] != values}
    assert changed and all(name in told or "more" in told for name in changed)
    assert all(name.endswith(f"_l{layer}") for name in changed)


def nets_weights(run: RunFolder) -> dict[str, str]:
    found = run.fingerprints(1)
    assert {"embedding.weight", "rnn.weight_hh_l0", "rnn.bias_ih_l1", "head.weight"} <= set(found)
    return found


def test_one_frozen_module_does_not_make_two_seeds_a_copy(runs: list[RunFolder], tmp_path: Path) -> None:
    """Pre-trained embeddings, never trained further, are the same in networks trained separately."""
    folders = []
    for place in range(2):
        own = runs[place].fingerprints(1) | {"embedding.weight": "0" * 16}
        shutil.copytree(runs[place].path, tmp_path / str(place))
        folders.append(RunFolder(tmp_path / str(place)))
        folders[-1].append_metrics(runs[place].metrics()[0], own)
        assert folders[-1].fingerprints(1) == own
    found = _changes(folders)
    assert found.verdicts[0] == "no significant change" and "not judged" in found.found[0]["sentences"][1]["text"]


def test_noise_in_the_labels_is_a_change(runs: list[RunFolder], tmp_path: Path) -> None:
    noisy = nets.record(nets.train(100, noise=0.4), tmp_path / "noisy", 100)  # 40% drawn anew: 20% wrong
    found = _changes([runs[0], noisy, *runs[1:]])
    assert found.verdicts[0] == "changed"


def test_a_run_against_itself_is_identical(runs: list[RunFolder]) -> None:
    found = _changes([runs[0], runs[0], runs[1]])
    assert found.verdicts == ("identical", "no significant change")


def test_the_seeds_are_those_of_one_configuration(runs: list[RunFolder], tmp_path: Path) -> None:
    """The same run again is no further seed, and another command is another configuration."""
    wide = nets.record(nets.train(1), tmp_path / "wide", 1)
    wide.write_manifest(replace(wide.manifest(), command="python train.py --wide"))
    folders = [wide, runs[0], runs[1], runs[1], runs[2]]
    assert seeds([read(one, PerformanceParams()) for one in folders]) == (1, 2, 4)
    assert seeds([read(one, PerformanceParams()) for one in folders[:4]]) == ()
    found = _changes(folders)
    assert found.seeds.tolist() == [1, 2, 4]
    assert "(3 runs)" in found.found[0]["sentences"][0]["text"]


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ("rnnreport run --model m:A --weights a.pt --out a", "rnnreport run --model m:A --weights b.pt --out b", True),
        ("rnnreport train x.toml --seed 1 --out a", "rnnreport train x.toml --seed=2 --name second --out b", True),
        ("rnnreport run --model m:A --weights a.pt", "rnnreport run --model m:B --weights a.pt", False),
        ("train.py 'it''s", "train.py 'it''s", True),
    ],
)
def test_configurations_by_command(one: str, two: str, same: bool, runs: list[RunFolder]) -> None:
    manifest = runs[0].manifest()
    found = [configuration(replace(manifest, command=command)) for command in (one, two)]
    assert (found[0] == found[1]) == same


def test_the_floor_written_out(runs: list[RunFolder]) -> None:
    from scipy.stats import t

    read_runs = [read(one, PerformanceParams()) for one in runs[:4]]
    angles = np.zeros((4, 4, 1))
    angles[:3, :3, 0] = [[0, 0.5, 0.6], [0.5, 0, 0.7], [0.6, 0.7, 0]]
    found = noise_floor(read_runs, [0, 1, 2], ["accuracy"], angles, alpha=0.1)
    assert found is not None and found.runs == 3
    values = [run.performance.metrics["accuracy"]["value"] for run in read_runs[:3]]
    assert found.metric_bounds["accuracy"] == pytest.approx(t.ppf(0.95, 2) * np.sqrt(2) * np.std(values, ddof=1))
    assert found.angle_mean[0] == pytest.approx(0.6)
    assert found.angle_bound[0] == pytest.approx(0.6 + t.ppf(0.9, 2) * 0.1 * np.sqrt(4 / 3))
    assert noise_floor(read_runs, [0, 1], ["accuracy"], angles) is None
