"""Trainings on real series with the settings that the authors of MM-PHATE published, and what is found in them.

``python -m tests.benchmarks.training_runs train OUT [--sets har] [--cells RNN GRU LSTM]``: trains and records, a run
folder each (human activity: minutes to an hour per net); ``... findings OUT``: analyses them, prints what reproduces.

Published: LSTM of 20 units on neural recordings (batch 64, rate 1e-4, 200 epochs, recorded 0-29 and then every 5th);
LSTM of 30 units on human activity (128 steps, batch 32, rate 2e-5, 1000 epochs, recorded 0-29 and then every 10th,
accuracy 0.931). Here human activity is trained for a fifth of the epochs at five times the rate, on the raw 6 channels.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from rnnreport import Recorder
from rnnreport.analyses.mmphate.dynamics import DynamicsParams, Embedded, training_dynamics
from rnnreport.analyses.mmphate.formation import FormationParams, formation
from rnnreport.analyses.mmphate.pictures import PicturesParams, other_pictures
from rnnreport.analyses.mmphate.probes import ProbeParams, linear_probes
from rnnreport.load.corpus import Corpus
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Doubles, Floats, Ints
from rnnreport.results.schema import Probes
from rnnreport.train.nets import Cell, Classifier

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
CELLS: tuple[Cell, ...] = ("RNN", "GRU", "LSTM")


@dataclass(frozen=True)
class Settings:
    """Of one data set: units, batch, learning rate, epochs, and how far apart they are recorded from the 30th on."""

    units: int
    batch: int
    rate: float
    epochs: int
    every: int


SETTINGS = {
    "it_spikes": Settings(20, 64, 1e-3, 200, 5),
    "har": Settings(30, 32, 1e-4, 200, 10),
    "har_published": Settings(30, 32, 2e-5, 1000, 10),
}


@dataclass(frozen=True)
class Data:
    """``values`` float32 (N, T, D) standardised on the training part, ``labels`` int32 (N,), ``test`` bool (N,)."""

    values: Floats
    labels: Ints
    test: np.ndarray
    classes: tuple[str, ...]
    features: tuple[str, ...]


def read(name: str) -> Data:
    """One of the data sets, split as its description proposes."""
    if name.startswith("har"):
        stored = np.load(DATA / "har" / "har_windows.npz")
        values, test = stored["X"] * stored["scale"], stored["is_test"].astype(bool)
        features = tuple(f"{sensor} {axis}" for sensor in ("acceleration", "rotation") for axis in "xyz")
    else:
        stored = np.load(DATA / "it_spikes" / "it_spikes.npz")
        values, test = np.sqrt(stored["X"].astype(np.float64)), stored["repeat"] >= 14
        features = tuple(f"neuron {place}" for place in range(values.shape[2]))
    own = values[~test].reshape(-1, values.shape[2])
    scaled = (values - own.mean(axis=0)) / (own.std(axis=0) + 1e-9)
    classes = tuple(str(label) for label in stored["class_names"])
    return Data(scaled.astype(np.float32), stored["y"].astype(np.int32), test, classes, features)


def probe_of(name: str, data: Data) -> Corpus:
    """The test part as a corpus."""
    places = np.flatnonzero(data.test)
    return Corpus(
        name=name,
        task="classification",
        sequence_ids=tuple(f"{name}-{place:04d}" for place in places),
        inputs=tuple(data.values[places]),
        labels=data.labels[places],
        step_targets=(),
        vocabulary=(),
        class_names=data.classes,
        feature_names=data.features,
        skipped={},
        unknown_tokens=0,
        sha256="",
    )


def train(name: str, cell: Cell, out: Path) -> None:
    """Train one net and record it."""
    settings, data = SETTINGS[name], read(name)
    torch.manual_seed(0)
    net = Classifier(cell, settings.units, len(data.classes), features=len(data.features))
    recorder = Recorder(net, probe_of(name, data), out / f"{name}-{cell.lower()}", name=f"{name}, {cell}")
    parts = [
        (torch.tensor(data.values[part]), torch.tensor(data.labels[part]).long()) for part in (~data.test, data.test)
    ]
    start = time.perf_counter()
    for epoch in epochs(net, *parts[0], settings):
        if epoch < 30 or epoch % settings.every == 0:
            found = [scores(net, *part) for part in parts]
            metrics = {
                f"{which}_{what}": value
                for which, both in zip(("train", "test"), found, strict=True)
                for what, value in both.items()
            }
            recorder.epoch(epoch, **metrics)
            if epoch % 50 == 0:
                print(name, cell, epoch, f"{time.perf_counter() - start:.0f} s", metrics, flush=True)  # noqa: T201


def epochs(net: nn.Module, values: Tensor, labels: Tensor, settings: Settings) -> Iterator[int]:
    """Trains with Adam; yields before the first epoch and after each."""
    optimiser = torch.optim.Adam(net.parameters(), lr=settings.rate)
    order = torch.Generator().manual_seed(0)
    yield 0
    for epoch in range(1, settings.epochs + 1):
        net.train()
        for batch in torch.split(torch.randperm(len(values), generator=order), settings.batch):
            optimiser.zero_grad()
            loss = nn.functional.cross_entropy(net(values[batch]), labels[batch])
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimiser.step()
        yield epoch


@torch.no_grad()
def scores(net: nn.Module, values: Tensor, labels: Tensor) -> dict[str, float]:
    """Cross entropy in nats and accuracy."""
    net.eval()
    output = torch.cat([net(part) for part in torch.split(values, 512)])
    right = (output.argmax(dim=1) == labels).double().mean()
    return {"loss": float(nn.functional.cross_entropy(output, labels)), "accuracy": float(right)}


@dataclass(frozen=True)
class Found:
    """What is told of one net, a column each."""

    name: str
    accuracy: str
    best: str
    settled: str
    jumps: str
    follows: str
    after: str
    kept: str
    read: str
    held: str
    disagree: str


def findings(path: Path) -> Found:
    """Analyse a recorded net: 16 steps, all units, at most 64 epochs."""
    folder = RunFolder(path)
    probe, scope = folder.probe(), folder.manifest().state_keys[0]
    params = DynamicsParams(epochs=64, steps=16, nodes=32_000)
    embedded = training_dynamics(folder, scope, probe, params)
    assert isinstance(embedded, Embedded), embedded
    metrics = {line["epoch"]: line for line in folder.metrics()}
    epochs = embedded.dynamics.epochs
    loss = np.array([metrics[epoch]["test_loss"] for epoch in epochs.tolist()])
    formed = formation(embedded, None, ("test_loss", epochs, loss), FormationParams())
    pictures = other_pictures(embedded, PicturesParams())
    kept = {name: judged["within_unit"] for name, judged in zip(pictures.methods, pictures.kept, strict=True)}
    probes = linear_probes(folder, probe, embedded.dynamics, scope, ProbeParams())
    assert isinstance(probes, Probes), probes
    spread = np.nanmean(formed.within_step, axis=2)
    best = int(loss.argmin())
    settled = formed.settled
    last = metrics[int(epochs[-1])]
    return Found(
        name=path.name,
        accuracy=f"{last['train_accuracy']:.3f}, {last['test_accuracy']:.3f}",
        best=f"{epochs[best]}: {loss[best]:.2f}, then {loss[-1]:.2f}",
        settled=f"{settled['epoch']} ({settled['low']} to {settled['high']})",
        jumps=", ".join(str(jump["epoch"]) for jump in formed.jumps) or "none",
        follows=", ".join(follows(values, loss, epochs) for values in spread),
        after=", ".join(f"{slope(values[: best + 1]):+.2f} / {slope(values[best:]):+.2f}" for values in spread),
        kept=", ".join(f"{name} {share:.2f}" for name, share in kept.items()),
        read=f"{probes.accuracy[0, -1]:.2f} to {probes.accuracy[-1, -1]:.2f} ({probes.control[-1, -1]:.2f})",
        held=f"{probes.information[0, -1]:.2f} to {probes.information[-1, -1]:.2f} of {probes.entropy:.2f}",
        disagree=f"{len(formed.flagged['alignment'])} of {epochs.size}",
    )


def follows(values: Doubles, loss: Doubles, epochs: Ints) -> str:
    """Rank correlation of the sizes of change of a curve and of the test loss, in the first 30 epochs and afterwards.

    Over all epochs it would mostly say that both change less as the training goes on, and more between epochs that lie
    further apart.
    """
    moved, fell = np.abs(np.diff(values)), np.abs(np.diff(loss))
    early = epochs[1:] < 30
    return " / ".join(f"{spearmanr(moved[part], fell[part]).statistic:.2f}" for part in (early, ~early))


def slope(values: Doubles) -> float:
    """Difference of the last and the first value of a stretch of epochs; NaN of fewer than two."""
    return float(values[-1] - values[0]) if len(values) > 1 else math.nan


def main() -> None:
    """Read the command line."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("what", choices=("train", "findings"))
    asked.add_argument("out", type=Path)
    asked.add_argument("--sets", nargs="+", choices=tuple(SETTINGS), default=tuple(SETTINGS))
    asked.add_argument("--cells", nargs="+", choices=CELLS, default=CELLS)
    given = asked.parse_args()
    torch.set_num_threads(1)
    if given.what == "findings":
        found = [findings(path.parent) for path in sorted(given.out.glob("*/run.json"))]
        for field in fields(Found):
            print("|", " | ".join([field.name, *(getattr(one, field.name) for one in found)]), "|")  # noqa: T201
        return
    for name in given.sets:
        for cell in given.cells:
            train(name, cell, given.out)


if __name__ == "__main__":
    main()
