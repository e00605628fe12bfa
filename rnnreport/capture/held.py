"""Units held at their mean inside the recurrence: what the answers cost then, for many sets of units at once.

At every step the state h of a held unit is replaced by its mean over the probe set, so that the next step, the layers
above and the head go on from a unit that says nothing. An LSTM's cell acts on the rest through h alone, so it is left
running. All sets go through the model together, as copies of the same sequences.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnreport.capture.batches import a_parameter, make_batch, step_budget, trial_batch
from rnnreport.capture.heads import largest_error
from rnnreport.capture.inspection import Inspection
from rnnreport.capture.losses import losses, rights
from rnnreport.capture.steered import Steering
from rnnreport.errors import InputError
from rnnreport.progress import track
from rnnreport.results.recorded import Checkpoint, Floats, Ints, Probe, StateKey

Sets = NDArray[np.bool_]  # (A, U), the units held in each run

_SAME = 1e-3  # how far the answers of a model run step by step may be from its own
_MOST_STEPS = 5000  # by which units are grouped


class HeldUnits:
    """The units of all hidden states of recurrent layers, counted through; to be used inside ``untouched``.

    Parameters
    ----------
    model : nn.Module
    probe : Probe
        Of a task with answers.
    found : Inspection
    checkpoint : Checkpoint
        Of the model as it is now.

    Attributes
    ----------
    keys : list of StateKey
    scope, unit : int32 (U,), place in ``keys`` and number within that state
    count : int, U

    Raises
    ------
    InputError
        If there is no unit that can be held.
    """

    def __init__(self, model: nn.Module, probe: Probe, found: Inspection, checkpoint: Checkpoint) -> None:
        self._model, self._probe, self._found = model, probe, found
        seen = _steered_keys(model, probe, found)
        self.keys = [key for key in found.widths if key in seen]
        widths = [found.widths[key] for key in self.keys]
        self.scope = np.repeat(np.arange(len(widths)), widths).astype(np.int32)
        self.unit = np.concatenate([np.zeros(0, np.int32), *(np.arange(width, dtype=np.int32) for width in widths)])
        self.count = self.unit.size
        if not self.count:
            raise InputError("no recorded state is that of a recurrent layer of torch's")
        self._states = [checkpoint.states[str(key)] for key in self.keys]
        means = [values.mean(axis=0, dtype=np.float64) for values in self._states]
        if not all(np.isfinite(mean).all() for mean in means):
            raise InputError("some states are not finite, so their mean is not either")
        like = a_parameter(model)
        self._means = {key: torch.from_numpy(mean).to(like) for key, mean in zip(self.keys, means, strict=True)}

    def groups(self, most: int) -> Ints:
        """int32 (U,): at most so many groups of units that move together, numbered in the order of the units.

        Average linkage of 1 - |correlation| over the probe set.
        """
        from scipy.cluster.hierarchy import fcluster, linkage
        from scipy.spatial.distance import squareform

        every = max(1, len(self._states[0]) // _MOST_STEPS)
        moves = np.concatenate([values[::every] for values in self._states], axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            alike = np.abs(np.nan_to_num(np.atleast_2d(np.corrcoef(moves.T.astype(np.float64)))))
        apart = np.clip(1 - (alike + alike.T) / 2, 0, None)
        np.fill_diagonal(apart, 0)
        found = fcluster(linkage(squareform(apart, checks=False), "average"), most, "maxclust")
        _, first, numbers = np.unique(found, return_index=True, return_inverse=True)
        return np.argsort(np.argsort(first))[numbers.ravel()].astype(np.int32)

    def cost(self, places: NDArray[np.int64], lengths: NDArray[np.int64], sets: Sets) -> tuple[Floats, Floats]:
        """Losses and right answers of these sequences with each set of units held.

        Parameters
        ----------
        places, lengths : int64 (M,), in the probe set, and how many of their steps are read
        sets : bool (A, U)

        Returns
        -------
        float32 (A, M), sums over the items of each sequence, twice

        Raises
        ------
        InputError
            If the model cannot be run so, or answers otherwise step by step.
        """
        loss = np.zeros((len(sets), len(places)), np.float32)
        right = loss.copy()
        parts = list(_parts(lengths, len(sets), step_budget(self._probe)))
        steering = None
        for rows, runs in track(parts, "which units matter", len(parts)):
            if runs.start == 0 or steering is None:
                batch = make_batch(self._probe, places[rows], a_parameter(self._model), int(lengths[rows[0]]))
                steering = Steering(self._model, self._found, batch)
            found = self._answers(steering, sets[runs])
            for values, part in zip((loss, right), found, strict=True):
                values[runs, rows] = part
        return loss, right

    def _answers(self, steering: Steering, sets: Sets) -> tuple[Floats, Floats]:
        """float32 (A, B) each, of copies of one batch."""
        reader, count = self._found.reader, len(sets)
        assert reader is not None
        held = {key: torch.from_numpy(sets[:, self.scope == place]) for place, key in enumerate(self.keys)}

        def steer(key: StateKey, hidden: Tensor) -> Tensor:
            if key not in held or not held[key].any():
                return hidden
            copies = hidden.reshape(count, -1, hidden.shape[1])
            chosen = held[key][:, None].to(hidden.device)
            return torch.where(chosen, self._means[key].to(hidden), copies).reshape(hidden.shape)

        raw, wide = steering.run(count, steer)
        predictions = reader.predictions(raw, wide)
        free = np.flatnonzero(~sets.any(axis=1))
        if free.size:  # nothing is held, so this must be the model as it is
            plain = predictions.reshape(count, -1, *predictions.shape[1:])[int(free[0])]
            if largest_error(plain, reader.predictions(steering.raw, steering.batch), reader.form) > _SAME:
                raise InputError("run step by step the model gives other answers than by itself")
        each = (score(self._probe, reader, predictions, wide) for score in (losses, rights))
        loss, right = (values.reshape(count, len(steering.batch.steps), -1).double().sum(-1) for values in each)
        return loss.float().cpu().numpy(), right.float().cpu().numpy()


def _steered_keys(model: nn.Module, probe: Probe, found: Inspection) -> set[StateKey]:
    seen: set[StateKey] = set()

    def notice(key: StateKey, hidden: Tensor) -> Tensor:
        seen.add(key)
        return hidden

    Steering(model, found, trial_batch(probe, a_parameter(model))).run(1, notice)
    return seen


def _parts(lengths: NDArray[np.int64], runs: int, steps: int) -> Iterator[tuple[NDArray[np.int64], slice]]:
    """Sequences of one length and some of the runs, as many at a time as there may be steps in a batch."""
    for length in np.unique(lengths):
        alike = np.flatnonzero(lengths == length)
        size = max(1, int(steps // length))
        for start in range(0, alike.size, size):
            rows = alike[start : start + size]
            together = max(1, int(steps // (length * rows.size)))
            for first in range(0, runs, together):
                yield rows, slice(first, min(runs, first + together))
