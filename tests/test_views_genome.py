"""Layout of the genome, marginal effects, quantiles of p-values, and pairs near a signal."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from small_cohorts import planted, short_fit

import genoattn
from genoattn.errors import InputError
from genoattn.views.genome import genome_layout, natural_key, pair_arcs
from genoattn.views.marginal import marginal_effects
from genoattn.views.quantiles import quantile_plot
from genoattn.views.signals_near import credible_pairs, pairs_near, site_positions


def test_chromosomes_are_in_the_order_people_use():
    names = ["chr10", "MT", "X", "2", "chr1", "scaffold_12", "scaffold_2", "Y"]
    ordered = ["chr1", "2", "chr10", "X", "Y", "MT", "scaffold_2", "scaffold_12"]
    assert sorted(names, key=natural_key) == ordered


def test_layout_by_hand():
    layout = genome_layout(["2", "1", "1", "10"], [50, 100, 30, 50])
    # 200 bases, so that gaps are 2: chromosomes begin at 0, 102 and 154.
    assert layout.frame["chrom"].tolist() == ["1", "2", "10"]
    assert layout.frame["offset"].tolist() == [0, 102, 154]
    assert layout.end == 204
    assert layout.place(["10", "1"], [5, 30]).tolist() == [159, 30]
    rows = pd.DataFrame({"order": [2, 1], "chrom_1": "10", "pos_1": 5, "chrom_2": "1", "pos_2": 30})
    arcs = pair_arcs(rows, layout)
    assert arcs[["from_1", "x_1", "x_2"]].to_numpy().tolist() == [[159, 30, 159]]
    assert genome_layout(["", ""], [3, 9]).is_alignment
    with pytest.raises(InputError, match="no site of the run is on chromosome 3; give sites of the same run"):
        layout.place(["1", "3"], [5, 5])
    many = genome_layout([str(k) for k in range(1000)], [1] * 1000)
    assert many.end < 1.3 * 1000


@pytest.mark.parametrize("kind", ["genotype", "sequence"])
def test_marginal_effects_are_those_of_statsmodels(kind):
    cohort = planted(150, 5, kind=kind, missing=0.1, covariates="mixed", seed=2)
    found = marginal_effects(cohort)
    assert len(found) == (5 if kind == "genotype" else 10)
    for row in found.to_dict("records"):
        site = cohort.sites.ids.tolist().index(row["site"])
        calls = cohort.calls[:, site]
        x = calls if kind == "genotype" else calls == cohort.sites.states[site].index(row["state"])
        known = calls >= 0
        design = sm.add_constant(np.column_stack([x, cohort.covariates.values])[known].astype(float))
        fit = sm.OLS(cohort.phenotype.values[known], design).fit()
        assert (row["effect"], row["se"], row["p_value"]) == pytest.approx(
            (fit.params[1], fit.bse[1], fit.pvalues[1]), rel=1e-7
        )
        assert row["n_samples"] == known.sum()


def test_binary_marginal_effects_are_the_score_test_of_statsmodels():
    cohort = planted(200, 3, binary=True, covariates="mixed", seed=3)
    found = marginal_effects(cohort)
    null = sm.add_constant(cohort.covariates.values)
    fit = sm.GLM(cohort.phenotype.values, null, family=sm.families.Binomial()).fit(tol=1e-12)
    for k, row in enumerate(found.to_dict("records")):
        chi2, p_value = fit.score_test(exog_extra=cohort.calls[:, [k]].astype(float))[:2]
        assert row["p_value"] == pytest.approx(np.asarray(p_value).item(), rel=1e-6)
        assert (row["effect"] / row["se"]) ** 2 == pytest.approx(np.asarray(chi2).item(), rel=1e-6)


def test_marginal_effects_of_a_table_are_its_rows():
    cohort = planted(120, 4, seed=1)
    table = short_fit(cohort, order=1).table
    found = marginal_effects(table)
    rows = table.frame[table.frame["order"] == 1].set_index("site_1")
    assert found["site"].tolist() == cohort.sites.ids.tolist()
    assert found["effect"].tolist() == rows.loc[found["site"], "effect"].tolist()
    with pytest.raises(InputError, match="no row of order 1 is tested in this table; give the cohort"):
        marginal_effects(genoattn.scan_pairs(cohort, threshold=1).table)


def test_quantiles_by_hand():
    found = quantile_plot(np.array([0.5, 0.01, np.nan]), n_tests=2)
    assert found.frame["expected"].tolist() == pytest.approx([-np.log10(0.25), -np.log10(0.75)])
    assert found.frame["observed"].tolist() == pytest.approx([2, -np.log10(0.5)])
    # The smallest of two uniform numbers lies above 1 - sqrt(0.025) with probability 0.025.
    assert found.frame["lower"][0] == pytest.approx(-np.log10(1 - np.sqrt(0.025)))


def test_quantiles_of_few_kept_p_values_are_those_of_all():
    p = np.random.default_rng(1).random(5000) ** 1.2
    every, few = quantile_plot(p), quantile_plot(p[p <= 0.05], 5000, 0.05)
    rows = every.frame.set_index("rank")
    own = few.frame["rank"].isin(rows.index)
    assert own.sum() > 100
    common = few.frame[own].set_index("rank")
    assert common.equals(rows.loc[common.index])
    assert len(every.frame) <= 2000
    chi2 = stats.chi2.isf(p, 1)
    assert every.inflation == pytest.approx(np.median(chi2) / stats.chi2.isf(0.5, 1))
    share = (p <= 0.05).mean()
    assert few.inflation == pytest.approx(stats.chi2.isf(0.05, 1) / stats.chi2.isf(share, 1))


def test_more_p_values_than_tests_are_refused():
    with pytest.raises(ValueError, match="3 p-values of 2 tests"):
        quantile_plot(np.array([0.1, 0.2, 0.3]), 2)


def test_credible_sets_are_read_with_names_that_hold_the_signs_between_them():
    text = "a x b x c (0.90); d; e x f(1) (0.10)"
    frame = pd.DataFrame({"credible": [text, np.nan]})
    found = credible_pairs(frame, ["a x b", "c", "d; e", "f(1)"])
    assert found.to_numpy().tolist() == [[0, "a x b", "c", 0.9], [0, "d; e", "f(1)", 0.1]]


def test_pairs_near_a_signal():
    cohort = planted(150, 4, seed=1)
    # Sites 1 and 2 are on chromosomes of their own; 3 and 4 come to theirs.
    sites = replace(cohort.sites, chrom=["1", "2", "1", "2"], pos=[1000, 1000, 3000, 90_000])
    cohort = replace(cohort, sites=sites)
    signal = {"site_1": "rs1", "site_2": "rs2"}
    credible = pd.DataFrame({"signal": 0, "site_1": ["rs2"], "site_2": ["rs1"], "probability": 0.9})
    ranking = pd.DataFrame({"site_1": ["rs3", "rs3"], "site_2": ["rs2", "rs4"], "probability": [0.4, 0.3]})
    positions = site_positions(sites)
    found = pairs_near(signal, positions, credible, ranking, window=5000)
    assert found[["site_1", "site_2", "is_lead"]].to_numpy().tolist() == [
        ["rs1", "rs2", True], ["rs3", "rs2", False],
    ]  # fmt: skip
    assert found["ranking"][1] == 0.4
    scanned = pairs_near(signal, positions, credible, ranking, cohort, window=5000)
    expected = genoattn.scan_pairs(cohort, threshold=1).frame.set_index(["site_1", "site_2"])["p_value"]
    assert scanned["p_value"].tolist() == [expected["rs1", "rs2"], expected["rs2", "rs3"]]
    with pytest.raises(InputError, match="rs9: no such site; give the sites of the same run"):
        pairs_near({"site_1": "rs9", "site_2": "rs2"}, positions, credible)
