"""The network as a dynamical system: its fixed and slow points, whether it integrates, how differences grow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rnnreport.results.recorded import Doubles, Floats, Ints

STABLE, SADDLE, SLOW = 0, 1, 2  # kinds of points


@dataclass(frozen=True)
class FixedPoints:
    """Points that one step leaves where they are, or nearly: M points, I inputs, R leading modes, L slow places.

    Attributes
    ----------
    scope : str, the StateKey shown first
    scopes : tuple of str, the StateKeys that the state s holds
    inputs : tuple of str, length I
    starts, sequences : int, of the search at each input
    owners : int32 (M,), the input of each point, increasing
    kinds : int32 (M,), 0 stable fixed point, 1 fixed point with directions that grow, 2 slow point, not fixed
    unstable : int32 (M,), directions that grow: eigenvalues of modulus above 1
    speeds : float64 (M,), q = |F(s, x) - s|^2 / 2
    arrivals : int32 (M,), starts that ended there
    eigenvalues : float32 (M, at most 64, 2), of dF/ds, real and imaginary, the largest modulus first
    times : float32 (M, R), 1 / |ln |lambda|| in steps
    readout : float32 (M, R), drive : float32 (M, R, I), as in ``FixedPointSearch``
    plane : float32 (M, 2), on the first two principal components of the displayed states s
    slow_plane : float32 (L, 2), likewise of a sample of the slow places; slow_owners : int32 (L,), their input
    path : float32 (P', 2), likewise of the states of a few displayed sequences, one after the other
    path_sequences, path_lengths : int32, places of these among the displayed sequences, and their steps
    explained : float64 (2,), shares of the variance of the displayed states
    nearest : int32 (M, 3), displayed steps whose states are nearest, each of another sequence; -1 where there is none
    distances : float32 (M, 3), theirs, in units of the mean distance of the displayed states from their middle
    outputs : int32 (M, 3), the largest outputs there, places in ``output_names``, -1 for none; (M, 0) without a head
    output_values : float32 (M, 3), theirs
    output_names : tuple of str, of the outputs named anywhere
    counts : int32 (I, 5), as in ``FixedPointSearch``
    placed : dict of method of ``Projection`` to float32 (M, 2), of PCA (M, 3): the points in these maps
    length : float, median length of the sequences
    remark : str, which part of the network s is; "" for all
    titles : tuple of str, length I, what was found at each input; first : int, the input shown first
    finding, guide : str
    """

    analysis: ClassVar[str] = "fixed-points"
    scope: str
    scopes: tuple[str, ...]
    inputs: tuple[str, ...]
    starts: int
    sequences: int
    owners: Ints
    kinds: Ints
    unstable: Ints
    speeds: Doubles
    arrivals: Ints
    eigenvalues: Floats
    times: Floats
    readout: Floats
    drive: Floats
    plane: Floats
    slow_plane: Floats
    slow_owners: Ints
    path: Floats
    path_sequences: Ints
    path_lengths: Ints
    explained: Doubles
    nearest: Ints
    distances: Floats
    outputs: Ints
    output_values: Floats
    output_names: tuple[str, ...]
    counts: Ints
    placed: dict[str, Floats]
    length: float
    remark: str
    titles: tuple[str, ...]
    first: int
    finding: str
    guide: str


@dataclass(frozen=True)
class Integration:
    """Whether slow places fill as many dimensions as adding up evidence takes; "trained" against "untrained".

    Attributes
    ----------
    expected : int, K - 1 of K classes, one for each label or quantity
    answers : str, in words what it is that of: "3 classes"
    explained : dict of name to float64 (at most 12, or ``expected``,), share of the variance of the slow places in so
        many of their principal components
    needed : dict of name to int, components for 90 % of it; 0 where there are too few places
    share : dict of name to float, of the variance in ``expected`` components; NaN likewise
    slow : dict of name to int, slow places, of ``starts``
    extent : dict of name to float, variance of the slow places over that of the visited states
    persistent : dict of name to float, median over slow places of the modes that last longer than half of the sequences
    overlap : dict of name to float, of the ``expected`` slowest modes with what the head reads; NaN without a head
    chance : float, that of random directions
    participation : dict of name to float, participation ratio of the visited states
    starts, sequences : int
    length : float, median length of the sequences
    holds : bool, whether the slow places extend and need no more dimensions than expected, those of the untrained net
        more, or do not extend
    untrained : str, how the untrained network was made, or why there is none
    finding, guide : str
    """

    analysis: ClassVar[str] = "integration"
    expected: int
    answers: str
    explained: dict[str, Doubles]
    needed: dict[str, int]
    share: dict[str, float]
    slow: dict[str, int]
    extent: dict[str, float]
    persistent: dict[str, float]
    overlap: dict[str, float]
    chance: float
    participation: dict[str, float]
    starts: int
    sequences: int
    length: float
    holds: bool
    untrained: str
    finding: str
    guide: str


@dataclass(frozen=True)
class Lyapunov:
    """How fast small differences between states grow along real inputs.

    Attributes
    ----------
    exponents : float64 (R, 3), per step in natural units, the largest first; low and high (95 %) over sequences
    sequences, steps, transient, units : int, sequences and steps that count, first steps of each that do not, numbers
        in the state
    finding, guide : str
    """

    analysis: ClassVar[str] = "lyapunov"
    exponents: Doubles
    sequences: int
    steps: int
    transient: int
    units: int
    finding: str
    guide: str
