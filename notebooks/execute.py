"""Run notebooks and write them with what they show: ``python notebooks/execute.py [NAME ..]``, or all.

The files do not say when or where they ran: without a change they stay as they are, but for times they print.
"""

import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent


def executed(path: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs of a new run, which ends at the first error."""
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=600, resources=where, record_timing=False).execute()
    notebook.metadata.language_info = {"name": "python"}
    return notebook


def main(names: list[str]) -> None:
    """Run the notebooks of these names, all by default, and say how long each took."""
    for path in [HERE / f"{name}.ipynb" for name in names] or sorted(HERE.glob("*.ipynb")):
        start = time.perf_counter()
        nbformat.write(executed(path), path)
        print(
            f"{path.name}: {time.perf_counter() - start:.0f} s, {path.stat().st_size / 1000:.0f} kB",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
