"""README and docs: short enough, with links that lead somewhere, and every page in the site."""

import re
from pathlib import Path

import pytest
from docs_blocks import PAGES, ROOT, blocks

LINKED = sorted({*PAGES, *ROOT.glob("*.md"), *ROOT.glob("data/*.md")})
LANGUAGES = {"sh", "python", "text", "toml"}
# Blocks that a test cannot run: they install, need a GPU, or need what was interrupted.
MOST_NOT_RUN = 10


def anchors(page: Path) -> set[str]:
    """Headings of a page as links name them: lower case, no punctuation, hyphens for spaces."""
    headings = re.findall(r"(?m)^#+ (.+)$", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        place = page.parent / name if name else page
        assert place.exists(), target
        assert not anchor or anchor in anchors(place), target


def test_readme_is_short() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= 150
    assert "make test" in readme


def test_every_page_is_in_the_site_and_the_reverse() -> None:
    named = set(re.findall(r"[\w/]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    assert named == {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_are_short_and_their_blocks_say_what_they_are(page: Path) -> None:
    assert len(page.read_text(encoding="utf-8").splitlines()) <= 150
    assert {block.language for block in blocks(page)} <= LANGUAGES


def test_few_blocks_are_not_run() -> None:
    skipped = [block for page in PAGES for block in blocks(page) if block.reason]
    assert all(block.language in ("sh", "python") for block in skipped)
    assert len(skipped) <= MOST_NOT_RUN, [str(block) for block in skipped]
