"""Measures of the activity with its sequences drawn again, from sums over the sequences, without drawing the arrays.

A resample only says how often each sequence counts, so every sum over its sequences is a product with these counts, and
those of all resamples are one matrix product.
"""

from __future__ import annotations

import numpy as np

from rnnreport.results.recorded import Doubles

_AT_A_TIME = 2**22  # products of two units, over all sequences or resamples
_CONSTANT = 1e-12  # of the mean square: a variance that is nothing but rounding


def drawn_counts(sequences: int, resamples: int, seed: int) -> Doubles:
    """How often each sequence is in each resample, float64 (resamples, sequences); rows add up to ``sequences``."""
    draw = np.random.default_rng(seed)
    drawn = [draw.integers(0, sequences, sequences) for _ in range(resamples)]
    return np.array([np.bincount(one, minlength=sequences) for one in drawn], np.float64)


def resampled_similarity(activity: Doubles, counts: Doubles) -> Doubles:
    """Linear CKA of every epoch with the last one, as ``measures.similarity_with_last``, in each resample.

    Parameters
    ----------
    activity : float64 (E, T, H, sequences)
    counts : float64 (R, sequences)

    Returns
    -------
    float64 (R, E)
    """
    centred = activity - activity.mean(axis=(1, 3), keepdims=True)
    states = np.ascontiguousarray(centred.transpose(0, 3, 1, 2))  # (E, sequences, T, H)
    cross = np.array([_product_norm(one, states[-1], counts) for one in states])
    own = np.array([_product_norm(one, one, counts) for one in states])
    sizes = own * own[-1]
    found: Doubles = np.divide(cross**2, sizes, out=np.full(cross.shape, np.nan), where=sizes > 0)
    return found.T


def _product_norm(some: Doubles, others: Doubles, counts: Doubles) -> Doubles:
    """Frobenius norm of the product of two centred matrices of states (sequences, T, H) in each resample, (R,)."""
    sequences, steps, units = some.shape
    totals, other_totals = counts @ some.sum(axis=1), counts @ others.sum(axis=1)
    rows = max(1, _AT_A_TIME // (units * max(sequences, len(counts))))
    squared = np.zeros(len(counts))
    for start in range(0, units, rows):
        part = slice(start, start + rows)
        products = (some[:, :, part].transpose(0, 2, 1) @ others).reshape(sequences, -1)
        drawn = (counts @ products).reshape(len(counts), -1, units)
        drawn -= totals[:, part, None] * other_totals[:, None, :] / (sequences * steps)
        squared += (drawn**2).sum(axis=(1, 2))
    return np.sqrt(squared)


def resampled_change(activity: Doubles, counts: Doubles) -> Doubles:
    """Mean distance of the standardised nodes from those of the epoch before, in each resample, but for its scale.

    Two standardised nodes are as far apart as their correlation over the sequences says; a distance below 1e-7 of their
    size is rounding.

    Parameters
    ----------
    activity, counts : as in ``resampled_similarity``

    Returns
    -------
    float64 (R, E), NaN at the first epoch
    """
    epochs, sequences = activity.shape[0], activity.shape[3]
    weights = counts.T / sequences
    centred = (activity - activity.mean(axis=3, keepdims=True)).reshape(epochs, -1, sequences)
    changes = np.full((epochs, len(counts)), np.nan)
    before = _moments(centred[0], weights)
    for epoch in range(1, epochs):
        now = _moments(centred[epoch], weights)
        (mean, size), (mean_before, size_before) = now, before
        together = (centred[epoch] * centred[epoch - 1]) @ weights - mean * mean_before
        scale = size * size_before
        alike = np.divide(together, scale, out=np.zeros(scale.shape), where=scale > 0)
        changes[epoch] = np.sqrt(np.maximum((size > 0) * 1.0 + (size_before > 0) - 2 * alike, 0)).mean(axis=0)
        before = now
    return changes.T


def _moments(nodes: Doubles, weights: Doubles) -> tuple[Doubles, Doubles]:
    """Mean and standard deviation of each node in each resample, (nodes, R); the latter 0 where it is constant."""
    mean, square = nodes @ weights, nodes**2 @ weights
    variance = square - mean**2
    return mean, np.sqrt(np.where(variance > _CONSTANT * square, variance, 0))
