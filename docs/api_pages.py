"""Pages of the library's public names, laid out for mkdocstrings whenever the site is built."""

from __future__ import annotations

import importlib
import importlib.util

import genoattn

# Page, title, and the rooms whose public names it shows; other rooms have a page of their own.
GROUPS = (
    ("read", "Reading", ("io", "cohort", "describe", "errors")),
    ("fit", "Fitting and predicting", ("fitting", "model")),
    ("table", "Interaction tables", ("interactions",)),
    ("test", "Claims and scans", ("inference", "scan")),
    ("design", "Suggestions", ("design",)),
)
# Packages whose names are public below their own, where the installation has them.
PACKAGES = ("attention", "simulate", "tokens", "plot", "views", "estimators", "report")


def pages() -> dict[str, tuple[str, str]]:
    """Title and Markdown of every page, by its name."""
    names: dict[str, list[str]] = {}
    for name, home in genoattn._HOME.items():
        room = home.split(".")[1]
        page = next((page for page, _, rooms in GROUPS if room in rooms), room)
        names.setdefault(page, []).append(f"genoattn.{name} {home}.{name}")
    for package in PACKAGES:
        names.setdefault(package, []).extend(_of_package(package))
    titles = {page: title for page, title, _ in GROUPS}
    order = [*titles, *(page for page in names if page not in titles)]
    return {
        page: (titles.get(page, f"genoattn.{page}"), _page(titles.get(page, f"genoattn.{page}"), names[page]))
        for page in order
        if names.get(page)
    }


def index_list() -> str:
    """Links to the pages with the names on them."""
    lines = []
    for page, (title, text) in pages().items():
        shown = [line.split(": ")[1] for line in text.splitlines() if line.startswith("      heading")]
        lines.append(f"* [{title}]({page}.md): {', '.join(f'`{name}`' for name in shown)}")
    return "\n".join(lines)


def _of_package(package: str) -> list[str]:
    if importlib.util.find_spec(f"genoattn.{package}") is None:
        return []
    module = importlib.import_module(f"genoattn.{package}")
    shown = {name: getattr(module, name) for name in getattr(module, "__all__", ())}
    return [
        f"genoattn.{package}.{name} {thing.__module__}.{name}"
        for name, thing in shown.items()
        if getattr(thing, "__module__", "").startswith("genoattn.") and name not in genoattn._HOME
    ]


def _page(title: str, names: list[str]) -> str:
    parts = [f"# {title}"]
    for entry in names:
        shown, home = entry.split()
        label = shown.split(".")[-1]
        parts.append(f"::: {home}\n    options:\n      heading: {shown}\n      toc_label: {label}")
    return "\n\n".join(parts) + "\n"
