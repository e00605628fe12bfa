"""What is inlined into every page: style sheet, BokehJS core, our scripts; and the policy that allows only these.

BokehJS and our scripts are two thirds of a small page, so where there are plots both travel as the numbers do, gzip'd.
A short script unpacks them and adds each as an inline script, which the policy allows by the hash of its text.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from bokeh.util.paths import bokehjs_path
from markupsafe import Markup

from rnnreport.report.payload import packed
from rnnreport.report.place import template_folder

_STYLES = (
    "tokens.css",
    "page.css",
    "views.css",
    "units.css",
    "continuations.css",
    "salience.css",
    "decisions.css",
    "elsewhere.css",
    "formation.css",
    "health.css",
    "memory.css",
    "machine.css",
    "fixedpoints.css",
    "numbers.css",
    "readable.css",
    "causes.css",
    "index.css",
    "beside.css",
    "forced.css",
    "print.css",
)
_CORE = ("core.js", "palette.js", "plots.js", "tooltip.js", "glyph.js", "curves.js", "tasks.js", "reading.js")
REPORT_SCRIPTS = (
    *_CORE,
    "bar.js",
    "chips.js",
    "units.js",
    "details.js",
    "unitmap.js",
    "sequences.js",
    "decisions.js",
    "jumps.js",
    "salience.js",
    "attribution.js",
    "sentence.js",
    "steps.js",
    "tops.js",
    "similar.js",
    "pattern.js",
    "continuations.js",
    "series.js",
    "answers.js",
    "labels.js",
    "mapplaces.js",
    "mapregion.js",
    "map.js",
    "training.js",
    "formation.js",
    "rotate3d.js",
    "pictures.js",
    "nodes.js",
    "dynamics.js",
    "health.js",
    "memory.js",
    "fixedpoints.js",
    "machine.js",
    "causes.js",
    "boot.js",
)
COMPARISON_SCRIPTS = (*_CORE, "beside.js", "compare.js", "besidemap.js", "besideclusters.js", "boot.js")


@dataclass(frozen=True)
class Assets:
    """Inline texts of one page.

    Attributes
    ----------
    style : Markup, one style sheet
    early : Markup, script that runs before the page is drawn
    script : Markup, script that runs when the page is read
    packed : tuple of Markup, scripts as gzip'd base64 text, in the order in which ``script`` starts them
    policy : str, content security policy that allows exactly these scripts and no request
    """

    style: Markup
    early: Markup
    script: Markup
    packed: tuple[Markup, ...]
    policy: str


def page_assets(scripts: Sequence[str], *, bokeh: bool = True) -> Assets:
    """Collect the assets of a page.

    Parameters
    ----------
    scripts : names in ``templates/assets``, in order
    bokeh : whether the page holds plots
    """
    early = _read("theme.js")
    own = "\n".join(_read(name) for name in scripts)
    script, later = (_read("unpack.js"), (_bokehjs(), own)) if bokeh else (own, ())
    allowed = " ".join(f"'sha256-{_digest(text)}'" for text in (early, script, *later))
    policy = (
        f"default-src 'none'; script-src {allowed}; "
        "style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    style = "\n".join(_read(name) for name in _STYLES)
    return Assets(Markup(style), Markup(early), Markup(script), tuple(_pack(text) for text in later), policy)


@functools.cache
def _read(name: str) -> str:
    return (template_folder() / "assets" / name).read_text(encoding="utf-8")


@functools.cache
def _bokehjs() -> str:
    """BokehJS core alone: widgets, tables, MathJax and WebGL would double the page and are not used."""
    return (bokehjs_path() / "js" / "bokeh.min.js").read_text(encoding="utf-8")


@functools.cache
def _pack(text: str) -> Markup:
    return Markup(packed(text.encode("utf-8")))


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
