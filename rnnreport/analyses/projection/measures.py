"""How far a map can be trusted: its neighbourhoods, its distances, and how much it owes to chance."""

from __future__ import annotations

import numpy as np

from rnnreport.analyses.sample import evenly
from rnnreport.results.recorded import Doubles

_SHEPARD_POINTS = 500  # whose distances, all pairs of them, are ranked


def trust(points: Doubles, flat: Doubles, neighbours: int) -> dict[str, float]:
    """Trustworthiness and continuity of a map (Venna and Kaski, 2001) and its Shepard correlation, all 1 at best.

    Parameters
    ----------
    points : float64 (P, H)
    flat : float64 (P, 2 or 3)
    neighbours : int
        Lowered where the points are too few for it: the measures need fewer than half of them.
    """
    from sklearn.manifold import trustworthiness

    used = min(neighbours, (len(points) - 1) // 2)
    return {
        "trustworthiness": float(trustworthiness(points, flat, n_neighbors=used)),
        "continuity": float(trustworthiness(flat, points, n_neighbors=used)),
        "shepard": shepard(points, flat),
        "neighbours": used,
        "points": len(points),
    }


def shepard(points: Doubles, flat: Doubles) -> float:
    """Rank correlation of the distances in the map with those in the full space, over pairs of 500 evenly taken points.

    Parameters
    ----------
    points : float64 (P, H)
    flat : float64 (P, 2 or 3)
    """
    from scipy.spatial.distance import pdist
    from scipy.stats import rankdata

    taken = evenly(len(points), _SHEPARD_POINTS)
    wanted, shown = rankdata(pdist(points[taken])), rankdata(pdist(flat[taken]))
    if not np.ptp(wanted) or not np.ptp(shown):
        return float("nan")
    return float(np.corrcoef(wanted, shown)[0, 1])


def disparity(one: Doubles, other: Doubles) -> float:
    """What stays different of two maps after the best shift, rotation, mirroring and scale: 0 is nothing, 1 all.

    Parameters
    ----------
    one, other : float64 (P, 2)
    """
    from scipy.spatial import procrustes

    return float(procrustes(one, other)[2])


def strangeness(states: Doubles, reference: Doubles) -> float:
    """How far states lie from the nearest reference state, in units of how far these lie from each other.

    Parameters
    ----------
    states : float64 (Q, H)
    reference : float64 (P, H)

    Returns
    -------
    float
        Mean over mean; about 1 for states like the reference, NaN where all of these are equal.
    """
    from sklearn.neighbors import NearestNeighbors

    finder = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(reference)
    own = finder.kneighbors()[0].mean()
    return float(finder.kneighbors(states)[0].mean() / own) if own > 0 else float("nan")
