"""What every test may use: the real corpora, a Chromium, and one thread per process."""

from __future__ import annotations

import fcntl
import gc
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from rnnreport import progress

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch and NumPy are loaded: the nets of the tests are tiny
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what the tests start would not hear Ctrl-C either

gc.set_threshold(200_000, 20, 20)  # a tenth of the time went into looking through what the libraries hold for good

settings.register_profile("unhurried", deadline=None)  # a machine that is busy with something else is no fault
settings.load_profile("unhurried")

ROOT = Path(__file__).resolve().parent.parent

# Files that take long for how many tests they have. A worker gets whole files: one of these at the end would leave the
# other worker idle, so they come first.
_LONG = (
    "browser/test_real_corpora.py",
    "unit/test_findings_language.py",
    "cli/test_faults.py",
    "cli/test_real_tasks.py",
    "cli/test_readme.py",
    "browser/test_hostile.py",
    "cli/test_scheduler.py",
    "packaging/test_install.py",
    "unit/test_analyses_mmphate_courses.py",
    "unit/test_report_scale.py",
    "unit/test_findings_reviews.py",
    "unit/test_findings_sentiment.py",
    "unit/test_findings_topics.py",
    "unit/test_capture_distributed.py",
    "property/test_capture_configurations.py",
    "cli/test_watch.py",
)
_CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, then those of many tests (with ``--no-loadscope-reorder``, as ``make`` calls it)."""
    places = {ROOT / "tests" / name: place for place, name in enumerate(_LONG)}
    counts = Counter(item.path for item in items)
    items.sort(key=lambda item: (places.get(item.path, len(places)), -counts[item.path], str(item.path)))


def pytest_collection_finish() -> None:
    """What is imported by now stays: it is not looked through for garbage any more."""
    gc.freeze()


def find_chromium() -> str | None:
    """The Chromium of ``RNNREPORT_CHROMIUM``, else one on the path."""
    named = os.environ.get("RNNREPORT_CHROMIUM") or next(filter(None, map(shutil.which, _CHROMIUM_NAMES)), None)
    return named if named and Path(named).exists() else None


def missing(what: str) -> None:
    """Skip a test for lack of something, but not in CI: there nothing is skipped."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"{what}; CI must have it")
    pytest.skip(what)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The real corpora beside the repository."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        missing("the corpora of ../shared/data are not here")
    return folder


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Own copy of a folder of that name. The first worker of a session that asks for it makes it, the others wait."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def made(name: str, make: Callable[[Path], object]) -> Path:
        place, partial = shared / f"shared-{name}", shared / f"shared-{name}.partial"
        with open(shared / f"shared-{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not place.exists():
                shutil.rmtree(partial, ignore_errors=True)  # of a worker that failed
                partial.mkdir()
                make(partial)
                partial.rename(place)
        return Path(shutil.copytree(place, tmp_path_factory.mktemp(name), dirs_exist_ok=True))

    return made


@pytest.fixture(scope="session")
def analysed_runs(made_once) -> tuple[Path, Path]:
    """Two small analysed runs on the same probe set, without pages. Copy before changing."""
    from rnnreport.analyses import analyse
    from tests.fabricate import fabricate_run
    from tests.small import ROUGH

    def make(folder: Path) -> None:
        few = {"epochs": 3, "sequences": 40, "units": 8, "steps": (3, 6)}
        for name, seed, gain in (("first", 0, 1.0), ("second", 1, 0.7)):
            analyse(fabricate_run(folder / name, seed=seed, gain=gain, name=name, **few), params=ROUGH)

    folder = made_once("analysed", make)
    return folder / "first", folder / "second"


@pytest.fixture(scope="session")
def page_files(made_once, analysed_runs) -> dict[str, Path]:
    """The pages of these runs: "report" of the first, "comparison" and "index" of both."""
    from rnnreport.analyses import side_by_side
    from rnnreport.report import IndexEntry, render_comparison, render_index, render_report
    from rnnreport.results.folder import RunFolder

    def make(folder: Path) -> None:
        runs = [RunFolder(path) for path in analysed_runs]
        found = side_by_side(runs)
        entries = [IndexEntry(f"{run.path.name}/report.html", run.summary()) for run in runs]
        for name, page in (
            ("report", render_report(runs[0])),
            ("comparison", render_comparison(runs, found.comparison, found)),
            ("index", render_index(entries, comparison="compare.html")),
        ):
            (folder / f"{name}.html").write_text(page, encoding="utf-8")

    folder = made_once("pages", make)
    return {name: folder / f"{name}.html" for name in ("report", "comparison", "index")}


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium; `make test` installs one where there is none."""
    found = find_chromium()
    if not found:
        missing(f"no Chromium ({', '.join(_CHROMIUM_NAMES)}): set RNNREPORT_CHROMIUM")
    return str(found)


@pytest.fixture(scope="session")
def chromium_flags() -> list[str]:
    """Launch flags of a browser that is quiet and works without a display."""
    return list(CHROMIUM_FLAGS)


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """A test that asks for quiet does not silence those after it."""
    yield
    progress.silence(False)
