"""The model manager: every task and cell, honest splits, and the same bits whatever happens in between."""

from __future__ import annotations

import dataclasses
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from rnnreport.errors import InputError, RnnReportError
from rnnreport.load.corpus import load_corpus
from rnnreport.load.model import load_model
from rnnreport.results.folder import RunFolder
from rnnreport.train import fitting, manager
from rnnreport.train.data import load_splits
from rnnreport.train.settings import Data, Fit, Model, Record, Schedule, Settings, Stopping

WORDS = list("abcdefgh")
CELLS = ("RNN", "GRU", "LSTM")


def sequences(count: int, seed: int = 0) -> list[list[str]]:
    source = random.Random(seed)
    return [[source.choice(WORDS) for _ in range(source.randint(3, 7))] for _ in range(count)]


def table(path: Path, columns: str, rows: list[tuple[str, ...]]) -> str:
    path.write_text("\n".join(["\t".join(columns.split()), *("\t".join(row) for row in rows)]) + "\n")
    return path.name


def corpus_of(task: str, folder: Path, count: int = 40) -> str:
    """A corpus of each task whose answers can be read off the words."""
    words = sequences(count)
    texts = [" ".join(line) for line in words]
    path = folder / f"{task}.tsv"
    match task:
        case "classification":
            return table(path, "text label", [(text, "ab"[text[0] > "d"]) for text in texts])
        case "multi-label":
            return table(path, "text labels", [(text, "|".join(w for w in "abc" if w in text)) for text in texts])
        case "regression":
            return table(path, "text target", [(text, f"{text.count('a') / 2}") for text in texts])
        case "tagging":
            tags = [" ".join("xy"[word > "d"] for word in line) for line in words]
            return table(path, "tokens tags", list(zip(texts, tags, strict=True)))
        case "step-regression":
            numbers = [" ".join("nan" if word == "h" else str(WORDS.index(word)) for word in line) for line in words]
            return table(path, "tokens targets", list(zip(texts, numbers, strict=True)))
        case "language-model":
            (folder / "text.txt").write_text("\n".join(texts))
            return "text.txt"
        case _:
            lengths = [len(line) for line in words]
            values = np.random.default_rng(0).normal(size=(sum(lengths), 3)).astype(np.float32)
            first = np.concatenate([[0], np.cumsum(lengths)[:-1]])
            np.savez(folder / "s.npz", values=values, length=lengths, y=(values[first, 0] > 0).astype(int))
            return "s.npz"


TASKS = (
    "classification", "multi-label", "regression", "tagging", "step-regression", "language-model", "series",
)  # fmt: skip


def settings(file: str, **tables: Any) -> Settings:
    """Small and quick unless told otherwise."""
    given = {
        "data": Data(file, valid=0.2, test=0.2, sequence_length=8),
        "model": Model("GRU", units=6, embedding=4),
        "training": Fit(epochs=2, batch_size=8, learning_rate=0.01),
    } | tables
    return Settings(**given)


def run(wanted: Settings, folder: Path, out: str = "run", seed: int = 0) -> RunFolder:
    return manager.train_run(wanted, load_splits(wanted.data, folder), folder / out, seed=seed, name="test")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but the one that holds the wall clock."""
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if name != "metrics.jsonl"}


def metrics(folder: RunFolder) -> list[dict[str, float]]:
    return [{name: value for name, value in line.items() if name != "wall_s"} for line in folder.metrics()]


def log_of(folder: RunFolder) -> Any:
    return json.loads((folder.path / manager.FINISHED).read_text())


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("task", TASKS)
def test_every_task_and_cell_trains_and_is_recorded(tmp_path, task, cell):
    direction = "forward" if task == "language-model" else "both"
    wanted = settings(
        corpus_of(task, tmp_path),
        model=Model(cell, units=4, layers=2, embedding=3, direction=direction, dropout=0.2),
        training=Fit(epochs=1, batch_size=8),
    )
    folder = run(wanted, tmp_path)
    assert folder.epochs() == [0, 1]
    manifest, probe = folder.manifest(), folder.probe()
    assert manifest.task == ("classification" if task == "series" else task)
    assert (manifest.model["cell"], manifest.model["layers"], manifest.model["units"]) == (cell, 2, 4)
    assert manifest.model["bidirectional"] == (direction == "both")
    assert len(probe.sequence_ids) == log_of(folder)["splits"]["test"]["sequences"]
    names = {"loss"} if "regression" in task else {"loss", "accuracy"}
    expected = {f"{split}_{name}" for split in ("train", "valid", "test") for name in names}
    assert all(set(line) == expected | {"epoch"} for line in metrics(folder))
    before, after = (folder.checkpoint(epoch).states[manifest.state_keys[0]] for epoch in (0, 1))
    assert not np.array_equal(before, after)
    files = {path.name for path in folder.path.iterdir()}
    assert (manager.VOCABULARY in files) == (task != "series")
    assert manager.UNFINISHED not in files


@pytest.mark.parametrize(("task", "score"), [("classification", 0.9), ("tagging", 0.95), ("multi-label", 0.8)])
def test_a_planted_task_is_learned(tmp_path, task, score):
    wanted = settings(corpus_of(task, tmp_path, 300), training=Fit(epochs=25, batch_size=16, learning_rate=0.02))
    first, *_, last = metrics(run(wanted, tmp_path))
    assert first["test_accuracy"] < score - 0.2
    assert last["test_accuracy"] > score


@pytest.mark.parametrize("task", ["regression", "step-regression", "series"])
def test_a_planted_rule_of_numbers_is_learned(tmp_path, task):
    wanted = settings(corpus_of(task, tmp_path, 300), training=Fit(epochs=25, batch_size=16, learning_rate=0.02))
    first, *_, last = metrics(run(wanted, tmp_path))
    assert last["test_loss"] < first["test_loss"] / 2


def test_a_language_model_learns_what_follows(tmp_path):
    (tmp_path / "text.txt").write_text(" ".join(WORDS * 60))
    wanted = settings("text.txt", training=Fit(epochs=15, batch_size=4, learning_rate=0.02))
    assert metrics(run(wanted, tmp_path))[-1]["test_accuracy"] > 0.9


def test_scores_equal_one_sequence_at_a_time(tmp_path):
    """Padding and batches change nothing."""
    corpus = load_corpus(tmp_path / corpus_of("tagging", tmp_path))
    torch.manual_seed(0)
    net = fitting.build(Model("LSTM", units=4, layers=2, embedding=3, direction="both"), corpus)
    split = fitting.examples(corpus)
    net.eval()
    losses, hits = [], []
    for inputs, targets in zip(split.inputs, split.targets, strict=True):
        for row, target in zip(net(inputs[None])[0], targets, strict=True):
            losses.append(-torch.log_softmax(row, 0)[target].item())
            hits.append(row.argmax() == target)
    found = fitting.evaluate(net, split, batch_size=7)
    assert found["loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert found["accuracy"] == pytest.approx(np.mean(hits))


def test_regression_is_scored_where_there_is_a_truth(tmp_path):
    corpus = load_corpus(tmp_path / corpus_of("step-regression", tmp_path))
    net = fitting.build(Model("RNN", units=4, embedding=3), corpus)
    split = fitting.examples(corpus)
    errors = [
        ((net(inputs[None])[0] - targets)[torch.isfinite(targets)] ** 2).detach()
        for inputs, targets in zip(split.inputs, split.targets, strict=True)
    ]
    assert any(len(each) < len(targets) for each, targets in zip(errors, split.targets, strict=True))
    assert fitting.evaluate(net, split, 9)["loss"] == pytest.approx(torch.cat(errors).mean().item(), rel=1e-5)


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
    def test_validation_and_test_are_left_as_they_are(self, tmp_path, unequal, balance):
        """Before training, all ways of balancing see the same net on the same splits."""
        wanted = settings(unequal, training=Fit(epochs=1, balance=balance))
        plain = settings(unequal, training=Fit(epochs=1))
        folder, other = run(wanted, tmp_path), run(plain, tmp_path, "plain")
        assert metrics(folder)[0] == metrics(other)[0]
        assert log_of(folder)["splits"] == log_of(other)["splits"]
        assert (metrics(folder)[1] == metrics(other)[1]) == (balance == "none")

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


def stubborn(file: str, **tables: Any) -> Settings:
    """Overfits soon: few sequences, a large net, a high learning rate."""
    fit = Fit(epochs=40, batch_size=4, learning_rate=0.05)
    return settings(file, model=Model("GRU", units=24, embedding=8), training=fit, **tables)


class TestStopping:
    def test_ends_and_goes_back_to_the_best_epoch(self, tmp_path):
        file = corpus_of("multi-label", tmp_path)
        folder = run(stubborn(file, stopping=Stopping(patience=3)), tmp_path)
        log = log_of(folder)
        losses = [scores["valid_loss"] for scores in log["history"]]
        best = int(np.argmin(losses))
        assert best > 0 and len(losses) == best + 4 < 41
        assert folder.epochs() == [line["epoch"] for line in folder.metrics()] == list(range(best + 1))
        assert log["kept_epoch"] == best

    def test_the_weights_are_those_of_the_states(self, tmp_path):
        file = corpus_of("multi-label", tmp_path)
        wanted = stubborn(file, stopping=Stopping(patience=3))
        folder = run(wanted, tmp_path)
        net = load_model("rnnreport.train.manager:trained", {"run": str(folder.path)}, None)
        found = fitting.evaluate(net, fitting.examples(load_splits(wanted.data, tmp_path).test), 4)
        assert found["loss"] == pytest.approx(folder.metrics()[-1]["test_loss"])

    def test_without_it_all_epochs_are_trained(self, tmp_path):
        fit = Fit(epochs=12, batch_size=4, learning_rate=0.05)
        wanted = dataclasses.replace(stubborn(corpus_of("multi-label", tmp_path)), training=fit)
        folder = run(wanted, tmp_path)
        assert folder.epochs() == list(range(13))
        assert log_of(folder)["kept_epoch"] == 12


VARIANTS = {
    "adam, cosine": (Fit(epochs=5, batch_size=8, learning_rate=0.02), Schedule("cosine"), None),
    "sgd, plateau": (
        Fit(epochs=5, batch_size=8, optimiser="sgd", learning_rate=0.1, momentum=0.9, clip=1.0, balance="oversample"),
        Schedule("plateau", factor=0.1),
        Stopping(4),
    ),
    "rmsprop, step": (
        Fit(epochs=5, batch_size=8, optimiser="rmsprop", learning_rate=0.01, balance="weights"),
        Schedule("step", every=2),
        Stopping(3),
    ),
    "adamw": (Fit(epochs=5, batch_size=8, optimiser="adamw", weight_decay=0.1), Schedule(), None),
}


class TestTheSameBits:
    @pytest.fixture(params=VARIANTS.values(), ids=VARIANTS.keys())
    def wanted(self, request, tmp_path) -> Settings:
        fit, schedule, stopping = request.param
        return settings(
            corpus_of("classification", tmp_path, 60),
            model=Model("LSTM", units=6, layers=2, embedding=4, dropout=0.3),
            training=fit,
            schedule=schedule,
            stopping=stopping,
        )

    def test_again(self, tmp_path, wanted):
        first, second, other = (
            run(wanted, tmp_path, out, seed) for out, seed in (("one", 4), ("two", 4), ("three", 5))
        )
        assert contents(first.path) == contents(second.path)
        assert metrics(first) == metrics(second)
        assert contents(first.path)["weights.pt"] != contents(other.path)["weights.pt"]

    @pytest.mark.parametrize("place", ["batch", "save", "record", "finish"])
    def test_after_an_interruption(self, tmp_path, wanted, monkeypatch, place):
        whole = run(wanted, tmp_path, "whole")
        calls = 0

        def interrupted(function, at):
            def call(*arguments, **named):
                nonlocal calls
                calls += 1
                if calls == at:
                    raise KeyboardInterrupt
                return function(*arguments, **named)

            return call

        where = {
            "batch": (fitting, "loss_of", 60),
            "save": (manager, "_save", 3),
            "record": (manager.Recorder, "record", 3),
            "finish": (RunFolder, "write_manifest", 2),
        }
        owner, name, at = where[place]
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(owner, name, interrupted(getattr(owner, name), at))
            run(wanted, tmp_path, "again")
        assert (tmp_path / "again" / manager.UNFINISHED).is_file()
        torch.manual_seed(99)  # another process
        again = run(wanted, tmp_path, "again")
        assert contents(again.path) == contents(whole.path)
        assert metrics(again) == metrics(whole)

    def test_a_finished_training_is_left_alone(self, tmp_path, wanted, monkeypatch):
        folder = run(wanted, tmp_path)
        before = contents(folder.path)
        monkeypatch.setattr(manager, "Training", None)
        assert contents(run(wanted, tmp_path).path) == before


def test_schedules_change_the_learning_rate():
    def rates(schedule: Schedule, losses: list[float]) -> list[float]:
        optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=8.0)
        made = fitting.make_schedule(optimiser, schedule, epochs=4)
        found = []
        for loss in losses:
            optimiser.step()
            made.step(*([loss] if schedule.kind == "plateau" else []))
            found.append(round(optimiser.param_groups[0]["lr"], 6))
        return found

    losses = [3.0, 2.0, 2.5, 1.0]
    assert rates(Schedule(), losses) == [8, 8, 8, 8]
    assert rates(Schedule("step", factor=0.25, every=2), losses) == [8, 2, 2, 0.5]
    assert rates(Schedule("plateau", factor=0.5), losses) == [8, 8, 4, 4]
    assert rates(Schedule("plateau", factor=0.5, patience=1), losses) == [8, 8, 8, 8]
    assert rates(Schedule("cosine"), losses) == pytest.approx([6.828427, 4, 1.171573, 0])


def test_gradients_are_clipped(tmp_path):
    """One batch, plain gradient descent: the weights move by the norm that is allowed, times the learning rate."""
    corpus = load_corpus(tmp_path / corpus_of("classification", tmp_path))
    train = fitting.examples(corpus)
    for clip in (0.01, 0.001):
        net = fitting.build(Model("RNN", units=4), corpus)
        before = nn.utils.parameters_to_vector(net.parameters()).detach().clone()
        fit = Fit(batch_size=len(train.inputs), optimiser="sgd", learning_rate=1.0, clip=clip)
        fitting.train_epoch(net, train, fit, fitting.make_optimiser(net, fit))
        moved = nn.utils.parameters_to_vector(net.parameters()).detach() - before
        assert moved.norm().item() == pytest.approx(clip, rel=1e-2)


def test_a_training_that_diverges_is_told(tmp_path):
    fit = Fit(epochs=9, batch_size=8, optimiser="sgd", learning_rate=1e18)
    wanted = settings(corpus_of("regression", tmp_path), training=fit)
    with pytest.raises(RnnReportError, match=r"epoch \d: the loss is no longer finite \(lower training.learning-rate"):
        run(wanted, tmp_path)


def test_a_language_model_does_not_read_from_the_end(tmp_path):
    wanted = settings(corpus_of("language-model", tmp_path), model=Model(direction="both"))
    with pytest.raises(InputError, match="sees the next token"):
        run(wanted, tmp_path)


def test_the_folder_of_another_training_is_refused(tmp_path):
    file = corpus_of("classification", tmp_path)
    wanted = settings(file)
    run(wanted, tmp_path)
    other = dataclasses.replace(wanted, training=dataclasses.replace(wanted.training, learning_rate=0.5))
    with pytest.raises(InputError, match=r"holds another training: training\.learning-rate was 0\.01, now 0\.5"):
        run(other, tmp_path)
    run(dataclasses.replace(wanted, name="another title"), tmp_path)
    with pytest.raises(InputError, match="seed was 0, now 1"):
        run(wanted, tmp_path, seed=1)
    corpus_of("classification", tmp_path, 41)
    with pytest.raises(InputError, match=r"splits.*sha256 was"):
        run(wanted, tmp_path)


def test_a_damaged_checkpoint_is_told(tmp_path):
    wanted = settings(corpus_of("classification", tmp_path))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / manager.UNFINISHED).write_bytes(b"half")
    with pytest.raises(InputError, match=r"training.pt is damaged.*--force"):
        run(wanted, tmp_path)


def test_states_of_the_validation_split_and_few_of_them(tmp_path):
    file = corpus_of("classification", tmp_path, 80)
    folder = run(settings(file, record=Record("valid", max_steps=20)), tmp_path)
    splits = load_splits(settings(file).data, tmp_path)
    assert set(folder.probe().sequence_ids) < set(splits.valid.sequence_ids)
    assert 0 < int(folder.probe().lengths.sum()) <= 20
