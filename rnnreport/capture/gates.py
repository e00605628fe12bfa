"""Gates of every layer and direction on the probe set."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rnnreport.capture.batches import a_parameter, make_batch
from rnnreport.capture.calling import Convention, observe
from rnnreport.capture.isolation import untouched
from rnnreport.capture.recurrent import RecurrentCall
from rnnreport.capture.replay import EVERYTHING, STATES, replay
from rnnreport.results.recorded import Floats, Probe

_GATES = tuple(kind for kind in EVERYTHING if kind not in STATES)


def read_gates(
    model: nn.Module, probe: Probe, convention: Convention, batches: Iterable[NDArray[np.int64]]
) -> dict[str, Floats]:
    """Run a model on the probe set and compute its gates from the states that it gave.

    Parameters
    ----------
    model : nn.Module
        Left as it was.
    probe : Probe
    convention : Convention
    batches : iterable of int64 (B,), places in the probe set of sequences of one length

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
    with torch.inference_mode(False), untouched(model):
        for places in batches:
            batch = make_batch(probe, places, like)
            _, calls = observe(model, convention, batch)
            for call in (call for call in calls if isinstance(call, RecurrentCall)):
                for key, values in replay(call, _GATES).states.items():
                    table = gates.setdefault(str(key), np.empty((steps, values.shape[2]), np.float32))
                    table[batch.steps.T.ravel()] = values.transpose(0, 1).flatten(0, 1).to("cpu", torch.float32)
    return gates
