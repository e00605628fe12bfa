"""The model inside what others put around it, or why there is none that can be watched."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from rnnreport.errors import InputError

_SHARDED = ("FullyShardedDataParallel", "DeepSpeedEngine", "PipelineStage")


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside ``torch.compile``, ``DataParallel`` and ``DistributedDataParallel``, which shares its weights.

    Raises
    ------
    InputError
        If a part of the model is compiled by TorchScript, quantised, or spread over several devices or processes.
    """
    while True:
        if isinstance(model, (DataParallel, DistributedDataParallel)):
            model = model.module
        elif isinstance(inner := model._modules.get("_orig_mod"), nn.Module):
            model = inner
        else:
            break
    refuse_hidden(model)
    return model


def refuse_hidden(model: nn.Module) -> None:
    """Raise where the model's operations or weights cannot be seen; takes no step and talks to no other process.

    Raises
    ------
    InputError
        See ``unwrapped``.
    """
    for name, module in model.named_modules():
        _refuse_hidden(module, f"{name} in the model" if name else "the model")


def _refuse_hidden(module: nn.Module, where: str) -> None:
    kind = type(module).__name__
    if isinstance(module, torch.jit.ScriptModule):
        raise InputError(
            f"{where} is compiled by TorchScript ({kind}), which hides its states",
            "give the Python module it was made from, with the same weights",
        )
    if ".quantized." in type(module).__module__ and ("LSTM" in kind or "GRU" in kind or "RNN" in kind):
        raise InputError(
            f"{where} is a quantised {kind}, whose operations hide its states",
            "give the model as it was before quantisation",
        )
    if isinstance(module, DataParallel) and len(module.device_ids) > 1:
        raise InputError(
            f"{where} is copied to several devices by DataParallel",
            "put DataParallel around the whole model, or leave it out",
        )
    # FSDP marks every module below it, also those whose weights it took away into a flat one
    sharded = kind in _SHARDED or "_is_fsdp_managed_module" in module.__dict__
    if sharded or any(type(parameter).__name__ == "DTensor" for parameter in module._parameters.values()):
        raise InputError(
            f"{where} ({kind}) has weights that are spread over several processes",
            "gather them into a state dict and load it into the plain model",
        )
