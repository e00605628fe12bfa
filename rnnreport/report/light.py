"""Light pages for sites: what all reports share lies beside them, and so does the data of each.

Shared are scripts, style sheet and how each number is made, a page of its own that is read without scripts. A page is
taken as it was rendered: elements are replaced whole, and text from outside is never such an element or an attribute of
one, because "<" and quotes are escaped in it. Reading data needs a server; of a page opened
from disk only the style sheet can be read.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import re

from rnnreport.report.environment import environment
from rnnreport.report.numbers import chapters

_PACKED = re.compile(r'<script type="text/plain" class="packed">([A-Za-z0-9+/=]*)</script>\n?')
_PAYLOAD = re.compile(r'<script type="text/plain" id="payload">([A-Za-z0-9+/=]*)</script>')
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_NUMBERS = re.compile(r'<section id="numbers" class="section">.*?</section>', re.DOTALL)
_LINK = re.compile(r'href="#(number-[a-z0-9-]+)"')
_POLICY = re.compile(r'(<meta http-equiv="Content-Security-Policy" content="[^"]*?script-src [^"]*?)(; style-src )')
_READS_FILES = "dataset.src"  # in templates/assets/unpack.js, since pages can be light


def make_light(page: str, assets: str) -> tuple[str, dict[str, bytes]] | None:
    """Take style sheet, scripts, data and the appendix of numbers out of a page.

    Parameters
    ----------
    page : str, a report as it was rendered
    assets : str, relative link from the light page to the folder of the files, without a slash at its end

    Returns
    -------
    (str, dict) or None
        The light page and its files by name; the names are hashes of what the files hold, so that reports of one
        version share all but the data. None for a page of an earlier version, which cannot read files.
    """
    scripts, payload, style = _PACKED.findall(page), _PAYLOAD.search(page), _STYLE.search(page)
    if not scripts or payload is None or style is None or _READS_FILES not in page:
        return None
    script = b"\n;\n".join(gzip.decompress(base64.b64decode(text)) for text in scripts)
    shared, own = gzip.compress(script, compresslevel=9, mtime=0), base64.b64decode(payload[1])
    sheet = style[1].encode("utf-8")
    names = (f"rnnreport-{_name(script)}.bin", f"data-{_name(own)}.bin", f"rnnreport-{_name(sheet)}.css")
    appendix = _appendix(names[2])
    numbers = f"numbers-{_name(appendix)}.html"
    allowed = base64.b64encode(hashlib.sha256(script).digest()).decode("ascii")
    more = f" &#39;sha256-{allowed}&#39;; connect-src &#39;self&#39;"
    made = _POLICY.sub(lambda found: f"{found[1]}{more}{found[2]}&#39;self&#39; file: ", page, count=1)
    made = _STYLE.sub(f'<link rel="stylesheet" href="{assets}/{names[2]}">', made, count=1)
    made = _PAYLOAD.sub(_element('id="payload"', f"{assets}/{names[1]}"), made, count=1)
    made = _PACKED.sub(_element('class="packed"', f"{assets}/{names[0]}") + "\n", made, count=1)
    made = _PACKED.sub("", made)
    made = _LINK.sub(rf'href="{assets}/{numbers}#\1"', made)
    link = f'<h2><a href="{assets}/{numbers}">How each number is made</a></h2>'
    made = _NUMBERS.sub(f'<section id="numbers" class="section">{link}</section>', made, count=1)
    return made, dict(zip((*names, numbers), (shared, own, sheet, appendix), strict=True))


def _appendix(sheet: str) -> bytes:
    """The page on how each number is made, with the style sheet beside it."""
    page = environment().get_template("numbers.html.j2").render(chapters=chapters(), sheet=sheet)
    return page.encode("utf-8")


def _element(name: str, source: str) -> str:
    return f'<script type="text/plain" {name} data-src="{source}"></script>'


def _name(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
