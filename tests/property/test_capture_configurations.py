"""Replay equals torch for any configuration of nn.RNN, nn.GRU and nn.LSTM, however they are called.

The independent side is one single-layer torch module per layer and direction, fed by the one below and run sequence by
sequence (reversed by hand for the backward direction), and torch's stepwise cells for the cell states and gates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from rnnreport.capture.recurrent import RecurrentCall
from rnnreport.capture.replay import EVERYTHING, replay
from rnnreport.capture.stitching import stitch
from rnnreport.capture.watching import watched
from rnnreport.results.recorded import StateKey

# torch says once per process that projections take its plain path on a CPU
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")

D, H, P = 3, 5, 2
KINDS: dict[str, Any] = {"rnn": nn.RNN, "relu": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


@dataclass(frozen=True)
class Configuration:
    kind: str
    layers: int
    bidirectional: bool
    bias: bool
    batch_first: bool
    proj_size: int
    dropout: float
    packing: str  # "none", "sorted", "unsorted", "unbatched"
    with_initial: bool
    lengths: tuple[int, ...]
    way: str  # "module", "forward", "steps", "chunks"
    double: bool
    keep_gates: bool
    seed: int

    @property
    def dtype(self) -> torch.dtype:
        return torch.float64 if self.double else torch.float32

    @property
    def tolerance(self) -> float:
        return 1e-12 if self.double else 1e-6

    def module(self) -> nn.RNNBase:
        options: dict[str, Any] = {"nonlinearity": "relu"} if self.kind == "relu" else {}
        if self.kind == "lstm":
            options["proj_size"] = self.proj_size
        module = KINDS[self.kind](
            D,
            H,
            self.layers,
            bias=self.bias,
            batch_first=self.batch_first,
            dropout=self.dropout if self.layers > 1 else 0.0,
            bidirectional=self.bidirectional,
            **options,
        )
        return module.to(self.dtype).eval()  # type: ignore[no-any-return]


def configurations() -> st.SearchStrategy[Configuration]:
    return st.builds(
        Configuration,
        kind=st.sampled_from(sorted(KINDS)),
        layers=st.integers(1, 3),
        bidirectional=st.booleans(),
        bias=st.booleans(),
        batch_first=st.booleans(),
        proj_size=st.sampled_from([0, P]),
        dropout=st.sampled_from([0.0, 0.5]),
        packing=st.sampled_from(["none", "sorted", "unsorted", "unbatched"]),
        with_initial=st.booleans(),
        lengths=st.lists(st.integers(1, 20), min_size=1, max_size=4).map(tuple),
        way=st.sampled_from(["module", "forward", "steps", "chunks"]),
        double=st.booleans(),
        keep_gates=st.booleans(),
        seed=st.integers(0, 10_000),
    )


@dataclass(frozen=True)
class Observed:
    """One call; ``inputs`` in the caller's order, ``initial`` is (layers x directions, B, width) twice, or None."""

    module: nn.RNNBase
    call: RecurrentCall
    states: dict[StateKey, Tensor]  # replayed
    inputs: list[Tensor]
    initial: tuple[Tensor, Tensor] | None
    result: Any


def observe(configuration: Configuration) -> Observed:
    torch.manual_seed(configuration.seed)
    torch.set_num_threads(1)
    module = configuration.module()
    lengths = list(configuration.lengths)
    if configuration.packing == "unbatched":
        lengths = lengths[:1]
    elif configuration.packing == "none":
        lengths = lengths[:1] * len(lengths)
    elif configuration.packing == "sorted":
        lengths.sort(reverse=True)
    inputs = [torch.randn(length, D, dtype=configuration.dtype) for length in lengths]
    given_initial, initial = initial_states(module, len(lengths), configuration)
    around = nn.ModuleDict({"inner": module})
    with torch.no_grad(), watched(around, keep_gates=configuration.keep_gates) as seen:
        result = run(module, arranged(inputs, configuration), given_initial, configuration)
    (call,) = stitch(seen.pieces, max(lengths))
    return Observed(module, call, replay(call, EVERYTHING), inputs, initial, result)


def initial_states(module: nn.RNNBase, batch: int, configuration: Configuration) -> tuple[Any, Any]:
    if not configuration.with_initial:
        return None, None
    count = module.num_layers * (2 if module.bidirectional else 1)
    h0 = torch.randn(count, batch, module.proj_size or H, dtype=configuration.dtype)
    c0 = torch.randn(count, batch, H, dtype=configuration.dtype)
    h, c = (h0[:, 0], c0[:, 0]) if configuration.packing == "unbatched" else (h0, c0)
    return ((h, c) if module.mode == "LSTM" else h), (h0, c0)


def run(module: nn.RNNBase, inputs: Any, hx: Any, configuration: Configuration) -> Any:
    """The module's result, whole or in pieces that hand on the state."""
    if configuration.way in ("module", "forward") or isinstance(inputs, PackedSequence) or module.bidirectional:
        return (module.forward if configuration.way == "forward" else module)(inputs, hx)
    time = 1 if inputs.dim() == 3 and module.batch_first else 0
    outputs = []
    for piece in inputs.split(1 if configuration.way == "steps" else 3, dim=time):
        output, hx = module(piece, hx)
        outputs.append(output)
    return torch.cat(outputs, time), hx


def arranged(inputs: list[Tensor], configuration: Configuration) -> Any:
    if configuration.packing == "unbatched":
        return inputs[0]
    padded = nn.utils.rnn.pad_sequence(inputs, batch_first=configuration.batch_first)
    if configuration.packing == "none":
        return padded
    return pack_padded_sequence(
        padded,
        torch.tensor([len(sequence) for sequence in inputs]),
        batch_first=configuration.batch_first,
        enforce_sorted=configuration.packing == "sorted",
    )


def single_layer(module: nn.RNNBase, layer: int, side: int, inputs: int) -> nn.RNNBase:
    """A torch module of one layer and direction with this layer's weights."""
    options: dict[str, Any] = {"nonlinearity": module.mode[4:].lower()} if module.mode.startswith("RNN") else {}
    if module.proj_size:
        options["proj_size"] = module.proj_size
    kind: Any = {"RNN": nn.RNN, "GRU": nn.GRU, "LSTM": nn.LSTM}[module.mode.partition("_")[0]]
    single = kind(inputs, module.hidden_size, bias=module.bias, **options)
    suffix = f"_l{layer}" + "_reverse" * side
    for name, parameter in single.named_parameters():
        parameter.data.copy_(getattr(module, name.removesuffix("_l0") + suffix))
    return single.to(module.weight_ih_l0.dtype)  # type: ignore[no-any-return]


def layerwise(observed: Observed, sequence: int) -> dict[tuple[int, int], Tensor]:
    """States (T, H) of every layer and direction of one sequence, by independent single-layer modules."""
    module = observed.module
    sides = 2 if module.bidirectional else 1
    found: dict[tuple[int, int], Tensor] = {}
    values = observed.inputs[sequence]
    for layer in range(module.num_layers):
        for side in range(sides):
            single = single_layer(module, layer, side, values.shape[1])
            hx: Any = None
            if observed.initial is not None:
                index = layer * sides + side
                h0, c0 = (state[index, sequence][None] for state in observed.initial)
                hx = (h0, c0) if module.mode == "LSTM" else h0
            with torch.no_grad():
                states = single(values.flip(0) if side else values, hx)[0]
            found[layer, side] = states.flip(0) if side else states
        values = torch.cat([found[layer, side] for side in range(sides)], dim=1)
    return found


@settings(max_examples=150, deadline=None, derandomize=True)
@given(configurations())
def test_states_of_every_layer_equal_single_layer_modules(configuration: Configuration) -> None:
    observed = observe(configuration)
    for sequence, values in enumerate(observed.inputs):
        for (layer, side), expected in layerwise(observed, sequence).items():
            key = StateKey("inner", layer, "rev" if side else "fwd", "h")
            found = observed.states[key][sequence, : len(values)]
            torch.testing.assert_close(found, expected, rtol=0, atol=configuration.tolerance)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(configurations())
def test_last_states_and_cells_equal_what_torch_returns(configuration: Configuration) -> None:
    observed = observe(configuration)
    finals = observed.result[1] if observed.module.mode == "LSTM" else (observed.result[1],)
    sides = 2 if observed.module.bidirectional else 1
    for kind, final in zip("hc", finals, strict=False):
        final = final.unsqueeze(1) if configuration.packing == "unbatched" else final
        for index in range(observed.module.num_layers * sides):
            layer, side = divmod(index, sides)
            states = observed.states[StateKey("inner", layer, "rev" if side else "fwd", kind)]
            for sequence, values in enumerate(observed.inputs):
                last = states[sequence, 0 if side else len(values) - 1]
                torch.testing.assert_close(last, final[index, sequence], rtol=0, atol=configuration.tolerance)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(configurations())
def test_gates_reproduce_the_states(configuration: Configuration) -> None:
    observed = observe(configuration)
    module = observed.module
    states = observed.states
    kinds = {"LSTM": set("hcifgo"), "GRU": set("hrzn")}.get(module.mode, {"h"})
    assert {key.kind for key in states} == kinds
    sides = 2 if module.bidirectional else 1
    for key in [key for key in states if key.kind == "h" and len(kinds) > 1]:
        gate = {kind: states[StateKey(key.module, key.layer, key.direction, kind)] for kind in kinds}
        for kind in kinds & set("iforz"):
            real = torch.cat([gate[kind][n, : len(values)] for n, values in enumerate(observed.inputs)])
            assert real.min() >= 0
            assert real.max() <= 1
        index = key.layer * sides + (key.direction == "rev")
        for sequence, values in enumerate(observed.inputs):
            own = {kind: gate[kind][sequence, : len(values)] for kind in kinds}
            own = {kind: value.flip(0) if key.direction == "rev" else value for kind, value in own.items()}
            width = own["h"].shape[1]
            h0 = (
                torch.zeros(width, dtype=configuration.dtype)
                if observed.initial is None
                else observed.initial[0][index, sequence]
            )
            if module.mode == "GRU":
                previous = torch.cat([h0[None], own["h"][:-1]])
                recomputed = (1 - own["z"]) * own["n"] + own["z"] * previous
            else:
                c = (
                    torch.zeros(H, dtype=configuration.dtype)
                    if observed.initial is None
                    else observed.initial[1][index, sequence]
                )
                rows = []
                for step in range(len(values)):
                    c = own["f"][step] * c + own["i"][step] * own["g"][step]
                    rows.append(own["o"][step] * c.tanh())
                recomputed = torch.stack(rows)
                if module.proj_size:
                    suffix = f"_l{key.layer}" + "_reverse" * (key.direction == "rev")
                    recomputed = recomputed @ getattr(module, f"weight_hr{suffix}").detach().t()
            torch.testing.assert_close(recomputed, own["h"], rtol=0, atol=configuration.tolerance)
