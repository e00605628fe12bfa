"""Independent parts of the work, one after the other here, or as tasks of a Dask cluster; with the same results.

Whoever has such parts writes them as a function of what all share and of one item, and is given a ``Spread``. A cluster
is only spoken to where its address was given. Its workers need rnnreport in the same versions, the same kind of
machine, and the files of the command under the same paths; what they lack is found before a task begins.
"""

from __future__ import annotations

import pickle
import platform
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import chdir, contextmanager
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

from rnnreport.errors import InputError, RnnReportError
from rnnreport.versions import installed

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Result = TypeVar("Result")
_ANSWERS_WITHIN_S = 20
_RETRIES = 3  # of a task whose worker died
_AHEAD = 3  # tasks handed out for each thread of the cluster, so that results which nobody took do not pile up there
_SAME_EVERYWHERE = "workers need the same packages, and the files of the command under the same paths"
_one_at_a_time = threading.Lock()  # what the tasks of a worker share, a model for example, is not made for threads


class Spread(Protocol):
    """Yields ``function(shared, item)`` for each item, in their order."""

    def __call__(
        self, function: Callable[[Shared, Item], Result], shared: Shared, items: Iterable[Item]
    ) -> Iterator[Result]:
        """Begin with the first when it is asked for, or with some at once."""


def one_by_one(function: Callable[[Shared, Item], Result], shared: Shared, items: Iterable[Item]) -> Iterator[Result]:
    """The plain loop, in this process."""
    return (function(shared, item) for item in items)


@contextmanager
def spreading(scheduler: str | None) -> Iterator[Spread]:
    """The plain loop, or where an address is given the cluster of the scheduler there.

    Parameters
    ----------
    scheduler : str, optional
        As "tcp://10.0.0.5:8786".

    Raises
    ------
    InputError
        If Dask is not installed.
    RnnReportError
        If nothing answers at the address, or it has no workers.
    """
    if scheduler is None:
        yield one_by_one
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError("--scheduler needs Dask, which is not installed", "pip install 'rnnreport[dask]'") from error
    try:
        client: Any = Client(scheduler, timeout=_ANSWERS_WITHIN_S, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TypeError) as error:
        raise RnnReportError(
            f"no scheduler answers at {scheduler}: {error}", "start one with `dask scheduler`, or leave out --scheduler"
        ) from error
    with client:
        if not client.scheduler_info(n_workers=-1)["workers"]:
            raise RnnReportError(
                f"the scheduler at {scheduler} has no workers", f"start some with `dask worker {scheduler}`"
            )

        def spread(
            function: Callable[[Shared, Item], Result], shared: Shared, items: Iterable[Item]
        ) -> Iterator[Result]:
            return _over(client, function, shared, items)

        yield spread


def _over(
    client: Any, function: Callable[[Shared, Item], Result], shared: Shared, items: Iterable[Item]
) -> Iterator[Result]:
    import cloudpickle
    from distributed import KilledWorker

    packed = cloudpickle.dumps((function, shared))
    sent = client.scatter(packed, broadcast=True, hash=False)  # each has it, so that none takes it away when it dies
    here = (str(Path.cwd()), _versions())
    left, futures = iter(items), deque[Any]()
    try:
        while True:
            room = _AHEAD * max(1, sum(client.nthreads().values())) - len(futures)
            for item in islice(left, max(0, room)):
                futures.append(client.submit(_at_worker, here, sent, item, pure=False, retries=_RETRIES))
            if not futures:
                return
            yield futures.popleft().result()
    except KilledWorker as error:
        raise RnnReportError(
            f"workers of the cluster died: {error}", "see their logs; memory is a usual cause"
        ) from error
    except FileNotFoundError as error:
        raise InputError(f"a worker does not find {error.filename}", _SAME_EVERYWHERE) from error
    except ImportError as error:
        raise InputError(f"a worker lacks a module: {error}", _SAME_EVERYWHERE) from error
    finally:
        client.cancel(list(futures))


def _at_worker(there: tuple[str, dict[str, str]], packed: bytes, item: Any) -> Any:
    """One task. The working directory of the command is importable, as it is there."""
    folder, versions = there
    _refuse_other(folder, versions)
    with _one_at_a_time, chdir(folder):
        if folder not in sys.path:
            sys.path.insert(0, folder)
        function, shared = _unpacked(packed)
        return function(shared, item)


def _refuse_other(folder: str, versions: dict[str, str]) -> None:
    """Raise unless this worker is like the machine of the command.

    Raises
    ------
    InputError
        Says which worker it is and what it lacks.
    """
    from distributed import get_worker

    own = _versions()
    differing = [
        f"{name} {own.get(name, '(none)')}, not {version}"
        for name, version in versions.items()
        if own.get(name) != version
    ]
    address = get_worker().address
    if differing:
        raise InputError(f"the worker {address} has {'; '.join(differing)}", _SAME_EVERYWHERE)
    if not Path(folder).is_dir():
        raise InputError(f"the worker {address} does not find {folder}", _SAME_EVERYWHERE)


def _versions() -> dict[str, str]:
    return {"Python": platform.python_version()} | installed()


@lru_cache(maxsize=1)
def _unpacked(packed: bytes) -> Any:
    return pickle.loads(packed)
