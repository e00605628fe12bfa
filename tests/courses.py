"""Trainings with a known course: a planted benchmark, and the synthetic suite of the authors of MM-PHATE.

``planted``: communities of units that are weak at first, strong from epoch 8 on, and merge by two at epoch 16.
``bifurcations``: two groups of units that read out a dynamical system whose parameter passes a bifurcation while the
epochs go by; written from the published definition, with its order of random draws, so that the data are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rnnreport.results.recorded import Doubles, Floats

COMMUNITIES, PER_COMMUNITY = 4, 6
BOUNDARIES = (8, 16)  # epochs at which the planted training changes

Scenario = Literal["clean and warped", "Hopf and pitchfork", "both warped"]
SCENARIOS: tuple[Scenario, ...] = ("clean and warped", "Hopf and pitchfork", "both warped")
GROUP = 3  # units in each of the two groups
_SAMPLES, _STEP, _NOISE, _WARP = 10, 0.1, 0.001, 0.15


@dataclass(frozen=True)
class Planted:
    """``activity`` float64 (E, T, H, samples); ``community`` int64 (H,), of the first sixteen epochs."""

    activity: Doubles
    community: NDArray[np.int64]


def planted(
    seed: int, epochs: int = 24, steps: int = 20, samples: int = 60, per_community: int = PER_COMMUNITY
) -> Planted:
    """Draw a training with boundaries at thirds of its epochs."""
    draw = np.random.default_rng(seed)
    community = np.repeat(np.arange(COMMUNITIES), per_community)

    def field() -> Doubles:
        """A smooth course over epochs and steps, float64 (E, T, samples)."""
        total = np.zeros((epochs, steps, samples))
        for _ in range(4):
            across = draw.normal(0, 1, 2)
            phase = draw.uniform(0, 6.28, samples)
            places = (
                across[0] * np.arange(epochs)[:, None, None] / epochs + across[1] * np.arange(steps)[:, None] / steps
            )
            total += np.cos(2 * np.pi * places + phase)
        return total / 2

    shared = np.stack([field() for _ in range(COMMUNITIES)])
    own = np.stack([field() for _ in community])
    first, second = epochs // 3, 2 * epochs // 3
    activity = np.concatenate(
        [
            0.25 * shared[community, :first] + own[:, :first],
            shared[community, first:second] + 0.35 * own[:, first:second],
            shared[community % 2, second:] + 0.15 * own[:, second:],
        ],
        axis=1,
    ).transpose(1, 2, 0, 3)
    return Planted(activity + 0.02 * draw.normal(size=activity.shape), community)


def bifurcations(scenario: Scenario, epochs: int = 101, steps: int = 80) -> Floats:
    """Activity of the six units, float32 (epochs, steps, units, samples)."""
    draw = np.random.default_rng(24)
    start = draw.normal(0, 0.6, (_SAMPLES, 2)).astype(np.float32)
    parameter = np.linspace(-1, 2, epochs, dtype=np.float32)
    first = _trajectory("hopf", parameter, start, steps, draw)
    if scenario == "clean and warped":
        second = _warped(first)
    else:
        second = _trajectory("pitchfork", parameter, start, steps, draw)
    if scenario == "both warped":
        first, second = _warped(first), _warped(second)
    angle = draw.uniform(0.2 * np.pi, 0.8 * np.pi)
    weights = np.array([np.cos(angle), np.sin(angle)], np.float32)
    draw.normal(size=4 * GROUP)  # gains and biases, which this suite leaves at 1 and 0
    latents = (first, second)
    activity = np.empty((epochs, steps, 2 * GROUP, _SAMPLES), np.float32)
    for epoch in range(epochs):
        for place, latent in enumerate(latents):
            x, y = latent[epoch, ..., 0], latent[epoch, ..., 1]
            signal = 0.2 * (x * weights[0] + y * weights[1]) + 1.2 * np.sqrt(x**2 + y**2)
            noise = draw.normal(0, _NOISE, (GROUP, steps, _SAMPLES)).astype(np.float32)
            activity[epoch, :, place * GROUP : (place + 1) * GROUP] = (signal + noise).transpose(1, 0, 2)
    return activity


def _trajectory(system: str, parameter: Floats, start: Floats, steps: int, draw: np.random.Generator) -> Floats:
    """Runge-Kutta of fourth order, without a break between epochs; float32 (epochs, steps, samples, 2)."""

    def slope(place: Floats, mu: float) -> Floats:
        x, y = place[:, 0], place[:, 1]
        if system == "pitchfork":
            return np.stack([mu * x - x**3, -2 * y], axis=1)
        radius = x * x + y * y
        return np.stack([mu * x - y - radius * x, x + mu * y - radius * y], axis=1)

    found = np.empty((len(parameter), steps, _SAMPLES, 2), np.float32)
    place = start.copy()
    for epoch, mu in enumerate(map(float, parameter)):
        for step in range(steps):
            k1 = slope(place, mu)
            k2 = slope(place + 0.5 * _STEP * k1, mu)
            k3 = slope(place + 0.5 * _STEP * k2, mu)
            k4 = slope(place + _STEP * k3, mu)
            place = place + (_STEP / 6) * (k1 + 2 * k2 + 2 * k3 + k4)
            place += draw.normal(0, _NOISE, place.shape).astype(np.float32)
            found[epoch, step] = place
    return found


def _warped(latent: Floats) -> Floats:
    x, y = latent[..., 0], latent[..., 1]
    return np.stack([x + _WARP * x * y, y + _WARP * x**2], axis=-1)
