"""``read``: formats by suffix, samples matched by ID, sites filtered, everything dropped counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from read_files import RECORDS, SAMPLES, equal, expect, genotypes, pheno
from vcf_files import write_text, write_vcf

from genoattn.io import read
from genoattn.io.tables import MISSING_TEXT

SHARED = Path(__file__).parents[2] / "shared" / "data"


# --- all options together ---


def test_read_with_everything(tmp_path: Path) -> None:
    covar = write_text(
        tmp_path / "c.csv", "sample,age,site\ns5,1,u\ns4,5,v\ns3,2,u\ns2,8,v\ns0,9,u\ns1,,u\nz,1,w\n"
    )
    table = pheno(
        tmp_path,
        "IID\tU\tT\ns5\t0\t5.5\ns3\t0\t3.5\ns2\t0\t2.5\ns1\t0\t1.5\ns0\t0\tNA\nx\t0\t1\ns4\t0\t4.5\n",
    )
    cohort = read(genotypes(tmp_path), table, "T", covar, maf=0.2)
    # s0 has no phenotype, s1 no age; the order is that of the genotype file.
    assert cohort.samples.tolist() == ["s2", "s3", "s4", "s5"]
    assert cohort.phenotype is not None
    assert cohort.phenotype.values.tolist() == [2.5, 3.5, 4.5, 5.5]
    assert cohort.covariates is not None
    # Level w belongs to nobody in use.
    assert cohort.covariates.names == ("age", "site=v")
    assert cohort.covariates.values.tolist() == [[8, 1], [2, 0], [5, 1], [1, 0]]
    assert cohort.sites.ids.tolist() == ["1:1:A:C", "1:2:A:C"]
    assert cohort.calls.tolist() == [[2, 1], [0, 0], [1, 2], [2, 1]]
    assert cohort.source == {
        "genotypes": str(tmp_path / "g.vcf"),
        "phenotypes": str(table),
        "covariates": str(covar),
    }
    assert cohort.log == (
        f"6 samples with genotypes, kept 4 (0 without a row in {table}, 1 without a value of T, "
        f"0 without a row in {covar}, 1 with a missing covariate)",
        "trait T: quantitative, 4 samples, mean 4, standard deviation 1.118",
        f"1 rows of {table} have no genotypes",
        "covariate site: categorical, 2 levels, baseline u",
        "read 5 records (6 sites), kept 2 (2 monomorphic, 1 over the missingness limit 0.1, "
        "1 under the minor allele frequency 0.2)",
    )


def test_prediction_keeps_every_site(tmp_path: Path) -> None:
    cohort = read(genotypes(tmp_path), filters=False)
    assert cohort.phenotype is None
    assert cohort.n_sites == 6
    assert cohort.samples.tolist() == SAMPLES
    assert cohort.log == ("read 5 records (6 sites), kept all (filters off)",)
    assert cohort.source == {"genotypes": str(tmp_path / "g.vcf")}


def test_covariates_for_prediction(tmp_path: Path) -> None:
    covar = write_text(
        tmp_path / "c.tsv", "IID\tage\tsite\ns0\t1\tu\ns1\t2\tv\ns2\t4\tu\ns3\t1\tv\ns5\t0\tu\n"
    )
    fitted = read(genotypes(tmp_path), pheno(tmp_path), covar=covar)
    new = write_text(tmp_path / "new.tsv", "IID\tage\tsite\tnote\ns3\t7\tu\tNA\ns1\t7\tu\tx\ns2\tNA\tu\tx\n")
    cohort = read(genotypes(tmp_path), covar=new, covariates_like=fitted.covariates, filters=False)
    # One level and one age only would not do for a fit; a missing note is nobody's business.
    assert cohort.samples.tolist() == ["s1", "s3"]
    assert cohort.covariates is not None
    assert cohort.covariates.values.tolist() == [[7, 0], [7, 0]]
    assert read(genotypes(tmp_path), covar=covar, filters=False).covariates is not None


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(6)), st.permutations(range(6)))
def test_order_of_rows_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, first: list[int], second: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("order")
    path = genotypes(folder)
    rows = ["s0\t1\n", "s1\t4\n", "s2\tNA\n", "s3\t2\n", "s4\t9\n", "other\t1\n"]
    groups = ["s0,a,1\n", "s1,b,3\n", "s2,c,1\n", "s3,a,2\n", "s4,b,7\n", "s5,c,7\n"]
    cohorts = []
    for one, two in ((range(6), range(6)), (first, second)):
        table = write_text(folder / "p.tsv", "IID\tT\n" + "".join(rows[i] for i in one))
        covar = write_text(folder / "c.csv", "IID,group,x\n" + "".join(groups[i] for i in two))
        cohorts.append(read(path, table, covar=covar, transform="rank"))
    assert equal(*cohorts)


def test_permuting_samples_of_the_vcf_permutes_the_cohort(tmp_path: Path) -> None:
    order = [3, 0, 5, 1, 4, 2]
    fields = [line.split("\t") for line in RECORDS]
    moved = ["\t".join(f[:9] + [f[9 + i] for i in order]) for f in fields]
    path = write_vcf(tmp_path / "moved.vcf", [SAMPLES[i] for i in order], moved)
    a = read(genotypes(tmp_path), pheno(tmp_path))
    assert equal(read(path, pheno(tmp_path)), a.select_samples(np.array(order)))


# --- matching ---


def test_nothing_in_common(tmp_path: Path) -> None:
    other = pheno(tmp_path, "IID\tT\nS0\t1\nS1\t2\nS2\t3\nS3\t4\n")
    message = (
        r"p.tsv: no sample in common with the genotypes; IDs there: S0, S1, S2; "
        r"IDs of the genotypes: s0, s1, s2; they differ in upper and lower case; make them alike$"
    )
    expect(message, genotypes(tmp_path), other)
    covar = write_text(tmp_path / "c.tsv", other.read_text().replace("T", "x"))
    expect(message.replace("p.tsv", "c.tsv"), genotypes(tmp_path), pheno(tmp_path), covar=covar)


def test_nobody_left(tmp_path: Path) -> None:
    table = pheno(tmp_path, "IID\tT\ns0\t1\ns1\tNA\n")
    covar = write_text(tmp_path / "c.tsv", "IID\tx\ns0\tNA\ns1\t1\n")
    expect(
        r"no sample is left of 6: 4 without a row in .*p.tsv, 1 without a value of T, "
        r"0 without a row in .*c.tsv, 1 with a missing covariate; check the tables$",
        genotypes(tmp_path),
        table,
        covar=covar,
    )


def test_errors_of_tables(tmp_path: Path) -> None:
    path = genotypes(tmp_path)
    expect(r"p.tsv: no trait 'U'; there are: T$", path, pheno(tmp_path), "U")
    text = "IID\tT\n" + "".join(f"s{i}\t{'high' if i == 3 else i}\n" for i in range(6))
    expect(
        r"p.tsv: trait 'T' of sample s3 is 'high', not a number; correct it or write",
        path,
        pheno(tmp_path, text),
    )
    expect(r"absent.tsv: no such file", path, tmp_path / "absent.tsv")
    table = pheno(tmp_path)
    expect(
        r"p.tsv: covariate 'T' is the trait itself; give a table without that column",
        path,
        table,
        covar=table,
    )


@pytest.mark.parametrize("word", sorted(MISSING_TEXT))
def test_missing_words(tmp_path: Path, word: str) -> None:
    text = "IID,T\n" + "".join(f"s{i},{word if i == 3 else i}\n" for i in range(6))
    assert read(genotypes(tmp_path), pheno(tmp_path, text)).samples.tolist() == ["s0", "s1", "s2", "s4", "s5"]


@pytest.mark.parametrize("word", ["1_000", "none", "unknown", "missing"])
def test_words_that_are_no_numbers(tmp_path: Path, word: str) -> None:
    text = "IID,T\n" + "".join(f"s{i},{word if i == 3 else i}\n" for i in range(6))
    expect(rf"trait 'T' of sample s3 is '{word}', not a number", genotypes(tmp_path), pheno(tmp_path, text))


def test_checks_are_made_on_the_samples_in_use(tmp_path: Path) -> None:
    # Only samples without genotypes differ from 1, or are controls.
    text = "IID\tT\ns0\t1\ns1\t1\ns2\t1\nx\t0\ny\t7\n"
    expect(r"trait 'T' is constant: 1 in all 3 samples in use", genotypes(tmp_path), pheno(tmp_path, text))
    expect(
        r"trait 'T' is binary with one class: 3 cases \(1\) and 0 controls \(0\)",
        genotypes(tmp_path),
        pheno(tmp_path, text),
        trait_type="binary",
    )
    covar = write_text(tmp_path / "c.tsv", "IID\tx\ns0\t1\ns1\t1\ns2\t1\ns3\t1\nz\t2\n")
    table = pheno(tmp_path, "IID\tT\ns0\t1\ns1\t2\ns2\t3\n")
    expect(
        r"c.tsv: covariate 'x' is constant \(1\) in the samples in use",
        genotypes(tmp_path),
        table,
        covar=covar,
    )


# --- real files ---

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the folder of real data sets is not here")


@needs_shared
@pytest.mark.parametrize(
    ("genotype_file", "table", "trait", "shape", "n_varying"),
    [
        ("arabidopsis_ril.vcf.gz", "arabidopsis_ril.pheno.tsv", "3.Butenyl", (158, 117), 117),
        ("yeast_byxrm.vcf.gz", "yeast_byxrm.pheno.tsv.gz", "Maltose", (1005, 11623), 11623),
        ("cr6261_h1.fasta.gz", "cr6261_h1.tsv", None, (1887, 121), 11),
        ("poelwijk_eqfp611.fasta.gz", "poelwijk_eqfp611.tsv", None, (8192, 13), 13),
        ("gb1_four_sites.fasta.gz", "gb1_four_sites.tsv.gz", "log_fitness", (149361, 4), 4),
        ("fyn_sh3_core.fasta.gz", "fyn_sh3_core.tsv.gz", "fitness", (45480, 7), 7),
        ("trna.fasta.gz", "trna.tsv", "fitness", (4176, 10), 10),
        ("his3_s12.fasta.gz", "his3_s12.tsv.gz", "score", (62305, 19), 19),
    ],
)
def test_real_files(
    genotype_file: str, table: str, trait: str | None, shape: tuple[int, int], n_varying: int
) -> None:
    unfiltered = read(SHARED / genotype_file, filters=False)
    cohort = read(SHARED / genotype_file, SHARED / table, trait)
    assert (cohort.n_samples, unfiltered.n_sites) == shape
    assert cohort.n_sites == n_varying


@needs_shared
def test_real_states() -> None:
    gb1 = read(SHARED / "gb1_four_sites.fasta.gz")
    assert gb1.sites.n_states.tolist() == [20] * 4
    fyn = read(SHARED / "fyn_sh3_core.fasta.gz")
    assert fyn.sites.n_states.tolist() == [5] * 7
    cr6261 = read(SHARED / "cr6261_h1.fasta.gz")
    assert cr6261.sites.pos.tolist() == [28, 30, 58, 59, 62, 74, 75, 76, 77, 79, 104]
    his3 = read(SHARED / "his3_s12.fasta.gz")
    assert (his3.sites.n_states.min(), his3.sites.n_states.max()) == (7, 18)


@needs_shared
def test_arabidopsis_product_term() -> None:
    """GA1 x GH.117C on log 3-butenyl: t = 9.52 in the data's own notes, of the product in least squares."""
    cohort = read(
        SHARED / "arabidopsis_ril.vcf.gz", SHARED / "arabidopsis_ril.pheno.tsv", "3.Butenyl", transform="log"
    )
    ids = cohort.sites.ids.tolist()
    a, b = (cohort.calls[:, ids.index(name)].astype(float) for name in ("GA1", "GH.117C"))
    called = (a >= 0) & (b >= 0)
    assert cohort.phenotype is not None
    a, b, y = a[called], b[called], cohort.phenotype.values[called]
    design = np.column_stack([np.ones_like(a), a, b, a * b])
    beta, rss, _, _ = np.linalg.lstsq(design, y, rcond=None)
    variance = rss[0] / (len(y) - 4) * np.linalg.inv(design.T @ design)[3, 3]
    assert beta[3] / np.sqrt(variance) == pytest.approx(9.52, abs=0.05)
