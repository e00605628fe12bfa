"""Training is seeded, counts every sequence once, and is good enough to be shown."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from rnnreport.train.loop import batches, build, evaluate, train
from rnnreport.train.tasks import Split, load_task


@pytest.fixture(scope="module")
def sentiment():
    return load_task("sentiment", 0)


def test_batches_hold_every_sequence_once_and_equal_lengths(sentiment):
    split = sentiment.test
    numbered = Split(split.ids, split.inputs, tuple(torch.tensor(n) for n in range(len(split))))
    made = batches(numbered, 16, torch.Generator().manual_seed(0))
    places = torch.cat([targets for _, targets in made]).tolist()
    assert sorted(places) == list(range(len(split)))
    assert places != sorted(places)
    for inputs, targets in made:
        assert len(inputs) == len(targets) <= 16
        for row, place in zip(inputs, targets.tolist(), strict=True):
            assert torch.equal(row, split.inputs[place])


@pytest.mark.parametrize("name", ["sentiment", "source"])
def test_evaluation_equals_one_sequence_at_a_time(name):
    task = load_task(name, 0)
    net = build(task, "GRU", 0)
    split = Split(task.test.ids[:40], task.test.inputs[:40], task.test.targets[:40])
    losses, hits = [], []
    with torch.no_grad():
        for inputs, target in zip(split.inputs, split.targets, strict=True):
            scores = net(inputs.unsqueeze(0)).reshape(-1, net.head.out_features)
            for row, wanted in zip(scores, target.reshape(-1), strict=True):
                if wanted >= 0:
                    losses.append(-torch.log_softmax(row, 0)[wanted].item())
                    hits.append(row.argmax().item() == wanted.item())
    loss, accuracy = evaluate(net, split)
    assert loss == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    assert accuracy == pytest.approx(sum(hits) / len(hits))


def trained(task, cell, seed):
    net = build(task, cell, seed)
    return net, list(train(net, task, seed))


@pytest.mark.parametrize("cell", ["RNN", "GRU", "LSTM"])
def test_the_same_seed_gives_the_same_bits(sentiment, cell):
    short = dataclasses.replace(
        sentiment, epochs=2, train=Split(*(field[:200] for field in dataclasses.astuple(sentiment.train)))
    )
    (net, scores), (again, scores_again) = trained(short, cell, 5), trained(short, cell, 5)
    other, _ = trained(short, cell, 6)
    assert scores == scores_again
    for one, two in zip(net.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, two)
    assert any(not torch.equal(one, two) for one, two in zip(net.parameters(), other.parameters(), strict=True))


def test_epoch_zero_is_the_untrained_net(sentiment):
    net = build(sentiment, "RNN", 0)
    first = next(train(net, sentiment, 0))
    assert first.epoch == 0
    assert first.test_loss == evaluate(build(sentiment, "RNN", 0), sentiment.test)[0]
    assert isinstance(net, nn.Module)
    assert first.metrics().keys() == {"train_loss", "test_loss", "test_accuracy"}


@pytest.mark.parametrize(
    ("name", "cell", "accuracy"),
    [
        ("digits", "RNN", 0.85),
        ("digits", "GRU", 0.9),
        ("digits", "LSTM", 0.9),
        ("sentiment", "GRU", 0.95),
        ("sentiment", "LSTM", 0.95),
    ],
)
def test_the_nets_learn_their_task(name, cell, accuracy):
    task = load_task(name, 0)
    _, scores = trained(task, cell, 0)
    assert [score.epoch for score in scores] == list(range(task.epochs + 1))
    assert scores[-1].test_accuracy > accuracy
    assert scores[-1].test_loss < scores[0].test_loss / 2
