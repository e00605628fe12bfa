"""States of a network grouped by k-means in their leading principal components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnreport.analyses.sample import evenly
from rnnreport.results.recorded import Doubles, Floats

_SAME = 8  # digits, relative to the largest: squared distances in double precision tell apart no more
_BLOCK = 20_000  # states projected at a time


@dataclass(frozen=True)
class Plane:
    """Leading principal components: what states are projected on before they are grouped.

    Attributes
    ----------
    mean : float64 (H,)
    vectors : float64 (H, d)
    explained : float, share of the variance along them
    """

    mean: Doubles
    vectors: Doubles
    explained: float

    @classmethod
    def of(cls, states: Floats, explained: float, most: int) -> Plane:
        """As few components as hold this share of the variance of states (S, H), at most so many."""
        mean = states.mean(axis=0, dtype=np.float64)
        centred = states - mean
        variances, vectors = np.linalg.eigh(centred.T @ centred)
        shares = np.cumsum(variances[::-1].clip(min=0)) / max(float(variances.clip(min=0).sum()), 1e-300)
        count = min(most, int(np.searchsorted(shares, explained)) + 1, shares.size)
        # the sign of an eigenvector is arbitrary: its largest entry is made positive
        kept = vectors[:, ::-1][:, :count]
        signs = np.sign(kept[np.abs(kept).argmax(axis=0), np.arange(count)])
        return cls(mean, kept * signs, float(shares[count - 1]))

    def project(self, states: Floats) -> Doubles:
        """float64 (S, d)."""
        parts = [(states[start : start + _BLOCK] - self.mean) @ self.vectors for start in range(0, len(states), _BLOCK)]
        return np.concatenate(parts) if parts else np.zeros((0, self.vectors.shape[1]))


def grouped(points: Doubles, k: int, seed: int, most: int) -> Any | None:
    """A fitted k-means of at most so many of the points, evenly spaced; None where fewer than k differ."""
    from sklearn.cluster import KMeans

    fitted = points[evenly(len(points), most)]
    size = np.abs(fitted).max(initial=0)
    if not size or len(np.unique((fitted / size).round(_SAME), axis=0)) < k:
        return None
    return KMeans(k, n_init=2, random_state=seed).fit(fitted)


def labels_of(model: Any, points: Doubles) -> NDArray[np.int64]:
    """int64 (S,), the group of every point."""
    return np.asarray(model.predict(points), np.int64)
