"""The committed sample pages are what the committed results give today."""

import base64
import gzip
import hashlib
import re

import pytest

from tests.golden.update import SAMPLES, sample_pages

_PAYLOAD = re.compile(r'(<script type="text/plain" (?:id="payload"|class="packed")>)([^<]*)(</script>)')


def unpacked(page: str) -> str:
    """Compression may differ between builds of zlib; what it holds may not."""

    def digest(found: re.Match[str]) -> str:
        return found[1] + hashlib.sha256(gzip.decompress(base64.b64decode(found[2]))).hexdigest() + found[3]

    return _PAYLOAD.sub(digest, page)


@pytest.fixture(scope="module")
def rendered():
    return sample_pages()


@pytest.mark.parametrize("name", ["lstm/report.html", "lstm/summary.md", "compare.html"])
def test_sample_is_current(rendered, name):
    committed = (SAMPLES / name).read_text(encoding="utf-8")
    if unpacked(committed) != unpacked(rendered[name]):  # a diff of two pages is too long to print
        pytest.fail(f"sample_reports/{name} is not what its results give: look at it, then `make samples`")


@pytest.mark.parametrize("name", ["lstm/report.html", "compare.html"])
def test_sample_is_small(name):
    assert (SAMPLES / name).stat().st_size < 3_000_000


def test_a_changed_result_changes_the_page(rendered):
    """The comparison above is able to fail."""
    page = rendered["lstm/report.html"]
    block = _PAYLOAD.search(page)[2]
    data = bytearray(gzip.decompress(base64.b64decode(block)))
    data[100] ^= 1
    other = page.replace(block, base64.b64encode(gzip.compress(bytes(data))).decode())
    assert unpacked(other) != unpacked(page)
