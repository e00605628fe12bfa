"""Statement 10 of the specification, our layout against phate's, on 50 slices of 200 units and 200 samples.

``python -m tests.benchmarks.mmphate_walks planted`` or ``walks`` (minutes): diffusion times and layouts of our engine
and of phate on the same kernel, phate with two seeds, which decide its landmarks. On random walks there is no single
answer, because phate's seeds differ; on a planted training there is.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.spatial import procrustes
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

from rnnreport.analyses.mmphate.diffusion import (
    diffuse,
    knee,
    landmark_labels,
    near_knee,
    potential,
    potential_distances,
    singular_values,
    von_neumann_entropy,
)
from rnnreport.analyses.mmphate.kernel import KernelParams, multislice_kernel
from rnnreport.analyses.mmphate.layout import LayoutParams, lay_out
from rnnreport.analyses.mmphate.reference import PhateEmbedding, phate_embedding
from rnnreport.results.recorded import Doubles
from tests.benchmarks.timing import table
from tests.courses import COMMUNITIES, planted

SLICES, UNITS, SAMPLES = 50, 200, 200
LANDMARKS, PHATE_LANDMARKS, SEEDS = (2000, 4000), 4000, (0, 1)


def walks() -> Doubles:
    """Every unit of every sample on a random walk of its own."""
    return np.cumsum(np.random.default_rng(0).normal(size=(SLICES, UNITS, SAMPLES)), axis=0)


def training() -> Doubles:
    """The planted training, an epoch a slice."""
    return planted(0, SLICES, 1, SAMPLES, per_community=UNITS // COMMUNITIES).activity[:, 0]


def main(activity: Doubles) -> None:
    """Print the diffusion times and the disparities."""
    kernel = multislice_kernel(activity, KernelParams())
    theirs = [phate_embedding(kernel.matrix, PHATE_LANDMARKS, 0, seed) for seed in SEEDS]
    rows = [
        [f"phate, seed {seed}", str(one.t), str(near_knee(one.entropy)), *apart(one.plane, one.space, theirs)]
        for seed, one in zip(SEEDS, theirs, strict=True)
    ]
    for most in LANDMARKS:
        diffusion = diffuse(kernel, landmark_labels(kernel.nodes, most, 0))
        entropy = von_neumann_entropy(singular_values(diffusion.operator))
        for t in sorted({max(1, knee(entropy)), *(one.t for one in theirs)}):
            distances = potential_distances(potential(diffusion.operator, t, 0))
            plane, space = (diffusion.to_landmarks @ lay_out(distances, size, LayoutParams()).points for size in (2, 3))
            near = str(near_knee(entropy)) if t == knee(entropy) else ""
            rows.append([f"ours, {most} landmarks", str(t), near, *apart(plane, space, theirs)])
    names = [f"disparity to seed {seed}, {size}-D" for size in (2, 3) for seed in SEEDS]
    print(table(["engine", "t", "t that fit nearly as well", *names], rows), end="")  # noqa: T201


def apart(plane: Doubles, space: Doubles, theirs: list[PhateEmbedding]) -> list[str]:
    """Procrustes disparity to the layouts of phate."""
    found = [procrustes(one.plane, plane)[2] for one in theirs] + [procrustes(one.space, space)[2] for one in theirs]
    return [f"{value:.2g}" for value in found]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("activity", choices=("planted", "walks"))
    with threadpool_limits(1):
        main(training() if parser.parse_args().activity == "planted" else walks())
