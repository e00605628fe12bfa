"""What the head makes of any state of the step, and in which directions of the state it looks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from rnnreport.capture.batches import a_parameter, trial_batch
from rnnreport.capture.calling import observe
from rnnreport.capture.expected import last_layer
from rnnreport.capture.heads import Head, calls_after_recurrence, candidate_heads, find_head
from rnnreport.capture.inspection import Inspection
from rnnreport.capture.outputs import OutputReader
from rnnreport.capture.stepping import StepSystem
from rnnreport.results.recorded import PER_SEQUENCE, Floats, Probe

_MOST_OUTPUTS = 128  # that are differentiated, evenly chosen


@dataclass(frozen=True)
class Readout:
    """The head of a model, applied to the last layer's h within s.

    Attributes
    ----------
    head : Head
    reader : OutputReader
    hidden : slice, where that h stands in s
    like : Tensor, a parameter: tells device and dtype
    """

    head: Head
    reader: OutputReader
    hidden: slice
    like: Tensor

    def says(self, states: Tensor) -> Floats:
        """float32 (B, K): probabilities or quantities at states (B, W)."""
        return self.reader.recorded(self.head(states[:, self.hidden].to(self.like)))

    def directions(self, states: Tensor) -> Tensor:
        """Derivatives of the head's numbers by h, float64 (B, K, H), of classes less their mean, at states (B, W).

        Of many outputs some, evenly chosen.
        """
        with torch.enable_grad():
            given = states[:, self.hidden].to(self.like).detach().requires_grad_()
            numbers = self.head(given)
            outputs = np.unique(np.linspace(0, numbers.shape[1] - 1, _MOST_OUTPUTS).round().astype(np.int64))
            rows = [torch.autograd.grad(numbers[:, k].sum(), given, retain_graph=True)[0] for k in outputs.tolist()]
        found = torch.stack(rows, dim=1).to("cpu", torch.float64)
        exclusive = self.reader.form in ("logits", "log-probabilities", "probabilities") and len(rows) > 1
        return found - found.mean(dim=1, keepdim=True) if exclusive else found


def find_readout(model: nn.Module, probe: Probe, found: Inspection, system: StepSystem) -> Readout | None:
    """The head that maps the state of a step to the prediction there; None where there is none that holds.

    Of a model that answers at every step it is sought here, among the modules that run after the recurrent ones; to be
    called inside ``untouched``.
    """
    if found.reader is None:
        return None
    head = found.expected.head if probe.task in PER_SEQUENCE else _of_steps(model, probe, found, found.reader)
    return None if head is None else Readout(head, found.reader, system.hidden, a_parameter(model))


def _of_steps(model: nn.Module, probe: Probe, found: Inspection, reader: OutputReader) -> Head | None:
    trial = trial_batch(probe, a_parameter(model))
    with calls_after_recurrence(model, [each.layer.path for each in found.convention.layers]) as later:
        raw, calls = observe(model, found.convention, trial)
    states = last_layer(calls)
    predictions = reader.predictions(raw, trial).flatten(0, 1)
    return find_head(candidate_heads(later, reader.form), states.flatten(0, 1), predictions, reader.form)[0]
