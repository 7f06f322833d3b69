"""Environments in a fit: found, not found where there are none, exported, predicted, drawn."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from cli_files import run_in_process
from environment_files import environment_cohort, environment_table, write_environment_files

import genoattn
from genoattn.closed_form.pair_columns import segment_numbers
from genoattn.errors import InputError
from genoattn.model.data import training_data
from genoattn.model.prediction import predict_orders
from genoattn.model.readout import Readout, move_main_effects
from genoattn.scan.scores import pair_tiles
from genoattn.tokens import build_vocabulary

genoattn_plot = pytest.importorskip("genoattn.plot")


@pytest.fixture(scope="module", params=["two", "three", "number"])
def fitted(request):
    cohort, _, (one, *_) = environment_cohort(request.param, n=700, n_sites=15)
    return request.param, cohort, cohort.sites.ids[one], genoattn.fit(cohort, seed=1)


def test_the_planted_interaction_is_first_and_the_only_claim(fitted):
    kind, _, site, result = fitted
    medium = "medium=glycerol" if kind == "three" else "medium"
    assert result.discovery.claimed[["site_1", "site_2"]].to_numpy().tolist() == [[site, medium]]
    row = result.table.frame.query("order == 2").iloc[0]
    assert (row["site_1"], row["site_2"], row["chrom_2"]) == (site, medium, "environment")
    assert row["q_value"] < 1e-6
    assert row["flag"] == ""
    assert 0 <= row["r2_ld"] < 0.05


def test_its_main_effect_is_that_of_a_regression(fitted):
    kind, cohort, _, result = fitted
    rows = result.table.frame.query("order == 1 and chrom_1 == 'environment'").set_index("site_1")
    x, y = cohort.fixed_effects.values, cohort.phenotype.values
    names = [n for n in cohort.fixed_effects.names if n != "age"]
    assert sorted(rows.index) == sorted(names)
    plain = np.linalg.lstsq(np.column_stack([np.ones(len(y)), x]), y, rcond=None)[0][2:]
    # Without a penalty: a ridge would shrink it, and a random effect would have the standard error of one.
    np.testing.assert_allclose(rows.loc[names, "coefficient"], plain, atol=4 * rows.loc[names, "se"].max())
    assert (rows.loc[names, "p_value"] < 1e-10).all() or kind == "three"
    assert result.table.manifest.covariate_names == ("age",)


def test_predictions_of_new_samples(fitted, tmp_path):
    _, cohort, _, result = fitted
    result.save(tmp_path / "fit")
    model = genoattn.load_model(tmp_path / "fit")
    np.testing.assert_allclose(model.predict(cohort), result.predict(cohort), rtol=1e-5, atol=1e-5)
    genome = cohort.select_sites(~cohort.sites.is_environment)
    with pytest.raises(InputError, match="the model has the environment medium, and the cohort has none"):
        model.predict(genome)
    table = pd.DataFrame({"IID": cohort.samples, "age": 0.0, "medium": "vinegar"})
    with pytest.raises(InputError, match=r"never saw|not a number|among numbers"):
        genoattn.with_environments(genome, table, model.environments)


def test_the_table_is_the_model_in_every_gauge(fitted):
    _, cohort, _, result = fitted
    some = cohort.select_samples(np.arange(30))
    expected = result.predict(some)
    for gauge in ("reference", "zero-sum", "frequency"):
        table = result.model.export(gauge)
        frame, m = table.frame, table.manifest
        centre = dict(zip(m.sites.ids, m.centre, strict=True))
        at = {name: k for k, name in enumerate(some.sites.ids)}
        total = some.covariates.values @ m.covariate_coefficients
        for row in frame.to_dict("records"):
            names = [row[f"site_{k}"] for k in range(1, int(row["order"]) + 1)]
            values = [some.calls[:, at[name]] - centre[name] for name in names]
            total = total + row["coefficient"] * np.prod([np.ones(30), *values], axis=0)
        np.testing.assert_allclose(total, expected, rtol=1e-4, atol=1e-4)


def test_reports_and_figures(fitted, tmp_path):
    kind, cohort, site, result = fitted
    result.save(tmp_path / "fit")
    page = genoattn.write_report(tmp_path / "fit", cohort).read_text(encoding="utf-8")
    assert "environment medium" in page.lower()
    said = "of medium" if kind == "number" else "in place of glucose"
    assert said in page
    assert site in page
    row = int(result.table.frame.query("order == 2").index[0])
    for draw in (
        lambda: genoattn_plot.interaction(result.table, row, cohort),
        lambda: genoattn_plot.terms(result.table),
        lambda: genoattn_plot.heatmap(result.table),
        lambda: genoattn_plot.arcs(result.table),
        lambda: genoattn_plot.manhattan(result.table),
        lambda: genoattn_plot.manhattan(cohort),
        lambda: genoattn_plot.qq(genoattn.scan_pairs(cohort, 1.0)),
    ):
        assert draw().figure is not None


@pytest.mark.parametrize("kind", ["two", "number"])
def test_order_three_finds_the_pair_that_depends_on_it(kind):
    cohort, _, (_, a, b) = environment_cohort(kind, n=900, n_sites=15, effect=0.0, pair=0.5, seed=2)
    result = genoattn.fit(cohort, order=3, seed=1)
    row = result.table.frame.query("order == 3").iloc[0]
    assert {row["site_1"], row["site_2"], row["site_3"]} == {*cohort.sites.ids[[a, b]], "medium"}
    scan = genoattn.scan_triples(cohort, 1e-4).frame.iloc[0]
    assert {scan["site_1"], scan["site_2"], scan["site_3"]} == {*cohort.sites.ids[[a, b]], "medium"}


@pytest.mark.parametrize("kind", ["two", "number"])
def test_nothing_is_claimed_where_it_shifts_mean_and_variance_alone(kind):
    for seed in range(1, 6):
        cohort, _, _ = environment_cohort(kind, seed, n=400, effect=0.0, noise=2.0)
        assert len(genoattn.discover(cohort).claimed) == 0


@pytest.mark.parametrize("estimator", ["attention", "ridge", "posterior"])
def test_every_estimator_takes_an_environment(estimator):
    cohort, _, (one, *_) = environment_cohort("two", n=500, n_sites=8)
    result = genoattn.fit(cohort, estimator=estimator, seed=1)
    row = result.table.frame.query("order == 2").iloc[0]
    assert {row["site_1"], row["site_2"]} == {cohort.sites.ids[one], "medium"}
    assert result.metrics.test > 0.5


def test_states_of_genotypes_go_with_a_category():
    cohort, _, (one, *_) = environment_cohort("two", n=500, n_sites=8)
    row = genoattn.fit(cohort, encoding="genotype", seed=1).table.frame.query("order == 2").iloc[0]
    assert {row["site_1"], row["site_2"]} == {cohort.sites.ids[one], "medium"}
    number, _, _ = environment_cohort("number", n=200, n_sites=8)
    with pytest.raises(InputError, match="an environment is a number; use dosage"):
        genoattn.fit(number, encoding="genotype")
    with pytest.raises(InputError, match="order all has no main effect of its own for an environment"):
        genoattn.fit(cohort, encoding="genotype", order="all")


@pytest.mark.parametrize(
    ("kind", "encoding"), [("three", "dosage"), ("number", "dosage"), ("three", "genotype")]
)
def test_moving_main_effects_to_their_sites_changes_no_prediction(kind, encoding):
    cohort, _, _ = environment_cohort(kind, n=100, n_sites=6)
    data = training_data(cohort)
    wide = data.with_main_effects()
    assert wide.covariates.shape[1] == 1 + len(data.environments)
    readout = Readout(build_vocabulary(cohort, encoding), {}, wide.covariates.shape[1], dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in readout.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    before = predict_orders(readout, wide.calls, wide.covariates).sum(axis=1)
    move_main_effects(readout, data.environments)
    after = predict_orders(readout, data.calls, data.covariates).sum(axis=1)
    np.testing.assert_allclose(after, before, rtol=1e-6, atol=1e-6)


def test_scores_of_pairs_with_a_column_that_the_covariates_explain():
    cohort, _, _ = environment_cohort("number", n=200, n_sites=6)
    fixed = cohort.fixed_effects.values
    columns = cohort.calls.astype(float)
    [(_, _, t)] = pair_tiles(columns, cohort.phenotype.values[:, None], fixed)
    scan = genoattn.scan_pairs(cohort, 1.0).frame
    ids = cohort.sites.ids.tolist()
    for row in scan.to_dict("records"):
        i, j = ids.index(row["site_1"]), ids.index(row["site_2"])
        np.testing.assert_allclose(t[0, i, j], row["statistic"], rtol=0.01)  # one degree of freedom apart


def test_a_genome_of_one_chromosome_is_still_paired_with_itself():
    cohort, _, _ = environment_cohort("two", n=100, n_sites=6)
    assert len(set(segment_numbers(cohort.sites)[:-1])) == 5
    one = replace(cohort.sites, chrom=np.array(["1"] * 6 + ["environment"], dtype=object))
    assert segment_numbers(one).tolist() == [0] * 7


# --- the command line


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("environment")
    return folder, *write_environment_files(folder, "number", n=400, n_sites=10)


def test_fit_scan_and_predict_on_the_command_line(folder, capsys, tmp_path):
    where, vcf, pheno, covar, cohort, (one, *_) = folder
    tables = "--pheno", pheno, "--covar", covar, "--environment", "medium", "--maf", 0
    found = run_in_process(["scan", vcf, *tables, "-o", where / "scan", "--force"], capsys)
    assert found.status == 0
    assert f"{cohort.sites.ids[one]}" in found.out
    assert "medium[+" in found.out
    found = run_in_process(["fit", vcf, *tables, "-o", where / "fit", "--force", "--device", "cpu"], capsys)
    assert found.status == 0
    assert "environment medium: " in found.err
    found = run_in_process(["predict", where / "fit", vcf, "--covar", covar], capsys)
    assert found.status == 0
    assert len(found.out.splitlines()) == 401
    found = run_in_process(["predict", where / "fit", vcf], capsys)
    assert (found.status, len(found.err.splitlines())) == (2, 1)
    assert "the model has the environment medium; give it with --covar" in found.err
    outside = environment_table(cohort.samples, "number").assign(age=0.0)
    outside.loc[cohort.samples[0], "medium"] = 90
    outside.to_csv(tmp_path / "hot.tsv", sep="\t")
    found = run_in_process(["predict", where / "fit", vcf, "--covar", tmp_path / "hot.tsv"], capsys)
    assert found.status == 2
    assert "is 90, outside of" in found.err
    assert "the range of the fit" in found.err


@pytest.mark.parametrize("command", ["fit", "scan"])
def test_mistakes_are_a_line(folder, capsys, command, tmp_path):
    _, vcf, pheno, covar, *_ = folder
    for options, said in (
        (("--covar", covar, "--environment", "heat"), "no column 'heat' for the environment"),
        (("--environment", "medium"), "an environment is a column of the covariate table"),
    ):
        found = run_in_process([command, vcf, "--pheno", pheno, *options, "-o", tmp_path / "out"], capsys)
        assert (found.status, len(found.err.splitlines())) == (2, 1)
        assert said in found.err
