"""What a classifier loses without a part of its input: it reads sequences from which a few steps in a row were cut.

The state goes from the step before the cut straight to the one after it, as if these steps had never been there. No
value is put in their place, which would itself be an input.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from torch import nn

from rnnreport.budget import LEFT_OUT
from rnnreport.capture.batches import a_parameter, equal_length_groups, make_batch, step_budget
from rnnreport.capture.inspection import Inspection
from rnnreport.capture.isolation import attributes_kept, untouched
from rnnreport.capture.probe import hash_order
from rnnreport.capture.salience import weights_of_a_step
from rnnreport.errors import InputError
from rnnreport.results.recorded import Ablation, Floats, Probe


@dataclass(frozen=True)
class AblationParams:
    """Stretches of steps, sequences at most and at least, steps and multiplications in all at most (seconds)."""

    stretches: int = 10
    sequences: int = 300
    fewest: int = 20
    steps: int = 400_000
    multiplications: float = 1e11


def read_ablation(
    model: nn.Module, probe: Probe, found: Inspection, epoch: int, params: AblationParams | None = None
) -> Ablation | None:
    """Run a classifier of whole sequences without each stretch of steps in turn; it is left as it was.

    Parameters
    ----------
    model : nn.Module
    probe : Probe
    found : Inspection
    epoch : int
    params : AblationParams, optional

    Returns
    -------
    Ablation or None
        None of another task, and where half of the sequences have a single step.
    """
    params = params or AblationParams()
    reach = int(np.sort(probe.lengths)[probe.lengths.size // 2])  # that at least half of the sequences reach
    if probe.task != "classification" or reach < 2 or found.reader is None:
        return None
    edges = np.unique(np.linspace(0, reach, params.stretches + 1).round().astype(np.int64))
    steps = min(params.steps, params.multiplications / weights_of_a_step(model, probe))
    places = _sample(probe, reach, steps / (len(edges) - 1), params)
    output = np.full((len(edges) - 1, places.size, len(probe.class_names)), np.nan, np.float32)
    reason = "" if places.size else "the model is so large that it would take too long"
    reason = reason if params.multiplications else LEFT_OUT
    with untouched(model):
        try:
            for stretch, (start, end) in enumerate(pairwise(edges.tolist() if places.size else [])):
                output[stretch] = _outputs(model, found, without(probe, places, start, end))
        except InputError as error:
            reason = str(error)
    return Ablation(
        epoch=epoch,
        sequences=places.astype(np.int32),
        edges=edges.astype(np.int32),
        output=output,
        reason=reason,
    )


def _sample(probe: Probe, reach: int, steps: float, params: AblationParams) -> NDArray[np.int64]:
    """Places of sequences that have all these steps, the first by hash as far as ``steps`` go; none if too few."""
    order = np.array(hash_order(probe.sequence_ids), np.int64)
    order = order[probe.lengths[order] >= reach][: params.sequences]
    within = np.cumsum(probe.lengths[order], dtype=np.int64) <= steps
    count = int(within.sum())
    return np.sort(order[: count if count >= min(params.fewest, order.size) else 0])


def without(probe: Probe, places: NDArray[np.int64], start: int, end: int) -> Probe:
    """The input of these sequences without the steps from ``start`` to before ``end``; only the input, no answers."""
    offsets = probe.offsets
    kept = [np.r_[offsets[n] : offsets[n] + start, offsets[n] + end : offsets[n + 1]] for n in places]
    steps = np.concatenate(kept)
    return replace(
        probe,
        sequence_ids=tuple(probe.sequence_ids[n] for n in places),
        lengths=np.array([len(rows) for rows in kept], np.int32),
        tokens=probe.tokens[steps] if probe.tokens.size else probe.tokens,
        values=probe.values[steps] if probe.continuous else probe.values,
        labels=np.zeros(0, np.int32),
    )


def _outputs(model: nn.Module, found: Inspection, cut: Probe) -> Floats:
    """float32 (N, K), the model's own output; sequences of one length go together, so that nothing is padded."""
    assert found.reader is not None
    output = np.full((cut.lengths.size, len(cut.class_names)), np.nan, np.float32)
    like = a_parameter(model)
    for alike in equal_length_groups(cut):
        size = max(1, step_budget(cut) // int(cut.lengths[alike[0]]))
        for first in range(0, alike.size, size):
            chosen = alike[first : first + size]
            batch = make_batch(cut, chosen, like)
            with attributes_kept(model):
                raw = found.convention.run(model, batch)
            output[chosen] = found.reader.recorded(found.reader.predictions(raw, batch))
    return output
