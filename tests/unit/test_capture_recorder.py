"""Recording: the model is left untouched, and what is written is what the model says."""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss
from torch import Tensor, nn

from rnnreport.capture.probe import make_probe, probe_sha256
from rnnreport.capture.recorder import Recorder
from rnnreport.capture.run import capture_run, epochs_of
from rnnreport.capture.scores import evaluate
from rnnreport.errors import InputError
from rnnreport.load.corpus import Corpus, load_corpus
from rnnreport.load.files import sha256_of
from rnnreport.load.weights import load_weights
from rnnreport.results.folder import RunFolder

torch.set_num_threads(1)


class Classifier(nn.Module):
    def __init__(self, vocabulary: int, classes: int, cell: Any = nn.LSTM, features: int = 0, **options: Any) -> None:
        super().__init__()
        self.emb: nn.Module = nn.Identity() if features else nn.Embedding(vocabulary, 7)
        self.rnn = cell(features or 7, 9, batch_first=True, **options)
        self.drop = nn.Dropout(0.5)
        self.norm = nn.BatchNorm1d(9)
        self.fc = nn.Linear(9, classes)
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, inputs: Tensor) -> Tensor:
        self.calls += 1
        torch.rand(1)
        random.random()
        np.random.rand()
        states: Tensor = self.rnn(self.emb(inputs))[0]
        output: Tensor = self.fc(self.drop(self.norm(states[:, -1])))
        return output


class Language(nn.Module):
    def __init__(self, vocabulary: int, link: Any = None) -> None:
        super().__init__()
        self.emb = nn.Embedding(vocabulary, 8)
        self.rnn = nn.LSTM(8, 10, 2)
        self.out = nn.Linear(10, vocabulary)
        self.link = link

    def forward(self, tokens: Tensor) -> Tensor:
        output: Tensor = self.out(self.rnn(self.emb(tokens))[0])
        return output if self.link is None else self.link(output)


def text_corpus(folder: Path, rows: int = 60) -> Corpus:
    rng = random.Random(0)
    lines = [f"{n % 2}\t{' '.join(rng.choice('abcdefgh') for _ in range(rng.randint(1, 9)))}\n" for n in range(rows)]
    (folder / "a.tsv").write_text("label\ttext\n" + "".join(lines))
    return load_corpus(folder / "a.tsv")


def language_corpus(folder: Path) -> Corpus:
    rng = random.Random(0)
    (folder / "a.txt").write_text(" ".join(rng.choice("abcdefgh") for _ in range(150)))
    return load_corpus(folder / "a.txt", sequence_length=16)


def start(model: nn.Module, corpus: Corpus, folder: Path, **options: Any) -> Recorder:
    return Recorder(model, corpus, folder, name="run", source="here:Net", seed=3, command="test", **options)


def picture(model: nn.Module) -> list[Any]:
    """Everything about a model and the random generators that a recording must not change."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_forward_hooks_with_kwargs", "_forward_pre_hooks_with_kwargs")
    return [
        [(name, value.clone(), value.data_ptr()) for name, value in model.state_dict().items()],
        [(name, parameter.requires_grad, parameter.grad) for name, parameter in model.named_parameters()],
        [(name, module.training) for name, module in model.named_modules()],
        [dict(getattr(module, hook)) for module in model.modules() for hook in hooks],
        torch.get_rng_state(),
        random.getstate(),
        [part.tolist() if isinstance(part, np.ndarray) else part for part in np.random.get_state()],
    ]


def same(left: Any, right: Any) -> bool:
    if isinstance(left, Tensor):
        return torch.equal(left, right)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(same(*pair) for pair in zip(left, right, strict=True))
    return bool(left == right)


def test_a_recording_leaves_no_trace(tmp_path: Path) -> None:
    torch.manual_seed(0)
    corpus = text_corpus(tmp_path)
    model = Classifier(len(corpus.vocabulary), 2)
    model.train()
    model.drop.eval()  # a mode of its own
    model.emb.requires_grad_(False)
    before = picture(model)
    recorder = start(model, corpus, tmp_path / "run")
    recorder.record(0)
    assert same(before, picture(model))
    model.rnn.weight_hh_l0.grad = torch.ones_like(model.rnn.weight_hh_l0)
    model(torch.zeros(3, 4, dtype=torch.int64)).sum().backward()


def test_nothing_is_left_when_the_model_fails(tmp_path: Path) -> None:
    corpus = text_corpus(tmp_path)
    model = Classifier(3, 2).train()
    before = picture(model)
    with pytest.raises(InputError, match="index out of range"):
        start(model, corpus, tmp_path / "run")
    assert same(before, picture(model))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("batch_size", [1, 64])
def test_states_follow_the_probe_set_whatever_the_batches(batch_size: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    corpus = text_corpus(tmp_path)
    model, probe = Classifier(len(corpus.vocabulary), 2, nn.GRU, num_layers=2), make_probe(corpus)
    recorder = Recorder(model, probe, tmp_path, batch_size=batch_size)
    assert [str(key) for key in recorder.state_keys] == ["rnn.1.fwd.h", "rnn.0.fwd.h"]
    states = recorder.capture(0).states["rnn.1.fwd.h"]
    model.eval()
    for number, tokens in enumerate(corpus.inputs):
        with torch.no_grad():
            expected = model.rnn(model.emb(torch.from_numpy(tokens.astype(np.int64))[None]))[0][0]
        rows = states[probe.offsets[number] : probe.offsets[number + 1]]
        np.testing.assert_allclose(rows, expected.numpy(), atol=1e-6)


def test_default_state_of_a_bidirectional_lstm_comes_first(tmp_path: Path) -> None:
    corpus = text_corpus(tmp_path)
    model = Classifier(len(corpus.vocabulary), 2, bidirectional=True, num_layers=2)
    model.norm, model.fc = nn.BatchNorm1d(18), nn.Linear(18, 2)
    keys = [str(key) for key in Recorder(model, make_probe(corpus), tmp_path).state_keys]
    assert keys[:2] == ["rnn.1.fwd.h", "rnn.1.fwd.c"]
    assert len(keys) == len(set(keys)) == 8


def test_manifest_and_metrics(tmp_path: Path) -> None:
    torch.manual_seed(0)
    corpus = text_corpus(tmp_path)
    model = Classifier(len(corpus.vocabulary), 2)
    recorder = start(model, corpus, tmp_path / "run")
    recorder.record(0, loss=0.7)
    recorder.record(5, loss=0.5, accuracy=0.75)
    folder = RunFolder.open(tmp_path / "run")
    manifest = folder.manifest()
    assert manifest.model == {
        "cell": "LSTM",
        "layers": 1,
        "units": 9,
        "bidirectional": False,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "source": "here:Net",
        "weights_sha256": "",
    }
    assert manifest.corpus["sequences"] == 60
    assert manifest.state_keys == ("rnn.0.fwd.h", "rnn.0.fwd.c")
    assert manifest.probe_sha256 == probe_sha256(folder.probe())
    assert manifest.versions["torch"] == torch.__version__
    assert "“norm” then “fc”" in manifest.head
    assert folder.epochs() == [0, 5]
    lines = folder.metrics()
    assert [(line["epoch"], line["loss"]) for line in lines] == [(0, 0.7), (5, 0.5)]
    assert 0 <= lines[0]["wall_s"] <= lines[1]["wall_s"]
    checkpoint = folder.checkpoint(5)
    assert all(states.shape == (folder.probe().lengths.sum(), 9) for states in checkpoint.states.values())


@pytest.mark.parametrize("link", [None, lambda z: z.log_softmax(-1), lambda z: z.softmax(-1)])
def test_language_model_surprisal_and_top_tokens(link: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    corpus = language_corpus(tmp_path)
    model, probe = Language(len(corpus.vocabulary), link), make_probe(corpus)
    checkpoint = Recorder(model, probe, tmp_path).capture(0)
    model.link = None
    stream = torch.from_numpy(np.concatenate(corpus.inputs).astype(np.int64))
    surprisal, best = [], []
    for piece in stream.split(16):
        with torch.no_grad():
            logits = model(piece[:, None])[:, 0]
        best.append(logits.softmax(-1).sort(descending=True))
        surprisal.append(logits)
    expected = nn.functional.cross_entropy(torch.cat(surprisal)[:-1], stream[1:], reduction="none")
    np.testing.assert_allclose(checkpoint.surprisal[:-1], expected.numpy(), atol=1e-5)
    assert np.isnan(checkpoint.surprisal[-1])
    probabilities = torch.cat([sorted_.values[:, :5] for sorted_ in best])
    np.testing.assert_allclose(checkpoint.top_probabilities, probabilities.numpy(), atol=1e-6)
    np.testing.assert_array_equal(
        checkpoint.top_tokens, torch.cat([sorted_.indices[:, :5] for sorted_ in best]).numpy()
    )
    measured = evaluate(checkpoint, probe)
    assert measured["cross_entropy"] == pytest.approx(float(expected.mean()), abs=1e-5)
    right = torch.cat(surprisal)[:-1].argmax(1) == stream[1:]
    assert measured["accuracy"] == pytest.approx(float(right.double().mean()))


def test_fewer_than_five_tokens_leave_places_empty(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a b a a b")
    corpus = load_corpus(tmp_path / "a.txt")
    checkpoint = Recorder(Language(4), make_probe(corpus), tmp_path).capture(0)
    assert (checkpoint.top_tokens[:, 4] == -1).all()
    assert (checkpoint.top_probabilities[:, 4] == 0).all()
    with pytest.raises(InputError, match="the model has 9 outputs, the vocabulary 4 tokens"):
        Recorder(Language(9), make_probe(corpus), tmp_path).capture(0)


def test_unlabelled_series_have_states_only(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", values=np.random.default_rng(0).normal(size=(9, 2)), length=[4, 5])
    corpus = load_corpus(tmp_path / "a.npz")
    recorder = start(nn.GRU(2, 3, batch_first=True), corpus, tmp_path / "run")
    recorder.record(0)
    checkpoint = RunFolder.open(tmp_path / "run").checkpoint(0)
    assert checkpoint.states["model.0.fwd.h"].shape == (9, 3)
    assert checkpoint.model_output.shape == checkpoint.step_output.shape == (0, 0)
    assert recorder.head == "There is no expected prediction: the corpus has no labels."
    assert evaluate(checkpoint, recorder.probe) == {}


def test_diverged_states_are_recorded_as_they_are(tmp_path: Path) -> None:
    torch.manual_seed(0)
    corpus = text_corpus(tmp_path)
    model = Classifier(len(corpus.vocabulary), 2)
    recorder = start(model, corpus, tmp_path / "run")
    model.rnn.weight_hh_l0.data.fill_(torch.nan)
    checkpoint = recorder.capture(1)
    assert np.isnan(checkpoint.states["rnn.0.fwd.h"]).any()
    assert evaluate(checkpoint, recorder.probe)["accuracy"] == 0
    recorder.record(1)
    assert RunFolder.open(tmp_path / "run").metrics()[0]["cross_entropy"] is None


def test_evaluation_against_scikit_learn(tmp_path: Path) -> None:
    torch.manual_seed(0)
    corpus = text_corpus(tmp_path)
    probe = make_probe(corpus)
    checkpoint = Recorder(Classifier(len(corpus.vocabulary), 2), probe, tmp_path).capture(0)
    measured = evaluate(checkpoint, probe)
    assert measured["accuracy"] == accuracy_score(probe.labels, checkpoint.model_output.argmax(1))
    assert measured["cross_entropy"] == pytest.approx(log_loss(probe.labels, checkpoint.model_output))


def test_checkpoints_become_epochs(tmp_path: Path) -> None:
    torch.manual_seed(0)
    corpus = text_corpus(tmp_path)
    nets = {epoch: Classifier(len(corpus.vocabulary), 2) for epoch in (2, 10)}
    files = [tmp_path / f"gru2_epoch{epoch}.pt" for epoch in (10, 2)]
    for epoch, net in nets.items():
        torch.save({"state_dict": net.state_dict()}, tmp_path / f"gru2_epoch{epoch}.pt")
    model = Classifier(len(corpus.vocabulary), 2)
    folder = RunFolder(tmp_path / "run")
    capture_run(model, corpus, folder, name="n", source="s", weights=None, checkpoints=files)
    assert folder.epochs() == [2, 10]
    assert folder.manifest().model["weights_sha256"] == sha256_of(files[0])
    for line in folder.metrics():
        fresh = Classifier(len(corpus.vocabulary), 2)
        load_weights(fresh, tmp_path / f"gru2_epoch{line['epoch']}.pt")
        expected = evaluate(Recorder(fresh, folder.probe(), tmp_path).capture(0), folder.probe())
        assert line["accuracy"] == expected["accuracy"]
        assert line["cross_entropy"] == pytest.approx(expected["cross_entropy"])


def test_epochs_of_file_names() -> None:
    paths = [Path("b/e-3.pt"), Path("v2/e-1.ckpt.pt"), Path("e12.safetensors")]
    assert epochs_of(paths) == [(1, paths[1]), (3, paths[0]), (12, paths[2])]
    unnumbered = [Path("last.pt"), Path("best1.pt")]
    assert epochs_of(unnumbered) == [(0, unnumbered[0]), (1, unnumbered[1])]
    with pytest.raises(InputError, match="both of epoch 3"):
        epochs_of([Path("a3.pt"), Path("b03.pt")])


def test_same_model_and_corpus_give_the_same_bytes(tmp_path: Path) -> None:
    corpus = language_corpus(tmp_path)
    found = []
    for name in ("one", "two"):
        torch.manual_seed(0)
        folder = RunFolder(tmp_path / name)
        capture_run(Language(len(corpus.vocabulary)), corpus, folder, name="n", source="s", weights=None)
        files = sorted(path for path in folder.path.rglob("*") if path.is_file() and path.name != "metrics.jsonl")
        found.append([(path.relative_to(folder.path), path.read_bytes()) for path in files])
    assert found[0] == found[1]


@pytest.mark.corpus
def test_real_vowels_learnt_a_little(data_folder: Path, tmp_path: Path) -> None:
    """A GRU trained for some steps on real series; accuracy and outputs equal the model's own, sequence by sequence."""
    torch.manual_seed(0)
    corpus = load_corpus(data_folder / "japanese_vowels" / "japanese_vowels.npz")
    model = Classifier(0, 9, nn.GRU, features=12)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    lengths = Counter(len(values) for values in corpus.inputs)
    for _ in range(2):
        for length in sorted(lengths):
            places = [n for n, values in enumerate(corpus.inputs) if len(values) == length]
            if len(places) > 1:
                inputs = torch.from_numpy(np.stack([corpus.inputs[n] for n in places]))
                loss = nn.functional.cross_entropy(model(inputs), torch.from_numpy(corpus.labels[places]).long())
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    folder = RunFolder(tmp_path / "run")
    capture_run(model, corpus, folder, name="n", source="s", weights=None)
    assert not model.eval().rnn.training
    with torch.no_grad():
        own = torch.cat([model(torch.from_numpy(values)[None]).softmax(-1) for values in corpus.inputs]).numpy()
    checkpoint, probe = folder.checkpoint(0), folder.probe()
    np.testing.assert_allclose(checkpoint.model_output, own, atol=1e-5)
    np.testing.assert_allclose(checkpoint.step_output[probe.offsets[1:] - 1], own, atol=1e-5)
    accuracy = float((own.argmax(1) == corpus.labels).mean())
    assert accuracy > 2 / 9  # it learnt something, so the states are not those of an untrained net
    assert folder.metrics()[0]["accuracy"] == pytest.approx(accuracy)
    assert len(checkpoint.states["rnn.0.fwd.h"]) == sum(map(len, corpus.inputs))
    assert re.fullmatch(r"[0-9a-f]{64}", folder.manifest().corpus["sha256"])
