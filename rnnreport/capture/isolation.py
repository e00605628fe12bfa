"""Running a model as if nobody had: mode, buffers, attributes and random generators are put back afterwards."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, eager, without gradients and in the precision of the weights, not that of an autocast around.

    The model and all random generators are afterwards what they were.

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
        with (
            torch.random.fork_rng(devices=devices),
            torch.no_grad(),
            torch.autocast("cpu", enabled=False),
            torch.autocast("cuda", enabled=False),
            _uncompiled(),
            attributes_kept(model),
        ):
            model.eval()
            _drop_autocast(model)
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
    tables = [
        table
        for module in model.modules()
        for table in (module.__dict__, module._parameters, module._buffers, module._modules)
    ]
    before = [(table, dict(table)) for table in tables]
    try:
        yield
    finally:
        for table, kept in before:
            for name in table.keys() - kept.keys():
                del table[name]
            table.update(kept)


def _drop_autocast(model: nn.Module) -> None:
    """Take off the autocast that accelerate, and so the Hugging Face Trainer, puts around the forward of a model."""
    for module in model.modules():
        if "_original_forward" in module.__dict__:
            module.__dict__["forward"] = module.__dict__["_original_forward"]


def _uncompiled() -> AbstractContextManager[object]:
    """Parts of the model that torch.compile wrapped run as Python; without one the compiler is not even loaded."""
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()


def _restore_buffer(module: nn.Module, name: str, buffer: Tensor | None, before: Tensor | None) -> None:
    module._buffers[name] = buffer
    if buffer is not None and before is not None and not torch.equal(buffer, before):
        with torch.no_grad():
            buffer.copy_(before)
