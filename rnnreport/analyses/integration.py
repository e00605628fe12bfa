"""The integration test: do the slow places fill as many dimensions as the evidence for the answers has?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnreport.analyses.lyapunov import NOT_RECORDED
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Doubles, Floats, Probe
from rnnreport.results.recorded_dynamics import IntegrationProbe
from rnnreport.results.schema import Integration, Unavailable

_CURVE = 12  # principal components shown, or as many as are expected

_GUIDE = (
    "A network that adds up evidence for K classes needs a place for each amount: a manifold of K - 1 dimensions on "
    "which the state stays where it is when nothing comes in, as wide as the states themselves. The curve says how "
    "much of the spread of the slow places (at the mean input) lies in so many directions; it should reach 90% at the "
    "expected number, and the same network with random weights should need more. Few slow places, a small extent or a "
    "twin that does as well mean that nothing is shown. It also fails where evidence is ordered or the classes lean on "
    "one another (fewer dimensions), and where a class is known from one word (fixed points, no manifold)."
)


@dataclass(frozen=True)
class IntegrationTestParams:
    """``enough``: share of the variance that counts as all; ``fewest`` slow places; ``extent``: least variance of a
    manifold, relative to that of the states."""

    enough: float = 0.9
    fewest: int = 12
    extent: float = 0.05


def integration_test(
    folder: RunFolder, probe: Probe, params: IntegrationTestParams | None = None
) -> Integration | Unavailable:
    """Compare the slow places of the network with the expected manifold and with those of an untrained one.

    Parameters
    ----------
    folder : RunFolder
    probe : Probe
    params : IntegrationTestParams, optional
    """
    params = params or IntegrationTestParams()
    found = folder.record(IntegrationProbe)
    if found is None or found.reason:
        return Unavailable(Integration.analysis, found.reason if found else NOT_RECORDED)
    length = float(np.median(probe.lengths))
    spectra = {name: spectrum(places) for name, places in found.slow.items()}
    enough = {name: len(places) >= params.fewest for name, places in found.slow.items()}
    needed = {
        name: int(np.searchsorted(shares, params.enough) + 1) if enough[name] else 0 for name, shares in spectra.items()
    }
    extent = {
        name: float(places.astype(np.float64).var(axis=0).sum() / found.variances[name].sum()) if len(places) else 0.0
        for name, places in found.slow.items()
    }
    holds = 0 < needed["trained"] <= found.expected and extent["trained"] >= params.extent
    if "untrained" in needed:
        holds &= needed["untrained"] > found.expected or extent["untrained"] < params.extent
    result = Integration(
        expected=found.expected,
        answers=_answers(probe),
        explained={name: shares[: max(_CURVE, found.expected)] for name, shares in spectra.items()},
        needed=needed,
        share={
            name: float(shares[min(found.expected, shares.size) - 1]) if enough[name] else float("nan")
            for name, shares in spectra.items()
        },
        slow={name: len(places) for name, places in found.slow.items()},
        extent=extent,
        persistent={name: persistent(moduli, length) for name, moduli in found.modes.items()},
        overlap={name: float(each.mean()) if each.size else float("nan") for name, each in found.overlap.items()},
        chance=found.chance,
        participation=found.participation,
        starts=found.starts,
        sequences=found.sequences,
        length=length,
        holds=holds,
        untrained=found.untrained,
        finding="",
        guide=_GUIDE,
    )
    return Integration(**{**vars(result), "finding": _finding(result, params)})


def spectrum(places: Floats) -> Doubles:
    """float64 (W,): share of the variance of places (L, W) in the first principal component, the first two, ..."""
    if len(places) < 2:
        return np.zeros(places.shape[1] if places.ndim == 2 else 0)
    centred = places.astype(np.float64) - places.astype(np.float64).mean(axis=0)
    variances = np.linalg.svd(centred, compute_uv=False) ** 2
    total = variances.sum()
    return np.asarray(np.cumsum(variances) / total if total else np.ones_like(variances))


def persistent(moduli: Doubles, length: float) -> float:
    """Median over places of the number of modes whose time constant 1 / |ln |lambda|| exceeds a number of steps."""
    if not len(moduli):
        return float("nan")
    with np.errstate(divide="ignore"):
        return float(np.median((np.abs(np.log(moduli)) * length < 1).sum(axis=1)))


def _answers(probe: Probe) -> str:
    noun = {"classification": "classes", "multi-label": "labels", "regression": "quantities"}[probe.task]
    return f"{len(probe.class_names)} {noun}"


def _finding(found: Integration, params: IntegrationTestParams) -> str:
    dimensions = f"{found.expected} dimension{'s' if found.expected > 1 else ''}"
    n = f"n = {found.slow['trained']} of {found.starts} starts"
    if not found.needed["trained"]:
        return f"No slow manifold was found on which evidence for {found.answers} could be kept ({n})."
    twin = f"; an untrained net needs {found.needed['untrained']}" if found.needed.get("untrained") else ""
    what = f"{found.share['trained']:.1%} of the variance of the slow places lies in {dimensions}"
    if found.holds:
        return f"Evidence for {found.answers} is kept on a slow manifold: {what} ({n}{twin})."
    small = ", but they are spread over too little" if found.extent["trained"] < params.extent else ""
    net = f"a net that adds up evidence for {found.answers}"
    return f"The slow places are not those of {net}: {what}{small} ({n}{twin})."
