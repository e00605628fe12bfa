"""How each number is made: every figure links to entries that exist, and every entry says where in the code it is."""

import re
from pathlib import Path

import pytest

from rnnreport.report.numbers import chapters, linked_chapters, numbers_of

ENTRIES = [entry for chapter in chapters() for entry in chapter.entries]


def frames(page: str) -> dict[str, str]:
    """Figures by their names, each up to the next one."""
    parts = re.split(r'<figure class="frame[^"]*" id="figure-([\w-]+)"', page)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.fixture(scope="module")
def pages(page_files) -> dict[str, str]:
    return {name: path.read_text(encoding="utf-8") for name, path in page_files.items()}


@pytest.mark.parametrize("kind", ["report", "comparison"])
def test_every_figure_links_to_how_its_numbers_are_made(pages, kind):
    shown = frames(pages[kind])
    assert len(shown) > 8
    without = [name for name, text in shown.items() if 'href="#number-' not in text.partition("</figure>")[0]]
    # which needs an item "Shown in" of templates/numbers/*.md that names them
    assert without == []


@pytest.mark.parametrize("kind", ["report", "comparison", "index"])
def test_every_link_has_its_entry_once(pages, kind):
    page = pages[kind]
    linked = set(re.findall(r'href="#(number-[^"]+)"', page))
    there = re.findall(r'id="(number-[^"]+)"', page)
    assert linked and sorted(there) == sorted(linked)
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(re.findall(r'id="([^"]+)"', page))


def test_the_appendix_is_small_folded_and_names_no_host(pages):
    section = pages["report"].partition('<section id="numbers"')[2].partition("</section>")[0]
    assert 10_000 < len(section.encode()) < 40_000
    assert "<details" in section and "<details open" not in section
    assert "http" not in section and "www." not in section


def test_verdict_and_scores_link_too(pages):
    overview = pages["report"].partition('id="overview"')[2].partition("</section>")[0]
    assert {"#number-checks", "#number-verdict", "#number-accuracy-and-other-scores"} <= set(
        re.findall(r'href="([^"]+)"', overview)
    )


def test_an_entry_that_nothing_links_to_is_left_out():
    (chapter,) = linked_chapters('<a href="#number-kept-rate">Kept rate</a>')
    assert [entry.title for entry in chapter.entries] == ["Kept rate"]
    assert linked_chapters('<a href="#units">') == ()


def test_every_entry_is_read_and_has_an_anchor_of_its_own(root):
    written = [
        line
        for path in (root / "templates" / "numbers").glob("*.md")
        if path.name != "README.md"
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("## ")
    ]
    assert sorted(line[3:] for line in written) == sorted(entry.title for entry in ENTRIES)
    assert len({entry.anchor for entry in ENTRIES}) == len(ENTRIES)
    index = (root / "templates" / "numbers" / "README.md").read_text(encoding="utf-8")
    assert {path.name for path in (root / "templates" / "numbers").glob("*.md")} - {"README.md"} == set(
        re.findall(r"\]\((\w+\.md)\)", index)
    )


def test_entries_name_figures_that_templates_have(root):
    markup = "".join(path.read_text(encoding="utf-8") for path in (root / "templates").rglob("*.j2"))
    named = set(re.findall(r'ui\.(?:frame|made)\("([\w-]+)"', markup)) | {"curve-loss", "curve-score"}
    for entry in ENTRIES:
        assert set(entry.figures) <= named, entry.title
    assert numbers_of("kept")[0].title == "Kept rate"


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.anchor)
def test_the_code_is_where_an_entry_says(root, entry):
    """A path from the root, a file beside the one before, or a name in it."""
    path: Path = root
    for name in re.findall(r"`(.+?)`", entry.code):
        if "/" in name or name.endswith((".py", ".js")):
            path = root / name if "/" in name else path.parent / name
            assert path.is_file(), name
        else:
            assert re.search(rf"\b(?:def|class) {name}\b", path.read_text(encoding="utf-8")), name


def test_what_the_entries_say_of_parameters_is_what_the_code_uses():
    """The numbers that stand in the formulas, against the defaults."""
    from rnnreport.analyses.cocluster import CoclusterParams
    from rnnreport.analyses.health import HealthParams
    from rnnreport.analyses.jumps import JumpParams
    from rnnreport.analyses.mmphate.embed import EmbedParams
    from rnnreport.analyses.mmphate.formation import FormationParams
    from rnnreport.analyses.mmphate.kernel import SMALLEST, KernelParams
    from rnnreport.analyses.projection import ProjectionParams
    from rnnreport.analyses.rules.evidence import Thresholds
    from rnnreport.analyses.similar import SimilarParams
    from rnnreport.formulas import BANDS, MOST_WORDS

    said = {entry.title: entry.formula for entry in ENTRIES}
    health, rules, kernel = HealthParams(), Thresholds(), KernelParams()
    jump, formed, maps = JumpParams(), FormationParams(), ProjectionParams()
    for title, values in {
        "Faulty units": (health.dead_below, health.saturated_at, health.duplicate_above),
        "Closed and open gates": (health.closed_below, health.open_above, f"{health.stuck_steps:.0%}"),
        "Checks": (rules.rise_of_loss, rules.saturated_share, rules.stuck_share, rules.remaining_directions),
        "Kernel of MM-PHATE": (f"{kernel.inter_neighbours}th", f"{kernel.intra_neighbours}nd"),
        "Diffusion time t": (f"{EmbedParams().landmarks:,}",),
        "Inputs that are analysed": (MOST_WORDS,),
        "Spread of a response": tuple(f"{band}" for band in BANDS),
        "Stability and cut": (f"{CoclusterParams().most_unassigned:.0%}", CoclusterParams().smallest_default),
        "Jumps": (jump.fewest,),
        "Over-represented tokens": (f"{jump.largest_share:.0%}", f"{jump.level:.0%}"),
        "Final geometry and abrupt changes": (formed.final_similarity, formed.resamples, f"{formed.support:.0%}"),
        "Trustworthiness and continuity": (maps.neighbours,),
        "t-SNE, PCA and PHATE": (
            *(f"{one:.0f}" for one in maps.perplexities),
            f"{maps.phate_states:,}",
            maps.landmarks,
        ),
        "Similar states": (f"{SimilarParams().pairs:,}",),
    }.items():
        for value in values:
            assert str(value) in said[title], f"{title}: {value}"
    assert SMALLEST == 1e-4 and "10⁻⁴" in said["Kernel of MM-PHATE"] and kernel.alpha == 5
