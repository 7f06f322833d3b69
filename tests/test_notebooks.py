"""The notebooks run from top to bottom."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


SLOW = {"paper"}  # half a minute of training


@pytest.mark.parametrize(
    "path",
    [pytest.param(p, marks=[pytest.mark.validation] if p.stem in SLOW else []) for p in NOTEBOOKS],
    ids=lambda p: p.stem,
)
def test_notebook_runs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(path.parent)}}).execute()
    errors = [o for cell in notebook.cells for o in cell.get("outputs", []) if o["output_type"] == "error"]
    assert not errors
    assert any("image/png" in o.get("data", {}) for cell in notebook.cells for o in cell.get("outputs", []))


def test_arabidopsis_notebook_finds_the_known_pair() -> None:
    path = next(p for p in NOTEBOOKS if p.stem == "arabidopsis")
    saved = nbformat.read(path, as_version=4)
    text = "".join(o.get("text", "") for cell in saved.cells for o in cell.get("outputs", []))
    first = text.split("Top terms of order 2:")[1].strip().splitlines()[1]
    assert "GA1" in first
    assert "GH.117C" in first
