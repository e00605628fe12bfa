"""Diffusion over the nodes, by landmarks: clusters of nodes that stand for their members.

Landmarks are k-means clusters inside each unit, on the activity itself. That is cheaper than clusters of spectral
features over all nodes, as phate makes them, and nearer to the exact diffusion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import eigvalsh

from rnnreport.analyses.mmphate.kernel import Kernel
from rnnreport.results.recorded import Doubles, Floats

_POWERS = 100
_ITERATIONS = 20  # of k-means


@dataclass(frozen=True)
class Diffusion:
    """One step of the diffusion from landmark to landmark, which is about two steps from node to node.

    Attributes
    ----------
    operator : float64 (L, L), rows add up to 1
    to_landmarks : CSR float64 (N, L), rows add up to 1: where a node goes in one step
    """

    operator: Doubles
    to_landmarks: sparse.csr_matrix


def landmark_labels(nodes: Doubles, most: int, seed: int) -> NDArray[np.int64]:
    """The landmark of every node, int64 (N,): each node its own where there are no more nodes than landmarks.

    Parameters
    ----------
    nodes : float64 (slices, H, features)
    most : int
    seed : int
    """
    from sklearn.cluster import KMeans

    slices, units, _ = nodes.shape
    if slices * units <= most:
        return np.arange(slices * units)
    each = min(slices, max(1, most // units))
    labels = np.empty((slices, units), np.int64)
    first = 0
    for unit in range(units):
        points = np.ascontiguousarray(nodes[:, unit])
        distinct = len(np.unique(points, axis=0))
        clusters = KMeans(min(each, distinct), n_init=1, max_iter=_ITERATIONS, random_state=seed, algorithm="lloyd")
        _, found = np.unique(clusters.fit(points).labels_, return_inverse=True)
        labels[:, unit] = first + found
        first += int(found.max()) + 1
    return labels.ravel()


def diffuse(kernel: Kernel, labels: NDArray[np.int64]) -> Diffusion:
    """The diffusion operator of the landmarks.

    Parameters
    ----------
    kernel : Kernel
    labels : int64 (N,), from ``landmark_labels``: every landmark has at least one node
    """
    affinity = landmark_affinity(kernel, labels)
    to_landmarks = _rows_to_one(affinity)
    to_nodes = _rows_to_one(sparse.csr_matrix(affinity.T))
    return Diffusion(np.asarray((to_nodes @ to_landmarks).toarray()), to_landmarks)


def landmark_affinity(kernel: Kernel, labels: NDArray[np.int64]) -> sparse.csr_matrix:
    """How strongly every node is tied to the nodes of every landmark together, CSR float64 (N, L).

    Parameters
    ----------
    kernel, labels : as in ``diffuse``
    """
    slices, units, _ = kernel.nodes.shape
    of_slices = labels.reshape(slices, units)
    slice_of, row, column = np.nonzero(kernel.within)
    nodes, landmarks = [slice_of * units + row], [of_slices[slice_of, column]]
    strengths: list[Doubles] = [kernel.within[slice_of, row, column]]
    for unit in range(units):
        own, places = np.unique(of_slices[:, unit], return_inverse=True)
        later, earlier, affinity = kernel.of_unit(unit)
        total = np.zeros(slices * own.size)
        for some, others in ((later, earlier), (earlier, later)):  # a pair is kept once and counts for both
            total += np.bincount(some.astype(np.int64) * own.size + places[others], affinity, total.size)
        tied = np.flatnonzero(total)
        nodes.append(tied // own.size * units + unit)
        landmarks.append(own[tied % own.size])
        strengths.append(total[tied])
    placed = (np.concatenate(strengths), (np.concatenate(nodes), np.concatenate(landmarks)))
    return sparse.csr_matrix(placed, shape=(kernel.size, int(labels.max()) + 1))


def _rows_to_one(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    totals = np.asarray(matrix.sum(axis=1)).ravel()
    return sparse.csr_matrix(sparse.diags(1 / totals) @ matrix)


def singular_values(operator: Doubles) -> Doubles:
    """float64 (L,), decreasing: the roots of the eigenvalues of P P', several times faster than their decomposition."""
    return np.sqrt(np.maximum(eigvalsh(operator @ operator.T), 0))[::-1]


def von_neumann_entropy(singular: Doubles) -> Doubles:
    """Spectral entropy of the powers 1 ... 100 of an operator.

    Parameters
    ----------
    singular : float64 (L,)

    Returns
    -------
    float64 (100,), nats
    """
    scaled = singular / singular.max()  # powers of a value above 1 would overflow
    entropy = np.empty(_POWERS)
    power = scaled.copy()
    for place in range(_POWERS):
        share = power / power.sum() + np.finfo(np.float64).eps
        entropy[place] = -(share * np.log(share)).sum()
        power = power * scaled
    return entropy


def knee(curve: Doubles) -> int:
    """Place of the bend of a curve: where two least-squares lines, before and after, miss it least.

    Parameters
    ----------
    curve : float64 (n,), n at least 3

    Returns
    -------
    int
        Place in 1 ... n - 2. As in phate the power used for the diffusion is this place, not the place plus 1, although
        the entropy at place 0 is that of the first power.
    """
    return int(np.argmin(_bend_errors(curve))) + 1


def near_knee(curve: Doubles) -> tuple[int, int]:
    """The lowest and highest place whose lines miss the curve by at most a hundredth more than those of the knee.

    Parameters
    ----------
    curve : float64 (n,), n at least 3
    """
    errors = _bend_errors(curve)
    near = np.flatnonzero(errors <= 1.01 * errors.min()) + 1
    return int(near[0]), int(near[-1])


def _bend_errors(curve: Doubles) -> Doubles:
    return np.array(
        [_line_error(curve, 0, bend + 1) + _line_error(curve, bend, len(curve)) for bend in range(1, len(curve) - 1)]
    )


def _line_error(curve: Doubles, start: int, stop: int) -> float:
    """Sum of the absolute distances to the least-squares line."""
    places, values = np.arange(start, stop, dtype=np.float64), curve[start:stop]
    centred = places - places.mean()
    slope = (centred @ values) / (centred @ centred)
    return float(np.abs(values - values.mean() - slope * centred).sum())


def potential(operator: Doubles, t: int, gamma: float) -> Floats:
    """The informational potential of the operator's power t, float32 (L, L).

    ``gamma`` 1 is -log(P), 0 is 2 sqrt(P), between them P^c / c with c = (1 - gamma) / 2.
    """
    power = np.linalg.matrix_power(operator.astype(np.float32), t)
    if gamma == 1:
        return np.asarray(-np.log(power + np.float32(1e-7)))
    exponent = np.float32((1 - gamma) / 2)
    return np.asarray(np.maximum(power, 0) ** exponent / exponent, dtype=np.float32)


def potential_distances(potentials: Floats) -> Doubles:
    """Euclidean distances between the rows, float64 (L, L), zero diagonal, exactly symmetric."""
    rows = potentials.astype(np.float64)
    sizes = np.einsum("ij,ij->i", rows, rows)
    squared = sizes[:, None] + sizes - 2 * (rows @ rows.T)
    distance = np.sqrt(np.maximum((squared + squared.T) / 2, 0))
    np.fill_diagonal(distance, 0)
    return np.asarray(distance)
