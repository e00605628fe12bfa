"""Fixed and slow points of a network's own step at typical inputs, with the derivatives that tell what they do.

Sussillo and Barak, "Opening the black box" (2013), and FixedPointFinder (Golub and Sussillo 2018); the right and left
eigenvectors are read as in Maheswaranathan et al., "Reverse engineering recurrent networks" (2019).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnreport.budget import LEFT_OUT
from rnnreport.capture.inspection import Inspection
from rnnreport.capture.isolation import untouched
from rnnreport.capture.probe import hash_order
from rnnreport.capture.readout import Readout, find_readout
from rnnreport.capture.roots import FIXED, SLOW, Roots, SearchParams, find_roots
from rnnreport.capture.typical import TypicalInputs, typical_inputs
from rnnreport.capture.visited import Visited, visit
from rnnreport.errors import InputError
from rnnreport.progress import Stage
from rnnreport.results.recorded import Probe
from rnnreport.results.recorded_dynamics import FixedPointSearch

_MOST_OUTPUTS, _TOP = 64, 5  # outputs that are all kept, and of more the largest
_ITERATION, _DECOMPOSITION = 2, 100  # multiplications, in cubes of the size of s
_USUAL = 15  # iterations after which most starts have ended


@dataclass(frozen=True)
class FixedPointParams:
    """What is searched and kept, and multiplications at most (a few seconds).

    ``sequences`` and ``steps`` that are visited; ``starts`` at each input, no fewer than ``fewest``: half between two
    visited states, a quarter visited, a quarter where such are after ``follow`` steps; the mean input, zero and
    ``frequent`` others; different ``points`` kept of each input, and ``slow`` places; ``modes`` of each point whose
    directions are looked at. Points nearer than ``same`` are one; points farther than ``far`` from every visited state
    are dropped, as are slow places farther than ``near``: all in units of the mean distance of visited states from
    their middle.
    """

    sequences: int = 400
    steps: int = 6000
    starts: int = 256
    fewest: int = 12
    follow: int = 200
    frequent: int = 2
    points: int = 60
    slow: int = 128
    modes: int = 8
    same: float = 0.01
    far: float = 2.0
    near: float = 0.5
    multiplications: float = 2e10
    search: SearchParams = field(default_factory=SearchParams)
    seed: int = 0


def read_fixed_points(
    model: nn.Module, probe: Probe, found: Inspection, epoch: int, params: FixedPointParams | None = None
) -> FixedPointSearch:
    """Search from visited states; the model is left as it was.

    Parameters
    ----------
    model : nn.Module
    probe : Probe
    found : Inspection
    epoch : int
    params : FixedPointParams, optional
    """
    params = params or FixedPointParams()
    if not params.multiplications:
        return nothing(epoch, LEFT_OUT)
    try:
        with torch.inference_mode(False), untouched(model):
            size = size_of_step(model, probe, found)
            starts, inputs = _affordable(size, params)
            if not starts:
                return nothing(epoch, too_large(size))
            visited = visit(model, probe, found, visited_places(probe, params.sequences, params.steps))
            readout = find_readout(model, probe, found, visited.system)
            typical = typical_inputs(probe, visited, params.frequent if inputs > 1 else 0)
            if inputs == 1:
                typical = TypicalInputs(typical.names[:1], typical.values[:1])
            with Stage("fixed and slow points"):
                return _search(visited, typical, readout, starts, epoch, params)
    except InputError as error:  # a network that is no such step
        return nothing(epoch, str(error))


def visited_places(probe: Probe, sequences: int, steps: int) -> NDArray[np.int64]:
    """int64 (N,), increasing: the first sequences by the hash of their ids that have so many steps; at least one."""
    order = np.array(hash_order(probe.sequence_ids)[:sequences], np.int64)
    fits = np.cumsum(probe.lengths[order], dtype=np.int64) <= steps
    return np.sort(order[: max(1, int(fits.sum()))])


def size_of_step(model: nn.Module, probe: Probe, found: Inspection) -> int:
    """Numbers in the state of the step, by one sequence, so that a large net can be refused before many are visited."""
    return visit(model, probe, found, visited_places(probe, 1, 1)).system.size


def too_large(size: int) -> str:
    """The reason where the budget does not suffice."""
    return f"the state has {size:,} numbers, and inverting matrices of that size would take longer than the budget says"


def _affordable(size: int, params: FixedPointParams) -> tuple[int, int]:
    """Starts and inputs; of a large state the mean input alone, and none where even that is too much."""
    each = _ITERATION * _USUAL * size**3
    for inputs in (2 + params.frequent, 1):
        starts = int(min(params.starts, params.multiplications / (inputs * each)))
        if starts >= params.starts // 4 or (inputs == 1 and starts >= params.fewest):
            return starts, inputs
    return 0, 0


def starts_of(visited: Visited, count: int, seed: int) -> Tensor:
    """Float64 (count, W): visited states, and as many places between two of them, where saddles are."""
    generator = np.random.default_rng(seed)
    rows = torch.from_numpy(generator.integers(0, len(visited.states), (2, count)))
    share = torch.from_numpy(generator.random((count, 1)))
    share[: (count + 1) // 2] = 1
    return share * visited.states[rows[0]] + (1 - share) * visited.states[rows[1]]


def _follow(visited: Visited, states: Tensor, inputs: Tensor, steps: int) -> Tensor:
    """Where states are after so many steps at fixed inputs."""
    for _ in range(steps):
        states = visited.system.step(states, inputs)
    return states


def _search(
    visited: Visited, typical: TypicalInputs, readout: Readout | None, starts: int, epoch: int, params: FixedPointParams
) -> FixedPointSearch:
    size, count = visited.system.size, len(typical.names)
    begin = starts_of(visited, starts, params.seed).repeat(count, 1)
    inputs = typical.values.repeat_interleave(starts, dim=0)
    place = torch.arange(starts).repeat(count)
    followed = (place >= starts // 4) & (place < starts // 2)  # they end near what attracts, if anything does
    begin[followed] = _follow(visited, begin[followed], inputs[followed], params.follow)
    roots = find_roots(visited.system, begin, inputs, params.search)
    kept = int(min(params.points, max(4, params.multiplications / (_DECOMPOSITION * size**3 * count))))
    found = [_different(visited, _rows(roots, place, starts), kept, params) for place in range(count)]
    owners = np.repeat(np.arange(count), [len(each.points) for each in found])
    points = torch.cat([each.points for each in found])
    values, shares, drives = _modes(visited, typical, readout, points, torch.from_numpy(owners), params.modes)
    outputs, top, top_values = _says(readout, points)
    slow = [slow_places(visited, _rows(roots, place, starts), params.near)[: params.slow] for place in range(count)]
    return FixedPointSearch(
        epoch=epoch,
        scopes=tuple(str(key) for key in visited.system.keys),
        hidden=(visited.system.hidden.start, visited.system.hidden.stop),
        inputs=typical.names,
        starts=starts,
        sequences=len(visited.places),
        owners=owners.astype(np.int32),
        points=points.numpy(),
        speeds=np.concatenate([each.speeds for each in found]),
        arrivals=np.concatenate([each.arrivals for each in found]).astype(np.int32),
        eigenvalues=np.stack([values.real, values.imag], axis=2),
        readout=shares,
        drive=drives,
        outputs=outputs,
        top_outputs=top,
        top_values=top_values,
        slow=torch.cat(slow).numpy().astype(np.float32),
        slow_owners=np.repeat(np.arange(count), [len(each) for each in slow]).astype(np.int32),
        counts=np.array([each.counts for each in found], np.int32),
        remark=visited.remark,
        reason="",
    )


@dataclass(frozen=True)
class _Different:
    """Of one input: ``points`` (m, W), ``speeds`` and ``arrivals`` (m,), ``counts`` as in ``FixedPointSearch``."""

    points: Tensor
    speeds: NDArray[np.float64]
    arrivals: NDArray[np.int64]
    counts: tuple[int, ...]


def _rows(roots: Roots, place: int, starts: int) -> Roots:
    """Those of one input."""
    rows = slice(place * starts, (place + 1) * starts)
    return Roots(roots.ends[rows], roots.speeds[rows], roots.slow[rows], roots.slow_speeds[rows])


def _different(visited: Visited, roots: Roots, most: int, params: FixedPointParams) -> _Different:
    """The different ends, fixed points first, each kind by the number of starts that ended there."""
    ends, speeds = roots.ends, roots.speeds
    unit, ended = typical_distance(visited), speeds < SLOW
    near = torch.zeros_like(ended)
    near[ended] = distances(visited, ends[ended]) <= params.far
    fixed = near & (speeds < FIXED)
    order = torch.argsort(speeds)
    order = order[near[order]]
    apart = torch.cdist(ends[order], ends[order]) / unit
    owner = np.full(len(order), -1)
    for row in range(len(order)):
        if owner[row] < 0:
            owner[(apart[row].numpy() < params.same) & (owner < 0)] = row
    heads, arrivals = np.unique(owner, return_counts=True)
    ranked = np.lexsort((heads, -arrivals, ~fixed[order][heads].numpy()))
    kept = ranked[:most]
    chosen = order[torch.from_numpy(heads[kept])]
    counts = (int(fixed.sum()), int((near & ~fixed).sum()), int((ended & ~near).sum()), int((~ended).sum()))
    return _Different(ends[chosen], speeds[chosen].numpy(), arrivals[kept], (*counts, len(heads) - len(kept)))


def slow_places(visited: Visited, roots: Roots, near: float) -> Tensor:
    """Where starts first were slow, no farther from the nearest visited state than ``near`` (as ``distances``)."""
    slow = roots.slow[roots.slow_speeds < SLOW]
    return slow[distances(visited, slow) <= near]


def typical_distance(visited: Visited) -> float:
    """Mean distance of the visited states from their middle; 1 where it is 0."""
    return float((visited.states - visited.states.mean(0)).norm(dim=1).mean()) or 1.0


def distances(visited: Visited, points: Tensor) -> Tensor:
    """Of points (M, W) from the nearest visited state, in units of the typical distance, (M,)."""
    if not len(points):
        return points.new_zeros(0)
    return torch.cdist(points, visited.states).amin(1) / typical_distance(visited)


def _modes(
    visited: Visited, typical: TypicalInputs, readout: Readout | None, points: Tensor, owners: Tensor, most: int
) -> tuple[NDArray[np.complex128], NDArray[np.float32], NDArray[np.float32]]:
    """Eigenvalues (M, W), and of the leading R modes what the head sees of them (M, R) and the inputs do (M, R, I)."""
    system, count = visited.system, len(typical.names)
    kept = min(most, system.size)
    if not len(points):
        none = np.zeros((0, kept), np.float32)
        return np.zeros((0, system.size), np.complex128), none, np.zeros((0, kept, count), np.float32)
    by_state, by_input = system.derivatives(points, typical.values[owners])
    values, right = leading(by_state)
    left = torch.linalg.pinv(right)[:, :kept]  # rows, of which each times its right eigenvector is 1
    others = typical.values - typical.values[owners].unsqueeze(1)  # (M, I, D)
    pushed = by_input @ others.mT  # (M, W, I)
    drive = (left @ pushed.to(left)).abs()
    shares = np.full((len(points), kept), np.nan, np.float32)
    if readout is not None:
        seen = readout.directions(points)
        largest = torch.linalg.matrix_norm(seen, ord=2).clamp(min=1e-300)
        shares = (seen.to(right) @ right[:, readout.hidden, :kept]).norm(dim=1).div(largest[:, None]).numpy()
    return values.numpy(), shares.astype(np.float32), drive.numpy().astype(np.float32)


def leading(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (M, W) of matrices (M, W, W), the largest modulus first, and right eigenvectors as columns."""
    values, right = torch.linalg.eig(matrices)
    # of a conjugate pair, whose moduli are equal but for rounding, the positive imaginary part first
    order = np.lexsort((-values.imag.numpy(), -values.abs().numpy().round(12)))
    ranked = torch.from_numpy(order)
    return values.gather(1, ranked), right.gather(2, ranked.unsqueeze(1).expand_as(right))


def _says(
    readout: Readout | None, points: Tensor
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]:
    """All outputs at the points, or the largest; see ``FixedPointSearch``."""
    count = len(points)
    none, nowhere = np.zeros((count, 0), np.float32), np.zeros((count, 0), np.int32)
    if readout is None or not count:
        return none, nowhere, none
    said = readout.says(points)
    if said.shape[1] <= _MOST_OUTPUTS:
        return said, nowhere, none
    top = np.argsort(-said, axis=1, kind="stable")[:, :_TOP].astype(np.int32)
    return none, top, np.take_along_axis(said, top, axis=1)


def nothing(epoch: int, reason: str) -> FixedPointSearch:
    """A record without points."""
    none = np.zeros((0, 0), np.float32)
    return FixedPointSearch(
        epoch=epoch,
        scopes=(),
        hidden=(0, 0),
        inputs=(),
        starts=0,
        sequences=0,
        owners=np.zeros(0, np.int32),
        points=np.zeros((0, 0)),
        speeds=np.zeros(0),
        arrivals=np.zeros(0, np.int32),
        eigenvalues=np.zeros((0, 0, 2)),
        readout=none,
        drive=np.zeros((0, 0, 0), np.float32),
        outputs=none,
        top_outputs=np.zeros((0, 0), np.int32),
        top_values=none,
        slow=none,
        slow_owners=np.zeros(0, np.int32),
        counts=np.zeros((0, 5), np.int32),
        remark="",
        reason=reason,
    )
