"""Tables as Excel, R, pandas and Parquet write them: one reading, or one line that says what to change."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from read_files import SAMPLES, expect, genotypes, pheno
from vcf_files import write_text

from genoattn.errors import InputError
from genoattn.io import read
from genoattn.io.tables import MISSING_TEXT, numeric_column, read_columns, read_table

CASE = Path(__file__).parent / "cases" / "excel-blank-column"


def table(tmp_path, text):
    return read_table(write_text(tmp_path / "t.csv", text))


def refuse(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as caught:
        table(tmp_path, text)
    assert "\n" not in str(caught.value)


# --- Excel ---


@pytest.mark.parametrize(("name", "n"), [("pheno.csv", 1), ("pheno2.csv", 2)])
def test_blank_columns_of_excel(name, n):
    expected = read(CASE / "g.vcf", CASE / "y.tsv", filters=False)
    cohort = read(CASE / "g.vcf", CASE / name, filters=False)
    np.testing.assert_array_equal(cohort.phenotype.values, expected.phenotype.values)
    assert f"{n} blank columns of {CASE / name} left out" in cohort.log


def test_a_blank_column_among_covariates():
    cohort = read(CASE / "g.vcf", CASE / "y.tsv", covar=CASE / "cov.csv", filters=False)
    assert (cohort.n_samples, cohort.covariates.names) == (200, ("age",))
    assert f"1 blank columns of {CASE / 'cov.csv'} left out" in cohort.log


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("IID,x,,y\na,1,,2\nb,3,,4\n", "1 blank columns of {} left out"),
        (",IID,x,y\n,a,1,2\n,b,3,4\n", "1 blank columns of {} left out"),
        ("IID,x,y\na,1,2\n,,\nb,3,4\n,,\n,,\n", "3 blank rows of {} left out"),
        ("IID,x,y,,\na,1,2,,\n,,,,\nb,3,4,,\n", "2 blank columns and 1 blank rows of {} left out"),
        ("IID\tx\ty\t\na\t1\t2\nb\t3\t4\t\n", "1 blank columns of {} left out"),
        ('"IID","x","y",""\n"a","1","2",""\n"b","3","4",""\n', "1 blank columns of {} left out"),
        ("IID,x,y\na,1,2,\nb,3,4,,\n", None),
        ("\n\nIID,x,y\n\na,1,2\nb,3,4\n\n", None),
        ("IID;x;y\na;1;2\nb;3;4\n", None),
        ('sep=;\nIID;x;y\na;1;2\nb;"3";4\n', None),
        ('"#IID","x","y"\n"a","1","2"\n"b","3","4"\n', None),
        ("\tIID\tx\ty\n0\ta\t1\t2\n1\tb\t3\t4\n", "the first column of {} numbers the rows and is left out"),
        ('"","IID","x","y"\n"1","a",1,2\n"2","b",3,4\n', "the first column of {} numbers the rows"),
        ('"IID" "x" "y"\n"a" 1 2\n"b"  3 4 \n', None),
    ],
)
def test_one_table_from_spreadsheets_and_r(tmp_path, text, line):
    found = table(tmp_path, text)
    assert found.ids == ("a", "b")
    assert found.columns == {"x": ("1", "3"), "y": ("2", "4")}
    if line is None:
        assert found.log == ()
    else:
        assert found.log[0].startswith(line.format(found.path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("IID,x,\na,1,\nb,2,7\n", r"t.csv: column 3 has no name, but the value '7'; name it or remove it"),
        ("IID,,x\na,,1\nb,u,2\n", r"t.csv: column 2 has no name, but the value 'u'; name it or remove it"),
        (",IID,x\n3,a,1\n7,b,2\n", r"t.csv: column 1 has no name, but the value '3'; name it or remove it"),
        (
            "IID,x\na,1,7\n",
            r"t.csv, line 2: 3 columns, the header has 2; write NA for an empty cell, and a table of R with",
        ),
        (
            '"IID" "x"\n"1" "a" 5\n"2" "b" 6\n',
            r"t.csv, line 2: 3 columns, the header has 2; .* a table of R with row.names=FALSE$",
        ),
        (
            '"x"\n"a" 5\n"b" 6\n',
            r"t.csv: no IID or sample column in the header \(x\); name the ID column IID",
        ),
        (",x\na,5\nb,6\n", r"t.csv: no IID or sample column in the header \(x\)"),
        (
            "F a 5\nF b 6\n",
            r"t.csv: no IID or sample column in the header \(F, a, 5\); add a header line, with the ID",
        ),
        ('IID,x\na,"1\nb,2\nc,3\n', r"t.csv, line 2: quotes that do not enclose a cell \(unexpected end"),
        ('IID,x\na,"1"2\nb,3\n', r"t.csv, line 2: quotes that do not enclose a cell .*; write \"\" for a"),
        ("\n \n\n", r"t.csv: no line with text; write or copy it again"),
        ("IID,x\n,,\n,\n", r"t.csv: no rows below the header; add one for each sample"),
    ],
)
def test_what_is_refused(tmp_path, text, message):
    refuse(tmp_path, text, message)


def test_quoted_cells(tmp_path):
    text = 'IID,note,x\na,"u, v",1\nb,"two\nlines",2\nc,"say ""no""",3\nd,,4\n'
    found = table(tmp_path, text)
    assert found.ids == ("a", "b", "c", "d")
    assert found.columns == {"note": ("u, v", "two\nlines", 'say "no"', ""), "x": ("1", "2", "3", "4")}
    # Lines are counted as a text editor counts them.
    refuse(tmp_path, f"{text}e,1\n", r"t.csv, line 7: 2 columns, the header has 3")


@pytest.mark.parametrize("header", ["IID;x", "IID\tx"])
@pytest.mark.parametrize("cells", [["1,5", "2,25", "3"], ["1", "2,0", "-3,5e2"]])
def test_decimal_commas(tmp_path, header, cells):
    separator = header[3]
    text = f"{header}\n" + "".join(f"s{i}{separator}{c}\n" for i, c in enumerate(cells))
    found = table(tmp_path, text)
    wrong = next(c for c in cells if "," in c)
    message = rf"'x' of sample s\d is '{wrong}', with a comma in the number; write the table"
    with pytest.raises(InputError, match=rf"t.csv: trait {message}"):
        numeric_column(found, "x", "trait")
    expect(rf"t.csv: covariate {message}", genotypes(tmp_path), pheno(tmp_path), covar=found.path)


# --- names of columns ---


@pytest.mark.parametrize("name", ["iid", "Sample", "sample_id", "SampleID", "Sample ID", "ID"])
def test_other_names_of_the_id_column(tmp_path, name):
    found = table(tmp_path, f"x,{name}\n1,a\n")
    assert (found.ids, found.columns) == (("a",), {"x": ("1",)})
    assert found.log == (f"column {name} of {found.path} read as the sample IDs",)


def test_the_usual_names_come_first(tmp_path):
    assert table(tmp_path, "ID,IID,sample\n1,a,b\n").ids == ("a",)
    assert table(tmp_path, "ID,sample\n1,b\n").ids == ("b",)
    found = table(tmp_path, "#fid iid x\nF a 1\n")
    assert (found.ids, found.families, found.plink) == (("a",), ("F",), True)
    refuse(
        tmp_path, "ID,sample_id,x\n1,b,2\n", r"in the header \(ID, sample_id could each be it\); name the ID"
    )


# --- Parquet and DataFrames ---

FRAME = pd.DataFrame({"IID": SAMPLES, "T": [0.5, 1.5, np.nan, 3.5, 4.5, 5.5]})


@pytest.mark.parametrize(
    "frame",
    [
        FRAME,
        FRAME.set_index("IID"),
        FRAME.set_index("IID").rename_axis("sample"),
        FRAME.set_index("IID").rename_axis(None),
        FRAME.sample(frac=1, random_state=1),
        FRAME.assign(IID=FRAME["IID"].astype("category")),
        FRAME.convert_dtypes(),
    ],
)
def test_a_frame_is_a_table(tmp_path, frame):
    expected = read(genotypes(tmp_path), pheno(tmp_path, FRAME.to_csv(sep="\t", index=False, na_rep="NA")))
    cohort = read(genotypes(tmp_path), frame)
    assert cohort.samples.tolist() == expected.samples.tolist()
    assert cohort.phenotype.values.tolist() == expected.phenotype.values.tolist()
    assert cohort.source["phenotypes"] == "DataFrame of phenotypes"
    assert "1 without a value of T" in cohort.log[0]
    frame.to_parquet(tmp_path / "p.parquet")
    again = read(genotypes(tmp_path), tmp_path / "p.parquet")
    assert again.phenotype.values.tolist() == expected.phenotype.values.tolist()


def test_numbers_that_pandas_made_of_ids(tmp_path):
    frame = pd.DataFrame(
        {"FID": [1.0, 2.0], "IID": [7.0, 8.0], "batch": [1.0, np.nan], "smokes": [True, False]}
    )
    found = read_table(frame, "covariate table")
    assert (found.ids, found.families, found.plink) == (("7", "8"), ("1", "2"), True)
    assert found.columns == {"batch": ("1", "NA"), "smokes": ("1", "0")}


def test_numbers_of_a_frame_are_read_back_as_they_are():
    values = np.array([0.1, 1e300, -2.5e-7, 3, -0.0, np.inf])
    for kind in (np.float64, np.float32):
        with np.errstate(over="ignore"):
            column = values.astype(kind)
        found = read_table(pd.DataFrame({"IID": list("abcdef"), "x": column}))
        np.testing.assert_array_equal(numeric_column(found, "x", "trait"), column.astype(np.float64))


def test_frames_for_covariates_and_features(tmp_path):
    covar = pd.DataFrame({"age": [1, 4, 9, 16, 25, 36]}, index=SAMPLES)
    features = pd.DataFrame({"site": ["1:1", "1:2"], "gene": ["g", None]})
    cohort = read(genotypes(tmp_path), FRAME, covar=covar, features=features, max_missing=1)
    assert cohort.covariates.values[:, 0].tolist() == [1, 4, 16, 25, 36]
    assert cohort.sites.features["gene"].tolist() == ["g", "", "", ""]
    assert cohort.source["features"] == "DataFrame of features"
    by_index = features.set_index("site")
    cohort = read(genotypes(tmp_path), features=by_index, max_missing=1)
    assert cohort.sites.features["gene"].tolist()[:2] == ["g", ""]


def test_families_in_the_index_of_a_frame():
    frame = pd.DataFrame({"FID": ["A", "B"], "IID": ["1", "1"], "T": [1, 2]}).set_index(["FID", "IID"])
    found = read_table(frame)
    assert (found.families, found.ids, found.columns) == (("A", "B"), ("1", "1"), {"T": ("1", "2")})


def test_a_table_of_variants_in_parquet(tmp_path):
    frame = pd.DataFrame({"variant": ["AC", "AA", "CC", "CA"], "y": [1.0, 2.0, 4.5, 7.0]})
    frame.to_parquet(tmp_path / "v.parquet")
    cohort = read(tmp_path / "v.parquet", trait="y", sequence_column="variant")
    assert cohort.samples.tolist() == ["AC", "AA", "CC", "CA"]
    assert cohort.phenotype.values.tolist() == [1, 2, 4.5, 7]
    assert read_columns(tmp_path / "v.parquet", lambda *_: None, "variant")["y"] == ("1", "2", "4.5", "7")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (
            FRAME[["T"]],
            r"^phenotype table: no IID or sample column in the header \(T\); name the ID column IID",
        ),
        (FRAME[["IID"]], r"^phenotype table: no trait, only the ID column"),
        (FRAME.iloc[:0], r"^phenotype table: no rows; add one for each sample"),
        (pd.concat([FRAME, FRAME]), r"^phenotype table: sample ID 's0' has two rows; keep one of them"),
        (FRAME.assign(IID=["a"] * 5 + [None]), r"^phenotype table: row 6 has no sample ID|'a' has two rows"),
        (pd.concat([FRAME, FRAME["T"]], axis=1), r"^phenotype table: two columns are named 'T'; rename one"),
        (FRAME.assign(T="high"), r"^phenotype table: trait 'T' of sample s0 is 'high', not a number"),
        ([1, 2], r"^phenotype table: list, not a path or a pandas DataFrame; give one of them"),
    ],
)
def test_frames_that_are_refused(tmp_path, frame, message):
    expect(message, genotypes(tmp_path), frame)


def test_damaged_parquet(tmp_path):
    path = tmp_path / "p.parquet"
    FRAME.to_parquet(path)
    content = path.read_bytes()
    path.write_bytes(content[:20] + content[-8:])
    expect(r"p.parquet: damaged Parquet: .*; copy or write it again", genotypes(tmp_path), path)
    path.write_bytes(content[:-9])
    expect(r"p.parquet: not a text file: a Parquet file", genotypes(tmp_path), path)


# --- any table, in any form ---

MISSING = sorted(MISSING_TEXT)
words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Z")), min_size=1, max_size=6)
labels = words.filter(lambda w: w not in MISSING_TEXT and w.strip() == w and "\ufeff" not in w)
numbers = st.floats(allow_nan=False, allow_infinity=False).map(repr)


@st.composite
def tables(draw):
    """IDs, a column of numbers and one of words, None where missing."""
    ids = draw(st.lists(labels, min_size=2, max_size=6, unique=True))
    n = len(ids)
    column = st.lists(st.none() | numbers, min_size=n, max_size=n)
    words = st.lists(st.none() | labels, min_size=n, max_size=n)
    return pd.DataFrame({"IID": ids, "x": draw(column), "group": draw(words)}, dtype=object)


def text_of(frame, draw, separator, quote):
    """The table as text, each missing value spelt somehow."""
    filled = frame.map(lambda cell: draw(st.sampled_from(MISSING)) if cell is None else cell)
    out = io.StringIO()
    quoting = csv.QUOTE_ALL if quote else csv.QUOTE_MINIMAL
    filled.to_csv(out, sep=separator, index=False, quoting=quoting)
    return out.getvalue()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frame=tables(), data=st.data())
def test_any_table_in_any_form(tmp_path, frame, data):
    form = data.draw(st.sampled_from(["text", "text.gz", "utf-16", "parquet", "frame"]))
    moved = frame.iloc[data.draw(st.permutations(range(len(frame))))]
    moved = moved[["IID", *data.draw(st.permutations(["x", "group"]))]]
    path = tmp_path / "t"
    source = path
    if form == "frame":
        source = moved if data.draw(st.booleans()) else moved.set_index("IID")
    elif form == "parquet":
        moved.assign(x=moved["x"].astype(float)).to_parquet(path)
    else:
        text = text_of(moved, data.draw, data.draw(st.sampled_from("\t,;")), data.draw(st.booleans()))
        content = text.encode("utf-16" if form == "utf-16" else "utf-8")
        path.write_bytes(gzip.compress(content) if form == "text.gz" else content)
    found = read_table(source)
    row = {name: i for i, name in enumerate(found.ids)}
    order = [row[name] for name in frame["IID"]]
    expected = [np.nan if cell is None else float(cell) for cell in frame["x"]]
    np.testing.assert_array_equal(numeric_column(found, "x", "trait")[order], expected)
    read_back = [found.columns["group"][i] for i in order]
    assert [None if cell in MISSING_TEXT else cell for cell in read_back] == frame["group"].tolist()
