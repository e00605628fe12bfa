"""rnnreport: one self-contained HTML report of a recurrent network's hidden states.

The names below are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnreport.analyses import analyse, compare
    from rnnreport.capture.probe import make_probe
    from rnnreport.capture.recorder import Recorder
    from rnnreport.errors import InputError, RecordingWarning, RnnReportError
    from rnnreport.integrations.notebook import show
    from rnnreport.load.corpus import load_corpus
    from rnnreport.report import render_comparison, render_report
    from rnnreport.results.folder import RunFolder

__version__ = "0.1.0"

__all__ = [
    "InputError",
    "Recorder",
    "RecordingWarning",
    "RnnReportError",
    "RunFolder",
    "__version__",
    "analyse",
    "compare",
    "load_corpus",
    "make_probe",
    "render_comparison",
    "render_report",
    "show",
]

_HOMES = {
    "InputError": "rnnreport.errors",
    "Recorder": "rnnreport.capture.recorder",
    "RecordingWarning": "rnnreport.errors",
    "RnnReportError": "rnnreport.errors",
    "RunFolder": "rnnreport.results.folder",
    "analyse": "rnnreport.analyses",
    "compare": "rnnreport.analyses",
    "load_corpus": "rnnreport.load.corpus",
    "make_probe": "rnnreport.capture.probe",
    "render_comparison": "rnnreport.report",
    "render_report": "rnnreport.report",
    "show": "rnnreport.integrations.notebook",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
