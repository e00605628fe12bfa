"""Gates of an LSTM out of torch's own pass.

On a CPU torch runs an LSTM by oneDNN, which for training keeps the gates of every step in a workspace for the backward
pass. They stand first in it: a row i, f, g, o for each step and sequence. To read them there costs next to nothing,
while to compute them anew from the states costs as much as the pass. The layout is not documented, so nothing is taken
on trust: states and cells are computed from what was read, and unless they are those that torch gave, it is not used.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rnnreport.capture.recurrent import Weights

_MOST_BYTES = 2**28  # of a workspace; longer sequences are run in parts
_BYTES_PER_UNIT = 64  # of the workspace, for each step and sequence: four gates and what else the backward pass needs
_TOLERANCE = 1e-6
_LSTM = 2  # torch's number of the mode


@dataclass(frozen=True)
class LayerPass:
    """One layer and direction of an LSTM as torch ran it.

    Attributes
    ----------
    h : Tensor (T, B, H)
    c : Tensor (T, B, H), computed from the gates
    gates : Tensor (T, B, 4 H): i, f, g, o
    final : h_n and c_n, each (B, H)
    """

    h: Tensor
    c: Tensor
    gates: Tensor
    final: tuple[Tensor, Tensor]

    def holds(self) -> bool:
        """Whether the states and last cells that follow from the gates are torch's own."""
        units = self.h.shape[2]
        shown = self.c.tanh().mul_(self.gates[..., -units:]).sub_(self.h).abs_().max()
        last = ((self.c[-1] - self.final[1]).abs() / (1 + self.final[1].abs())).max()
        # the cells are the same where i and g have changed places, but g has either sign
        return bool(shown <= _TOLERANCE) and bool(last <= _TOLERANCE) and bool((self.gates[0, :, :units] >= 0).all())


def has_workspace(inputs: Tensor, weights: Weights, states: tuple[Tensor, ...]) -> bool:
    """Whether torch runs this layer of an LSTM by oneDNN here and the workspace can be asked for."""
    tensors = (inputs, *weights.flat(), *states)
    return (
        weights.projection is None
        and hasattr(torch, "mkldnn_rnn_layer")
        and torch._C._has_mkldnn
        and torch._C._get_mkldnn_enabled()
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and inputs.numel() > 0
        and all(t.is_contiguous() for t in weights.flat())
        and all(t.dtype == torch.float32 and t.device.type == "cpu" and not t.is_inference() for t in tensors)
    )


def run_layer(inputs: Tensor, weights: Weights, hidden: Tensor, cell: Tensor) -> LayerPass | None:
    """Run one layer in one direction by torch's own operation.

    Parameters
    ----------
    inputs : Tensor (T, B, D)
    weights : Weights
    hidden, cell : Tensor (B, H), the state before the first step

    Returns
    -------
    LayerPass, or None where the workspace is laid out in another way
    """
    parts = []
    state = (hidden.contiguous(), cell.contiguous())
    for part in torch.split(inputs.contiguous(), max(1, _MOST_BYTES // (_BYTES_PER_UNIT * hidden.numel()))):
        found = _run_part(part, weights, state)
        if found is None:
            return None
        parts.append(found)
        state = found.final
    if len(parts) == 1:
        return parts[0]
    h, c, gates = (torch.cat(values) for values in zip(*((part.h, part.c, part.gates) for part in parts), strict=True))
    return LayerPass(h, c, gates, state)


def _run_part(inputs: Tensor, weights: Weights, state: tuple[Tensor, Tensor]) -> LayerPass | None:
    units = state[0].shape[1]
    input_bias, hidden_bias = (
        weights.input.new_zeros(4 * units) if bias is None else bias
        for bias in (weights.input_bias, weights.hidden_bias)
    )
    with torch.enable_grad():  # torch asks oneDNN for the workspace only where there may be a backward pass
        results = torch.mkldnn_rnn_layer(
            inputs.detach().requires_grad_(),
            weights.input,
            weights.hidden,
            input_bias,
            hidden_bias,
            *state,
            reverse=False,
            batch_sizes=[],
            mode=_LSTM,
            hidden_size=units,
            num_layers=1,
            has_biases=True,
            bidirectional=False,
            batch_first=False,
            train=True,
        )
    h, h_n, c_n, workspace = (result.detach() for result in results)
    gates = _read(workspace, *h.shape)
    if gates is None:
        return None
    found = LayerPass(h, scan(gates, state[1]), gates, (h_n.view_as(state[0]), c_n.view_as(state[1])))
    return found if found.holds() else None


def _read(workspace: Tensor, steps: int, batch: int, units: int) -> Tensor | None:
    """Gates (T, B, 4 H) of the workspace, a view of it."""
    row = _row_of(4 * units)
    if workspace.numel() < 4 * steps * batch * row:
        return None
    flat = workspace[: 4 * steps * batch * row].view(torch.float32)
    return flat.view(steps, batch, row)[..., : 4 * units]


def _row_of(width: int) -> int:
    """Length of a row in oneDNN's memory: whole cache lines, but never a multiple of 256 numbers."""
    row = -(-width // 16) * 16
    return row + 16 if row % 256 == 0 else row


def scan(gates: Tensor, cell: Tensor) -> Tensor:
    """Cells (T, B, H) of an LSTM from its gates i, f, g (and what follows them) and the cell before the first step."""
    units = cell.shape[-1]
    i, f, g = (gates[..., start : start + units] for start in (0, units, 2 * units))
    cells = i * g
    current = cell
    for step, forget in zip(cells.unbind(0), f.unbind(0), strict=True):
        current = step.addcmul_(forget, current)
    return cells
