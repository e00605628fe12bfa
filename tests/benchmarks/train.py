"""What an epoch of ``rnnreport train`` costs beside the bare loop of torch, on text like the Penn Treebank.

``python -m tests.benchmarks.train [TOKENS]``: so many tokens of training text instead of 930,000, all that is scored
and recorded cut alike; 10,000 words with the frequencies of a natural language; net and settings as in ``ptb.toml`` of
its README. One thread, processor time.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from rnnreport.capture.recorder import Recorder
from rnnreport.load.corpus import Corpus
from rnnreport.progress import silence
from rnnreport.train import fitting, manager
from rnnreport.train.data import Splits
from rnnreport.train.settings import Data, Fit, Model, Schedule, Settings, Stopping
from tests.benchmarks.timing import shares, table

WORDS, STEPS, BATCH, RATE, CLIP, REPEATS = 10_000, 35, 20, 5.0, 5.0, 3
TREEBANK = {"train": 930_000, "valid": 74_000, "test": 82_000, "recorded": 20_000}
SETTINGS = Settings(
    data=Data("none"),
    model=Model("LSTM", units=200, layers=2, embedding=200, dropout=0.2),
    training=Fit(epochs=1, batch_size=BATCH, optimiser="sgd", learning_rate=RATE, clip=CLIP),
    schedule=Schedule("plateau"),
    stopping=Stopping(4),
)


def text(name: str, tokens: int) -> Corpus:
    """Sequences of 35 tokens and the ones that follow."""
    draw = np.random.default_rng(len(name)).zipf(1.2, tokens // STEPS * STEPS) % WORDS
    inputs = tuple(np.split(draw.astype(np.int32), tokens // STEPS))
    ids = tuple(f"{name} {place}" for place in range(len(inputs)))
    words = tuple(map(str, range(WORDS)))
    nothing = np.zeros(0, np.int32)
    return Corpus(name, "language-model", ids, inputs, nothing, (), words, (), (), {}, 0, name)


def bare(train: Corpus) -> None:
    """One epoch as one would write it: nothing is scored, kept or recorded."""
    torch.manual_seed(0)
    tokens = torch.from_numpy(np.stack(train.inputs)).long()
    net = fitting.build(SETTINGS.model, train).train()
    optimiser = torch.optim.SGD(net.parameters(), lr=RATE)
    for places in torch.randperm(len(tokens)).split(BATCH):
        scores = net(tokens[places, :-1])
        loss = nn.functional.cross_entropy(scores.flatten(0, 1), tokens[places, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), CLIP)
        optimiser.step()


def main(tokens: int) -> None:
    """Print the parts of an epoch as shares of the bare one."""
    silence(True)
    torch.set_num_threads(1)
    size = {name: round(count * tokens / TREEBANK["train"]) for name, count in TREEBANK.items()}
    manager.SCORED = round(manager.SCORED * tokens / TREEBANK["train"])
    splits = Splits(*(text(name, size[name]) for name in ("train", "valid", "test")))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        training = manager.Training(SETTINGS, splits, 0)
        recorder = Recorder(training.net, splits.test, path, max_steps=size["recorded"])
        path.mkdir()
        parts = {
            "training": lambda: fitting.train_epoch(
                training.net, training.examples["train"], SETTINGS.training, training.optimiser
            ),
            "scores": training.start,
            "saving": lambda: manager._save(training, path, {}),
            "recording": lambda: recorder.record(0),
        }
        found = shares(lambda: bare(splits.train), parts, REPEATS)
    found["together"] = sum(found.values())
    sys.stdout.write(table(["tokens", *found], [[f"{tokens:,}", *(f"{share:.2f}" for share in found.values())]]))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30_000)
