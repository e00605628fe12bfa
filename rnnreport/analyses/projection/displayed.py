"""Maps of the displayed states by several methods, with settings and measures, and other states placed in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnreport.analyses.projection.maps import (
    Axes,
    fit_tsne,
    phate_maps,
    place_tsne,
    plane_start,
    principal_axes,
)
from rnnreport.analyses.projection.measures import disparity, strangeness, trust
from rnnreport.analyses.sample import Sample, SampleParams, display_sample, evenly, hash_order
from rnnreport.results.recorded import Doubles, Floats, Probe
from rnnreport.results.schema import GivenPlaces, Projection, Unavailable

_FEWEST_FOR_PHATE = 12  # states: its graph joins each to five others
_LARGEST = 1e15  # of a state: the squares of distances have to be told apart in single precision, too
_GUIDE = (
    "Every dot is the state after one step; dots that lie close together are similar states, as far as the trust "
    "measures next to the map say. In t-SNE, distances between groups, their sizes and their densities mean nothing; "
    "a low perplexity shows small neighbourhoods, a high one the larger arrangement: trust what several show. In PCA "
    "distances are real but only two or three directions of the space are shown. PHATE shows branches and paths; its "
    "scale means nothing. States of other epochs and of a baseline are put into the fixed map of the last epoch, near "
    "the states they resemble most: such a dot says what a state is like, not that the state has been there."
)


@dataclass(frozen=True)
class ProjectionParams:
    """What is mapped and how, with limits that keep a report of 3,000 states of 32 units within 15 seconds of one core.

    ``perplexities`` (lowered to a third of the states), the first fully optimised, the others started from its map;
    ``neighbours`` and ``trust_points`` of the measures; ``seed_points``: states on which t-SNE is repeated from another
    start; ``phate_states`` and ``landmarks`` of PHATE; ``epochs`` whose states are placed, at most, and
    ``placed_states`` of all of them together. ``left_out`` says what these limits leave out of a usual report.
    """

    perplexities: tuple[float, ...] = (30.0, 10.0, 100.0)
    neighbours: int = 12
    trust_points: int = 1500
    seed_points: int = 400
    phate_states: int = 2000
    landmarks: int = 300
    epochs: int = 12
    placed_states: int = 40_000
    seed: int = 0
    left_out: tuple[str, ...] = ()

    @classmethod
    def while_training(cls) -> ProjectionParams:
        """One map, which is most of the report's time, for a page that is made again with the next epoch."""
        less = "while the training is watched, t-SNE at one perplexity, three epochs placed and no PHATE"
        return cls(
            perplexities=(30.0,),
            phate_states=0,
            epochs=4,
            left_out=(f"{less}; `rnnreport analyse --force` makes the others",),
        )

    def kept_epochs(self, recorded: Sequence[int], states: int) -> list[int]:
        """The epochs whose states are placed, evenly spaced, the last one last."""
        most = max(1, min(self.epochs, self.placed_states // max(1, states)))
        return [recorded[place] for place in evenly(len(recorded), most)]


@dataclass(frozen=True)
class Guest:
    """States of another network at the same steps: ``name`` and ``states`` float32 (S, any)."""

    name: str
    states: Floats


@dataclass
class _Drawing:
    """What is collected on the way: maps, their settings and measures, and of t-SNE what places others in its maps."""

    flat: dict[str, Doubles]
    space: dict[str, Doubles]
    settings: dict[str, dict[str, Any]]
    trust: dict[str, dict[str, float]]
    tsne: dict[str, Any]


def project(
    scope: str,
    states: Floats,
    probe: Probe,
    sample: Sample,
    params: ProjectionParams,
    earlier: Sequence[tuple[int, Floats]] = (),
    guest: Guest | None = None,
    given: Floats | None = None,
) -> tuple[Projection | Unavailable, GivenPlaces | Unavailable]:
    """Map the displayed states by t-SNE, PCA and PHATE, and place other states into these maps.

    Parameters
    ----------
    scope : str, a StateKey
    states : float32 (S, H), of the last epoch
    probe : Probe
    sample : Sample
    params : ProjectionParams
    earlier : epoch and states float32 (S, H) of earlier epochs, in their order
    guest : Guest, optional
    given : float32 (P, H), optional
        States of sentences given by hand, of the same network at the last epoch.

    Returns
    -------
    Projection | Unavailable
    GivenPlaces | Unavailable
        Of the given states.
    """
    shown = states[sample.steps].astype(np.float64)
    if not np.isfinite(shown).all():
        return _no_map(f"the state {scope} is not finite at every displayed step")
    if np.abs(shown).max() > _LARGEST:
        return _no_map(f"the state {scope} is beyond {_LARGEST:.0e} at a displayed step: no distances are left to show")
    different = np.unique(shown, axis=0).shape[0]
    if different < 3:
        return _no_map(f"the state {scope} takes only {different} different values: no map")
    axes = principal_axes(shown)
    judged = _trust_sample(probe, sample, params)
    found = _Drawing({}, {}, {}, {}, {})
    left_out = list(params.left_out)
    _draw_tsne(found, shown, axes, judged, params, left_out)
    _draw_pca(found, shown, axes, judged, params)
    if params.phate_states:
        _draw_phate(found, shown, probe, sample, judged, params, left_out)
    others, placed_epochs, baseline = _others(shown, sample, earlier, guest, left_out)
    placed = {"PCA": np.stack([axes.place(other) for other in others])} if others else {}
    if found.tsne and others:
        name, first = next(iter(found.tsne.items()))
        placed[name] = np.stack([place_tsne(first, other) for other in others])
    projection = Projection(
        scope=scope,
        methods=tuple(found.flat),
        coordinates=np.stack(list(found.flat.values())).astype(np.float32),
        space_methods=tuple(found.space),
        space=np.stack(list(found.space.values())).astype(np.float32),
        placed={name: values.astype(np.float32) for name, values in placed.items()},
        placed_epochs=np.array(placed_epochs, dtype=np.int32),
        strangeness=np.array([strangeness(other[judged], shown) for other in others], dtype=np.float32),
        baseline=baseline,
        trust=found.trust,
        params=found.settings,
        left_out=tuple(left_out),
        guide=_GUIDE,
    )
    return projection, _place_given(scope, found, shown, axes, given)


def _no_map(reason: str) -> tuple[Unavailable, Unavailable]:
    return Unavailable(Projection.analysis, reason), Unavailable(GivenPlaces.analysis, reason)


def _place_given(
    scope: str, found: _Drawing, shown: Doubles, axes: Axes, given: Floats | None
) -> GivenPlaces | Unavailable:
    """The states of sentences given by hand in every map that can take others: t-SNE at every perplexity, and PCA."""
    if given is None:
        return Unavailable(GivenPlaces.analysis, "no sentences were given")
    states = given.astype(np.float64)
    if not np.isfinite(states).all():
        return Unavailable(GivenPlaces.analysis, "their states are not finite at every step")
    placed = {name: place_tsne(embedding, states) for name, embedding in found.tsne.items()}
    placed["PCA"] = axes.place(states)
    kept = {name: values.astype(np.float32) for name, values in placed.items()}
    return GivenPlaces(scope, kept, strangeness(states, shown))


def _draw_tsne(
    found: _Drawing,
    shown: Doubles,
    axes: Axes,
    judged: NDArray[np.int64],
    params: ProjectionParams,
    left_out: list[str],
) -> None:
    """Draw t-SNE at every perplexity, in its order; not with too few states."""
    most = (len(shown) - 1) / 3
    if most <= 1:
        return
    start = plane_start(axes.place(shown)[:, :2], params.seed)
    seeds = _two_seeds(shown, axes, params)
    first = None
    drawn: list[float] = []
    for asked in params.perplexities:
        perplexity = min(asked, most)
        if perplexity in drawn:
            left_out.append(
                f"t-SNE at perplexity {asked:g} is that at {perplexity:.3g}: there are only {len(shown)} states"
            )
            continue
        drawn.append(perplexity)
        settled = first is not None
        flat = fit_tsne(shown, np.asarray(first) if settled else start, perplexity, params.seed, settled=settled)
        first = flat if first is None else first
        name = f"t-SNE, perplexity {perplexity:.3g}"
        found.flat[name] = np.asarray(flat, dtype=np.float64)
        found.tsne[name] = flat
        found.settings[name] = {
            "perplexity": perplexity,
            **({"lowered from": asked} if perplexity < asked else {}),
            "initialisation": f"the map at perplexity {drawn[0]:.3g}" if settled else "PCA",
            "seed": params.seed,
            "states": len(shown),
            "library": "openTSNE",
        }
        found.trust[name] = trust(shown[judged], found.flat[name][judged], params.neighbours) | seeds(perplexity, flat)


def _two_seeds(shown: Doubles, axes: Axes, params: ProjectionParams) -> Callable[[float, Any], dict[str, float]]:
    """How far two runs on some states differ, one from their plane, one from random places: by perplexity, in order.

    The first run on all states is the map that is shown, the second argument.
    """
    taken = shown[evenly(len(shown), params.seed_points)]
    planar = plane_start(axes.place(taken)[:, :2], params.seed)
    starts = [planar, np.random.default_rng(params.seed + 1).normal(0, 1e-4, planar.shape)]
    settled = False

    def differ(perplexity: float, drawn: Any) -> dict[str, float]:
        nonlocal starts, settled
        near = min(perplexity, (len(taken) - 1) / 3)
        maps = [np.asarray(drawn)] if len(taken) == len(shown) else []
        for k, start in list(enumerate(starts))[len(maps) :]:
            maps.append(np.asarray(fit_tsne(taken, start, near, params.seed + k, settled=settled)))
        if not settled:  # as in the shown maps, the other perplexities start from the first
            starts, settled = maps, True
        return {"disparity": disparity(*maps), "disparity_points": len(taken)}

    return differ


def _draw_pca(found: _Drawing, shown: Doubles, axes: Axes, judged: NDArray[np.int64], params: ProjectionParams) -> None:
    space = axes.place(shown)
    found.flat["PCA"] = space[:, :2]
    found.space["PCA"] = space
    found.settings["PCA"] = {"explained": axes.shares, "states": len(shown), "seed": "none, nothing is random"}
    found.trust["PCA"] = trust(shown[judged], space[judged, :2], params.neighbours) | {"disparity": 0.0}


def _draw_phate(
    found: _Drawing,
    shown: Doubles,
    probe: Probe,
    sample: Sample,
    judged: NDArray[np.int64],
    params: ProjectionParams,
    left_out: list[str],
) -> None:
    places = _phate_sample(probe, sample, params)
    points, own = np.unique(shown[places], axis=0, return_inverse=True)  # its graph cannot hold equal states twice
    if len(points) < _FEWEST_FOR_PHATE:
        left_out.append(f"PHATE needs {_FEWEST_FOR_PHATE} different states, here are {len(points)}")
        return
    maps = phate_maps(points, params.landmarks, params.seed)
    known = np.isin(judged, places)
    for drawn, values in ((found.flat, maps.plane), (found.space, maps.space)):
        drawn["PHATE"] = np.full((len(shown), values.shape[1]), np.nan)
        drawn["PHATE"][places] = values[own]
    found.settings["PHATE"] = {
        "landmarks": min(params.landmarks, len(points)),
        "diffusion time": maps.t,
        "seed": params.seed,
        "states": len(places),
        "library": "phate",
    }
    found.trust["PHATE"] = trust(shown[judged[known]], found.flat["PHATE"][judged[known]], params.neighbours) | {
        "disparity": disparity(maps.plane, maps.other),
        "disparity_points": len(points),
    }
    if len(places) < len(shown):
        left_out.append(f"PHATE maps {len(places):,} of {len(shown):,} states, for time")


def _phate_sample(probe: Probe, sample: Sample, params: ProjectionParams) -> NDArray[np.int64]:
    """Places among the displayed steps: whole sequences by hash while they fit, else evenly spaced steps of one."""
    steps = display_sample(probe, SampleParams(max_steps=params.phate_states)).steps
    places = np.flatnonzero(np.isin(sample.steps, steps))
    return places[evenly(len(places), params.phate_states)]


def _others(
    shown: Doubles, sample: Sample, earlier: Sequence[tuple[int, Floats]], guest: Guest | None, left_out: list[str]
) -> tuple[list[Doubles], list[int], str]:
    """States to place, float64 (P, H) each: those of the epochs named in the second value, then the baseline's."""
    others: list[Doubles] = []
    epochs: list[int] = []
    for epoch, states in earlier:
        taken = states[sample.steps].astype(np.float64)
        if np.isfinite(taken).all():
            others.append(taken)
            epochs.append(epoch)
        else:
            left_out.append(f"Epoch {epoch} is not placed: its states are not finite at every displayed step")
    if guest is None:
        return others, epochs, ""
    theirs = guest.states[sample.steps].astype(np.float64)
    if not np.isfinite(theirs).all() or not np.ptp(theirs, axis=0).any():
        left_out.append(f"The baseline {guest.name} is not placed: its states are not finite, or all the same")
        return others, epochs, ""
    aligned, missed = align(theirs, shown)
    fit = f"shifted, rotated and scaled onto this run's states, of whose variation {100 * missed:.0f}% stays unmatched"
    return [*others, aligned], epochs, f"{guest.name}, {fit}"


def align(theirs: Doubles, reference: Doubles) -> tuple[Doubles, float]:
    """Shift, rotate and scale states of another network so that they match the reference best (Procrustes).

    Parameters
    ----------
    theirs : float64 (P, any)
    reference : float64 (P, H)

    Returns
    -------
    float64 (P, H)
    float
        Share of the squared variation of the reference that is not matched.
    """
    wanted, own = reference - reference.mean(axis=0), theirs - theirs.mean(axis=0)
    left, fits, right = np.linalg.svd(own.T @ wanted, full_matrices=False)
    scale = fits.sum() / (own**2).sum()
    missed = max(0.0, 1 - fits.sum() ** 2 / ((own**2).sum() * (wanted**2).sum()))
    return own @ (left @ right) * scale + reference.mean(axis=0), float(missed)


def _trust_sample(probe: Probe, sample: Sample, params: ProjectionParams) -> NDArray[np.int64]:
    """Places of the judged points among the displayed steps, chosen by the hash of sequence and step."""
    names = [f"{probe.sequence_ids[n]} {t}" for n in sample.sequences for t in range(probe.lengths[n])]
    return np.sort(hash_order(names)[: params.trust_points])
