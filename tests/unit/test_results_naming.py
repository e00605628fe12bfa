"""What a step of the input is called."""

import pytest

from rnnreport.results.naming import input_noun


@pytest.mark.parametrize(
    ("names", "noun"),
    [
        ((), "prototype"),
        (("a", " ", "<unk>", "é"), "character"),
        (("<", ">"), "character"),
        (("", "a"), "character"),
        (("a", "film"), "word"),
        (("<b>", "<i>"), "word"),
        (("",), "word"),
    ],
)
def test_tokens_are_named_by_their_lengths(names, noun):
    assert input_noun(names) == noun
