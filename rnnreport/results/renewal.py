"""Results made anew beside the old ones, which they replace all together.

While they are made they lie in ``RUN/.analysis.partial``. It becomes ``RUN/.analysis`` when everything is there: from
then on they count, and whoever writes next moves what a killed process has not moved yet.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rnnreport.results.folder import RunFolder
from rnnreport.results.locks import locked

_PARTS = ("results", "summary.json", "provenance.json")


@contextmanager
def renewed(folder: RunFolder) -> Iterator[RunFolder]:
    """Give a view of a run folder in which results, summary and provenance are written; they count when the block ends.

    If the block fails the old ones stay. What is recorded may grow meanwhile.

    Parameters
    ----------
    folder : RunFolder

    Raises
    ------
    InUseError
        If another process makes or reads the results of this folder.
    """
    with locked(folder.path):
        settle(folder.path)
        making = folder.path / ".analysis.partial"
        shutil.rmtree(making, ignore_errors=True)
        try:
            (making / "results").mkdir(parents=True)
            yield RunFolder(folder.path, making)
            making.rename(_ready(folder.path))
        finally:
            shutil.rmtree(making, ignore_errors=True)
            settle(folder.path)


def unsettled(run: Path) -> bool:
    """Whether a process was killed while it moved new results to their place."""
    return _ready(run).is_dir()


def settle(run: Path) -> None:
    """Finish that move; the folder must be locked."""
    ready = _ready(run)
    if not ready.is_dir():
        return
    replaced = ready / "replaced"
    for name in _PARTS:
        new, place = ready / name, run / name
        if new.is_dir():
            shutil.rmtree(replaced, ignore_errors=True)
            if os.path.lexists(place):
                place.rename(replaced)
            new.rename(place)
        elif new.exists():
            os.replace(new, place)
    shutil.rmtree(ready, ignore_errors=True)


def _ready(run: Path) -> Path:
    return run / ".analysis"
