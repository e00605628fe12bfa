"""Our kernel of MM-PHATE against that of m-phate itself (statement 3 of the specification).

``python -m tests.benchmarks.mphate_kernel FOLDER``, where FOLDER is what
``pip install --no-deps --target FOLDER m-phate`` fills: its other requirements pin old versions, and its kernel needs
graphtools alone. m-phate is GPL-3; nothing of it is part of this project.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import graphtools
import numpy as np

from rnnreport.analyses.mmphate.kernel import KernelParams, multislice_kernel, standardise
from tests.benchmarks.timing import table
from tests.courses import planted

CASES = ((64, 40), (128, 40), (192, 100))  # epochs x 4 steps, samples; 24 units


def main(folder: Path) -> None:
    """Print a row for each size."""
    found = importlib.util.spec_from_file_location("m_phate_kernel", folder / "m_phate" / "kernel.py")
    assert found is not None and found.loader is not None
    theirs: Any = importlib.util.module_from_spec(found)
    found.loader.exec_module(theirs)
    rows = []
    for epochs, samples in CASES:
        activity = planted(0, epochs, 4, samples=samples).activity
        slices = activity.reshape(-1, *activity.shape[2:])
        ours = multislice_kernel(slices, KernelParams()).matrix
        raw = theirs.multislice_kernel(standardise(slices), n_jobs=1)
        graph = graphtools.Graph(raw, precomputed="affinity", n_landmark=None, verbose=0).K.tocsr()
        apart = ours - graph
        apart.eliminate_zeros()
        largest = float(np.abs(apart.data).max(initial=0))
        only = int(((ours > 0) != (graph > 0)).nnz)
        rows.append(
            [f"{ours.shape[0]:,}", str(samples), f"{ours.nnz:,}", f"{graph.nnz:,}", str(only), f"{largest:.1e}"]
        )
    columns = ["nodes", "samples", "our entries", "their entries", "entries of one alone", "largest difference"]
    print(table(columns, rows), end="")  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
