"""From the calls of recurrent operations to runs over whole sequences: steps of a loop follow one another."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from rnnreport.capture.recurrent import Piece, RecurrentCall
from rnnreport.capture.watching import OwnedPiece
from rnnreport.errors import InputError

_Chain = list[tuple[int, Piece]]  # each piece with its place among all


def stitch(pieces: Sequence[OwnedPiece], steps: int) -> list[RecurrentCall]:
    """Put together the calls that continue one another.

    A call continues an earlier one of the same module whose last state it starts from. Where a model changes the state
    between its steps, so that none does, one run of the right number of steps is taken in the order of the calls.

    Parameters
    ----------
    pieces : sequence of OwnedPiece
    steps : int
        Steps of the batch, at which a run is complete.

    Returns
    -------
    list of RecurrentCall
        In the order in which they ended. The second run of a module is called "name#2".

    Raises
    ------
    InputError
        If a module was called for several runs and its states do not tell which calls belong together.
    """
    owned: dict[tuple[str, int], _Chain] = {}
    names = {one.owner: one.name for one in pieces}
    for place, one in enumerate(pieces):
        owned.setdefault(one.owner, []).append((place, one.piece))
    found = [(names[owner], chain) for owner, calls in owned.items() for chain in _chains(names[owner], calls, steps)]
    found.sort(key=lambda pair: pair[1][0][0])
    titled: list[tuple[int, RecurrentCall]] = []
    seen: dict[str, int] = {}
    for name, chain in found:
        seen[name] = seen.get(name, 0) + 1
        title = name if seen[name] == 1 else f"{name}#{seen[name]}"
        titled.append((chain[-1][0], RecurrentCall(title, tuple(piece for _, piece in chain))))
    return [call for _, call in sorted(titled, key=lambda pair: pair[0])]


def _chains(name: str, calls: _Chain, steps: int) -> list[_Chain]:
    chains: list[_Chain] = []
    for call in calls:
        continued = next((chain for chain in chains if _length(chain) < steps and _continues(chain, call[1])), None)
        if continued is None:
            chains.append([call])
        else:
            continued.append(call)
    if all(_length(chain) == steps for chain in chains):
        return chains
    total = _length(calls)
    if total == steps:
        return [calls]
    if total % steps == 0 and all(piece.steps < steps for _, piece in calls):
        raise InputError(
            f"{name} was called {len(calls)} times in a batch of {steps} steps, for {total // steps} runs, and its "
            "states do not tell which calls follow one another",
            "use one module for each run, or give the module that holds the states with --layer PATH",
        )
    return chains


def _length(chain: _Chain) -> int:
    return sum(piece.steps for _, piece in chain)


def _continues(chain: _Chain, piece: Piece) -> bool:
    last = chain[-1][1]
    return last.mode == piece.mode and all(
        before.shape == after.shape and torch.equal(before, after)
        for before, after in zip(last.final, piece.initial, strict=True)
    )
