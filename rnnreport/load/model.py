"""A user's model, built by the factory they name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from rnnreport.errors import InputError, RnnReportError
from rnnreport.load.importing import failure_of, import_callable
from rnnreport.load.weights import load_weights, refuse_non_finite
from rnnreport.load.wrappers import unwrapped


def load_model(spec: str, arguments: Mapping[str, Any], weights: Path | None) -> nn.Module:
    """Build a model and load its weights.

    Parameters
    ----------
    spec : str
        ``module:factory``; the factory returns the model, a class is one too. The working directory comes first.
    arguments : mapping
        Keyword arguments of the factory.
    weights : Path, optional
        File for ``load_weights``; without it the model is taken as the factory made it.

    Returns
    -------
    torch.nn.Module
        In eval mode, with float32 parameters; what ``torch.compile`` or ``DataParallel`` put around it is taken off.

    Raises
    ------
    InputError
        If the factory cannot be imported, fails or returns no module, or the weights do not fit or are not finite.
    """
    factory = import_callable(spec, "model")
    if isinstance(factory, nn.Module):
        raise InputError(f"model {spec!r} is a module already, not a factory", "name a function that returns it")
    try:
        model = factory(**arguments)
    except RnnReportError:
        raise
    except Exception as error:
        raise InputError(f"model {spec!r} fails: {failure_of(error)}", "check its arguments") from error
    if not isinstance(model, nn.Module):
        raise InputError(f"model {spec!r} returns {type(model).__name__}, not a torch.nn.Module", "return the model")
    model = unwrapped(model)
    model.float().eval()
    if weights is not None:
        load_weights(model, weights)
    refuse_non_finite(dict(model.named_parameters()), spec)
    return model
