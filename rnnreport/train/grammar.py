"""A generated sentiment corpus in which negation and contrast decide the label.

A sentence is one clause, or two of opposite polarity joined by a contrast. Its label is the polarity of the main
clause: the one after ``but``, the one that ``though`` does not introduce. ``not`` and ``never`` turn a clause round,
``very`` and its like change nothing. So the words alone do not tell the label; their order does.
"""

from __future__ import annotations

import random

SHORTEST, LONGEST = 4, 16

_THINGS = [
    "film",
    "movie",
    "plot",
    "story",
    "ending",
    "acting",
    "music",
    "dialogue",
    "cast",
    "script",
    "camera",
    "pace",
    "scene",
    "humour",
    "hero",
    "director",
]
_PEOPLE = ["i", "we", "you", "they", "critics", "everyone"]
_ADJECTIVES = {
    True: ["good", "great", "funny", "moving", "clever", "charming", "fresh", "brilliant", "touching", "elegant"],
    False: ["bad", "dull", "boring", "awful", "silly", "weak", "stale", "messy", "clumsy", "hollow"],
}
_VERBS = {
    True: ["love", "enjoy", "admire", "like", "praise", "recommend"],
    False: ["hate", "regret", "dislike", "resent", "mock", "avoid"],
}
_COPULAS = ["is", "was", "feels", "looks", "seems"]
_DEGREES = ["very", "really", "rather", "quite", "truly"]
_OPENERS = ["honestly", "overall", "frankly", "still"]
_ADJUNCTS = ["in the end", "at times", "for me", "as always"]


def sentence(source: random.Random) -> tuple[list[str], bool]:
    """One sentence and whether it is positive.

    Parameters
    ----------
    source : random.Random

    Returns
    -------
    list of str, of 4 to 16 words
    bool
    """
    while True:
        positive = source.random() < 0.5
        words = _sentence(source, positive)
        if SHORTEST <= len(words) <= LONGEST:
            return words, positive


def corpus(count: int, seed: int) -> list[tuple[list[str], bool]]:
    """``count`` different sentences, in random order."""
    source = random.Random(seed)
    found: dict[tuple[str, ...], bool] = {}
    while len(found) < count:
        words, positive = sentence(source)
        found[tuple(words)] = positive
    return [(list(words), positive) for words, positive in found.items()]


def _sentence(source: random.Random, positive: bool) -> list[str]:
    main, other = _clause(source, positive), _clause(source, not positive)
    match source.choice(["plain", "plain", "but", "but", "though first", "though last"]):
        case "plain":
            words = main
        case "but":
            words = [*other, "but", *main]
        case "though first":
            words = ["though", *other, ",", *main]
        case _:
            words = [*main, "though", *other]
    if source.random() < 0.25:
        words = [source.choice(_OPENERS), *words]
    if source.random() < 0.25:
        words = [*words, *source.choice(_ADJUNCTS).split()]
    return words


def _clause(source: random.Random, positive: bool) -> list[str]:
    negated = source.random() < 0.35
    tone = positive != negated
    if source.random() < 0.35:
        negation = [source.choice(["never", "did not"])] if negated else []
        words = [source.choice(_PEOPLE), *negation, source.choice(_VERBS[tone]), "the", source.choice(_THINGS)]
        return " ".join(words).split()
    negation = [source.choice(["not", "never"])] if negated else []
    degree = [source.choice(_DEGREES)] if source.random() < 0.4 else []
    thing = ["the", source.choice(_THINGS)]
    return [*thing, source.choice(_COPULAS), *negation, *degree, source.choice(_ADJECTIVES[tone])]
