"""How well each item of a batch is answered, as tensors: what ablations are judged by and gradients begin from."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rnnreport.capture.batches import Batch
from rnnreport.capture.outputs import OutputReader
from rnnreport.results.recorded import NUMERIC, PER_SEQUENCE, Doubles, Probe

_LEAST = 1e-12  # probability


def losses(probe: Probe, reader: OutputReader, predictions: Tensor, batch: Batch) -> Tensor:
    """The loss of every item, with its gradient.

    Nats of the right class, tag or next token; of labels their mean; of quantities the mean square error in units of
    their variance in the probe set, so that always predicting the mean costs 1.

    Parameters
    ----------
    probe : Probe
        Of a task with answers.
    reader : OutputReader
    predictions : Tensor (B, K) or (B, T, K)
    batch : Batch
        Of sequences of one length.

    Returns
    -------
    Tensor (B,), of each sequence, or (B, T), of each step; 0 where nothing is asked
    """
    if probe.task in NUMERIC:
        truths = truths_of(probe, batch).to(predictions)
        known = truths.isfinite()
        squares = ((predictions - truths.nan_to_num()) ** 2 / variances(probe).to(predictions)) * known
        return squares.sum(-1) / known.sum(-1).clamp(min=1)
    if probe.task == "multi-label":
        right = truths_of(probe, batch).to(predictions)
        if reader.form == "label-logits":
            return torch.nn.functional.binary_cross_entropy_with_logits(predictions, right, reduction="none").mean(-1)
        chosen = torch.where(right > 0.5, predictions, 1 - predictions)
        return -chosen.clamp(min=_LEAST).log().mean(-1)
    right = truths_of(probe, batch).to(predictions.device)
    logarithms = reader.log_probabilities(predictions).clamp(min=float(np.log(_LEAST)))
    chosen = logarithms.gather(-1, right.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return -chosen * (right >= 0)


def rights(probe: Probe, reader: OutputReader, predictions: Tensor, batch: Batch) -> Tensor:
    """Shaped as ``losses``: 1 where the answer is right, of labels all of them; 0 elsewhere and of quantities."""
    truths = truths_of(probe, batch).to(predictions.device)
    if probe.task in NUMERIC:
        return torch.zeros(predictions.shape[:-1])
    if probe.task == "multi-label":
        return ((reader.answers(predictions) >= 0.5) == (truths > 0.5)).all(-1).float()
    return (reader.log_probabilities(predictions).argmax(-1) == truths).float()


def asked(probe: Probe, batch: Batch) -> Tensor:
    """Shaped as ``losses``: bool, where something is asked."""
    truths = truths_of(probe, batch)
    if probe.task == "multi-label":
        return torch.ones(truths.shape[:-1], dtype=torch.bool)
    return truths.isfinite().any(-1) if probe.task in NUMERIC else truths >= 0


def truths_of(probe: Probe, batch: Batch) -> Tensor:
    """What is right: int64 (B,) or (B, T) of classes, tags and tokens, float32 (..., K) of labels and quantities."""
    rows = batch.sequences if probe.task in PER_SEQUENCE else batch.steps
    if probe.truths.size:
        return torch.from_numpy(probe.truths[rows])
    return torch.from_numpy((probe.labels if probe.task in PER_SEQUENCE else probe.targets)[rows].astype(np.int64))


def variances(probe: Probe) -> Tensor:
    """float64 (K,), of each quantity in the probe set; 1 of one that does not vary."""
    found: Doubles = np.array(
        [
            column[np.isfinite(column)].var() if np.isfinite(column).any() else 1.0
            for column in probe.truths.T.astype(float)
        ]
    )
    return torch.from_numpy(np.where(found > 0, found, 1.0))


def why_unanswered(probe: Probe) -> str:
    """Why nothing can be scored; "" where it can."""
    if probe.task == "unlabelled":
        return "the corpus has no labels, so that no answer is right or wrong"
    answered = np.isfinite(probe.truths).any() or (probe.labels >= 0).any() or (probe.targets >= 0).any()
    return "" if answered else "no step of the probe set has an answer"
