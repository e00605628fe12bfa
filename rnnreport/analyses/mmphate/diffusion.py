"""Diffusion over the nodes, by landmarks: clusters of nodes that stand for their members.

Landmarks are k-means clusters inside each unit, on the activity itself. That is cheaper than clusters of spectral
features over all nodes, as phate makes them, and nearer to the exact diffusion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace, device
from numpy.typing import NDArray
from scipy import sparse

from rnnreport.analyses.mmphate.device import Array, fetched
from rnnreport.analyses.mmphate.kernel import Kernel
from rnnreport.analyses.mmphate.threads import each
from rnnreport.results.recorded import Doubles

_POWERS = 100
_ROWS = 500  # of a product, for one thread
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
    each_unit = min(slices, max(1, most // units))

    def clustered(unit: int) -> NDArray[np.int64]:
        points = np.ascontiguousarray(nodes[:, unit])
        distinct = len(np.unique(points, axis=0))
        clusters = KMeans(
            min(each_unit, distinct), n_init=1, max_iter=_ITERATIONS, random_state=seed, algorithm="lloyd"
        )
        return np.unique(clusters.fit(points).labels_, return_inverse=True)[1]

    labels = np.empty((slices, units), np.int64)
    first = 0
    for unit, found in enumerate(each(clustered, range(units))):
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
    parts = [(kernel.within[slice_of, row, column], slice_of * units + row, of_slices[slice_of, column])]

    def tied_to(unit: int) -> tuple[Doubles, NDArray[np.int64], NDArray[np.int64]]:
        own, places = np.unique(of_slices[:, unit], return_inverse=True)
        later, earlier, affinity = kernel.of_unit(unit)
        total = np.zeros(slices * own.size)
        for some, others in ((later, earlier), (earlier, later)):  # a pair is kept once and counts for both
            total += np.bincount(some.astype(np.int64) * own.size + places[others], affinity, total.size)
        tied = np.flatnonzero(total)
        return total[tied], tied // own.size * units + unit, own[tied % own.size]

    parts += each(tied_to, range(units))
    strengths, nodes, landmarks = (np.concatenate(part) for part in zip(*parts, strict=True))
    return sparse.csr_matrix((strengths, (nodes, landmarks)), shape=(kernel.size, int(labels.max()) + 1))


def _rows_to_one(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    totals = np.asarray(matrix.sum(axis=1)).ravel()
    return sparse.csr_matrix(sparse.diags(1 / totals) @ matrix)


def singular_values(operator: Array) -> Doubles:
    """float64 (L,), decreasing: the roots of the eigenvalues of P P', several times faster than their decomposition."""
    squared = fetched(array_namespace(operator).linalg.eigvalsh(operator @ operator.T))
    return np.asarray(np.sqrt(np.maximum(squared, 0))[::-1])


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


def potential(operator: Array, t: int, gamma: float) -> Array:
    """The informational potential of the operator's power t, float32 (L, L).

    ``gamma`` 1 is -log(P), 0 is 2 sqrt(P), between them P^c / c with c = (1 - gamma) / 2.
    """
    xp = array_namespace(operator)
    power = _power(xp.astype(operator, xp.float32), t)
    if gamma == 1:
        return -xp.log(power + 1e-7)
    exponent = (1 - gamma) / 2
    return xp.where(power < 0, 0.0, power) ** exponent / exponent


def _power(matrix: Array, t: int) -> Array:
    """The power of a matrix, t at least 1, by squaring from the highest binary digit of t."""
    power = matrix
    for digit in bin(t)[3:]:
        power = _product(power, power)
        if digit == "1":
            power = _product(power, matrix)
    return power


def _product(left: Array, right: Array) -> Array:
    """The product of two matrices, some rows at a time."""
    parts = each(lambda start: left[start : start + _ROWS, :] @ right, range(0, left.shape[0], _ROWS))
    return array_namespace(left).concat(list(parts))


def potential_distances(potentials: Array) -> Array:
    """Euclidean distances between the rows, float64 (L, L), zero diagonal, exactly symmetric."""
    xp = array_namespace(potentials)
    rows = xp.astype(potentials, xp.float64)
    sizes = xp.sum(rows * rows, axis=1)
    squared = sizes[:, None] + sizes - 2 * (rows @ rows.T)
    squared = (squared + squared.T) / 2
    own = xp.arange(rows.shape[0], device=device(rows))
    squared[own, own] = 0
    return xp.sqrt(xp.where(squared < 0, 0.0, squared))
