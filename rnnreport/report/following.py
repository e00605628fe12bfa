"""A page that loads itself again from disk while the training behind it goes on.

Beside the page lies its stamp, a style sheet of one line: a page opened from disk may read nothing else. The page looks
at the stamp, and its content security policy allows style sheets from disk for that; everything else stays forbidden.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from rnnreport.report.place import template_folder


def stamp_of(page: Path) -> Path:
    """Where the stamp of a page lies."""
    return page.with_suffix(".stamp.css")


def follow(html: str, page: Path) -> tuple[str, str]:
    """Make a page that loads itself again.

    Parameters
    ----------
    html : str, a page of ``render_report``
    page : Path, where it will lie

    Returns
    -------
    str, str
        The page, and the content of its stamp; write the page first.
    """
    script = (template_folder() / "assets" / "following.js").read_text(encoding="utf-8")
    digest = hashlib.sha256(html.encode("utf-8", errors="replace")).hexdigest()[:16]
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    head, found, rest = html.partition("</head>")
    body, _, end = rest.rpartition("</body>")
    head = head.replace("script-src ", f"script-src 'sha256-{allowed}' ", 1)
    head = head.replace("style-src ", "style-src file: ", 1)
    meta = f'<meta name="rnnreport-page" content="{digest}" data-stamp="{stamp_of(page).name}">\n'
    followed = f"{head}{meta}{found}{body}<script>{script}</script>\n</body>{end}"
    return followed, f':root {{ --rnnreport-page: "{digest}"; }}\n'
