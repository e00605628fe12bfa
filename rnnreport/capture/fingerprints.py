"""Short hashes of a model's weights, by which a comparison sees which of them two runs share."""

from __future__ import annotations

import hashlib

import torch
from torch import nn

_BYTES = 8


def fingerprints(model: nn.Module) -> dict[str, str]:
    """A hash of every tensor of weights, by its name.

    Parameters
    ----------
    model : nn.Module

    Returns
    -------
    dict of str to str
        16 hexadecimal digits each. Tensors of one value (a bias still at 0) are left out: any two models may have them.
    """
    found = {}
    for name, parameter in model.named_parameters():
        values = parameter.detach().cpu().contiguous().flatten()
        if values.numel() > 1 and not bool((values == values[0]).all()):
            found[name] = hashlib.blake2b(values.view(torch.uint8).numpy().tobytes(), digest_size=_BYTES).hexdigest()
    return found
