"""Predictions of new samples: of files as other tools leave them, in the units of the trait."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cli_files import run_in_process
from scipy.special import expit
from scipy.stats import norm
from small_cohorts import planted, short_fit
from vcf_files import record, write_text, write_vcf

import genoattn
from genoattn.fitting.store import load_model
from genoattn.io.phenotypes import rank_normal, trait_quantiles

CASES = Path(__file__).parent / "cases"
NUMBERS = np.arange(60)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Makes the output folder of a fit of a few epochs, once for each name."""
    made = {}

    def make(name, genotypes, covar=None, **how):
        if name not in made:
            read = {k: how.pop(k) for k in ("haploid", "transform") if k in how}
            cohort = genoattn.read(genotypes, genotypes.parent / "y.tsv", covar=covar, **read)
            folder = tmp_path_factory.mktemp("fits") / name
            short_fit(cohort, **how).save(folder)
            made[name] = folder
        return made[name]

    return make


def predicted(capsys, *arguments):
    """The table that ``genoattn predict`` prints, by sample, and what it says."""
    outcome = run_in_process(["predict", *arguments], capsys)
    assert outcome.status == 0, outcome.err
    return pd.read_csv(io.StringIO(outcome.out), sep="\t").set_index("IID"), outcome.err


def same(found, expected):
    pd.testing.assert_frame_equal(found, expected.loc[found.index], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("haploid", ["double", "as-is"])
def test_males_alone_are_predicted_as_among_females(fitted, capsys, haploid):
    case = CASES / "predict-haploid"
    model = fitted(haploid, case / "all.vcf", case / "sex.tsv", haploid=haploid)
    covar = ("--covar", case / "sex.tsv")
    everyone, said = predicted(capsys, model, case / "all.vcf", *covar)
    assert ", as in the fit" not in said
    for name, n in (("males", 40), ("one_male", 1)):
        some, said = predicted(capsys, model, case / f"{name}.vcf", *covar)
        same(some.drop(columns="FID", errors="ignore"), everyone)
        doubled = f"{4 * n} haploid calls at 4 sites count 0 or 2 copies, as in the fit"
        assert (doubled in said) == (haploid == "double")
    other = {"double": "as-is", "as-is": "double"}[haploid]
    refused = run_in_process(["predict", model, case / "males.vcf", *covar, "--haploid", other], capsys)
    assert refused.status == 2
    assert f"haploid calls read as {other}, but the model was fitted with haploid {haploid}" in refused.err


def test_lines_called_1_are_those_called_1_1(fitted, capsys, tmp_path):
    """Bacteria or inbred lines, fitted as diploid, with alleles and chromosomes named otherwise too."""
    rng = np.random.default_rng(1)
    samples = [f"s{i}" for i in NUMBERS]
    calls = rng.integers(0, 2, (6, 60))
    diploid = [record([f"{c}/{c}" for c in row], pos=100 * (k + 1)) for k, row in enumerate(calls)]
    write_text(tmp_path / "y.tsv", "IID\ty\n" + "".join(f"{s}\t{rng.normal():.4f}\n" for s in samples))
    model = fitted("inbred", write_vcf(tmp_path / "all.vcf", samples, diploid))
    everyone, _ = predicted(capsys, model, tmp_path / "all.vcf")

    def lines_of(calls, **alleles):
        return [record([str(c) for c in row], pos=100 * (k + 1), **alleles) for k, row in enumerate(calls)]

    turned = lines_of(1 - calls[:, :9], ref="C", alt="A")
    for name, lines in {
        "one": lines_of(calls[:, :1]),
        "haploid": lines_of(calls[:, :9]),
        "turned": turned,
        "renamed": [line.replace("1", "chr1", 1) for line in turned],
    }.items():
        n = lines[0].count("\t") - 8
        same(predicted(capsys, model, write_vcf(tmp_path / f"{name}.vcf", samples[:n], lines))[0], everyone)
    four = [record(["1/1/1/1"], pos=100 * (k + 1)) for k in range(6)]
    refused = run_in_process(["predict", model, write_vcf(tmp_path / "four.vcf", ["s0"], four)], capsys)
    assert "sample s0 has 4 copies at 1:100:A:C, where the model knows ploidy 2" in refused.err


def test_samples_that_all_carry_the_reference_are_predicted(fitted, capsys, tmp_path):
    case = CASES / "predict-monomorphic"
    model = fitted("train", case / "train.vcf")
    everyone, _ = predicted(capsys, model, case / "train.vcf")
    for name in ("new_alt_dot.vcf", "new_a1_zero.bed"):
        some, said = predicted(capsys, model, case / name)
        assert len(some) == 12
        same(some.drop(columns="FID", errors="ignore"), everyone)
        assert "1 where the file lists no such allele, counted by the alleles that it lists" in said


def test_sites_of_another_build_match_by_id_where_that_is_asked_for(fitted, capsys):
    case = CASES / "predict-id-only"
    model = fitted("build", case / "train.vcf")
    refused = run_in_process(["predict", model, case / "new.vcf"], capsys)
    assert refused.status == 2
    assert (
        "0 of the model's 24 sites match by position, 24 by ID; if the build changed use --match-by id"
        in (refused.err)
    )
    found, said = predicted(capsys, model, case / "new.vcf", "--match-by", "id")
    assert "24 sites of the model matched by ID; 24 at another position" in said
    cohort = genoattn.read(case / "new.vcf", filters=False)
    by_name = load_model(model).predict(cohort, match_by="id")
    np.testing.assert_allclose(found["prediction"], by_name, rtol=1e-6)
    np.testing.assert_allclose(genoattn.load_interactions(model).predict(cohort, "id"), by_name, atol=1e-5)


@pytest.mark.parametrize(("transform", "column"), [("log", "log"), ("rank", "normal_score"), ("none", None)])
def test_predictions_are_in_units_of_the_trait(fitted, capsys, transform, column):
    case = CASES / "predict-units"
    model = fitted(transform, case / "g.vcf", transform=transform)
    found, _ = predicted(capsys, model, case / "g.vcf")
    trait = pd.read_csv(case / "y.tsv", sep="\t").set_index("IID")["y"]
    if column is None:
        assert found.columns.tolist() == ["prediction"]
        return
    assert found.columns.tolist() == ["prediction", f"prediction_{column}"]
    scale = found[f"prediction_{column}"]
    assert abs(scale.mean()) < 0.2  # of a trait with mean 1.8
    if transform == "log":
        np.testing.assert_allclose(found["prediction"], np.exp(scale), rtol=1e-12)
    # A prediction in the middle is the trait's median, on any scale.
    middle = found["prediction"][(scale - np.median(scale)).abs().idxmin()]
    assert middle == pytest.approx(trait.median(), rel=0.15)
    assert found["prediction"].between(trait.min(), trait.max()).all()


def test_binary_and_counted_traits_have_a_probability_and_a_mean():
    table = short_fit(planted(binary=True)).model.prediction_table(planted(binary=True))
    assert table.columns.tolist() == ["IID", "prediction", "prediction_log_odds", "probability"]
    np.testing.assert_allclose(table["prediction"], expit(table["prediction_log_odds"]))
    np.testing.assert_array_equal(table["prediction"], table["probability"])
    cohort = planted()
    counts = replace(cohort.phenotype, values=np.random.default_rng(1).poisson(5.0, 120).astype(float))
    cohort = replace(cohort, phenotype=counts)
    table = short_fit(cohort, likelihood="poisson").model.prediction_table(cohort)
    assert table.columns.tolist() == ["IID", "prediction", "prediction_log", "mean"]
    np.testing.assert_allclose(table["prediction"], np.exp(table["prediction_log"]))
    np.testing.assert_array_equal(table["prediction"], table["mean"])


def test_intervals_are_in_units_of_the_trait_too():
    cohort = planted(200, 5, kind="sequence")
    logged = replace(cohort, phenotype=replace(cohort.phenotype, transform="log"))
    how = {"order": 2, "estimator": "posterior"}
    plain, table = (short_fit(c, **how).model.prediction_table(c) for c in (cohort, logged))
    assert table.columns.tolist() == ["IID", "prediction", "prediction_log", "lower", "upper"]
    for name in ("prediction", "lower", "upper"):
        np.testing.assert_allclose(table[name], np.exp(plain[name]), rtol=1e-6)


def test_normal_scores_lead_back_to_the_trait(tmp_path, caplog):
    rng = np.random.default_rng(0)
    for values in (rng.exponential(size=50), rng.integers(0, 9, 400).astype(float), rng.normal(size=5000)):
        scores = rank_normal(values)
        quantiles = trait_quantiles(values, scores)
        assert quantiles.shape[1] <= 1000
        assert (np.diff(quantiles) > 0).all()
        back = np.interp(scores, quantiles[0], quantiles[1])
        # Exact where all values are kept, else within the step to the next of the values kept.
        assert np.abs(back - values).max() <= (0 if len(values) < 1000 else np.diff(quantiles[1]).max())
        assert np.interp(norm.ppf(1e-9), *quantiles) == values.min()
    cohort = planted()
    known = replace(cohort.phenotype, transform="rank", quantiles=trait_quantiles(np.exp(scores), scores))
    model = short_fit(replace(cohort, phenotype=known)).model
    table = model.prediction_table(cohort)
    np.testing.assert_allclose(
        table["prediction"], np.interp(table["prediction_normal_score"], *known.quantiles), rtol=1e-12
    )
    short_fit(replace(cohort, phenotype=known)).save(tmp_path / "fit")
    pd.testing.assert_frame_equal(load_model(tmp_path / "fit").prediction_table(cohort), table, rtol=1e-6)
    without = replace(model, quantiles=None).prediction_table(cohort)
    assert without.columns.tolist() == ["IID", "prediction_normal_score"]
    assert "the model has no quantiles of trait, so that predictions are normal scores alone" in caplog.text
