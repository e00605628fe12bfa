"""The map from a state to the prediction: found among the modules that ran after the recurrent ones, and verified.

The *expected prediction* of a step (Garcia, Munz and Weiskopf 2021) is the head applied to the state of that step. It
means something only where head(last state) is the model's own output, so that is what is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from rnnreport.capture.outputs import Form
from rnnreport.capture.watching import RECURRENT_MODULES, followed
from rnnreport.errors import InputError

TOLERANCE = 1e-5

_LONGEST_CHAIN = 12
_LINKS: dict[str, Callable[[Tensor], Tensor]] = {
    "": lambda values: values,
    "log_softmax": partial(torch.log_softmax, dim=-1),
    "softmax": partial(torch.softmax, dim=-1),
    "sigmoid": torch.sigmoid,
}
_LINKS_OF_FORM: dict[Form, tuple[str, ...]] = {
    "logits": ("",),
    "log-probabilities": ("", "log_softmax"),
    "probabilities": ("", "softmax", "sigmoid"),
}


@dataclass(frozen=True)
class ModuleCall:
    """One call of a module without recurrent parts."""

    name: str
    module: nn.Module
    output: Any
    outermost: bool


@dataclass(frozen=True)
class Head:
    """Modules applied one after the other, then a link function.

    Attributes
    ----------
    names : tuple of str, paths in the model
    modules : tuple of nn.Module
    link : str, "" or what the model applies after the last module
    """

    names: tuple[str, ...]
    modules: tuple[nn.Module, ...]
    link: str

    def __call__(self, states: Tensor) -> Tensor:
        """Predictions (n, K) of states (n, H), in the form of the model's own output."""
        values = states
        for module in self.modules:
            values = module(values)
        return _LINKS[self.link](values).reshape(len(states), -1)

    def __str__(self) -> str:
        return " then ".join([f"`{name}`" for name in self.names] + [self.link] * bool(self.link))


@contextmanager
def calls_after_recurrence(model: nn.Module, layers: Sequence[str] = ()) -> Iterator[list[ModuleCall]]:
    """Collect the modules that run after the last recurrent one, while the model runs inside the ``with`` block.

    Parameters
    ----------
    model : nn.Module
    layers : sequence of str
        Paths of modules that count as recurrent beside torch's own.
    """
    named = {model.get_submodule(layer) for layer in layers}
    recurrent = named | {module for module in model.modules() if isinstance(module, RECURRENT_MODULES)}
    containers = {module for module in model.modules() if recurrent & set(module.modules())} - recurrent
    calls: list[ModuleCall] = []
    open_calls: list[nn.Module] = []

    def enter(name: str, module: nn.Module, given: Any) -> None:
        if module not in recurrent and module not in containers:
            open_calls.append(module)

    def leave(name: str, module: nn.Module, output: Any) -> None:
        if module in recurrent:
            calls.clear()
        elif module not in containers:
            open_calls.pop()
            calls.append(ModuleCall(name, module, output, not open_calls))

    with followed(model, enter, leave):
        yield calls


def last_linear_output(calls: Sequence[ModuleCall]) -> Tensor | None:
    """What the last ``nn.Linear`` gave, if one ran."""
    return next((call.output for call in reversed(calls) if isinstance(call.module, nn.Linear)), None)


def candidate_chains(model: nn.Module, calls: Sequence[ModuleCall], path: str | None) -> list[list[ModuleCall]]:
    """Runs of modules that may be the head, longest first; only the named one where a path is given.

    Longest first, because a module that is nearly the identity before training (a normalisation) is part of the head.

    Raises
    ------
    InputError
        If the model has no module ``path``.
    """
    if path is not None:
        try:
            return [[ModuleCall(path, model.get_submodule(path), None, True)]]
        except AttributeError as error:
            linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
            raise InputError(
                f"the model has no module {path!r} for its head",
                f"its linear modules are: {', '.join(linear) or 'none'}",
            ) from error
    steps = [call for call in calls if call.outermost and not isinstance(call.module, (nn.Dropout, nn.Identity))]
    steps = steps[-_LONGEST_CHAIN:]
    bounds = [(start, stop) for start in range(len(steps)) for stop in range(start + 1, len(steps) + 1)]
    return [steps[start:stop] for start, stop in sorted(bounds, key=lambda pair: pair[0] - pair[1])]


def find_head(
    chains: Sequence[Sequence[ModuleCall]], states: Tensor, predictions: Tensor, form: Form
) -> tuple[Head | None, float]:
    """The first chain that maps the states to the predictions.

    Parameters
    ----------
    chains : from ``candidate_chains``
    states : Tensor (B, H)
    predictions : Tensor (B, K), the model's own
    form : of the predictions

    Returns
    -------
    Head or None
    float
        The smallest error of all candidates tried until then; infinite where none can be applied.
    """
    smallest = float("inf")
    for chain in chains:
        for link in _LINKS_OF_FORM[form]:
            head = Head(tuple(call.name for call in chain), tuple(call.module for call in chain), link)
            try:
                error = largest_error(head(states), predictions)
            except Exception:  # a module that does not take a state raises whatever it likes: not a head
                continue
            smallest = min(smallest, error)
            if error <= TOLERANCE:
                return head, error
    return None, smallest


def largest_error(values: Tensor, predictions: Tensor) -> float:
    """Largest difference, relative to max(1, |prediction|); equal infinities and NaN in both places count as none."""
    if values.shape != predictions.shape:
        return float("inf")
    same = (values == predictions) | (values.isnan() & predictions.isnan())
    error = ((values - predictions).abs() / predictions.abs().clamp(min=1)).masked_fill(same, 0)
    return float(error.nan_to_num(nan=float("inf"), posinf=float("inf")).max())


def reading_of(chains: Sequence[Sequence[ModuleCall]], states: Tensor, predictions: Tensor, form: Form) -> str:
    """What the head reads when it is not the last state: "mean", "maximum", "sum" over the steps, or "" (unknown).

    Parameters
    ----------
    states : Tensor (B, T, H)
    """
    summaries = {"mean": states.mean(dim=1), "maximum": states.amax(dim=1), "sum": states.sum(dim=1)}
    verified = (name for name, summary in summaries.items() if find_head(chains, summary, predictions, form)[0])
    return next(verified, "")
