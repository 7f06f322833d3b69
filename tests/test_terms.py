"""The terms a model can make non-zero, against a walk through all of them."""

from itertools import combinations

import numpy as np
import oracles
import pytest

from genoattn.interactions import terms as terms_module
from genoattn.interactions.expansion import Expansion, Factors
from genoattn.interactions.terms import collect_terms, count_terms
from genoattn.tokens import build_vocabulary
from genoattn.tokens.gauge_centre import GAUGES

N_STATES = {"dosage": (3,) * 7, "genotype": (3, 2, 3, 3, 2), "sequence": (2, 3, 4, 2, 2)}


def sparse_factors(encoding, orders, tied=False, seed=0, density=0.4):
    """A model whose ranks touch some of the sites, in all of their states."""
    rng = np.random.default_rng(seed)
    n_states = N_STATES[encoding]
    calls = oracles.random_calls(rng, 60, n_states)
    v = build_vocabulary(oracles.make_cohort(calls, n_states, oracles.KIND[encoding]), encoding)
    factors, weights = {}, {}
    for order, n_ranks in orders.items():
        shape = (n_ranks, 1 if tied else order)
        on = rng.random((*shape, v.n_sites)) < density
        factors[order] = rng.normal(size=(*shape, v.n_columns)) * on[..., v.site]
        weights[order] = np.ones(n_ranks)
    return Factors(v, 0.3, rng.normal(size=v.n_columns), factors, weights)


def nonzero_terms(factors, order):
    """Terms whose coefficient is not zero in some gauge, by evaluating all of them."""
    everything = oracles.all_terms(factors.vocabulary, order)
    size = sum(np.abs(Expansion(factors, gauge).coefficients(everything)) for gauge in GAUGES)
    return {tuple(t) for t in everything[size > 1e-12].tolist()}


def as_sets(terms):
    return {order: {tuple(t) for t in rows.tolist()} for order, rows in terms.items()}


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("encoding", ["dosage", "genotype", "sequence"])
def test_every_nonzero_term_is_found(encoding, tied):
    factors = sparse_factors(encoding, {2: 2, 3: 1}, tied)
    terms, left_out = collect_terms(Expansion(factors, "frequency"), 10_000)
    found = as_sets(terms)
    assert left_out == {}
    assert found[0] == {()}
    assert found[1] == {(c,) for c in range(factors.vocabulary.n_columns)}
    assert found[3] == nonzero_terms(factors, 3)
    below = {s for t in found[3] for s in combinations(t, 2)}
    assert found[2] == nonzero_terms(factors, 2) | below
    for rows in terms.values():
        assert len(np.unique(rows, axis=0)) == len(rows)


@pytest.mark.parametrize(
    ("order", "tied"), [(2, True), (3, True), (4, True), (2, False), (3, False), (4, False)]
)
@pytest.mark.parametrize("encoding", ["dosage", "genotype", "sequence"])
def test_search_equals_the_list_of_dense_factors(monkeypatch, encoding, order, tied):
    # Two states of equal frequencies would give equal |coefficients|: none here, the samples are drawn.
    factors = sparse_factors(encoding, {order: 3}, tied, seed=order, density=1.0)
    factors.weights[order][:] = [1.0, -0.7, 0.4] if tied else 1.0
    expansion = Expansion(factors, "frequency")
    everything = oracles.all_terms(factors.vocabulary, order)
    size = np.abs(expansion.coefficients(everything))
    monkeypatch.setattr(terms_module, "_FEW", 0)
    for limit in (1, len(everything) // 3):
        terms, left_out = collect_terms(expansion, limit)
        found = as_sets(terms)[order]
        assert len(found) == limit
        at = np.array([tuple(t) in found for t in everything.tolist()])
        assert size[at].min() >= size[~at].max() * (1 - 1e-12)
        assert left_out[order] == len(everything) - limit


def test_search_skips_columns_without_factors(monkeypatch):
    factors = sparse_factors("sequence", {2: 2}, tied=True, density=1.0)
    zero = factors.vocabulary.site == 2
    factors.factors[2][..., zero] = 0.0
    nonzero = nonzero_terms(factors, 2)
    monkeypatch.setattr(terms_module, "_FEW", 0)
    terms, left_out = collect_terms(Expansion(factors, "frequency"), 5)
    assert as_sets(terms)[2] < nonzero
    assert left_out == {2: len(nonzero) - 5}


def test_dense_order_four_of_many_states_is_searched():
    # 3.3e9 terms: a list of them would take 100 GB.
    rng = np.random.default_rng(0)
    calls = oracles.random_calls(rng, 2000, (20,) * 28)
    v = build_vocabulary(oracles.make_cohort(calls, (20,) * 28, "sequence"), "sequence")
    size = np.exp(rng.normal(size=v.n_columns))
    values = rng.normal(size=(16, 1, v.n_columns)) * size
    factors = Factors(v, 0.0, np.zeros(v.n_columns), {4: values}, {4: rng.normal(size=16)})
    expansion = Expansion(factors, "frequency")
    terms, left_out = collect_terms(expansion, 100)
    assert left_out == {4: count_terms(v, 4) - 100}
    smallest = np.abs(expansion.coefficients(terms[4])).min()
    # Terms that differ from a found one in one column, and are not found, are smaller.
    found, column = as_sets(terms)[4], np.arange(v.n_columns)
    for term in terms[4][::10]:
        others = column[~np.isin(v.site, v.site[term[1:]])]
        changed = np.sort([[c, *term[1:]] for c in others], axis=1)
        new = changed[[tuple(t) not in found for t in changed.tolist()]]
        assert np.abs(expansion.coefficients(new)).max() <= smallest


def test_walk_through_all_sites_equals_the_sparse_one(monkeypatch):
    factors = sparse_factors("sequence", {2: 1, 3: 1}, density=1.0)  # dense: every set of sites is walked
    monkeypatch.setattr(terms_module, "_BLOCK", 3)
    terms, _ = collect_terms(Expansion(factors, "frequency"), 10_000)
    for order in (2, 3):
        assert as_sets(terms)[order] == nonzero_terms(factors, order)


def test_sub_terms_of_higher_terms_are_kept():
    factors = sparse_factors("dosage", {2: 0, 3: 0, 4: 1}, seed=3)
    slots = np.zeros((1, 4, 7))
    slots[0, range(4), [1, 2, 4, 6]] = 1.0
    factors.factors[4][:] = slots
    found = as_sets(collect_terms(Expansion(factors, "frequency"), 100)[0])
    assert found[4] == {(1, 2, 4, 6)}
    assert found[3] == set(combinations((1, 2, 4, 6), 3))
    assert found[2] == set(combinations((1, 2, 4, 6), 2))


def test_limit_keeps_the_largest_and_counts_the_rest():
    factors = sparse_factors("dosage", {2: 3}, density=0.7)
    expansion = Expansion(factors, "frequency")
    everything = np.array(sorted(nonzero_terms(factors, 2)))
    size = np.abs(expansion.coefficients(everything))
    terms, left_out = collect_terms(expansion, 5)
    largest = everything[np.argsort(-size)[:5]]
    assert as_sets(terms)[2] == {tuple(t) for t in largest.tolist()}
    assert left_out == {2: len(everything) - 5}


def test_limit_holds_across_blocks(monkeypatch):
    factors = sparse_factors("dosage", {2: 3}, density=0.7)
    at_once = collect_terms(Expansion(factors, "frequency"), 5)
    monkeypatch.setattr(terms_module, "_BLOCK", 4)
    blocked = collect_terms(Expansion(factors, "frequency"), 5)
    assert as_sets(blocked[0]) == as_sets(at_once[0])
    assert blocked[1] == at_once[1]


@pytest.mark.parametrize("encoding", ["dosage", "sequence"])
def test_number_of_terms(encoding):
    v = sparse_factors(encoding, {2: 1}).vocabulary
    for order in range(5):
        assert count_terms(v, order) == len(oracles.all_terms(v, order))


def test_state_that_no_training_sample_has():
    # Its factor is 0 in the frequency gauge, but not in the others, whose tables need its rows.
    rng = np.random.default_rng(0)
    calls = oracles.random_calls(rng, 30, (3, 2, 2))
    calls[:25, 0] = rng.integers(0, 2, 25)
    cohort = oracles.make_cohort(calls, (3, 2, 2), "sequence")
    v = build_vocabulary(cohort, "sequence", np.arange(25))
    factors = Factors(v, 0.0, rng.normal(size=7), {2: rng.normal(size=(1, 1, 7))}, {2: np.ones(1)})
    expansion = Expansion(factors, "frequency")
    np.testing.assert_array_equal(expansion.coefficients(np.array([[2, 3], [2, 5]])), 0)
    terms, _ = collect_terms(expansion, 100)
    assert (2, 3) in nonzero_terms(factors, 2)
    assert nonzero_terms(factors, 2) <= as_sets(terms)[2]
