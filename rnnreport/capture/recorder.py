"""Recording one epoch: states and predictions on the probe set, written to the run folder."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnreport.capture.batches import Batch, equal_length_batches, make_batch
from rnnreport.capture.calling import Adapter, Call, observe
from rnnreport.capture.heads import TOLERANCE, Head, largest_error
from rnnreport.capture.inspection import Inspection, a_parameter, inspect_model, step_budget
from rnnreport.capture.isolation import untouched, unwrapped
from rnnreport.capture.outputs import OutputReader
from rnnreport.capture.replay import replay
from rnnreport.progress import note, track
from rnnreport.results.folder import RunFolder
from rnnreport.results.schema import Checkpoint, Floats, Probe, StateKey

TOP = 5

_SHOW_PROGRESS_FROM = 8  # batches


class Recorder:
    """Writes a checkpoint of a model's states whenever asked, and leaves the model as it was.

    Parameters
    ----------
    model : nn.Module
        Trained elsewhere; run here in eval mode, without gradients. Mode, buffers and random generators are restored.
    probe : Probe
    folder : RunFolder
        Nothing is written before the first ``record``.
    head : str, optional
        Path of the module that maps a state to the prediction; found by itself where there is one.
    adapter : function (model, inputs, lengths) -> output, optional
        For models that are not called as ``model(inputs)`` or ``model(inputs, lengths)``.
    layers : sequence of str
        Paths of further modules whose outputs are states, for cells of other kinds than torch's; they need one vector
        per step. The last one's states are shown first.
    batch_size : int
        Most sequences in one forward pass.
    """

    def __init__(
        self,
        model: nn.Module,
        probe: Probe,
        folder: RunFolder,
        *,
        head: str | None = None,
        adapter: Adapter | None = None,
        layers: Sequence[str] = (),
        batch_size: int = 64,
    ) -> None:
        self.model = unwrapped(model)
        self.probe = probe
        self.folder = folder
        self._head_path = head
        self._adapter = adapter
        self._layers = tuple(layers)
        self._batch_size = batch_size
        self._start = time.monotonic()

    @cached_property
    def inspection(self) -> Inspection:
        """What is known about the model; found out at first use.

        Raises
        ------
        InputError
            If the model cannot be recorded on this probe set.
        """
        with untouched(self.model):
            return inspect_model(self.model, self.probe, self._head_path, self._adapter, self._batch_size, self._layers)

    @property
    def head(self) -> str:
        """One sentence: how the expected prediction is obtained, or why there is none."""
        return self.inspection.sentence

    @property
    def state_keys(self) -> tuple[StateKey, ...]:
        """Every recorded state, the default one (last layer, forward) first."""
        return tuple(self.inspection.widths)

    def record(self, epoch: int, **metrics: float) -> None:
        """Capture and write one epoch.

        Parameters
        ----------
        epoch : int
        **metrics : float
            Written to ``metrics.jsonl`` beside the epoch and the seconds since the recorder was made.
        """
        self.write(self.capture(epoch), metrics)

    def write(self, checkpoint: Checkpoint, metrics: dict[str, float]) -> None:
        """Write a checkpoint, then its line of metrics."""
        self.folder.write_checkpoint(checkpoint)
        wall = round(time.monotonic() - self._start, 3)
        self.folder.append_metrics({"epoch": checkpoint.epoch, "wall_s": wall, **metrics})

    def capture(self, epoch: int) -> Checkpoint:
        """States and predictions of the model as it is now, on the whole probe set.

        Raises
        ------
        InputError
            If the model fails.
        """
        found = self.inspection
        pages = _Pages(self.probe, found)
        like = a_parameter(self.model)
        with untouched(self.model):
            for places in self._batches(epoch):
                batch = make_batch(self.probe, places, like)
                raw, calls = observe(self.model, found.convention, batch)
                pages.fill(batch, raw, calls)
        return pages.checkpoint(epoch)

    def _batches(self, epoch: int) -> Iterable[NDArray[np.int64]]:
        batches = equal_length_batches(self.probe, self._batch_size, step_budget(self.probe))
        if len(batches) < _SHOW_PROGRESS_FROM:
            return batches
        return track(batches, f"states of epoch {epoch}", len(batches))


class _Pages:
    """The arrays of one checkpoint, allocated once and filled batch by batch."""

    def __init__(self, probe: Probe, found: Inspection) -> None:
        steps, sequences, classes = int(probe.lengths.sum()), len(probe.lengths), len(probe.class_names)
        self._probe = probe
        self._found = found
        per_sequence = probe.task == "classification"
        per_step = probe.task == "tagging" or found.head is not None
        words = steps if probe.task == "language-model" else 0
        self._states = {key: np.empty((steps, width), np.float32) for key, width in found.widths.items()}
        self._model_output = np.empty((sequences, classes) if per_sequence else (0, 0), np.float32)
        self._step_output = np.empty((steps, classes) if per_step else (0, 0), np.float32)
        self._surprisal = np.full(words, np.nan, np.float32)
        self._top_tokens = np.full((words, TOP), -1, np.int32)
        self._top_probabilities = np.zeros((words, TOP), np.float32)
        self._head_error = 0.0

    def fill(self, batch: Batch, raw: Any, calls: list[Call]) -> None:
        rows = batch.steps.reshape(-1)
        states = {key: values for call in calls for key, values in replay(call).states.items()}
        for key, table in self._states.items():
            table[rows] = _numpy(states[key].flatten(0, 1))
        reader = self._found.reader
        if reader is None:
            return
        predictions = reader.predictions(raw, batch)
        if self._probe.task == "classification":
            self._model_output[batch.sequences] = _numpy(reader.probabilities(predictions))
            if self._found.head is not None:
                default = states[next(iter(self._found.widths))]
                self._fill_expected(rows, reader, self._found.head, default, predictions)
        elif self._probe.task == "tagging":
            self._step_output[rows] = _numpy(reader.probabilities(predictions.flatten(0, 1)))
        else:
            self._fill_language(rows, reader.log_probabilities(predictions.flatten(0, 1)))

    def _fill_expected(
        self, rows: NDArray[np.int64], reader: OutputReader, head: Head, states: Tensor, predictions: Tensor
    ) -> None:
        expected = head(states.flatten(0, 1))
        self._step_output[rows] = _numpy(reader.probabilities(expected))
        last = expected.reshape(*states.shape[:2], -1)[:, -1]
        self._head_error = max(self._head_error, largest_error(last, predictions))

    def _fill_language(self, rows: NDArray[np.int64], log_probabilities: Tensor) -> None:
        targets = torch.from_numpy(self._probe.targets[rows].astype(np.int64)).to(log_probabilities.device)
        chosen = log_probabilities.gather(1, targets.clamp(min=0).unsqueeze(1)).squeeze(1)
        self._surprisal[rows] = _numpy(torch.where(targets >= 0, -chosen, torch.nan))
        best = log_probabilities.topk(min(TOP, log_probabilities.shape[1]), dim=1)
        self._top_tokens[rows, : best.indices.shape[1]] = best.indices.cpu().numpy()
        self._top_probabilities[rows, : best.values.shape[1]] = _numpy(best.values.exp())

    def checkpoint(self, epoch: int) -> Checkpoint:
        if self._head_error > TOLERANCE:
            note(
                f"epoch {epoch}: the head no longer gives the model's own output (difference {self._head_error:.2g}); "
                "the expected predictions of this epoch are left out"
            )
            self._step_output.fill(np.nan)
        return Checkpoint(
            epoch=epoch,
            states={str(key): values for key, values in self._states.items()},
            step_output=self._step_output,
            model_output=self._model_output,
            surprisal=self._surprisal,
            top_tokens=self._top_tokens,
            top_probabilities=self._top_probabilities,
        )


def _numpy(values: Tensor) -> Floats:
    return values.detach().to("cpu", torch.float32).numpy()


def evaluate(checkpoint: Checkpoint, probe: Probe) -> dict[str, float]:
    """Accuracy (share) and cross-entropy (nats) of a checkpoint on the probe set, from the model's own outputs.

    Over sequences (classification), steps (tagging) or predicted tokens (language model). Probabilities below the
    smallest normal float32 count as that one (87.3 nats). Empty for an unlabelled corpus.
    """
    if probe.task == "language-model":
        answered = probe.targets >= 0
        if not answered.any():
            return {}
        right = checkpoint.top_tokens[answered, 0] == probe.targets[answered]
        surprisal = checkpoint.surprisal[answered].astype(np.float64)
        return {"accuracy": float(right.mean()), "cross_entropy": float(surprisal.mean())}
    if probe.task == "unlabelled":
        return {}
    tagging = probe.task == "tagging"
    output, truth = (checkpoint.step_output, probe.targets) if tagging else (checkpoint.model_output, probe.labels)
    chosen = output[np.arange(len(truth)), truth].astype(np.float64)
    right = (output.argmax(axis=1) == truth) & np.isfinite(chosen)
    surprisal = -np.log(np.maximum(chosen, np.finfo(np.float32).tiny))
    return {"accuracy": float(right.mean()), "cross_entropy": float(surprisal.mean())}
