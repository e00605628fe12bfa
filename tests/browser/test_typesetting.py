"""Numbers of every page are typeset: what Python and JavaScript write by themselves is not left anywhere."""

import pytest

FOUND = r"""() => {
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { parentElement: box, textContent: text } = walker.currentNode;
    if (box.closest("script, style, code, .numbers, .running, .token, .word, .snippet")) continue; // words of others
    const own = text.replace(/“[^”]*”/g, "");
    const left = [
      /(^|[\s(±])-\.?\d/, /\d(\.\d+)?e[+-]\d\d/, /\b[nkpq] [=<] (?=[\d\u2212])/,
      /[+\u2212]0(\.0+)?(?![.\d])/,
    ];
    if (left.some((kind) => kind.test(own))) found.push(text.trim());
  }
  return found;
}"""


@pytest.mark.parametrize("name", ["report", "comparison"])
def test_numbers_have_minus_signs_and_stay_on_one_line(open_page, page_files, name):
    page = open_page(page_files[name])
    page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
    assert page.evaluate(FOUND) == []
    page.evaluate("document.querySelector('main').append('-0.5 (n = 3)')")  # the search is able to find
    assert page.evaluate(FOUND) == ["-0.5 (n = 3)"]
