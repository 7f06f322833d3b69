"""Pages that are made from the code: commands, errors, public names."""

import re
import sys

import pytest
from docs_blocks import ROOT

import genoattn

sys.path.insert(0, str(ROOT / "docs"))
import api_pages
import cli_pages
import error_pages


@pytest.mark.parametrize("name", cli_pages.commands())
def test_page_of_a_command_has_every_option(name):
    page = cli_pages.command_page(name)
    for parameter in cli_pages.commands()[name].params:
        for spelling in [] if parameter.param_type_name == "argument" else parameter.opts:
            assert f"`{spelling}" in page, spelling
    panels = {getattr(p, "rich_help_panel", None) for p in cli_pages.commands()[name].params} - {None}
    assert panels <= set(re.findall(r"(?m)^## (.+)$", page))


def test_page_of_a_command_has_choices_defaults_and_what_is_required():
    page = cli_pages.command_page("fit")
    assert "genoattn fit COHORT -o DIR [OPTIONS]" in page
    assert "`--gauge {reference,zero-sum,frequency}` | " in page
    assert "`frequency` |" in page
    assert re.search(r"\| `-o`, `--output DIR` \| .+ \| required \|", page)


def test_every_error_message_says_what_to_do():
    # Behind a semicolon, or in CURES of error_pages.
    assert [f"{m.file}: {m.found}" for m in error_pages.messages() if not m.cure] == []


def test_every_cure_of_the_pages_is_of_a_message():
    found = [message.found for message in error_pages.messages()]
    assert [part for part in error_pages.CURES if not any(part in text for text in found)] == []


def test_messages_are_read_from_the_code(tmp_path, monkeypatch):
    folder = tmp_path / "genoattn" / "io"
    folder.mkdir(parents=True)
    (folder / "vcf.py").write_text(
        "_CURE = 'copy it again'\n"
        "def check(path, sites, n):\n"
        "    raise InputError(f'{path}: {len(sites)} sites of {n:,} in {sites.kind!r}; {_CURE}')\n"
    )
    monkeypatch.setattr(error_pages, "ROOT", tmp_path)
    assert error_pages.messages() == [
        error_pages.Message("io/vcf.py", "PATH: N sites of N in 'KIND'", "copy it again")
    ]
    assert error_pages.theme_page("genotypes").endswith(
        "`PATH: N sites of N in 'KIND'`\n:   Copy it again.\n"
    )
    assert error_pages.index_list() == "* [Genotype files](genotypes.md): 1"


def test_every_file_with_errors_has_a_theme():
    starts = tuple(start for _, _, theme in error_pages.THEMES for start in theme.split())
    assert [m.file for m in error_pages.messages() if not m.file.startswith(starts)] == []


def test_every_public_name_has_a_place():
    text = "".join(page for _, page in api_pages.pages().values())
    assert {f"genoattn.{name}" for name in genoattn.__all__} <= set(re.findall(r"heading: (\S+)", text))
    assert "heading: genoattn.attention.HyperAttention" in text
