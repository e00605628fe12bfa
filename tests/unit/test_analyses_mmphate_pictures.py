"""The same points by other methods: they are the same points, and what a picture keeps is judged alike for all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rnnreport.analyses.mmphate.active import active_words
from rnnreport.analyses.mmphate.dynamics import DynamicsParams, Embedded, training_dynamics
from rnnreport.analyses.mmphate.pictures import PicturesParams, other_pictures, raw_pictures
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import ActiveWords, Unavailable
from tests.fabricate import fabricate_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder: Path = tmp_path_factory.mktemp("pictures") / "run"
    return fabricate_run(folder, epochs=9, units=16)


@pytest.fixture(scope="module")
def embedded(run: RunFolder) -> Embedded:
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
    said = capfd.readouterr()  # how long each method took, and no warning of a library
    assert said.out == "" and [line.split(" ...")[0] for line in said.err.splitlines()] == [
        "PCA of the standardised activity",
        "Isomap of the standardised activity",
    ]


def test_raw_pictures_see_the_activity_as_it_is(embedded: Embedded) -> None:
    params = PicturesParams(nodes=400)
    raw, scored = raw_pictures(embedded, params), other_pictures(embedded, params)
    np.testing.assert_array_equal(raw.places, scored.places)
    assert raw.methods[:2] == ("PCA", "t-SNE") and raw.params == scored.params
    points = embedded.activity.reshape(-1, embedded.activity.shape[3])[raw.places]
    spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)[:2]
    np.testing.assert_allclose(np.linalg.norm(raw.coordinates[0], axis=0), spread, rtol=1e-4)
    # louder units move apart in the raw picture only
    louder = replace(embedded, activity=embedded.activity * np.linspace(1, 9, 16)[:, None])
    assert np.abs(raw_pictures(louder, params).coordinates[0] - raw.coordinates[0]).max() > 1
    # neighbours are those of the standardised activity, whatever the picture was made of
    assert raw.kept[0]["within_unit"] < scored.kept[1]["within_unit"] + 0.05


def test_work_is_counted_from_the_sizes(embedded: Embedded) -> None:
    few, many = (other_pictures(embedded, PicturesParams(nodes=nodes)).kept for nodes in (200, 400))
    assert many[0]["work"] == few[0]["work"]  # MM-PHATE lays out all epochs in any case
    samples, points = embedded.activity.shape[3], 400
    assert many[1]["work"] == pytest.approx(points * samples**2 + samples**3, rel=0.05)  # two digits are kept
    assert all(later["work"] > earlier["work"] for earlier, later in zip(few[1:], many[1:], strict=True))


def test_active_words_are_those_at_which_a_unit_is_furthest_from_its_mean(embedded: Embedded, run: RunFolder) -> None:
    """Planted: unit 1 is far from its mean where a sequence reads word 4, unit 2 where it reads word 7."""
    probe, activity = run.probe(), np.random.default_rng(0).normal(0, 0.01, embedded.activity.shape)
    steps = len(embedded.dynamics.steps)
    samples = embedded.sequences.size
    words = np.full(probe.tokens.size, 9, np.int32)
    readers = {
        4: np.arange(0, samples // 8),
        7: np.arange(samples // 2, samples // 2 + 5),
        5: np.arange(samples - 2, samples),
    }
    places = probe.offsets[embedded.sequences][:, None] + embedded.dynamics.steps
    for word, sequences in readers.items():
        words[places[sequences]] = word
    for unit, word in ((1, 4), (2, 7), (3, 5)):
        activity[:, :, unit, readers[word]] += 1
    groups = np.where(np.arange(12) < 6, 0, 1).astype(np.int32)
    found = active_words(replace(embedded, activity=activity), probe, words, groups)
    assert isinstance(found, ActiveWords)
    best = found.words.reshape(9, steps, 16, 3)
    assert (best[:, :, 1, 0] == 4).all() and (best[:, :, 2, 0] == 7).all()
    assert not (best == 5).any()  # two sequences are too few
    assert (best[..., 2] == 9).sum() + (best[..., 1] == 9).sum() + (best[..., 0] == 9).sum() == best[..., 0].size
    shown = found.groups.reshape(9, steps, 16)
    assert (shown[:, :, 1] == 0).all() and set(np.unique(shown)) <= {0, 1}
    none = active_words(embedded, probe, np.full(probe.tokens.size, -1, np.int32), groups)
    assert isinstance(none, Unavailable) and "no input is read by 3" in none.reason
