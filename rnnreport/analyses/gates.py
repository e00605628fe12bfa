"""When gates open and close: over the sequences, and on which input."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rnnreport.analyses.health import SIGMOID_GATES
from rnnreport.analyses.significance import clustered_means, holm
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Doubles, Floats, Gates, Ints, Probe, StateKey
from rnnreport.results.schema import GateUse, Unavailable, Words

_GUIDE = (
    "Square: one dot per unit, to the right the share of steps at which its gate is closed (below {closed_below:g}), "
    "upwards the share at which it is open (above {open_above:g}). A dot at the end of an axis belongs to a gate that "
    "hardly decides anything; a forget gate that stays open is how a unit remembers, so this alone is no fault. Band: "
    "from the beginning of the sequences to their end, how many of the values are closed (blue, from below) and open "
    "(orange, from above). Inputs: the mean of the gate over all units when it reads them, of those that differ from "
    "its overall mean (Holm, 5%) and occur at least {fewest} times in {fewest_sequences} sequences. One that opens a "
    "gate need not be the cause: what came before it counts as well."
)


@dataclass(frozen=True)
class GateParams:
    """Where a gate is closed or open, stretches of the sequences, and which words are tested and listed.

    Attributes
    ----------
    closed_below, open_above : float, as in ``HealthParams``
    times : int, at most
    fewest, fewest_sequences : int, occurrences of a word, and sequences that hold it
    listed : int, words per gate and direction
    level : float, of the corrected p-value
    """

    closed_below: float = 0.1
    open_above: float = 0.9
    times: int = 10
    fewest: int = 10
    fewest_sequences: int = 5
    listed: int = 5
    level: float = 0.05


def gate_use(
    folder: RunFolder, probe: Probe, step_words: Ints | None, params: GateParams | None = None
) -> GateUse | Unavailable:
    """Look at every sigmoid gate at the last epoch.

    Parameters
    ----------
    folder : RunFolder
    probe : Probe
    step_words : int32 (S,), place in ``Words`` of each step, -1 for none; None without words
    params : GateParams, optional
    """
    params = params or GateParams()
    recorded = folder.record(Gates)
    gates = {
        key: values
        for key, values in (recorded.values if recorded else {}).items()
        if StateKey.parse(key).kind in SIGMOID_GATES
    }
    if not gates:
        return Unavailable(GateUse.analysis, "no gates were recorded")
    owners = np.repeat(np.arange(probe.lengths.size), probe.lengths)
    place = np.arange(owners.size) - probe.offsets[owners]
    times = min(params.times, int(probe.lengths.max()))  # so that none is empty
    stretch = ((place + 0.5) * times // probe.lengths[owners]).astype(np.int64)
    steps = np.bincount(stretch, minlength=times)
    words = step_words if step_words is not None else np.full(owners.size, -1, np.int32)
    tested = _tested(words, owners, params)
    listed = [_listed(values, words, owners, probe.lengths.size, tested, params) for values in gates.values()]
    found = GateUse(
        scopes=tuple(gates),
        steps=steps.astype(np.int32),
        shares=np.array([_shares(values, stretch, steps, params) for values in gates.values()], np.float32),
        overall=np.array([values.mean(dtype=np.float64) for values in gates.values()], np.float32),
        words=np.array([one.words for one in listed], np.int32),
        means=np.array([one.numbers[0] for one in listed], np.float32),
        low=np.array([one.numbers[1] for one in listed], np.float32),
        high=np.array([one.numbers[2] for one in listed], np.float32),
        counts=np.array([one.counts for one in listed], np.int32),
        units=np.array([one.units for one in listed], np.int32),
        unit_means=np.array([one.numbers[3] for one in listed], np.float32),
        tested=tested.size,
        finding="",
        params={key: asdict(params)[key] for key in ("closed_below", "open_above", "fewest", "fewest_sequences")},
        guide=_GUIDE.format(**asdict(params)),
    )
    named = folder.result(Words) if folder.has_result(Words) else None
    return replace(found, finding=_finding(found, named.names)) if isinstance(named, Words) else found


def _shares(values: Floats, stretch: NDArray[np.int64], steps: NDArray[np.int64], params: GateParams) -> Doubles:
    """float64 (2, T): share of the values in each stretch that are closed, and open."""
    closed, opened = (values < params.closed_below).mean(axis=1), (values > params.open_above).mean(axis=1)
    sums = [np.bincount(stretch, weights=one, minlength=steps.size) for one in (closed, opened)]
    return np.asarray(np.stack(sums) / steps.clip(min=1))


def _tested(words: Ints, owners: NDArray[np.int64], params: GateParams) -> NDArray[np.int64]:
    """int64, the words of enough occurrences in enough sequences, increasing."""
    known = words >= 0
    if not known.any():
        return np.zeros(0, np.int64)
    pairs = np.unique(np.column_stack([words[known], owners[known]]), axis=0)[:, 0]
    counts = np.bincount(words[known])
    sequences = np.bincount(pairs, minlength=counts.size)
    return np.flatnonzero((counts >= params.fewest) & (sequences >= params.fewest_sequences))


@dataclass(frozen=True)
class _Listed:
    """Words that open and that close one gate: places (2, J), mean, low, high and that of the unit, counts, units."""

    words: NDArray[np.int64]
    numbers: Doubles
    counts: NDArray[np.int64]
    units: NDArray[np.int64]


def _listed(
    values: Floats,
    words: Ints,
    owners: NDArray[np.int64],
    sequences: int,
    tested: NDArray[np.int64],
    params: GateParams,
) -> _Listed:
    empty = (2, params.listed)
    found = _Listed(np.full(empty, -1), np.full((4, *empty), np.nan), np.zeros(empty, np.int64), np.full(empty, -1))
    if not tested.size:
        return found
    number = np.full(int(words.max()) + 1, -1)
    number[tested] = np.arange(tested.size)
    at = np.flatnonzero(np.where(words >= 0, number[words], -1) >= 0)
    which = number[words[at]]
    layer = values.mean(axis=1, dtype=np.float64)
    cells = owners[at] * tested.size + which
    shape = sequences, tested.size
    weights = layer[at] - layer.mean()
    sums = np.bincount(cells, weights=weights, minlength=sequences * tested.size).reshape(shape).astype(np.float64)
    sizes = np.bincount(cells, minlength=sequences * tested.size).reshape(shape).astype(np.float64)
    means, low, high, chances = clustered_means(sums, sizes)
    certain = holm(chances) < params.level
    for row, sign in enumerate((1, -1)):
        order = np.argsort(-sign * means, kind="stable")
        kept = [word for word in order if certain[word] and sign * means[word] > 0][: params.listed]
        for column, word in enumerate(kept):
            apart = values[at[which == word]].mean(axis=0, dtype=np.float64)
            unit = int((sign * (apart - values.mean(axis=0, dtype=np.float64))).argmax())
            found.words[row, column], found.units[row, column] = tested[word], unit
            found.counts[row, column] = int(sizes[:, word].sum())
            found.numbers[:3, row, column] = layer.mean() + np.array([means[word], low[word], high[word]])
            found.numbers[3, row, column] = apart[unit]
    return found


def _finding(found: GateUse, names: tuple[str, ...]) -> str:
    """The word that moves a gate most; "" where none does."""
    apart = np.abs(found.means - found.overall[:, None, None])
    if not np.isfinite(apart).any():
        return ""
    gate, way, place = np.unravel_index(np.nanargmax(apart), apart.shape)
    word = names[found.words[gate, way, place]]
    return (
        f"{StateKey.parse(found.scopes[gate]).title} {'closes' if way else 'opens'} most on “{word}”: "
        f"{found.means[gate, way, place]:.2f} (95% interval {found.low[gate, way, place]:.2f} to "
        f"{found.high[gate, way, place]:.2f}, n = {found.counts[gate, way, place]:,}), where its mean over all steps "
        f"is {found.overall[gate]:.2f}."
    )
