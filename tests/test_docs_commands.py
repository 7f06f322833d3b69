"""Every command and every piece of Python in README and docs runs as it is written, on small files."""

import shutil
from pathlib import Path

import docs_files
import pytest
from docs_blocks import PAGES, ROOT, Block, blocks, run_page

import genoattn

# Folders of fits that pages use without making them.
FITTED = ("height", "fitness", "antibody")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that pages name, and fits of them."""
    folder = tmp_path_factory.mktemp("docs") / "files"
    docs_files.write_all(folder)
    cohort = genoattn.read(folder / "cohort.vcf.gz", folder / "traits.tsv", trait="height")
    genoattn.fit(cohort, order=2).save(folder / "height")
    variants = genoattn.read(folder / "variants.fasta", folder / "fitness.tsv", trait="fitness")
    genoattn.fit(variants, order=2, gauge="reference").save(folder / "fitness")
    return folder


def working_folder(page: Path, files: Path, folder: Path) -> Path:
    """A folder with the files, without the outputs that the page itself makes."""
    text = page.read_text(encoding="utf-8")
    made = {name for name in FITTED if f"-o {name}\n" in text or f'save("{name}")' in text}
    return Path(shutil.copytree(files, folder / "here", ignore=shutil.ignore_patterns(*made)))


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(b.language in ("sh", "python") and not b.reason for b in blocks(page))],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_page_runs_as_written(page, files, tmp_path, monkeypatch):
    monkeypatch.chdir(working_folder(page, files, tmp_path))
    monkeypatch.setenv("MPLBACKEND", "Agg")
    printed = run_page(page)
    if page.name == "README.md" and page.parent == ROOT:
        # The example data are there as they are, so that the pair of the text must come out.
        assert "GA1[C] (4:902700) x GH.117C[C] (5:3535600)" in printed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("genoattn info there_is_none.vcf", "docs.md:3"),
        ("bcftools view cohort.vcf.gz", "run it here, or say why not"),
        ("open there_is_none.html", "docs.md:3"),
    ],
)
def test_a_command_that_fails_is_seen(text, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "docs.md"
    page.write_text(f"# Title\n\n```sh\n{text}\n```\n")
    monkeypatch.setattr(Block, "__str__", lambda block: f"{block.page.name}:{block.line}")
    with pytest.raises(AssertionError, match=message):
        run_page(page)


def test_a_marked_block_is_not_run(tmp_path):
    page = tmp_path / "docs.md"
    page.write_text("<!-- not run: needs a GPU -->\n```python\nraise ValueError\n```\n")
    assert [block.reason for block in blocks(page)] == ["needs a GPU"]
    run_page(page)
