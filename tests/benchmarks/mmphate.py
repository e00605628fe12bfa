"""MM-PHATE at growing sizes against phate on the same kernel, the published neighbourhoods, and memory.

``python -m tests.benchmarks.mmphate sizes [n ...]``: time and memory, ours and phate's (which m-phate calls with 4000
landmarks); ``... large``: 487,680 nodes, ours only; ``... suite``: the synthetic suite of the authors;
``... growing [n ...]``: the last epoch of 50 added to those before;
``... fidelity [n ...]``: rank correlation of potential distances with those of the exact diffusion (minutes);
``... published FILE ...``: ours on the trainings that ``mphate_whole`` gave to m-phate itself, and both against exact.
Every case runs in a process of its own, with one thread, so that times and memory are its own.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import sparse
from scipy.spatial import procrustes
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from rnnreport.analyses.mmphate.diffusion import (
    diffuse,
    knee,
    landmark_labels,
    potential,
    singular_values,
    von_neumann_entropy,
)
from rnnreport.analyses.mmphate.embed import EmbedParams, embed
from rnnreport.analyses.mmphate.growth import Course, Growth, updated
from rnnreport.analyses.mmphate.kernel import Kernel, KernelParams, grown_kernel, multislice_kernel, standardise
from rnnreport.analyses.mmphate.preservation import preservation
from rnnreport.results.recorded import Doubles
from tests.courses import COMMUNITIES, SCENARIOS, bifurcations, planted

SHAPES = {5000: (15, 14), 20000: (30, 28), 50000: (50, 42), 100000: (50, 85)}  # epochs and steps of 24 units
LARGE = (127, 160)
PUBLISHED_LANDMARKS = 4000
JUDGED = 60  # nodes whose exact diffusion is computed


def main(arguments: Sequence[str]) -> None:
    """Run a case here, or all cases of a table in processes of their own."""
    what, rest = arguments[0], list(arguments[1:])
    if what == "case":
        given = [int(value) if value.isdigit() else value for value in rest[1:]]
        sys.stdout.write(json.dumps(CASES[rest[0]](*given)) + "\n")
    elif what == "sizes":
        line("nodes", "engine", "CPU-s", "peak, GB", "entries", "bytes per entry", "t", "stress 2-D, 3-D")
        line(*["---"] * 8)
        for size in map(int, rest or map(str, SHAPES)):
            for engine in ("ours", "phate"):
                row(engine, *SHAPES[size])
    elif what == "fidelity":
        line("nodes", "ours, t", "ours", "phate, t", "phate")
        line(*["---"] * 5)
        for size in map(int, rest or map(str, SHAPES)):
            found = spawned("fidelity", *SHAPES[size])
            line(f"{size:,}", *(f"{value:.4g}" for value in found["found"]))
    elif what == "growing":
        line("nodes", "kernel anew, CPU-s", "updated", "share", "iterations anew", "updated", "disparity 2-D, 3-D")
        line(*["---"] * 7)
        for size in map(int, rest or map(str, SHAPES)):
            found = spawned("growing", *SHAPES[size])
            anew, updated = found["seconds"]
            times = (f"{anew:.2f}", f"{updated:.3f}", f"{updated / anew:.3f}")
            moved = ", ".join(f"{value:.5f}" for value in found["disparity"])
            counts = (", ".join(map(str, counts)) for counts in found["iterations"])
            line(f"{found['nodes']:,}", *times, *counts, moved)
    elif what == "published":
        line("nodes", "units", "m-phate, CPU-s, GB, t", "ours, CPU-s, GB, t", "times faster", "m-phate's rho", "ours")
        line(*["---"] * 7)
        for path in rest:
            theirs = dict(np.load(path))
            epochs, steps, units = theirs["shape"].tolist()
            ours = spawned("ours", epochs, steps, units)
            faithful = spawned("faithful", path)["found"]
            line(
                f"{epochs * steps * units:,}",
                str(units),
                f"{theirs['seconds']:.1f}, {theirs['peak'] / 1e9:.1f}, {theirs['t']}",
                f"{ours['seconds']:.1f}, {ours['peak'] / 1e9:.1f}, {ours['t']}",
                f"{theirs['seconds'] / ours['seconds']:.1f}",
                *(f"{value:.4f}" for value in faithful),
            )
    elif what == "large":
        row("ours", *LARGE)
    else:
        line("scenario", "inter k=10", "inter k=40", "CPU-s")
        for place, name in enumerate(SCENARIOS):
            found = spawned("suite", place)
            line(name, *(f"{share:.3f}" for share in found["kept"]), f"{found['seconds']:.1f}")


def line(*cells: str) -> None:
    """One row of a table."""
    sys.stdout.write(f"| {' | '.join(cells)} |\n")
    sys.stdout.flush()


def row(engine: str, epochs: int, steps: int) -> None:
    """Time and memory of one engine at one size."""
    found = spawned(engine, epochs, steps)
    beyond = (found["peak"] - found["before"]) / found["entries"]
    line(
        f"{epochs * steps * 24:,}",
        engine,
        f"{found['seconds']:.1f}",
        f"{found['peak'] / 1e9:.2f}",
        f"{found['entries']:,}",
        f"{beyond:.0f}",
        str(found["t"]),
        ", ".join(f"{value:.3f}" for value in found["stress"]),
    )


def spawned(*case: object) -> dict[str, Any]:
    """The result of a case in a process with one thread."""
    command = [sys.executable, "-m", "tests.benchmarks.mmphate", "case", *map(str, case)]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(command, env=os.environ | threads, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def ours(epochs: int, steps: int, units: int = 24) -> dict[str, Any]:
    """Kernel and both layouts by our engine."""
    activity = training(epochs, steps, units)
    before, start = peak(), time.process_time()
    kernel = multislice_kernel(activity, KernelParams())
    found = embed(kernel, EmbedParams())
    return measured(kernel, before, start) | {"t": found.t, "stress": [found.plane_stress, found.space_stress]}


def phate(epochs: int, steps: int) -> dict[str, Any]:
    """Our kernel, laid out by phate with as many landmarks as m-phate asks for."""
    from rnnreport.analyses.mmphate.reference import phate_embedding

    activity = training(epochs, steps)
    before, start = peak(), time.process_time()
    kernel = multislice_kernel(activity, KernelParams())
    found = phate_embedding(kernel.matrix, PUBLISHED_LANDMARKS, 0, 0)
    judged = judged_nodes(kernel)
    apart = pdist(found.potential[judged])
    result = measured(kernel, before, start) | {"t": found.t}
    result["stress"] = [relative_stress(apart, pdist(points[judged])) for points in (found.plane, found.space)]
    return result


def fidelity(epochs: int, steps: int) -> dict[str, Any]:
    """t and agreement with the exact diffusion, of ours and of phate's, each at its own t."""
    from rnnreport.analyses.mmphate.reference import phate_embedding

    kernel = multislice_kernel(training(epochs, steps), KernelParams())
    judged = judged_nodes(kernel)
    t, ours = our_potential_distances(kernel, judged)
    theirs = phate_embedding(kernel.matrix, PUBLISHED_LANDMARKS, 0, 0)
    exact = exact_distances(kernel.matrix, judged, (t, theirs.t))
    found = []
    for time_of, apart in ((t, ours), (theirs.t, pdist(theirs.potential[judged]))):
        found += [time_of, float(spearmanr(apart, exact[time_of]).statistic)]
    return {"found": found}


def faithful(path: str) -> dict[str, Any]:
    """Agreement with the exact diffusion of m-phate's potentials, kept in a file, and of ours, each at its own t."""
    theirs = dict(np.load(path))
    kernel = multislice_kernel(training(*theirs["shape"].tolist()), KernelParams())
    judged, when = judged_nodes(kernel), int(theirs["t"])
    t, ours = our_potential_distances(kernel, judged)
    exact = exact_distances(kernel.matrix, judged, (t, when))
    found = [(pdist(theirs["potentials"]), exact[when]), (ours, exact[t])]
    return {"found": [float(spearmanr(apart, true).statistic) for apart, true in found]}


def our_potential_distances(kernel: Kernel, judged: np.ndarray) -> tuple[int, Doubles]:
    """t, and the distances between the potentials of some nodes."""
    diffusion = diffuse(kernel, landmark_labels(kernel.nodes, EmbedParams().landmarks, 0))
    t = max(1, knee(von_neumann_entropy(singular_values(diffusion.operator))))
    return t, pdist(diffusion.to_landmarks[judged].toarray() @ potential(diffusion.operator, t, 0))


def growing(epochs: int, steps: int) -> dict[str, Any]:
    """Kernel and layout with one epoch more, updated and anew; the disparity to the picture before."""
    slices = training(epochs, steps)
    units, samples = slices.shape[1:]
    growth, before = Growth(), None
    for many in (epochs - 1, epochs):
        course = Course("h", np.arange(many, dtype=np.int32), np.arange(steps), np.arange(units), np.arange(samples))
        start = time.process_time()
        if growth.kernel is not None:
            grown_kernel(growth.kernel, slices[: many * steps], KernelParams())
        updated_s = time.process_time() - start
        _, after = updated(growth, course, slices[: many * steps], KernelParams(), EmbedParams())
        before, pictures = after, (before, after)
    start = time.process_time()
    multislice_kernel(slices, KernelParams())
    seconds = (time.process_time() - start, updated_s)
    first, last = pictures
    return {
        "nodes": len(last.plane),
        "seconds": seconds,
        "iterations": [[layout.iterations for layout in picture.laid_out or ()] for picture in pictures],
        "disparity": [
            procrustes(old, new[: len(old)])[2] for old, new in ((first.plane, last.plane), (first.space, last.space))
        ],
    }


def suite(place: int) -> dict[str, Any]:
    """Neighbours of the same unit that the three-dimensional layout keeps."""
    activity = bifurcations(SCENARIOS[place]).astype(np.float64)
    slices = activity.reshape(-1, *activity.shape[2:])
    start = time.process_time()
    space = embed(multislice_kernel(slices, KernelParams()), EmbedParams()).space
    seconds = time.process_time() - start
    return {"kept": [preservation(standardise(slices), space, k).within_unit for k in (10, 40)], "seconds": seconds}


CASES: dict[str, Callable[..., dict[str, Any]]] = {
    "ours": ours,
    "phate": phate,
    "suite": suite,
    "fidelity": fidelity,
    "faithful": faithful,
    "growing": growing,
}


def training(epochs: int, steps: int, units: int = 24) -> Doubles:
    """float64 (slices, units, samples); few samples where there are very many nodes, as in the published run."""
    samples = 40 if epochs * steps <= 5000 else 6
    activity = planted(0, epochs, steps, samples, per_community=units // COMMUNITIES).activity
    return activity.reshape(epochs * steps, *activity.shape[2:])


def judged_nodes(kernel: Kernel) -> np.ndarray:
    return np.linspace(0, kernel.size - 1, JUDGED).astype(np.int64)


def exact_distances(matrix: sparse.csr_matrix, judged: np.ndarray, times: Sequence[int]) -> dict[int, Doubles]:
    """Potential distances of the diffusion over all nodes; one step between landmarks is two of its steps."""
    back = sparse.csr_matrix((sparse.diags(1 / np.asarray(matrix.sum(axis=1)).ravel()) @ matrix).T)
    rows = np.zeros((matrix.shape[0], len(judged)))
    rows[judged, np.arange(len(judged))] = 1
    found = {}
    for step in range(1, 2 * max(times) + 1):
        rows = back @ rows
        if step % 2 == 0 and step // 2 in times:
            found[step // 2] = pdist(np.sqrt(rows.T))
    return found


def relative_stress(wanted: Doubles, shown: Doubles) -> float:
    from rnnreport.analyses.mmphate.layout import stress

    return stress(wanted, shown)


def measured(kernel: Kernel, before: int, start: float) -> dict[str, Any]:
    seconds = time.process_time() - start
    return {"seconds": seconds, "peak": peak(), "before": before, "entries": kernel.entries}


def peak() -> int:
    """Bytes resident at most so far."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main(sys.argv[1:])
