"""Whether a network holds evidence on a slow manifold: its slow places beside those of an untrained twin.

Maheswaranathan et al. (2019) and Aitken et al., "The geometry of integration in text classification RNNs" (2020): a net
that adds up evidence for K classes keeps it on a manifold of K - 1 slow dimensions that the head reads.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnreport.budget import LEFT_OUT
from rnnreport.capture.fixed_points import leading, size_of_step, slow_places, too_large, visited_places
from rnnreport.capture.inspection import Inspection
from rnnreport.capture.isolation import untouched
from rnnreport.capture.readout import Readout, find_readout
from rnnreport.capture.roots import SearchParams, find_roots
from rnnreport.capture.visited import Visited, visit
from rnnreport.capture.watching import RECURRENT_MODULES
from rnnreport.errors import InputError
from rnnreport.progress import Stage
from rnnreport.results.recorded import PER_SEQUENCE, Doubles, Floats, Probe
from rnnreport.results.recorded_dynamics import IntegrationProbe

_ITERATION, _DECOMPOSITION = 2, 100  # multiplications, in cubes of the size of s
_MODES = 16


@dataclass(frozen=True)
class IntegrationParams:
    """``sequences`` and ``steps`` visited, ``starts`` (at least ``fewest``) of each network, ``decomposed`` of the slow
    places no farther than ``near`` from visited states (as in ``FixedPointParams``), and multiplications at most (a few
    seconds); only the slow manifold is sought, so few iterations suffice."""

    sequences: int = 400
    steps: int = 6000
    starts: int = 256
    fewest: int = 12
    decomposed: int = 48
    near: float = 0.5
    multiplications: float = 1e10
    search: SearchParams = field(default_factory=lambda: SearchParams(iterations=30))
    seed: int = 0


def read_integration(
    model: nn.Module, probe: Probe, found: Inspection, epoch: int, params: IntegrationParams | None = None
) -> IntegrationProbe:
    """Look at the slow places of a model that answers once per sequence, and of its twin; it is left as it was.

    Parameters
    ----------
    model : nn.Module
    probe : Probe
    found : Inspection
    epoch : int
    params : IntegrationParams, optional
    """
    params = params or IntegrationParams()
    if probe.task not in PER_SEQUENCE:
        return _nothing(epoch, "the task asks for no answer to a whole sequence, for which evidence would be added up")
    if not params.multiplications:
        return _nothing(epoch, LEFT_OUT)
    try:
        with torch.inference_mode(False), untouched(model), Stage("slow manifold against an untrained network"):
            places = visited_places(probe, params.sequences, params.steps)
            sides = {"trained": _side(model, probe, found, places, params)}
            twin, said = _twin(model, params.seed)
            if twin is not None:
                with untouched(twin):
                    sides["untrained"] = _side(twin, probe, found, places, params)
    except InputError as error:
        return _nothing(epoch, str(error))
    return _record(epoch, expected_dimensions(probe), places, sides, said)


def expected_dimensions(probe: Probe) -> int:
    """K - 1 of K classes, one of each label or quantity."""
    answers = len(probe.class_names)
    return max(1, answers - 1 if probe.task == "classification" else answers)


@dataclass(frozen=True)
class _Side:
    """What is recorded of one network; names as in ``IntegrationProbe``."""

    scopes: tuple[str, ...]
    starts: int
    slow: Floats
    modes: Doubles
    overlap: Floats
    chance: float
    variances: Doubles
    participation: float


def _side(
    model: nn.Module, probe: Probe, found: Inspection, places: NDArray[np.int64], params: IntegrationParams
) -> _Side:
    size = size_of_step(model, probe, found)
    starts = int(min(params.starts, params.multiplications / (2 * _ITERATION * params.search.iterations * size**3)))
    if starts < params.fewest:
        raise InputError(too_large(size))
    visited = visit(model, probe, found, places)
    rows = np.random.default_rng(params.seed).integers(0, len(visited.states), starts)
    begin, mean = visited.states[torch.from_numpy(rows)], visited.inputs.mean(0, keepdim=True)
    roots = find_roots(visited.system, begin, mean.expand(starts, -1), params.search)
    slow = slow_places(visited, roots, params.near)
    kept = int(min(params.decomposed, len(slow), max(4, params.multiplications / (_DECOMPOSITION * size**3))))
    expected = expected_dimensions(probe)
    readout = find_readout(model, probe, found, visited.system)
    modes, overlap = _modes(visited, slow[:kept], mean, readout, expected)
    hidden = visited.system.hidden
    return _Side(
        scopes=tuple(str(key) for key in visited.system.keys),
        starts=starts,
        slow=slow.numpy().astype(np.float32),
        modes=modes,
        overlap=overlap,
        chance=math.sqrt(min(1.0, expected / (hidden.stop - hidden.start))),
        variances=_variances(visited.states),
        participation=_participation(_variances(visited.states[:, hidden])),
    )


def _modes(
    visited: Visited, points: Tensor, mean: Tensor, readout: Readout | None, expected: int
) -> tuple[Doubles, Floats]:
    """Moduli of the leading eigenvalues (L', R), and how much of their right eigenvectors the head reads (L',)."""
    if not len(points):
        return np.zeros((0, min(_MODES, visited.system.size))), np.zeros(0, np.float32)
    values, right = leading(visited.system.derivatives(points, mean.expand(len(points), -1))[0])
    moduli = values.abs()[:, :_MODES].numpy()
    if readout is None:
        return moduli, np.zeros(0, np.float32)
    kept = right[:, readout.hidden, :expected]
    spanned = torch.linalg.qr(torch.cat([kept.real, kept.imag], dim=2))[0][:, :, :expected]
    read = torch.linalg.svd(readout.directions(points), full_matrices=False)[2][:, :expected]
    shares = (read @ spanned).square().sum(dim=(1, 2)).div(spanned.shape[2]).sqrt()
    return moduli, shares.numpy().astype(np.float32)


def _variances(states: Tensor) -> Doubles:
    """float64 (W,): along the principal components, decreasing."""
    found = torch.linalg.svdvals(states - states.mean(0)).square() / len(states)
    return np.asarray(found.numpy())


def _participation(variances: Doubles) -> float:
    """The square of the sum of the variances over the sum of their squares; NaN where nothing varies."""
    total = float((variances**2).sum())
    return float(variances.sum() ** 2 / total) if total else float("nan")


def _twin(model: nn.Module, seed: int) -> tuple[nn.Module | None, str]:
    """The same network with weights drawn anew, and how it was made or why there is none."""
    try:
        twin = copy.deepcopy(model)
    except Exception as error:  # whatever a model holds that cannot be copied
        return None, f"the model cannot be copied ({type(error).__name__})"
    torch.manual_seed(seed)
    kept, drawn = [], False
    for name, module in twin.named_modules():
        reset = getattr(module, "reset_parameters", None)
        if callable(reset):
            reset()
            drawn |= isinstance(module, RECURRENT_MODULES)
        elif next(module.parameters(recurse=False), None) is not None:
            kept.append(name or type(module).__name__)
    if not drawn:
        return None, "its recurrent modules have no reset_parameters, so weights cannot be drawn anew"
    rest = f"; {', '.join(kept[:3])} kept the trained weights" if kept else ""
    return twin, f"the same network with weights drawn anew (seed {seed}){rest}"


def _record(
    epoch: int, expected: int, places: NDArray[np.int64], sides: dict[str, _Side], said: str
) -> IntegrationProbe:
    trained = sides["trained"]
    return IntegrationProbe(
        epoch=epoch,
        scopes=trained.scopes,
        expected=expected,
        slow={name: side.slow for name, side in sides.items()},
        starts=trained.starts,
        modes={name: side.modes for name, side in sides.items()},
        overlap={name: side.overlap for name, side in sides.items()},
        chance=trained.chance,
        variances={name: side.variances for name, side in sides.items()},
        participation={name: side.participation for name, side in sides.items()},
        sequences=len(places),
        untrained=said,
        reason="",
    )


def _nothing(epoch: int, reason: str) -> IntegrationProbe:
    return IntegrationProbe(epoch, (), 0, {}, 0, {}, {}, 0.0, {}, {}, 0, "", reason)
