"""A finished run in an experiment tracker: its numbers, its verdict, and the page where the tracker can show one.

Each function imports the library it is for.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnreport.errors import InputError
from rnnreport.results.folder import RunFolder

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_PREFIX = "rnnreport/"


def numbers(run: str | os.PathLike[str]) -> dict[str, float]:
    """Every metric, and the value of every check, that a tracker can draw.

    Parameters
    ----------
    run : path of an analysed run

    Returns
    -------
    dict
        Names like ``rnnreport/accuracy`` and ``rnnreport/check/still-units``.
    """
    summary = RunFolder.open(Path(run)).summary()
    found = {_PREFIX + name: entry["value"] for name, entry in summary.metrics.items()}
    found |= {f"{_PREFIX}check/{check.id}": check.value for check in summary.checks}
    return {name: float(value) for name, value in found.items() if value is not None}


def log_tensorboard(writer: SummaryWriter, run: str | os.PathLike[str], step: int | None = None) -> None:
    """Write numbers and the summary to TensorBoard, which shows no pages.

    Parameters
    ----------
    writer : torch.utils.tensorboard.SummaryWriter
    run : path of an analysed and rendered run
    step : int, optional
    """
    for name, value in numbers(run).items():
        writer.add_scalar(name, value, step)
    text = _rendered(run, "summary.md").read_text(encoding="utf-8")
    writer.add_text(f"{_PREFIX}summary", text.partition("\n")[2], step)


def log_mlflow(run: str | os.PathLike[str], step: int | None = None) -> None:
    """Log numbers, verdict, page and summary to MLflow's active run, which shows the page among its artifacts.

    Parameters
    ----------
    run : path of an analysed and rendered run
    step : int, optional
    """
    import mlflow

    page, folder = _rendered(run, "report.html"), Path(run)
    mlflow.log_metrics(numbers(run), step=step)
    mlflow.set_tag("rnnreport.verdict", RunFolder.open(folder).summary().verdict)
    for path in (page, folder / "summary.md", folder / "summary.json"):
        mlflow.log_artifact(str(path), artifact_path="rnnreport")


def log_wandb(run: str | os.PathLike[str], to: Any = None) -> None:
    """Log numbers, verdict and page to Weights & Biases, which shows the page as a panel.

    Parameters
    ----------
    run : path of an analysed and rendered run
    to : wandb.Run, optional
        The active one where it is not given.
    """
    import wandb

    to = to or wandb.run
    if to is None:
        raise InputError("no run of Weights & Biases is active", "call wandb.init first")
    # what W&B would inject is a style sheet of its own, which the page's policy and looks have no use for
    page = wandb.Html(str(_rendered(run, "report.html")), inject=False)
    to.log({**numbers(run), f"{_PREFIX}report": page})
    to.summary[f"{_PREFIX}verdict"] = RunFolder.open(Path(run)).summary().verdict


def _rendered(run: str | os.PathLike[str], name: str) -> Path:
    path = Path(run) / name
    if not path.is_file():
        raise InputError(f"{path} is missing", f"make it with `rnnreport render {run}`")
    return path
