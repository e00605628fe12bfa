"""The few plain sentences at the head of the report, each with its numbers, its n and the figure that shows it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from rnnreport.analyses.quantities import r2_in_words, r_squared
from rnnreport.analyses.rules.evidence import Evidence, loss_curve
from rnnreport.analyses.scores import Errors, score
from rnnreport.results.naming import input_noun
from rnnreport.results.recorded import StateKey
from rnnreport.results.schema import Unavailable, Units, Words
from rnnreport.results.schema.machine import FAITHFUL

MOST_FINDINGS = 5
_FEWEST_OCCURRENCES = 10  # below this a mean response says little


def quality(evidence: Evidence) -> tuple[str, str] | None:
    """The headline metric with its interval."""
    metrics = evidence.performance.metrics
    if "perplexity" in metrics:
        found = metrics["perplexity"]
        interval = _interval(found, "{:,.1f}")
        return f"Perplexity is {found['value']:,.1f}{interval} over {found['n']:,} predicted tokens.", "overview"
    if "rmse" in metrics:
        return _quality_of_quantities(evidence), "overview"
    if "exact_match" in metrics:
        return _quality_of_labels(evidence), "overview"
    if not {"accuracy", "majority_share"} <= metrics.keys():  # a language model without a finite perplexity
        return None
    found, what = metrics["accuracy"], "steps" if evidence.probe.task == "tagging" else "sequences"
    majority = metrics["majority_share"]["value"]
    return (
        f"Accuracy is {found['value']:.1%}{_interval(found, '{:.1%}')} on {found['n']:,} {what}; always naming the "
        f"most frequent class would reach {majority:.1%}."
    ), "overview"


def _quality_of_labels(evidence: Evidence) -> str:
    metrics = evidence.performance.metrics
    found, f1 = metrics["exact_match"], metrics.get("micro_f1")
    labels = f"; over single labels F1 is {f1['value']:.1%}" if f1 else ""
    return (
        f"All labels are right in {found['value']:.1%}{_interval(found, '{:.1%}')} of {found['n']:,} sequences"
        f"{labels}. Always naming the most frequent set would be right in {metrics['majority_share']['value']:.1%}."
    )


def _quality_of_quantities(evidence: Evidence) -> str:
    metrics = evidence.performance.metrics
    found, explained = metrics["rmse"], metrics.get("r2")
    what = "steps" if evidence.probe.task == "step-regression" else "sequences"
    share = f" (R² {r2_in_words(explained['value'])})" if explained else ""
    return (
        f"The root mean square error is {found['value']:.4g}{_interval(found, '{:.4g}')} on {found['n']:,} {what}; "
        f"that of always predicting the mean is {metrics['mean_rmse']['value']:.4g}{share}."
    )


def confusion(evidence: Evidence) -> tuple[str, str] | None:
    """The pair of classes that is mistaken most often."""
    table = evidence.performance.confusion
    if not table.size or evidence.performance.metrics.get("accuracy", {}).get("value") == 1:
        return None
    errors = table.copy()
    np.fill_diagonal(errors, 0)
    if not errors.any():
        return None
    actual, predicted = np.unravel_index(errors.argmax(), errors.shape)
    names = evidence.performance.class_names
    return (
        f"The most frequent mistake is {_quoted(names[actual])} read as {_quoted(names[predicted])}: "
        f"{errors[actual, predicted]:,} of {table[actual].sum():,}, of {errors.sum():,} mistakes in all."
    ), "overview"


def worst_label(evidence: Evidence) -> tuple[str, str] | None:
    """The label with the most mistakes."""
    counts = evidence.performance.label_counts
    mistakes = counts[:, 1] + counts[:, 2]
    if not mistakes.any():
        return None
    worst = int(mistakes.argmax())
    right, wrong, missed, absent = (int(number) for number in counts[worst])
    return (
        f"The label with the most mistakes is {_quoted(evidence.performance.class_names[worst])}: missed in {missed:,} "
        f"of the {right + missed:,} sequences that have it, given to {wrong:,} of the {wrong + absent:,} that do not."
    ), "overview"


def worst_quantity(evidence: Evidence) -> tuple[str, str] | None:
    """The quantities predicted worst and best, each against its own mean."""
    errors = score(evidence.probe, evidence.last)
    if not isinstance(errors, Errors):
        return None
    explained, names = r_squared(errors), evidence.performance.class_names
    known = np.flatnonzero(np.isfinite(explained))
    if known.size < 2:
        return None
    worst, best = known[explained[known].argmin()], known[explained[known].argmax()]
    return (
        f"Of {known.size} quantities {_quoted(names[worst])} is predicted worst (R² {r2_in_words(explained[worst])}) "
        f"and {_quoted(names[best])} best ({r2_in_words(explained[best])}), each against its own mean."
    ), "overview"


def moving_words(evidence: Evidence) -> tuple[str, str] | None:
    """The words, characters or prototypes that move the state most."""
    units = evidence.units.get(evidence.manifest.state_keys[0])
    words = evidence.words
    if not isinstance(units, Units) or not isinstance(words, Words):
        return None
    size = np.linalg.norm(units.response.astype(np.float64), axis=1)
    eligible = np.flatnonzero(words.counts >= _FEWEST_OCCURRENCES)
    top = eligible[np.argsort(-size[eligible], kind="stable")][:3]
    if top.size < 3:
        return None
    named = ", ".join(f"{_quoted(words.names[word])} ({size[word]:.2f}, n = {words.counts[word]:,})" for word in top)
    median = float(np.median(size[eligible]))
    state = StateKey.parse(units.scope).title
    return (
        f"The {input_noun(evidence.probe.vocabulary)}s that move the state most ({state}) are {named}; the median of "
        f"the {eligible.size} that occur at least {_FEWEST_OCCURRENCES} times is {median:.2f}."
    ), "units"


def automaton(evidence: Evidence) -> tuple[str, str] | None:
    """That a small state machine says nearly all that the network says, where it does."""
    found = evidence.machine
    if isinstance(found, Unavailable) or not found.stable:
        return None
    matters = found.fidelity[1] >= FAITHFUL and found.baseline < found.fidelity[1]
    return (found.finding, "machine") if matters else None


def decision_time(evidence: Evidence) -> tuple[str, str] | None:
    """When the prediction of a sequence stops changing."""
    found = evidence.decisions
    if isinstance(found, Unavailable):
        return None
    what = "set of labels" if evidence.probe.task == "multi-label" else "prediction"
    value, low, high = found.halfway[0]
    interval = f"95% interval {low:.0%} to {high:.0%}, " if np.isfinite(low) else ""
    wrong = ""
    if "wrong" in found.groups and "right" in found.groups:
        place = found.groups.index("wrong")
        wrong = f"; of the {found.sizes[place]:,} read wrongly, half are decided after {found.halfway[place, 0]:.0%}"
    return (
        f"Half of the sequences are decided after {value:.0%} of their steps ({interval}n = {found.sizes[0]:,}): from "
        f"there the {what} does not change any more{wrong}."
    ), "sequences"


def carrying_units(evidence: Evidence) -> tuple[str, str] | None:
    """How many units carry the answers."""
    found = evidence.importance
    if isinstance(found, Unavailable) or np.isnan(found.enough[0]):
        return None
    return found.finding, "causes"


def points_of_rest(evidence: Evidence) -> tuple[str, str] | None:
    """Where the state would stay if nothing new came in."""
    found = evidence.fixed_points
    return None if isinstance(found, Unavailable) or not found.owners.size else (found.finding, "machine")


def retention(evidence: Evidence) -> tuple[str, str] | None:
    """How much of the state survives a step; for an LSTM the hidden state against the cell."""
    known = {key: units for key, units in evidence.units.items() if isinstance(units, Units)}
    default = StateKey.parse(evidence.manifest.state_keys[0])
    hidden, cell = (known.get(str(dataclasses.replace(default, kind=kind))) for kind in ("h", "c"))
    if hidden is None or not np.isfinite(hidden.kept_rate[0]):
        return None
    steps = int((evidence.probe.lengths - 1).sum())
    other = f", the cell state {cell.kept_rate[0]:.0%}" if cell is not None else ""
    kept = f"the hidden state keeps {hidden.kept_rate[0]:.0%} of its size on average{other}"
    return f"From one step to the next {kept} (n = {steps:,} steps).", "units"


def best_epoch(evidence: Evidence) -> tuple[str, str] | None:
    """When the test loss was lowest."""
    curve = loss_curve(evidence.performance)
    if curve is None:
        return None
    name, epochs, losses = curve
    best = int(losses.argmin())
    ending = "the last one recorded" if best == losses.size - 1 else f"it ends at {losses[-1]:.3g}, epoch {epochs[-1]}"
    if evidence.last.epoch < epochs[-1]:
        ending += f"; the weights reported are those of epoch {evidence.last.epoch}"
    return f"The {name.replace('_', ' ')} is lowest at epoch {epochs[best]} ({losses[best]:.3g}), {ending}.", "training"


def _interval(metric: dict[str, float | None], form: str) -> str:
    low, high = metric["low"], metric["high"]
    return "" if low is None or high is None else f" (95% interval {form.format(low)} to {form.format(high)})"


def _quoted(name: str) -> str:
    return f"“{name}”"


FINDERS: tuple[Callable[[Evidence], tuple[str, str] | None], ...] = (
    quality,
    confusion,
    worst_label,
    worst_quantity,
    automaton,
    moving_words,
    decision_time,
    carrying_units,
    points_of_rest,
    retention,
    best_epoch,
)
