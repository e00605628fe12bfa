"""Helpers for trackers and notebooks against the libraries themselves, offline: what they stored is read back."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path

import pytest

import rnnreport
from rnnreport.errors import InputError
from rnnreport.integrations import trackers
from rnnreport.report import render_report, render_summary_markdown
from rnnreport.results.folder import RunFolder


@pytest.fixture
def run(analysed_runs: tuple[Path, Path], tmp_path: Path) -> Path:
    folder = RunFolder(shutil.copytree(analysed_runs[0], tmp_path / "run"))
    (folder.path / "report.html").write_text(render_report(folder), encoding="utf-8")
    (folder.path / "summary.md").write_text(render_summary_markdown(folder), encoding="utf-8")
    return folder.path


def test_numbers_are_those_of_the_summary(run: Path) -> None:
    summary = json.loads((run / "summary.json").read_text())
    found = trackers.numbers(run)
    assert found["rnnreport/accuracy"] == summary["metrics"]["accuracy"]["value"]
    assert found["rnnreport/check/still-units"] == 0
    known = [entry["value"] for entry in summary["metrics"].values()] + [check["value"] for check in summary["checks"]]
    assert len(found) == sum(value is not None for value in known)


def test_tensorboard(run: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path / "board")) as writer:
        trackers.log_tensorboard(writer, run, step=7)
    events = EventAccumulator(str(tmp_path / "board"))
    events.Reload()
    expected = trackers.numbers(run)
    assert set(events.Tags()["scalars"]) == set(expected)
    for name, value in expected.items():
        (event,) = events.Scalars(name)
        assert (event.step, event.value) == (7, pytest.approx(value, rel=1e-6))
    (text,) = events.Tensors("rnnreport/summary/text_summary")
    assert text.tensor_proto.string_val[0].decode().startswith("## first: ")


@pytest.mark.filterwarnings("ignore")  # of the library's own imports
def test_mlflow(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    import mlflow

    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    with mlflow.start_run() as active:
        trackers.log_mlflow(run, step=3)
    stored = mlflow.MlflowClient().get_run(active.info.run_id)
    assert stored.data.metrics == pytest.approx(trackers.numbers(run))
    assert stored.data.tags["rnnreport.verdict"] == RunFolder(run).summary().verdict
    page = Path(mlflow.artifacts.download_artifacts(run_id=active.info.run_id, artifact_path="rnnreport/report.html"))
    assert page.read_bytes() == (run / "report.html").read_bytes()


@pytest.mark.filterwarnings("ignore")  # of the library's own imports
def test_wandb(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_SILENT", "true")
    import wandb

    with pytest.raises(InputError, match=r"wandb\.init"):
        trackers.log_wandb(run)
    with wandb.init(mode="offline", dir=str(tmp_path), project="nets") as active:
        trackers.log_wandb(run)
        stored = dict(active.summary)
    assert stored["rnnreport/verdict"] == RunFolder(run).summary().verdict
    assert stored["rnnreport/accuracy"] == pytest.approx(trackers.numbers(run)["rnnreport/accuracy"])
    (page,) = tmp_path.rglob("media/html/**/*.html")
    assert page.read_bytes() == (run / "report.html").read_bytes()  # nothing was injected


def test_what_is_not_rendered_is_refused(run: Path) -> None:
    (run / "report.html").unlink()
    with pytest.raises(InputError, match=r"rnnreport render"):
        trackers.log_mlflow(run)


def test_a_notebook_shows_the_page_as_it_is(run: Path) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    shown = rnnreport.show(run, height=500)
    frame = re.fullmatch(
        r'<iframe title="first" sandbox="allow-scripts" srcdoc="([^"]*)" style="([^"]*)"></iframe>', shown._repr_html_()
    )
    assert frame and html.unescape(frame[1]) == page and "height: 500px" in frame[2]
    assert repr(shown) == f"<page of first, {len(page):,} characters>"
    (run / "report.html").unlink()
    assert rnnreport.show(run).page == page  # rendered again
