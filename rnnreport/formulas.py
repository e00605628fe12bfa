"""The few formulas that capture (over a corpus that streams by) and the analyses (over stored states) share.

Source: Ming et al., "Understanding Hidden Memories of Recurrent Neural Networks", VAST 2017.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rnnreport.results.recorded import Doubles, Floats

Real = TypeVar("Real", np.float32, np.float64)

BANDS = (9, 25, 75, 91)  # percentiles of a response: the central 82% and the central 50%
MOST_WORDS = 300  # most frequent tokens whose responses are kept


def changes(states: Floats, offsets: NDArray[np.int64]) -> Floats:
    """Change of the state at each step; the first step of a sequence starts from a zero state.

    Parameters
    ----------
    states : float32 (S, H)
    offsets : int64 (N + 1,)

    Returns
    -------
    float32 (S, H)
    """
    delta = states.copy()
    delta[1:] -= states[:-1]
    delta[offsets[:-1]] = states[offsets[:-1]]
    return delta


def kept_rates(states: Floats, offsets: NDArray[np.int64]) -> Doubles:
    """Share of the previous state's magnitude that each step keeps, over all units of the layer.

    ``kept_t = sum of min(|h_t|, |h_(t-1)|)`` over the units that keep their sign; the rate divides it by
    ``sum |h_(t-1)|``.

    Parameters
    ----------
    states : float32 (S, H)
    offsets : int64 (N + 1,)

    Returns
    -------
    float64, one rate in [0, 1] for every step that has a predecessor; 0 where the previous state is zero
    """
    first = np.zeros(states.shape[0], dtype=bool)
    first[offsets[:-1]] = True
    later = np.flatnonzero(~first)
    now, before = states[later], states[later - 1]
    kept = kept_parts(now, before).sum(axis=1, dtype=np.float64)
    size = np.abs(before).sum(axis=1, dtype=np.float64)
    return np.asarray(np.divide(kept, size, out=np.zeros_like(size), where=size > 0))


def kept_parts(now: NDArray[Real], before: NDArray[Real]) -> NDArray[Real]:
    """What each unit keeps of its previous magnitude: the smaller one of both, 0 where the sign turned."""
    kept = np.minimum(np.abs(now), np.abs(before))
    kept[np.sign(now) != np.sign(before)] = 0
    return kept
