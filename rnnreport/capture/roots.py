"""States that a step leaves where they are, or nearly: q(s) = |F(s, x) - s|^2 / 2 made small from many starts at once.

Sussillo and Barak (2013) descend q from visited states; FixedPointFinder (Golub and Sussillo 2018) does so with a
gradient for one point or a batch. Here each iteration is a step of Levenberg and Marquardt for all starts together,

    d = -(A'A + mu)^-1 A'r,   r = F(s, x) - s,   A = dF/ds - 1,

with a damping mu of its own for each, raised until its q falls: a large mu is a short step down the gradient of q, a
small one is Newton's, which finds saddles as easily as stable points.

Along a slow direction A is small, and an undamped step jumps along it to wherever q vanishes. So the damping stays
above ``firm`` until a start is slow: it then has come down to the nearest slow place across the fast directions, and
hardly moved along the slow ones. Where it then is samples the slow manifold; where it ends is a fixed point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

SLOW, FIXED = 1e-4, 1e-8  # q below which a point is slow, and fixed
_SETTLED = 1e-24  # q at which nothing is left but rounding
_WATCHED = 8  # iterations, after which q must have fallen below a share of what it was, or the start has ended:
_STUCK, _STILL = 0.8, 0.999  # far from any root, and among slow places
_FIRST, _LEAST, _MOST = 0.1, 1e-12, 1e12  # damping
_BLOCK = 2**22  # numbers in the matrices of the starts that are advanced together


class Step(Protocol):
    """What roots are sought of."""

    def step(self, s: Tensor, x: Tensor) -> Tensor:
        """F(s, x), float64 (B, W), of states (B, W) at inputs (B, D)."""

    def derivatives(self, s: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """dF/ds, float64 (B, W, W), and dF/dx, (B, W, D)."""


@dataclass(frozen=True)
class SearchParams:
    """Iterations at most, after how many of them a start may take undamped steps anyway, and the damping until then."""

    iterations: int = 150
    patience: int = 30
    firm: float = 0.01


@dataclass(frozen=True)
class Roots:
    """Where the starts ended, in their order.

    Attributes
    ----------
    ends : Tensor (M, W)
    speeds : Tensor (M,), q there
    slow : Tensor (M, W), where each was first slow (q below ``SLOW``), or where it was when patience ended
    slow_speeds : Tensor (M,), q there
    """

    ends: Tensor
    speeds: Tensor
    slow: Tensor
    slow_speeds: Tensor


def find_roots(system: Step, starts: Tensor, inputs: Tensor, params: SearchParams | None = None) -> Roots:
    """Search from all starts at once.

    Parameters
    ----------
    system : Step
    starts : Tensor, float64 (M, W)
    inputs : Tensor, float64 (M, D), held fixed for each
    params : SearchParams, optional
    """
    params = params or SearchParams()
    size = max(1, _BLOCK // starts.shape[1] ** 2)
    blocks = zip(starts.split(size), inputs.split(size), strict=True)  # type: ignore[no-untyped-call]  # torch's own
    parts = [_together(system, begin, given, params) for begin, given in blocks]
    return Roots(*(torch.cat(each) for each in zip(*parts, strict=True)))


def _together(system: Step, starts: Tensor, inputs: Tensor, params: SearchParams) -> tuple[Tensor, ...]:
    """``Roots`` of starts whose matrices fit in memory together."""
    s, rest = starts.clone(), system.step(starts, inputs) - starts
    q = rest.square().sum(1) / 2
    slow, slow_q, calm = s.clone(), q.clone(), q < SLOW
    damping = torch.full_like(q, _FIRST)
    active = torch.arange(len(s))
    identity = torch.eye(s.shape[1], dtype=s.dtype)
    before: list[Tensor] = []  # q some iterations ago
    for iteration in range(params.iterations):
        steep = system.derivatives(s[active], inputs[active])[0] - identity
        normal = steep.mT @ steep
        down = (steep.mT @ rest[active].unsqueeze(2)).squeeze(2)
        floor = torch.where(calm[active], _LEAST, params.firm)
        mu = torch.maximum(damping[active], floor)
        root = torch.linalg.cholesky_ex(normal + mu[:, None, None] * identity)[0]
        step = torch.cholesky_solve(-down.unsqueeze(2), root).squeeze(2)
        tried = s[active] + step
        new_rest = system.step(tried, inputs[active]) - tried
        new_q = new_rest.square().sum(1) / 2
        better = new_q < q[active]  # NaN is not
        moved = active[better]
        s[moved], rest[moved], q[moved] = tried[better], new_rest[better], new_q[better]
        damping[active] = torch.where(better, mu / 5, mu * 4).clamp(_LEAST, _MOST)
        fresh = active[~calm[active] & ((q[active] < SLOW) | (iteration + 1 >= params.patience))]
        slow[fresh], slow_q[fresh], calm[fresh] = s[fresh], q[fresh], True
        done = (q < _SETTLED) | (damping >= _MOST)
        before.append(q.clone())
        if len(before) > _WATCHED:
            done |= q > torch.where(q < SLOW, _STILL, _STUCK) * before.pop(0)
        active = active[~done[active]]
        if not len(active):
            break
    never = ~calm
    slow[never], slow_q[never] = s[never], q[never]
    return s, q, slow, slow_q
