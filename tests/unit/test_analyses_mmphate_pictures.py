"""The same points by other methods: they are the same points, and what a picture keeps is judged alike for all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnnreport.analyses.mmphate.dynamics import DynamicsParams, Embedded, training_dynamics
from rnnreport.analyses.mmphate.pictures import PicturesParams, other_pictures
from tests.fabricate import fabricate_run


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Embedded:
    folder: Path = tmp_path_factory.mktemp("pictures") / "run"
    run = fabricate_run(folder, epochs=9, units=16)
    found = training_dynamics(run, "lstm.0.fwd.h", run.probe(), DynamicsParams(steps=5))
    assert isinstance(found, Embedded)
    return found


def test_all_methods_show_the_points_of_whole_epochs(embedded: Embedded) -> None:
    found = other_pictures(embedded, PicturesParams(nodes=400))
    steps, units = len(embedded.dynamics.steps), len(embedded.dynamics.units)
    assert found.methods[:3] == ("MM-PHATE", "PCA", "t-SNE") and set(found.methods) | set(found.left_out) >= {"Isomap"}
    assert found.params["nodes"] == len(found.places) == 5 * steps * units <= 400
    assert sorted(set(found.places // (steps * units))) == [0, 2, 4, 6, 8] and found.params["epochs"] == [0, 2, 4, 6, 8]
    np.testing.assert_array_equal(found.coordinates[0], embedded.dynamics.plane[found.places])
    assert np.isfinite(found.coordinates).all()
    points = embedded.nodes.reshape(-1, embedded.nodes.shape[2])[found.places]
    spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)[:2]
    np.testing.assert_allclose(np.linalg.norm(found.coordinates[1], axis=0), spread, rtol=1e-4)


def test_every_picture_is_judged_and_nothing_where_all_would_be_perfect(embedded: Embedded) -> None:
    found = other_pictures(embedded, PicturesParams(nodes=400))
    for kept in found.kept:
        assert 10 / 24 < kept["within_unit"] <= 1 and 10 / 15 < kept["within_step"] <= 1
        assert 0.5 < kept["trustworthiness"] <= 1 and kept["neighbours"] == 10
    wide = other_pictures(embedded, PicturesParams(nodes=400, neighbours=15))
    assert {kept["within_step"] for kept in wide.kept} == {None}
    assert all(kept["within_unit"] is not None for kept in wide.kept)


def test_the_same_nodes_give_the_same_pictures(embedded: Embedded) -> None:
    params = PicturesParams(nodes=200)
    first, second = (other_pictures(embedded, params) for _ in range(2))
    np.testing.assert_array_equal(first.coordinates, second.coordinates)


def test_a_method_that_cannot_is_left_out_with_its_reason(
    embedded: Embedded, capfd: pytest.CaptureFixture[str]
) -> None:
    found = other_pictures(embedded, PicturesParams(nodes=200, perplexity=100, isomap_neighbours=1))
    assert found.methods == ("MM-PHATE", "PCA")
    assert "different points" in found.left_out["t-SNE"]
    assert "falls into" in found.left_out["Isomap"]
    assert capfd.readouterr() == ("", "")
