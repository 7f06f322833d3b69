"""Laws of the exported table: it is the network; it does not depend on the seed; its symmetries."""

import warnings

import numpy as np
import oracles
import pytest
from statsmodels.stats.multitest import multipletests

from genoattn.cohort import Cohort
from genoattn.fitting.fit import fit
from genoattn.fitting.fit_result import FitResult
from genoattn.interactions.extract import q_values
from genoattn.model.split import split_samples
from genoattn.tokens.gauge_centre import GAUGES

N_STATES = {"dosage": (3, 3, 2, 3), "genotype": (3, 2, 3, 3), "sequence": (2, 3, 4, 2)}


def small_cohort(encoding, binary=False, seed=0, n_samples=150, missing=0.05):
    rng = np.random.default_rng(seed)
    n_states = N_STATES[encoding]
    calls = oracles.random_calls(rng, n_samples, n_states, missing)
    covariates = np.column_stack([rng.normal(50, 8, n_samples), rng.integers(0, 2, n_samples)])
    x = np.where(calls < 0, 0.0, calls - calls.mean(axis=0))
    y = 3 * x[:, 0] * x[:, 1] - x[:, 2] + 6 * x[:, 1:].prod(axis=1) + 0.1 * covariates[:, 0]
    y += 0.5 * rng.normal(size=n_samples)
    if binary:
        y = (y > np.median(y)).astype(float)
    return oracles.make_cohort(calls, n_states, oracles.KIND[encoding], y, binary, covariates)


def new_samples(cohort, encoding, seed=9):
    """Other samples of the same sites, more of them missing."""
    rng = np.random.default_rng(seed)
    calls = oracles.random_calls(rng, 25, N_STATES[encoding], missing=0.2)
    covariates = rng.normal(size=(25, 2))
    return oracles.make_cohort(calls, N_STATES[encoding], cohort.kind, covariates=covariates)


@pytest.mark.parametrize("estimator", ["attention", "sparse"])
@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("encoding", ["dosage", "genotype", "sequence"])
def test_table_is_the_network(encoding, binary, estimator):
    cohort = small_cohort(encoding, binary)
    result = fit(
        cohort,
        order=4,
        encoding=encoding,
        estimator=estimator,
        precision=64,
        max_epochs=4,
        rank=6,
        test=0.3,
        seed=1,
    )
    other = new_samples(cohort, encoding)
    interactions = result.table.frame[result.table.frame["order"] >= 2]
    assert interactions["coefficient"].abs().max() > 0.05  # or the law would hold of additive models only
    for gauge in GAUGES:
        table = result.export(gauge)
        assert table.manifest.gauge == gauge
        for samples in (cohort, other):
            np.testing.assert_allclose(table.predict(samples), result.predict(samples), rtol=1e-9, atol=1e-9)
        slow = oracles.table_prediction(table, other.calls, other.covariates.values)
        np.testing.assert_allclose(slow, result.predict(other), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("encoding", ["dosage", "genotype", "sequence"])
def test_table_is_the_network_in_single_precision(encoding):
    cohort = small_cohort(encoding)
    result = fit(cohort, order=3, encoding=encoding, precision=32, max_epochs=15, rank=4)
    other = new_samples(cohort, encoding)
    for gauge in GAUGES:
        table = result.export(gauge)
        for samples in (cohort, other):
            network = result.predict(samples)
            scale = np.abs(network).max()
            np.testing.assert_allclose(table.predict(samples), network, rtol=1e-5, atol=1e-5 * scale)


@pytest.mark.parametrize("attention", ["hyper", "feature", "linear"])
@pytest.mark.parametrize("encoding", ["dosage", "genotype", "sequence"])
def test_table_is_the_network_for_states_unseen_in_training(encoding, attention):
    cohort = small_cohort(encoding, missing=0.0)
    calls = cohort.calls.copy()
    rare = 7  # of the test samples
    calls[:, 0] = 0
    calls[rare, 0] = 1
    calls[calls[:, 1] == 2, 1] = 0
    calls[rare, 1] = N_STATES[encoding][1] - 1
    cohort = Cohort(cohort.samples, cohort.sites, calls, cohort.kind, cohort.phenotype, cohort.covariates)
    seed = next(s for s in range(99) if rare in _test_samples(cohort, s))
    order, estimator = (2, "auto") if attention == "linear" else (3, "attention")
    result = fit(
        cohort,
        order=order,
        attention=attention,
        encoding=encoding,
        estimator=estimator,
        precision=64,
        max_epochs=4,
        seed=seed,
        refit=False,
    )
    for gauge in GAUGES:
        table = result.export(gauge)
        np.testing.assert_allclose(table.predict(cohort), result.predict(cohort), rtol=1e-9, atol=1e-9)
    others = np.delete(result.predict(cohort), rare)
    assert np.abs(result.predict(cohort)[rare]) < 10 * np.abs(others).max()


def _test_samples(cohort, seed):
    return split_samples(cohort.phenotype.values, False, 0.15, 0.15, seed).test


def by_term(table, name) -> dict[tuple, float]:
    """A column of the table by term, which is a tuple of (site, state) in order of the sites."""
    names = [(f"site_{k}", f"state_{k}") for k in range(1, table.manifest.order + 1)]
    return {
        tuple(sorted((row[s], row[a]) for s, a in names[: row["order"]])): row[name]
        for row in table.frame.to_dict("records")
    }


def noise_free_fit(seed: int) -> FitResult:
    """The same 300 samples and phenotype every time; the seed sets the starting values, and the split."""
    rng = np.random.default_rng(0)
    calls = rng.integers(0, 2, (300, 4)).astype(np.int8)
    x = 2.0 * calls - 1
    y = (
        1
        + x[:, 0]
        - 0.5 * x[:, 1]
        + x[:, 0] * x[:, 1]
        - 0.7 * x[:, 2] * x[:, 3]
        + 0.5 * x[:, 1:4].prod(axis=1)
    )
    cohort = oracles.make_cohort(calls, (2,) * 4, "sequence", y)
    # The refit takes the frequencies of the frequency gauge from all samples, whatever the split.
    return fit(
        cohort,
        order=3,
        estimator="attention",
        rank=6,
        precision=64,
        seed=seed,
        lr=0.05,
        max_epochs=200,
        patience=300,
        batch_size=300,
        refit=True,
    )


def test_two_seeds_give_one_table():
    one, two = noise_free_fit(1), noise_free_fit(2)
    weights = [r.readout.factor_values(2).detach().numpy() for r in (one, two)]
    assert np.abs(weights[0] - weights[1]).max() > 0.1
    for gauge in GAUGES:
        a, b = (by_term(r.export(gauge), "coefficient") for r in (one, two))
        assert a.keys() == b.keys()
        largest = max(abs(c) for c in a.values())
        assert max(abs(a[t] - b[t]) for t in a) < 2e-3 * largest
    # In the zero-sum gauge they are the coefficients of the simulation.
    truth = {("s0",): 1.0, ("s1",): -0.5, ("s0", "s1"): 1.0, ("s2", "s3"): -0.7, ("s1", "s2", "s3"): 0.5}
    for term, value in by_term(one.export("zero-sum"), "coefficient").items():
        if term and all(state == "C" for _, state in term):
            assert value == pytest.approx(truth.get(tuple(site for site, _ in term), 0.0), abs=2e-3)


def score_fit(cohort):
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        return fit(cohort, order=2, estimator="sparse", precision=64, max_epochs=30, gauge="zero-sum")


def paired_cohort(seed=3):
    rng = np.random.default_rng(seed)
    calls = oracles.random_calls(rng, 400, (3,) * 12, missing=0.02)
    y = 0.8 * (calls[:, 2] - 1.0) * (calls[:, 7] - 1) + 0.3 * calls[:, 4] + rng.normal(size=400)
    return oracles.make_cohort(calls, (3,) * 12, "genotype", y)


def test_permuting_sites_permutes_the_table():
    cohort = paired_cohort()
    order = np.random.default_rng(0).permutation(12)
    one, two = score_fit(cohort).table, score_fit(cohort.select_sites(order)).table
    for name in ("coefficient", "p_value", "se", "frequency"):
        a, b = by_term(one, name), by_term(two, name)
        assert a.keys() == b.keys()
        for term, value in a.items():
            assert b[term] == pytest.approx(value, rel=1e-6, abs=1e-9, nan_ok=True)
    assert (("s2", "C"), ("s7", "C")) in a


def test_swapping_alleles_changes_signs():
    cohort = paired_cohort()
    calls = cohort.calls.copy()
    calls[:, 2] = np.where(calls[:, 2] < 0, -1, 2 - calls[:, 2])
    swapped = Cohort(cohort.samples, cohort.sites, calls, cohort.kind, cohort.phenotype)
    one, two = score_fit(cohort).table, score_fit(swapped).table
    signs = {term: -1 if any(site == "s2" for site, _ in term) else 1 for term in by_term(one, "order")}
    assert sorted(set(signs.values())) == [-1, 1]
    for name, signed in (("coefficient", True), ("statistic", True), ("p_value", False), ("se", False)):
        a, b = by_term(one, name), by_term(two, name)
        assert a.keys() == b.keys()
        for term, value in a.items():
            expected = signs[term] * value if signed else value
            assert b[term] == pytest.approx(expected, rel=1e-6, abs=1e-9, nan_ok=True)


def test_reference_rows_are_left_out_in_the_reference_gauge():
    result = fit(small_cohort("sequence"), order=2, estimator="attention", precision=64, max_epochs=2)
    frame = result.export("reference").frame
    for k in (1, 2):
        assert not (frame.loc[frame["order"] >= k, f"state_{k}"] == "A").any()
    assert (result.export("frequency").frame["state_1"] == "A").any()


def test_rows_are_sorted_by_p_value_then_size():
    frame = score_fit(paired_cohort()).table.frame
    p = frame["p_value"].dropna().to_numpy()
    assert (np.diff(p) >= 0).all()
    assert frame["p_value"].isna().to_numpy()[len(p) :].all()


def test_lower_order_table_says_what_it_leaves_out():
    result = fit(small_cohort("dosage"), order=3, estimator="attention", precision=64, max_epochs=2)
    table = result.export("frequency", order=2)
    assert table.frame["order"].max() == table.manifest.order == 2
    assert table.manifest.left_out == {3: 4}  # every triple of four sites


@pytest.mark.parametrize("n_tests", [8, 1000])
def test_q_values_equal_benjamini_hochberg(n_tests):
    rng = np.random.default_rng(0)
    p = np.r_[rng.uniform(0, 0.01, 4), 0.3, 0.3, 0.9, 1e-12]
    expected = multipletests(np.r_[p, np.ones(n_tests - len(p))], method="fdr_bh")[1][: len(p)]
    np.testing.assert_allclose(q_values(p, n_tests), expected, rtol=1e-12)


def test_untested_terms_have_no_q_value():
    p = np.array([0.01, np.nan, 0.02])
    expected = multipletests([0.01, 0.02, 1, 1, 1], method="fdr_bh")[1]
    found = q_values(p, 5)
    np.testing.assert_allclose(found[[0, 2]], expected[:2])
    assert np.isnan(found[1])
    assert len(q_values(np.zeros(0), 5)) == 0


def test_q_values_by_hand():
    # Four tests, p 0.01 and 0.04 given: 0.01 * 4 / 1 = 0.04 and 0.04 * 4 / 2 = 0.08.
    np.testing.assert_allclose(q_values(np.array([0.04, 0.01]), 4), [0.08, 0.04])
