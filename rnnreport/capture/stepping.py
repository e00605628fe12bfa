"""One step of the recurrent layers as a function of state and input, s -> F(s, x), with its derivatives in closed form.

The weights are those that the model used in an observed call, so that whatever wraps or shares them is right; the
formulas are those of ``replay.py``. s holds h, and c of an LSTM, of all layers that run one above the other. All in
float64 on the CPU: roots are found to more digits than a model's own precision has, and a matrix of a few hundred rows
is decomposed there soonest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from rnnreport.capture.recurrent import Mode, Weights
from rnnreport.results.recorded import StateKey

_Parts = tuple[Tensor, ...]  # of one layer: h, or h and c


@dataclass(frozen=True)
class StepLayer:
    """One layer and direction.

    Attributes
    ----------
    mode : Mode
    weights : Weights, float64
    module : str, layer : int, as in ``StateKey``
    """

    mode: Mode
    weights: Weights
    module: str
    layer: int

    @property
    def units(self) -> int:
        """Width of the cell."""
        return self.weights.hidden.shape[0] // {"LSTM": 4, "GRU": 3}.get(self.mode, 1)

    @property
    def widths(self) -> tuple[int, ...]:
        """Of h, and of c."""
        hidden = self.weights.hidden.shape[1]
        return (hidden, self.units) if self.mode == "LSTM" else (hidden,)

    @property
    def keys(self) -> tuple[StateKey, ...]:
        """Of h, and of c."""
        return tuple(StateKey(self.module, self.layer, "fwd", kind) for kind in "hc"[: len(self.widths)])

    def step(self, x: Tensor, parts: _Parts) -> _Parts:
        """The next h (and c) of states (B, width) at inputs (B, D)."""
        given, kept = self._sums(x, parts[0])
        if self.mode == "LSTM":
            i, f, g, o = (given + kept).chunk(4, dim=1)
            cell = f.sigmoid() * parts[1] + i.sigmoid() * g.tanh()
            hidden = o.sigmoid() * cell.tanh()
            return (hidden if self.weights.projection is None else hidden @ self.weights.projection.t()), cell
        if self.mode == "GRU":
            (r, z, n), (kept_r, kept_z, kept_n) = given.chunk(3, dim=1), kept.chunk(3, dim=1)
            update = (z + kept_z).sigmoid()
            return ((1 - update) * (n + (r + kept_r).sigmoid() * kept_n).tanh() + update * parts[0],)
        return ((given + kept).relu() if self.mode == "RNN_RELU" else (given + kept).tanh(),)

    def derivatives(self, x: Tensor, parts: _Parts) -> tuple[Tensor, Tensor]:
        """Of the next [h; c] by the last [h; c], (B, W, W), and by the input, (B, W, D)."""
        given, kept = self._sums(x, parts[0])
        own, by_input = {"LSTM": self._of_lstm, "GRU": self._of_gru}.get(self.mode, self._of_rnn)(given, kept, parts)
        return own, by_input

    def _sums(self, x: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """W_ih x + b_ih and W_hh h + b_hh."""
        weights = self.weights
        return (
            nn.functional.linear(x, weights.input, weights.input_bias),
            nn.functional.linear(hidden, weights.hidden, weights.hidden_bias),
        )

    def moved(self, x: Tensor, parts: _Parts, by: Tensor | None, frame: _Parts) -> _Parts:
        """How the next h (and c) move, (B, R, width), in each of R directions, without the matrices of derivatives.

        Parameters
        ----------
        x : Tensor (B, D)
        parts : tuple of Tensor (B, width)
        by : Tensor (B, R, D) or None
            How the input moves; not at all with None.
        frame : tuple of Tensor (B, R, width)
            How h (and c) move.
        """
        given, kept = self._sums(x, parts[0])
        moved_kept = frame[0] @ self.weights.hidden.t()
        moved_given = torch.zeros_like(moved_kept) if by is None else by @ self.weights.input.t()
        if self.mode == "LSTM":
            to_cell, forget, to_read, by_output = _lstm_slopes(given + kept, parts)
            *first, last = (moved_given + moved_kept).chunk(4, dim=2)
            cell = forget.unsqueeze(1) * frame[1]
            for slope, total in zip(to_cell, first, strict=True):
                cell = cell + slope.unsqueeze(1) * total
            hidden = by_output.unsqueeze(1) * last + to_read.unsqueeze(1) * cell
            return (hidden if self.weights.projection is None else hidden @ self.weights.projection.t()), cell
        if self.mode == "GRU":
            by_reset, by_update, by_new, reset, update = (
                slope.unsqueeze(1) for slope in _gru_slopes(given, kept, parts)
            )
            (r, z, n), (kept_r, kept_z, kept_n) = moved_given.chunk(3, dim=2), moved_kept.chunk(3, dim=2)
            gates = by_reset * (r + kept_r) + by_update * (z + kept_z)
            return (gates + by_new * (n + reset * kept_n) + update * frame[0],)
        return (self._rnn_slope(given + kept).unsqueeze(1) * (moved_given + moved_kept),)

    def _rnn_slope(self, total: Tensor) -> Tensor:
        return (total > 0).to(total) if self.mode == "RNN_RELU" else 1 - total.tanh().square()

    def _of_rnn(self, given: Tensor, kept: Tensor, parts: _Parts) -> tuple[Tensor, Tensor]:
        slope = self._rnn_slope(given + kept)
        return _rows(slope, self.weights.hidden), _rows(slope, self.weights.input)

    def _of_gru(self, given: Tensor, kept: Tensor, parts: _Parts) -> tuple[Tensor, Tensor]:
        by_reset, by_update, by_new, reset, update = _gru_slopes(given, kept, parts)
        hidden, inputs = self.weights.hidden.chunk(3), self.weights.input.chunk(3)
        own = _rows(by_reset, hidden[0]) + _rows(by_update, hidden[1]) + _rows(by_new * reset, hidden[2])
        by_input = _rows(by_reset, inputs[0]) + _rows(by_update, inputs[1]) + _rows(by_new, inputs[2])
        return own + torch.diag_embed(update), by_input

    def _of_lstm(self, given: Tensor, kept: Tensor, parts: _Parts) -> tuple[Tensor, Tensor]:
        to_cell, forget, to_read, by_output = _lstm_slopes(given + kept, parts)

        def through(matrix: Tensor) -> tuple[Tensor, Tensor]:
            """Derivatives of h and c by what this matrix is applied to."""
            *first, last = matrix.chunk(4)
            cell = torch.stack([_rows(slope, part) for slope, part in zip(to_cell, first, strict=True)]).sum(0)
            return self._projected(_rows(by_output, last) + to_read.unsqueeze(2) * cell), cell

        by_hidden, by_input = through(self.weights.hidden), through(self.weights.input)
        by_cell = self._projected(torch.diag_embed(to_read * forget)), torch.diag_embed(forget)
        own = torch.cat([torch.cat(pair, dim=2) for pair in zip(by_hidden, by_cell, strict=True)], dim=1)
        return own, torch.cat(by_input, dim=1)

    def _projected(self, derivative: Tensor) -> Tensor:
        return derivative if self.weights.projection is None else self.weights.projection @ derivative


def _gru_slopes(given: Tensor, kept: Tensor, parts: _Parts) -> tuple[Tensor, ...]:
    """Derivatives (B, H) of the next h by the sums of reset, update and new state; and the reset and update gates."""
    (r, z, n), (kept_r, kept_z, kept_n) = given.chunk(3, dim=1), kept.chunk(3, dim=1)
    reset, update = (r + kept_r).sigmoid(), (z + kept_z).sigmoid()
    new = (n + reset * kept_n).tanh()
    by_new = (1 - update) * (1 - new.square())
    by_reset = by_new * kept_n * reset * (1 - reset)
    return by_reset, (parts[0] - new) * update * (1 - update), by_new, reset, update


def _lstm_slopes(total: Tensor, parts: _Parts) -> tuple[tuple[Tensor, ...], Tensor, Tensor, Tensor]:
    """Derivatives (B, H): of the next c by the sums of i, f and g, and by c; of h by the next c and by the sum of o."""
    total_i, total_f, total_g, total_o = total.chunk(4, dim=1)
    i, f, g, o = total_i.sigmoid(), total_f.sigmoid(), total_g.tanh(), total_o.sigmoid()
    read = (f * parts[1] + i * g).tanh()
    to_cell = (g * i * (1 - i), parts[1] * f * (1 - f), i * (1 - g.square()))
    return to_cell, f, o * (1 - read.square()), read * o * (1 - o)


def _rows(slope: Tensor, matrix: Tensor) -> Tensor:
    """(B, H, W): row h of the matrix (H, W) times slope (B, H)."""
    return slope.unsqueeze(2) * matrix


@dataclass(frozen=True)
class StepSystem:
    """Layers one above the other, the lowest first.

    Attributes
    ----------
    layers : tuple of StepLayer
    """

    layers: tuple[StepLayer, ...]

    @property
    def keys(self) -> tuple[StateKey, ...]:
        """The states that s holds, in order."""
        return tuple(key for layer in self.layers for key in layer.keys)

    @property
    def size(self) -> int:
        """Numbers in s."""
        return sum(sum(layer.widths) for layer in self.layers)

    @property
    def features(self) -> int:
        """Numbers in x."""
        return self.layers[0].weights.input.shape[1]

    @property
    def hidden(self) -> slice:
        """Where the last layer's h, which the head reads, stands in s."""
        start = self.size - sum(self.layers[-1].widths)
        return slice(start, start + self.layers[-1].widths[0])

    def step(self, s: Tensor, x: Tensor) -> Tensor:
        """F(s, x), float64 (B, S), of states (B, S) at inputs (B, D)."""
        found: list[Tensor] = []
        for layer, parts in zip(self.layers, self._parts(s), strict=True):
            following = layer.step(x, parts)
            found += following
            x = following[0]
        return torch.cat(found, dim=1)

    def derivatives(self, s: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """dF/ds, float64 (B, S, S), and dF/dx, (B, S, D), at states (B, S) and inputs (B, D)."""
        count = len(s)
        by_state, by_input = s.new_zeros(count, self.size, self.size), s.new_zeros(count, self.size, self.features)
        start, below = 0, slice(0, 0)
        for place, (layer, parts) in enumerate(zip(self.layers, self._parts(s), strict=True)):
            own, by_given = layer.derivatives(x, parts)
            rows = slice(start, start + own.shape[1])
            by_state[:, rows, rows] = own
            if place:  # its input is the next h of the layer below
                by_state[:, rows, :start] = by_given @ by_state[:, below, :start]
                by_input[:, rows] = by_given @ by_input[:, below]
            else:
                by_input[:, rows] = by_given
            x = layer.step(x, parts)[0]
            below = slice(start, start + layer.widths[0])
            start = rows.stop
        return by_state, by_input

    def moved(self, s: Tensor, x: Tensor, frame: Tensor) -> Tensor:
        """dF/ds times directions: float64 (B, R, S) of frames (B, R, S), at states (B, S) and inputs (B, D).

        It takes the time of R steps, where the matrices of two layers take that of a product of matrices.
        """
        found: list[Tensor] = []
        by: Tensor | None = None
        for layer, parts, moving in zip(self.layers, self._parts(s), self._parts(frame), strict=True):
            following = layer.moved(x, parts, by, moving)
            found += following
            x, by = layer.step(x, parts)[0], following[0]
        return torch.cat(found, dim=2)

    def _parts(self, s: Tensor) -> list[_Parts]:
        """Of states (B, S) or directions (B, R, S)."""
        widths = [width for layer in self.layers for width in layer.widths]
        parts = iter(torch.split(s, widths, dim=-1))
        return [tuple(next(parts) for _ in layer.widths) for layer in self.layers]


def step_layers(name: str, mode: Mode, weights: Sequence[Weights], first: int = 0) -> tuple[StepLayer, ...]:
    """The layers of one call, from the weights of each; ``first``: number of the lowest."""
    return tuple(StepLayer(mode, _doubled(own), name, first + place) for place, own in enumerate(weights))


def _doubled(weights: Weights) -> Weights:
    doubled: dict[str, Any] = {}
    for field in fields(weights):
        tensor = getattr(weights, field.name)
        doubled[field.name] = None if tensor is None else double(tensor)
    return Weights(**doubled)


def double(tensor: Tensor) -> Tensor:
    """The same numbers, float64 on the CPU."""
    return tensor.detach().to("cpu", torch.float64)
