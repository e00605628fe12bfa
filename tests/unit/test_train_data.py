"""Splits without leaks, a vocabulary of the training split, and balance that touches nothing else."""

from __future__ import annotations

import dataclasses
import json
import random
from collections import Counter

import numpy as np
import pytest
import torch

from rnnreport.errors import InputError
from rnnreport.load.corpus import load_corpus
from rnnreport.train import fitting, manager
from rnnreport.train.data import load_splits
from rnnreport.train.settings import Data, Fit
from tests.trainings import WORDS, corpus_of, log_of, metrics, run, sequences, settings, table


class TestSplits:
    def test_by_a_hash_of_the_ids(self, tmp_path):
        data = Data(corpus_of("classification", tmp_path, 400), valid=0.1, test=0.2)
        splits = load_splits(data, tmp_path)
        ids = [set(corpus.sequence_ids) for corpus in (splits.train, splits.valid, splits.test)]
        assert sum(map(len, ids)) == len(set.union(*ids)) == 400
        assert 20 <= len(ids[1]) <= 60 and 50 <= len(ids[2]) <= 110
        lines = (tmp_path / data.train).read_text().splitlines()
        (tmp_path / "fewer.tsv").write_text("\n".join(lines[:200]) + "\n")
        fewer = load_splits(dataclasses.replace(data, train="fewer.tsv"), tmp_path)
        assert set(fewer.test.sequence_ids) == {f"line {n}" for n in range(2, 201)} & ids[2]

    def test_running_text_is_cut_in_order(self, tmp_path):
        (tmp_path / "t.txt").write_text(" ".join(map(str, range(99))))
        splits = load_splits(Data("t.txt", valid=0.2, test=0.1, sequence_length=10), tmp_path)
        assert [len(corpus.inputs) for corpus in (splits.train, splits.valid, splits.test)] == [7, 2, 1]
        split = fitting.examples(splits.train)
        stream, following = torch.cat(list(split.inputs)).tolist(), torch.cat(list(split.targets)).tolist()
        assert following == [*stream[1:], -1]  # what comes next in another split is not asked for
        assert [splits.train.vocabulary[token] for token in stream] == [str(n) for n in range(70)]

    def test_files_and_shares_together(self, tmp_path):
        train, test = tmp_path / corpus_of("classification", tmp_path), tmp_path / "test.tsv"
        test.write_text("text\tlabel\na b zebra\tc\n")
        splits = load_splits(Data(train.name, valid=0.25, test="test.tsv"), tmp_path)
        assert splits.test.sequence_ids == ("line 2",)
        assert len(splits.train.inputs) + len(splits.valid.inputs) == 40
        assert splits.train.class_names == splits.test.class_names == ("a", "b", "c")
        assert [splits.test.vocabulary[token] for token in splits.test.inputs[0]] == ["a", "b", "<unk>"]
        assert splits.test.unknown_tokens == 1

    def test_the_vocabulary_is_of_the_training_split(self, tmp_path):
        file = corpus_of("classification", tmp_path)
        plain, whole = load_splits(Data(file), tmp_path), load_corpus(tmp_path / file)
        counts = Counter(plain.train.vocabulary[token] for values in plain.train.inputs for token in values)
        limit = min(counts.values()) + 1
        rare = load_splits(Data(file, min_count=limit), tmp_path)
        assert set(plain.train.vocabulary) == {"<unk>", *counts}
        assert set(rare.train.vocabulary) == {"<unk>", *(word for word, count in counts.items() if count >= limit)}
        assert 1 < len(rare.train.vocabulary) < len(plain.train.vocabulary)
        assert rare.train.unknown_tokens == sum(count for count in counts.values() if count < limit)
        words = dict(zip(whole.sequence_ids, whole.inputs, strict=True))
        for name, values in zip(plain.test.sequence_ids, plain.test.inputs, strict=True):
            assert [plain.test.vocabulary[n] for n in values] == [whole.vocabulary[n] for n in words[name]]

    def test_what_stands_in_two_splits_is_counted(self, tmp_path, capsys):
        for name, words in (("train", "a b|c|d e"), ("valid", "f|a"), ("test", "d e|b|a b|a b")):
            table(tmp_path / f"{name}.tsv", "text label", [(text, "x") for text in words.split("|")])
        wanted = settings("train.tsv", data=Data("train.tsv", valid="valid.tsv", test="test.tsv"))
        splits = load_splits(wanted.data, tmp_path)
        told = "3 of 4 sequences of the test split are also in the training split\n"
        assert capsys.readouterr().err == told
        described = manager.identity_of(wanted, splits, 0)["splits"]
        assert (described["valid"]["also_in_training"], described["test"]["also_in_training"]) == (0, 3)

    def test_a_vocabulary_of_the_users(self, tmp_path):
        (tmp_path / "v.json").write_text(json.dumps(["<unk>", *reversed(WORDS)]))
        splits = load_splits(Data(corpus_of("tagging", tmp_path), vocabulary="v.json"), tmp_path)
        assert splits.train.vocabulary == ("<unk>", *reversed(WORDS))

    @pytest.mark.parametrize(
        ("data", "told"),
        [
            (Data("classification.tsv", valid=1e-9), "the valid split of .* is empty"),
            (Data("classification.tsv", valid="tagging.tsv"), "tagging.tsv has other answers"),
            (Data("plain.npz"), "no labels"),
            (Data("absent.tsv"), "absent.tsv does not exist"),
        ],
    )
    def test_what_cannot_be_trained_on(self, tmp_path, data, told):
        corpus_of("classification", tmp_path)
        corpus_of("tagging", tmp_path)
        np.savez(tmp_path / "plain.npz", X=np.zeros((5, 4, 2), np.float32))
        with pytest.raises(InputError, match=told):
            load_splits(data, tmp_path)


class TestBalance:
    @pytest.fixture
    def unequal(self, tmp_path) -> str:
        labels = ["rare" if n % 10 == 0 else "common" for n in range(200)]
        rows = [(" ".join(words), label) for words, label in zip(sequences(200), labels, strict=True)]
        return table(tmp_path / "unequal.tsv", "text label", rows)

    def test_oversampling_repeats_the_rare_class_of_the_training_split(self, tmp_path, unequal):
        splits = load_splits(Data(unequal), tmp_path)
        train = fitting.examples(splits.train)
        counts = Counter(int(target) for target in train.targets)
        order = fitting.order_of_epoch(train, oversample=True)
        drawn = Counter(int(train.targets[place]) for place in order)
        assert drawn[0] == drawn[1] == max(counts.values())
        assert set(order) == set(range(len(train.inputs)))
        assert sorted(fitting.order_of_epoch(train, oversample=False)) == list(range(len(train.inputs)))

    def test_weights_make_the_classes_count_the_same(self, tmp_path, unequal):
        train = fitting.examples(load_splits(Data(unequal), tmp_path).train)
        weights = fitting.class_weights(train, 2)
        sums = [sum(weights[target] for target in train.targets if target == label) for label in (0, 1)]
        assert sums[0] == pytest.approx(sums[1])
        assert sum(sums) == pytest.approx(len(train.targets))

    @pytest.mark.parametrize("balance", ["none", "weights", "oversample"])
    @pytest.mark.slow
    def test_validation_and_test_are_left_as_they_are(self, tmp_path, unequal, balance):
        """Before training, all ways of balancing see the same net on the same splits."""
        wanted = settings(unequal, training=Fit(epochs=1, balance=balance))
        plain = settings(unequal, training=Fit(epochs=1))
        folder, other = run(wanted, tmp_path), run(plain, tmp_path, "plain")
        assert metrics(folder)[0] == metrics(other)[0]
        assert log_of(folder)["splits"] == log_of(other)["splits"]
        assert (metrics(folder)[1] == metrics(other)[1]) == (balance == "none")

    @pytest.mark.slow
    def test_balance_finds_what_is_rare(self, tmp_path):
        """Rare and hard to tell: without balance it is never named."""
        source = random.Random(0)
        rows = [("a" if source.random() < 0.6 else "b", "common") for _ in range(270)]
        rows += [("b" if source.random() < 0.6 else "a", "rare") for _ in range(30)]
        file = table(tmp_path / "hard.tsv", "text label", rows)
        named = {}
        for balance in ("none", "weights", "oversample"):
            wanted = settings(file, training=Fit(epochs=8, batch_size=16, learning_rate=0.02, balance=balance))
            folder = run(wanted, tmp_path, balance)
            named[balance] = set(folder.checkpoint(8).model_output.argmax(axis=1).tolist())
        assert named == {"none": {0}, "weights": {0, 1}, "oversample": {0, 1}}

    @pytest.mark.parametrize(("task", "balance"), [("tagging", "oversample"), ("language-model", "weights")])
    def test_where_it_means_nothing_it_is_refused(self, tmp_path, task, balance):
        wanted = settings(corpus_of(task, tmp_path), training=Fit(balance=balance))
        with pytest.raises(InputError, match=f"training.balance is '{balance}', but the task is {task}"):
            run(wanted, tmp_path)
