"""Scans with a background: a dense mixed model as the oracle, calibration among relatives, refusals."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import oracles_mixed_model as dense
import pandas as pd
import pytest
from cli_files import run_in_process
from scipy.stats import chi2

import genoattn
from genoattn.cohort import Cohort, Covariates, Phenotype, Sites
from genoattn.errors import InputError
from genoattn.scan import background_engine
from genoattn.scan.genome_parts import make_parts
from genoattn.scan.sample_covariance import KernelPair, first_ratio, fit_covariance


def sibs(seed, n_families=60, size=5, n_sites=48, n_chromosomes=4, heritability=0.7):
    """Calls of full sibs, sites in equilibrium, and a trait to which every site contributes."""
    rng = np.random.default_rng(seed)
    frequency = rng.uniform(0.15, 0.5, n_sites)
    calls = []
    for _ in range(n_families):
        parents = rng.random((2, 2, n_sites)) < frequency
        for _ in range(size):
            which = rng.integers(0, 2, (2, n_sites))
            calls.append(sum(np.where(w == 0, p[0], p[1]).astype(int) for w, p in zip(which, parents)))  # noqa: B905
    calls = np.array(calls, dtype=np.int8)
    value = calls @ (rng.normal(size=n_sites) / np.maximum(calls.std(axis=0), 0.1))
    trait = np.sqrt(heritability) * (value - value.mean()) / value.std()
    trait += np.sqrt(1 - heritability) * rng.normal(size=len(calls))
    return make_cohort(calls, trait, n_chromosomes)


def make_cohort(calls, trait, n_chromosomes, covariates=None):
    n = calls.shape[1]
    chrom = np.array([str(1 + k * n_chromosomes // n) for k in range(n)])
    ids = [f"rs{k}" for k in range(n)]
    sites = Sites(ids, chrom, np.arange(1, n + 1) * 1000, ["A"] * n, ["G"] * n, (("A/A", "A/G", "G/G"),) * n)
    names = [f"s{k}" for k in range(len(calls))]
    fixed = None if covariates is None else Covariates(("x", "z")[: covariates.shape[1]], covariates)
    return Cohort(names, sites, calls, phenotype=Phenotype("y", trait), covariates=fixed)


def with_gaps(cohort, share, seed=5):
    rng = np.random.default_rng(seed)
    calls = np.where(rng.random(cohort.calls.shape) < share, -1, cohort.calls).astype(np.int8)
    covariates = np.column_stack([rng.normal(size=len(calls)), calls[:, 0] + rng.normal(size=len(calls))])
    return replace(cohort, calls=calls, covariates=Covariates(("x", "z"), covariates))


def background_scan(cohort, threshold=1.0, background="loco", **options):
    return genoattn.scan_pairs(cohort, threshold, background=background, threads=1, **options)


def oracle_row(cohort, row, background, cache):
    """Effect, standard error, t and p of a row of the table by the dense mixed model."""
    own = (
        sorted({row["chrom_1"], row["chrom_2"]}) if background == "loco" else sorted(set(cohort.sites.chrom))
    )
    covariates = np.zeros((cohort.n_samples, 0)) if cohort.covariates is None else cohort.covariates.values
    y = cohort.phenotype.values
    if tuple(own) not in cache:
        cache[tuple(own)] = dense.null_model(cohort.calls, cohort.sites.chrom, own, y, covariates)
    kernels, ratios, _ = cache[tuple(own)]
    pair = [list(cohort.sites.ids).index(row[f"site_{k}"]) for k in (1, 2)]
    return dense.pair_by_gls(cohort.calls, pair, y, covariates, kernels, ratios)


@pytest.mark.parametrize("background", ["loco", "genome"])
@pytest.mark.parametrize("gaps", [0.0, 0.04])
def test_rows_equal_a_dense_mixed_model(background, gaps):
    cohort = sibs(1)
    cohort = with_gaps(cohort, gaps) if gaps else cohort
    frame = background_scan(cohort, background=background).frame
    cache = {}
    for row in frame.iloc[[0, 1, 400]].to_dict("records"):
        found = [row[name] for name in ("effect", "se", "statistic", "p_value")]
        np.testing.assert_allclose(found, oracle_row(cohort, row, background, cache), rtol=1e-6)
        assert row["n_samples"] == cohort.n_samples


def test_variances_are_those_of_the_dense_null_model():
    cohort = with_gaps(sibs(2), 0.03)
    result = background_scan(cohort)
    rows = result.manifest.model["scan"]["mixed_model"]["variance_components"]
    assert [(v["part_1"], v["part_2"]) for v in rows[:5]] == [
        ("1", "1"),
        ("1", "2"),
        ("1", "3"),
        ("1", "4"),
        ("2", "2"),
    ]
    for v in rows[1:2]:
        own = sorted({v["part_1"], v["part_2"]})
        _, ratios, residual = dense.null_model(
            cohort.calls, cohort.sites.chrom, own, cohort.phenotype.values, cohort.covariates.values
        )
        np.testing.assert_allclose(
            [v["others"], v["own"], v["residual"]], [*(ratios * residual), residual], rtol=1e-6
        )


def test_a_kernel_without_variance_has_none():
    """The trait is orthogonal to the columns of the second kernel: less alike than by chance."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(40, 200))
    z -= z.mean(axis=1, keepdims=True)
    y = 0.2 * z[:20].T @ rng.normal(size=20) + rng.normal(size=200)
    y -= y.mean()
    y -= z[20:].T @ np.linalg.lstsq(z[20:].T, y, rcond=None)[0]
    kernels = KernelPair(z.T @ z, 40, z[20:])
    found = fit_covariance(kernels, y, 199, first_ratio(kernels, y))
    explicit = [z[:20].T @ z[:20] / 20, z[20:].T @ z[20:] / 20]
    ratios = dense.likeliest_ratios(explicit, y, np.ones((200, 1)))
    assert ratios[1] == 0
    np.testing.assert_allclose([found.others, found.own], ratios, rtol=1e-6)


@pytest.mark.parametrize("background", ["loco", "genome"])
@pytest.mark.parametrize("options", [{}, {"max_r2": 0.01}, {"sites": "2:0-99999", "min_distance": 3000}])
def test_the_screen_loses_no_pair(background, options):
    cohort = with_gaps(sibs(3), 0.02)
    every = background_scan(cohort, background=background, **options)
    some = background_scan(cohort, 0.01, background, **options)
    expected = every.frame[every.frame["p_value"] <= 0.01].reset_index(drop=True)
    assert len(some) == len(expected) > 2
    # q-values are no smaller where larger p-values are not known.
    pd.testing.assert_frame_equal(
        some.frame.drop(columns="q_value"), expected.drop(columns="q_value"), rtol=1e-9
    )
    counts = ("n_tests", "n_untestable", "n_linked")
    assert [some.counts[c] for c in counts] == [every.counts[c] for c in counts]
    assert 0 < some.counts["mixed_model"]["tested_exactly"] < every.counts["n_tests"]


def test_a_margin_that_was_too_small_is_widened(monkeypatch):
    cohort = with_gaps(sibs(3), 0.02)
    expected = background_scan(cohort, 0.01, "genome").frame
    monkeypatch.setattr(background_engine.BackgroundEngine, "_sample", lambda *_: np.full(3, 1.0))
    found = background_scan(cohort, 0.01, "genome")
    assert found.counts["mixed_model"]["screen_ratio"] < 1
    pd.testing.assert_frame_equal(found.frame, expected, rtol=1e-9)


def test_small_tiles_give_the_same(monkeypatch):
    cohort = sibs(4)
    expected = background_scan(cohort, 0.05)
    monkeypatch.setattr(background_engine, "_WIDTH", 5)
    found = background_scan(cohort, 0.05)
    pd.testing.assert_frame_equal(found.frame, expected.frame, rtol=1e-9)
    assert found.counts["n_tests"] == expected.counts["n_tests"] == 48 * 47 // 2


def test_without_heritability_it_is_the_plain_scan():
    """Where the additive effects have no variance, generalised least squares are least squares."""
    cohort = with_gaps(sibs(0, n_families=40, heritability=0.0), 0.03)
    for seed in range(20):
        trait = np.random.default_rng(seed).normal(size=cohort.n_samples)
        one = replace(cohort, phenotype=Phenotype("y", trait))
        found = background_scan(one, background="genome")
        if found.counts["mixed_model"]["variance_components"][0]["own"] == 0:
            break
    plain = genoattn.scan_pairs(one, 1.0, missing="mean", threads=1)
    assert found.counts["n_untestable"] == plain.counts["n_untestable"]
    # The share of variance explained is of the trait about its mean in both.
    pd.testing.assert_frame_equal(found.frame, plain.frame, rtol=1e-7)


def test_orders_of_chromosomes_and_alleles_do_not_matter():
    cohort = sibs(6)
    expected = background_scan(cohort, 0.05).frame
    order = np.random.default_rng(1).permutation(cohort.n_sites)
    moved = cohort.select_sites(order)
    moved = replace(moved, calls=(2 - moved.calls).astype(np.int8))
    found = background_scan(moved, 0.05).frame
    assert len(found) == len(expected)
    np.testing.assert_allclose(found["p_value"], expected["p_value"], rtol=1e-7)
    np.testing.assert_allclose(found["effect"], expected["effect"], rtol=1e-7)  # both signs change


@pytest.mark.parametrize("n_chromosomes", [1, 2])
def test_too_few_chromosomes_are_said(n_chromosomes, caplog):
    cohort = sibs(7, n_families=20, n_sites=16, n_chromosomes=n_chromosomes)
    with caplog.at_level("WARNING", "genoattn"):
        found = background_scan(cohort)
    says = {1: "one chromosome: there are no others", 2: "two chromosomes: the background of a pair"}[
        n_chromosomes
    ]
    assert says in caplog.text
    assert says in found.summary()
    assert says in found.manifest.model["scan"]["mixed_model"]["instead"]
    if n_chromosomes == 1:
        genome = background_scan(cohort, background="genome")
        pd.testing.assert_frame_equal(found.frame, genome.frame)


def test_many_chromosomes_share_parts():
    cohort = sibs(8, n_families=3, n_sites=200, n_chromosomes=200)
    parts = make_parts(cohort.sites, np.arange(200), "loco")
    assert len(parts.names) == 40
    assert parts.names[0] == "1..102"  # five chromosomes, in the order of their names
    assert np.bincount(parts.part).tolist() == [5] * 40


def inflation(p_value):
    return chi2.isf(np.median(p_value), 1) / chi2.ppf(0.5, 1)


def test_relatives_do_not_inflate_it():
    """Two cohorts of 40 families of ten: 1.8 without a background; the standard error is 0.05 with one."""
    cohorts = [sibs(seed, 40, 10, 80, 5, 0.8) for seed in (11, 12)]
    plain = np.concatenate([genoattn.scan_pairs(c, 1.0, threads=1).frame["p_value"] for c in cohorts])
    assert inflation(plain) > 1.4
    for background in ("loco", "genome"):
        p = np.concatenate([background_scan(c, background=background).frame["p_value"] for c in cohorts])
        assert 0.88 < inflation(p) < 1.12
        assert (p < 1e-3).mean() < 3e-3


def test_planted_pairs_keep_their_evidence():
    plain, mixed = [], []
    for seed in (21, 22):
        cohort = sibs(seed, 40, 10, 40, 4, 0.7)
        x = cohort.calls[:, [3, 30]] - cohort.calls[:, [3, 30]].mean(axis=0)
        trait = cohort.phenotype.values + 0.35 * x.prod(axis=1) / x.prod(axis=1).std()
        one = replace(cohort, phenotype=Phenotype("y", trait))
        for p, scan in ((plain, genoattn.scan_pairs(one, 1.0, threads=1)), (mixed, background_scan(one))):
            frame = scan.frame.set_index(["site_1", "site_2"])
            p.append(np.log10(frame.loc[("rs3", "rs30"), "p_value"]))
    assert np.sum(mixed) < np.sum(plain) < -6


def test_an_interrupted_scan_goes_on_with_the_same_background_only(tmp_path):
    cohort, file = sibs(9), tmp_path / "partial"
    expected = background_scan(cohort, 0.05)

    class StoppedError(Exception):
        pass

    run = background_engine.BackgroundEngine.run

    def stop(self, todo):
        for k, one in enumerate(run(self, todo)):
            if k == 6:
                raise StoppedError
            yield one

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(background_engine.BackgroundEngine, "run", stop)
        with pytest.raises(StoppedError):
            background_scan(cohort, 0.05, checkpoint=file)
    for other in ({"background": "genome"}, {"background": None}):
        with pytest.raises(InputError, match="left by an interrupted scan of other data or settings"):
            genoattn.scan_pairs(cohort, 0.05, checkpoint=file, missing="mean", threads=1, **other)
    found = background_scan(cohort, 0.05, checkpoint=file)
    pd.testing.assert_frame_equal(found.frame, expected.frame)
    assert found.counts["mixed_model"] == expected.counts["mixed_model"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"background": "kin"}, "background 'kin' is unknown; choose one of loco, genome"),
        ({"test": "genotypic"}, "the genotypic test has no background; leave the background or the test out"),
        ({"permutations": 10}, "permutations make relatives unrelated"),
        ({"device": "cuda"}, "a scan with a background runs on the processor; leave the device out"),
    ],
)
def test_settings_that_do_not_go_together(options, message):
    with pytest.raises(InputError, match=message):
        genoattn.scan_pairs(sibs(1, 6), 0.01, **{"background": "loco", **options})


def test_cohorts_that_have_no_mixed_model():
    cohort = sibs(1, 12)
    binary = Phenotype("y", (cohort.phenotype.values > 0).astype(float), binary=True)
    with pytest.raises(InputError, match="the trait is binary; give --trait-type quantitative"):
        background_scan(replace(cohort, phenotype=binary))
    big = sibs(1, 1000, 5, 12, 3)
    with pytest.raises(
        InputError, match=r"5,000 samples needs 1.2 GB, and 0.5 GB are allowed; raise the memory"
    ):
        background_scan(big, memory=5e8)
    few = cohort.select_samples(np.arange(cohort.n_samples) < 5)
    few = replace(few, covariates=Covariates(("x", "z"), np.random.default_rng(0).normal(size=(5, 2))))
    with pytest.raises(InputError, match="5 samples for 6 coefficients of each regression; more are needed"):
        background_scan(few)
    with pytest.raises(
        InputError, match="triples are scanned without a background; leave it out, or scan pairs"
    ):
        genoattn.scan_triples(cohort, 0.01, background="loco")


def test_several_traits():
    cohort = sibs(10, 20)
    traits = pd.DataFrame(
        {"y": cohort.phenotype.values, "z": cohort.phenotype.values**2}, index=cohort.samples
    )
    found = genoattn.scan_traits(cohort, traits, 0.05, background="loco", threads=1)
    pd.testing.assert_frame_equal(found["y"].frame, background_scan(cohort, 0.05).frame)


def write_files(folder):
    cohort = sibs(5, 12, 5, 12, 3)
    header = "##fileformat=VCFv4.2\n" + "".join(f"##contig=<ID={c}>\n" for c in "123")
    header += '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *cohort.samples]
    lines = ["\t".join(columns)]
    for k in range(cohort.n_sites):
        words = np.array(["0/0", "0/1", "1/1"])[cohort.calls[:, k]]
        place = (cohort.sites.chrom[k], cohort.sites.pos[k], f"rs{k}", "A", "G", ".", "PASS", ".", "GT")
        lines.append("\t".join(map(str, (*place, *words))))
    (folder / "c.vcf").write_text(header + "\n".join(lines) + "\n")
    pairs = zip(cohort.samples, cohort.phenotype.values, strict=True)
    (folder / "y.tsv").write_text(
        "IID\ty\n" + "".join(f"{name}\t{float(value)!r}\n" for name, value in pairs)
    )
    return ["scan", folder / "c.vcf", "--pheno", folder / "y.tsv", "--background", "loco", "--threads", "1"]


def test_the_command_says_what_the_background_is(tmp_path, capsys):
    command = write_files(tmp_path)
    out = tmp_path / "out"
    done = run_in_process([*command, "--threshold", "1", "-o", out], capsys)
    assert done.status == 0
    assert "background loco: additive effects are 0." in done.out
    scan = json.loads((out / "manifest.json").read_text())["model"]["scan"]
    assert (scan["background"], scan["missing"], scan["screen"]) == ("loco", "mean", "mixed model")
    assert len(scan["mixed_model"]["variance_components"]) == 6
    assert json.loads((out / "scan.json").read_text())["mixed_model"] == scan["mixed_model"]
    expected = background_scan(genoattn.read(tmp_path / "c.vcf", tmp_path / "y.tsv")).frame
    pd.testing.assert_frame_equal(genoattn.load_interactions(out).frame, expected, check_dtype=False)


def test_refusals_of_the_command(tmp_path, capsys):
    command = write_files(tmp_path)
    for options, message in (
        (["--order", "3"], "triples are scanned without a background; leave it out, or scan pairs"),
        (["--test", "genotypic"], "the genotypic test has no background"),
        (["--permutations", "5"], "permutations make relatives unrelated"),
    ):
        done = run_in_process([*command, "-o", tmp_path / "out", "--quiet", *options], capsys)
        assert done.status == 2
        assert len(done.err.splitlines()) == 1
        assert message in done.err
        assert not (tmp_path / "out").exists()
