"""Nets with cells that torch does not have or that read both ways by hand, and their states computed without torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

D, H, K = 3, 5, 2  # features, units, classes


class MinimalGatedUnit(nn.Module):
    """Zhou et al., "Minimal gated unit for recurrent neural networks", 2016; one step (B, D), (B, H) -> (B, H)."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.candidate = nn.Linear(D + H, H), nn.Linear(D + H, H)

    def forward(self, inputs: Tensor, h: Tensor) -> Tensor:
        f = self.gate(torch.cat([inputs, h], 1)).sigmoid()
        return (1 - f) * h + f * self.candidate(torch.cat([inputs, f * h], 1)).tanh()


class DiagonalStateSpace(nn.Module):
    """x_t = a x_(t-1) + B u_t with a diagonal a, computed for all steps at once: (B, T, D) -> (B, T, H)."""

    def __init__(self) -> None:
        super().__init__()
        self.decay, self.input = nn.Parameter(torch.linspace(0.1, 0.95, H)), nn.Linear(D, H, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        steps = torch.arange(inputs.shape[1])
        ages = (steps[:, None] - steps).clamp(min=0)
        kernel = (self.decay ** ages[..., None]) * (steps[:, None] >= steps)[..., None]
        return torch.einsum("tsh,bsh->bth", kernel, self.input(inputs))


class Gated(nn.Module):
    """Steps its own cell; the head reads the last state."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = MinimalGatedUnit(), nn.Linear(H, K)

    def forward(self, inputs: Tensor) -> Tensor:
        h = inputs.new_zeros(len(inputs), H)
        for values in inputs.unbind(1):
            h = self.cell(values, h)
        return self.head(h)  # type: ignore[no-any-return]


class StateSpace(nn.Module):
    def __init__(self, time_major: bool = False) -> None:
        super().__init__()
        self.ssm, self.head, self.turn = DiagonalStateSpace(), nn.Linear(H, K), nn.Identity()
        self.time_major = time_major

    def forward(self, inputs: Tensor) -> Tensor:
        states = self.ssm(inputs)
        if self.time_major:
            return self.head(self.turn(states.transpose(0, 1))[-1])  # type: ignore[no-any-return]
        return self.head(states[:, -1])  # type: ignore[no-any-return]


class OwnLSTM(nn.Module):
    """A hand-written LSTM cell, step(x, (h, c)) -> (h, c), in one of the ways in which such cells return it."""

    def __init__(self, form: str = "tuple") -> None:
        super().__init__()
        self.gates, self.form = nn.Linear(D + H, 4 * H), form

    def forward(self, inputs: Tensor, state: Any) -> Any:
        h, c = (state["h"], state["c"]) if self.form == "dict" else state[-1] if self.form == "nested" else state
        i, f, g, o = self.gates(torch.cat([inputs, h], 1)).chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        if self.form == "dict":
            return {"c": c, "h": h, "note": "no tensor"}
        return (h, (h, c)) if self.form == "nested" else (h, c)


class Stepped(nn.Module):
    """Steps an LSTM of its own; the head reads the last h."""

    def __init__(self, form: str = "tuple") -> None:
        super().__init__()
        self.cell, self.head = OwnLSTM(form), nn.Linear(H, K)

    def forward(self, inputs: Tensor) -> Tensor:
        zeros = inputs.new_zeros(len(inputs), H)
        state: Any = {"h": zeros, "c": zeros} if self.cell.form == "dict" else (zeros, zeros)
        state = (zeros, state) if self.cell.form == "nested" else state
        for values in inputs.unbind(1):
            state = self.cell(values, state)
        return self.head(state["h"] if self.cell.form == "dict" else state[0])  # type: ignore[no-any-return]


class TwoPlaces(nn.Module):
    """All steps at once, (B, T, D) -> states (B, T, H) and (T, B, 2 H), as a scan may leave them."""

    def __init__(self) -> None:
        super().__init__()
        self.ssm = DiagonalStateSpace()

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        states = self.ssm(inputs)
        return states, torch.cat([states, -states], 2).transpose(0, 1)


class Scanned(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scan, self.head = TwoPlaces(), nn.Linear(H, K)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.scan(inputs)[0][:, -1])  # type: ignore[no-any-return]


class Embedded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.project, self.rnn, self.head = nn.Linear(D, 4), nn.LSTM(4, H, batch_first=True), nn.Linear(H, K)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.rnn(self.project(inputs))[0][:, -1])  # type: ignore[no-any-return]


def doubles(module: nn.Linear) -> tuple[NDArray[np.float64], Any]:
    bias = 0.0 if module.bias is None else module.bias.detach().double().numpy()
    return module.weight.detach().double().numpy(), bias


def gated_alone(cell: MinimalGatedUnit, values: NDArray[np.float32]) -> NDArray[np.float64]:
    (gate, gate_bias), (candidate, candidate_bias) = doubles(cell.gate), doubles(cell.candidate)
    h, states = np.zeros(H), []
    for row in values.astype(np.float64):
        f = 1 / (1 + np.exp(-(gate @ np.concatenate([row, h]) + gate_bias)))
        h = (1 - f) * h + f * np.tanh(candidate @ np.concatenate([row, f * h]) + candidate_bias)
        states.append(h)
    return np.array(states)


def lstm_alone(cell: OwnLSTM, values: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """h and c of every step, in NumPy."""
    weight, bias = doubles(cell.gates)
    h, c, states = np.zeros(H), np.zeros(H), []
    for row in values.astype(np.float64):
        i, f, g, o = np.split(weight @ np.concatenate([row, h]) + bias, 4)
        c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        h = np.tanh(c) / (1 + np.exp(-o))
        states.append((h, c))
    return np.array([h for h, _ in states]), np.array([c for _, c in states])


def state_space_alone(layer: DiagonalStateSpace, values: NDArray[np.float32]) -> NDArray[np.float64]:
    decay, (weight, _) = layer.decay.detach().double().numpy(), doubles(layer.input)
    x, states = np.zeros(H), []
    for row in values.astype(np.float64):
        x = decay * x + weight @ row
        states.append(x)
    return np.array(states)


class Translator(nn.Module):
    """An encoder of all steps, and a decoder that takes three steps whatever the input."""

    def __init__(self) -> None:
        super().__init__()
        self.project, self.encoder, self.decoder = nn.Linear(D, 4), nn.LSTM(4, H, 2), nn.LSTMCell(H, H)
        self.head = nn.Linear(H, K)

    def forward(self, inputs: Tensor) -> Tensor:
        output, _ = self.encoder(self.project(inputs).transpose(0, 1))
        state = None
        for _ in range(3):
            state = self.decoder(output[-1], state)
        return self.head(output[-1])  # type: ignore[no-any-return]


class BothWays(nn.Module):
    """Reads in both directions by hand, with cells or with whole layers, over two layers."""

    def __init__(self, cells: bool) -> None:
        super().__init__()
        self.cells = cells
        if cells:
            self.there, self.back, self.top = nn.GRUCell(D, H), nn.GRUCell(D, H), nn.GRUCell(2 * H, H)
        else:
            self.there, self.back, self.top = nn.GRU(D, H), nn.GRU(D, H), nn.GRU(2 * H, H)  # type: ignore[assignment]

    def run(self, module: nn.Module, values: Tensor) -> Tensor:
        if not self.cells:
            return module(values)[0]  # type: ignore[no-any-return]
        h, states = None, []
        for row in values:
            h = module(row, h)
            states.append(h)
        return torch.stack(states)

    def forward(self, inputs: Tensor) -> Tensor:
        values = inputs.transpose(0, 1)
        both = torch.cat([self.run(self.there, values), self.run(self.back, values.flip(0)).flip(0)], 2)
        return self.run(self.top, both)[-1, :, :K]
