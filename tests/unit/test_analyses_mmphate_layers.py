"""MM-PHATE of a network with several layers: units of all of them are nodes, each known by its layer."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from rnnreport.analyses.mmphate.dynamics import DynamicsParams, Embedded, beside, training_dynamics
from rnnreport.analyses.mmphate.embed import EmbedParams
from rnnreport.analyses.mmphate.formation import FormationParams, formation
from rnnreport.analyses.mmphate.growth import Growth
from rnnreport.analyses.mmphate.probes import ProbeParams, linear_probes
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import Probes, Unavailable
from tests.fabricate import deepen, fabricate_run

TOP, BELOW, CELLS = "lstm.1.fwd.h", "lstm.0.fwd.h", "lstm.0.fwd.c"
PARAMS = DynamicsParams(steps=4, units=9, embed=EmbedParams(landmarks=200))


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return deepen(fabricate_run(tmp_path_factory.mktemp("deep") / "run", epochs=4, units=12, sequences=40))


@pytest.fixture(scope="module")
def embedded(deep: RunFolder) -> Embedded:
    found = training_dynamics(deep, TOP, deep.probe(), PARAMS)
    assert isinstance(found, Embedded)
    return found


def test_every_layer_keeps_its_share_of_the_units(embedded: Embedded) -> None:
    assert embedded.states.states == (BELOW, TOP)  # in the order of the input, though the last one is shown first
    assert embedded.states.of_unit.tolist() == [0] * 6 + [1] * 3  # 12 and 6 units, nine of them all
    assert embedded.dynamics.units.tolist() == [0, 2, 4, 7, 9, 11, 0, 2, 5]
    assert embedded.dynamics.scope == TOP
    said = " ".join(embedded.dynamics.left_out)
    assert "6 of 12 units of lstm, layer 1, hidden state h and 3 of 6 units of lstm, layer 2, hidden state h" in said


def test_nodes_are_the_units_of_their_own_state(deep: RunFolder, embedded: Embedded) -> None:
    dynamics, probe = embedded.dynamics, deep.probe()
    steps = probe.offsets[embedded.sequences][:, None] + dynamics.steps
    for e, epoch in enumerate(dynamics.epochs.tolist()):
        states = deep.checkpoint(epoch).states
        for u, (place, unit) in enumerate(zip(embedded.states.of_unit, dynamics.units, strict=True)):
            expected = states[embedded.states.states[place]][steps, unit].T
            np.testing.assert_array_equal(embedded.activity[e, :, u], expected)


def test_one_layer_of_the_picture_is_scaled_anew(embedded: Embedded) -> None:
    own = embedded.of(TOP)
    assert own.dynamics.scope == TOP and own.dynamics.units.tolist() == [0, 2, 5]
    nodes = embedded.dynamics.space.reshape(-1, 9, 3)[:, 6:].reshape(-1, 3).astype(np.float64)
    assert own.dynamics.space.var(axis=0).sum() == pytest.approx(1, rel=1e-5)
    centred = nodes - nodes.mean(axis=0)
    np.testing.assert_allclose(own.dynamics.space, centred / np.sqrt(nodes.var(axis=0).sum()), atol=1e-5)
    np.testing.assert_array_equal(own.activity, embedded.activity[:, :, 6:])
    formed = formation(own, None, None, FormationParams(resamples=5))
    assert formed.scope == TOP and formed.within_unit.shape == (2, 4, 3)


def test_cells_have_curves_in_the_activity_beside_a_picture_of_hidden_states(
    deep: RunFolder, embedded: Embedded
) -> None:
    cells, probe = beside(deep, deep.probe(), embedded, CELLS), deep.probe()
    assert isinstance(cells, Embedded) and cells.dynamics.scope == CELLS
    assert cells.dynamics.units.tolist() == [0, 2, 4, 7, 9, 11]  # those of the same layer in the picture
    steps = probe.offsets[embedded.sequences][:, None] + embedded.dynamics.steps
    states = deep.checkpoint(2).states[CELLS]
    np.testing.assert_array_equal(cells.activity[2, :, 3], states[steps, 7].T)
    own = formation(cells, np.arange(12, dtype=np.int32) % 2, None, FormationParams(resamples=5, purity_neighbours=2))
    own_picture = training_dynamics(deep, CELLS, probe, dataclasses.replace(PARAMS, units=9))
    assert isinstance(own_picture, Embedded)
    as_embedded = formation(
        own_picture.of(CELLS),
        np.arange(12, dtype=np.int32) % 2,
        None,
        FormationParams(resamples=5, purity_neighbours=2),
    )
    for name in ("within_step", "within_unit", "change", "alignment", "purity"):
        in_picture, in_activity = getattr(own, name)
        assert np.isnan(in_picture).all() and np.isfinite(in_activity).any(), name
        np.testing.assert_allclose(in_activity, getattr(as_embedded, name)[1], rtol=1e-5, err_msg=name)
    np.testing.assert_array_equal(own.similarity, as_embedded.similarity)
    assert own.flagged == {"purity": (), "alignment": ()} and own.settled == as_embedded.settled


def test_every_state_is_probed_and_one_that_is_not_finite_is_refused(tmp_path: Path, embedded: Embedded) -> None:
    run = deepen(fabricate_run(tmp_path / "run", epochs=4, units=12, sequences=40))
    params = ProbeParams(shuffles=2, resamples=20)
    found = {state: linear_probes(run, run.probe(), embedded.dynamics, state, params) for state in (TOP, CELLS)}
    for state, read in found.items():
        assert isinstance(read, Probes) and read.scope == state and np.isfinite(read.accuracy).all()
    assert not np.array_equal(found[TOP].accuracy, found[CELLS].accuracy)
    broken = run.checkpoint(1)
    broken.states[CELLS][:] = np.inf
    run.write_checkpoint(broken)
    for refused in (
        linear_probes(run, run.probe(), embedded.dynamics, CELLS, params),
        beside(run, run.probe(), embedded, CELLS),
    ):
        assert isinstance(refused, Unavailable) and "not finite" in refused.reason


def test_a_single_layer_is_embedded_as_if_there_were_no_other(tmp_path: Path, deep: RunFolder) -> None:
    cells = training_dynamics(deep, "lstm.1.fwd.c", deep.probe(), PARAMS)
    assert isinstance(cells, Embedded) and cells.states.states == (
        "lstm.0.fwd.c",
        "lstm.1.fwd.c",
    )  # h is not of its kind
    alone = RunFolder(tmp_path / "alone")
    alone.write_probe(deep.probe())
    alone.write_manifest(dataclasses.replace(deep.manifest(), state_keys=(BELOW,)))
    for checkpoint in deep.checkpoints():
        alone.write_checkpoint(dataclasses.replace(checkpoint, states={BELOW: checkpoint.states[BELOW]}))
    found = training_dynamics(alone, BELOW, alone.probe(), PARAMS)
    assert isinstance(found, Embedded) and found.states.states == (BELOW,)
    assert found.of(BELOW) is found
    assert "9 of 12 units, evenly spaced" in found.dynamics.left_out


def test_a_training_that_goes_on_keeps_its_layers_apart(deep: RunFolder, tmp_path: Path) -> None:
    folder, growth = RunFolder(tmp_path / "run"), Growth()
    folder.write_probe(deep.probe())
    folder.write_manifest(deep.manifest())
    seen = []
    for checkpoint in deep.checkpoints():
        folder.write_checkpoint(checkpoint)
        if checkpoint.epoch:
            seen.append(training_dynamics(folder, TOP, folder.probe(), PARAMS, growth))
    assert growth.landmarks is not None and growth.landmarks.updates == 2
    assert growth.landmarks.units.tolist() == [0, 2, 4, 7, 9, 11, 12, 14, 17]  # counted through the layers
    last = seen[-1]
    assert isinstance(last, Embedded) and last.dynamics.units.tolist() == [0, 2, 4, 7, 9, 11, 0, 2, 5]
