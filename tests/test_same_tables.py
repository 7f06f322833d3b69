"""One cohort in every format of genotypes gives the same tables, byte for byte."""

from __future__ import annotations

import bgen
import numpy as np
import pytest
from cli_files import run_in_process
from genotype_files import write_rows
from oracles_genotypes import Row

N_SAMPLES = 120
NAMES = ("x.vcf", "x.vcf.gz", "x.plain.vcf.gz", "x.bcf", "x.bed", "x.pgen", "x.vcz")
TABLES = ("interactions.tsv", "variance_components.tsv")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """The folder with the files, and the table of the trait."""
    folder = tmp_path_factory.mktemp("formats")
    rng = np.random.default_rng(2)
    copies = rng.binomial(2, rng.uniform(0.2, 0.5, 20), (N_SAMPLES, 20))
    words = np.where(rng.random(copies.shape) < 0.02, "./.", np.array(["0/0", "0/1", "1/1"])[copies])
    samples = [f"s{i}" for i in range(N_SAMPLES)]
    rows = [
        Row("12"[k // 10], 1000 + 7 * k, f"rs{k}", "A", ("G",), tuple(column))
        for k, column in enumerate(words.T)
    ]
    for name in NAMES:
        write_rows(folder / name, samples, rows)
    with bgen.BgenWriter(str(folder / "x.bgen"), N_SAMPLES, samples=samples) as file:
        for row, column in zip(rows, words.T, strict=True):
            probabilities = np.array(
                [np.eye(3)[w.count("1")] if w[0] != "." else [np.nan] * 3 for w in column]
            )
            file.add_variant(
                "", row.name, row.chrom, row.pos, ["A", "G"], probabilities, ploidy=2, bit_depth=8
            )
    x = copies - copies.mean(axis=0)
    y = 2 * x[:, 3] * x[:, 14] + x[:, 5] + rng.normal(size=N_SAMPLES)
    # Some samples have no value, so that they are never read.
    lines = [f"{name}\t{value}\n" for name, value in zip(samples, y, strict=True)][5:]
    (folder / "y.tsv").write_text("IID\ty\n" + "".join(lines))
    return folder


def tables(capsys, folder, name, *command):
    out = folder / f"{name}.{command[0]}"
    done = run_in_process(
        [command[0], folder / name, "--pheno", folder / "y.tsv", *command[1:], "-o", out], capsys
    )
    assert done.status == 0
    return {table: (out / table).read_bytes() for table in TABLES if (out / table).exists()}


@pytest.mark.parametrize(
    "command", [("scan", "--threshold", "0.1"), ("fit", "--seed", "1")], ids=["scan", "fit"]
)
def test_every_format_gives_the_same_tables(capsys, cohort, command):
    first = tables(capsys, cohort, NAMES[0], *command)
    assert len(first["interactions.tsv"].splitlines()) > 2
    for name in (*NAMES[1:], "x.bgen"):
        found = tables(capsys, cohort, name, *command)
        for table, content in first.items():
            assert found[table] == content, f"{table} of {name}"
