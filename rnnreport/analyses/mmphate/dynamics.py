"""Which epochs, steps, units and samples enter MM-PHATE, and what comes out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnreport.analyses.comparison.likeness import in_order
from rnnreport.analyses.mmphate.budget import MOST_BYTES, estimate, refusal
from rnnreport.analyses.mmphate.diffusion import near_knee
from rnnreport.analyses.mmphate.embed import Embedding, EmbedParams, embed
from rnnreport.analyses.mmphate.growth import Course, Growth, updated
from rnnreport.analyses.mmphate.kernel import (
    Kernel,
    KernelParams,
    multislice_kernel,
    principal_components,
    standardise,
)
from rnnreport.analyses.mmphate.layout import unit_variance
from rnnreport.analyses.sample import evenly, hash_order
from rnnreport.progress import Stage, note
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Doubles, Ints, Probe, StateKey
from rnnreport.results.schema import Dynamics, NodeStates, Unavailable

_GUIDE = (
    "Each dot is one unit at one time step of one epoch; dots are close when the unit behaves alike over the sampled "
    "sequences. A unit is tied to itself across all steps and epochs, which holds its dots together even where its "
    "behaviour changes, so do not read tight trails as proof of a stable unit. Time order is not used by the method, "
    "and the scale and orientation of the picture mean nothing."
)


_AHEAD = 50  # epochs for which a training that goes on is given room


@dataclass(frozen=True)
class DynamicsParams:
    """How many epochs, steps, units, samples, nodes and bytes at most; and the parameters of the method."""

    epochs: int = 20
    steps: int = 10
    units: int = 32
    samples: int = 100
    nodes: int = 6000
    fewest_samples: int = 5
    most_bytes: float = MOST_BYTES
    kernel: KernelParams = field(default_factory=KernelParams)
    embed: EmbedParams = field(default_factory=EmbedParams)

    @classmethod
    def of_nodes(cls, most: int) -> DynamicsParams:
        """At most so many nodes, whatever epochs, steps and units they are of."""
        return cls(epochs=most, steps=most, units=most, nodes=most)


@dataclass(frozen=True)
class _Choice:
    """Places of the chosen epochs (E,), steps (T,), units (H,) and sequences (samples,), all int64.

    ``reach`` is the number of steps whose slices are there: enough sequences reach all of them. Units are counted
    through all states that are embedded; ``of_state`` holds the state of each, ``within`` its number there.
    """

    epochs: NDArray[np.int64]
    steps: NDArray[np.int64]
    units: NDArray[np.int64]
    sequences: NDArray[np.int64]
    of_state: NDArray[np.int64]
    within: NDArray[np.int64]
    reach: int


@dataclass(frozen=True)
class Embedded:
    """The stored result, and what else is computed from the same nodes.

    Attributes
    ----------
    dynamics : Dynamics
    activity : float64 (E, T, H, samples)
    nodes : float64 (E * T, H, features), the activity as the kernel sees it
    sequences : int64 (samples,), places in the probe set, rising
    states : NodeStates, which state each unit is of
    """

    dynamics: Dynamics
    activity: Doubles
    nodes: Doubles
    sequences: NDArray[np.int64]
    states: NodeStates

    def of(self, state: str) -> Embedded:
        """The same with the units of one embedded state alone, scaled anew to a total variance of 1."""
        if self.states.states == (state,):
            return self
        own = self.states.of_unit == self.states.states.index(state)
        epochs, steps = self.dynamics.epochs.size, self.dynamics.steps.size
        nodes = np.tile(own, epochs * steps)
        active = self.dynamics.active[nodes] if self.dynamics.active.size else self.dynamics.active
        dynamics = replace(
            self.dynamics,
            scope=state,
            units=self.dynamics.units[own],
            plane=unit_variance(self.dynamics.plane[nodes].astype(np.float64)).astype(np.float32),
            space=unit_variance(self.dynamics.space[nodes].astype(np.float64)).astype(np.float32),
            active=active,
        )
        states = NodeStates((state,), np.zeros(int(own.sum()), np.int32))
        return Embedded(dynamics, self.activity[:, :, own], self.nodes[:, own], self.sequences, states)


def training_dynamics(
    folder: RunFolder, scope: str, probe: Probe, params: DynamicsParams, growth: Growth | None = None
) -> Embedded | Unavailable:
    """Embed the recorded epochs of the states of one kind: of all layers, in both directions.

    Parameters
    ----------
    folder : RunFolder
    scope : str, a StateKey; states of the same kind (hidden state, cell state) are embedded with it
    probe : Probe
    params : DynamicsParams
    growth : Growth, optional
        Of a training that goes on: the update starts from it, and leaves in it what the next one starts from.

    Returns
    -------
    Embedded or Unavailable
        Unavailable with fewer than two epochs whose states are finite, two units or ``fewest_samples`` sequences, with
        states that never differ between sequences, or where the memory would not suffice.
    """
    recorded = folder.epochs()
    last = folder.checkpoint(recorded[-1]).states
    widths = {key: last[key].shape[1] for key in _of_kind(scope, tuple(last))}
    if len(recorded) < 2:
        return Unavailable(Dynamics.analysis, "training dynamics need at least two recorded epochs, this run has one")
    if sum(widths.values()) < 2:
        return Unavailable(Dynamics.analysis, "MM-PHATE relates units to each other, this state has only one")
    choice = _choose(probe, len(recorded), tuple(widths.values()), params, grows=growth is not None)
    if choice.sequences.size < params.fewest_samples:
        reason = f"MM-PHATE correlates units over sequences and needs {params.fewest_samples}, here are"
        return Unavailable(Dynamics.analysis, f"{reason} {choice.sequences.size}")
    shape = (choice.epochs.size, choice.steps.size, choice.units.size)
    refused = refusal(shape, choice.sequences.size, params.embed.landmarks, params.most_bytes)
    if refused:
        return Unavailable(Dynamics.analysis, refused)
    tensor = _tensor(folder, [recorded[place] for place in choice.epochs], tuple(widths), probe, choice)
    whole = np.isfinite(tensor).all(axis=(1, 2, 3))
    lost = [recorded[place] for place in choice.epochs[~whole]]
    choice, tensor = replace(choice, epochs=choice.epochs[whole]), tensor[whole]
    epochs = [recorded[place] for place in choice.epochs]
    if len(epochs) < 2:
        reason = f"the state {_named(widths)} is finite at every sampled step of {len(epochs)} of the epochs only"
        return Unavailable(Dynamics.analysis, reason)
    if not np.ptp(tensor, axis=-1).any():
        return Unavailable(Dynamics.analysis, f"the state {_named(widths)} never differs between sequences")
    slices = tensor.reshape(-1, choice.units.size, choice.sequences.size)
    needs = estimate(*slices.shape, params.embed.landmarks)
    note(f"MM-PHATE of {slices.shape[0] * slices.shape[1]:,} nodes will take {needs}")
    course = Course(_named(widths), np.array(epochs, np.int32), choice.steps, choice.units, choice.sequences)
    if growth is None:
        kernel = multislice_kernel(slices, params.kernel)
        with Stage("MM-PHATE, diffusion and layout"):
            embedding = embed(kernel, params.embed)
    else:
        kernel, embedding = updated(growth, course, slices, params.kernel, params.embed)
    dynamics = Dynamics(
        scope=scope,
        epochs=course.epochs,
        steps=choice.steps.astype(np.int32),
        units=choice.within.astype(np.int32),
        plane=embedding.plane.astype(np.float32),
        space=embedding.space.astype(np.float32),
        active=_most_active(slices, probe, choice.sequences),
        params={
            "alpha": params.kernel.alpha,
            "gamma": params.embed.gamma,
            "seed": params.embed.seed,
            "engine": params.embed.engine,
        },
        outcome=_outcome(choice, kernel, embedding),
        left_out=(*_left_out(probe, choice, len(recorded), lost, widths, kernel, params), *_updates(growth)),
        guide=_GUIDE,
    )
    states = NodeStates(tuple(widths), choice.of_state.astype(np.int32))
    return Embedded(dynamics, tensor, kernel.nodes, choice.sequences, states)


def beside(folder: RunFolder, probe: Probe, embedded: Embedded, state: str) -> Embedded | Unavailable:
    """A state that is not in the picture, at its epochs, steps and sequences: nodes that have no places.

    Parameters
    ----------
    folder : RunFolder
    probe : Probe
    embedded : Embedded
    state : str, a StateKey: of another kind than those that are embedded

    Returns
    -------
    Embedded or Unavailable
        ``plane``, ``space`` and ``active`` of its ``dynamics`` are empty. As many units as of the state of the same
        layer that is embedded, which are the same numbers where both have the same width. Unavailable where they are
        not finite, or fewer than two.
    """
    dynamics, states = embedded.dynamics, embedded.states
    same = [place for place, other in enumerate(states.states) if _layer(other) == _layer(state)]
    many = int((states.of_unit == same[0]).sum()) if same else states.of_unit.size
    width = folder.checkpoint(int(dynamics.epochs[-1])).states[state].shape[1]
    units = evenly(width, min(width, many))
    if units.size < 2:
        return Unavailable(Dynamics.analysis, f"of the state {state} there is one unit")
    places = probe.offsets[embedded.sequences][:, None] + dynamics.steps
    activity = np.stack(
        [
            folder.checkpoint(epoch).states[state][places][:, :, units].transpose(1, 2, 0)
            for epoch in dynamics.epochs.tolist()
        ]
    ).astype(np.float64)
    if not np.isfinite(activity).all():
        return Unavailable(Dynamics.analysis, f"the state {state} is not finite at every embedded epoch")
    own = replace(
        dynamics,
        scope=state,
        units=units.astype(np.int32),
        plane=np.zeros((0, 2), np.float32),
        space=np.zeros((0, 3), np.float32),
        active=np.zeros(0, np.int32),
    )
    nodes = principal_components(standardise(activity.reshape(-1, *activity.shape[2:])))
    return Embedded(own, activity, nodes, embedded.sequences, NodeStates((state,), np.zeros(units.size, np.int32)))


def _layer(state: str) -> tuple[str, int, str]:
    key = StateKey.parse(state)
    return key.module, key.layer, key.direction


def _of_kind(scope: str, keys: tuple[str, ...]) -> list[str]:
    """The states of the same kind as one of them, in the order in which the input passes them."""
    kind = StateKey.parse(scope).kind
    others = [key for key in keys if key != scope and StateKey.parse(key).kind == kind]
    return in_order([scope, *others])


def _named(widths: dict[str, int]) -> str:
    return " and ".join(widths)


def _most_active(slices: Doubles, probe: Probe, sequences: NDArray[np.int64]) -> Ints:
    """int32 (N,): the class on whose sequences a node is furthest from its mean; (0,) unless there are two or more."""
    labels = probe.labels[sequences] if probe.labels.size else np.zeros(0, np.int32)
    present = np.unique(labels)
    if present.size < 2:
        return np.zeros(0, np.int32)
    away = np.abs(standardise(slices))
    strength = np.stack([away[..., labels == label].mean(axis=-1) for label in present])
    return np.asarray(present[strength.argmax(axis=0)].ravel(), dtype=np.int32)


def _choose(probe: Probe, epochs: int, widths: tuple[int, ...], params: DynamicsParams, *, grows: bool) -> _Choice:
    """Evenly spaced epochs, steps and units, and sequences that reach the last step, within the budget of nodes.

    Nodes are compared over the same sequences, so a slice is there only where all of its sequences are: steps that too
    few reach are missing slices, of which nothing is made up. Enough are as many as are sampled, or half of all.

    ``widths`` are the numbers of units of the states, of which each keeps its share. Of a training that goes on, steps
    and units are those for as many epochs as there may be, and epochs are left out by halves, so that most of what is
    chosen stays chosen.
    """
    reach = int(np.sort(probe.lengths)[-_enough(probe, params)])
    wanted = [
        min(_AHEAD if grows else epochs, params.epochs),
        min(reach, params.steps),
        min(sum(widths), params.units),
    ]
    while np.prod(wanted) > params.nodes:  # fewer units first, then fewer steps, then fewer epochs, down to a few each
        excess = next(axis for axis, few in ((2, 16), (1, 5), (0, 10), (2, 2), (1, 1), (0, 2)) if wanted[axis] > few)
        wanted[excess] -= 1
    steps = evenly(reach, wanted[1])
    long_enough = np.flatnonzero(probe.lengths > steps[-1])
    order = hash_order([probe.sequence_ids[n] for n in long_enough])[: params.samples]
    chosen = _by_halves(epochs, wanted[0]) if grows else evenly(epochs, wanted[0])
    parts = [evenly(width, many) for width, many in zip(widths, _shares(widths, wanted[2]), strict=True)]
    of_state, within = np.repeat(np.arange(len(widths)), [part.size for part in parts]), np.concatenate(parts)
    first = np.cumsum([0, *widths[:-1]])
    return _Choice(chosen, steps, first[of_state] + within, np.sort(long_enough[order]), of_state, within, reach)


def _enough(probe: Probe, params: DynamicsParams) -> int:
    """Sequences that must reach a step for its slices to be there."""
    return min(params.samples, (probe.lengths.size + 1) // 2)


def _shares(widths: tuple[int, ...], most: int) -> list[int]:
    """How many units of each state to take: in proportion, one at least, largest remainders first."""
    exact = [width * most / sum(widths) for width in widths]
    taken = [max(1, int(share)) for share in exact]
    for place in sorted(range(len(widths)), key=lambda place: taken[place] - exact[place])[: max(0, most - sum(taken))]:
        taken[place] += 1
    return taken


def _by_halves(epochs: int, most: int) -> NDArray[np.int64]:
    """Every epoch, every second, every fourth and so on, and the last one: at most so many places."""
    stride = 1
    while len(places := np.union1d(np.arange(0, epochs, stride), [epochs - 1])) > most:
        stride *= 2
    return places


def _updates(growth: Growth | None) -> Iterator[str]:
    if growth is not None and growth.landmarks is not None and growth.landmarks.updates:
        times = f"the picture was updated {growth.landmarks.updates} times while the training went on"
        yield f"{times}, from the landmarks and places before; `rnnreport analyse --force` makes it anew"


def _tensor(folder: RunFolder, epochs: list[int], keys: tuple[str, ...], probe: Probe, choice: _Choice) -> Doubles:
    """float64 (E, T, H, samples)."""
    places = probe.offsets[choice.sequences][:, None] + choice.steps
    own = [choice.within[choice.of_state == place] for place in range(len(keys))]
    tensor = np.empty((len(epochs), choice.steps.size, choice.units.size, choice.sequences.size))
    for place, epoch in enumerate(epochs):
        states = folder.checkpoint(epoch).states
        chosen = [states[key][places][:, :, units] for key, units in zip(keys, own, strict=True)]
        tensor[place] = np.concatenate(chosen, axis=2).transpose(1, 2, 0)
    return tensor


def _outcome(choice: _Choice, kernel: Kernel, embedding: Embedding) -> dict[str, Any]:
    return {
        "samples": int(choice.sequences.size),
        "nodes": kernel.size,
        "entries": kernel.entries,
        "t": embedding.t,
        "t_near": near_knee(embedding.entropy),
        "landmarks": embedding.landmarks,
        "components": embedding.components,
        "stress_plane": embedding.plane_stress,
        "stress_space": embedding.space_stress,
        "sigma": kernel.sigma,
        "intraslice_knn": kernel.intra_neighbours,
        "interslice_knn": kernel.inter_neighbours,
        "device": kernel.device.name,
    }


def _left_out(
    probe: Probe,
    choice: _Choice,
    epochs: int,
    lost: list[int],
    widths: dict[str, int],
    kernel: Kernel,
    params: DynamicsParams,
) -> Iterator[str]:
    longest = int(probe.lengths.max())
    if choice.epochs.size + len(lost) < epochs:
        yield f"{choice.epochs.size + len(lost)} of {epochs} recorded epochs, evenly spaced, the last one included"
    if lost:
        diverged = f"epoch {lost[0]}" if len(lost) == 1 else f"epochs {', '.join(map(str, lost[:-1]))} and {lost[-1]}"
        count = len(lost) * choice.steps.size
        yield f"{diverged} missing ({count:,} slices): the states are not finite at every sampled step"
    if choice.reach < longest:
        beyond = longest - choice.reach
        steps = f"step {longest} is" if beyond == 1 else f"steps {choice.reach + 1} to {longest} are"
        few = (
            f"fewer than {_enough(probe, params)} of the {probe.lengths.size:,} sequences reach so far, none is padded"
        )
        yield f"{steps} missing in every epoch ({choice.epochs.size * beyond:,} slices): {few}"
    if choice.steps.size < choice.reach:
        yield f"{choice.steps.size} of the {choice.reach} steps that are there, evenly spaced"
    if choice.units.size < sum(widths.values()):
        counts = np.bincount(choice.of_state).tolist()
        parts = [f"{taken} of {width} units" for taken, width in zip(counts, widths.values(), strict=True)]
        named = [f"{part} of {StateKey.parse(key).title}" for part, key in zip(parts, widths, strict=True)]
        yield f"{parts[0] if len(parts) == 1 else ' and '.join(named)}, evenly spaced"
    if choice.sequences.size < probe.lengths.size:
        reaching = int((probe.lengths > choice.steps[-1]).sum())
        of = f"the {reaching:,} sequences that reach the last of these steps (of {probe.lengths.size:,} in all)"
        yield f"{choice.sequences.size} of {of}"
    if kernel.inter_neighbours < params.kernel.inter_neighbours:
        yield _clamped("between slices", kernel.inter_neighbours, params.kernel.inter_neighbours)
    if kernel.intra_neighbours < params.kernel.intra_neighbours:
        yield _clamped("within a slice", kernel.intra_neighbours, params.kernel.intra_neighbours)


def _clamped(where: str, used: int, asked: int) -> str:
    return f"the bandwidth {where} uses the nearest neighbour number {used} instead of {asked}: there are no more"
