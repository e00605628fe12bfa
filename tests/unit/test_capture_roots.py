"""Fixed points of maps that are known, of a trained flip-flop (statement B1) and of nets that count evidence (B2)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnnreport.analyses.fixed_points import fixed_points, points_in_words
from rnnreport.analyses.integration import integration_test, persistent, spectrum
from rnnreport.analyses.lyapunov import lyapunov_spectrum
from rnnreport.analyses.projection import ProjectionParams, project
from rnnreport.analyses.sample import SampleParams, display_sample
from rnnreport.budget import LEFT_OUT
from rnnreport.capture import fixed_points as search
from rnnreport.capture import integration
from rnnreport.capture.fixed_points import FixedPointParams, leading, read_fixed_points
from rnnreport.capture.integration import IntegrationParams, read_integration
from rnnreport.capture.recorder import Recorder
from rnnreport.capture.roots import find_roots
from rnnreport.capture.stretching import StretchingParams, read_stretching, stretched
from rnnreport.capture.visited import Visited, visit
from rnnreport.results.recorded_dynamics import FixedPointSearch
from rnnreport.results.schema import FixedPoints, Integration, Lyapunov, Unavailable
from rnnreport.results.schema.fixed_points import SADDLE, STABLE
from tests.motion_nets import (
    Counter,
    FlipFlop,
    evidence_corpus,
    flip_flop_corpus,
    trained_counter,
    trained_flip_flop,
)

torch.set_num_threads(1)


class Linear:
    """The map s -> A s + x."""

    def __init__(self, matrix: Tensor) -> None:
        self.matrix = matrix
        self.size = len(matrix)

    def step(self, s: Tensor, x: Tensor) -> Tensor:
        return s @ self.matrix.t() + x

    def derivatives(self, s: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        whole = self.matrix.expand(len(s), -1, -1)
        return whole, torch.eye(self.size, dtype=s.dtype).expand_as(whole)

    def moved(self, s: Tensor, x: Tensor, frame: Tensor) -> Tensor:
        return frame @ self.matrix.t()


def a_matrix(size: int = 6) -> Tensor:
    """Eigenvalues 1.2, 0.95, 0.6, 0.3 and a pair 0.8 exp(+-i)."""
    generator = torch.Generator().manual_seed(3)
    blocks = torch.block_diag(
        torch.diag(torch.tensor([1.2, 0.95, 0.6, 0.3])),
        0.8 * torch.tensor([[np.cos(1), -np.sin(1)], [np.sin(1), np.cos(1)]]),
    ).double()
    basis = torch.randn(size, size, generator=generator, dtype=torch.float64)
    return basis @ blocks @ torch.linalg.inv(basis)


def test_a_linear_map_has_one_fixed_point_and_its_own_spectrum() -> None:
    """Statement B1, second half."""
    matrix = a_matrix()
    starts = torch.randn(40, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = find_roots(Linear(matrix), starts, torch.zeros(40, 6, dtype=torch.float64))
    assert float(found.ends.abs().max()) < 1e-5
    assert float(found.speeds.max()) < 1e-8
    values, right = leading(matrix[None])
    np.testing.assert_allclose(values[0].abs(), [1.2, 0.95, 0.8, 0.8, 0.6, 0.3], atol=1e-9)
    torch.testing.assert_close(matrix.to(right) @ right[0], right[0] * values[0], atol=1e-9, rtol=0)


def test_the_first_slow_place_is_the_nearest_and_not_where_the_slow_direction_leads() -> None:
    matrix = torch.diag(torch.tensor([0.999, 0.3], dtype=torch.float64))
    starts = torch.tensor([[2.0, 1.0], [-3.0, 0.5]], dtype=torch.float64)
    found = find_roots(Linear(matrix), starts, torch.zeros(2, 2, dtype=torch.float64))
    torch.testing.assert_close(found.slow[:, 0], starts[:, 0], atol=0.05, rtol=0)
    assert float(found.slow[:, 1].abs().max()) < 0.05
    assert float(found.ends.abs().max()) < 1e-3


def test_lyapunov_exponents_of_a_linear_map_are_the_logarithms_of_its_eigenvalues() -> None:
    matrix, steps = a_matrix(), 400
    seen = Visited(
        system=Linear(matrix),  # type: ignore[arg-type]
        places=np.arange(2),
        lengths=np.array([steps, steps - 100]),
        states=torch.zeros(2 * steps - 100, 6, dtype=torch.float64),
        before=torch.zeros(2 * steps - 100, 6, dtype=torch.float64),
        inputs=torch.zeros(2 * steps - 100, 6, dtype=torch.float64),
        remark="",
    )
    sums, counts = stretched(seen, 100, StretchingParams())
    assert counts.tolist() == [300, 200]
    expected = np.log([1.2, 0.95, 0.8, 0.8, 0.6, 0.3])
    np.testing.assert_allclose(sums / counts[:, None], [expected] * 2, atol=0.01)


@pytest.fixture(scope="module", params=[nn.GRU, nn.LSTM], ids=["GRU", "LSTM"])
def flip_flop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ...]:
    """Recorder, record, result and the processor time that training and search took."""
    started = time.process_time()
    model, error = trained_flip_flop(request.param)
    assert error < 0.01
    recorder = Recorder(model, flip_flop_corpus(), tmp_path_factory.mktemp("flip") / "run")
    recorder.record(1)
    found = read_fixed_points(model, recorder.probe, recorder.inspection, 1)
    seconds = time.process_time() - started
    return recorder, found, shown(recorder, found, maps=True), seconds


def shown(recorder: Recorder, found: FixedPointSearch, *, maps: bool = False) -> FixedPoints:
    folder, probe = recorder.folder, recorder.probe
    folder.write_record(found)
    sample, last = display_sample(probe, SampleParams()), folder.checkpoint(1)
    scope, projection = folder.manifest().state_keys[0], Unavailable("projection", "not asked for")
    if maps:
        projection = project(scope, last.states[scope], probe, sample, ProjectionParams(perplexities=(30.0,)))[0]
    result = fixed_points(folder, probe, sample, last, projection)
    assert isinstance(result, FixedPoints)
    return result


def said_at(recorder: Recorder, found: FixedPointSearch, points: np.ndarray) -> Tensor:
    """What the model's own head gives at these points, (n, 3)."""
    with torch.no_grad():
        return recorder.model.head(torch.from_numpy(found.points[points][:, slice(*found.hidden)]).float())


def test_the_flip_flop_has_a_stable_point_for_every_word_of_three_bits_and_saddles_between(flip_flop: Any) -> None:
    """Statement B1, first half."""
    recorder, found, result, seconds = flip_flop
    assert seconds < 120
    zero = np.flatnonzero(result.owners == result.inputs.index("no input (zero)"))
    stable = zero[result.kinds[zero] == STABLE]
    assert stable.size == 8
    assert (np.hypot(*result.eigenvalues[stable].T) < 1).all()
    says = said_at(recorder, found, stable)
    assert len({tuple(row) for row in (says > 0).tolist()}) == 8  # one for each word
    assert float(says.abs().min()) > 0.8
    assert (result.kinds[zero] == SADDLE).sum() >= 12  # on the edges of the cube, where one bit is undecided
    edges = zero[result.unstable[zero] == 1]
    sizes = said_at(recorder, found, edges).abs()
    assert edges.size >= 10 and ((sizes < 0.8).sum(dim=1) == 1).all()
    assert (result.speeds[stable] < 1e-8).all()
    np.testing.assert_allclose(result.times[stable, 0], 1 / np.abs(np.log(np.hypot(*found.eigenvalues[stable, 0].T))))


def test_points_lie_among_the_states_on_every_map_and_their_neighbours_are_visited_states(flip_flop: Any) -> None:
    recorder, found, result, _ = flip_flop
    probe, last = recorder.probe, recorder.folder.checkpoint(1)
    states = np.concatenate([last.states[key] for key in result.scopes], axis=1)
    stable = np.flatnonzero(result.kinds == STABLE)
    assert float(result.distances[stable, 0].max()) < 0.5
    owners = np.repeat(np.arange(len(probe.lengths)), probe.lengths)
    for place in stable:
        apart = np.linalg.norm(states - found.points[place], axis=1)
        assert result.nearest[place, 0] == apart.argmin()
        assert len(set(owners[result.nearest[place]])) == 3
    assert set(result.placed) == {"PCA", "t-SNE, perplexity 30"}
    h = last.states[result.scope]
    centred = h - h.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
    own = (found.points[:, slice(*found.hidden)] - h.mean(axis=0)) @ axes.T
    np.testing.assert_allclose(np.abs(result.placed["PCA"][:, :2]), np.abs(own), atol=1e-3)
    assert result.counts[:, :4].sum(axis=1).tolist() == [result.starts] * len(result.inputs)
    assert "stable points" in result.finding and f"n = {result.starts}" in result.finding


def test_the_same_model_gives_the_same_record_and_is_left_as_it_was(flip_flop: Any) -> None:
    recorder, found, *_ = flip_flop
    before = {name: value.clone() for name, value in recorder.model.state_dict().items()}
    state = torch.random.get_rng_state()
    again = read_fixed_points(recorder.model, recorder.probe, recorder.inspection, 1)
    for name, value in vars(found).items():
        np.testing.assert_array_equal(np.asarray(getattr(again, name)), np.asarray(value))
    read_integration(recorder.model, recorder.probe, recorder.inspection, 1)
    assert torch.equal(state, torch.random.get_rng_state())
    for name, value in recorder.model.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_search_that_would_take_too_long_is_left_out_and_says_so(flip_flop: Any) -> None:
    recorder = flip_flop[0]
    given = recorder.model, recorder.probe, recorder.inspection, 1
    assert read_fixed_points(*given, FixedPointParams(multiplications=0)).reason == LEFT_OUT
    assert "longer than the budget" in read_fixed_points(*given, FixedPointParams(multiplications=1e3)).reason
    one = read_fixed_points(*given, FixedPointParams(multiplications=3e7))
    assert one.inputs == ("the mean input",) and 12 <= one.starts < 256
    recorder.folder.write_record(read_fixed_points(*given, FixedPointParams(multiplications=0)))
    sample, last = display_sample(recorder.probe, SampleParams()), recorder.folder.checkpoint(1)
    missing = fixed_points(recorder.folder, recorder.probe, sample, last, Unavailable("projection", "none"))
    assert missing == Unavailable("fixed-points", LEFT_OUT)
    assert "no answer to a whole sequence" in read_integration(*given).reason


def test_a_net_that_is_too_large_is_refused_after_one_sequence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Visiting takes time that grows with its weights, and no budget bounds it before the size is known."""
    corpus, seen = evidence_corpus(2, 12), []
    for module in (search, integration):
        monkeypatch.setattr(module, "visit", lambda *given: seen.append(len(given[3])) or visit(*given))
    torch.manual_seed(0)
    recorder = Recorder(Counter(2), corpus, tmp_path / "run")
    given = recorder.model, recorder.probe, recorder.inspection, 1
    assert "longer than the budget" in read_fixed_points(*given, FixedPointParams(multiplications=1)).reason
    assert "longer than the budget" in read_integration(*given, IntegrationParams(multiplications=1)).reason
    assert seen == [1, 1]


@pytest.fixture(scope="module", params=[2, 3, 4])
def counted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Recorder, Any]:
    model, accuracy = trained_counter(request.param)
    assert accuracy >= 0.95
    path = tmp_path_factory.mktemp("counter") / "run"
    recorder = Recorder(model, evidence_corpus(request.param), path)
    recorder.record(1)
    recorder.folder.write_record(read_integration(model, recorder.probe, recorder.inspection, 1))
    return request.param, recorder, integration_test(recorder.folder, recorder.probe)


def test_evidence_for_k_classes_is_kept_in_k_minus_1_slow_dimensions(counted: Any) -> None:
    """Statement B2."""
    classes, _, found = counted
    assert isinstance(found, Integration)
    assert found.expected == classes - 1
    assert found.needed["trained"] == classes - 1
    assert found.share["trained"] >= 0.9
    assert found.needed["untrained"] > classes - 1
    assert found.extent["trained"] > 0.05 > found.extent["untrained"]
    assert found.participation["trained"] < found.participation["untrained"]
    assert found.overlap["trained"] > 0.5 > found.overlap["untrained"]
    assert found.holds
    assert f"Evidence for {classes} classes is kept on a slow manifold" in found.finding


def test_small_differences_along_a_counters_sequences_last(counted: Any) -> None:
    _, recorder, _ = counted
    recorder.folder.write_record(read_stretching(recorder.model, recorder.probe, recorder.inspection, 1))
    found = lyapunov_spectrum(recorder.folder)
    assert isinstance(found, Lyapunov)
    assert found.transient == 10 and found.steps == 30 * found.sequences
    assert (np.diff(found.exponents[:, 0]) <= 0).all()
    assert (found.exponents[:, 1] <= found.exponents[:, 0]).all() and (
        found.exponents[:, 0] <= found.exponents[:, 2]
    ).all()
    assert found.exponents[0, 0] > -0.1  # remembered for more than 10 steps


def test_variance_and_modes_are_counted() -> None:
    rng = np.random.default_rng(0)
    flat = (rng.normal(size=(500, 2)) * [2, 1] @ rng.normal(size=(2, 8))).astype(np.float32)
    shares = spectrum(flat)
    assert shares[1] == pytest.approx(1, abs=1e-6)
    assert shares[0] < 0.999
    assert persistent(np.array([[0.99, 1.02, 0.9, 0.5]] * 3), 20.0) == 2
    assert points_in_words(np.array([0] * 8 + [1] + [2, 2])) == "8 stable points, 1 saddle and 2 slow points"


def test_an_untrained_flip_flop_is_said_to_have_what_it_has(tmp_path: Path) -> None:
    torch.manual_seed(1)
    recorder = Recorder(FlipFlop().eval(), flip_flop_corpus(20, 12), tmp_path / "run")
    recorder.record(1)
    found = read_fixed_points(recorder.model, recorder.probe, recorder.inspection, 1)
    result = shown(recorder, found)
    assert result.titles[0].startswith("At the mean input the state has 1 stable point: ")
