"""How a language model goes on, against the model run by hand on every path."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnnreport.capture.continuations import ContinuationParams, read_continuations
from rnnreport.capture.probe import hash_order
from rnnreport.capture.recorder import Recorder
from rnnreport.capture.run import capture_run
from rnnreport.load.corpus import Corpus, load_corpus
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Continuations, Probe

torch.set_num_threads(1)


class Model(nn.Module):
    """Time first where it is asked for; a sharp head, so that some tokens are improbable."""

    def __init__(self, words: int, time_first: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, 5)
        self.lstm = nn.LSTM(5, 7, batch_first=not time_first)
        self.head = nn.Linear(7, words)

    def forward(self, tokens: Tensor) -> Tensor:
        scores: Tensor = 6 * self.head(self.lstm(self.embedding(tokens))[0])
        return scores


def corpus_of(folder: Path, tokenizer: str = "whitespace") -> Corpus:
    generator = np.random.default_rng(0)
    words = " ".join(generator.choice(list("abcdefgh"), 300))
    (folder / "text.txt").write_text(words + "\n")
    return load_corpus(folder / "text.txt", tokenizer=tokenizer, sequence_length=20)


def trees_of(found: Continuations) -> list[dict[tuple[int, ...], float]]:
    """Per context the probability of the last token of every path."""
    trees = []
    for context in range(len(found.sequences)):
        rows = np.flatnonzero(found.contexts == context)
        paths: list[tuple[int, ...]] = []
        for row in rows:
            parent = found.parents[row]
            assert parent < len(paths)  # a parent stands before its children
            paths.append(((*paths[parent],) if parent >= 0 else ()) + (int(found.tokens[row]),))
        assert len(set(paths)) == len(paths)
        trees.append(dict(zip(paths, found.probabilities[rows].tolist(), strict=True)))
    return trees


def alone(model: nn.Module, tokens: list[int], time_first: bool) -> Tensor:
    """Probabilities of the token after these, by the model alone."""
    with torch.no_grad():
        given = torch.tensor(tokens)
        scores = model(given[:, None])[:, 0] if time_first else model(given[None])[0]
        return scores[-1].softmax(0)


def expected(
    model: nn.Module, context: list[int], params: ContinuationParams, time_first: bool
) -> dict[tuple[int, ...], float]:
    found: dict[tuple[int, ...], float] = {}

    def grow(path: tuple[int, ...], likely: float) -> None:
        odds = alone(model, [*context, *path], time_first)
        for token in odds.argsort(descending=True)[: params.branching].tolist():
            joint = likely * float(odds[token])
            if joint >= params.minimum or not path:
                found[*path, token] = float(odds[token])
                if len(path) + 1 < params.depth:
                    grow((*path, token), joint)

    grow((), 1.0)
    return found


@pytest.mark.parametrize("time_first", [False, True])
@pytest.mark.parametrize("tokenizer", ["whitespace", "char"])
def test_trees_hold_what_the_model_says_after_every_path(time_first: bool, tokenizer: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    corpus = corpus_of(tmp_path, tokenizer)
    model = Model(len(corpus.vocabulary), time_first)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    folder = RunFolder(tmp_path / "run")
    capture_run(model, corpus, folder, name="n", source="s", weights=None)
    found, probe, params = folder.record(Continuations), folder.probe(), ContinuationParams()
    assert found is not None
    assert (found.branching, found.depth, found.minimum) == (params.branching, params.depth, params.minimum)
    assert found.sequences.tolist() == hash_order(probe.sequence_ids)[: params.contexts]
    assert max(len(path) for tree in trees_of(found) for path in tree) == params.depth
    for place, length, tree in zip(found.sequences, found.lengths, trees_of(found), strict=True):
        start = probe.offsets[place]
        assert length == max(1, probe.lengths[place] // 2)
        wanted = expected(model, probe.tokens[start : start + length].tolist(), params, time_first)
        assert tree.keys() == wanted.keys()
        assert list(tree.values()) == pytest.approx([wanted[path] for path in tree], abs=1e-6)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def inspected(corpus: Corpus, model: nn.Module, tmp_path: Path) -> Recorder:
    return Recorder(model, corpus, tmp_path / "run")


def test_the_first_level_is_whole_and_improbable_paths_end(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path)
    model = Model(len(corpus.vocabulary))
    nn.init.zeros_(model.head.weight)  # every token is equally probable
    nn.init.zeros_(model.head.bias)
    recorder = inspected(corpus, model, tmp_path)
    params = ContinuationParams(contexts=2, branching=3, minimum=0.5)
    found = read_continuations(model, recorder.probe, recorder.inspection, 0, params)
    assert found is not None
    assert found.parents.tolist() == [-1] * 6 and found.contexts.tolist() == [0] * 3 + [1] * 3
    assert found.probabilities.tolist() == pytest.approx([1 / len(corpus.vocabulary)] * 6)


def test_more_children_than_tokens_are_all_tokens(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path)
    model = Model(len(corpus.vocabulary))
    recorder = inspected(corpus, model, tmp_path)
    params = ContinuationParams(contexts=1, branching=99, depth=1)
    found = read_continuations(model, recorder.probe, recorder.inspection, 0, params)
    assert found is not None
    assert sorted(found.tokens.tolist()) == list(range(len(corpus.vocabulary)))
    assert found.probabilities.sum() == pytest.approx(1)


def test_large_vocabularies_are_run_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    corpus = corpus_of(tmp_path)
    model = Model(len(corpus.vocabulary))
    recorder = inspected(corpus, model, tmp_path)
    whole = read_continuations(model, recorder.probe, recorder.inspection, 0)
    sizes: list[int] = []

    def small(probe: Probe) -> int:
        return 30

    monkeypatch.setattr("rnnreport.capture.continuations.step_budget", small)
    model.register_forward_pre_hook(lambda _module, given: sizes.append(given[0].numel()))
    parts = read_continuations(model, recorder.probe, recorder.inspection, 0)
    assert whole is not None and parts is not None
    assert max(sizes) <= 30
    np.testing.assert_array_equal(parts.tokens, whole.tokens)
    np.testing.assert_allclose(parts.probabilities, whole.probabilities, atol=1e-6)


def test_trees_of_an_earlier_epoch_do_not_count(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path)
    model = Model(len(corpus.vocabulary))
    capture_run(model, corpus, RunFolder(tmp_path / "run"), name="n", source="s", weights=None)
    recorder = inspected(corpus, model, tmp_path)
    assert recorder.folder.record(Continuations) is not None
    recorder.record(1)
    assert recorder.folder.record(Continuations) is None


def test_other_tasks_have_no_continuations(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("text\tlabel\n" + "a b c\ty\nc b\tn\n" * 5)
    corpus = load_corpus(tmp_path / "t.tsv")

    class Classifier(Model):
        def forward(self, tokens: Tensor) -> Tensor:
            scores: Tensor = self.head(self.lstm(self.embedding(tokens))[0][:, -1])[:, :2]
            return scores

    folder = RunFolder(tmp_path / "run")
    capture_run(Classifier(len(corpus.vocabulary)), corpus, folder, name="n", source="s", weights=None)
    assert folder.record(Continuations) is None
