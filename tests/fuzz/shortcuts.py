"""What is computed again with every change though no change is in it, taken from the last time: for ``unfit.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from rnnreport.analyses import pipeline, units
from rnnreport.analyses.reuse import Reuse
from rnnreport.report import page

_FIGURES: dict[str, Any] = {}
_KNOWN = Reuse()


@contextmanager
def with_old_figures() -> Iterator[None]:
    """Pages with the empty Bokeh figures of the first page of that run, to make which takes most of the time."""

    def first(run: Any, curves: Any) -> Any:
        name = run.manifest.name
        if name not in _FIGURES:
            _FIGURES[name] = make(run, curves)
        return _FIGURES[name]

    make = page._report_figures
    known = mock.patch.object(page, "_report_figures", first)
    with known, mock.patch.object(page, "plot_item", return_value={}):
        yield


@contextmanager
def with_known_layouts() -> Iterator[None]:
    """Clusters and maps of what was clustered or laid out before are those of then."""
    with ExitStack() as patched:
        for module, name in ((pipeline, "project"), (units, "cocluster")):
            patched.enter_context(mock.patch.object(module, name, _known(getattr(module, name))))
        yield


def _known(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given: _KNOWN(function, *given)
