"""What is said of a run wherever it is read: by analyses, figures and pages."""

from __future__ import annotations

from collections.abc import Sequence


def input_noun(names: Sequence[str]) -> str:
    """What one step of the input is called.

    Parameters
    ----------
    names : sequence of str
        Of the tokens, () for continuous input.

    Returns
    -------
    {"prototype", "character", "word"}
        Of continuous input its prototype, which stands for the steps that resemble it. Tokens are characters if all of
        them are single ones, beside those like "<unk>".
    """
    if not names:
        return "prototype"
    lengths = [len(name) for name in names if not name.startswith("<") or len(name) == 1]
    return "character" if lengths and max(lengths) == 1 else "word"
