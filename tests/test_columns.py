"""Rows written without pandas: the same files as pandas writes of the same rows."""

import io
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from genoattn.interactions.columns import TermColumns, format_terms

TEXT = np.array(["rs1", "a\tb", 'say "x"', "é"], dtype=object)


@pytest.fixture
def columns():
    return TermColumns(
        {
            "site_1": TEXT,
            "pos_1": np.array([5, 7, 2**40, 0]),
            "p_value": np.array([1e-300, np.nan, 1 / 3, -2.0]),
            "n_samples": np.arange(4),
            "flag": np.array(["", "rare", "", "linked"], dtype=object),
        }
    )


def test_tsv_is_that_of_pandas(columns):
    expected = columns.to_frame().to_csv(sep="\t", index=False, float_format="%.12g")
    assert columns.to_tsv().decode() == expected
    assert columns.to_tsv("%.3g").decode().splitlines()[3].split("\t")[2] == "0.333"


def test_parquet_reads_back(columns):
    content = io.BytesIO(columns.to_parquet('{"trait": "y"}'))
    table = pq.read_table(content)
    assert table.schema.metadata[b"genoattn"] == b'{"trait": "y"}'
    frame = columns.to_frame()
    assert frame.dtypes[["pos_1", "n_samples"]].tolist() == ["Int64", "Int64"]
    pd.testing.assert_frame_equal(table.to_pandas(), frame, check_dtype=False)


def test_selection(columns):
    chosen = columns.select(np.array([2, 0]))
    assert (len(columns), len(chosen)) == (4, 2)
    assert chosen["site_1"].tolist() == ['say "x"', "rs1"]
    assert columns.select(slice(1))["n_samples"].tolist() == [0]


def test_no_rows(columns):
    none = columns.select(slice(0))
    assert none.to_tsv() == b"site_1\tpos_1\tp_value\tn_samples\tflag\n"
    assert pq.read_table(io.BytesIO(none.to_parquet("{}"))).num_rows == 0


def test_writing_does_not_load_pandas():
    code = (
        "import sys, numpy as np\n"
        "from genoattn.interactions.columns import TermColumns\n"
        "c = TermColumns({'a': np.array(['x'], dtype=object), 'b': np.ones(1), 'c': np.ones(1, int)})\n"
        "c.to_tsv(), c.to_parquet('{}')\n"
        "sys.exit('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_listing_lines_up():
    rows = {
        "site_1": ["rs1", "rs20"],
        "chrom_1": ["1", "1"],
        "pos_1": [10, 200],
        "state_1": ["A", "G"],
        "site_2": ["2:5:A:C", "K3"],
        "chrom_2": ["2", ""],
        "pos_2": [5, 3],
        "state_2": ["C", "R"],
        "coefficient": [0.5, -1.25],
        "coefficient_sd": [0.25, np.nan],
        "effect": [0.4, np.nan],
        "se": [0.1, np.nan],
        "p_value": [6.3e-5, np.nan],
        "q_value": [0.01, np.nan],
        "flag": ["", "linked"],
    }
    # 0.5 -+ 1.96 * 0.25 and 0.4 -+ 1.96 * 0.1; what was not tested is blank.
    cells = [
        ("term", "rs1[A] (1:10) x 2:5:A:C[C]", "rs20[G] (1:200) x K3[R]"),
        ("coefficient", "+0.5 (+0.01 to +0.99)", "-1.25"),
        ("effect (95 %)", "+0.4 (+0.204 to +0.596)", ""),
        ("q_value", "0.01", ""),
        ("flag", "", "linked"),
    ]
    widths = [26, 21, 23, 7, 6]
    lines = ["  ".join(c[k].rjust(w) for c, w in zip(cells, widths, strict=True)).rstrip() for k in range(3)]
    assert format_terms(rows, 2).splitlines() == lines
    # Of a scan the coefficient is the effect: its p-value instead.
    scanned = format_terms(rows | {"coefficient": [0.4, 0.2], "effect": [0.4, 0.2]}, 2)
    assert "coefficient" not in scanned
    assert "6.3e-05" in scanned
