"""The arrays of one checkpoint, filled batch by batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnreport.capture.batches import Batch
from rnnreport.capture.calling import Call
from rnnreport.capture.heads import TOLERANCE, largest_error
from rnnreport.capture.inspection import Inspection
from rnnreport.capture.outputs import OutputReader
from rnnreport.capture.replay import replay
from rnnreport.progress import note
from rnnreport.results.recorded import PER_SEQUENCE, PER_STEP, Checkpoint, Floats, Probe

TOP = 5


class Pages:
    """States and predictions of one epoch, allocated once.

    Parameters
    ----------
    probe : Probe
    found : Inspection
        Of the model on this probe set.
    """

    def __init__(self, probe: Probe, found: Inspection) -> None:
        steps, sequences, outputs = int(probe.lengths.sum()), len(probe.lengths), len(probe.class_names)
        self._probe = probe
        self._found = found
        per_step = probe.task in PER_STEP or found.expected.head is not None or found.expected.prefixes.size > 0
        words = steps if probe.task == "language-model" else 0
        self._states = {key: np.empty((steps, width), np.float32) for key, width in found.widths.items()}
        self._model_output = np.empty((sequences, outputs) if probe.task in PER_SEQUENCE else (0, 0), np.float32)
        self._step_output = np.empty((steps, outputs) if per_step else (0, 0), np.float32)
        self._surprisal = np.full(words, np.nan, np.float32)
        self._top_tokens = np.full((words, TOP), -1, np.int32)
        self._top_probabilities = np.zeros((words, TOP), np.float32)
        self._last: list[Tensor] = []  # the head applied to the last states, and the model's own predictions
        self._own: list[Tensor] = []
        self._error = 0.0

    def fill(self, batch: Batch, raw: Any, calls: list[Call]) -> None:
        """Take in what the model gave for a batch."""
        rows = batch.rows
        states = {key: batch.flat(values) for call in calls for key, values in replay(call).items()}
        for key, table in self._states.items():
            table[rows] = _numpy(states[key])
        reader = self._found.reader
        if reader is None:
            return
        predictions = reader.predictions(raw, batch)
        if self._probe.task in PER_SEQUENCE:
            self._model_output[batch.sequences] = reader.recorded(predictions)
            if self._found.expected.head is not None:
                default = states[next(iter(self._found.widths))]
                self._fill_expected(batch, reader, self._found.expected.head(default), predictions)
        elif self._probe.task in PER_STEP:
            self._step_output[rows] = reader.recorded(batch.flat(predictions))
        else:
            self._fill_language(rows, reader.log_probabilities(batch.flat(predictions)))

    def fill_prefixes(self, places: NDArray[np.int64], outputs: Floats) -> None:
        """Take in what the model gave for the prefixes of some sequences, after all batches.

        Parameters
        ----------
        places : int64 (n,), of the sequences in the probe set
        outputs : float32 (S, K), as from ``prefix_outputs``
        """
        self._step_output[:] = outputs
        whole, own = outputs[self._probe.offsets[places + 1] - 1], self._model_output[places]
        reader = self._found.reader
        assert reader is not None
        self._error = largest_error(torch.from_numpy(whole), torch.from_numpy(own), reader.form)

    def _fill_expected(self, batch: Batch, reader: OutputReader, expected: Tensor, predictions: Tensor) -> None:
        self._step_output[batch.rows] = reader.recorded(expected)
        self._last.append(expected[torch.from_numpy(np.cumsum(batch.ends) - 1).to(expected.device)])
        self._own.append(predictions)

    def _fill_language(self, rows: NDArray[np.int64], log_probabilities: Tensor) -> None:
        targets = torch.from_numpy(self._probe.targets[rows].astype(np.int64)).to(log_probabilities.device)
        chosen = log_probabilities.gather(1, targets.clamp(min=0).unsqueeze(1)).squeeze(1)
        self._surprisal[rows] = _numpy(torch.where(targets >= 0, -chosen, torch.nan))
        best = log_probabilities.topk(min(TOP, log_probabilities.shape[1]), dim=1)
        self._top_tokens[rows, : best.indices.shape[1]] = best.indices.cpu().numpy()
        self._top_probabilities[rows, : best.values.shape[1]] = _numpy(best.values.exp())

    def checkpoint(self, epoch: int) -> Checkpoint:
        """What was filled in; predictions of steps that no longer end in the model's own are left out."""
        reader = self._found.reader
        if self._last and reader is not None:
            self._error = largest_error(torch.cat(self._last), torch.cat(self._own), reader.form)
        if self._error > TOLERANCE:
            source = "the head" if self._found.expected.head is not None else "the prefix of all steps"
            note(
                f"epoch {epoch}: {source} no longer gives the model's own output (difference {self._error:.2g}); "
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
