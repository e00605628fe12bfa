"""MM-PHATE of a training that goes on: distances, landmarks and layout of the epochs before are kept.

So an epoch more costs little, and the picture moves little. The result depends on when it was updated, so that the
picture of a finished training is better made from scratch.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from rnnreport.analyses.mmphate.diffusion import landmark_labels
from rnnreport.analyses.mmphate.embed import Embedding, EmbedParams, Start, embed
from rnnreport.analyses.mmphate.kernel import Kernel, KernelParams, grown_kernel, multislice_kernel
from rnnreport.analyses.reuse import Reuse
from rnnreport.progress import Stage
from rnnreport.results.recorded import Doubles, Floats, Ints
from rnnreport.results.schema.landmarks import Landmarks

_OUTGROWN = 1.5  # times as many nodes as when the centres were found: they are found anew


@dataclass
class Growth:
    """What an update goes on from; each leaves here what the next one needs.

    Attributes
    ----------
    kernel : Kernel of the last update in this process; None before the first
    landmarks : Landmarks of the last update, also of an earlier process; None where there are none
    reuse : Reuse, what is computed of single epochs, which the next ones do not change
    """

    kernel: Kernel | None = None
    landmarks: Landmarks | None = None
    reuse: Reuse = field(default_factory=Reuse)


@dataclass(frozen=True)
class Course:
    """Which activity is embedded: ``scope``, int32 ``epochs`` (E,), int64 ``steps``, ``units`` and ``sequences``."""

    scope: str
    epochs: Ints
    steps: NDArray[np.int64]
    units: NDArray[np.int64]
    sequences: NDArray[np.int64]

    def continues(self, landmarks: Landmarks, samples: int) -> bool:
        """Whether landmarks with so many features are of the same steps, units and sequences."""
        chosen = ("steps", "units", "sequences")
        alike = all(np.array_equal(getattr(self, name), getattr(landmarks, name)) for name in chosen)
        return self.scope == landmarks.scope and alike and landmarks.centres.shape[1] == samples


@dataclass(frozen=True)
class Found:
    """The landmarks of an update, and where their layout begins.

    Attributes
    ----------
    start : Start
    of_unit : int32 (L,), the unit of every landmark
    centres : float32 (L, features)
    clustered : int, number of nodes when the centres were found
    """

    start: Start
    of_unit: Ints
    centres: Floats
    clustered: int


def updated(
    growth: Growth, course: Course, slices: Doubles, kernel_params: KernelParams, params: EmbedParams
) -> tuple[Kernel, Embedding]:
    """The kernel and the layout, from what the update before left; leaves what the next one starts from.

    Parameters
    ----------
    growth : Growth, changed
    course : Course
    slices : float64 (E * T, H, samples)
        Not more samples than ``MOST_FEATURES``: components would be others after every epoch.
    kernel_params, params : of the kernel and of the layout
    """
    before = growth.landmarks
    if before is not None and not course.continues(before, slices.shape[2]):
        before = None
    if growth.kernel is None:
        kernel = multislice_kernel(slices, kernel_params)
    else:
        kernel = grown_kernel(growth.kernel, slices, kernel_params)
    embedded_before = np.zeros(0, np.int32) if before is None else before.epochs
    known = np.repeat(np.isin(course.epochs, embedded_before), course.steps.size)
    with Stage("MM-PHATE, diffusion and layout"):
        found = begin(kernel, known, before, params.landmarks, params.seed)
        embedding = embed(kernel, params, found.start)
    if embedding.laid_out is not None:
        growth.kernel = kernel
        growth.landmarks = Landmarks(
            scope=course.scope,
            epochs=course.epochs,
            steps=course.steps.astype(np.int32),
            units=course.units.astype(np.int32),
            sequences=course.sequences.astype(np.int32),
            of_unit=found.of_unit,
            centres=found.centres,
            plane=embedding.laid_out[0].points,
            space=embedding.laid_out[1].points,
            clustered=found.clustered,
            updates=0 if before is None else before.updates + 1,
        )
    return kernel, embedding


def begin(kernel: Kernel, known: NDArray[np.bool_], before: Landmarks | None, most: int, seed: int) -> Found:
    """Choose the landmarks of an update.

    Parameters
    ----------
    kernel : Kernel
    known : bool (slices,), those of the update before
    before : Landmarks of the update before, of the same units
    most : int, landmarks where centres are found anew; centres are added beyond it
    seed : int
    """
    nodes = kernel.nodes
    if before is not None and most < kernel.size <= _OUTGROWN * before.clustered:
        labels, of_unit, centres = _carried(nodes, known, before, kernel.sigma)
        clustered = before.clustered
    else:
        labels, clustered = landmark_labels(nodes, most, seed), kernel.size
        of_unit, centres = _centres(nodes, labels)
    if before is None:
        return Found(Start(labels), of_unit, centres, clustered)
    nearest = np.stack([found for found, _ in _nearest(nodes, before.of_unit, before.centres)], axis=1).ravel()
    plane, space = (_means(places[nearest], labels) for places in (before.plane, before.space))
    return Found(Start(labels, plane, space), of_unit, centres, clustered)


def _carried(
    nodes: Doubles, known: NDArray[np.bool_], before: Landmarks, sigma: float
) -> tuple[NDArray[np.int64], Ints, Floats]:
    """The centres before, and further ones where a new node would be worse off than all nodes before.

    That is where it is farther from the nearest centre than ``sigma`` and than any node of its unit was.
    """
    slices, units, _ = nodes.shape
    labels = np.empty((slices, units), np.int64)
    of_unit, centres = [], []
    first = 0
    for unit, (found, distance) in enumerate(_nearest(nodes, before.of_unit, before.centres)):
        points, own = nodes[:, unit], [before.centres]
        farthest_known = max(sigma, float(distance[known].max(initial=0)))
        while distance.max() > farthest_known:
            farthest = int(distance.argmax())
            place = len(before.centres) + len(own) - 1
            own.append(points[farthest : farthest + 1].astype(np.float32))
            to_added = np.linalg.norm(points - points[farthest], axis=1)
            found = np.where(to_added < distance, place, found)
            distance = np.minimum(distance, to_added)
        taken, places = np.unique(found, return_inverse=True)
        labels[:, unit] = first + places
        first += taken.size
        centres.append(np.concatenate(own)[taken])
        of_unit.append(np.full(taken.size, unit, np.int32))
    return labels.ravel(), np.concatenate(of_unit), np.concatenate(centres)


def _nearest(nodes: Doubles, of_unit: Ints, centres: Floats) -> list[tuple[NDArray[np.int64], Doubles]]:
    """For each unit the nearest of its centres to every slice, int64 (slices,), and the distance to it."""
    nearest = []
    for unit in range(nodes.shape[1]):
        own = np.flatnonzero(of_unit == unit)
        distances = cdist(nodes[:, unit], centres[own].astype(np.float64))
        place = distances.argmin(axis=1)
        nearest.append((own[place], distances[np.arange(len(place)), place]))
    return nearest


def _centres(nodes: Doubles, labels: NDArray[np.int64]) -> tuple[Ints, Floats]:
    """The unit of every landmark, and the mean of its nodes."""
    slices, units, features = nodes.shape
    of_unit = np.empty(int(labels.max()) + 1, np.int32)
    of_unit[labels] = np.tile(np.arange(units, dtype=np.int32), slices)
    return of_unit, _means(nodes.reshape(-1, features), labels).astype(np.float32)


def _means(values: Doubles, labels: NDArray[np.int64]) -> Doubles:
    """Mean of the rows with the same label, float64 (L, columns)."""
    totals = np.stack([np.bincount(labels, column) for column in values.T], axis=1)
    return np.asarray(totals / np.bincount(labels)[:, None])
