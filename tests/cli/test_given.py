"""What a user adds to a corpus: parts of speech by a function, and sentences."""

from __future__ import annotations

import base64
import gzip
import importlib
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from rnnreport.analyses import analyse
from rnnreport.report import render_report
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import GivenDependence, GivenSentences, Sequences, Unavailable, Words
from tests.cli.conftest import Command, Outcome
from tests.small import ROUGH

MODEL = """
import torch
from torch import nn

WORDS = ["<unk>", "the", "film", "plot", "is", "ends", "good", "bad"]


class Reader(nn.Module):
    def __init__(self, outputs=2, last=True):
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.rnn = nn.Embedding(8, 3), nn.LSTM(3, 4, batch_first=True)
        self.head, self.last = nn.Linear(4, outputs), last

    def forward(self, tokens):
        states = self.rnn(self.embedding(tokens))[0]
        return self.head(states[:, -1] if self.last else states)


def speech(tokens):
    kinds = {"the": "DET", "film": "NOUN", "plot": "NOUN", "is": "VERB", "ends": "VERB", "<unk>": "X"}
    return [kinds.get(token, "ADJ" if tokens[0] == "the" else "ADV") for token in tokens]


def short(tokens):
    return speech(tokens)[1:]


def numbers(tokens):
    return [1 for _ in tokens]


def fails(tokens):
    raise ValueError("no model")
"""
TEXTS = ["the film is good", "the plot is bad", "good film", "the film ends bad", "bad awful plot", "is good good"]
REVIEWS = "text\tlabel\n" + "".join(f"{text}\t{'ab'[n % 2]}\n" for n, text in enumerate(TEXTS))


@pytest.fixture
def capture(rnnreport: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Capture a small net of a module of its own, with further options."""
    name = "given_" + "".join(c for c in tmp_path.name if c.isalnum())
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / f"{name}.py").write_text(MODEL)
    (tmp_path / "words.txt").write_text("<unk>\nthe\nfilm\nplot\nis\nends\ngood\nbad\n")
    (tmp_path / "reviews.tsv").write_text(REVIEWS)
    (tmp_path / "text.txt").write_text("\n".join(TEXTS) + "\n")
    (tmp_path / "tags.tsv").write_text("tokens\ttags\nthe film ends\tA B A\nfilm ends\tB A\n")
    np.savez(tmp_path / "series.npz", X=np.zeros((3, 4, 2)))

    def call(*options: str, corpus: str = "reviews.tsv") -> Outcome:
        words = [] if corpus.endswith(".npz") else ["--vocabulary", "words.txt"]
        replaced = [option.replace("MODULE", name) for option in options]
        given = ["--model", f"{name}:Reader", "--corpus", corpus, *words, "--out", "run", "--force"]
        return rnnreport("capture", *given, *replaced)

    call.module = name  # type: ignore[attr-defined]
    return call


def opened(outcome: Outcome) -> RunFolder:
    assert outcome.code == 0, outcome.err
    return RunFolder.open(Path("run"))


def test_parts_of_speech_colour_the_words(capture) -> None:  # type: ignore[no-untyped-def]
    folder = opened(capture("--pos", "MODULE:speech"))
    parts, probe = folder.parts_of_speech(), folder.probe()
    assert parts is not None and parts.names == ("ADJ", "ADV", "DET", "NOUN", "VERB", "X")
    tags = [parts.names[tag] for tag in parts.tags]
    assert tags[:8] == ["DET", "NOUN", "VERB", "ADJ", "DET", "NOUN", "VERB", "ADJ"]
    unknown = next(n for n, token in enumerate(probe.tokens) if probe.vocabulary[token] == "<unk>")
    assert tags[unknown] == "X"
    analyse(folder, params=ROUGH)
    words = folder.result(Words)
    assert isinstance(words, Words) and words.tag_names == parts.names
    found = {
        name: (parts.names[tag], round(float(share), 3))
        for name, tag, share in zip(words.names, words.tags, words.tag_share, strict=True)
    }
    # "good" is an adjective in one of four places: the others are not in a text that begins with "the"
    assert found["good"] == ("ADV", 0.75) and found["film"] == ("NOUN", 1.0)
    assert found["bad"] == ("ADJ", round(2 / 3, 3))
    assert 'id="tags"' in render_report(folder)


def test_without_a_function_nothing_is_coloured(capture) -> None:  # type: ignore[no-untyped-def]
    folder = opened(capture())
    assert folder.parts_of_speech() is None
    analyse(folder, params=ROUGH)
    assert 'id="tags"' not in render_report(folder)


@pytest.mark.parametrize(
    ("function", "corpus", "error"),
    [
        ("MODULE:short", "reviews.tsv", "--pos gives 3 strings for the 4 tokens of sequence 'line 2'"),
        ("MODULE:numbers", "reviews.tsv", "--pos gives 0 strings for the 4 tokens of sequence 'line 2'"),
        ("MODULE:fails", "reviews.tsv", "--pos fails on sequence 'line 2': ValueError: no model"),
        ("MODULE:missing", "reviews.tsv", "has no attribute 'missing'"),
        ("MODULE:speech", "tags.tsv", "the corpus is tagged already (leave out --pos)"),
    ],
)
def test_what_cannot_be_tagged_is_one_line(capture, function: str, corpus: str, error: str) -> None:  # type: ignore[no-untyped-def]
    per_step = ["--model-arg", "last=false"] if corpus == "tags.tsv" else []
    outcome = capture("--pos", function, *per_step, corpus=corpus)
    assert outcome.code == 2 and error in outcome.error
    assert not Path("run").exists()


SENTENCES = ("--sentence", "the film is awful , good", "--sentence", "bad")


def test_sentences_are_read_by_the_model(capture) -> None:  # type: ignore[no-untyped-def]
    folder = opened(capture(*SENTENCES))
    found = folder.sentences()
    assert found is not None
    sentences, probe, states = found
    assert sentences.written == (("the", "film", "is", "awful", ",", "good"), ("bad",))
    assert [probe.vocabulary[token] for token in probe.tokens] == ["the", "film", "is", "<unk>", "<unk>", "good", "bad"]
    assert probe.lengths.tolist() == [6, 1] and not probe.labels.size and states.epoch == 0
    model = importlib.import_module(capture.module).Reader()
    inputs = torch.from_numpy(probe.tokens[:6].astype(np.int64))
    with torch.no_grad():
        output = model.rnn(model.embedding(inputs)[None])[0][0]
        expected = model.head(output).softmax(1)
    np.testing.assert_allclose(states.states["rnn.0.fwd.h"][:6], output, atol=1e-6)
    np.testing.assert_allclose(states.step_output[:6], expected, atol=1e-6)
    np.testing.assert_allclose(states.model_output[0], expected[-1], atol=1e-6)


def test_what_the_states_of_sentences_depend_on_and_their_gates(capture) -> None:  # type: ignore[no-untyped-def]
    folder = opened(capture(*SENTENCES))
    analyse(folder, params=ROUGH)
    found = folder.sentences()
    assert found is not None
    _, probe, states = found
    model = importlib.import_module(capture.module).Reader()
    inputs = torch.from_numpy(probe.tokens[:6].astype(np.int64))
    embedded = model.embedding(inputs).detach()
    jacobian = torch.autograd.functional.jacobian(lambda values: model.rnn(values[None])[0][0], embedded)
    norms = jacobian.square().sum(dim=(1, 3)).sqrt().numpy()
    salience, result = folder.salience(given=True), folder.result(GivenDependence)
    assert salience is not None and isinstance(result, GivenDependence)
    assert sorted(salience.sequences.tolist()) == [0, 1] and result.sequences.tolist() == salience.sequences.tolist()
    block = salience.norms[:36] if salience.sequences[0] == 0 else salience.norms[1:]
    np.testing.assert_allclose(block.reshape(6, 6), norms, rtol=1e-4, atol=1e-6)
    cell = folder.salience(1, given=True)
    assert cell is not None and cell.scope == "rnn.0.fwd.c" and not cell.reason
    with torch.no_grad():
        out, cells = (torch.from_numpy(states.states[f"rnn.0.fwd.{kind}"][:6]) for kind in ("o", "c"))
        np.testing.assert_allclose(out * cells.tanh(), states.states["rnn.0.fwd.h"][:6], atol=1e-6)


def test_sentences_change_nothing_else(capture) -> None:  # type: ignore[no-untyped-def]
    def contents() -> dict[str, bytes]:
        files = (path for path in Path("run").rglob("*") if path.is_file())
        return {str(path): path.read_bytes() for path in files if path.suffix in (".npz", ".json", ".jsonl")}

    analyse(opened(capture()), params=ROUGH)
    plain = contents()
    analyse(opened(capture(*SENTENCES)), params=ROUGH)
    given = contents()
    places = (
        "run/sentences/",
        *(f"run/results/{name}" for name in ("sentences.", "salience-given", "projection-given")),
    )
    own = {name for name in given if name.startswith(places)}
    assert own > {"run/sentences/probe.npz", "run/results/sentences.npz"}
    changed = {name for name in given.keys() - own if given[name] != plain.get(name)}
    assert changed <= {"run/run.json", "run/metrics.jsonl", "run/provenance.json"}  # the command and the clock
    assert "run/results/performance.npz" in plain and "run/summary.json" in plain


@pytest.mark.parametrize("corpus", ["reviews.tsv", "text.txt", "tags.tsv"])
def test_sentences_are_laid_out_as_the_displayed_sequences(capture, corpus: str) -> None:  # type: ignore[no-untyped-def]
    per_step = [] if corpus == "reviews.tsv" else ["--model-arg", "last=false"]
    per_step += ["--model-arg", "outputs=9"] if corpus == "text.txt" else []
    if corpus == "text.txt":
        Path("words.txt").write_text(Path("words.txt").read_text() + "<eos>\n")
        module = Path(f"{capture.module}.py")
        module.write_text(module.read_text().replace("nn.Embedding(8, 3)", "nn.Embedding(9, 3)"))
    folder = opened(capture(*SENTENCES, *per_step, corpus=corpus))
    analyse(folder, params=ROUGH)
    given, shown = folder.result(GivenSentences), folder.result(Sequences)
    assert isinstance(given, GivenSentences) and isinstance(shown, Sequences)
    assert given.sequence_ids == ("given 1", "given 2") and given.lengths.tolist() == [6, 1]
    assert given.written == ("the", "film", "is", "awful", ",", "good", "bad")
    assert given.unknown.tolist() == [3, 4] and given.activation["rnn.0.fwd.c"].shape == (7, 4)
    words = folder.result(Words)
    assert isinstance(words, Words)
    names = [words.names[word] if word >= 0 else None for word in given.step_words]
    assert names[:3] == [name if name in words.names else None for name in ("the", "film", "is")]
    assert given.step_output.shape[0] == shown.step_output.shape[0]
    if corpus == "text.txt":
        assert np.isfinite(given.surprisal[:5]).all() and np.isnan(given.surprisal[[5, 6]]).all()
    packed = re.search(r'id="payload">([^<]*)<', render_report(folder))
    assert packed and gzip.decompress(base64.b64decode(packed[1])).count(b'"given 1","given 2"') == 1


def test_without_sentences_there_are_none(capture) -> None:  # type: ignore[no-untyped-def]
    folder = opened(capture())
    assert folder.sentences() is None
    analyse(folder, params=ROUGH)
    assert isinstance(folder.result(GivenSentences), Unavailable)


@pytest.mark.parametrize(
    ("text", "words", "error"),
    [
        ("  ", "<unk>\ngood", "--sentence 1 has no tokens (give a text)"),
        ("a good plan", "", "--sentence 1: token 'a' is not in the vocabulary, which has no <unk> either"),
    ],
)
def test_what_cannot_be_read_is_one_line(capture, text: str, words: str, error: str) -> None:  # type: ignore[no-untyped-def]
    if not words:
        Path("words.txt").write_text("the\nfilm\nplot\nis\nends\ngood\nbad\nawful\n")
    outcome = capture("--sentence", text)
    assert outcome.code == 2 and error in outcome.error
    assert not Path("run").exists()


def test_series_have_no_sentences(capture) -> None:  # type: ignore[no-untyped-def]
    outcome = capture("--sentence", "good", corpus="series.npz")
    assert outcome.code == 2 and "the corpus has no words (leave out --sentence)" in outcome.error
