"""Checkpoints that Lightning and the Hugging Face Trainer leave behind: read, or refused with the way out."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch import Trainer as LightningTrainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from transformers import Trainer, TrainingArguments

from rnnreport.load.checkpoints import allowing
from rnnreport.load.weights import load_weights
from tests.unit.test_load_checkpoints import Net, fits, offered, refusal


class Lit(LightningModule):
    """The module beside the weights of its loss, as many are."""

    def __init__(self, units: int = 4, extra: Any = None) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.model, self.loss = Net(units), nn.CrossEntropyLoss(weight=torch.ones(2))

    def training_step(self, batch: Any, _: int) -> Tensor:
        loss: Tensor = self.loss(self.model(batch[0])["logits"], batch[1])
        self.log("loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters())


def train_by_lightning(folder: Path, module: Lit) -> Path:
    data = TensorDataset(torch.randn(8, 5, 3), torch.arange(8) % 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        LightningTrainer(
            max_epochs=1,
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[ModelCheckpoint(dirpath=folder, filename="last", monitor="loss")],
        ).fit(module, DataLoader(data, batch_size=4))
    return folder / "last.ckpt"


def test_lightning_checkpoint_into_the_module_and_into_its_net(tmp_path: Path) -> None:
    module = Lit()
    path = train_by_lightning(tmp_path, module)
    assert {"hyper_parameters", "optimizer_states", "callbacks"} <= torch.load(path, weights_only=True).keys()
    for model, source in ((Lit(), module), (Net(), module.model)):
        assert not fits(model, source)
        load_weights(model, path)
        assert fits(model, source)


def test_lightning_checkpoint_with_settings_that_are_objects(tmp_path: Path) -> None:
    module = Lit(extra=argparse.Namespace(folder=Path("x")))
    path = train_by_lightning(tmp_path, module)
    message = refusal(path)
    assert "argparse.Namespace, pathlib.PosixPath" in message
    assert message.endswith("add --safe-global argparse:Namespace --safe-global pathlib:PosixPath)")
    model = Net()
    with allowing(offered(message)):
        load_weights(model, path)
    assert fits(model, module.model)
    assert refusal(path) == message, "what is allowed holds inside the context only"


def test_hugging_face_folder(tmp_path: Path) -> None:
    rows = [{"values": torch.randn(5, 3), "labels": torch.tensor(n % 2)} for n in range(8)]
    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        num_train_epochs=1,
        save_strategy="epoch",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = Trainer(Net(), arguments, train_dataset=rows)
        trainer.train()
    (folder,) = tmp_path.glob("checkpoint-*")
    for path in (folder, folder / "model.safetensors"):
        model = Net()
        load_weights(model, path)
        assert fits(model, trainer.model)
    assert "keys are state, param_groups" in refusal(folder / "optimizer.pt")
    (folder / "model.safetensors").unlink()
    assert "holds neither model.safetensors nor pytorch_model.bin" in refusal(folder)
    torch.save(trainer.model.state_dict(), folder / "pytorch_model.bin")
    model = Net()
    load_weights(model, folder)
    assert fits(model, trainer.model)
