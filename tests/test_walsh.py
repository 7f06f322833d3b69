"""Tables of binary landscapes in every gauge against the Walsh-Hadamard transform, and published analyses."""

from itertools import combinations
from math import prod
from pathlib import Path

import numpy as np
import oracles
import pytest
import statsmodels.api as sm
import torch
from scipy.linalg import hadamard

import genoattn
from genoattn.closed_form.landscape_readout import landscape_readout
from genoattn.interactions.expansion import Expansion
from genoattn.interactions.extract import readout_factors
from genoattn.model.train_config import Split, TrainConfig, TrainingData
from genoattn.tokens import build_vocabulary
from genoattn.tokens.gauge_centre import GAUGES

SHARED = Path(__file__).parents[2] / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the folder of real data sets is not here")
N_SITES = 5


def from_walsh(walsh, centre, term):
    """Coefficient of a term ((site, state), ..) in the gauge that puts the mass ``centre[site]`` on state 1.

    With x the indicator of state 1 and m its mean, 1 - 2x = (1 - 2m) - 2 (x - m); so the product over T of
    (x - m) has the coefficient (-2)^|T| sum over S including T of walsh(S) prod over S without T of (1 - 2m),
    and at a state x - m is 1 - m or -m.
    """
    sites = {s for s, _ in term}
    total = sum(
        value * prod(1 - 2 * centre[s] for s in others if s not in sites)
        for others, value in walsh.items()
        if sites <= set(others)
    )
    return (-2) ** len(term) * total * prod(a - centre[s] for s, a in term)


def mass_on_state_1(vocabulary, gauge):
    if gauge == "reference":
        return np.zeros(vocabulary.n_sites)
    return np.full(vocabulary.n_sites, 0.5) if gauge == "zero-sum" else vocabulary.mean[1::2]


def test_the_oracle_is_the_fast_transform():
    values = np.random.default_rng(0).normal(size=2**4)
    found = oracles.walsh(values.reshape((2,) * 4))
    fast = hadamard(16) @ values / 16
    for sites, value in found.items():
        assert value == pytest.approx(fast[sum(8 >> s for s in sites)])


@pytest.mark.parametrize("gauge", GAUGES)
@pytest.mark.parametrize("tied", [False, True])
def test_tables_of_a_model_are_its_walsh_transform(tied, gauge):
    rng = np.random.default_rng(1)
    n_states = (2,) * N_SITES
    cohort = oracles.make_cohort(oracles.random_calls(rng, 60, n_states), n_states, "sequence")
    v = build_vocabulary(cohort, "sequence")
    module = oracles.random_readout(rng, v, {2: 3, 3: 2, 5: 2}, tied=tied)
    everyone = torch.tensor(oracles.all_calls(n_states))
    with torch.no_grad():
        values = module(everyone, torch.zeros(len(everyone), 0, dtype=torch.float64)).sum(dim=1).numpy()
    walsh = oracles.walsh(values.reshape(n_states))
    expansion = Expansion(readout_factors(module, v), gauge)
    centre = mass_on_state_1(v, gauge)
    for order in range(N_SITES + 1):
        terms = oracles.all_terms(v, order)
        expected = [from_walsh(walsh, centre, list(zip(v.site[t], v.state[t], strict=True))) for t in terms]
        np.testing.assert_allclose(expansion.coefficients(terms), expected, rtol=1e-10, atol=1e-10)


def least_squares(cohort, order, gauge, **options):
    """Every product of up to ``order`` columns, without a penalty, fitted to all samples."""
    settings = {"estimator": "posterior", "penalty": 0, "precision": 64, "device": "cpu", "max_terms": 10**6}
    return genoattn.fit(cohort, order=order, gauge=gauge, **settings, **options)


@pytest.mark.parametrize("gauge", GAUGES)
def test_least_squares_of_a_complete_landscape_is_its_walsh_transform(gauge):
    """An order-2 landscape on every sequence, and order-3 terms that no order-2 product can take up."""
    rng = np.random.default_rng(2)
    calls = oracles.all_calls((2,) * 6)
    signs = 1 - 2 * calls.astype(float)
    truth = {s: rng.normal() for size in range(4) for s in combinations(range(6), size)}
    y = sum(value * signs[:, list(s)].prod(axis=1) for s, value in truth.items())
    cohort = oracles.make_cohort(calls, (2,) * 6, "sequence", y)
    table = least_squares(cohort, 2, gauge).table
    # All sequences once: frequencies are one half, products are orthogonal, order 3 is left as noise.
    centre = np.full(6, 0.0 if gauge == "reference" else 0.5)
    kept = {s: value for s, value in truth.items() if len(s) <= 2}
    assert len(table.frame) == (22 if gauge == "reference" else 1 + 12 + 60)
    for row in table.frame.to_dict("records"):
        names = [row[f"site_{k + 1}"] for k in range(row["order"])]
        states = ["AC".index(row[f"state_{k + 1}"]) for k in range(row["order"])]
        term = [(int(name[1:]), a) for name, a in zip(names, states, strict=True)]
        assert row["coefficient"] == pytest.approx(from_walsh(kept, centre, term), abs=1e-6)


PAPER_SITES = ["29", "35", "65", "66", "69", "82", "83", "84", "85", "87", "112.1"]


def cr6261():
    return genoattn.read(SHARED / "cr6261_h1.fasta.gz", SHARED / "cr6261_h1.tsv", wild_type="v0")


@needs_shared
@pytest.mark.validation
def test_cr6261_pairs_are_the_published_ones():
    """Phillips et al. 2021: least squares on 1,887 variants in the 0/1 basis, R2 0.91514 at order 2."""
    cohort = cr6261()
    result = least_squares(cohort, 2, "reference")
    x = cohort.calls.astype(float)
    products = [x[:, list(s)].prod(axis=1) for size in range(3) for s in combinations(range(11), size)]
    design = np.column_stack(products)
    expected, rss, rank, _ = np.linalg.lstsq(design, cohort.phenotype.values, rcond=None)
    assert rank == 67
    sites = {name: k for k, name in enumerate(cohort.sites.ids)}
    names = [s for size in range(3) for s in combinations(range(11), size)]
    found = {}
    for row in result.table.frame.to_dict("records"):
        found[tuple(sorted(sites[row[f"site_{k + 1}"]] for k in range(row["order"])))] = row["coefficient"]
    np.testing.assert_allclose([found[s] for s in names], expected, atol=1e-6)
    residual = cohort.phenotype.values - result.predict(cohort)
    assert 1 - residual.var() / cohort.phenotype.values.var() == pytest.approx(0.91514, abs=1e-5)
    assert float(rss[0]) == pytest.approx(float((residual**2).sum()), rel=1e-6)


@needs_shared
@pytest.mark.validation
def test_cr6261_standard_errors_are_those_of_the_joint_regression():
    """Without a penalty the posterior of the products is the sampling distribution of least squares."""
    cohort = cr6261()
    n = cohort.n_samples
    data = TrainingData(cohort.calls, np.zeros((n, 0)), cohort.phenotype.values, False)
    everyone = Split(np.arange(n), np.arange(0), np.arange(0))
    config = TrainConfig(order=2, estimator="posterior", penalty=0)
    _, _, posterior = landscape_readout(build_vocabulary(cohort, "sequence"), data, everyone, config)
    x = cohort.calls.astype(float)
    names = [s for size in range(3) for s in combinations(range(11), size)]
    joint = sm.OLS(data.phenotype, np.column_stack([x[:, list(s)].prod(axis=1) for s in names])).fit()
    for order in (1, 2):
        kept = [k for k, s in enumerate(names) if len(s) == order]
        columns = np.array([[2 * site + 1 for site in names[k]] for k in kept])
        mean, se = posterior.moments(columns, "reference")
        np.testing.assert_allclose(mean, joint.params[kept], atol=1e-10)
        np.testing.assert_allclose(se, joint.bse[kept], rtol=1e-10)


@needs_shared
@pytest.mark.validation
def test_cr6261_triples_are_the_published_ones():
    table = least_squares(cr6261(), 4, "reference").table.frame
    published = {
        ("29", "35"): 0.9758,
        ("85", "87"): 1.0395,
        ("29", "35", "83"): -1.5356,
        ("29", "35", "82"): -1.0524,
        ("29", "35", "85"): -1.0067,
        ("29", "85", "87"): -0.8781,
    }
    ids = dict(zip(cr6261().sites.ids, PAPER_SITES, strict=True))
    found = {}
    for row in table[table["order"].isin([2, 3])].to_dict("records"):
        found[tuple(ids[row[f"site_{k + 1}"]] for k in range(row["order"]))] = row["coefficient"]
    found = {tuple(sorted(names, key=PAPER_SITES.index)): value for names, value in found.items()}
    for names, value in published.items():
        assert found[names] == pytest.approx(value, abs=6e-5)


@needs_shared
@pytest.mark.validation
def test_poelwijk_is_its_walsh_transform():
    """Least squares to order 4 on the complete landscape: pairs of the fast transform, shares by order."""
    cohort = genoattn.read(SHARED / "poelwijk_eqfp611.fasta.gz", SHARED / "poelwijk_eqfp611.tsv")
    place = cohort.calls @ (2 ** np.arange(12, -1, -1))
    values = np.empty(2**13)
    values[place] = cohort.phenotype.values
    walsh = values.reshape((2,) * 13)
    for axis in range(13):  # the fast transform, one site at a time
        one, other = np.take(walsh, 0, axis), np.take(walsh, 1, axis)
        walsh = np.stack([one + other, one - other], axis) / 2
    result = least_squares(cohort, 4, "zero-sum")
    pairs = result.table.frame[result.table.frame["order"] == 2]
    assert len(pairs) == 4 * 78
    for row in pairs.to_dict("records"):
        index = [0] * 13
        sign = 1
        for k in (1, 2):
            site = row[f"pos_{k}"] - 1
            index[site] = 1
            sign *= -1 if row[f"state_{k}"] != row[f"ref_{k}"] else 1
        assert row["coefficient"] == pytest.approx(sign * walsh[tuple(index)], abs=1e-5)
    number = np.indices((2,) * 13).sum(axis=0)
    share = [float((walsh[number == k] ** 2).sum() / values.var()) for k in range(1, 5)]
    np.testing.assert_allclose(share, [0.119, 0.749, 0.066, 0.038], atol=0.001)
    np.testing.assert_allclose(result.variance["share_of_phenotype"], share, atol=0.001)
