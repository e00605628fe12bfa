"""Record a training by Lightning: ``Trainer(callbacks=[RecorderCallback(corpus, run="runs/a")])``."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from torch import Tensor

from rnnreport.capture.recorder import Recorder
from rnnreport.load.corpus import Corpus
from rnnreport.results.recorded import Probe

if TYPE_CHECKING or find_spec("lightning") is not None:
    from lightning.pytorch import Callback, LightningModule, Trainer
else:
    from pytorch_lightning import Callback, LightningModule, Trainer


class RecorderCallback(Callback):
    """Records the module after epochs of training, with those of the trainer's ``callback_metrics`` logged in them.

    An epoch is recorded when the next one begins or the training is over, because Lightning calls the module's own
    ``on_train_epoch_end``, which may log, after that of the callbacks.

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
        self._ended = 0  # the epoch that is over and not recorded, or 0
        self._known: dict[str, Tensor] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse what cannot be recorded before training begins."""
        self._recorder = Recorder(pl_module, **self._arguments)
        self._ended = 0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the epoch before."""
        self._finish(trainer, self._every)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The module's own numbers may follow."""
        self._ended = trainer.current_epoch + 1

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the last epoch."""
        self._finish(trainer, every=1)

    def _finish(self, trainer: Trainer, every: int) -> None:
        metrics = dict(trainer.callback_metrics)  # on every rank, as they may be gathered now
        # Lightning keeps the tensors of earlier epochs and makes new ones for what is logged
        fresh = {name: value for name, value in metrics.items() if value is not self._known.get(name)}
        epoch, self._ended, self._known = self._ended, 0, metrics
        if self._recorder is not None and epoch and epoch % every == 0:
            self._recorder.epoch(epoch, **fresh)
