"""On a GPU the same code gives the numbers of the CPU. Skipped where there is none, in CI too.

On a GPU torch runs all layers of a module at once, so those below the last are run again: tested without one too.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence

from rnnreport.capture.operations import SequenceOperation
from rnnreport.capture.recorder import Recorder
from rnnreport.capture.replay import EVERYTHING, replay
from rnnreport.capture.run import capture_run
from rnnreport.capture.stitching import stitch
from rnnreport.capture.watching import watched
from rnnreport.load.corpus import Corpus, load_corpus
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Checkpoint, StateKey

DEVICE = "cuda"
TOLERANCE = 1e-5

GPU = (pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"))

# torch says once per process that projections take its plain path on a CPU
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")


def on_gpu(test: Any) -> Any:
    for mark in GPU:
        test = mark(test)
    return test


@pytest.fixture(autouse=True)
def full_precision() -> Iterator[None]:
    """Products in float32 throughout; cuDNN rounds to TF32 by default."""
    backends = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [backend.allow_tf32 for backend in backends]
    for backend in backends:
        backend.allow_tf32 = False
    yield
    for backend, allowed in zip(backends, before, strict=True):
        backend.allow_tf32 = allowed


def states_of(module: nn.RNNBase, given: Any, steps: int) -> dict[StateKey, Tensor]:
    """Every state, cell and gate of one run, on the CPU, (B, T, H)."""
    with torch.no_grad(), watched(module) as seen:
        module(given)
    (call,) = stitch(seen.pieces, steps)
    found = replay(call, EVERYTHING)
    assert {values.device.type for values in found.values()} == {given.data.device.type}
    return {key: values.cpu() for key, values in found.items()}


@pytest.mark.parametrize("device", [pytest.param(DEVICE, marks=GPU), "cpu"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize(
    ("kind", "options"),
    [(nn.LSTM, {}), (nn.LSTM, {"proj_size": 4}), (nn.LSTM, {"bias": False}), (nn.GRU, {}), (nn.RNN, {})],
)
def test_states_cells_and_gates_are_those_of_the_cpu(
    kind: Any, options: dict[str, Any], layers: int, bidirectional: bool, packed: bool, device: str, monkeypatch: Any
) -> None:
    torch.manual_seed(0)
    module = kind(5, 7, layers, bidirectional=bidirectional, **options).eval()
    lengths = [6, 17, 11] if packed else [17, 17, 17]
    values = [torch.randn(length, 5) for length in lengths]
    given: Any = pack_sequence(values, enforce_sorted=False) if packed else torch.stack(values, dim=1)
    expected = states_of(module, given, 17)
    if device == "cpu":
        monkeypatch.setattr(SequenceOperation, "_layers_apart", lambda *_: False)
    found = states_of(deepcopy(module).to(device), given.to(device), 17)
    kinds = {nn.LSTM: "hcifgo", nn.GRU: "hrzn", nn.RNN: "h"}[kind]
    assert found.keys() == expected.keys()
    assert len(found) == len(kinds) * layers * (2 if bidirectional else 1)
    for key, states in expected.items():
        for sequence, length in enumerate(lengths):
            torch.testing.assert_close(found[key][sequence, :length], states[sequence, :length], rtol=0, atol=TOLERANCE)


@on_gpu
@pytest.mark.parametrize("cell", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_a_loop_over_cells(cell: Any) -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = cell(5, 7)

        def forward(self, inputs: Tensor) -> None:
            state = None
            for values in inputs:
                state = self.cell(values, state)

    torch.manual_seed(0)
    loop, inputs = Loop(), torch.randn(17, 3, 5)
    expected = states_of(loop, inputs, 17)  # type: ignore[arg-type]
    found = states_of(deepcopy(loop).to(DEVICE), inputs.to(DEVICE), 17)  # type: ignore[arg-type]
    assert found.keys() == expected.keys()
    for key, states in expected.items():
        torch.testing.assert_close(found[key], states, rtol=0, atol=TOLERANCE)


class Classifier(nn.Module):
    """Draws random numbers on its device in every pass, and keeps a buffer that counts the passes."""

    def __init__(self, cell: Any = nn.LSTM, words: int = 10) -> None:
        super().__init__()
        self.emb, self.rnn = nn.Embedding(words, 6), cell(6, 8, 2, batch_first=True)
        self.drop, self.norm, self.fc = nn.Dropout(0.3), nn.BatchNorm1d(8), nn.Linear(8, 2)
        self.register_buffer("passes", torch.zeros(1))

    def forward(self, tokens: Tensor) -> Tensor:
        self.passes += 1
        torch.rand(3, device=tokens.device)
        output: Tensor = self.fc(self.norm(self.drop(self.rnn(self.emb(tokens))[0][:, -1])))
        return output


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    rng = random.Random(0)
    rows = [f"{n % 2}\t{' '.join(rng.choice('abcdefgh') for _ in range(3 + n % 9))}\n" for n in range(60)]
    (tmp_path / "a.tsv").write_text("label\ttext\n" + "".join(rows))
    return load_corpus(tmp_path / "a.tsv")


def difference(one: Checkpoint, other: Checkpoint) -> float:
    """The largest of all numbers that are recorded."""
    assert one.states.keys() == other.states.keys()
    pairs = [(one.states[key], other.states[key]) for key in one.states]
    pairs += [(one.model_output, other.model_output), (one.step_output, other.step_output)]
    assert all(left.dtype == right.dtype == np.float32 and np.isfinite(left).all() for left, right in pairs)
    return max(float(np.abs(left - right).max()) for left, right in pairs)


@on_gpu
def test_recording_a_training_leaves_no_trace_and_gives_what_the_cpu_gives(corpus: Corpus, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Classifier().to(DEVICE)
    recorder = Recorder(model, corpus, tmp_path / "run")  # the probe set is in the memory of the CPU
    optimiser = torch.optim.Adam(model.parameters(), 0.01)
    tokens = torch.randint(10, (20, 7), device=DEVICE)
    for epoch in (1, 2):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(tokens), tokens[:, 0] % 2).backward()
        optimiser.step()
        names = [name for name, _ in [*model.named_parameters(), *model.named_buffers()]]
        before = [value.clone() for value in model.state_dict().values()]
        places = [value.data_ptr() for value in model.state_dict().values()]
        random_numbers = torch.cuda.get_rng_state(), torch.get_rng_state()
        recorder.record(epoch, loss=0.5)
        assert torch.equal(torch.cuda.get_rng_state(), random_numbers[0])
        assert torch.equal(torch.get_rng_state(), random_numbers[1])
        assert all(torch.equal(*pair) for pair in zip(model.state_dict().values(), before, strict=True))
        assert [value.data_ptr() for value in model.state_dict().values()] == places
        assert [name for name, _ in [*model.named_parameters(), *model.named_buffers()]] == names
        assert model.training
        on_cpu = Recorder(deepcopy(model).cpu(), corpus, tmp_path / "cpu")
        assert "the model's own head" in recorder.head and "the model's own head" in on_cpu.head
        assert difference(RunFolder(tmp_path / "run").checkpoint(epoch), on_cpu.capture(epoch)) < TOLERANCE


@on_gpu
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.03), (torch.float16, 0.004)])
@pytest.mark.parametrize("cell", [nn.LSTM, nn.GRU, nn.RNN])
def test_weights_in_half_precision(
    cell: Any, dtype: torch.dtype, tolerance: float, corpus: Corpus, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = Classifier(cell).to(DEVICE, dtype)
    found = Recorder(model, corpus, tmp_path / "run").capture(0)
    expected = Recorder(deepcopy(model).cpu().float(), corpus, tmp_path / "cpu").capture(0)
    for key, states in expected.states.items():
        assert found.states[key].dtype == np.float32
        np.testing.assert_allclose(found.states[key], states, atol=tolerance)
    np.testing.assert_allclose(found.model_output, expected.model_output, atol=tolerance)


@on_gpu
def test_an_autocast_around_the_recorder(corpus: Corpus, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Classifier().to(DEVICE)
    plain = Recorder(model, corpus, tmp_path / "run").capture(0)
    with torch.autocast(DEVICE, dtype=torch.float16):
        assert difference(Recorder(model, corpus, tmp_path / "run").capture(0), plain) < TOLERANCE


@on_gpu
def test_a_language_model_with_the_gpu_as_default_device(tmp_path: Path) -> None:
    class Language(nn.Module):
        def __init__(self, words: int) -> None:
            super().__init__()
            self.emb, self.rnn, self.out = nn.Embedding(words, 6), nn.GRU(6, 8), nn.Linear(8, words)

        def forward(self, tokens: Tensor) -> Tensor:
            output: Tensor = self.out(self.rnn(self.emb(tokens))[0])
            return output

    rng = random.Random(0)
    (tmp_path / "a.txt").write_text(" ".join(rng.choice("abcdefgh") for _ in range(150)))
    corpus = load_corpus(tmp_path / "a.txt", sequence_length=16)
    torch.manual_seed(0)
    model = Language(len(corpus.vocabulary))
    expected = Recorder(model, corpus, tmp_path / "run").capture(0)
    with torch.device(DEVICE):
        found = Recorder(model.to(DEVICE), corpus, tmp_path / "run").capture(0)
    np.testing.assert_allclose(found.states["rnn.0.fwd.h"], expected.states["rnn.0.fwd.h"], atol=TOLERANCE)
    np.testing.assert_allclose(found.surprisal, expected.surprisal, atol=TOLERANCE)
    np.testing.assert_allclose(found.top_probabilities, expected.top_probabilities, atol=TOLERANCE)


@on_gpu
def test_streamed_responses(corpus: Corpus, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, results = Classifier(), []
    for device in ("cpu", DEVICE):
        folder = RunFolder(tmp_path / f"on {device}")
        capture_run(model.to(device), corpus, folder, name="n", source="s", weights=None, max_steps=60)
        results.append([folder.corpus_responses(scope) for scope in range(4)])
    for one, other in zip(*results, strict=True):
        assert one is not None and other is not None and one.scope == other.scope
        np.testing.assert_array_equal(one.counts, other.counts)
        for name in ("mean", "bands", "explained"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=TOLERANCE)
        np.testing.assert_allclose(one.kept_rate, other.kept_rate, atol=1e-3)  # in bins of 0.0005
