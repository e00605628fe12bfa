"""Record a training by Lightning: ``Trainer(callbacks=[RecorderCallback(corpus, run="runs/a")])``."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from rnnreport.capture.recorder import Recorder
from rnnreport.load.corpus import Corpus
from rnnreport.results.recorded import Probe

if TYPE_CHECKING or find_spec("lightning") is not None:
    from lightning.pytorch import Callback, LightningModule, Trainer
else:
    from pytorch_lightning import Callback, LightningModule, Trainer


class RecorderCallback(Callback):
    """Records the module after epochs of training, with the trainer's ``callback_metrics``.

    Parameters
    ----------
    probe : Probe or Corpus
    run : path
        The run folder.
    every : int
        Record after every so many epochs, and after the last one.
    **options
        Further arguments of ``Recorder``.
    """

    def __init__(self, probe: Probe | Corpus, run: str | os.PathLike[str], every: int = 1, **options: Any) -> None:
        self._every = every
        self._arguments = {"probe": probe, "run": run, **options}
        self._recorder: Recorder | None = None
        self._done = self._recorded = 0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse what cannot be recorded before training begins."""
        self._recorder = Recorder(pl_module, **self._arguments)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record; the validation of the epoch, if any, is over by now and its metrics are there."""
        self._done = trainer.current_epoch + 1
        if self._done % self._every == 0:
            self._record(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the last epoch where that is still to be done."""
        if self._done != self._recorded:
            self._record(trainer)

    def _record(self, trainer: Trainer) -> None:
        assert self._recorder is not None  # Lightning calls on_fit_start first
        self._recorded = self._done
        self._recorder.epoch(self._done, **trainer.callback_metrics)
