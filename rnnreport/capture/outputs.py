"""Reading a model's output: which axis is which, and whether it is logits, log-probabilities or probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from rnnreport.capture.batches import Batch
from rnnreport.capture.calling import first_tensor
from rnnreport.errors import InputError
from rnnreport.results.recorded import Probe

Layout = Literal["sequences", "batch-first", "time-first"]
Form = Literal["logits", "log-probabilities", "probabilities"]

_SUM_TOLERANCE = 1e-4


@dataclass(frozen=True)
class OutputReader:
    """How the output of one model is read.

    Attributes
    ----------
    layout : "sequences" (one prediction per sequence), "batch-first" or "time-first" (one per step)
    outputs : int, numbers per prediction: the classes, or 1 where two classes share one logit
    form : what the numbers are
    """

    layout: Layout
    outputs: int
    form: Form

    def predictions(self, raw: Any, batch: Batch) -> Tensor:
        """The model's numbers, (B, K) per sequence or (B, T, K) per step.

        Raises
        ------
        InputError
            If the output has another shape than it had in the trial.
        """
        sequences, steps = batch.steps.shape
        tensor = first_tensor(raw)
        expected = self.outputs * sequences * (1 if self.layout == "sequences" else steps)
        if tensor.numel() != expected:
            raise InputError(
                f"the model's output has shape {tuple(tensor.shape)} for {sequences} sequences of {steps} steps",
                f"it must hold {expected} numbers, as in the trial batch",
            )
        if self.layout == "sequences":
            return tensor.reshape(sequences, self.outputs)
        if self.layout == "batch-first":
            return tensor.reshape(sequences, steps, self.outputs)
        return tensor.reshape(steps, sequences, self.outputs).transpose(0, 1)

    def log_probabilities(self, predictions: Tensor) -> Tensor:
        """Natural logarithms of the class probabilities, (..., K)."""
        if self.form == "log-probabilities":
            return predictions
        if self.form == "probabilities":
            return self.probabilities(predictions).log()
        if self.outputs == 1:
            return torch.nn.functional.logsigmoid(torch.cat([-predictions, predictions], dim=-1))
        return torch.log_softmax(predictions, dim=-1)

    def probabilities(self, predictions: Tensor) -> Tensor:
        """Class probabilities, (..., K); a single output becomes the pair (1 - p, p)."""
        if self.form == "probabilities":
            return torch.cat([1 - predictions, predictions], dim=-1) if self.outputs == 1 else predictions
        return self.log_probabilities(predictions).exp()


def find_layout(output: Tensor, alone: Tensor, batch: Batch) -> Layout:
    """Which axis of a per-step output is which.

    Parameters
    ----------
    output : Tensor
        For the trial batch, B different from T.
    alone : Tensor
        For the first sequence of the trial batch alone, where the order of the axes does not matter. It settles what
        the shape leaves open when both axes were flattened into one.

    Raises
    ------
    InputError
        If the output is not one prediction per step.
    """
    sequences, steps = batch.steps.shape
    if tuple(output.shape[:2]) == (sequences, steps):
        return "batch-first"
    if tuple(output.shape[:2]) == (steps, sequences):
        return "time-first"
    if output.dim() <= 2 and output.shape[:1] == (sequences * steps,):
        first = alone.reshape(steps, -1)
        as_batch_first = (output.reshape(sequences, steps, -1)[0] - first).abs().sum()
        as_time_first = (output.reshape(steps, sequences, -1)[:, 0] - first).abs().sum()
        return "batch-first" if as_batch_first <= as_time_first else "time-first"
    raise InputError(
        f"the model's output has shape {tuple(output.shape)} for {sequences} sequences of {steps} steps",
        "a prediction for every step is needed: (B, T, K), (T, B, K) or (B * T, K)",
    )


def refuse_unless_per_sequence(output: Tensor, batch: Batch) -> None:
    """Raise unless an output is one prediction per sequence: (B,), (B, K) or (1, B, K).

    Raises
    ------
    InputError
    """
    sequences, steps = batch.steps.shape
    shape = output.shape[1:] if output.dim() == 3 and output.shape[0] == 1 else output.shape
    if len(shape) not in (1, 2) or shape[0] != sequences:
        raise InputError(
            f"the model's output has shape {tuple(output.shape)} for {sequences} sequences of {steps} steps",
            "a prediction for every sequence is needed: (B, K)",
        )


def refuse_other_classes(outputs: int, probe: Probe) -> None:
    """Raise unless the model has as many outputs as the corpus has classes (or one for two).

    Raises
    ------
    InputError
        Names both numbers.
    """
    if probe.task == "language-model":
        if outputs != len(probe.vocabulary):
            raise InputError(
                f"the model has {outputs} outputs, the vocabulary {len(probe.vocabulary)} tokens",
                "give the vocabulary the model was trained with",
            )
    elif outputs != len(probe.class_names) and (outputs, len(probe.class_names)) != (1, 2):
        raise InputError(
            f"the model has {outputs} outputs, the corpus {len(probe.class_names)} classes "
            f"({', '.join(probe.class_names[:20])})",
            "give all classes in the model's order (--classes a,b,c)",
        )


def form_of(output: Tensor, last_linear: Tensor | None) -> Form:
    """What a model's numbers are.

    Several outputs tell it themselves: probabilities add up to one. A single output is compared with the last linear
    module's: it is a probability where it is that one's sigmoid.

    Parameters
    ----------
    output : Tensor (..., K)
    last_linear : Tensor or None
        What the last ``nn.Linear`` of the model gave in the same pass.
    """
    if output.shape[-1] == 1:
        if last_linear is None or last_linear.numel() != output.numel():
            return "logits"
        squashed = torch.sigmoid(last_linear).reshape(output.shape)
        return "probabilities" if torch.allclose(output, squashed, 0.0, _SUM_TOLERANCE) else "logits"
    if _sums_to_one(output):
        return "probabilities"
    return "log-probabilities" if _sums_to_one(output.exp()) else "logits"


def _sums_to_one(values: Tensor) -> bool:
    total = values.sum(dim=-1)
    return bool((values >= 0).all()) and torch.allclose(total, torch.ones_like(total), 0.0, _SUM_TOLERANCE)
