"""The model manager: every task and cell is trained, and to the same bits whatever happens in between."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from rnnreport.capture.probe import hash_order
from rnnreport.capture.recorder import Recorder
from rnnreport.errors import InputError, RnnReportError
from rnnreport.load.corpus import load_corpus
from rnnreport.load.model import load_model
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Continuations, Gates
from rnnreport.train import fitting, manager
from rnnreport.train.data import load_splits, take
from rnnreport.train.nets import Net
from rnnreport.train.settings import Fit, Model, Record, Schedule, Settings, Stopping
from tests.trainings import CELLS, TASKS, WORDS, contents, corpus_of, log_of, metrics, run, settings


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


@pytest.mark.parametrize("direction", ["forward", "both"])
@pytest.mark.parametrize("cell", CELLS)
def test_layers_of_different_sizes(tmp_path, cell, direction):
    model = Model(cell, units=(5, 3), embedding=4, direction=direction, dropout=0.3)
    wanted = settings(corpus_of("classification", tmp_path), model=model, training=Fit(epochs=1, batch_size=8))
    folder = run(wanted, tmp_path)
    told = folder.manifest().model
    assert (told["cell"], told["layers"], told["units"]) == (cell, 2, "5, 3")
    net, probe, last = manager.trained(str(folder.path)), folder.probe(), folder.checkpoint(1)
    tokens = torch.from_numpy(probe.tokens[: probe.offsets[1]]).long()[None]
    with torch.no_grad():  # without dropout the net is nothing but torch's layers, one after the other
        below, _ = net.eval().rnn[0](net.embedding(tokens))
        above, _ = net.rnn[1](below)
    assert above.shape[2] == 3 * (1 + (direction == "both"))
    for states, key in ((below, "rnn.0.0.fwd.h"), (above, "rnn.1.0.fwd.h")):
        found = last.states[key]
        assert np.allclose(found[: tokens.shape[1]], states[0, :, : found.shape[1]], atol=1e-6)
    assert folder.manifest().state_keys[0] == "rnn.1.0.fwd.h"


def test_dropout_falls_between_layers_of_different_sizes():
    torch.manual_seed(0)
    net = Net("GRU", 2, per_sequence=True, units=(6, 4), vocabulary=9, embedding=3, dropout=0.5)
    tokens, lengths = torch.randint(9, (4, 5)), torch.tensor([5, 3, 4, 5])
    seen = []
    net.rnn[1].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    net.train()(tokens), net.train()(tokens, lengths), net.eval()(tokens)
    zeros = [float((each.data == 0).float().mean()) for each in seen]
    assert 0.3 < zeros[0] < 0.7 and 0.3 < zeros[1] < 0.7 and zeros[2] == 0


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
        assert folder.recorded_epochs() == [line["epoch"] for line in folder.metrics()] == list(range(best + 4))
        assert folder.epochs() == list(range(best + 1))
        assert log["kept_epoch"] == folder.manifest().model["kept_epoch"] == best

    def test_the_weights_are_those_of_the_states(self, tmp_path):
        file = corpus_of("multi-label", tmp_path)
        wanted = stubborn(file, stopping=Stopping(patience=3))
        folder = run(wanted, tmp_path)
        net = load_model("rnnreport.train.manager:trained", {"run": str(folder.path)}, None)
        found = fitting.evaluate(net, fitting.examples(load_splits(wanted.data, tmp_path).test), 4)
        kept = folder.epochs()[-1]
        assert found["loss"] == pytest.approx(folder.metrics()[kept]["test_loss"])
        key = folder.manifest().state_keys[0]
        states = Recorder(net, load_splits(wanted.data, tmp_path).test, tmp_path / "other").capture(0).states[key]
        assert np.array_equal(states, folder.checkpoint(kept).states[key])
        assert not np.array_equal(states, folder.checkpoint(kept + 1).states[key])

    def test_without_it_all_epochs_are_trained(self, tmp_path):
        fit = Fit(epochs=12, batch_size=4, learning_rate=0.05)
        wanted = dataclasses.replace(stubborn(corpus_of("multi-label", tmp_path)), training=fit)
        folder = run(wanted, tmp_path)
        assert folder.epochs() == list(range(13))
        assert log_of(folder)["kept_epoch"] == 12
        assert "kept_epoch" not in folder.manifest().model

    def test_what_is_recorded_once_is_of_the_weights_kept(self, tmp_path):
        """Gates, continuations and salience, as after a run; none of them knows the epochs after the best one."""
        wanted = stubborn(corpus_of("language-model", tmp_path), stopping=Stopping(patience=2), record=Record())
        folder = run(wanted, tmp_path)
        kept = folder.epochs()[-1]
        assert kept < folder.recorded_epochs()[-1]
        gates, states = folder.record(Gates), folder.checkpoint(kept).states[folder.manifest().state_keys[0]]
        name = "rnn.0.fwd."
        z, n = gates.values[name + "z"][1], gates.values[name + "n"][1]
        assert np.allclose(states[1], (1 - z) * n + z * states[0], atol=1e-6)
        assert {gates.epoch, folder.record(Continuations).epoch, folder.salience().epoch} == {kept}
        assert folder.salience().reason == "" and folder.salience().norms.size


def test_of_a_large_training_split_a_sample_is_scored(tmp_path, monkeypatch):
    wanted = settings(corpus_of("classification", tmp_path, 60), training=Fit(epochs=1, batch_size=8))
    splits = load_splits(wanted.data, tmp_path)
    most = max(len(splits.valid.inputs), len(splits.test.inputs))
    whole = metrics(run(wanted, tmp_path, "whole"))
    monkeypatch.setattr(manager, "SCORED", 5)
    part = metrics(run(wanted, tmp_path, "part"))
    assert [line["test_loss"] for line in part] == [line["test_loss"] for line in whole]
    chosen = hash_order(splits.train.sequence_ids)[:most]
    assert 5 < most < len(splits.train.inputs)
    net = manager.trained(str(tmp_path / "part"))
    found = fitting.evaluate(net, fitting.examples(take(splits.train, chosen)), 8)
    assert part[-1]["train_loss"] == pytest.approx(found["loss"], rel=1e-5)
    assert part[-1]["train_loss"] != pytest.approx(whole[-1]["train_loss"], rel=1e-5)


def test_a_test_split_larger_than_the_probe_set_is_streamed(tmp_path):
    (tmp_path / "text.txt").write_text(" ".join(WORDS * 60))
    folder = run(settings("text.txt", record=Record(max_steps=24)), tmp_path)
    streamed = folder.corpus_responses(0)
    assert streamed.sequences == log_of(folder)["splits"]["test"]["sequences"] > len(folder.probe().sequence_ids)
    assert len(folder.corpus_gates()) == 3


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
