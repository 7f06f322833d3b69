"""What pyproject.toml declares is what the library imports, both ways."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OWN = {"genoattn", "genoattn_cli"}
# Distributions whose modules have another name.
DISTRIBUTION = {
    "Bio": "biopython",
    "allel": "scikit-allel",
    "axe_playwright_python": "axe-playwright-python",
    "bed_reader": "bed-reader",
    "pytorch_lightning": "pytorch-lightning",
    "sklearn": "scikit-learn",
    "tomli_w": "tomli-w",
}
# Tools that tests run, not import: plug-ins of pytest, the kernel of the notebooks, the backend of the wheel.
RUN_BY_TESTS = {"pytest-cov", "pytest-xdist", "nbclient", "ipykernel", "build", "hatchling"}


def imported(*folders: str) -> set[str]:
    """Distributions whose modules are imported anywhere in the folders, also within functions."""
    modules: set[str] = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
                modules.add(node.module.split(".")[0])
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.importorskip":
                modules.add(ast.literal_eval(node.args[0]).split(".")[0])
    modules -= {*sys.stdlib_module_names, *OWN}
    return {DISTRIBUTION.get(module, module) for module in modules}


def declared(requirements: list[str]) -> set[str]:
    """Names of requirements."""
    return {re.match(r"[A-Za-z0-9-]+", requirement)[0] for requirement in requirements}  # type: ignore[index]


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_library_imports_what_is_declared_and_nothing_else(project: dict) -> None:
    assert imported("genoattn", "cli") == declared(project["dependencies"])


def test_tests_import_what_is_declared_and_nothing_else(project: dict) -> None:
    helpers = {path.stem for folder in ("tests", "docs") for path in (ROOT / folder).glob("*.py")}
    ours = declared(project["dependencies"])
    extra = declared(project["optional-dependencies"]["test"])
    assert imported("tests") - helpers - ours == extra - RUN_BY_TESTS
    assert not extra & ours


def test_every_requirement_has_a_lowest_version_and_a_tested_one(project: dict) -> None:
    extras = project["optional-dependencies"]
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    for requirement in [*project["dependencies"], *extras["test"], *extras["dev"]]:
        (name,) = declared([requirement])
        assert ">=" in requirement, requirement
        assert f"\n{name.lower()}==" in pins, name
