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
    "label-logits": ("",),
    "label-probabilities": ("", "sigmoid"),
    "quantities": ("",),
}

HeadFunction = Callable[[nn.Module, Tensor], Tensor]


@dataclass(frozen=True)
class ModuleCall:
    """One call of a module without recurrent parts."""

    name: str
    module: nn.Module
    output: Any
    outermost: bool


@dataclass(frozen=True)
class Head:
    """What may map a state to the prediction.

    Attributes
    ----------
    name : str, in words
    function : function of states (n, H), which gives predictions (n, ...) in the form of the model's own output
    """

    name: str
    function: Callable[[Tensor], Tensor]

    def __call__(self, states: Tensor) -> Tensor:
        """Predictions (n, K) of states (n, H)."""
        return self.function(states).reshape(len(states), -1)


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


def candidate_heads(calls: Sequence[ModuleCall], form: Form) -> list[Head]:
    """Runs of modules, one after the other, that may be the head, longest first.

    Longest first, because a module that is nearly the identity before training (a normalisation) is part of the head.
    """
    steps = [call for call in calls if call.outermost and not isinstance(call.module, (nn.Dropout, nn.Identity))]
    steps = steps[-_LONGEST_CHAIN:]
    bounds = [(start, stop) for start in range(len(steps)) for stop in range(start + 1, len(steps) + 1)]
    chains = [steps[start:stop] for start, stop in sorted(bounds, key=lambda pair: pair[0] - pair[1])]
    return [head for chain in chains for head in _with_links([(call.name, call.module) for call in chain], form)]


def given_heads(model: nn.Module, given: str | HeadFunction, form: Form) -> list[Head]:
    """The heads that may be meant by the path of a module, or by a function of model and states.

    Raises
    ------
    InputError
        If the model has no such module.
    """
    if not isinstance(given, str):
        name = f"{getattr(given, '__module__', '')}:{getattr(given, '__qualname__', type(given).__name__)}"
        return [Head(f"“{name}”", partial(given, model))]
    try:
        return _with_links([(given, model.get_submodule(given))], form)
    except AttributeError as error:
        linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
        raise InputError(
            f"the model has no module {given!r} for its head",
            f"its linear modules are: {', '.join(linear) or 'none'}",
        ) from error


def _with_links(chain: Sequence[tuple[str, nn.Module]], form: Form) -> list[Head]:
    """The modules, one after the other, with everything that the model may apply after the last one."""
    names = [f"“{name}”" for name, _ in chain]
    modules = [module for _, module in chain]
    return [
        Head(" then ".join([*names, link] if link else names), partial(_applied, modules, _LINKS[link]))
        for link in _LINKS_OF_FORM[form]
    ]


def _applied(modules: Sequence[nn.Module], link: Callable[[Tensor], Tensor], states: Tensor) -> Tensor:
    values = states
    for module in modules:
        values = module(values)
    return link(values)


def find_head(heads: Sequence[Head], states: Tensor, predictions: Tensor, form: Form) -> tuple[Head | None, float]:
    """The first head that maps the states to the predictions.

    Parameters
    ----------
    heads : candidates
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
    for head in heads:
        try:
            error = largest_error(head(states), predictions, form)
        except Exception:  # a module that does not take a state raises whatever it likes: not a head
            continue
        smallest = min(smallest, error)
        if error <= TOLERANCE:
            return head, error
    return None, smallest


def largest_error(values: Tensor, predictions: Tensor, form: Form) -> float:
    """Largest difference; equal infinities and NaN in both places count as none.

    It is relative to max(1, |prediction|), or, as quantities have a unit of their own, to the largest of them.
    """
    if values.shape != predictions.shape:
        return float("inf")
    same = (values == predictions) | (values.isnan() & predictions.isnan())
    sizes = predictions.abs()
    unit = sizes.nan_to_num(0, 0).max() if form == "quantities" else sizes.clamp(min=1)
    error = ((values - predictions).abs() / unit).masked_fill(same, 0)
    return float(error.nan_to_num(nan=float("inf"), posinf=float("inf")).max())


def reading_of(heads: Sequence[Head], states: Tensor, predictions: Tensor, form: Form) -> str:
    """What the head reads when it is not the last state: "mean", "maximum", "sum" over the steps, or "" (unknown).

    Parameters
    ----------
    states : Tensor (B, T, H)
    """
    summaries = {"mean": states.mean(dim=1), "maximum": states.amax(dim=1), "sum": states.sum(dim=1)}
    verified = (name for name, summary in summaries.items() if find_head(heads, summary, predictions, form)[0])
    return next(verified, "")
