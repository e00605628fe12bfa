"""How fast small differences between states grow or die along real inputs: the Lyapunov spectrum, by QR.

Benettin et al. (1980), for RNNs Vogt et al., "On Lyapunov exponents for RNNs" (2022): an orthonormal frame is moved by
the derivative of each step and made orthonormal again; what its columns were stretched by is summed up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnreport.budget import LEFT_OUT
from rnnreport.capture.fixed_points import size_of_step, visited_places
from rnnreport.capture.inspection import Inspection
from rnnreport.capture.isolation import untouched
from rnnreport.capture.visited import Visited, visit
from rnnreport.errors import InputError
from rnnreport.progress import Stage
from rnnreport.results.recorded import Doubles, Probe
from rnnreport.results.recorded_dynamics import Stretching

_FLOOR = 1e-300  # of a direction that a step wipes out
_NUMBERS = 2**22  # in the frames that are moved together


@dataclass(frozen=True)
class StretchingParams:
    """``directions`` followed; ``sequences`` and ``steps`` at most, and no sequence shorter than ``fewest`` steps after
    the transient; the transient, a share of the median length but at most ``longest``; and multiplications at most."""

    directions: int = 10
    sequences: int = 200
    steps: int = 12_000
    fewest: int = 3
    transient: float = 0.25
    longest: int = 50
    multiplications: float = 1e10
    seed: int = 0


def read_stretching(
    model: nn.Module, probe: Probe, found: Inspection, epoch: int, params: StretchingParams | None = None
) -> Stretching:
    """Follow the derivatives along some sequences; the model is left as it was.

    Parameters
    ----------
    model : nn.Module
    probe : Probe
    found : Inspection
    epoch : int
    params : StretchingParams, optional
    """
    params = params or StretchingParams()
    if not params.multiplications:
        return _nothing(epoch, LEFT_OUT)
    transient = int(min(params.longest, params.transient * float(np.median(probe.lengths))))
    try:
        with torch.inference_mode(False), untouched(model), Stage("Lyapunov spectrum"):
            size = size_of_step(model, probe, found)
            each = size * size * (params.directions + 1) + size * params.directions**2
            steps = min(params.steps, int(params.multiplications / each))
            places = visited_places(probe, params.sequences, steps)
            places = places[probe.lengths[places] >= transient + params.fewest]
            if not places.size or probe.lengths[places].sum() > max(steps, params.fewest):
                why = f"no sequence has {transient + params.fewest} steps" if steps > params.fewest else ""
                return _nothing(epoch, why or "the model is so large that it would take too long")
            visited = visit(model, probe, found, places)
            sums, counts = stretched(visited, transient, params)
    except InputError as error:
        return _nothing(epoch, str(error))
    return Stretching(
        epoch=epoch,
        sequences=places.astype(np.int32),
        steps=counts.astype(np.int32),
        sums=sums,
        transient=transient,
        units=size,
        reason="",
    )


def stretched(visited: Visited, transient: int, params: StretchingParams) -> tuple[Doubles, NDArray[np.int64]]:
    """Sums of logarithms of stretching factors, float64 (N, R), and the steps they are of, int64 (N,)."""
    count, size = len(visited.places), visited.system.size
    directions = min(params.directions, size)
    generator = torch.Generator().manual_seed(params.seed)
    frame = torch.linalg.qr(torch.randn(size, directions, generator=generator, dtype=torch.float64))[0]
    sums = torch.zeros(count, directions, dtype=torch.float64)
    starts, block = torch.from_numpy(visited.starts), max(1, _NUMBERS // (size * directions))
    for rows in torch.arange(count).split(block):  # type: ignore[no-untyped-call]  # torch's own
        frames = frame.repeat(len(rows), 1, 1)
        for step in range(int(visited.lengths[rows.numpy()].max())):
            going = rows[torch.from_numpy(visited.lengths[rows.numpy()] > step)]
            within = torch.isin(rows, going)
            at = starts[going] + step
            moved = visited.system.moved(visited.before[at], visited.inputs[at], frames[within].mT)
            frames[within], upper = torch.linalg.qr(moved.mT)
            if step >= transient:
                sums[going] += _logs(upper)
    return sums.numpy(), visited.lengths - transient


def _logs(upper: Tensor) -> Tensor:
    return upper.diagonal(dim1=1, dim2=2).abs().clamp(min=_FLOOR).log()


def _nothing(epoch: int, reason: str) -> Stretching:
    none = np.zeros(0, np.int32)
    return Stretching(epoch, none, none, np.zeros((0, 0)), 0, 0, reason)
