"""One pass of a model over a probe set: its states and predictions as they are now."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rnnreport.capture.batches import a_parameter, equal_length_batches, make_batch, mixed_batches, step_budget
from rnnreport.capture.calling import observing
from rnnreport.capture.inspection import Inspection
from rnnreport.capture.isolation import untouched
from rnnreport.capture.pages import Pages
from rnnreport.capture.prefixes import prefix_outputs
from rnnreport.progress import track
from rnnreport.results.recorded import Checkpoint, Probe

BATCH_SIZE = 1024  # the steps of a batch are bounded besides
_SHOW_PROGRESS_FROM = 8  # batches


def capture_states(
    model: nn.Module, probe: Probe, found: Inspection, epoch: int, batch_size: int = BATCH_SIZE
) -> Checkpoint:
    """States and predictions on a whole probe set; the model is left as it was.

    Parameters
    ----------
    model : nn.Module
    probe : Probe
    found : Inspection
        Of the model, on these or other sequences of the same kind.
    epoch : int
    batch_size : int
        Most sequences in one forward pass.

    Raises
    ------
    InputError
        If the model fails.
    """
    pages = Pages(probe, found)
    like = a_parameter(model)
    # a training framework may call in inference mode, whose tensors could not be trained on with
    with torch.inference_mode(False), untouched(model):
        with observing(model, found.convention) as observe:
            for places in _batches(probe, batch_size, found.padding, f"states of epoch {epoch}"):
                batch = make_batch(probe, places, like)
                pages.fill(batch, *observe(batch))
        if found.reader is not None and found.expected.prefixes.size:
            places = found.expected.prefixes
            outputs, _ = prefix_outputs(model, probe, found.convention, found.reader, places, batch_size)
            pages.fill_prefixes(places, outputs)
    return pages.checkpoint(epoch)


def _batches(probe: Probe, batch_size: int, padding: bool, what: str) -> Iterable[NDArray[np.int64]]:
    """Places of the sequences of each batch, with a line of progress where they are many."""
    batches = (mixed_batches if padding else equal_length_batches)(probe, batch_size, step_budget(probe))
    return batches if len(batches) < _SHOW_PROGRESS_FROM else track(batches, what, len(batches))
