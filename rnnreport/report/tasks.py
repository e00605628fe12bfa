"""What a page shows of each task: the one place that knows, besides its twin for the scripts, ``assets/tasks.js``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from rnnreport.results.recorded import Task

# What the answers are: one of several classes, several labels at once, quantities, the next token, or nothing.
Kind = Literal["classes", "labels", "quantities", "tokens", "nothing"]


@dataclass(frozen=True)
class TaskView:
    """How the page speaks of a task.

    Attributes
    ----------
    title : str, the task in words
    kind : Kind
    steps_title, steps_label : str, heading and text alternative of the figure of expected predictions
    loss_label : str, y-axis of the loss curves
    reading_label : str, y-axis of the curves of one sequence read by several runs
    reading_guide : str, how to read the coloured text of the comparison page
    answers : tuple of str, heads of the columns that say in words what is right and what was predicted
    chosen : str, what is chosen among the outputs ("label", "quantity"); "" where nothing is
    metric_names : dict, metrics that mean something else than ``METRIC_NAMES`` says
    """

    title: str
    kind: Kind
    steps_title: str = ""
    steps_label: str = ""
    loss_label: str = "loss, nats"
    reading_label: str = ""
    reading_guide: str = ""
    answers: tuple[str, ...] = ()
    chosen: str = ""
    metric_names: Mapping[str, str] = field(default_factory=dict)


_PARTING = "Where the runs part is where they differ."
_EXPECTED = "Expected prediction after each step"
_OWN = "Prediction at each step"
_OF_CLASSES = "Probability of every class after each step of the selected sequence"

TASKS: dict[Task, TaskView] = {
    "classification": TaskView(
        "classification",
        "classes",
        _EXPECTED,
        _OF_CLASSES,
        reading_label="probability of the true class",
        reading_guide="Every run reads the same steps. Colours: the class the run would choose if the sequence ended "
        f"there; the number is its probability. {_PARTING}",
        answers=("true", "predicted"),
    ),
    "tagging": TaskView(
        "tagging",
        "classes",
        _OWN,
        "Probability of every tag at each step of the selected sequence",
        answers=("tags right",),
        reading_label="probability of the true tag",
        reading_guide="Every run reads the same steps. Colours: the tag the run gives the step; the stronger, the more "
        f"certain. {_PARTING}",
    ),
    "multi-label": TaskView(
        "multi-label classification",
        "labels",
        _EXPECTED,
        "Probability of every label after each step of the selected sequence",
        reading_label="probability of the chosen label",
        reading_guide="Every run reads the same steps. Colours: the probability of the chosen label if the sequence "
        f"ended there. The labels do not exclude each other, so their probabilities do not add up to 1. {_PARTING}",
        answers=("true", "predicted"),
        chosen="label",
        metric_names={
            "cross_entropy": "cross entropy per label",
            "majority_share": "share of the most frequent set of labels",
        },
    ),
    "regression": TaskView(
        "regression",
        "quantities",
        _EXPECTED,
        "Expected quantity after each step of the selected sequence, and the target",
        loss_label="loss",
        reading_label="expected quantity",
        reading_guide="Every run reads the same steps. Colours: the quantity the run would predict if the sequence "
        f"ended there. {_PARTING}",
        answers=("target", "predicted"),
        chosen="quantity",
    ),
    "step-regression": TaskView(
        "regression at each step",
        "quantities",
        _OWN,
        "Predicted quantity at each step of the selected sequence, and the target",
        loss_label="loss",
        reading_label="predicted quantity",
        reading_guide=f"Every run reads the same steps. Colours: the quantity the run predicts there. {_PARTING}",
        answers=("root mean square error",),
        chosen="quantity",
    ),
    "language-model": TaskView(
        "language model",
        "tokens",
        reading_guide="Every run reads the same steps. Colours: the surprisal of the token that came next; the "
        f"stronger, the more surprised. {_PARTING}",
    ),
    "unlabelled": TaskView(
        "unlabelled", "nothing", reading_guide="Every run reads the same steps; none predicts anything."
    ),
}

SHARES = ("accuracy", "exact_match", "micro_f1", "majority_share")  # metrics that are written as percentages
METRIC_NAMES = {
    "majority_share": "share of the most frequent class",
    "exact_match": "exact match (all labels right)",
    "micro_f1": "micro F1 (over all labels)",
    "rmse": "RMSE (root mean square error)",
    "mae": "MAE (mean size of the error)",
    "r2": "R² (share of variance explained)",
    "mean_rmse": "RMSE of always predicting the mean",
}


def metric_name(name: str, task: Task | None = None) -> str:
    """A metric in words.

    Parameters
    ----------
    name : str, as in ``Performance.metrics``
    task : Task, optional; where runs of several tasks share a table there is none
    """
    own = TASKS[task].metric_names if task else {}
    return own.get(name) or METRIC_NAMES.get(name) or name.replace("_", " ")


def quantity_name(name: str, task: Task | None = None) -> str:
    """A metric in words, with its unit where it has one.

    Parameters
    ----------
    name, task : as in ``metric_name``
    """
    unit = metric_unit(name)
    return metric_name(name, task) + (f", {unit}" if unit else "")


def metric_unit(name: str) -> str:
    """The unit of a metric, "" where it has none."""
    return "nats" if name == "cross_entropy" else ""
