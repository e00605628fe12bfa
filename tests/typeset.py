"""Texts of a page as they were before they were typeset, to be compared with texts of results and read as numbers."""

_PLAIN = str.maketrans({"\N{NO-BREAK SPACE}": " ", "\N{MINUS SIGN}": "-"})


def plain(text: str) -> str:
    """Ordinary spaces, and hyphens for minus signs."""
    return text.translate(_PLAIN)
