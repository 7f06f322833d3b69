"""Which pairs are tested: sets, distances, linkage; the checkpoint; settings out of range."""

from dataclasses import replace
from itertools import combinations
from time import sleep

import numpy as np
import pytest
from oracles import make_cohort
from oracles_scan import scan_cohort_data
from vcf_files import record, write_vcf

import genoattn
from genoattn.cohort import Phenotype
from genoattn.scan import engine
from genoattn.scan.scope import Scope

N_SITES = 12


@pytest.fixture
def cohort():
    rng = np.random.default_rng(5)
    calls, covariates = scan_cohort_data(rng, 120, N_SITES, 0.02, 0.6, 1)
    return make_cohort(calls, [3] * N_SITES, "genotype", rng.normal(size=120), False, covariates)


def pairs_of(result):
    return {tuple(sorted((int(a[1:]), int(b[1:])))) for a, b in result.frame[["site_1", "site_2"]].to_numpy()}


def every(condition):
    return {p for p in combinations(range(N_SITES), 2) if condition(*p)}


def test_sets(cohort):
    some, others = {1, 4, 7}, {4, 7, 9, 10}
    named = {"sites": [f"s{k}" for k in some], "with_sites": ",".join(f"s{k}" for k in others)}
    found = genoattn.scan_pairs(cohort, threshold=1.0, **named)
    expected = every(lambda i, j: (i in some and j in others) or (j in some and i in others))
    assert pairs_of(found) == expected
    assert found.counts["n_tests"] == len(found.frame) == len(expected) == 9
    one = genoattn.scan_pairs(cohort, threshold=1.0, sites="s3")
    assert pairs_of(one) == every(lambda i, j: 3 in (i, j))
    only_partners = genoattn.scan_pairs(cohort, threshold=1.0, with_sites="s3")
    assert pairs_of(only_partners) == pairs_of(one)


def test_regions_and_files(cohort, tmp_path):
    # Site k is at 1:100k+1.
    region = genoattn.scan_pairs(cohort, threshold=1.0, sites="1:201-401", with_sites="1:801")
    assert pairs_of(region) == {(2, 8), (3, 8), (4, 8)}
    bed = tmp_path / "two.bed"
    bed.write_text("# 0-based\n1\t200\t301\n")  # positions 201 to 301
    listed = tmp_path / "list.txt"
    listed.write_text("s8\n1:901\n")
    both = genoattn.scan_pairs(cohort, threshold=1.0, sites=str(bed), with_sites=str(listed))
    assert pairs_of(both) == {(2, 8), (3, 8), (2, 9), (3, 9)}


def test_distance_and_linkage(cohort):
    far = genoattn.scan_pairs(cohort, threshold=1.0, min_distance=300)
    assert pairs_of(far) == every(lambda i, j: j - i >= 3)
    unlimited = genoattn.scan_pairs(cohort, threshold=1.0, missing="mean")
    limited = genoattn.scan_pairs(cohort, threshold=1.0, missing="mean", max_r2=0.05)
    linked = unlimited.frame["r2_ld"] > 0.05
    assert 3 < limited.counts["n_linked"] == linked.sum()
    assert len(limited.frame) == (~linked).sum() == limited.counts["n_tests"]


def test_alleles_of_one_record_are_no_pair(tmp_path):
    rng = np.random.default_rng(7)
    words = np.array(["0/0", "0/1", "1/1", "0/2", "1/2", "2/2"])
    biallelic = [record(rng.choice(words[:3], 40), pos=p, name=f"rs{p}") for p in (1, 2, 3)]
    triallelic = record(rng.choice(words, 40), pos=2, name="rsm", alt="G,<DEL>")
    spanning = record(rng.choice(words, 40), pos=3, name="rsx", alt="G,*")
    vcf = write_vcf(tmp_path / "x.vcf", [f"i{k}" for k in range(40)], [*biallelic, triallelic, spanning])
    cohort = replace(
        genoattn.read(vcf, filters=False), phenotype=Phenotype("y", rng.normal(size=40), binary=False)
    )
    ids = ["rs1", "rs2", "rs3", "rsm:G", "rsm:<DEL>", "rsx:G", "rsx:*"]
    assert cohort.sites.ids.tolist() == ids
    one_site = [{"rsm:G", "rsm:<DEL>"}, {"rsx:G", "rsx:*"}]
    expected = {frozenset(pair) for pair in combinations(ids, 2)} - {frozenset(pair) for pair in one_site}
    found = genoattn.scan_pairs(cohort, threshold=1.0)
    assert found.counts["n_tests"] + found.counts["n_untestable"] == len(expected) == 19
    assert {frozenset(pair) for pair in found.frame[["site_1", "site_2"]].to_numpy()} <= expected
    # Alleles of other records at the same position are a pair, which is said to be linked.
    pair = found.frame[(found.frame["site_1"] == "rs2") & (found.frame["site_2"] == "rsm:G")]
    assert pair["flag"].tolist() == ["linked"]
    named = genoattn.scan_pairs(cohort, threshold=1.0, sites="rsm:G", with_sites="rsm:<DEL>,rs1")
    assert named.counts["n_tests"] == 1
    distant = genoattn.scan_pairs(cohort, threshold=1.0, min_distance=1)
    assert distant.counts["n_tests"] + distant.counts["n_untestable"] == 19 - 2 - 2


@pytest.mark.parametrize("min_distance", [0, 250])
@pytest.mark.parametrize("second", ["all", "same", "other"])
def test_number_of_pairs(min_distance, second):
    """Counted one by one; columns 2 and 3, and 6, 7 and 8, are of one site."""
    site = np.array([0, 1, 2, 2, 3, 4, 5, 5, 5, 6])
    rows = np.arange(10) if second == "all" else np.array([0, 2, 3, 6, 7, 8])
    cols = np.array([3, 4, 7, 9]) if second == "other" else rows
    position = 100 * site
    scope = Scope(rows, cols, site, np.zeros(10, dtype=int), position, min_distance)
    pairs = {
        frozenset((a, b))
        for a in rows.tolist()
        for b in cols.tolist()
        if site[a] != site[b] and not abs(position[a] - position[b]) < min_distance
    }
    assert scope.n_pairs() == scope.n_pairs(width=3) == len(pairs)


def test_an_interrupted_scan_goes_on(cohort, tmp_path, monkeypatch):
    file = tmp_path / "out.partial"
    settings = {"threshold": 0.2, "threads": 1, "checkpoint": file, "memory": 1e8}
    uninterrupted = genoattn.scan_pairs(cohort, 0.2, threads=1)
    monkeypatch.setattr("genoattn.scan.pair_scan._NARROWEST", 3)
    monkeypatch.setattr("genoattn.scan.pair_scan._TILE", 3)
    real, done = engine.Engine.tile, []

    def failing(self, number):
        if len(done) == 4:
            raise KeyboardInterrupt
        done.append(number)
        return real(self, number)

    monkeypatch.setattr(engine.Engine, "tile", failing)
    with pytest.raises(KeyboardInterrupt):
        genoattn.scan_pairs(cohort, **settings)
    assert file.exists()
    again = []
    monkeypatch.setattr(engine.Engine, "tile", lambda self, k: again.append(k) or real(self, k))
    for other in ({"threshold": 0.3}, {"missing": "mean"}):
        with pytest.raises(
            genoattn.InputError, match="left by an interrupted scan of other data or settings"
        ):
            genoattn.scan_pairs(cohort, **{**settings, **other})
    result = genoattn.scan_pairs(cohort, **settings)
    assert not file.exists()
    # What was finished but not yet counted may be done again.
    assert len(again) < 10
    assert set(again) | set(done) == set(range(10))
    assert pairs_of(result) == pairs_of(uninterrupted)
    assert result.counts["n_tests"] == uninterrupted.counts["n_tests"]


def test_a_file_that_is_no_checkpoint_is_refused(cohort, tmp_path):
    file = tmp_path / "out.partial"
    file.write_text("something else")
    with pytest.raises(
        genoattn.InputError, match=r"out.partial: not the file of an interrupted scan; remove"
    ):
        genoattn.scan_pairs(cohort, checkpoint=file)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0.0}, "threshold is 0.0; give a p-value above 0"),
        ({"threshold": np.nan}, "threshold is nan"),
        ({"missing": "zero"}, "missing 'zero' is unknown; choose one of complete, mean"),
        ({"threads": 0}, "threads is 0; it must be 1 or more"),
        ({"memory": 5.0}, "memory is 5 bytes; give at least 100 MB"),
        ({"permutations": -1}, "permutations is -1; it must be 0 or more"),
        ({"device": "half"}, "device 'half' is not available here; use cpu"),
        ({"min_distance": -5}, "min_distance is -5; give a number of bases"),
        ({"max_r2": 0.0}, "max_r2 is 0.0; give a squared correlation above 0"),
        ({"sites": "nowhere"}, "site set 'nowhere': no site with this ID, region or file"),
        ({"sites": "s1", "with_sites": "s1"}, "no pair of sites is left to test; widen"),
    ],
)
def test_settings_out_of_range(cohort, options, message):
    with pytest.raises(genoattn.InputError, match=message):
        genoattn.scan_pairs(cohort, **options)


def test_unknown_setting(cohort):
    with pytest.raises(TypeError, match="unknown setting 'colour'; known are background, device"):
        genoattn.scan_pairs(cohort, colour=1)


def test_site_files_with_mistakes(cohort, tmp_path):
    bed = tmp_path / "bad.bed"
    bed.write_text("1\tx\t300\n")
    with pytest.raises(genoattn.InputError, match=r"bad.bed, line 1: not chrom, start and end"):
        genoattn.scan_pairs(cohort, sites=str(bed))
    bed.write_text("chr9\t1\t300\n")
    with pytest.raises(genoattn.InputError, match="none of its intervals holds a site of the cohort"):
        genoattn.scan_pairs(cohort, sites=str(bed))
    names = tmp_path / "names.txt"
    names.write_text("rs1\nrs2\n")
    with pytest.raises(genoattn.InputError, match="none of its 2 entries, 'rs1' the first, is a site"):
        genoattn.scan_pairs(cohort, sites=str(names))


def test_data_that_cannot_be_tested():
    rng = np.random.default_rng(0)
    calls = rng.binomial(2, 0.4, (40, 4)).astype(np.int8)
    y = rng.normal(size=40)
    twice = np.column_stack([y, 2 * y + 1]) + rng.normal(size=(40, 1))
    twice[:, 1] = 3 * twice[:, 0] - 2
    with pytest.raises(genoattn.InputError, match="covariate c1 is constant or a combination"):
        genoattn.scan_pairs(make_cohort(calls, [3] * 4, "genotype", y, False, twice))
    with pytest.raises(
        genoattn.InputError, match="the trait is constant, or a combination of the covariates"
    ):
        genoattn.scan_pairs(make_cohort(calls, [3] * 4, "genotype", y, False, 2 * y[:, None]))
    with pytest.raises(genoattn.InputError, match="4 samples for 4 coefficients of each regression"):
        genoattn.scan_pairs(make_cohort(calls[:4], [3] * 4, "genotype", y[:4]))
    with pytest.raises(genoattn.InputError, match="the cohort has no phenotype; read it with pheno=TABLE"):
        genoattn.scan_pairs(make_cohort(calls, [3] * 4, "genotype"))
    case = (y > 0).astype(float)
    with pytest.raises(genoattn.InputError, match="cases from controls; leave out c0"):
        genoattn.scan_pairs(make_cohort(calls, [3] * 4, "genotype", case, True, y[:, None]))


def test_compiling_is_announced_where_it_takes_long(cohort, monkeypatch, caplog):
    caplog.set_level("INFO", logger="genoattn")
    monkeypatch.setattr(engine, "_PATIENCE", 600)
    genoattn.scan_pairs(cohort, 1e-3)
    assert "compiling" not in caplog.text
    loading = engine.threadpool_limits

    def slow(products):
        sleep(0.3)
        return loading(products)

    monkeypatch.setattr(engine, "_PATIENCE", 0.05)
    monkeypatch.setattr(engine, "threadpool_limits", slow)
    genoattn.scan_pairs(cohort, 1e-3)
    assert caplog.text.count("compiling the kernels of this kind of scan") == 1
