"""Matrix products and counts of bits against sums by definition; elimination and the exact test."""

from itertools import combinations

import numpy as np
import pytest
from oracles_scan import scan_cohort_data, term_regression

from genoattn.scan.counts import count_row, count_with_sets, pack_planes, sum_over_missing, sum_over_sets
from genoattn.scan.covariate_sets import CovariateSets
from genoattn.scan.design import binary_design, make_design
from genoattn.scan.elimination import centre_counts
from genoattn.scan.exact import regress_terms
from genoattn.scan.pair_bound import products_on_fixed
from genoattn.scan.products import as_columns, pair_weights


def random_codes(n_columns=11, n_samples=333, missing=0.05, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.binomial(2, rng.uniform(0.1, 0.9, n_columns)[:, None], (n_columns, n_samples)).astype(np.int8)
    codes[rng.random(codes.shape) < missing] = -1
    return rng, codes


@pytest.mark.parametrize("weighted", [False, True])
def test_counts_are_those_of_samples(weighted):
    rng, codes = random_codes()
    place = rng.permutation(6 * 64)[:333]
    planes, weight = pack_planes(codes, place, 6), rng.integers(1, 4096, 6).astype(np.uint64)
    counts = np.zeros((11, 9), dtype=np.int64)
    w = weight[place // 64].astype(np.int64) if weighted else np.ones(333, dtype=np.int64)
    is_one, is_two, called = (codes == 1) * 1, (codes == 2) * 1, (codes >= 0) * 1
    sets = [(is_one, is_one), (is_one, is_two), (is_two, is_one), (is_two, is_two), (is_one, called)]
    sets += [(is_two, called), (called, is_one), (called, is_two), (called, called)]
    for i in range(4):
        count_row(planes[i], planes, weight if weighted else None, True, counts)
        for k, (x, y) in enumerate(sets):
            np.testing.assert_array_equal(counts[:, k], (x[i] * w) @ y.T)


def test_sums_over_missing_calls_and_sets():
    rng, codes = random_codes()
    gaps, y = codes < 0, rng.normal(size=333)
    start, samples = np.concatenate([[0], np.cumsum(gaps.sum(axis=1))]), np.nonzero(gaps)[1]
    filled, out = np.maximum(codes, 0).astype(int), np.empty((11, 11))
    sum_over_missing(start, samples, np.ascontiguousarray(filled.T, dtype=np.int8), y, out)
    np.testing.assert_allclose(out, (gaps * y) @ filled.T, atol=1e-12)
    planes = pack_planes(codes, np.arange(333), 6)
    members = rng.random((4, 333)) < 0.4
    padded = np.zeros((4, 384), dtype=bool)
    padded[:, :333] = members
    words, sums = np.packbits(padded, axis=1).view(np.uint64), np.empty((4, 11), dtype=np.float32)
    for i in range(11):
        sum_over_sets(planes[i], planes, words, np.zeros((3, 6), dtype=np.uint64), sums)
        np.testing.assert_array_equal(sums, members.astype(int) @ (filled[i] * filled).T)
    with_sets = np.empty((8, 11))
    count_with_sets(words, planes, with_sets)
    expected = np.concatenate([members.astype(int) @ (codes == code).T for code in (1, 2)])
    np.testing.assert_array_equal(with_sets, expected)


def test_centred_moments_of_counts():
    rng, codes = random_codes(2, missing=0)
    a, b = codes.astype(float)
    ma, mb = rng.uniform(0, 2, 2)
    cells = [((a == x) & (b == y)).sum() for x, y in ((1, 1), (1, 2), (2, 1), (2, 2))]
    margins = [(x == code).sum() for x in (a, b) for code in (1, 2)]
    moments = centre_counts(333.0, *map(float, margins), *map(float, cells), ma, mb)
    x, y = a - ma, b - mb
    expected = [333, x.sum(), y.sum(), x @ x, y @ y, x @ y, x**2 @ y, x @ y**2, x**2 @ y**2]
    np.testing.assert_allclose(moments, expected, atol=1e-9)


def test_sets_explain_covariates_and_bound_their_products():
    rng = np.random.default_rng(3)
    codes = rng.binomial(2, 0.3, (2, 700)).astype(np.int8)
    covariates = np.column_stack([rng.random(700) < 0.4, rng.normal(size=(700, 4)), rng.standard_t(3, 700)])
    covered = CovariateSets(make_design(codes, rng.normal(size=700), covariates))
    q, sets, members = covered.basis, covered.sets, covered.members
    assert sets.rest < 0.5
    centred = members - members.mean(axis=1, keepdims=True)
    rest = q - sets.weights @ centred
    assert np.linalg.eigvalsh(rest @ rest.T)[-1] == pytest.approx(sets.rest, rel=1e-4)
    for _ in range(20):
        p = rng.normal(size=700)
        bound = np.linalg.norm(sets.weights @ (centred @ p)) + np.sqrt(sets.rest) * np.linalg.norm(p)
        assert np.linalg.norm(q @ p) <= bound * (1 + 1e-5)
    values, out = rng.normal(size=(2, 700)).astype(np.float32), np.full(2, np.nan)
    memory = np.empty(700, dtype=np.float32)
    products_on_fixed(values[0], values, np.array([False, True]), sets.basis, sets.rounding, memory, out)
    expected = np.linalg.norm(q @ (values[0].astype(float) * values[1]))
    assert np.isnan(out[0])
    assert expected <= out[1] < expected * (1 + 1e-2) + 1e-2


@pytest.mark.parametrize("binary", [False, True])
def test_weights_by_definition(binary):
    rng, codes = random_codes(6, 90)
    covariates, y = rng.normal(size=(90, 2)), rng.normal(size=90)
    design = (
        binary_design(codes, (y > 0.3) * 1.0, covariates, (), True)
        if binary
        else make_design(codes, y, covariates, impute=True)
    )
    every, w = np.arange(6), design.weight
    block = as_columns(design.values(every), design.basis, w, design.columns.varies)
    weights = pair_weights(block, block, design.basis, w)
    x = block.values
    for i, j in combinations(range(6), 2):
        at, bt, pt = design.residual(np.stack([x[i], x[j], x[i] * x[j]]))
        ours = [weights.aa[i, 0], weights.bb[j], weights.ab[i, j], weights.pa[i, j], weights.pb[i, j]]
        expected = [(w * u) @ v for u, v in ((at, at), (bt, bt), (at, bt), (pt, at), (pt, bt))]
        np.testing.assert_allclose(
            [*ours, weights.pp[i, j]], [*expected, (w * pt) @ pt], rtol=1e-9, atol=1e-9
        )
    np.testing.assert_allclose(weights.r2, design.r2(every, every), rtol=1e-9)
    if not binary:
        np.testing.assert_allclose(weights.r2, np.corrcoef(x) ** 2, atol=1e-12)


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("missing", [0.0, 0.05])
def test_exact_regression_equals_statsmodels(order, missing):
    rng = np.random.default_rng(9)
    calls, covariates = scan_cohort_data(rng, 220, 7, missing, 0.3, 2)
    trait = rng.normal(size=220) + covariates[:, 0] + 0.3 * calls[:, 1] * calls[:, 4]
    design = make_design(np.ascontiguousarray(calls.T), trait, covariates)
    terms = np.array(list(combinations(range(7), order)))
    tests, n_compared = regress_terms(design, trait, terms), 0
    for k, term in enumerate(terms):
        expected = term_regression(calls, list(term), trait, covariates)
        assert (expected is not None) == tests.testable[k]
        if expected is not None:
            n_compared += 1
            fields = ("coefficient", "se", "statistic", "p_value", "n_samples")
            ours = [getattr(tests, name)[k] for name in fields]
            np.testing.assert_allclose(ours, expected, rtol=1e-7)
    assert n_compared > 15
