"""genoattn variance, and the rows of the cohort in the folder and the report of a fit."""

import io
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from cli_files import run_in_process
from genotype_files import write_rows
from variance_cohorts import linked_cohort

import genoattn
from genoattn.fitting.cohort_variance import with_cohort_rows
from genoattn.inference.variance_text import sentence
from genoattn.report.certainty import sure
from genoattn.report.run_folder import load_run
from genoattn.report.sections_performance import variance_section
from genoattn.views.variance import cohort_rows, model_rows, variance_by_order


@pytest.fixture
def cli(capsys):
    return lambda *arguments: run_in_process(arguments, capsys)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A cohort as VCF, with phenotypes and covariates."""
    folder = tmp_path_factory.mktemp("variance")
    cohort = linked_cohort(n=120)
    s = cohort.sites
    rows = [
        SimpleNamespace(
            chrom=f"chr{s.chrom[k]}", pos=int(s.pos[k]), name=f"rs{k}", ref="A", alts=["G"],
            genotypes=[("0/0", "0/1", "1/1")[c] if c >= 0 else "./." for c in cohort.calls[:, k]],
        )
        for k in range(cohort.n_sites)
    ]  # fmt: skip
    write_rows(folder / "cohort.vcf.gz", list(cohort.samples), rows)
    pheno = pd.DataFrame({"IID": cohort.samples, "y": cohort.phenotype.values, "flat": 1.5})
    pheno.to_csv(folder / "pheno.tsv", sep="\t", index=False)
    covar = pd.DataFrame(cohort.covariates.values, columns=["a", "b"]).assign(IID=cohort.samples)
    covar.to_csv(folder / "covar.tsv", sep="\t", index=False)
    return folder


def arguments(files, *more):
    tables = ("--pheno", files / "pheno.tsv", "--covar", files / "covar.tsv", "--trait", "y")
    return ("variance", files / "cohort.vcf.gz", *tables, *more)


def read_table(text):
    return pd.read_csv(io.StringIO(text), sep="\t", dtype={"chrom_1": str, "chrom_2": str})


def test_the_table_is_that_of_the_library(cli, files, tmp_path):
    done = cli(*arguments(files))
    assert done.status == 0
    shown = read_table(done.out)
    cohort = genoattn.read(files / "cohort.vcf.gz", files / "pheno.tsv", "y", files / "covar.tsv")
    found = genoattn.variance_components(cohort)
    np.testing.assert_allclose(shown["share"], found.frame["share"], rtol=1e-4, atol=1e-6)
    assert set(shown["chrom_1"].dropna()) == {"chr0", "chr1", "chr2"}
    assert found.summary().splitlines()[1] in done.err
    out = tmp_path / "v.tsv"
    assert cli(*arguments(files, "-o", out, "--quiet")).out == ""
    assert out.read_text() == done.out
    assert "already exists" in cli(*arguments(files, "-o", out)).err
    assert cli(*arguments(files, "-o", out, "--force")).status == 0


def test_options(cli, files, tmp_path):
    plain = cli(*arguments(files, "--no-chromosome-pairs", "--order", 3, "--min-distance", 0))
    frame = read_table(plain.out)
    assert frame["component"].tolist()[-1] == "additive x additive x additive"
    assert frame["n_terms"].tolist()[2] == 40 * 39 // 2
    lines = ["no-chromosome-pairs = true", "order = 3", "min-distance = 0"]
    (tmp_path / "o.toml").write_text("\n".join(lines))
    assert cli(*arguments(files, "--config", tmp_path / "o.toml")).out == plain.out


def test_json(cli, files, tmp_path):
    out = tmp_path / "v.tsv"
    record = json.loads(cli(*arguments(files, "-o", out, "--json", "--quiet")).out)
    assert (record["command"], record["files"], record["trait"]) == ("variance", ["v.tsv"], "y")
    assert (record["n_samples"], record["n_sites"], record["min_distance"]) == (120, 40, 1_000_000)
    assert record["method"] == "exact (120 samples are at most 5,000)"
    assert [row["component"] for row in record["components"][:3]] == [
        "additive", "dominance", "additive x additive",
    ]  # fmt: skip
    assert record["components"][0]["q_value"] is None
    assert "--json writes to stdout" in cli(*arguments(files, "--json")).err


def test_mistakes_are_one_line(cli, files):
    bad = cli("variance", files / "cohort.vcf.gz", "--pheno", files / "pheno.tsv", "--trait", "flat")
    assert bad.status == 2
    assert bad.err.splitlines()[-1].startswith("genoattn variance: error: ")
    assert cli("variance", files / "cohort.vcf.gz").status == 2
    assert "--order" in cli(*arguments(files, "--order", 4)).err


# --- a fit


@pytest.fixture(scope="module")
def fitted():
    return genoattn.fit(linked_cohort(n=200, n_covariates=0), order=2, max_epochs=2)


def test_a_fit_has_the_rows_of_the_cohort(fitted, tmp_path):
    alone = genoattn.variance_components(linked_cohort(n=200, n_covariates=0), by_chromosome=False)
    pd.testing.assert_frame_equal(fitted.cohort_variance.frame, alone.frame)
    assert fitted.variance.columns.tolist() == ["order", "variance", "share_of_model", "share_of_phenotype"]
    assert "additive x additive: " in fitted.summary()
    fitted.save(tmp_path / "fit")
    frame = pd.read_csv(tmp_path / "fit" / "variance_components.tsv", sep="\t")
    assert frame["source"].tolist() == ["model"] * 2 + ["cohort"] * 3
    assert frame["order"].tolist() == [1, 2, 1, 1, 2]
    np.testing.assert_allclose(frame["share"].dropna(), alone.frame["share"], rtol=1e-4, atol=1e-6)
    assert frame["variance"].notna().tolist() == [True] * 2 + [False] * 3


def test_rows_are_told_apart(fitted):
    both = with_cohort_rows(fitted.variance, fitted.cohort_variance)
    pd.testing.assert_frame_equal(model_rows(both), fitted.variance)
    pd.testing.assert_frame_equal(variance_by_order(both), variance_by_order(fitted.variance))
    assert len(cohort_rows(both)) == 3
    # A folder of an earlier version has no column source.
    assert model_rows(fitted.variance) is fitted.variance
    assert len(cohort_rows(fitted.variance)) == 0
    assert with_cohort_rows(fitted.variance, None)["source"].tolist() == ["model", "model"]


def test_the_report_says_it(fitted, tmp_path):
    fitted.save(tmp_path / "fit")
    run = load_run(tmp_path / "fit")
    row = cohort_rows(run.get("variance_components")).iloc[2].to_dict()
    assert f"All pairs of sites together, {sentence(row)}." in sure(run)
    section = variance_section(run, None)
    assert sentence(row) in section.paragraphs[0]
    assert [trace["x"] for trace in section.figures[0].data] == [["main effects", "pairs"]]
    frame = pd.read_csv(tmp_path / "fit" / "variance_components.tsv", sep="\t").iloc[:2, :4]
    frame.to_csv(tmp_path / "fit" / "variance_components.tsv", sep="\t", index=False)
    old = load_run(tmp_path / "fit")
    assert not any("All pairs" in text for text in sure(old))
    assert list(variance_section(old, None).paragraphs) == []


def test_fits_without_the_rows(caplog):
    cohort = linked_cohort(n=200, n_covariates=0)
    assert genoattn.fit(cohort, order=2, max_epochs=1, assess=False).cohort_variance is None
    caplog.set_level("INFO", "genoattn")
    few = linked_cohort(n=24, n_covariates=0).select_samples(np.arange(20))
    result = genoattn.fit(few, order=2, max_epochs=1)
    assert result.cohort_variance is None
    assert "no variance components of the cohort: 20 samples with 0 covariates leave 19" in caplog.text


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"p_value": 0.2}, "3 % (SE 4 %, p = 0.2), none seen; a share of 11 % would be, with 80 % power"),
        ({"p_value": 0.04}, "3 % (SE 4 %, p = 0.04), seen"),
        ({"p_value": 0.04, "q_value": 0.3},
         "3 % (SE 4 %, p = 0.04, q = 0.3), none seen; a share of 11 % would be, with 80 % power"),
        ({"p_value": 1e-5}, "3 % (SE 4 %, p = 1.0e-05), seen"),
        ({"p_value": 0.0}, "3 % (SE 4 %, p = under 1e-300), seen"),
        ({"share": -0.2, "p_value": 0.9, "detectable": 1.2},
         "-20 % (SE 4 %, p = 0.9), none seen, nor could any share be with 80 % power in so few samples"),
    ],
)  # fmt: skip
def test_sentences(row, said):
    base = {"component": "dominance", "share": 0.03, "se": 0.04, "detectable": 0.11}
    assert sentence({**base, **row}) == f"dominance: {said}"
