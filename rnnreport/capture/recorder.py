"""Recording one epoch: states and predictions on the probe set, written to the run folder."""

from __future__ import annotations

import operator
import os
import time
import warnings
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, SupportsFloat, SupportsIndex

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnreport.capture.batches import Batch, equal_length_batches, make_batch
from rnnreport.capture.calling import Adapter, Call, observe
from rnnreport.capture.heads import TOLERANCE, Head, largest_error
from rnnreport.capture.inspection import Inspection, a_parameter, inspect_model, step_budget
from rnnreport.capture.isolation import untouched
from rnnreport.capture.manifest import info_of, make_manifest, refuse_other_run
from rnnreport.capture.outputs import OutputReader
from rnnreport.capture.probe import make_probe
from rnnreport.capture.replay import replay
from rnnreport.errors import InputError, RecordingWarning, RnnReportError
from rnnreport.load.corpus import Corpus
from rnnreport.load.importing import failure_of
from rnnreport.load.wrappers import refuse_hidden, unwrapped
from rnnreport.progress import note, track
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Checkpoint, Floats, Probe, StateKey

TOP = 5

_SHOW_PROGRESS_FROM = 8  # batches


class Recorder:
    """Records a model's states on a probe set at every epoch of its training, and leaves the model as it was.

    Two lines in any training loop::

        recorder = rnnreport.Recorder(model, corpus, run="runs/a")
        ...
        recorder.epoch(epoch, loss=loss)

    What can be wrong with the set-up is an error here, before training; what goes wrong later is a warning. In a folder
    that holds a run of the same probe set and kind of model the recording goes on: epochs are added, and an epoch
    recorded again replaces the earlier one. Under ``torch.distributed`` only rank 0 records.

    Parameters
    ----------
    model : nn.Module
        Trained elsewhere; run here in eval mode, without gradients. Mode, buffers and random generators are restored.
    probe : Probe or Corpus
        The sequences that are recorded; of a corpus, its probe set (see ``make_probe``).
    run : path
        The run folder. It is made when the first epoch is written.
    name : str, optional
        The run's title; by default the folder's name.
    source, command : str, optional
        Where the model comes from and what was run; by default the model's class and the name of the script.
    weights_sha256 : str, optional
        Hash of the file of weights, where there is one.
    seed : int
        Of the analyses that draw random numbers.
    max_steps : int
        Budget of the probe set that is made of a corpus.
    head : str, optional
        Path of the module that maps a state to the prediction; found by itself where there is one.
    adapter : function (model, inputs, lengths) -> output, optional
        For models that are not called as ``model(inputs)`` or ``model(inputs, lengths)``.
    layers : sequence of str
        Paths of further modules whose outputs are states, for cells of other kinds than torch's; they need one vector
        per step. The last one's states are shown first.
    batch_size : int
        Most sequences in one forward pass.

    Raises
    ------
    InputError
        If the model cannot be recorded on this probe set, or the folder holds a run of another probe set or model.
    """

    def __init__(
        self,
        model: nn.Module,
        probe: Probe | Corpus,
        run: str | os.PathLike[str],
        *,
        name: str = "",
        source: str = "",
        command: str = "",
        weights_sha256: str = "",
        seed: int = 0,
        max_steps: int = 50_000,
        head: str | None = None,
        adapter: Adapter | None = None,
        layers: Sequence[str] = (),
        batch_size: int = 256,
    ) -> None:
        self.model = unwrapped(model)
        self.probe = make_probe(probe, max_steps) if isinstance(probe, Corpus) else probe
        self.folder = RunFolder(Path(run))
        self._head_path = head
        self._adapter = adapter
        self._layers = tuple(layers)
        self._batch_size = batch_size
        self._start = time.monotonic()
        if _rank() > 0:
            return
        self._manifest = make_manifest(
            self.model,
            self.probe,
            self.inspection,
            name=name or self.folder.path.resolve().name,
            corpus_info=probe.info() if isinstance(probe, Corpus) else info_of(probe),
            source=source,
            weights_sha256=weights_sha256,
            seed=seed,
            command=command,
        )
        if self.folder.exists():
            refuse_other_run(self.folder, self._manifest)
        self.folder.discard_leftovers()

    @cached_property
    def inspection(self) -> Inspection:
        """What is known about the model."""
        with torch.inference_mode(False), untouched(self.model):
            return inspect_model(self.model, self.probe, self._head_path, self._adapter, self._batch_size, self._layers)

    @property
    def head(self) -> str:
        """One sentence: how the expected prediction is obtained, or why there is none."""
        return self.inspection.sentence

    @property
    def state_keys(self) -> tuple[StateKey, ...]:
        """Every recorded state, the default one (last layer, forward) first."""
        return tuple(self.inspection.widths)

    def epoch(self, epoch: int, /, **metrics: SupportsFloat) -> None:
        """Record an epoch; whatever goes wrong becomes a ``RecordingWarning`` and the training goes on.

        Only a warnings filter that makes errors of warnings lets it stop the training.

        Parameters
        ----------
        epoch : int
            0 (before training) or more.
        **metrics : numbers, tensors of one element
            Stored beside the epoch. Without any, accuracy and cross-entropy on the probe set are.
        """
        try:
            self.record(epoch, **metrics)
        except Exception as error:
            reason = str(error) if isinstance(error, RnnReportError) else failure_of(error)
            warnings.warn(f"epoch {epoch} is not recorded: {reason}", RecordingWarning, stacklevel=2)

    def record(self, epoch: int, /, **metrics: SupportsFloat) -> None:
        """Like ``epoch``, but raises what goes wrong.

        Raises
        ------
        RnnReportError
            If the epoch or a metric is no number, the model fails, or the disk refuses.
        """
        if _rank() > 0:
            return
        given = {name: _number(name, value) for name, value in metrics.items()}
        checkpoint = self.capture(_epoch(epoch))
        line = given or evaluate(checkpoint, self.probe)
        wall = round(time.monotonic() - self._start, 3)
        self._open()
        # metrics first: an epoch counts as recorded by its states, so none that is recorded ever lacks them
        self.folder.append_metrics(line | {"epoch": checkpoint.epoch, "wall_s": wall})
        self.folder.write_checkpoint(checkpoint)

    def _open(self) -> None:
        """Make the run folder where there is none; the manifest comes last and marks it complete."""
        if self.folder.exists():
            return
        self.folder.write_probe(self.probe)
        self.folder.write_manifest(self._manifest)

    def capture(self, epoch: int) -> Checkpoint:
        """States and predictions of the model as it is now, on the whole probe set.

        Raises
        ------
        InputError
            If the model fails.
        """
        refuse_hidden(self.model)  # sharded since: a pass on this rank alone would wait for the others
        found = self.inspection
        pages = _Pages(self.probe, found)
        like = a_parameter(self.model)
        # a training framework may call in inference mode, whose tensors could not be trained on with
        with torch.inference_mode(False), untouched(self.model):
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


def _rank() -> int:
    """This process's rank under ``torch.distributed``; 0 without it."""
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    return torch.distributed.get_rank() if distributed else 0


def _epoch(epoch: SupportsIndex) -> int:
    try:
        number = operator.index(epoch)
    except TypeError:
        number = -1
    if number < 0:
        raise InputError(f"epoch {epoch!r} is not a number from 0 up", "count epochs by whole numbers")
    return number


def _number(name: str, value: SupportsFloat) -> float:
    try:
        return float(value.detach() if isinstance(value, Tensor) else value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"the metric {name!r} is no number: {error}", "give numbers or tensors of one element"
        ) from error


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
