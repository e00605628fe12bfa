"""The versions that results depend on."""

from __future__ import annotations

import importlib.metadata

_PACKAGES = ("bokeh", "numpy", "openTSNE", "phate", "rnnreport", "scikit-learn", "scipy", "torch")


def installed() -> dict[str, str]:
    """Package to version, of those that there are."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
