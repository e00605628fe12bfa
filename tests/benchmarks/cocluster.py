"""Co-clustering 1,000 words x 1,500 units: all modes, numbers of clusters and seeds, against scikit-learn fit by fit.

``python -m tests.benchmarks.cocluster``. Two response matrices: one of planted groups, one without groups (a few smooth
directions and noise), where k-means takes longest and its seeds disagree.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import numpy as np
from sklearn.cluster import SpectralCoclustering
from threadpoolctl import threadpool_limits

from rnnreport.analyses.cocluster import CoclusterParams, cocluster, edge_weights, normalised_cut
from rnnreport.results.recorded import Doubles, Ints

WORDS, UNITS, GROUPS = 1000, 1500, 12


def matrices() -> Iterator[tuple[str, Doubles]]:
    """The name and the responses (W, H) of each kind."""
    draw = np.random.default_rng(0)
    core = draw.normal(0, 0.3, (GROUPS, GROUPS))
    groups = core[draw.integers(0, GROUPS, WORDS)][:, draw.integers(0, GROUPS, UNITS)]
    yield "planted groups", groups + draw.normal(0, 0.3, (WORDS, UNITS))
    directions = draw.normal(size=(20, UNITS)) * 0.9 ** np.arange(20)[:, None]
    yield "no groups", 0.3 * draw.normal(size=(WORDS, 20)) @ directions + draw.normal(0, 0.3, (WORDS, UNITS))


def theirs(mode: str, response: Doubles, k: int, seed: int) -> tuple[float, Ints, Ints]:
    """Seconds and labels of one fit of scikit-learn."""
    weights = edge_weights(mode, response)
    start = time.perf_counter()
    model = SpectralCoclustering(k, random_state=seed).fit(weights)
    return time.perf_counter() - start, model.row_labels_, model.column_labels_


def main() -> None:
    """Print one line per matrix and mode, and the totals."""
    params = CoclusterParams()
    sys.stdout.write(
        "| responses | weighting | ours, s | theirs, s | times faster | our cut | their cut | their best cut |\n"
    )
    sys.stdout.write("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n")
    with threadpool_limits(1):
        for name, response in matrices():
            report(name, response, params)


def report(name: str, response: Doubles, params: CoclusterParams) -> None:
    """One matrix in every mode."""
    totals, cuts = np.zeros(2), []
    for mode in params.modes:
        only = CoclusterParams(modes=(mode,))
        start = time.perf_counter()
        found = cocluster(response, only)
        ours = time.perf_counter() - start
        weights, spent, seen = edge_weights(mode, response), 0.0, []
        for k in params.ks:
            fits = [theirs(mode, response, k, seed) for seed in params.seeds]
            spent += sum(seconds for seconds, _, _ in fits)
            seen.append([normalised_cut(weights, rows, columns, k) for _, rows, columns in fits])
        cuts.append([found.cut.mean(), np.mean(seen), np.min(seen, axis=1).mean()])
        totals += (ours, spent)
        line(name, mode, np.array([ours, spent]), np.array(cuts[-1]))
    line(name, "all", totals, np.mean(cuts, axis=0))


def line(name: str, mode: str, seconds: Doubles, cuts: Doubles) -> None:
    """One row of the table."""
    times = f"{seconds[0]:.2f} | {seconds[1]:.2f} | {seconds[1] / seconds[0]:.1f}"
    sys.stdout.write(f"| {name} | {mode} | {times} | {' | '.join(f'{cut:.4f}' for cut in cuts)} |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
