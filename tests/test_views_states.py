"""Mean phenotype by joint state of the sites of a term."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from small_cohorts import genotype_sites, planted, sequence_sites

import genoattn
from genoattn.cohort import Cohort, Phenotype
from genoattn.errors import InputError
from genoattn.views.joint_states import joint_states
from genoattn.views.landscape import mutations_carried, site_matrix

ROW = {"order": 2, "site_1": "rs1", "state_1": "G", "site_2": "rs2", "state_2": "G"}


def manifest_of(cohort):
    return genoattn.scan_pairs(cohort, threshold=1).manifest


def cohort_of(calls, y, kind="genotype", binary=False):
    calls = np.array(calls, dtype=np.float32 if np.any(np.array(calls) % 1) else np.int8)
    sites = sequence_sites(calls.shape[1]) if kind == "sequence" else genotype_sites(calls.shape[1])
    samples = [f"i{k}" for k in range(len(calls))]
    return Cohort(samples, sites, calls, kind, Phenotype("y", np.array(y, dtype=float), binary))


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_cells_are_those_of_a_loop(missing):
    cohort = planted(150, 4, seed=1, missing=missing)
    found = joint_states(cohort, ROW, manifest_of(cohort))
    labels = cohort.sites.states[0]
    n = 0
    for row in found.frame.to_dict("records"):
        own = [
            y
            for y, calls in zip(cohort.phenotype.values, cohort.calls, strict=True)
            if min(calls[:2]) >= 0 and [labels[c] for c in calls[:2]] == [row["state_1"], row["state_2"]]
        ]
        n += len(own)
        assert row["n"] == len(own)
        assert row["mean"] == pytest.approx(np.mean(own))
        if len(own) > 1:
            expected = stats.t.interval(0.95, len(own) - 1, np.mean(own), stats.sem(own))
            assert (row["lower"], row["upper"]) == pytest.approx(expected)
            assert (row["sd"], row["se"]) == pytest.approx((np.std(own, ddof=1), stats.sem(own)))
    assert found.n_samples == n
    assert found.n_missing == 150 - n == (cohort.calls[:, :2] < 0).any(axis=1).sum()


def test_additivity_of_two_by_two_by_hand():
    # Means 1, 2, 4 and 9 of 0/0, 0/2, 2/0 and 2/2 copies: without interaction the last is 2 + 4 - 1 = 5.
    calls = [[0, 0], [0, 2], [2, 0], [2, 2]] * 3
    found = joint_states(cohort_of(calls, [1, 2, 4, 9] * 3), ROW, manifest_of(planted(40, 2)))
    assert found.frame["mean"].tolist() == [1, 2, 4, 9]
    assert found.frame["additive"].tolist() == [1, 2, 4, 5]


def test_additivity_is_a_regression_on_the_states_of_every_site():
    cohort = planted(200, 3, seed=2)
    found = joint_states(cohort, ROW | {"order": 3, "site_3": "rs3", "state_3": "G"}, manifest_of(cohort))
    indicators = [cohort.calls[:, k] == s for k in range(3) for s in (1, 2)]
    design = np.column_stack([np.ones(200), *indicators]).astype(float)
    beta = np.linalg.lstsq(design, cohort.phenotype.values, rcond=None)[0]
    copies = found.frame[["state_1", "state_2", "state_3"]].map(cohort.sites.states[0].index).to_numpy()
    cells = np.column_stack([np.ones(len(copies)), *[copies[:, k] == s for k in range(3) for s in (1, 2)]])
    assert found.frame["additive"].to_numpy() == pytest.approx(cells.astype(float) @ beta)


def test_binary_traits_have_shares_with_wilson_intervals():
    cohort = planted(300, 2, seed=3, binary=True)
    found = joint_states(cohort, ROW, manifest_of(cohort))
    assert found.binary
    for row in found.frame.to_dict("records"):
        interval = stats.binomtest(round(row["mean"] * row["n"]), row["n"]).proportion_ci(0.95, "wilson")
        assert (row["lower"], row["upper"]) == pytest.approx(tuple(interval))
    # Maximum likelihood of main effects keeps the number of cases.
    assert (found.frame["additive"] * found.frame["n"]).sum() == pytest.approx(cohort.phenotype.values.sum())


def test_sequences_compare_the_state_with_the_reference_and_count_other_residues():
    calls = [[0, 0], [1, 0], [0, 2], [1, 2], [2, 0], [-1, 0], [0, 1]]
    cohort = cohort_of(calls, [0, 1, 2, 5, 7, 8, 9], "sequence")
    row = {"order": 2, "site_1": "A1", "state_1": "C", "site_2": "A2", "state_2": "D"}
    found = joint_states(cohort, row, manifest_of(planted(60, 2, kind="sequence")))
    assert found.frame[["state_1", "state_2"]].to_numpy().tolist() == [
        ["A", "A"], ["A", "D"], ["C", "A"], ["C", "D"],
    ]  # fmt: skip
    assert found.frame["mean"].tolist() == [0, 2, 1, 5]
    assert (found.n_samples, found.n_missing, found.n_other) == (4, 1, 2)
    # Of a term of the reference state, the commonest other is compared: C at the first site.
    other = joint_states(cohort, row | {"state_1": "A"}, manifest_of(planted(60, 2, kind="sequence")))
    assert other.levels[0] == ("A", "C")


def test_dosages_are_rounded_and_said_so_and_points_are_capped():
    cohort = cohort_of([[0.2, 0], [1.7, 1], [1, 2], [0.9, 0.1]], [1, 2, 3, 4])
    found = joint_states(cohort, ROW | {"order": 1}, manifest_of(planted(40, 2)), max_points=3)
    assert found.rounded
    assert found.frame["n"].tolist() == [1, 2, 1]
    assert len(found.points) == 3


def test_a_cohort_with_swapped_alleles_is_laid_on_the_table():
    cohort = planted(100, 2, seed=5)
    sites = cohort.sites
    states = tuple(tuple("/".join("G" * (2 - c) + "A" * c) for c in range(3)) for _ in range(2))
    swapped_sites = replace(sites, ref=sites.alt, alt=sites.ref, states=states)
    swapped = replace(cohort, sites=swapped_sites, calls=2 - cohort.calls)
    manifest = manifest_of(cohort)
    expected, found = (joint_states(c, ROW, manifest).frame for c in (cohort, swapped))
    assert found.equals(expected)


@pytest.mark.parametrize(
    ("cohort", "row", "message"),
    [
        (planted(40, 2), {"order": 0}, "the intercept has no sites; choose a row of order 1"),
        (planted(40, 2), ROW | {"site_1": "rs9"}, "rs9: no such site in the table"),
    ],
)
def test_what_has_no_states_is_refused(cohort, row, message):
    with pytest.raises(InputError, match=message):
        joint_states(cohort, row, manifest_of(planted(40, 2)))


def test_a_cohort_without_phenotype_is_refused():
    cohort = planted(40, 2)
    with pytest.raises(InputError, match="the cohort has no phenotype; read it with pheno"):
        joint_states(replace(cohort, phenotype=None), ROW, manifest_of(cohort))
    with pytest.raises(InputError, match="the cohort has no phenotype; read it with pheno"):
        mutations_carried(replace(cohort, phenotype=None))


def test_mutations_carried_by_hand():
    cohort = cohort_of([[0, 0], [1, 0], [0, 2], [1, 1], [-1, 1]], [1, 2, 4, 9, 5], "sequence")
    found = mutations_carried(cohort)
    assert found["n_mutations"].tolist() == [0, 1, 2]
    assert found["n"].tolist() == [1, 3, 1]
    assert found["mean"].tolist() == [1, (2 + 4 + 5) / 3, 9]
    assert found["median"].tolist() == [1, 4, 9]


def test_site_matrix_takes_the_strongest_or_the_mean_square_of_states():
    table = genoattn.scan_pairs(planted(120, 3, kind="sequence", seed=1), threshold=1).table
    strongest, rms = (site_matrix(table, how=how) for how in ("strongest", "rms"))
    rows = table.frame[(table.frame["site_1"] == "A1") & (table.frame["site_2"] == "A2")]
    values = rows["effect"].to_numpy()
    assert len(values) > 2
    assert strongest.loc["A1", "A2"] == strongest.loc["A2", "A1"] == values[np.abs(values).argmax()]
    assert rms.loc["A2", "A1"] == pytest.approx(np.sqrt((values**2).mean()))
    # A breakend has brackets of its own.
    odd = replace(table, frame=table.frame.assign(state_1=table.frame["state_1"] + "[2:3["))
    assert site_matrix(odd, how="rms").loc["A2", "A1"] == pytest.approx(rms.loc["A2", "A1"])
    with pytest.raises(InputError, match="how is 'x'; choose strongest or rms"):
        site_matrix(table, how="x")
