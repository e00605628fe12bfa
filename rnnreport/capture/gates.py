"""Gates of every layer and direction on the probe set."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from rnnreport.capture.batches import a_parameter, equal_length_batches, make_batch, step_budget
from rnnreport.capture.calling import Convention, observe
from rnnreport.capture.isolation import untouched
from rnnreport.capture.recurrent import RecurrentCall
from rnnreport.capture.replay import EVERYTHING, STATES, replay
from rnnreport.progress import track
from rnnreport.results.recorded import Floats, Probe

_GATES = tuple(kind for kind in EVERYTHING if kind not in STATES)
_MOST_STEPS = 2**12  # in a batch: beside the gates of the whole probe set little room should be taken


def read_gates(model: nn.Module, probe: Probe, convention: Convention, batch_size: int) -> dict[str, Floats]:
    """Run a model on the probe set and compute its gates from the states that it gave.

    Parameters
    ----------
    model : nn.Module
        Left as it was.
    probe : Probe
    convention : Convention
    batch_size : int
        Most sequences in one forward pass.

    Returns
    -------
    dict of str(StateKey) to float32 (S, H)
        Of LSTM and GRU layers; empty where there are none.

    Raises
    ------
    InputError
        If the model fails.
    """
    gates: dict[str, Floats] = {}
    steps, like = int(probe.lengths.sum()), a_parameter(model)
    batches = equal_length_batches(probe, batch_size, min(step_budget(probe), _MOST_STEPS))
    with torch.inference_mode(False), untouched(model):
        for places in track(batches, "gates", len(batches)):
            batch = make_batch(probe, places, like)
            _, calls = observe(model, convention, batch)
            for call in (call for call in calls if isinstance(call, RecurrentCall)):
                for key, values in replay(call, _GATES).items():
                    table = gates.setdefault(str(key), np.empty((steps, values.shape[2]), np.float32))
                    table[batch.steps.T.ravel()] = values.transpose(0, 1).flatten(0, 1).to("cpu", torch.float32)
    return gates
