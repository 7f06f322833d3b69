"""Tables of samples: separators, ID columns, missing cells, traits and covariates."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm
from vcf_files import write_text

from genoattn.errors import InputError
from genoattn.io.covariates import check_covariates, expand_covariates, missing_rows, plan_covariates
from genoattn.io.phenotypes import build_phenotype, choose_trait, rank_normal
from genoattn.io.sample_ids import match_rows
from genoattn.io.tables import SampleTable, read_table


def table(tmp_path: Path, text: str) -> SampleTable:
    return read_table(write_text(tmp_path / "t.tsv", text))


def phenotype(values: list[float], trait_type: str = "auto", transform: str = "none"):
    """The phenotype of samples s0, s1, .. of table p.tsv."""
    samples = np.array([f"s{i}" for i in range(len(values))], dtype=object)
    array = np.array(values, dtype=np.float64)
    return build_phenotype(Path("p.tsv"), "T", samples, array, trait_type, transform)  # type: ignore[arg-type]


def covariates(tmp_path: Path, text: str):
    """Covariates of all rows of a table, checked."""
    found = table(tmp_path, text)
    rows = np.arange(len(found.ids))
    plan = plan_covariates(found, rows)
    result = expand_covariates(found, rows, plan.names, plan.levels)
    check_covariates(found, result)
    return result


# --- the table ---


@pytest.mark.parametrize(
    "text",
    [
        "IID\tx\ty\na\t1\tu v\nb\tNA\t\n",
        "IID,x,y\na,1,u v\nb,NA,\n",
        'IID,x,y\n"a",1,"u v"\nb,NA,\n',
        "sample\tx\ty\na\t1\tu v\n\nb\tNA\t\n",
        "#FID\tIID\tx\ty\nf\ta\t1\tu v\nf\tb\tNA\t\n",
        "FID\tIID\tx\ty\r\nf\ta\t1\tu v\r\nf\tb\tNA\t\r\n",
        "#IID\tx\ty\na\t1\tu v\nb\tNA\t\n",
        "\ufeffIID , x,y\na, 1,u v\nb,NA,\n",
    ],
)
def test_ways_to_write_one_table(tmp_path: Path, text: str) -> None:
    found = table(tmp_path, text)
    assert found.ids == ("a", "b")
    assert found.columns == {"x": ("1", "NA"), "y": ("u v", "")}


def test_spaces_and_compression(tmp_path: Path) -> None:
    assert table(tmp_path, "FID IID  x\nf a 1\nf b -2\n").columns == {"x": ("1", "-2")}
    path = tmp_path / "t.tsv.gz"
    path.write_bytes(gzip.compress(b"IID\tx\na\t1\n"))
    assert read_table(path).columns == {"x": ("1",)}


def test_rows_by_id_keep_case(tmp_path: Path) -> None:
    rows, lines = match_rows(["A", "a", "b"], None, table(tmp_path, "IID\tx\nb\t1\nA\t2\n"))
    assert (rows.tolist(), lines) == ([1, -1, 0], [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"t.tsv: the file is empty"),
        (
            "name\tx\na\t1\n",
            r"t.tsv: no IID or sample column in the header \(name, x\); name the ID column IID",
        ),
        ("IID\tx\tx\na\t1\t2\n", r"t.tsv: two columns are named 'x'; rename one of them"),
        ("IID\tx\na\t1\nb\n", r"t.tsv, line 3: 1 columns, the header has 2; write NA for an empty cell"),
        ("IID\tx\n", r"t.tsv: no rows below the header; add one for each sample"),
        ("IID\tx\na\t1\nb\t1\na\t2\n", r"t.tsv: sample ID 'a' has two rows; keep one of them"),
        ("IID\tx\na\t1\nNA\t1\n", r"t.tsv: row 2 has no sample ID; fill it in or remove the row"),
    ],
)
def test_table_errors(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        table(tmp_path, text)
    assert "\n" not in str(caught.value)


# --- traits ---


def test_choose_trait(tmp_path: Path) -> None:
    assert choose_trait(table(tmp_path, "IID\tx\na\t1\n"), None) == "x"
    two = table(tmp_path, "IID\tx\ty\na\t1\t2\n")
    assert choose_trait(two, "y") == "y"
    with pytest.raises(InputError, match=r"t.tsv: 2 traits, name the one to use; there are: x, y$"):
        choose_trait(two, None)
    with pytest.raises(InputError, match=r"t.tsv: no trait 'z'; there are: x, y$"):
        choose_trait(two, "z")
    with pytest.raises(InputError, match=r"t.tsv: no trait, only the ID column"):
        choose_trait(table(tmp_path, "IID\na\n"), None)
    many = table(tmp_path, "IID," + ",".join(f"t{i}" for i in range(30)) + "\na" + ",1" * 30 + "\n")
    with pytest.raises(InputError, match=r"30 traits.* t0, t1, .*, t19, \.\.\. \(30 in all\)$"):
        choose_trait(many, None)


def test_quantitative() -> None:
    found, log = phenotype([0, 1, 2])
    assert (found.name, found.binary, found.transform) == ("T", False, "none")
    assert found.values.tolist() == [0, 1, 2]
    assert log == [
        "trait T: quantitative, 3 samples, mean 1, standard deviation 0.8165",
        "trait T: values 0, 1 and 2 read as numbers; for controls and cases write NA for the third",
    ]


@pytest.mark.parametrize(("values", "case"), [([0, 1, 1], 1), ([1, 2, 2], 2)])
@pytest.mark.parametrize("trait_type", ["auto", "binary"])
def test_binary_codings(values: list[float], case: int, trait_type: str) -> None:
    found, log = phenotype(values, trait_type)
    assert found.binary
    assert found.values.tolist() == [0, 1, 1]
    assert log == [f"trait T: binary, 2 cases ({case}) and 1 controls ({case - 1})"]


def test_zero_and_one_can_be_quantitative() -> None:
    found, _ = phenotype([1, 2, 2], "quantitative")
    assert not found.binary
    assert found.values.tolist() == [1, 2, 2]


def test_log_transform() -> None:
    found, log = phenotype([1, np.e, np.e**2], transform="log")
    np.testing.assert_allclose(found.values, [0, 1, 2], atol=1e-15)
    assert found.transform == "log"
    assert log[-1] == "trait T: transform log"


def test_rank_transform_by_hand() -> None:
    # Average ranks 2.5, 1, 2.5 of three samples: (r - 3/8) / (3 + 1/4).
    expected = norm.ppf(np.array([2.125, 0.625, 2.125]) / 3.25)
    np.testing.assert_allclose(phenotype([7, -1, 7], transform="rank")[0].values, expected)
    np.testing.assert_allclose(
        rank_normal(np.array([1.0, 2.0, 9.0])), -rank_normal(np.array([9.0, 2.0, 1.0]))
    )


def test_minus_nine_among_measurements_is_said() -> None:
    found, log = phenotype([-9, 1.5, -9, 2])
    assert found.values.tolist() == [-9, 1.5, -9, 2]
    assert log[-1] == "trait T: 2 values of -9 read as numbers, not as missing"


@pytest.mark.parametrize(
    ("values", "trait_type", "transform", "message"),
    [
        ([3, 3, 3], "auto", "none", r"is constant: 3 in all 3 samples in use; choose a trait that varies"),
        ([1, 1], "auto", "none", r"is constant: 1 in all 2 samples in use; .* cases and controls"),
        ([1, 1], "quantitative", "none", r"is constant: 1 in all 2 samples"),
        ([1, np.inf], "auto", "none", r"of sample s1 is infinite; correct it or write NA"),
        (
            [0, 0],
            "binary",
            "none",
            r"is binary with one class: 0 cases \(1\) and 2 controls \(0\) among the samples",
        ),
        ([2, 2], "binary", "none", r"is binary with one class: 2 cases \(2\) and 0 controls \(1\)"),
        (
            [1, 1],
            "binary",
            "none",
            r"is binary with one class: 2 cases \(1\) and 0 controls \(0\) .* both are needed",
        ),
        (
            [0, 1, 2],
            "binary",
            "none",
            r"is 0, 1 and 2, where a binary trait has two values; write NA for the one that",
        ),
        (
            [0, 1, 3],
            "binary",
            "none",
            r"of sample s2 is 3; a binary trait is coded 0 and 1, or 1 and 2 \(2 the case\)",
        ),
        ([0.5, 1], "binary", "none", r"of sample s0 is 0.5; a binary trait is coded"),
        (
            [-9, 0, 1],
            "auto",
            "none",
            r"is -9 in 1 samples, else 0, 1 or 2; -9 is not read as missing, write NA",
        ),
        ([-9, 1, 2], "binary", "none", r"is -9 in 1 samples, else 0, 1 or 2"),
        ([0, 1], "auto", "log", r"is binary, transform log does not apply; use transform none"),
        ([1, 2], "auto", "rank", r"is binary, transform rank does not apply"),
        (
            [3, 0, -1],
            "auto",
            "log",
            r"of sample s1 is 0, it has no logarithm; use transform rank or none, or write NA",
        ),
    ],
)
def test_trait_errors(values: list[float], trait_type: str, transform: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"^p.tsv: trait 'T' {message}") as caught:
        phenotype(values, trait_type, transform)
    assert "\n" not in str(caught.value)


# --- covariates ---


def test_numeric_and_categorical(tmp_path: Path) -> None:
    found = covariates(
        tmp_path,
        "IID\tage\tcity\tpc\na\t3\tRome\t.5\nb\t4\tBonn\t1\nc\t9\tOslo\t2\nd\t1\tRome\t7\ne\t2\tOslo\t1e1\n",
    )
    assert found.names == ("age", "city=Oslo", "city=Rome", "pc")
    assert found.levels == {"city": ("Bonn", "Oslo", "Rome")}
    expected = [[3, 0, 1, 0.5], [4, 0, 0, 1], [9, 1, 0, 2], [1, 0, 1, 7], [2, 1, 0, 10]]
    assert found.values.tolist() == expected


def test_missing_rows(tmp_path: Path) -> None:
    found = table(tmp_path, "IID,x,y\na,1,u\nb,NA,u\nc,2,\nd,3,.\ne,nan,v\n")
    assert missing_rows(found).tolist() == [False, True, True, True, True]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("IID\na\n", r"no covariates, only the ID column; add columns or leave the table out"),
        ("IID\tx\na\t1\nb\t1\nc\t1\n", r"covariate 'x' is constant \(1\) in the samples in use; remove it"),
        ("IID\tx\na\tu\nb\tu\nc\tu\n", r"covariate 'x' is constant \(u\) in the samples in use"),
        (
            "IID\tx\ty\tz\na\t1\t0\t3\nb\t2\t5\t10\nc\t3\t1\t8\nd\t5\t5\t16\ne\t0\t1\t2\n",
            # z = 2 x + y + 1.
            r"covariate 'z' is a linear combination of the other covariates and the intercept; remove it",
        ),
        (
            "IID\tsex\tmale\na\tf\t0\nb\tm\t1\nc\tm\t1\nd\tf\t0\n",
            r"covariate 'male' is a linear combination of the other covariates",
        ),
        ("IID\tx\ty\na\t1\t2\nb\t3\t1\n", r"2 covariates for 2 samples in use; use fewer"),
        (
            "IID\tx\na\t1\nb\tinf\nc\t2\n",
            r"covariate 'x' of sample b is not a finite number; correct it or write NA",
        ),
        (
            "IID\tx\na\t1\nb\t1O\nc\t2\nd\t7\n",
            r"covariate 'x' of sample b is '1O' among numbers; correct it, write NA, or put a letter",
        ),
    ],
)
def test_covariate_errors(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"t.tsv: {message}") as caught:
        covariates(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_new_table_is_expanded_as_the_old_one(tmp_path: Path) -> None:
    names, levels = ("age", "city=Oslo", "city=Rome"), {"city": ("Bonn", "Oslo", "Rome")}
    # Other column order, columns nobody asked for, one level only: all of no importance.
    new = table(tmp_path, "IID\tother\tcity\tage\np\t?\tRome\t7\nq\t?\tRome\t7\n")
    found = expand_covariates(new, np.arange(2), names, levels)
    assert found.names == names
    assert found.values.tolist() == [[7, 0, 1], [7, 0, 1]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "IID\tage\tcity\np\t7\tParis\n",
            r"covariate 'city' of sample p has the level 'Paris', unseen when .* \(Bonn, Oslo\)",
        ),
        ("IID\tcity\np\tBonn\n", r"no covariate age, which the model has; there are: city$"),
        ("IID\tx\np\tBonn\n", r"no covariate age, city, which the model has; there are: x$"),
        (
            "IID\tage\tcity\np\told\tBonn\n",
            r"covariate 'age' of sample p is 'old', not a number; correct it or write NA",
        ),
    ],
)
def test_new_table_errors(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"t.tsv: {message}"):
        expand_covariates(
            table(tmp_path, text), np.arange(1), ("age", "city=Oslo"), {"city": ("Bonn", "Oslo")}
        )
