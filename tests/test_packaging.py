"""What is shipped, what becomes importable, and that importing it is cheap."""

import hashlib
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import genoattn

ROOT = Path(__file__).parents[1]
DATA = ROOT / "data"
FOLDERS_NOT_PACKAGES = ("cli", "data", "tests", "notebooks", "benchmarks")


def run_python(code: str, cwd: Path) -> str:
    """Output of the code in a fresh interpreter that sees neither the working directory nor PYTHONPATH."""
    return subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=cwd, capture_output=True, text=True, check=True
    ).stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    built = subprocess.run(command, cwd=out, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = out.glob("*.whl")
    return zipfile.ZipFile(path)


def test_wheel_holds_the_two_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    top = {name.split("/")[0] for name in wheel.namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == {"genoattn", "genoattn_cli"}
    assert len(top) == 3


def test_wheel_holds_every_module(wheel: zipfile.ZipFile) -> None:
    def modules(folder: Path) -> set[str]:
        return {str(path.relative_to(folder.parent)) for path in folder.rglob("*.py")}

    expected = modules(ROOT / "genoattn") | modules(ROOT / "cli" / "genoattn_cli")
    assert "genoattn/cohort.py" in expected
    assert {name for name in wheel.namelist() if name.endswith(".py")} == expected


def test_wheel_holds_the_assets_of_the_report(wheel: zipfile.ZipFile) -> None:
    folder = ROOT / "genoattn" / "report" / "assets"
    expected = {f"genoattn/report/assets/{path.name}" for path in folder.iterdir()}
    assert "genoattn/report/assets/plotly-cartesian.min.js" in expected
    assert expected <= set(wheel.namelist())


def test_wheel_has_one_command_and_the_licence(wheel: zipfile.ZipFile) -> None:
    (entry_points,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    lines = wheel.read(entry_points).decode().split("\n")
    assert [line for line in lines if line.strip()] == [
        "[console_scripts]",
        "genoattn = genoattn_cli.main:main",
    ]
    (licence,) = [name for name in wheel.namelist() if name.endswith("licenses/LICENSE")]
    assert wheel.read(licence).decode().startswith("MIT License")


def test_installation_makes_no_folder_of_the_repository_importable(tmp_path: Path) -> None:
    code = (
        "import importlib.util\n"
        f"for name in {('genoattn', 'genoattn_cli', *FOLDERS_NOT_PACKAGES)!r}:\n"
        "    spec = importlib.util.find_spec(name)\n"
        "    places = [] if spec is None else [spec.origin, *(spec.submodule_search_locations or [])]\n"
        "    print(name, *[p for p in places if p], sep='\\t')\n"
    )
    places = {line.split("\t")[0]: line.split("\t")[1:] for line in run_python(code, tmp_path).splitlines()}
    assert places["genoattn"]
    assert places["genoattn_cli"]
    # A package of another project may bear one of these names; only ours must not.
    ours = [
        name
        for name in FOLDERS_NOT_PACKAGES
        if any(Path(p).resolve().is_relative_to(ROOT / name) for p in places[name])
    ]
    assert ours == []


@pytest.mark.parametrize("module", ["genoattn", "genoattn.simulate", "genoattn_cli"])
def test_import_is_cheap(module: str, tmp_path: Path) -> None:
    code = f"import sys, {module}; print(*sys.modules, sep='\\n')"
    loaded = set(run_python(code, tmp_path).splitlines())
    assert module in loaded
    assert loaded.isdisjoint({"torch", "pandas", "msprime", "pytorch_lightning", "statsmodels"})


def test_constraints_are_exact_and_name_no_place() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line) for line in lines)
    assert {"numpy", "pytest", "ruff", "torch"} <= {line.split("==")[0] for line in lines}


def test_data_checksums() -> None:
    readme = (DATA / "README.md").read_text()
    stated = {name: digest for digest, name in re.findall(r"(?m)^([0-9a-f]{64})  (\S+)$", readme)}
    files = [path for path in DATA.iterdir() if path.name != "README.md"]
    assert stated == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    assert "arabidopsis_ril.vcf.gz" in stated


def test_one_version_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert genoattn.__version__ == version
    assert f"\n## {version} - " in (ROOT / "CHANGELOG.md").read_text()
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"version {version}" in (ROOT / "README.md").read_text()
