"""The Jinja2 environment: where templates lie, strict and escaping, with the few filters the pages use."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable

import jinja2
from markupsafe import Markup

from rnnreport.errors import printable
from rnnreport.report.numbers import linked_chapters, numbers_of
from rnnreport.report.place import template_folder
from rnnreport.report.tasks import SHARES, TASKS, metric_name, quantity_name

_REFERENCE = re.compile(r"[@#](?=\w)|(?<!\w)GH-(?=\d)|:(?=[\w+-]+(?::|$))", re.IGNORECASE)
_MARKUP = re.compile(r"[\\`*\[\]|~$]|(?<![^\W_])_|_(?![^\W_])")
# A quotation is left alone; the exponent has two digits, as Python writes it: names of people have fewer.
_SET = re.compile(
    r"(?P<quoted>“[^”]*”)|(?<![\w.)-])(?P<zero>[+-])(?=0(?:\.0+)?(?!\.?\d))|(?<![\w.)-])(?P<minus>-)(?=\.?\d)"
    r"|(?<![\w.])(?P<mantissa>\d+(?:\.\d+)?)e(?P<power>[+-]\d\d+)(?!\w)"
    r"|\b(?P<name>[a-zA-Z]) (?P<relation>[=<>]) (?=[\d<+-])"
)
_MINUS, _SPACE = "\N{MINUS SIGN}", "\N{NO-BREAK SPACE}"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SEEN = {" ": "␣", "\n": "↵", "\t": "⇥"}
_FIRST = re.compile(r"^(?:(\d+)(?=[.)](?!\S))|(?=[#>]|[-+](?![\w.])))")  # before what begins a heading, quote or list


@functools.cache
def environment() -> jinja2.Environment:
    """The one environment of all pages."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template_folder()),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {
        "number": number,
        "signed": signed,
        "typeset": typeset,
        "typeset_beside": typeset_beside,
        "count": count,
        "percent": percent,
        "parameter": parameter,
        "markdown": markdown_escape,
        "measured": lambda value, name: percent(value) if name in SHARES else number(value),
        "metric": metric_name,
        "quantity": quantity_name,
        "task": lambda task: TASKS[task].title,
    }
    made.globals |= {"numbers_of": numbers_of, "linked_chapters": linked_chapters, "shares": SHARES}
    return made


def number(value: float | None, digits: int = 3) -> str:
    """A number for people: three significant digits, "not defined" for NaN and None."""
    if value is None or not math.isfinite(value):
        return "not defined"
    if value != 0 and (abs(value) >= 10**6 or abs(value) < 10**-4):
        return typeset(f"{value:.{digits - 1}e}")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value)))) if value else 0
    return typeset(f"{value:,.{min(decimals, 4)}f}")


def signed(value: float, decimals: int | None = None) -> str:
    """A difference with its sign: three significant digits, or as many decimals as asked for."""
    return f"{'+' if value > 0 else ''}{number(value)}" if decimals is None else typeset(f"{value:+.{decimals}f}")


def power_of_ten(power: int) -> str:
    """A power of ten, written out while it is short.

    Parameters
    ----------
    power : int
    """
    return f"{10.0**power:,.{max(0, -power)}f}" if abs(power) <= 4 else "10" + str(power).translate(_RAISED)


def typeset(text: str) -> str:
    """A sentence of ours as it is printed: minus signs, powers of ten, no line that ends in the middle of "n = 12".

    What is quoted stays as it is, unless it is a single blank, which has a form that is seen; markup stays, too.
    ``RR.typeset`` does the same in the page's scripts.
    """
    return text if isinstance(text, Markup) else _SET.sub(_set, text)


def typeset_beside(text: str, names: Iterable[str]) -> Markup:
    """A sentence of ours as it is printed, but for names that are none of ours: "run -1" and "lr 1e-03" stay.

    Parameters
    ----------
    text : str
    names : iterable of str
    """
    known = "|".join(re.escape(name) for name in sorted(filter(None, names), key=len, reverse=True))
    parts = re.split(rf"(?<!\w)({known})(?!\w)", text) if known else [text]
    return Markup("").join(part if place % 2 else typeset(part) for place, part in enumerate(parts))


def _set(found: re.Match[str]) -> str:
    if found["zero"]:  # has no sign
        return ""
    if found["minus"]:
        return _MINUS
    if found["mantissa"]:
        power = "10" + str(int(found["power"])).translate(_RAISED)
        return (
            power if found["mantissa"] == "1" else f"{found['mantissa']}{_SPACE}\N{MULTIPLICATION SIGN}{_SPACE}{power}"
        )
    if found["quoted"]:
        return f"“{_SEEN.get(found[0][1:-1], found[0][1:-1])}”"
    return f"{found['name']}{_SPACE}{found['relation']}{_SPACE}"


def parameter(value: object) -> str:
    """A parameter of a method: numbers short, lists joined."""
    if isinstance(value, (list, tuple)):
        return " and ".join(parameter(item) for item in value)
    return number(value) if isinstance(value, float) and not value.is_integer() else str(value).removesuffix(".0")


def percent(value: float | None) -> str:
    """A share as a percentage with one decimal."""
    return "not defined" if value is None or not math.isfinite(value) else typeset(f"{100 * value:.1f}%")


def count(value: int) -> str:
    """An integer with thousands separators."""
    return f"{value:,}"


def markdown_escape(value: object) -> Markup:
    """Text from strangers inside a comment: one line, no markup, no HTML, no mentions, no addresses as links.

    Mails show a comment as it is written, so nothing is escaped but what would be markup where it stands: some
    characters everywhere, others as the first one, "_" where it is not inside a word, "&" where an entity follows.
    Numbers stay as they are.

    GitHub looks for mentions, issues, mail addresses and emoji in the text that Markdown has become, where no escape is
    left to see: there a word joiner (U+2060), which shows nothing, stands after the first character.
    """
    text = _REFERENCE.sub(lambda found: found[0] + "\u2060", printable(" ".join(str(value).split())))
    text = _MARKUP.sub(r"\\\g<0>", re.sub(r"&(?=#?\w+;)", "&amp;", text))
    text = _FIRST.sub(r"\1\\", text).replace("<", "&lt;").replace("@", "&#64;")
    return Markup(re.sub(r"(www)\.", r"\1&#46;", text, flags=re.IGNORECASE).replace("://", "&#58;//"))
