"""MM-PHATE of a training that goes on, against the same made from scratch."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import procrustes

from rnnreport.analyses.mmphate import probes
from rnnreport.analyses.mmphate.dynamics import DynamicsParams, Embedded, training_dynamics
from rnnreport.analyses.mmphate.embed import Embedding, EmbedParams, embed
from rnnreport.analyses.mmphate.growth import Course, Growth, updated
from rnnreport.analyses.mmphate.kernel import Kernel, KernelParams, grown_kernel, multislice_kernel
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import Probes
from rnnreport.results.schema.landmarks import Landmarks
from tests.courses import planted
from tests.fabricate import fabricate_run

EPOCHS, STEPS, UNITS, SAMPLES = 50, 12, 24, 40
PARAMS = EmbedParams(landmarks=1000)
SCOPE = "lstm.0.fwd.h"


@pytest.fixture(scope="module")
def training() -> np.ndarray:
    return planted(0, EPOCHS, STEPS, samples=SAMPLES).activity


def slices(training: np.ndarray, epochs: int) -> np.ndarray:
    return training[:epochs].reshape(-1, UNITS, SAMPLES)


def update(growth: Growth, training: np.ndarray, epochs: int) -> tuple[Kernel, Embedding]:
    course = Course("h", np.arange(epochs, dtype=np.int32), np.arange(STEPS), np.arange(UNITS), np.arange(SAMPLES))
    return updated(growth, course, slices(training, epochs), KernelParams(), PARAMS)


def assert_same_kernel(found: Kernel, expected: Kernel) -> None:
    assert found.sigma == pytest.approx(expected.sigma, abs=1e-12)
    np.testing.assert_array_equal(found.matrix.indices, expected.matrix.indices)
    np.testing.assert_allclose(found.matrix.data, expected.matrix.data, atol=1e-6)


def test_one_epoch_more_of_fifty(training: np.ndarray) -> None:
    """Statement 22: the kernel is that from scratch, the layout settles quickly, moves little and fits as well."""
    growth = Growth()
    _, before = update(growth, training, EPOCHS - 1)
    kernel, after = update(growth, training, EPOCHS)
    scratch = multislice_kernel(slices(training, EPOCHS), KernelParams())
    assert_same_kernel(kernel, scratch)
    assert after.laid_out is not None and before.laid_out is not None
    assert max(layout.iterations for layout in after.laid_out) <= 30
    assert min(layout.iterations for layout in before.laid_out) > 30
    for old, new in ((before.plane, after.plane), (before.space, after.space)):
        assert procrustes(old, new[: len(old)])[2] <= 0.001
    anew = embed(scratch, PARAMS)
    assert after.space_stress <= 1.02 * anew.space_stress
    assert after.plane_stress <= 1.02 * anew.plane_stress
    assert procrustes(anew.space, after.space)[2] <= 0.01


def test_the_kernel_follows_epochs_that_are_added_changed_or_left_out(training: np.ndarray) -> None:
    grown = multislice_kernel(slices(training, 20), KernelParams())
    recorded_again = training[:24].copy()
    recorded_again[18] += np.random.default_rng(0).normal(size=recorded_again[18].shape)
    for course in (training[:23], training[:24], recorded_again, training[:19], training[:EPOCHS:2], training[:21]):
        activity = course.reshape(-1, UNITS, SAMPLES)
        grown = grown_kernel(grown, activity, KernelParams())
        assert_same_kernel(grown, multislice_kernel(activity, KernelParams()))


def test_few_epochs_more_samples_and_a_wider_bandwidth_make_the_kernel_anew(training: np.ndarray) -> None:
    first = multislice_kernel(slices(training, 2), KernelParams())  # 24 slices have fewer than 25 others
    assert_same_kernel(
        grown_kernel(first, slices(training, 3), KernelParams()),
        multislice_kernel(slices(training, 3), KernelParams()),
    )
    wide = planted(0, 10, STEPS, samples=130).activity.reshape(-1, UNITS, 130)  # components, others with every epoch
    first = multislice_kernel(wide[: 8 * STEPS], KernelParams())
    assert_same_kernel(grown_kernel(first, wide, KernelParams()), multislice_kernel(wide, KernelParams()))
    noise = np.random.default_rng(0).normal(size=training[:11].shape)
    wilder = np.concatenate([training[:12], noise]).reshape(-1, UNITS, SAMPLES)
    first = multislice_kernel(wilder[: 12 * STEPS], KernelParams())
    second = multislice_kernel(wilder, KernelParams())
    assert second.sigma > 1.15 * first.sigma
    assert_same_kernel(grown_kernel(first, wilder, KernelParams()), second)


def test_landmarks_are_kept_until_the_nodes_outgrow_them(training: np.ndarray) -> None:
    growth, seen = Growth(), []
    for epochs in (6, 7, 8):
        update(growth, training, epochs)
        assert growth.landmarks is not None
        seen.append(growth.landmarks)
    first, second, third = seen
    assert first.clustered == second.clustered == third.clustered == 6 * STEPS * UNITS
    kept = {row.tobytes() for row in first.centres}
    assert len(kept - {row.tobytes() for row in second.centres}) <= 0.02 * len(kept)
    assert [landmarks.updates for landmarks in seen] == [0, 1, 2]
    update(growth, training, 12)
    assert growth.landmarks is not None and growth.landmarks.clustered == 12 * STEPS * UNITS


def test_a_new_kind_of_activity_gets_landmarks_of_its_own(training: np.ndarray) -> None:
    growth = Growth()
    update(growth, training, 8)
    assert growth.landmarks is not None
    many = len(growth.landmarks.centres)
    jumped = training[:9].copy()
    jumped[8] = 3 * np.random.default_rng(0).normal(size=jumped[8].shape)
    kernel, _ = update(growth, jumped, 9)
    assert len(growth.landmarks.centres) > many + UNITS
    for unit in range(UNITS):
        centres = growth.landmarks.centres[growth.landmarks.of_unit == unit].astype(np.float64)
        apart = np.linalg.norm(kernel.nodes[:, unit, None] - centres, axis=2).min(axis=1)
        assert apart[-STEPS:].max() <= max(kernel.sigma, apart[:-STEPS].max()) + 1e-6


def test_the_same_updates_give_the_same_bytes_also_from_the_stored_landmarks(tmp_path: Path) -> None:
    recorded = fabricate_run(tmp_path / "run", epochs=9, units=12)
    params = DynamicsParams(steps=4, embed=EmbedParams(landmarks=200))
    checkpoints = list(recorded.checkpoints())

    def course(name: str, *, stored: bool = False) -> list[Embedded]:
        folder = RunFolder(tmp_path / name)
        folder.write_probe(recorded.probe())
        folder.write_manifest(recorded.manifest())
        for checkpoint in checkpoints[:4]:
            folder.write_checkpoint(checkpoint)
        growth, found = Growth(), []
        for epoch in (4, 5, 6, 8):
            folder.write_checkpoint(checkpoints[epoch])
            embedded = training_dynamics(folder, SCOPE, folder.probe(), params, growth)
            assert isinstance(embedded, Embedded) and growth.landmarks is not None
            found.append(embedded)
            if stored:  # as a process that begins here would find it
                folder.write_result(growth.landmarks)
                landmarks = RunFolder(folder.path).result(Landmarks)
                assert isinstance(landmarks, Landmarks)
                growth = Growth(landmarks=landmarks)
        return found

    first, second, resumed = course("first"), course("second"), course("resumed", stored=True)
    for one, other, third in zip(first, second, resumed, strict=True):
        np.testing.assert_array_equal(one.dynamics.plane, other.dynamics.plane)
        np.testing.assert_array_equal(one.dynamics.space, other.dynamics.space)
        np.testing.assert_allclose(one.dynamics.space, third.dynamics.space, atol=1e-4)
    assert first[-1].dynamics.epochs.tolist() == [0, 1, 2, 3, 4, 5, 6, 8]
    assert "updated 3 times" in " ".join(first[-1].dynamics.left_out)
    assert "updated" not in " ".join(first[0].dynamics.left_out)


def test_epochs_of_a_growing_training_are_left_out_by_halves(tmp_path: Path) -> None:
    folder = fabricate_run(tmp_path / "run", epochs=9, units=6)
    params = DynamicsParams(epochs=4, steps=3, units=4)
    growth = Growth()
    found = training_dynamics(folder, SCOPE, folder.probe(), params, growth)
    assert isinstance(found, Embedded) and found.dynamics.epochs.tolist() == [0, 4, 8]
    scratch = training_dynamics(folder, SCOPE, folder.probe(), params)
    assert isinstance(scratch, Embedded) and scratch.dynamics.epochs.size == 4
    assert growth.landmarks is not None
    other = dataclasses.replace(growth.landmarks, units=growth.landmarks.units + 1)
    again = Growth(landmarks=other)  # of other units: not used
    found = training_dynamics(folder, SCOPE, folder.probe(), params, again)
    assert isinstance(found, Embedded) and again.landmarks is not None and again.landmarks.updates == 0


def test_epochs_that_were_probed_are_not_probed_again_and_the_bytes_are_those_from_scratch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fabricate_run(tmp_path / "whole", epochs=5, sequences=60, units=6, steps=(4, 6))
    folder = RunFolder(tmp_path / "run")
    folder.write_probe(whole.probe())
    params, probe_params = DynamicsParams(steps=3), probes.ProbeParams(shuffles=3, resamples=50)
    growth, probed = Growth(), []
    plain = probes._read_epoch
    monkeypatch.setattr(probes, "_read_epoch", functools.wraps(plain)(lambda *given: probed.append(1) or plain(*given)))

    def update(growth: Growth | None) -> object:
        found = training_dynamics(folder, SCOPE, folder.probe(), params, growth)
        assert isinstance(found, Embedded)
        if growth is not None:
            growth.reuse.begin_update()
        reuse = growth.reuse if growth else None
        return probes.linear_probes(folder, folder.probe(), found.dynamics, SCOPE, probe_params, reuse)

    for epoch, expected in enumerate([0, 2, 1, 1, 1]):
        folder.write_checkpoint(whole.checkpoint(epoch))
        if not expected:
            continue
        probed.clear()
        found = update(growth)
        assert isinstance(found, Probes) and len(probed) == expected
    scratch = update(None)
    assert isinstance(found, Probes) and isinstance(scratch, Probes)
    assert dataclasses.asdict(found).keys() == dataclasses.asdict(scratch).keys()
    for name, value in dataclasses.asdict(found).items():
        np.testing.assert_array_equal(value, dataclasses.asdict(scratch)[name], err_msg=name)
    changed = folder.checkpoint(2)  # recorded anew: its old result no longer holds
    changed.states[SCOPE][:] = np.random.default_rng(0).normal(size=changed.states[SCOPE].shape)
    folder.write_checkpoint(changed)
    probed.clear()
    again = update(growth)
    assert len(probed) == 1
    fresh = update(None)
    assert isinstance(again, Probes) and isinstance(fresh, Probes)
    np.testing.assert_array_equal(again.accuracy, fresh.accuracy)
