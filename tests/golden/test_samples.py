"""The committed sample pages are what the committed results give today; of those without results, what shows it."""

import base64
import gzip
import hashlib
import html
import re

import pytest

from rnnreport.report.assets import REPORT_SCRIPTS, page_assets
from rnnreport.report.light import make_light
from rnnreport.report.numbers import chapters
from tests.golden.update import SAMPLES, SHORT, SHOWN, sample_pages

_PAYLOAD = re.compile(r'(<script type="text/plain" (?:id="payload"|class="packed")>)([^<]*)(</script>)')


def unpacked(page: str) -> str:
    """Compression may differ between builds of zlib; what it holds may not."""

    def digest(found: re.Match[str]) -> str:
        return found[1] + hashlib.sha256(gzip.decompress(base64.b64decode(found[2]))).hexdigest() + found[3]

    return _PAYLOAD.sub(digest, page)


@pytest.fixture(scope="module")
def rendered():
    return sample_pages()


@pytest.mark.parametrize("name", ["lstm/report.html", "lstm/summary.md", "compare.html", "index.html"])
def test_sample_is_current(rendered, name):
    committed = (SAMPLES / name).read_text(encoding="utf-8")
    if unpacked(committed) != unpacked(rendered[name]):  # a diff of two pages is too long to print
        pytest.fail(f"sample_reports/{name} is not what its results give: look at it, then `make samples`")


@pytest.mark.parametrize("name", SHORT)
def test_a_sample_without_results_has_the_scripts_and_styles_of_today(name):
    page, assets = (SAMPLES / name / "report.html").read_text(encoding="utf-8"), page_assets(REPORT_SCRIPTS)
    current = html.escape(assets.policy, quote=True).replace("&#x27;", "&#39;") in page and assets.style in page
    entries = {entry.formula for chapter in chapters() for entry in chapter.entries}
    said = [html.unescape(text) for text in re.findall(r'<dt id="number-[^>]*>[^<]*</dt><dd>([^<]*)<p>', page)]
    assert current and said and set(said) <= entries, f"sample_reports/{name} is of an earlier version: `make samples`"


@pytest.mark.parametrize("page", sorted(SAMPLES.rglob("*.html")), ids=lambda page: page.parent.name + page.stem)
def test_sample_is_small(page):
    assert page.stat().st_size < 3_500_000


@pytest.mark.parametrize("name", [SHOWN, *SHORT])
def test_a_sample_is_small_as_a_light_page(name):
    made = make_light((SAMPLES / name / "report.html").read_text(encoding="utf-8"), "assets")
    own = sum(len(data) for file, data in made[1].items() if file.startswith("data-"))
    assert len(made[0].encode()) + own < 1_000_000


def test_the_gallery_names_every_page_and_links_to_pages_only():
    text = (SAMPLES / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(([^)]+)\)", text))
    there = {path.relative_to(SAMPLES).as_posix() for path in SAMPLES.rglob("*.html")}
    assert there <= linked
    assert all((SAMPLES / name).exists() for name in linked)


def test_a_changed_result_changes_the_page(rendered):
    """The comparison above is able to fail."""
    page = rendered["lstm/report.html"]
    block = _PAYLOAD.search(page)[2]
    data = bytearray(gzip.decompress(base64.b64decode(block)))
    data[100] ^= 1
    other = page.replace(block, base64.b64encode(gzip.compress(bytes(data))).decode())
    assert unpacked(other) != unpacked(page)
