"""Reading a model's output: which axis is which, and whether it is logits, probabilities or quantities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from rnnreport.capture.batches import Batch
from rnnreport.capture.calling import first_tensor
from rnnreport.errors import InputError
from rnnreport.results.recorded import NUMERIC, Floats, Probe, Task

Layout = Literal["sequences", "batch-first", "time-first"]
Form = Literal["logits", "log-probabilities", "probabilities", "label-logits", "label-probabilities", "quantities"]

_SUM_TOLERANCE = 1e-4
_FEW = 32  # classes
_NOUNS: dict[Task, str] = {"multi-label": "labels", "regression": "quantities", "step-regression": "quantities"}


@dataclass(frozen=True)
class OutputReader:
    """How the output of one model is read.

    Attributes
    ----------
    layout : "sequences" (one prediction per sequence), "batch-first" or "time-first" (one per step)
    outputs : int, numbers per prediction: the classes, or 1 where two classes share one logit
    form : what the numbers are: of classes that exclude each other (logits, log-probabilities, probabilities), of
        labels that do not (label-logits, label-probabilities), or quantities
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

    def recorded(self, predictions: Tensor) -> Floats:
        """What is recorded of predictions, float32 (..., K): probabilities of the classes or labels, or quantities.

        Raises
        ------
        InputError
            If what was taken for probabilities of labels is none.
        """
        return self.answers(predictions).detach().to("cpu", torch.float32).numpy()

    def answers(self, predictions: Tensor) -> Tensor:
        """Likewise as a tensor, with its gradient."""
        if self.form == "quantities":
            return predictions
        if self.form == "label-logits":
            return torch.sigmoid(predictions)
        if self.form != "label-probabilities":
            return self.probabilities(predictions)
        if ((predictions < 0) | (predictions > 1)).any():
            raise InputError(
                "the model's outputs were taken for probabilities, because a trial batch's were between 0 and 1, and "
                f"now they reach from {float(predictions.min()):.3g} to {float(predictions.max()):.3g}",
                "let the model return the logits of an nn.Linear, or the sigmoid of them",
            )
        return predictions

    def log_probabilities(self, predictions: Tensor) -> Tensor:
        """Natural logarithms of the class probabilities, (..., K)."""
        if self.form == "log-probabilities":
            return predictions
        if self.form == "probabilities":
            return self.probabilities(predictions).log()
        if self.outputs == 1:
            return torch.nn.functional.logsigmoid(torch.cat([-predictions, predictions], dim=-1))
        return _log_softmax(predictions)

    def probabilities(self, predictions: Tensor) -> Tensor:
        """Class probabilities, (..., K); a single output becomes the pair (1 - p, p)."""
        if self.form == "probabilities":
            return torch.cat([1 - predictions, predictions], dim=-1) if self.outputs == 1 else predictions
        return self.log_probabilities(predictions).exp()


def _log_softmax(scores: Tensor) -> Tensor:
    """Over the last axis; over few classes torch takes ten times as long along the last axis as along the first."""
    if scores.shape[-1] >= _FEW:
        return torch.log_softmax(scores, dim=-1)
    return torch.log_softmax(scores.movedim(-1, 0).contiguous(), dim=0).movedim(0, -1)


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
    """Raise unless the model has as many outputs as the corpus has classes (or one for two), labels or quantities.

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
        return
    known, noun = len(probe.class_names), _NOUNS.get(probe.task, "classes")
    shared = noun == "classes" and (outputs, known) == (1, 2)
    if outputs != known and not shared:
        wanted = "a target for each output" if probe.task in NUMERIC else f"all {noun}"
        raise InputError(
            f"the model has {outputs} outputs, the corpus {known} {noun} ({', '.join(probe.class_names[:20])})",
            f"give {wanted} in the model's order (--classes a,b,c)",
        )


def form_of(output: Tensor, last_linear: Tensor | None, task: Task) -> Form:
    """What a model's numbers are.

    The outputs for several classes tell it themselves: probabilities add up to one. A single output is compared with
    the last linear module's: it is a probability where it is that one's sigmoid. Labels have logits where a number is
    below 0 or above 1, or where the last linear module gave them; otherwise probabilities.

    Parameters
    ----------
    output : Tensor (..., K)
    last_linear : Tensor or None
        What the last ``nn.Linear`` of the model gave in the same pass.
    task : Task
    """
    linear = None if last_linear is None or last_linear.numel() != output.numel() else last_linear.reshape(output.shape)
    if task in NUMERIC:
        return "quantities"
    if task == "multi-label":
        within = bool(((output >= 0) & (output <= 1)).all())
        return "label-probabilities" if within and (linear is None or not linear.equal(output)) else "label-logits"
    if output.shape[-1] == 1:
        squashed = linear is not None and torch.allclose(output, torch.sigmoid(linear), 0.0, _SUM_TOLERANCE)
        return "probabilities" if squashed else "logits"
    if _sums_to_one(output):
        return "probabilities"
    return "log-probabilities" if _sums_to_one(output.exp()) else "logits"


def _sums_to_one(values: Tensor) -> bool:
    total = values.sum(dim=-1)
    return bool((values >= 0).all()) and torch.allclose(total, torch.ones_like(total), 0.0, _SUM_TOLERANCE)
