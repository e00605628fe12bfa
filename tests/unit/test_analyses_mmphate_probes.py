"""Linear probes and label information: against scikit-learn, against planted information, and with shuffled classes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rnnreport.analyses.mmphate.dynamics import DynamicsParams, Embedded, training_dynamics
from rnnreport.analyses.mmphate.probes import ProbeParams, linear_probes
from rnnreport.analyses.mmphate.readout import entropy_of, label_information
from rnnreport.analyses.probing import probe_predictions, probe_values
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Task
from rnnreport.results.schema import Probes, Unavailable
from tests.fabricate import fabricate_run

SCOPE = "lstm.0.fwd.h"


@pytest.mark.parametrize(("units", "classes"), [(5, 2), (12, 4), (150, 3)])
def test_predictions_are_those_of_scikit_learn(units: int, classes: int) -> None:
    """The last case has more units than fitted rows."""
    from sklearn.linear_model import RidgeClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    draw = np.random.default_rng(0)
    labels = draw.integers(0, classes, (3, 120))
    states = draw.normal(size=(120, units)) * np.linspace(0.1, 3, units)
    states[:, :2] += 0.7 * labels[0][:, None]
    folds = np.arange(120) % 5
    found = probe_predictions(states, labels, folds, 0.01)
    for row, named in zip(labels, found, strict=True):
        for fold in range(5):
            fitted = folds != fold
            probe = make_pipeline(StandardScaler(), RidgeClassifier(alpha=0.01 * fitted.sum()))
            probe.fit(states[fitted], row[fitted])
            np.testing.assert_array_equal(named[~fitted], probe.predict(states[~fitted]))


def test_values_and_their_r2_are_those_of_scikit_learn() -> None:
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import PredefinedSplit, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    draw = np.random.default_rng(0)
    states, folds = draw.normal(size=(100, 8)), np.arange(100) % 5
    wanted = np.stack([states @ draw.normal(size=8) + draw.normal(size=100), draw.normal(size=100)], axis=1)
    probe = make_pipeline(StandardScaler(), Ridge(alpha=0.01 * 80))
    expected = cross_val_predict(probe, states, wanted, cv=PredefinedSplit(folds))
    np.testing.assert_allclose(probe_values(states, wanted, folds, 0.01), expected, rtol=1e-9, atol=1e-9)


def test_a_quantity_is_read_where_it_was_planted(tmp_path: Path) -> None:
    """A step holds y + noise of the variance of y in one direction from epoch 2 on: R² is about 1/2, before it none."""
    run = fabricate_run(tmp_path / "run", task="regression", epochs=4, units=8, sequences=300, steps=(4, 4))
    probe, draw = run.probe(), np.random.default_rng(1)
    truths = draw.normal(3, 2, probe.truths.shape).astype(np.float32)
    run.write_probe(replace(probe, truths=truths))
    for checkpoint in list(run.checkpoints()):
        states = draw.normal(size=(1200, 8))
        if checkpoint.epoch >= 2:
            states[:, 3] = np.repeat(truths[:, 0], 4) + draw.normal(0, 2, 1200)
        checkpoint.states["lstm.0.fwd.h"][:] = states
        run.write_checkpoint(checkpoint)
    embedded = training_dynamics(run, SCOPE, run.probe(), DynamicsParams(steps=2))
    assert isinstance(embedded, Embedded)
    result = linear_probes(run, run.probe(), embedded.dynamics, SCOPE, ProbeParams(shuffles=4, resamples=300))
    assert isinstance(result, Probes) and result.measure == "R²"
    assert (abs(result.accuracy[2:] - 0.5) < 0.12).all() and (result.accuracy[:2] < 0.05).all()
    assert (result.control < 0.05).all() and not result.most_frequent.any()
    assert (result.mean[1] < result.mean[0]).all() and (result.mean[0] < result.mean[2]).all()
    assert result.mean[2, 3] - result.mean[1, 3] < 0.25
    assert f"with R² {result.mean[0, -1]:.2f} at the last epoch" in result.finding


def test_a_constant_unit_and_a_class_missing_from_a_fold_do_no_harm() -> None:
    labels = np.array([[0] * 9 + [1] * 9 + [2]])
    states = np.random.default_rng(0).normal(size=(19, 4))
    states[:, 0], states[:, 1] = 3, labels[0] == 1
    found = probe_predictions(states, labels, np.arange(19) % 5, 0.01)
    assert (found[0, :18] == labels[0, :18]).mean() > 0.9


@pytest.mark.parametrize("neighbours", [1, 3, 6])
def test_information_in_one_dimension_is_that_of_scikit_learn(neighbours: int) -> None:
    from sklearn.feature_selection import mutual_info_classif

    draw = np.random.default_rng(1)
    labels = np.append(draw.integers(0, 4, 300), [9, 7, 7])  # one label that is alone, one of two
    points = draw.normal(size=303) + 1.5 * (labels % 3)
    expected = mutual_info_classif(points[:, None], labels, n_neighbors=neighbours, random_state=0)[0]
    found = label_information(points[:, None], labels[None], neighbours)[0]
    # its tree rounds distances otherwise: a neighbour exactly at the radius may count, which moves 1/302 of one digamma
    assert found == pytest.approx(expected / math.log(2), abs=2e-4)


def test_information_of_planted_classes() -> None:
    """Known: well apart it is their entropy; two unit Gaussians two apart share 0.486 bits; unrelated it is zero."""
    draw = np.random.default_rng(2)
    labels = draw.permutation(np.repeat(np.arange(4), 100))
    apart = np.stack([labels % 2, labels // 2, 0 * labels], axis=1) * 50 + draw.normal(size=(400, 3))
    assert label_information(apart, labels[None], 3)[0] == pytest.approx(entropy_of(labels), abs=0.03)
    assert entropy_of(labels) == 2
    two = draw.permutation(np.repeat([0, 1], 1000))
    near = draw.normal(size=2000) + 2 * two
    # by numerical integration: the entropy of the mixture less that of its parts
    x = np.linspace(-10, 12, 20001)
    parts = [np.exp(-((x - m) ** 2) / 2) / math.sqrt(2 * math.pi) for m in (0, 2)]
    mixture = (parts[0] + parts[1]) / 2
    exact = (np.trapezoid(-mixture * np.log2(mixture), x)) - 0.5 * math.log2(2 * math.pi * math.e)
    assert label_information(near[:, None], two[None], 3)[0] == pytest.approx(exact, abs=0.06)
    shuffles = np.stack([draw.permutation(labels) for _ in range(30)])
    assert label_information(apart, shuffles, 3).mean() == pytest.approx(0, abs=0.03)


def planted(folder: Path) -> RunFolder:
    """Three classes that can be read from epoch 3 on, and only from step 2 on; before that states are noise."""
    run = fabricate_run(folder, epochs=6, units=12, sequences=120, steps=(5, 9))
    probe, draw = run.probe(), np.random.default_rng(0)
    steps = np.concatenate([np.arange(length) for length in probe.lengths])
    classes = np.repeat(probe.labels, probe.lengths)
    centres = draw.normal(0, 4, (4, 12))
    for checkpoint in list(run.checkpoints()):
        states = draw.normal(size=(len(steps), 12))
        if checkpoint.epoch >= 3:
            states += np.where(steps[:, None] >= 2, centres[classes], 0)
        checkpoint.states["lstm.0.fwd.h"][:] = states
        run.write_checkpoint(checkpoint)
    return run


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Probes:
    run = planted(tmp_path_factory.mktemp("probes") / "run")
    embedded = training_dynamics(run, SCOPE, run.probe(), DynamicsParams(steps=5))
    assert isinstance(embedded, Embedded)
    result = linear_probes(run, run.probe(), embedded.dynamics, SCOPE, ProbeParams())
    assert isinstance(result, Probes)
    return result


def test_probes_read_what_was_planted_and_nothing_else(found: Probes) -> None:
    late, early = found.steps >= 2, found.steps < 2
    assert late.any() and early.any()
    assert found.accuracy[3:][:, late].min() > 0.95
    noise = np.concatenate([found.accuracy[:3].ravel(), found.accuracy[3:][:, early].ravel()])
    assert abs(noise.mean() - found.control.mean()) < 0.08
    assert found.control.max() < found.most_frequent.max() + 0.05
    assert (found.mean[1] <= found.mean[0]).all() and (found.mean[0] <= found.mean[2]).all()
    assert (found.mean[1, 3:] > found.mean[2, :3].max()).all()


def test_information_is_there_where_it_was_planted_and_zero_elsewhere(found: Probes) -> None:
    late, early = found.steps >= 2, found.steps < 2
    assert found.information[3:][:, late].min() > 0.7 * found.entropy
    without = np.concatenate([found.information[:3].ravel(), found.information[3:][:, early].ravel()])
    assert abs(without.mean()) < 0.03 and without.std() < 0.15
    assert (found.information[:3].mean(axis=1) < 2 * found.noise[:3] + 0.02).all() and (found.noise > 0).all()


def test_the_interval_covers_what_other_sequences_give() -> None:
    """A probe without any information is right as often as chance; its interval holds the long-run share."""
    inside = []
    for seed in range(12):
        draw = np.random.default_rng(seed)
        labels = draw.integers(0, 2, (1, 200))
        states = draw.normal(size=(200, 3)) + labels[0][:, None]
        named = probe_predictions(states, labels, np.arange(200) % 5, 0.01)[0] == labels[0]
        half = 1.96 * math.sqrt(named.mean() * (1 - named.mean()) / 200)
        # the best classifier of three unit Gaussians one apart in each direction is right in 80.7 %
        inside.append(abs(named.mean() - 0.807) < half + 0.01)
    assert np.mean(inside) >= 0.75


def test_the_finding_gives_every_number_with_its_n(found: Probes) -> None:
    assert f"{found.mean[0, -1]:.1%}" in found.finding and f"{found.sequences} sequences" in found.finding
    assert f"{found.control[-1].mean():.1%}" in found.finding and f"of {found.entropy:.2f} bits" in found.finding


@pytest.mark.parametrize(
    ("task", "what"),
    [("language-model", "next token"), ("regression", "<i>mood</i>"), ("multi-label", "label ")],
)
def test_other_tasks_are_probed_for_their_answers(tmp_path: Path, task: Task, what: str) -> None:
    """The fabricated states of a step hold what was read, which the answer is made of."""
    run = fabricate_run(tmp_path / "run", task=task, epochs=3, sequences=150)
    embedded = training_dynamics(run, SCOPE, run.probe(), DynamicsParams(steps=3))
    assert isinstance(embedded, Embedded)
    result = linear_probes(run, run.probe(), embedded.dynamics, SCOPE, ProbeParams(shuffles=5))
    assert isinstance(result, Probes) and result.what.startswith(what)
    assert f"reads the {result.what}" in result.finding
    assert result.measure == ("R²" if task == "regression" else "share")
    last = run.probe().lengths > result.steps[-1] + (task == "language-model")  # the last token has none after it
    assert result.sequences == last.sum()
    if task != "language-model":  # whose next token is drawn without regard to what was read
        assert result.mean[1, -1] > result.control[-1].mean()
    else:
        assert result.classes == 12
        assert abs(result.mean[0, -1] - result.control[-1].mean()) < 0.15


def test_sequences_of_which_nothing_is_known_are_not_probed(tmp_path: Path) -> None:
    run = fabricate_run(tmp_path / "run", task="unlabelled", epochs=2)
    embedded = training_dynamics(run, SCOPE, run.probe(), DynamicsParams(steps=3))
    assert isinstance(embedded, Embedded)
    result = linear_probes(run, run.probe(), embedded.dynamics, SCOPE, ProbeParams())
    assert isinstance(result, Unavailable) and "no labels" in result.reason


def test_classes_without_a_label_on_any_sequence_are_not_probed(tmp_path: Path) -> None:
    run = fabricate_run(tmp_path / "run", task="classification", epochs=2)
    run.write_probe(replace(run.probe(), labels=np.zeros(0, np.int32)))
    embedded = training_dynamics(run, SCOPE, run.probe(), DynamicsParams(steps=3))
    assert isinstance(embedded, Embedded)
    result = linear_probes(run, run.probe(), embedded.dynamics, SCOPE, ProbeParams())
    assert isinstance(result, Unavailable) and "no labels" in result.reason


def test_tags_are_read_step_by_step(tmp_path: Path) -> None:
    run = fabricate_run(tmp_path / "run", task="tagging", epochs=3)
    embedded = training_dynamics(run, SCOPE, run.probe(), DynamicsParams(steps=3))
    assert isinstance(embedded, Embedded)
    result = linear_probes(run, run.probe(), embedded.dynamics, SCOPE, ProbeParams())
    assert isinstance(result, Probes) and result.what == "tag"
    assert result.mean[0, -1] > result.control[-1].mean() + 0.1
    few = linear_probes(run, run.probe(), embedded.dynamics, SCOPE, ProbeParams(fewest=500))
    assert isinstance(few, Unavailable) and "need 500" in few.reason
