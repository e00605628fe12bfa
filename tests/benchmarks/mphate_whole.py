"""m-phate itself, end to end, as users call it: run by an interpreter that has it.

``FOLDER/bin/python -m tests.benchmarks.mphate_whole EPOCHS STEPS UNITS OUT.npz``, where FOLDER is a virtual environment
into which m-phate, scprep, graphtools, phate and a current pandas were installed without their requirements: m-phate's
pins exclude current versions. It needs 44 bytes for every pair of slices of every unit: 14.6 GB for 102,400 nodes.
m-phate is GPL-3; nothing of it is part of this project. ``tests.benchmarks.mmphate published OUT.npz`` runs ours on
the same training and compares both with the exact diffusion.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np

from tests.courses import COMMUNITIES, planted


def main(epochs: int, steps: int, units: int, path: str) -> None:
    """Embed in two dimensions, with the seconds and what is needed to judge the diffusion."""
    import m_phate  # type: ignore[import-not-found]  # lives in an environment of its own

    activity = planted(0, epochs, steps, samples=40, per_community=units // COMMUNITIES).activity
    slices = activity.reshape(-1, *activity.shape[2:])
    start = time.process_time()
    operator: Any = m_phate.M_PHATE(n_jobs=1, random_state=0, verbose=0)
    plane = operator.fit_transform(slices)
    seconds = time.process_time() - start
    judged = np.linspace(0, len(plane) - 1, 60).astype(np.int64)
    potentials = operator.diff_potential[judged]
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    np.savez(
        path,
        shape=(epochs, steps, units),
        seconds=seconds,
        peak=peak,
        t=operator.optimal_t,
        plane=plane,
        potentials=potentials,
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), sys.argv[4])
