"""Light pages for sites: what all reports share lies in one file beside them, and so do the numbers of each.

A page is taken as it was rendered: only elements that hold nothing but base64 text are replaced, and text from outside
is never such an element, because "<" is escaped in it. Reading files needs a server; a page opened from disk cannot.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import re

_PACKED = re.compile(r'<script type="text/plain" class="packed">([A-Za-z0-9+/=]*)</script>\n?')
_PAYLOAD = re.compile(r'<script type="text/plain" id="payload">([A-Za-z0-9+/=]*)</script>')
_POLICY = re.compile(r'(<meta http-equiv="Content-Security-Policy" content="[^"]*?script-src [^"]*?)(; style-src )')
_READS_FILES = "dataset.src"  # in templates/assets/unpack.js, since pages can be light


def make_light(page: str, assets: str) -> tuple[str, dict[str, bytes]] | None:
    """Take the scripts and the numbers out of a page.

    Parameters
    ----------
    page : str, a report as it was rendered
    assets : str, relative link from the light page to the folder of the files, without a slash at its end

    Returns
    -------
    (str, dict) or None
        The light page and its files by name; the names are hashes of what the files hold, so that reports of one
        version share the one with the scripts. None for a page of an earlier version, which cannot read files.
    """
    scripts, payload = _PACKED.findall(page), _PAYLOAD.search(page)
    if not scripts or payload is None or _READS_FILES not in page:
        return None
    script = b"\n;\n".join(gzip.decompress(base64.b64decode(text)) for text in scripts)
    shared, own = gzip.compress(script, compresslevel=9, mtime=0), base64.b64decode(payload[1])
    names = (f"rnnreport-{_name(script)}.bin", f"data-{_name(own)}.bin")
    allowed = base64.b64encode(hashlib.sha256(script).digest()).decode("ascii")
    more = f" &#39;sha256-{allowed}&#39;; connect-src &#39;self&#39;"
    made = _POLICY.sub(lambda found: f"{found[1]}{more}{found[2]}", page, count=1)
    made = _PAYLOAD.sub(_element('id="payload"', f"{assets}/{names[1]}"), made, count=1)
    made = _PACKED.sub(_element('class="packed"', f"{assets}/{names[0]}") + "\n", made, count=1)
    return _PACKED.sub("", made), dict(zip(names, (shared, own), strict=True))


def _element(name: str, source: str) -> str:
    return f'<script type="text/plain" {name} data-src="{source}"></script>'


def _name(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
