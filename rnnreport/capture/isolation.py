"""Running a model as if nobody had: mode, buffers, attributes and random generators are put back afterwards."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from rnnreport.errors import InputError


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, eager, without gradients; the model and all random generators are afterwards what they were.

    ``no_grad`` rather than ``inference_mode``: a model that keeps a tensor of the pass for later (a carried state, a
    cache) could not train on with an inference tensor.
    """
    modes = [(module, module.training) for module in model.modules()]
    buffers = [
        (module, name, buffer, None if buffer is None else buffer.detach().clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
    ]
    python_state, numpy_state = random.getstate(), np.random.get_state()
    devices = sorted({parameter.device for parameter in model.parameters() if parameter.is_cuda}, key=str)
    try:
        with torch.random.fork_rng(devices=devices), torch.no_grad(), _uncompiled(), attributes_kept(model):
            model.eval()
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        for module, training in modes:
            module.training = training
        for module, name, buffer, before in buffers:
            _restore_buffer(module, name, buffer, before)


@contextmanager
def attributes_kept(model: nn.Module) -> Iterator[None]:
    """Put back the plain attributes of all modules: a carried state, a counter, weights that a wrapper makes anew.

    What is changed within an attribute, such as a list, stays changed.
    """
    before = [(module.__dict__, dict(module.__dict__)) for module in model.modules()]
    try:
        yield
    finally:
        for attributes, kept in before:
            for name in attributes.keys() - kept.keys():
                del attributes[name]
            attributes.update(kept)


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside ``torch.compile``, ``DataParallel`` and ``DistributedDataParallel``, which shares its weights.

    Raises
    ------
    InputError
        If the model is compiled by TorchScript, or its weights are spread over several processes.
    """
    while True:
        if isinstance(model, (DataParallel, DistributedDataParallel)):
            model = model.module
        elif isinstance(inner := model._modules.get("_orig_mod"), nn.Module):
            model = inner
        else:
            break
    for name, module in model.named_modules():
        kind, where = type(module).__name__, f"{name} in the model" if name else "the model"
        if isinstance(module, torch.jit.ScriptModule):
            raise InputError(
                f"{where} is compiled by TorchScript ({kind}), which hides its states",
                "give the Python module it was made from, with the same weights",
            )
        if kind in _SHARDED:
            raise InputError(
                f"{where} is {kind}: its weights are spread over several processes",
                "gather them into a state dict and load it into the plain model",
            )
    return model


_SHARDED = ("FullyShardedDataParallel", "DeepSpeedEngine", "PipelineStage")


def _uncompiled() -> AbstractContextManager[object]:
    """Parts of the model that torch.compile wrapped run as Python; without one the compiler is not even loaded."""
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()


def _restore_buffer(module: nn.Module, name: str, buffer: Tensor | None, before: Tensor | None) -> None:
    module._buffers[name] = buffer
    if buffer is not None and before is not None and not torch.equal(buffer, before):
        with torch.no_grad():
            buffer.copy_(before)
