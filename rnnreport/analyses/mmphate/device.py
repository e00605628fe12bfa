"""Where the dense linear algebra of MM-PHATE runs: on the CPU, or on a CUDA device where there is one.

The functions that do it are written against the Python array API standard, so that they take NumPy arrays and torch
tensors alike. This is the only module of the analyses that may import torch, and only where a CUDA driver is installed.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = Any  # a NumPy array, or a torch tensor on the device

_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


@dataclass(frozen=True)
class Device:
    """``name`` for the reader; ``torch``, what torch calls the device, "" for NumPy."""

    name: str = "CPU"
    torch: str = ""

    @property
    def at_a_time(self) -> int:
        """Distances to hold at a time: on the CPU so few that they stay in its cache."""
        return 2**24 if self.torch else 2**17

    def put(self, values: NDArray[Any]) -> Array:
        """The values as an array of the device; on the CPU the same object."""
        if not self.torch:
            return values
        import torch

        return torch.tensor(values, device=self.torch)

    @contextmanager
    def full_precision(self) -> Iterator[None]:
        """Products in single precision round to it, also where a program has allowed less (TF32)."""
        if not self.torch:
            yield
            return
        import torch

        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)


CPU = Device()


@lru_cache(maxsize=1)
def best_device() -> Device:
    """The CUDA device where torch can use one, else the CPU. ``CUDA_VISIBLE_DEVICES=`` keeps everything on the CPU."""
    try:
        ctypes.CDLL(_DRIVER)  # without a driver torch, which takes seconds to import, could not use a device either
        import torch
    except (OSError, ImportError):
        return CPU
    return Device(f"CUDA, {torch.cuda.get_device_name()}", "cuda") if torch.cuda.is_available() else CPU


def fetched(values: Array) -> NDArray[Any]:
    """The values as a NumPy array."""
    return values if isinstance(values, np.ndarray) else np.asarray(values.cpu().numpy())


def smallest(values: Array, place: int) -> Array:
    """The value at a place of every row, were the row sorted: the standard has no way without sorting."""
    if isinstance(values, np.ndarray):
        return np.partition(values, place, axis=-1)[..., place]
    return values.kthvalue(place + 1, dim=-1).values
