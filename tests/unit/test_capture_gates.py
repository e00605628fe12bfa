"""Gates on the probe set, as they are stored beside the states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from rnnreport.capture.recorder import Recorder
from rnnreport.capture.run import capture_run
from rnnreport.errors import InputError, RecordingWarning
from rnnreport.load.corpus import Corpus, load_corpus
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Floats, Gates

torch.set_num_threads(1)


class Reader(nn.Module):
    def __init__(self, kind: type[nn.RNNBase], words: int, both: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, 4)
        self.rnn = kind(4, 9, 2, batch_first=True, bidirectional=both)  # type: ignore[call-arg]
        self.head = nn.Linear(18 if both else 9, 2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.rnn(self.embedding(tokens))[0][:, -1])
        return scores


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    generator = np.random.default_rng(0)
    rows = [
        f"{' '.join(generator.choice(list('abcdefg'), generator.integers(1, 12)))}\t{'yn'[row % 2]}"
        for row in range(40)
    ]
    (tmp_path / "texts.tsv").write_text("\n".join(["text\tlabel", *rows]) + "\n")
    return load_corpus(tmp_path / "texts.tsv")


def recomputed(kind: type[nn.RNNBase], state: Floats, gate: dict[str, Floats]) -> Floats:
    """States (T, H) of one sequence, in the order in which it was read, from its gates."""
    if kind is nn.GRU:
        previous = np.concatenate([np.zeros((1, 9), np.float32), state[:-1]])
        return (1 - gate["z"]) * gate["n"] + gate["z"] * previous
    cell, rows = np.zeros(9, np.float32), []
    for step in range(len(state)):
        cell = gate["f"][step] * cell + gate["i"][step] * gate["g"][step]
        rows.append(gate["o"][step] * np.tanh(cell))
    return np.stack(rows)


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_stored_states_follow_from_the_stored_gates(
    kind: type[nn.RNNBase], both: bool, corpus: Corpus, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    folder = RunFolder(tmp_path / "run")
    model = Reader(kind, len(corpus.vocabulary), both)
    capture_run(model, corpus, folder, name="n", source="s", weights=None, budget="quick")
    gates, states, probe = folder.record(Gates), folder.checkpoint(0).states, folder.probe()
    assert gates is not None and gates.epoch == 0
    directions = ["fwd", "rev"] if both else ["fwd"]
    layers = [f"rnn.{layer}.{direction}" for layer in range(2) for direction in directions]
    kinds = "ifgo" if kind is nn.LSTM else "rzn"
    assert set(gates.values) == {f"{layer}.{kind}" for layer in layers for kind in kinds}
    for layer in layers:
        order = -1 if layer.endswith("rev") else 1
        for start, stop in zip(probe.offsets[:-1], probe.offsets[1:], strict=True):
            own = {kind: gates.values[f"{layer}.{kind}"][start:stop][::order] for kind in kinds}
            state = states[f"{layer}.h"][start:stop][::order]
            np.testing.assert_allclose(recomputed(kind, state, own), state, rtol=0, atol=1e-6)


def test_a_plain_rnn_has_no_gates(corpus: Corpus, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    model = Reader(nn.RNN, len(corpus.vocabulary))
    capture_run(model, corpus, folder, name="n", source="s", weights=None, budget="quick")
    assert folder.record(Gates) is None
    assert not list(folder.path.glob("gates*"))


def test_gates_are_those_of_the_last_epoch_or_none(corpus: Corpus, tmp_path: Path) -> None:
    model = Reader(nn.GRU, len(corpus.vocabulary)).train()
    recorder = Recorder(model, corpus, tmp_path / "run")
    before = [parameter.clone() for parameter in model.parameters()]
    with pytest.warns(RecordingWarning, match="the gates of epoch 0 are not recorded: epoch 0 is not the last one"):
        recorder.gates(0)
    recorder.epoch(0, loss=1.0)
    assert recorder.folder.record(Gates) is None
    recorder.gates(0)
    found = recorder.folder.record(Gates)
    assert found is not None and found.epoch == 0
    assert model.training and all(torch.equal(*pair) for pair in zip(before, model.parameters(), strict=True))
    recorder.epoch(1, loss=0.5)
    assert recorder.folder.record(Gates) is None
    with pytest.raises(InputError, match="epoch 0 is not the last one recorded"):
        recorder.record_gates(0)
    recorder.gates(1)
    found = recorder.folder.record(Gates)
    assert found is not None and found.epoch == 1


def test_named_states_are_no_gates(corpus: Corpus, tmp_path: Path) -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.part = nn.Embedding(len(corpus.vocabulary), 4), nn.Linear(4, 5)
            self.head = nn.Linear(5, 2)

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            scores: torch.Tensor = self.head(self.part(self.embedding(tokens)).cumsum(1)[:, -1])
            return scores

    folder = RunFolder(tmp_path / "run")
    capture_run(Own(), corpus, folder, name="n", source="s", weights=None, layers=["part:i"], max_steps=60)
    assert folder.manifest().state_keys == ("part.0.fwd.i",)
    assert folder.record(Gates) is None
    responses = folder.corpus_responses(0)
    assert responses is not None and np.isfinite(responses.kept_rate).all()
    assert folder.corpus_gates() == []
