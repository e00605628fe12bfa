"""Fixed points of a trained flip-flop: all starts at once as the report does, against one start at a time, in one run.

``python -m tests.benchmarks.fixed_points [starts]``. Ours: ``find_roots``. One at a time: the same, scipy's ``root``
(hybr) with and without our exact Jacobian, and Adam on q with torch's gradient, as FixedPointFinder descends (tolerance
1e-12, at most 5,000 iterations, rate 1e-2 that falls to 1e-4). Processor time of one thread, as other work may run.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from scipy.optimize import root
from torch import Tensor, nn

from rnnreport.capture.fixed_points import starts_of
from rnnreport.capture.inspection import inspect_model
from rnnreport.capture.isolation import untouched
from rnnreport.capture.probe import make_probe
from rnnreport.capture.roots import FIXED, find_roots
from rnnreport.capture.visited import Visited, visit
from tests.benchmarks.timing import table
from tests.motion_nets import flip_flop_corpus, trained_flip_flop

ADAM_STARTS = 8  # timed, because one takes seconds


def ours(visited: Visited, starts: Tensor) -> Tensor:
    inputs = torch.zeros(len(starts), visited.system.features, dtype=torch.float64)
    return find_roots(visited.system, starts, inputs).ends


def ours_alone(visited: Visited, starts: Tensor) -> Tensor:
    """Our method, one start after the other."""
    return torch.cat([ours(visited, start[None]) for start in starts])


def by_root(visited: Visited, starts: Tensor, *, exact: bool = True) -> Tensor:
    """One start after the other by Powell's hybrid method, with our Jacobian or with differences."""
    zero = torch.zeros(1, visited.system.features, dtype=torch.float64)
    identity = np.eye(visited.system.size)

    def rest(s: np.ndarray) -> np.ndarray:
        return visited.system.step(torch.from_numpy(s)[None], zero)[0].numpy() - s

    def slope(s: np.ndarray) -> np.ndarray:
        return visited.system.derivatives(torch.from_numpy(s)[None], zero)[0][0].numpy() - identity

    return torch.from_numpy(np.stack([root(rest, start, jac=slope if exact else None).x for start in starts.numpy()]))


def by_adam(visited: Visited, starts: Tensor) -> Tensor:
    """One start after the other by Adam on q."""
    zero, ends = torch.zeros(1, visited.system.features, dtype=torch.float64), []
    with torch.enable_grad():
        for start in starts:
            s = start[None].clone().requires_grad_()
            optimiser = torch.optim.Adam([s], 1e-2)
            schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, 0.999)
            for _ in range(5000):
                q = (visited.system.step(s, zero) - s).square().sum() / 2
                if float(q.detach()) < 1e-12:
                    break
                optimiser.zero_grad()
                q.backward()
                optimiser.step()
                schedule.step()
            ends.append(s.detach())
    return torch.cat(ends)


def speeds(visited: Visited, ends: Tensor) -> Tensor:
    zero = torch.zeros(len(ends), visited.system.features, dtype=torch.float64)
    return (visited.system.step(ends, zero) - ends).square().sum(1) / 2


def main(arguments: Sequence[str]) -> None:
    """Print the table, a line per net and method."""
    torch.set_num_threads(1)
    count, rows = int(arguments[0]) if arguments else 256, []
    methods: dict[str, tuple[Callable[[Visited, Tensor], Tensor], int]] = {
        "ours, all at once": (ours, count),
        "ours, one at a time": (ours_alone, count),
        "scipy root with our Jacobian, one at a time": (by_root, count),
        "scipy root, one at a time": (partial(by_root, exact=False), count),
        "Adam, one at a time": (by_adam, ADAM_STARTS),
    }
    for cell in (nn.GRU, nn.LSTM):
        model, probe = trained_flip_flop(cell)[0], make_probe(flip_flop_corpus())
        with untouched(model):
            found = inspect_model(model, probe, None, None, 64)
            visited = visit(model, probe, found, np.arange(len(probe.lengths)))
            starts = starts_of(visited, count, 0)
            ours(visited, starts[:8])  # imports
            costs = {}
            for name, (method, taken) in methods.items():
                begin = time.process_time()
                ends = method(visited, starts[:: count // taken][:taken])
                costs[name] = (time.process_time() - begin) / len(ends)
                share = float((speeds(visited, ends) < FIXED).float().mean())
                ratio = costs[name] / costs["ours, all at once"]
                rows.append(
                    [cell.__name__, name, str(len(ends)), f"{1000 * costs[name]:.2f}", f"{ratio:.0f}", f"{share:.2f}"]
                )
    sys.stdout.write(table(["net", "method", "starts", "CPU-ms per start", "times ours", "share fixed"], rows))


if __name__ == "__main__":
    main(sys.argv[1:])
