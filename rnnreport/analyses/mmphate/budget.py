"""What MM-PHATE of so many nodes will take, before it starts; constants from ``tests/benchmarks/mmphate.py``."""

from __future__ import annotations

from dataclasses import dataclass

from rnnreport.analyses.mmphate.kernel import KernelParams
from rnnreport.analyses.mmphate.threads import MOST

MOST_BYTES = 8e9

_PER_PAIR = 5.5e-9  # seconds per pair of slices of one unit, whose distance is computed
_PER_NODE = 3.5e-5  # seconds: k-means and the operator
_PER_LANDMARK_CUBED = 7e-10  # seconds: entropy, power and layout
_PER_ENTRY = 16  # bytes
_CLOSE = 350  # slices of its own unit that a node is joined to, where there are many
_PER_DISTANCE = 9  # bytes, of those in a tile
_PER_CLOSE_PAIR = 50  # bytes, while the nearest slices of a unit are found
_ALONE = 4e8  # bytes of the libraries


@dataclass(frozen=True)
class Estimate:
    """Seconds of one core, and bytes at the peak."""

    seconds: float
    bytes: float

    def __str__(self) -> str:
        return f"about {max(1, round(self.seconds)):,} s and {self.bytes / 1e9:.1f} GB"


def estimate(slices: int, units: int, features: int, landmarks: int) -> Estimate:
    """Estimate the whole method, on as many threads as there may be, so that every machine says the same.

    Parameters
    ----------
    slices, units, features : int, shape of the activity
    landmarks : int, at most
    """
    nodes = slices * units
    shown = min(nodes, landmarks)
    entries = nodes * (min(slices, _CLOSE) + units)
    seconds = _PER_PAIR * slices * nodes + _PER_NODE * nodes + _PER_LANDMARK_CUBED * shown**3
    own = MOST * compared_bytes(slices, min(slices, _CLOSE))
    return Estimate(seconds, _ALONE + _PER_ENTRY * entries + 24 * nodes * features + 80 * shown**2 + own)


def compared_bytes(slices: int, close: float) -> float:
    """What a thread holds of its own while it compares the slices of a unit, each joined to ``close`` others."""
    return _PER_DISTANCE * min(slices, KernelParams.tile) * slices + _PER_CLOSE_PAIR * slices * close / 2


def refusal(shape: tuple[int, int, int], features: int, landmarks: int, most: float) -> str:
    """Why there is too little memory and the option that would make it suffice; "" where it suffices.

    Parameters
    ----------
    shape : epochs, steps and units
    features, landmarks : as in ``estimate``
    most : float, bytes
    """
    epochs, steps, units = shape
    needs = estimate(epochs * steps, units, features, landmarks)
    if needs.bytes <= most:
        return ""
    fits = [count for count in range(2, epochs) if estimate(count * steps, units, features, landmarks).bytes <= most]
    fewer = (fits[-1] if fits else 1) * steps * units
    way = f"give --mmphate-nodes {fewer if fits else fewer // 2}"
    asked = f"MM-PHATE of {epochs} epochs, {steps} steps and {units} units needs {needs}"
    return f"{asked}, more than the limit of {most / 1e9:.1f} GB; {way}"
