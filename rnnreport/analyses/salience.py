"""What the state of a step depends on, for the displayed sequences of which it was recorded."""

from __future__ import annotations

import numpy as np

from rnnreport.analyses.sample import Sample
from rnnreport.results.folder import RunFolder
from rnnreport.results.recorded import Ints, Salience, StateKey
from rnnreport.results.schema import Dependence, GivenDependence, Unavailable

_GUIDE = (
    "When a step is selected, the bars over the tokens show how strongly its state depends on each input: how much it "
    "would change if {input} of that step changed a little (norm of the derivative). A high bar does not say that the "
    "input mattered for the prediction, or that it is right. A low one does not say that the input is forgotten: a "
    "unit that firmly holds something hardly moves. Another input is a large change, of which this says little.{method}"
)


def write_dependence(folder: RunFolder, sample: Sample, states: int, *, continuous: bool) -> None:
    """Write what each state depends on, in the displayed sequences and in the sentences given by hand.

    Parameters
    ----------
    folder : RunFolder
    sample : Sample
        The displayed sequences.
    states : int
        How many states were recorded.
    continuous : bool
        Whether the inputs are values rather than tokens.
    """
    for number in range(states):
        scope = number or None
        folder.write_result(state_dependence(folder.salience(number), sample.sequences, continuous=continuous), scope)
        if given := folder.salience(number, given=True):
            found = state_dependence(given, np.arange(given.sequences.max(initial=-1) + 1), continuous=continuous)
            if isinstance(found, Dependence):
                folder.write_result(GivenDependence(**vars(found)), scope)


def state_dependence(found: Salience | None, displayed: Ints, *, continuous: bool) -> Dependence | Unavailable:
    """The recorded norms, each as a share of the largest of its step.

    Parameters
    ----------
    found : Salience or None
    displayed : int32 (Q,), increasing places of the displayed sequences
    continuous : bool
        Whether the inputs are values rather than tokens.
    """
    if found is None:
        reason = "it was not recorded: rnnreport run and rnnreport capture record it"
        return Unavailable(Dependence.analysis, reason)
    if found.reason:
        return Unavailable(Dependence.analysis, found.reason)
    starts = np.cumsum(np.append(0, found.lengths.astype(np.int64) ** 2))
    shown = [place for place, sequence in enumerate(found.sequences) if sequence in displayed]
    blocks = [found.norms[starts[place] : starts[place + 1]].reshape(found.lengths[place], -1) for place in shown]
    largest = [block.max(axis=1, initial=0.0) for block in blocks]
    shares = [
        (block / np.where(most > 0, most, 1)[:, None]).ravel() for block, most in zip(blocks, largest, strict=True)
    ]
    nothing = np.zeros(0, np.float32)
    return Dependence(
        scope=found.scope,
        sequences=np.searchsorted(displayed, found.sequences[shown]).astype(np.int32),
        lengths=found.lengths[shown],
        shares=np.concatenate([nothing, *shares]).astype(np.float32),
        largest=np.concatenate([nothing, *largest]).astype(np.float32),
        guide=_GUIDE.format(input="the values" if continuous else "the embedding", method=_method(found)),
    )


def _method(found: Salience) -> str:
    of = f" The state is the one selected above, at the last epoch. Of {StateKey.parse(found.scope).title},"
    if found.directions == found.units:
        return f"{of} the derivatives are exact."
    error = 1 / np.sqrt(2 * found.directions)
    return (
        f"{of} the norms are estimated from the derivatives in {found.directions} of {found.units} directions, "
        f"with a typical error of at most {error:.0%}."
    )
