"""How states depend on inputs, against torch.autograd.functional.jacobian on the net alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnreport.capture.probe import hash_order
from rnnreport.capture.recorder import Recorder
from rnnreport.capture.run import record_once
from rnnreport.capture.salience import SalienceParams, read_salience
from rnnreport.load.corpus import Corpus, load_corpus
from rnnreport.results.recorded import Floats, Salience, StateKey

torch.set_num_threads(1)

UNITS = 5


class Pair(nn.Module):
    """Two class scores of states of any width."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2))

    def forward(self, states: Tensor) -> Tensor:
        return states[..., :2] * self.weight


class Reader(nn.Module):
    """An embedding, a recurrent layer of torch's, and a head on the last state; how they are called varies."""

    def __init__(self, kind: type[nn.RNNBase], words: int, **options: object) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, 3)
        self.rnn = kind(3, UNITS, batch_first=True, **options)  # type: ignore[arg-type]
        self.head = Pair()

    def forward(self, tokens: Tensor) -> Tensor:
        scores: Tensor = self.head(self.rnn(self.embedding(tokens))[0][:, -1])
        return scores


class Packed(Reader):
    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:  # type: ignore[override]
        packed = pack_padded_sequence(self.embedding(tokens), lengths, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
        scores: Tensor = self.head(states[:, -1])
        return scores


class InPlace(Reader):
    """Scales what the embedding gives in place, as a leaf must not be."""

    def forward(self, tokens: Tensor) -> Tensor:
        inputs = self.embedding(tokens)
        inputs *= 2.0
        scores: Tensor = self.head(self.rnn(inputs)[0][:, -1])
        return scores


class TimeFirst(Reader):
    def __init__(self, kind: type[nn.RNNBase], words: int) -> None:
        super().__init__(kind, words)
        self.rnn.batch_first = False

    def forward(self, tokens: Tensor) -> Tensor:
        scores: Tensor = self.head(self.rnn(self.embedding(tokens))[0][-1])
        return scores


class Loop(nn.Module):
    """A cell in a loop that embeds one token at a time."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.embedding, self.cell, self.head = nn.Embedding(words, 3), nn.GRUCell(3, UNITS), nn.Linear(UNITS, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        state = torch.zeros(len(tokens), UNITS)
        for t in range(tokens.shape[1]):
            state = self.cell(self.embedding(tokens[:, t]), state)
        scores: Tensor = self.head(state)
        return scores


class OwnCell(nn.Module):
    """A cell that is none of torch's, recorded by the name of its layer."""

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.given, self.kept = nn.Linear(3, UNITS), nn.Linear(UNITS, UNITS)

        def forward(self, inputs: Tensor) -> Tensor:
            state, states = torch.zeros(len(inputs), UNITS), []
            for t in range(inputs.shape[1]):
                state = 0.5 * state + torch.sin(self.given(inputs[:, t]) + self.kept(state))
                states.append(state)
            return torch.stack(states, dim=1)

    def __init__(self, words: int) -> None:
        super().__init__()
        self.embedding, self.layer, self.head = nn.Embedding(words, 3), self.Layer(), nn.Linear(UNITS, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        scores: Tensor = self.head(self.layer(self.embedding(tokens))[:, -1])
        return scores


class OneHot(nn.Module):
    def __init__(self, words: int) -> None:
        super().__init__()
        self.words, self.rnn, self.head = words, nn.GRU(words, UNITS, batch_first=True), nn.Linear(UNITS, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        scores: Tensor = self.head(self.rnn(nn.functional.one_hot(tokens, self.words).float())[0][:, -1])
        return scores


class Frozen(Reader):
    def forward(self, tokens: Tensor) -> Tensor:
        with torch.no_grad():
            states = self.rnn(self.embedding(tokens))[0]
        scores: Tensor = self.head(states[:, -1])
        return scores


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    generator = np.random.default_rng(0)
    rows = [
        f"{' '.join(generator.choice(list('abcdefg'), generator.integers(1, 9)))}\t{'yn'[row % 2]}" for row in range(30)
    ]
    (tmp_path / "texts.tsv").write_text("\n".join(["text\tlabel", *rows]) + "\n")
    return load_corpus(tmp_path / "texts.tsv")


def salience(
    model: nn.Module,
    corpus: Corpus,
    folder: Path,
    params: SalienceParams | None = None,
    kind: str = "h",
    layers: Sequence[str] = (),
) -> Salience:
    """Of the model, which must be left as it was."""
    recorder = Recorder(model, corpus, folder / "run", layers=layers)
    checkpoint, inspection = recorder.capture(3), recorder.inspection
    default = next(iter(inspection.widths))
    if default.kind != kind and not layers:
        key = replace(default, kind=kind)
        inspection = replace(inspection, widths={key: inspection.widths[key]})
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.random.get_rng_state()
    found = read_salience(model, recorder.probe, inspection, checkpoint, params)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(value.grad is None and value.requires_grad for value in model.parameters())
    assert torch.equal(torch.random.get_rng_state(), random) and model.training
    assert not any(module._forward_hooks for module in model.modules())
    return found


def blocks(found: Salience) -> list[Floats]:
    parts = np.split(found.norms, np.cumsum(found.lengths.astype(np.int64) ** 2)[:-1])
    return [part.reshape(length, length) for part, length in zip(parts, found.lengths, strict=True)]


def check(
    found: Salience, corpus: Corpus, states: Callable[[Tensor], Tensor], embed: Callable[[Tensor], Tensor]
) -> None:
    """Compare every sequence with the Jacobian of ``states``, from inputs (T, D) to (T, H)."""
    assert (found.reason, found.epoch) == ("", 3)
    assert found.sequences.tolist() == hash_order(corpus.sequence_ids)[:24]
    for place, norms in zip(found.sequences, blocks(found), strict=True):
        inputs = embed(torch.from_numpy(np.asarray(corpus.inputs[place])))
        jacobian: Tensor = torch.autograd.functional.jacobian(states, inputs.detach())  # type: ignore[no-untyped-call]
        np.testing.assert_allclose(norms, jacobian.square().sum(dim=(1, 3)).sqrt().numpy(), rtol=1e-4, atol=1e-6)


def outputs(rnn: nn.RNNBase) -> Callable[[Tensor], Tensor]:
    """The states (T, H) of the last layer, forward, of inputs (T, D)."""
    return lambda inputs: rnn(inputs[None])[0][0, :, : rnn.proj_size or rnn.hidden_size]


def test_every_recorded_state_is_differentiated(corpus: Corpus, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Reader(nn.LSTM, len(corpus.vocabulary), num_layers=2)
    recorder = Recorder(model, corpus, tmp_path / "run")
    recorder.record(3)
    record_once(recorder, 3)
    keys = recorder.state_keys
    assert [(key.layer, key.kind) for key in keys] == [(1, "h"), (1, "c"), (0, "h"), (0, "c")]

    def run(inputs: Tensor, key: StateKey) -> Tensor:
        state, found = None, []
        for step in inputs:
            _, state = model.rnn(step[None, None], state)
            found.append(state[key.kind == "c"][key.layer, 0])
        return torch.stack(found)

    for number, key in enumerate(keys):
        found = recorder.folder.salience(number)
        assert found is not None and (found.scope, found.reason, found.units) == (str(key), "", UNITS)
        assert found.sequences.tolist() == hash_order(corpus.sequence_ids)[: 8 if number else 24]
        for place, norms in list(zip(found.sequences, blocks(found), strict=True))[:3]:
            inputs = model.embedding(torch.from_numpy(np.asarray(corpus.inputs[place]))).detach()
            jacobian = torch.autograd.functional.jacobian(lambda values, key=key: run(values, key), inputs)
            np.testing.assert_allclose(norms, jacobian.square().sum(dim=(1, 3)).sqrt(), rtol=1e-4, atol=1e-6)


def cells(lstm: nn.RNNBase) -> Callable[[Tensor], Tensor]:
    """The cells (T, H) of the last layer, of inputs (T, D) read one by one."""

    def run(inputs: Tensor) -> Tensor:
        state, found = None, []
        for step in inputs:
            _, state = lstm(step[None, None], state)
            found.append(state[1][-1, 0])
        return torch.stack(found)

    return run


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (nn.GRU, {}),
        (nn.GRU, {"num_layers": 2}),
        (nn.GRU, {"bias": False}),
        (nn.RNN, {}),
        (nn.RNN, {"nonlinearity": "relu"}),
        (nn.GRU, {"bidirectional": True}),
        (nn.GRU, {"num_layers": 2, "bidirectional": True}),
    ],
)
@pytest.mark.parametrize("shape", [Reader, Packed])
def test_states_of_torch_layers(
    kind: type[nn.RNNBase], options: dict[str, object], shape: type[Reader], corpus: Corpus, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = shape(kind, len(corpus.vocabulary), **options)
    found = salience(model, corpus, tmp_path)
    check(found, corpus, outputs(model.rnn), model.embedding)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("options", [{}, {"num_layers": 2}, {"proj_size": 2}])
@pytest.mark.parametrize("kind", ["h", "c"])
def test_states_and_cells_of_an_lstm(kind: str, options: dict[str, int], corpus: Corpus, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Reader(nn.LSTM, len(corpus.vocabulary), **options)
    found = salience(model, corpus, tmp_path, kind=kind)
    assert found.scope == f"rnn.{options.get('num_layers', 1) - 1}.fwd.{kind}"
    check(found, corpus, cells(model.rnn) if kind == "c" else outputs(model.rnn), model.embedding)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_time_first(kind: type[nn.RNNBase], corpus: Corpus, tmp_path: Path) -> None:
    model = TimeFirst(kind, len(corpus.vocabulary))
    check(
        salience(model, corpus, tmp_path), corpus, lambda inputs: model.rnn(inputs[:, None])[0][:, 0], model.embedding
    )


def test_inputs_may_be_changed_in_place(corpus: Corpus, tmp_path: Path) -> None:
    model = InPlace(nn.GRU, len(corpus.vocabulary))
    check(salience(model, corpus, tmp_path), corpus, lambda inputs: model.rnn(2 * inputs[None])[0][0], model.embedding)


def test_a_loop_over_cells_that_embeds_each_token(corpus: Corpus, tmp_path: Path) -> None:
    model = Loop(len(corpus.vocabulary))

    def states(inputs: Tensor) -> Tensor:
        found = [torch.zeros(1, UNITS)]
        for step in inputs:
            found.append(model.cell(step[None], found[-1]))
        return torch.cat(found[1:])

    check(salience(model, corpus, tmp_path), corpus, states, model.embedding)


def test_a_cell_that_is_none_of_torch(corpus: Corpus, tmp_path: Path) -> None:
    model = OwnCell(len(corpus.vocabulary))
    found = salience(model, corpus, tmp_path, layers=["layer"])
    check(found, corpus, lambda inputs: model.layer(inputs[None])[0], model.embedding)


def test_values_need_no_embedding(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    np.savez(tmp_path / "series.npz", X=generator.normal(size=(6, 7, 2)), y=np.arange(6) % 2)
    corpus = load_corpus(tmp_path / "series.npz")

    class Series(Reader):
        def __init__(self) -> None:
            super().__init__(nn.GRU, 1)
            self.embedding = nn.Identity()  # type: ignore[assignment]
            self.rnn = nn.GRU(2, UNITS, batch_first=True)

    model = Series()
    found = salience(model, corpus, tmp_path)
    assert len(found.sequences) == 6
    for place, norms in zip(found.sequences, blocks(found), strict=True):
        jacobian: Tensor = torch.autograd.functional.jacobian(  # type: ignore[no-untyped-call]
            outputs(model.rnn), torch.from_numpy(corpus.inputs[place])
        )
        np.testing.assert_allclose(norms, jacobian.square().sum(dim=(1, 3)).sqrt().numpy(), rtol=1e-4, atol=1e-6)


def test_long_sequences_are_read_from_their_beginning(corpus: Corpus, tmp_path: Path) -> None:
    model = Reader(nn.GRU, len(corpus.vocabulary))
    whole, cut = (salience(model, corpus, tmp_path, SalienceParams(steps=steps)) for steps in (64, 4))
    assert max(whole.lengths) == 8 and max(cut.lengths) == 4
    for full, part in zip(blocks(whole), blocks(cut), strict=True):
        np.testing.assert_allclose(part, full[:4, :4], rtol=1e-4, atol=1e-7)


def test_a_state_that_knows_what_follows_is_not_read_from_a_beginning(corpus: Corpus, tmp_path: Path) -> None:
    model = Reader(nn.GRU, len(corpus.vocabulary), num_layers=2, bidirectional=True)
    found = salience(model, corpus, tmp_path, SalienceParams(steps=4))
    lengths = [len(corpus.inputs[place]) for place in hash_order(corpus.sequence_ids)[:24]]
    assert max(found.lengths) == 4 and len(found.lengths) == sum(length <= 4 for length in lengths) < 24


def test_a_wide_state_is_estimated_within_the_stated_error(corpus: Corpus, tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = Reader(nn.GRU, len(corpus.vocabulary))
    model.rnn = nn.GRU(3, 60, batch_first=True)
    exact = salience(model, corpus, tmp_path)
    errors = []
    for seed in range(5):
        found = salience(model, corpus, tmp_path, SalienceParams(exact=59, directions=16, seed=seed))
        assert (exact.directions, found.directions, found.units) == (60, 16, 60)
        known = exact.norms > 1e-6
        errors.append((found.norms[known] / exact.norms[known]) ** 2 - 1)
    assert abs(np.mean(errors)) < 0.1  # of the squares, which are estimated without bias
    assert np.std(errors) / 2 <= 1 / np.sqrt(2 * 16)


def test_outputs_of_large_vocabularies_are_made_in_parts(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Reader(nn.GRU, len(corpus.vocabulary))
    whole = salience(model, corpus, tmp_path)
    monkeypatch.setattr("rnnreport.capture.salience.step_budget", lambda probe: 24)
    np.testing.assert_allclose(salience(model, corpus, tmp_path).norms, whole.norms, rtol=1e-5, atol=1e-8)


def test_a_large_model_is_read_as_far_as_it_fits(corpus: Corpus, tmp_path: Path) -> None:
    model = Reader(nn.GRU, len(corpus.vocabulary))
    whole = salience(model, corpus, tmp_path)
    weights = sum(each.numel() for name, each in model.named_parameters() if name != "embedding.weight")
    fits = int(whole.lengths[0]) - 1
    assert fits > 2
    budget = UNITS * weights * (fits + 0.5) ** 2
    found = salience(model, corpus, tmp_path, SalienceParams(least=2, multiplications=budget))
    assert found.lengths.tolist() == [fits]
    np.testing.assert_allclose(blocks(found)[0], blocks(whole)[0][:fits, :fits], rtol=1e-4, atol=1e-7)
    refused = salience(model, corpus, tmp_path, SalienceParams(least=fits + 1, multiplications=budget))
    assert "so large" in refused.reason


@pytest.mark.parametrize(
    ("model", "options", "reason"),
    [
        (OneHot, {}, "no embedding"),
        (lambda words: Frozen(nn.GRU, words), {}, "without a gradient"),
        (lambda words: Reader(nn.GRU, words), {"params": SalienceParams(multiplications=10)}, "so large"),
    ],
)
def test_what_is_missing_is_said(
    model: Callable[[int], nn.Module], options: dict[str, SalienceParams], reason: str, corpus: Corpus, tmp_path: Path
) -> None:
    found = salience(model(len(corpus.vocabulary)), corpus, tmp_path, **options)
    assert reason in found.reason
    assert not found.sequences.size and not found.norms.size
