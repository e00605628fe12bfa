"""What answers cost without a part of the input: the model reads sequences from which a few steps in a row were cut.

The state goes from the step before the cut straight to the one after it, as if these steps had never been there. No
value is put in their place, which would itself be an input.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnreport.budget import LEFT_OUT
from rnnreport.capture.batches import a_parameter, equal_length_groups, make_batch, step_budget
from rnnreport.capture.inspection import Inspection
from rnnreport.capture.isolation import attributes_kept, untouched
from rnnreport.capture.losses import asked, losses, rights, why_unanswered
from rnnreport.capture.probe import hash_order
from rnnreport.capture.salience import weights_of_a_step
from rnnreport.errors import InputError
from rnnreport.results.recorded import PER_SEQUENCE, Ablation, Doubles, Probe


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
) -> Ablation:
    """Run a model without each stretch of steps in turn; it is left as it was.

    Parameters
    ----------
    model : nn.Module
    probe : Probe
    found : Inspection
    epoch : int
    params : AblationParams, optional

    Returns
    -------
    Ablation
        With a reason where nothing is right or wrong, where half of the sequences have a single step, and where the
        model cannot be run like that, or not in that time.
    """
    params = params or AblationParams()
    reach = int(np.sort(probe.lengths)[probe.lengths.size // 2])  # that at least half of the sequences reach
    edges = np.unique(np.linspace(0, reach, params.stretches + 1).round().astype(np.int64))
    reason = _why_not(probe, found, reach, params)
    steps = min(params.steps, params.multiplications / weights_of_a_step(model, probe))
    places = np.zeros(0, np.int64) if reason else _sample(probe, reach, steps / (len(edges) - 1), params)
    reason = reason or ("" if places.size else "the model is so large that it would take too long")
    stretches = len(edges) - 1
    items = np.zeros((stretches, places.size), np.int32)
    loss, right = (np.full((2, stretches, places.size), np.nan, np.float32) for _ in range(2))
    with untouched(model), torch.no_grad():
        try:
            whole = np.zeros((3, 0)) if reason else _scored(model, probe, found, places, (0, 0))
            for stretch, cut in enumerate([] if reason else pairwise(edges.tolist())):
                counted = _counted(probe, found, places, cut)
                for place, scored in enumerate((whole, _scored(model, probe, found, places, cut))):
                    loss[place, stretch], right[place, stretch], items[stretch] = _added(probe, places, scored, counted)
        except InputError as error:
            reason = str(error)
    return Ablation(
        epoch=epoch,
        sequences=places.astype(np.int32),
        edges=edges.astype(np.int32),
        items=items,
        loss=loss,
        right=right,
        reason=reason,
    )


def _why_not(probe: Probe, found: Inspection, reach: int, params: AblationParams) -> str:
    if unanswered := why_unanswered(probe):
        return unanswered
    if found.reader is None:
        return "the model's answers cannot be read"
    if reach < 2:
        return "half of the sequences have a single step, without which nothing is left"
    return "" if params.multiplications else LEFT_OUT


def _sample(probe: Probe, reach: int, steps: float, params: AblationParams) -> NDArray[np.int64]:
    """Places of sequences that have all these steps, the first by hash as far as ``steps`` go; none if too few."""
    order = np.array(hash_order(probe.sequence_ids), np.int64)
    order = order[probe.lengths[order] >= reach][: params.sequences]
    within = np.cumsum(probe.lengths[order], dtype=np.int64) <= steps
    count = int(within.sum())
    return np.sort(order[: count if count >= min(params.fewest, order.size) else 0])


def without(probe: Probe, places: NDArray[np.int64], start: int, end: int) -> tuple[Probe, NDArray[np.int64]]:
    """The input of these sequences without the steps from ``start`` to before ``end``, and which steps it is of.

    Only the input, no answers: these are asked of the probe set, by the places of the steps in it, int64 (S',).
    """
    offsets = probe.offsets
    kept = [np.r_[offsets[n] : offsets[n] + start, offsets[n] + end : offsets[n + 1]] for n in places]
    steps = np.concatenate(kept)
    shortened = replace(
        probe,
        sequence_ids=tuple(probe.sequence_ids[n] for n in places),
        lengths=np.array([len(rows) for rows in kept], np.int32),
        tokens=probe.tokens[steps] if probe.tokens.size else probe.tokens,
        values=probe.values[steps] if probe.continuous else probe.values,
        labels=np.zeros(0, np.int32),
        targets=np.zeros(0, np.int32),
        truths=np.zeros((0, 0), np.float32),
    )
    return shortened, steps


def _scored(
    model: nn.Module, probe: Probe, found: Inspection, places: NDArray[np.int64], cut: tuple[int, int]
) -> Doubles:
    """Loss, whether it is right and whether it is asked of each answer without these steps: float64 (3, I).

    I sequences or steps of the probe set, 0 where nothing was read. Sequences of one length go together, so that
    nothing is padded.
    """
    assert found.reader is not None
    of_sequences = probe.task in PER_SEQUENCE
    answers = np.zeros((3, probe.lengths.size if of_sequences else int(probe.offsets[-1])))
    like = a_parameter(model)
    shortened, steps = without(probe, places, *cut)
    for alike in equal_length_groups(shortened):
        size = max(1, step_budget(shortened) // int(shortened.lengths[alike[0]]))
        for first in range(0, alike.size, size):
            batch = make_batch(shortened, alike[first : first + size], like)
            with attributes_kept(model):
                raw = found.convention.run(model, batch)
            predictions = found.reader.predictions(raw, batch)
            meant = replace(batch, sequences=places[batch.sequences], steps=steps[batch.steps])
            rows = meant.sequences if of_sequences else meant.steps
            scores: list[Tensor] = [
                losses(probe, found.reader, predictions, meant),
                rights(probe, found.reader, predictions, meant),
                asked(probe, meant),
            ]
            answers[:, rows] = [each.detach().to("cpu", torch.float64).numpy() for each in scores]
    return answers


def _counted(probe: Probe, found: Inspection, places: NDArray[np.int64], cut: tuple[int, int]) -> NDArray[np.bool_]:
    """Which answers may change, bool (I,): of the steps after the cut, or of all others where it is read both ways."""
    if probe.task in PER_SEQUENCE:
        return np.isin(np.arange(probe.lengths.size), places)
    owners = np.repeat(np.arange(probe.lengths.size), probe.lengths)
    place = np.arange(owners.size) - probe.offsets[owners]
    before = (place < cut[0]) & any(key.direction == "rev" for key in found.widths)
    return np.isin(owners, places) & (before | (place >= cut[1]))


def _added(
    probe: Probe, places: NDArray[np.int64], scored: Doubles, counted: NDArray[np.bool_]
) -> tuple[Doubles, Doubles, Doubles]:
    """Loss, right answers and answers of each sequence, float64 (M,)."""
    count = probe.lengths.size
    owners = np.arange(count) if probe.task in PER_SEQUENCE else np.repeat(np.arange(count), probe.lengths)
    taken = counted & (scored[2] > 0)
    loss, right, items = (np.bincount(owners[taken], row[taken], count)[places].astype(np.float64) for row in scored)
    return loss, right, items
