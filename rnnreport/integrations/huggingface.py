"""Record a training by Hugging Face: ``Trainer(..., callbacks=[RecorderCallback(corpus, run="runs/a")])``."""

from __future__ import annotations

import os
from typing import Any, SupportsFloat

from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from rnnreport.capture.recorder import Recorder
from rnnreport.load.corpus import Corpus
from rnnreport.results.recorded import Probe

_SPEED = ("_runtime", "_per_second", "_preparation_time", "_compilation_time")


class RecorderCallback(TrainerCallback):
    """Records the model at the end of every epoch, with the numbers the trainer logs there.

    Where the epoch ends with an evaluation or a line of the log, the recording waits for its numbers.

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
        self._due = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Refuse what cannot be recorded before training begins."""
        model: nn.Module = kwargs["model"]
        self._recorder = Recorder(model, **self._arguments)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Record now, unless numbers of this epoch are still to come."""
        last = state.global_step >= state.max_steps or control.should_training_stop
        self._due = last or _epoch(state) % self._every == 0
        if not (control.should_log or control.should_evaluate):
            self._record(state)

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Record with the epoch's line of the log, unless an evaluation follows."""
        if not control.should_evaluate:
            self._record(state)

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Record with the evaluation's numbers."""
        self._record(state)

    def _record(self, state: TrainerState) -> None:
        if self._recorder is None or not self._due:
            return
        self._due = False
        epoch = _epoch(state)
        lines = [line for line in state.log_history if epoch - 1 < line.get("epoch", -1.0) <= epoch]
        logged = {name: value for line in lines for name, value in line.items() if isinstance(value, SupportsFloat)}
        for name in [name for name in logged if name in ("epoch", "step") or name.endswith(_SPEED)]:
            del logged[name]
        self._recorder.epoch(epoch, **logged)


def _epoch(state: TrainerState) -> int:
    return round(state.epoch or 0.0)
