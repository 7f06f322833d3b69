"""What mkdocs does when it builds the site: pages made from the code, and figures of the benchmarks."""

from __future__ import annotations

import re
from typing import Any

import api_pages
import cli_pages
import error_pages
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

FIGURES = "benchmarks/results/"
# Lists that stand in a page of the repository where the site has the generated pages below it.
LISTS = {"<!-- commands -->": cli_pages.index_table, "<!-- errors -->": error_pages.index_list,
         "<!-- names -->": api_pages.index_list}  # fmt: skip


def _generated() -> dict[str, dict[str, tuple[str, str]]]:
    """Title and text of the generated pages, by folder and name."""
    errors = {error_pages.theme_of(message.file) for message in error_pages.messages()}
    return {
        "commands": {
            name: (f"genoattn {name}", cli_pages.command_page(name)) for name in cli_pages.commands()
        },
        "errors": {
            page: (title, error_pages.theme_page(page))
            for page, title, _ in error_pages.THEMES
            if page in errors
        },
        "api": api_pages.pages(),
    }


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Append the generated pages to the section of their folder."""
    pages = _generated()
    config.extra["generated"] = pages
    for section in config.nav or []:
        for entries in section.values():
            folder = _folder(entries)
            if folder in pages:
                entries.extend({title: f"{folder}/{name}.md"} for name, (title, _) in pages[folder].items())
    return config


def _folder(entries: Any) -> str:
    first = entries[0] if isinstance(entries, list) else ""
    return first.split("/")[0] if isinstance(first, str) else ""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and the figures that benchmarks keep outside the documentation."""
    for folder, pages in config.extra.pop("generated").items():
        for name, (_, text) in pages.items():
            files.append(File.generated(config, f"{folder}/{name}.md", content=text))
    root = error_pages.ROOT
    for figure in sorted((root / FIGURES).glob("*.png")):
        files.append(File.generated(config, f"{FIGURES}{figure.name}", abs_src_path=str(figure)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in lists of generated pages; figures of the benchmarks lie inside the site."""
    for mark, text in LISTS.items():
        if mark in markdown:
            markdown = markdown.replace(mark, text())
    above = "../" * (page.file.src_uri.count("/") + 1)
    return markdown.replace(f"]({above}{FIGURES}", f"]({above[3:]}{FIGURES}")


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Refuse a page that would load anything from the network when it is opened."""
    loaded = re.search(r'(?:\bsrc|<link\b[^>]*\bhref)="(?:https?:)?//[^"]*', output)
    if loaded:
        raise PluginError(f"{page.file.src_uri}: loads {loaded[0]}; keep it in docs/assets")
    return output
