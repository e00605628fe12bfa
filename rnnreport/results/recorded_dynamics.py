"""What capture records of the network as a dynamical system, at the last epoch; see ``recorded.py`` for the letters.

W numbers in s, the states of all layers that run one above the other, and F(s, x) the state one step later.
"""

from __future__ import annotations

from dataclasses import dataclass

from rnnreport.results.recorded import Doubles, Floats, Ints


@dataclass(frozen=True)
class FixedPointSearch:
    """States s that one step s -> F(s, x) leaves where they are, or nearly, with its derivatives there.

    s holds the states ``scopes``, W numbers; I inputs x; M points; R leading modes of each; L samples of slow places.

    Attributes
    ----------
    epoch : int, the last recorded one
    scopes : tuple of str, the StateKeys that s holds, one after the other
    hidden : tuple of two int, where the h that the head reads begins and ends in s
    inputs : tuple of str, what the inputs are called, the first is the mean one
    starts : int, states that the search began from at each input: a quarter visited, a quarter where such are after
        200 steps at the input, half between two visited ones
    sequences : int, whose states were visited
    owners : int32 (M,), the input of each point, increasing
    points : float64 (M, W), those of an input that take the fewest starts last
    speeds : float64 (M,), q = |F(s, x) - s|^2 / 2; below 1e-8 it is a fixed point, below 1e-4 a slow one
    arrivals : int32 (M,), starts that ended there
    eigenvalues : float64 (M, W, 2), of dF/ds, real and imaginary part, the largest modulus first; with a mode that is
        complex its conjugate follows
    readout : float32 (M, R), how much of a step along the right eigenvector of a mode the head sees: the change of its
        numbers as a share of the largest that a step of the same length can make; NaN without a head
    drive : float32 (M, R, I), how far a step at the other inputs moves the state along a mode beyond one at x, to first
        order (left eigenvector times dF/dx times the difference), the right eigenvector of length 1
    outputs : float32 (M, K), what the head says there, probabilities or quantities; (M, 0) without a head, and where
        there are more than 64
    top_outputs : int32 (M, 5), the largest then, the largest first; otherwise (M, 0)
    top_values : float32 (M, 5), theirs
    slow : float32 (L, W), where starts first were slow: a sample of the slow manifold
    slow_owners : int32 (L,), the input
    counts : int32 (I, 5), starts that ended at a fixed point, at a slow one, at one too far from all visited states, at
        none; and different points that were found beyond those kept
    remark : str, which part of the network s is, where it is not all of its layers
    reason : str, why there are none; "" otherwise
    """

    epoch: int
    scopes: tuple[str, ...]
    hidden: tuple[int, ...]
    inputs: tuple[str, ...]
    starts: int
    sequences: int
    owners: Ints
    points: Doubles
    speeds: Doubles
    arrivals: Ints
    eigenvalues: Doubles
    readout: Floats
    drive: Floats
    outputs: Floats
    top_outputs: Ints
    top_values: Floats
    slow: Floats
    slow_owners: Ints
    counts: Ints
    remark: str
    reason: str


@dataclass(frozen=True)
class IntegrationProbe:
    """The slow places of a network beside those of the same network with weights drawn anew, at the mean input.

    Both have the names "trained" and "untrained"; the latter is missing where no such network can be made.

    Attributes
    ----------
    epoch : int, the last recorded one
    scopes : tuple of str, the StateKeys that s holds
    expected : int, dimensions that integrating the evidence for the answers takes
    slow : dict of name to float32 (L, W), where starts first were slow
    starts : int, of each network
    modes : dict of name to float64 (L', R), moduli of the leading eigenvalues of dF/ds at some of the slow places, the
        largest first
    overlap : dict of name to float32 (L',), share of the length of the first ``expected`` right eigenvectors that lies
        in the directions that the head reads; (0,) without a head
    chance : float, what that share is for random directions of s
    variances : dict of name to float64 (W,), of visited states s along their principal components, decreasing
    participation : dict of name to float, participation ratio of the visited states h that the head reads
    sequences : int, visited
    untrained : str, how the untrained network was made, or why there is none
    reason : str, why there is nothing at all; "" otherwise
    """

    epoch: int
    scopes: tuple[str, ...]
    expected: int
    slow: dict[str, Floats]
    starts: int
    modes: dict[str, Doubles]
    overlap: dict[str, Floats]
    chance: float
    variances: dict[str, Doubles]
    participation: dict[str, float]
    sequences: int
    untrained: str
    reason: str


@dataclass(frozen=True)
class Stretching:
    """How fast small differences between states grow along real inputs, by sequence and direction.

    Attributes
    ----------
    epoch : int, the last recorded one
    sequences : int32 (M,), places in the probe set
    steps : int32 (M,), steps of each that count, after the transient
    sums : float64 (M, R), of the logarithms of the diagonal of R in the QR decompositions of these steps: natural units
    transient : int, first steps of each sequence that do not count
    units : int, numbers in s
    reason : str, why there is nothing; "" otherwise
    """

    epoch: int
    sequences: Ints
    steps: Ints
    sums: Doubles
    transient: int
    units: int
    reason: str
