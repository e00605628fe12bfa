"""Record a training by Hugging Face: ``Trainer(..., callbacks=[RecorderCallback(corpus, run="runs/a")])``."""

from __future__ import annotations

import math
import os
from typing import Any, SupportsFloat

from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from rnnreport.capture.recorder import Recorder
from rnnreport.load.corpus import Corpus
from rnnreport.results.recorded import Probe

_SPEED = ("_runtime", "_per_second", "_preparation_time", "_compilation_time")
_WHOLE_TRAINING = "train_runtime"  # of the line that the trainer logs last, before it loads an earlier, better model


class RecorderCallback(TrainerCallback):
    """Records the model after epochs of training, with the numbers that the trainer logged in that epoch.

    An epoch is recorded when the next one begins or the training is over, so that all its evaluations are done.

    Parameters
    ----------
    probe : Probe or Corpus
    run : path
        The run folder.
    every : int
        Record after every so many epochs, and after the last one, a begun one included.
    **options
        Further arguments of ``Recorder``.
    """

    def __init__(self, probe: Probe | Corpus, run: str | os.PathLike[str], every: int = 1, **options: Any) -> None:
        self._every = every
        self._arguments = {"probe": probe, "run": run, **options}
        self._recorder: Recorder | None = None
        self._ended = 0  # the epoch that is over and not recorded, or 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Refuse what cannot be recorded before training begins."""
        model: nn.Module = kwargs["model"]
        self._recorder = Recorder(model, **self._arguments)
        self._ended = 0

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Evaluations and lines of the log may follow."""
        self._ended = math.ceil(state.epoch or 0.0)

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Record the epoch before."""
        if self._ended % self._every == 0:
            self._record(state)

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Record the last epoch."""
        if _WHOLE_TRAINING in kwargs["logs"]:
            self._record(state)

    def _record(self, state: TrainerState) -> None:
        epoch, self._ended = self._ended, 0
        if self._recorder is not None and epoch:
            self._recorder.epoch(epoch, **_logged(state, epoch))


def _logged(state: TrainerState, epoch: int) -> dict[str, float]:
    """The numbers of an epoch's lines of the log, the later ones where a name comes twice."""
    lines = [line for line in state.log_history if epoch - 1 < line.get("epoch", -1.0) <= epoch]
    return {
        name: float(value)
        for line in lines
        if _WHOLE_TRAINING not in line
        for name, value in line.items()
        if isinstance(value, SupportsFloat) and name not in ("epoch", "step") and not name.endswith(_SPEED)
    }
