"""The callback for Lightning, in trainings by Lightning itself."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from rnnreport import InputError, RecordingWarning, RunFolder, load_corpus
from rnnreport.integrations.lightning import RecorderCallback
from rnnreport.load.corpus import Corpus

torch.set_num_threads(1)

# Lightning advises on numbers of workers, devices, loggers and steps, all of which a test this small has on purpose
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:UserWarning:lightning.*"),
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:lightning.*"),
    pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec.*:FutureWarning"),
]


class Net(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.emb, self.rnn, self.fc = nn.Embedding(10, 5), nn.GRU(5, 6, batch_first=True), nn.Linear(6, 2)
        self.states: list[Tensor] = []
        self.logged: list[dict[str, float]] = []

    def forward(self, tokens: Tensor) -> Tensor:
        output: Tensor = self.fc(self.rnn(self.emb(tokens))[0][:, -1])
        return output

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        loss = nn.functional.cross_entropy(self(batch[0]), batch[1])
        self.log("train_loss", loss, on_step=False, on_epoch=True, sync_dist=True)
        return loss

    def validation_step(self, batch: list[Tensor], _: int) -> None:
        self.log("val_loss", nn.functional.cross_entropy(self(batch[0]), batch[1]), sync_dist=True)

    def on_train_epoch_end(self) -> None:  # Lightning calls callbacks first, then this
        self.log("number", self.current_epoch + 1.0)
        self.logged.append({name: float(value) for name, value in self.trainer.callback_metrics.items()})
        with torch.no_grad():
            self.states.append(self.rnn(self.emb(self.first))[0][0])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    rng = random.Random(0)
    rows = [f"{n % 2}\t{' '.join(rng.choice('abcdefgh') for _ in range(5))}\n" for n in range(12)]
    (tmp_path / "a.tsv").write_text("label\ttext\n" + "".join(rows))
    return load_corpus(tmp_path / "a.tsv")


def train(
    corpus: Corpus, folder: Path, callbacks: list[Any], epochs: int = 2, validate: int = 1, **options: Any
) -> Net:
    torch.manual_seed(0)
    tokens = torch.from_numpy(np.stack(corpus.inputs)).long()
    loader = DataLoader(TensorDataset(tokens, torch.from_numpy(corpus.labels).long()), batch_size=4)
    net = Net()
    net.first = tokens[:1]
    trainer = Trainer(
        max_epochs=epochs,
        check_val_every_n_epoch=validate or None,
        accelerator="cpu",
        callbacks=callbacks,
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
    trainer.fit(net, loader, loader if validate else None)
    return net


@pytest.mark.parametrize("validate", [1, 0])
def test_every_epoch_with_its_metrics(validate: int, corpus: Corpus, tmp_path: Path) -> None:
    net = train(corpus, tmp_path, [RecorderCallback(corpus, tmp_path / "run", name="by Lightning")], validate=validate)
    folder = RunFolder.open(tmp_path / "run")
    assert folder.manifest().name == "by Lightning"
    assert folder.epochs() == [1, 2]
    for line, logged, epoch, states in zip(folder.metrics(), net.logged, (1, 2), net.states, strict=True):
        assert set(logged) == ({"number", "train_loss"} | ({"val_loss"} if validate else set()))
        assert {name: line[name] for name in logged} == pytest.approx(logged)
        assert line["number"] == epoch
        recorded = folder.checkpoint(epoch).states["rnn.0.fwd.h"][:5]
        np.testing.assert_allclose(recorded, states.numpy(), atol=1e-6)
    assert not torch.equal(*net.states)


def test_a_recorded_training_is_the_same_training(corpus: Corpus, tmp_path: Path) -> None:
    recorded = train(corpus, tmp_path, [RecorderCallback(corpus, tmp_path / "run")])
    alone = train(corpus, tmp_path, [])
    for one, other in zip(recorded.parameters(), alone.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(("every", "validated"), [(1, {3, 6}), (2, {6}), (5, set())])
def test_an_epoch_has_only_numbers_of_its_own(every: int, validated: set[int], corpus: Corpus, tmp_path: Path) -> None:
    """Lightning keeps the numbers of the last validation, here that of every third epoch."""
    net = train(corpus, tmp_path, [RecorderCallback(corpus, tmp_path / "run", every=every)], epochs=7, validate=3)
    lines = RunFolder.open(tmp_path / "run").metrics()
    assert {line["epoch"] for line in lines} == {*range(every, 8, every), 7}
    assert {line["epoch"] for line in lines if "val_loss" in line} == validated
    assert all("val_loss" in logged for logged in net.logged[2:])
    for line in lines:
        logged = net.logged[line["epoch"] - 1]
        assert {name: line[name] for name in logged if name in line} == pytest.approx(
            {name: value for name, value in logged.items() if name != "val_loss" or line["epoch"] in validated}
        )


def test_every_second_epoch_and_the_last(corpus: Corpus, tmp_path: Path) -> None:
    train(corpus, tmp_path, [RecorderCallback(corpus, tmp_path / "run", every=2)], epochs=5)
    assert RunFolder.open(tmp_path / "run").epochs() == [2, 4, 5]
    stop = EarlyStopping("val_loss", stopping_threshold=10.0)
    net = train(corpus, tmp_path, [stop, RecorderCallback(corpus, tmp_path / "stopped", every=4)], epochs=5)
    stopped = RunFolder.open(tmp_path / "stopped")
    assert stopped.epochs() == [1]
    np.testing.assert_allclose(stopped.checkpoint(1).states["rnn.0.fwd.h"][:5], net.states[-1].numpy(), atol=1e-6)


def test_a_failing_recording_does_not_stop_the_trainer(corpus: Corpus, tmp_path: Path, monkeypatch: Any) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rnnreport.results.store.os.replace", full)
    with pytest.warns(RecordingWarning, match="No space left"):
        net = train(corpus, tmp_path, [RecorderCallback(corpus, tmp_path / "run")])
    assert len(net.logged) == 2


def test_a_head_that_is_not_there_is_told_before_training(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        train(corpus, tmp_path, [RecorderCallback(corpus, tmp_path / "run", head="nowhere")])


def train_on_two_ranks(folder: Path) -> None:
    corpus = load_corpus(folder / "a.tsv")
    train(corpus, folder, [RecorderCallback(corpus, folder / "run")], devices=2, strategy="ddp_fork")


def test_two_processes_that_gather_their_metrics(corpus: Corpus, tmp_path: Path, root: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tests.unit.test_integrations_lightning import train_on_two_ranks\n"
        "train_on_two_ranks(Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, cwd=root, timeout=120)
    folder = RunFolder.open(tmp_path / "run")
    assert folder.epochs() == [1, 2]
    assert len((folder.path / "metrics.jsonl").read_text().splitlines()) == 2  # those of one rank
    assert all({"train_loss", "val_loss", "number"} <= line.keys() for line in folder.metrics())


def test_the_package_of_the_older_name_will_do() -> None:
    script = (
        "import sys; sys.modules['lightning'] = None\n"
        "from rnnreport.integrations.lightning import RecorderCallback\n"
        "from pytorch_lightning import Callback\n"
        "assert issubclass(RecorderCallback, Callback)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
