"""Dynamical similarity against planted linear systems and a search over all rotations of the plane."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from rnnreport.analyses.comparison.dynamics import DynamicsParams, dynamical_distance, linear_dynamics

PARAMS = DynamicsParams()
SEQUENCES, STEPS = 60, 25
OFFSETS = np.arange(SEQUENCES + 1) * STEPS


def spectral_distance(one: np.ndarray, two: np.ndarray) -> float:
    """Mean distance of the eigenvalues of two maps, paired one to one as closely as possible: blind to the basis."""
    width = max(len(one), len(two))
    values = [np.pad(np.linalg.eigvals(side), (0, width - len(side))) for side in (one, two)]
    apart = np.abs(values[0][:, None] - values[1])
    return float(apart[linear_sum_assignment(apart)].mean())


def _rotation(seed: int, width: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(width, width)))[0]


def _system(seed: int, angles: tuple[float, ...], decay: float = 0.95) -> np.ndarray:
    """A stable linear map of pairs that turn by these angles, in a random basis."""
    width = 2 * len(angles)
    core = np.zeros((width, width))
    for place, angle in enumerate(angles):
        turn = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        core[2 * place : 2 * place + 2, 2 * place : 2 * place + 2] = decay * np.array(turn)
    basis = _rotation(seed, width)
    return basis @ core @ basis.T


def _states(system: np.ndarray, seed: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    rows = []
    for _ in range(SEQUENCES):
        state = draw.normal(size=len(system))
        for _ in range(STEPS):
            state = system @ state + 0.05 * draw.normal(size=len(system))
            rows.append(state)
    return np.array(rows)


def test_the_map_of_a_linear_system_has_its_eigenvalues() -> None:
    system = _system(0, (0.3, 0.9))
    found = linear_dynamics(_states(system, 1), OFFSETS, DynamicsParams(delays=1))
    assert found is not None and found.shape == (4, 4)
    expected, values = np.sort_complex(np.linalg.eigvals(system)), np.sort_complex(np.linalg.eigvals(found))
    np.testing.assert_allclose(values, expected, atol=0.02)
    assert spectral_distance(found, system) < 0.02


def test_no_step_follows_from_another_sequence() -> None:
    """Each sequence begins anew, far away: a map that saw the seams would differ."""
    system, states = _system(2, (0.5,)), _states(_system(2, (0.5,)), 3)
    shuffled = np.concatenate([states.reshape(SEQUENCES, STEPS, -1)[n] for n in _order()])
    maps = [linear_dynamics(one, OFFSETS, DynamicsParams(delays=1)) for one in (states, shuffled)]
    assert spectral_distance(*maps) < 1e-9 and spectral_distance(maps[0], system) < 0.02


def _order() -> np.ndarray:
    return np.random.default_rng(4).permutation(SEQUENCES)


@pytest.mark.parametrize("seed", range(20))
def test_a_rotated_copy_is_nearer_than_another_spectrum(seed: int) -> None:
    """B4 of the specification, in each of 20 seeds."""
    system, other = _system(seed, (0.2, 0.7)), _system(seed + 50, (1.1, 1.6))
    states = _states(system, seed)
    copy = 3 * states @ _rotation(seed + 100, 4)
    again = _states(system, seed + 200) @ _rotation(seed + 300, 4)  # the same system, other trajectories
    own, same, fresh, different = (
        linear_dynamics(one, OFFSETS, PARAMS) for one in (states, copy, again, _states(other, seed))
    )
    assert dynamical_distance(own, same, PARAMS) < 1e-3
    assert dynamical_distance(own, fresh, PARAMS) < 0.5 * dynamical_distance(own, different, PARAMS)
    assert spectral_distance(own, fresh) < 0.5 * spectral_distance(own, different)


@pytest.mark.parametrize("seed", range(5))
def test_the_best_rotation_of_the_plane_is_found(seed: int) -> None:
    one, two = np.random.default_rng(seed).normal(size=(2, 2, 2))
    best = np.inf
    for angle in np.linspace(0, 2 * np.pi, 20_001):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        for basis in (turn, turn @ np.diag([1.0, -1.0])):
            product = (one * (basis @ two @ basis.T)).sum() / np.linalg.norm(one) / np.linalg.norm(two)
            best = min(best, np.arccos(np.clip(product, -1, 1)))
    assert dynamical_distance(one, two, PARAMS) == pytest.approx(best, abs=1e-3)


def test_what_is_not_there_has_no_dynamics() -> None:
    states = _states(_system(5, (0.4,)), 6)
    assert linear_dynamics(np.full_like(states, 0.3), OFFSETS, PARAMS) is None
    assert linear_dynamics(np.full_like(states, np.nan), OFFSETS, PARAMS) is None
    assert linear_dynamics(states, np.arange(len(states) + 1), PARAMS) is None  # sequences of one step
    assert linear_dynamics(states[:20], np.array([0, 20]), PARAMS) is None
    assert np.isnan(dynamical_distance(None, np.eye(2), PARAMS))
