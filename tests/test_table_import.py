"""A finished table is read at little more than the cost of importing pandas."""

import resource
import subprocess
import sys

import pytest
from small_cohorts import planted

import genoattn

# What a table does without: training, compiled kernels, plots, statistics, and the readers of genotypes.
HEAVY = ("torch", "numba", "matplotlib", "sklearn", "scipy.stats", "pysam", "Bio", "genoattn.io")
READ = "import genoattn; table = genoattn.load_interactions({folder!r})"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "scan"
    genoattn.scan_pairs(planted(200, 8), threshold=1.0).save(path)
    return path


def seconds(code):
    """Processor time of a new interpreter that runs the code."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("name", ["", "interactions.tsv", "interactions.parquet"])
def test_a_table_is_read_without_what_fits_and_scans_need(folder, name):
    code = READ.format(folder=str(folder / name))
    code += f"; import sys; print(len(table), [m for m in {HEAVY} if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert said.stdout == "28 []\n"  # 8 sites have 28 pairs


def test_reading_a_table_adds_little_to_the_import_of_pandas(folder):
    code = READ.format(folder=str(folder))
    # In turns, and the quickest of each, so that other work on the machine weighs on both alike.
    runs = [[seconds(c) for c in ("pass", "import pandas", code)] for _ in range(4)]
    bare, pandas, read = (min(column) for column in zip(*runs, strict=True))
    assert read - bare < 1.25 * (pandas - bare)  # measured: 1.13
