"""t-SNE of 10,000 and 30,000 states of 128 units: openTSNE as the report calls it, against scikit-learn, in one run.

``python -m tests.benchmarks.projection [states ...]``. Processor time of one thread, as other work may run.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from rnnreport.analyses.projection.maps import principal_axes, tsne
from rnnreport.analyses.projection.measures import trust
from rnnreport.results.recorded import Doubles
from tests.benchmarks.timing import table

UNITS, STEPS, DIRECTIONS, PERPLEXITY, JUDGED = 128, 50, 8, 30, 3000


def states(count: int) -> Doubles:
    """float64 (count, UNITS): leaky sums of a few inputs, read by saturating units, with noise."""
    draw = np.random.default_rng(0)
    inputs = draw.normal(0, 0.5, (count // STEPS, STEPS, DIRECTIONS)) * (draw.random((count // STEPS, STEPS, 1)) < 0.4)
    inputs[:, 0] += 2 * draw.normal(size=(count // STEPS, DIRECTIONS))
    sums = np.empty_like(inputs)
    sums[:, 0] = inputs[:, 0]
    for step in range(1, STEPS):
        sums[:, step] = 0.95 * sums[:, step - 1] + inputs[:, step]
    read = np.tanh(sums.reshape(-1, DIRECTIONS) @ draw.normal(0, 0.5, (DIRECTIONS, UNITS)))
    return np.asarray(read + draw.normal(0, 0.03, read.shape))


def theirs(points: Doubles) -> Doubles:
    """scikit-learn's t-SNE with its own defaults, from the principal plane as ours."""
    from sklearn.manifold import TSNE

    return np.asarray(TSNE(perplexity=PERPLEXITY, init="pca", random_state=0, n_jobs=1).fit_transform(points))


def ours(points: Doubles) -> Doubles:
    return tsne(points, principal_axes(points).place(points)[:, :2], PERPLEXITY, 0)


def main(arguments: Sequence[str]) -> None:
    """Print the table, a line per number of states."""
    rows = []
    with threadpool_limits(1):
        ours(states(1000))  # imports
        for count in map(int, arguments or ("10000", "30000")):
            points = states(count)
            judged = np.linspace(0, count - 1, JUDGED).astype(np.int64)
            seconds, trusted = [], []
            for method in (ours, theirs):
                start = time.process_time()
                flat = method(points)
                seconds.append(time.process_time() - start)
                trusted.append(trust(points[judged], flat[judged], 12)["trustworthiness"])
            rows.append(
                [f"{count:,}", *(f"{value:.0f}" for value in seconds), f"{seconds[0] / seconds[1]:.2f}"]
                + [f"{value:.4f}" for value in trusted]
            )
    columns = ["states", "ours, CPU-s", "scikit-learn, CPU-s", "share", "trust, ours", "trust, scikit-learn"]
    sys.stdout.write(table(columns, rows))


if __name__ == "__main__":
    main(sys.argv[1:])
