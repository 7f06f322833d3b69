"""The notebooks run from top to bottom, and what is kept of them is right, small and of no machine."""

import re
import runpy
from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
executed = runpy.run_path(str(FOLDER / "execute.py"))["executed"]
NOTEBOOKS = {path.stem: path for path in sorted(FOLDER.glob("*.ipynb"))}
MACHINE = re.compile(
    r"/(home|root|tmp|work|usr|opt|Users|private|var)/|site-packages|[A-Z]:\\\\|ipykernel_\d"
)


def outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def shown(notebook):
    """Kinds of all that cells show, in their order; streams may come in pieces."""
    return [sorted(output.data) for output in outputs(notebook) if output.output_type != "stream"]


def texts(notebook):
    """Sources, streams and all shown as text; not the bytes of pictures."""
    kept = [cell.source for cell in notebook.cells]
    for output in outputs(notebook):
        kept.append(output.get("text", ""))
        kept += [text for kind, text in output.get("data", {}).items() if kind.startswith("text/")]
    return "\n".join(kept)


@pytest.fixture(scope="module")
def saved():
    return {name: nbformat.read(path, as_version=4) for name, path in NOTEBOOKS.items()}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_and_shows_what_it_showed(name, saved):
    new = executed(NOTEBOOKS[name])  # an error ends it
    assert not MACHINE.search(texts(new))
    assert shown(new) == shown(saved[name])


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_what_is_kept_of_a_notebook(name, saved):
    notebook = saved[name]
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "run make notebooks"
    kinds = {output.output_type for output in outputs(notebook)}
    assert kinds <= {"stream", "display_data", "execute_result"}
    assert not [output for output in outputs(notebook) if output.get("name") == "stderr"]
    assert not MACHINE.search(texts(notebook))
    assert NOTEBOOKS[name].stat().st_size < 350_000
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith("# ")
    assert any("image/png" in o.get("data", {}) for o in outputs(notebook))


def test_the_index_lists_every_notebook():
    listed = re.findall(r"^\| \[(\w+)\.ipynb\]\((\w+)\.ipynb\)", (FOLDER / "README.md").read_text(), re.M)
    assert sorted(listed) == [(name, name) for name in NOTEBOOKS]


def test_the_cross_finds_the_known_pair(saved):
    first = texts(saved["cross"]).split("Top terms of order 2:")[1].strip().splitlines()[1]
    assert "GA1" in first
    assert "GH.117C" in first


def test_the_cohort_claims_large_interactions_and_no_false_ones(saved):
    said = texts(saved["cohort"])
    assert "4 claims, 0 of them false; 5 true interactions" in said
    assert re.search(r"0\.4% +not claimed", said)
    assert re.search(r"of 0.05, of [\d,]+ pairs tested here and in 40 resampled traits: 0<", said)


def test_the_table_is_read_without_torch(saved):
    assert texts(saved["table"]).count("torch was imported: False\n") == 2
