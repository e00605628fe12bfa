"""The demo's data is what it says it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from rnnreport.capture.probe import make_probe
from rnnreport.train import grammar
from rnnreport.train.demo import probe_corpus
from rnnreport.train.tasks import load_task

POSITIVE = {"good", "great", "funny", "moving", "clever", "charming", "fresh", "brilliant", "touching", "elegant"} | {
    "love", "enjoy", "admire", "like", "praise", "recommend"
}  # fmt: skip
NEGATIVE = {"bad", "dull", "boring", "awful", "silly", "weak", "stale", "messy", "clumsy", "hollow"} | {
    "hate", "regret", "dislike", "resent", "mock", "avoid"
}  # fmt: skip


def main_clause(words: list[str]) -> list[str]:
    if "but" in words:
        return words[words.index("but") + 1 :]
    if "though" not in words:
        return words
    if "," in words:
        return words[words.index(",") + 1 :]
    return words[: words.index("though")]


def is_positive(clause: list[str]) -> bool:
    (tone,) = [word for word in clause if word in POSITIVE | NEGATIVE]
    negated = any(word in ("not", "never") for word in clause)
    return (tone in POSITIVE) != negated


def test_a_reader_of_the_grammar_agrees_with_every_label():
    sentences = grammar.corpus(3000, seed=1)
    for words, positive in sentences:
        assert is_positive(main_clause(words)) == positive, words


def test_the_grammar_is_varied_and_balanced():
    sentences = grammar.corpus(3000, seed=0)
    lengths = {len(words) for words, _ in sentences}
    assert (min(lengths), max(lengths)) == (grammar.SHORTEST, grammar.LONGEST)
    vocabulary = {word for words, _ in sentences for word in words}
    assert 70 <= len(vocabulary) <= 100
    assert 0.45 < np.mean([positive for _, positive in sentences]) < 0.55
    assert len({tuple(words) for words, _ in sentences}) == 3000
    for word in ("not", "never", "but", "though", "very"):
        assert sum(word in words for words, _ in sentences) > 100


def test_words_alone_do_not_tell_the_label():
    """The tone of the words of both clauses together is at chance where there is a contrast."""
    contrasts = [(words, label) for words, label in grammar.corpus(3000, seed=0) if {"but", "though"} & set(words)]
    right = [(sum((w in POSITIVE) - (w in NEGATIVE) for w in words) > 0) == label for words, label in contrasts]
    assert 0.4 < np.mean(right) < 0.6


@pytest.mark.parametrize("name", ["digits", "sentiment", "source"])
def test_a_task_is_the_same_again_and_its_splits_are_apart(name):
    task, again = load_task(name, 3), load_task(name, 3)
    assert set(task.train.ids).isdisjoint(task.test.ids)
    for split, other in ((task.train, again.train), (task.test, again.test)):
        assert split.ids == other.ids
        assert all(torch.equal(one, two) for one, two in zip(split.inputs, other.inputs, strict=True))
        assert all(torch.equal(one, two) for one, two in zip(split.targets, other.targets, strict=True))
    assert (load_task(name, 4).test.ids == task.test.ids) == (name == "source")


def test_digits_are_those_of_scikit_learn():
    images, labels = load_digits(return_X_y=True)
    task = load_task("digits", 0)
    assert len(task.train) + len(task.test) == len(images)
    for name, rows, label in zip(task.test.ids, task.test.inputs, task.test.targets, strict=True):
        number = int(name.removeprefix("digit "))
        assert label == labels[number]
        np.testing.assert_array_equal(rows.numpy().ravel() * 16, images[number])


def test_source_predicts_the_next_character():
    task = load_task("source", 0)
    for split in (task.train, task.test):
        stream, targets = torch.cat(split.inputs).tolist(), torch.cat(split.targets).tolist()
        assert targets == [*stream[1:], -1]
    assert "def " in "".join(task.vocabulary[number] for chunk in task.train.inputs for number in chunk)


@pytest.mark.parametrize("name", ["digits", "sentiment", "source"])
def test_the_probe_corpus_is_the_test_split(name):
    task = load_task(name, 0)
    corpus = probe_corpus(task)
    assert corpus.sequence_ids == task.test.ids
    for inputs, expected in zip(corpus.inputs, task.test.inputs, strict=True):
        np.testing.assert_array_equal(inputs, expected.numpy())
    assert corpus.labels.tolist() == ([] if name == "source" else [int(label) for label in task.test.targets])


def test_the_probe_asks_what_training_asked():
    """The capture stage finds the next characters by itself."""
    task = load_task("source", 0)
    assert make_probe(probe_corpus(task)).targets.tolist() == torch.cat(task.test.targets).tolist()
