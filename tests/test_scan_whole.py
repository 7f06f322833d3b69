"""Products of whole numbers by units for bytes against integer arithmetic, and the screen made of them."""

import numpy as np
import pytest
from numba import njit
from oracles_logistic import weighted_score
from oracles_scan import scan_cohort_data
from scipy.special import ndtri

import genoattn
from genoattn.scan.design import make_design
from genoattn.scan.engine import critical_value
from genoattn.scan.logistic.null import binary_design, score_margin
from genoattn.scan.regression.exact import regress_pairs
from genoattn.scan.screening.alike import alike
from genoattn.scan.screening.grouped import grouped_sums
from genoattn.scan.screening.grouped_vectors import GroupedVectors
from genoattn.scan.screening.pair_sums import make_digits, pair_sums
from genoattn.scan.screening.products import choose_products, has_byte_units, whole_numbers_serve
from genoattn.scan.screening.tiles import (
    Rows,
    aligned,
    begin_tiles,
    column_sums,
    configuration,
    counts_pay,
    end_tiles,
    fill_columns,
    multiply,
    room_for_rows,
)
from genoattn.scan.screening.whole_screen import WholeScreen
from genoattn.scan.screening.whole_vectors import Vectors, rounded, rounded_down

needs_units = pytest.mark.skipif(not has_byte_units(), reason="no units for bytes")
needs_counts = pytest.mark.skipif(not counts_pay(), reason="no units that count bits")


@njit
def products_of(rows, columns, products, top, stop, shape):
    sums, room = np.zeros((len(products), 32, stop), np.int32), room_for_rows(rows)
    begin_tiles(shape.ctypes.data)
    multiply(rows, columns, products, top, 0, stop, room, sums)
    end_tiles()
    return sums


@njit
def sums_of(codes, i, j, less, digits, kind):
    n, out = codes.shape[1], np.zeros(len(digits.totals), np.int32)
    room = np.zeros(64 * (len(digits.digits) + 1), np.uint8)
    one, other = codes[i].ctypes.data, codes[j].ctypes.data
    pair_sums((one, other, n, less[0], less[1]), digits, kind, 0, 2, room, out)
    pair_sums((one, other, n, less[0], less[1]), digits, kind, 2, len(out), room, out)
    return out


def power_of(codes, centre, power):
    return np.where(codes >= 0, (codes - centre[:, None]).astype(int) ** power, 0)


@needs_units
@pytest.mark.parametrize("n_samples", [40, 640, 1337])
def test_products_are_exact(n_samples):
    rng = np.random.default_rng(n_samples)
    codes, others = (rng.integers(-1, 3, (n, n_samples)).astype(np.int8) for n in (45, 70))
    middle, other_middle = (rng.integers(0, 3, n).astype(np.int8) for n in (45, 70))
    vectors = rng.integers(-31, 32, (4, n_samples)).astype(np.int8)
    rows = Rows(codes, middle, np.array([1, 2, 0, 1]), vectors)
    columns = aligned((3, 6, -(-n_samples // 64), 16, 16, 4))
    fill_columns(others, other_middle, np.array([1, 2, 0]), columns)
    products = np.array([[0, 0, 0], [1, 1, 1], [2, 2, 2], [3, 1, 3], [2, 0, 4]])
    powers = [(1, 1), (2, 2), (0, 0), (1, 2), (0, 1)]
    for top in (0, 32):
        found = products_of(rows, columns, products, top, 96, configuration())
        part = slice(top, min(top + 32, 45))
        for (operand, _, _), (of_row, of_column), sums in zip(products, powers, found, strict=True):
            left = power_of(codes[part], middle[part], of_row) * vectors[operand]
            right = power_of(others, other_middle, of_column)
            np.testing.assert_array_equal(sums[: len(left), :70], left @ right.T)
    ones = Rows(np.ones((1, n_samples), np.int8), np.zeros(1, np.int8), np.ones(4, np.int64), vectors)
    sums = column_sums(ones, columns, np.array([[k, 1, k] for k in range(4)]), configuration())
    np.testing.assert_array_equal(sums[:, :70], vectors @ power_of(others, other_middle, 2).T)


def scatter(features, groups):
    parts = [features[row[row >= 0]] for row in groups]
    return sum(((part - part.mean(axis=0)) ** 2).sum() for part in parts)


def test_alike_samples_are_grouped():
    rng = np.random.default_rng(2)
    for n in (5, 32, 1000, 2003):
        features = rng.normal(size=(n, 2))
        groups = alike(features)
        assert groups.shape == (-(-n // 32), 32)
        np.testing.assert_array_equal(np.sort(groups[groups >= 0]), np.arange(n))
    assert scatter(features, groups) < 0.1 * 2 * 2003
    by_one = alike(features[:, :1])
    np.testing.assert_array_equal(by_one[by_one >= 0], np.argsort(features[:, 0], kind="stable"))


def test_groups_far_apart_are_split():
    rng = np.random.default_rng(3)
    tails = rng.standard_t(3, (2003, 1))
    before, more = alike(tails), alike(tails, 12)
    assert len(more) == len(before) + 12
    np.testing.assert_array_equal(np.sort(more[more >= 0]), np.arange(2003))
    assert scatter(tails, more) < 0.05 * scatter(tails, before)
    enough = alike(tails, 12, settled=np.sqrt(0.5 * scatter(tails, before)))
    assert len(before) < len(enough) < len(more)
    assert len(alike(np.zeros((100, 1)), 12)) == 4  # nothing to gain
    # A sample far out is a group of its own.
    one_out = alike(np.r_[np.zeros(63), 9.0][:, None], 1)
    assert sorted((one_out >= 0).sum(axis=1)) == [1, 31, 32]


@needs_counts
@pytest.mark.parametrize("n_samples", [40, 1337])
@pytest.mark.parametrize(("n_effects", "binary"), [(0, False), (0, True), (6, False), (3, True)])
def test_sums_are_counted_in_groups(n_samples, n_effects, binary):
    rng = np.random.default_rng(n_samples)
    codes = rng.integers(0, 3, (70, n_samples)).astype(np.int8)
    covariates = rng.normal(size=(n_samples, n_effects))
    y = rng.normal(size=n_samples)
    design = (
        binary_design(codes, (y > 0.3).astype(float), covariates)
        if binary
        else make_design(codes, y, covariates)
    )
    centre = rng.integers(0, 3, 70).astype(np.int8)
    vectors = GroupedVectors(design, 7.0, 1.0, 4.0)
    plan = vectors.plan()
    chosen = np.arange(70)
    sides = [(chosen[:45], 0), (chosen, 32)]
    (_, rows), (of_columns, columns) = (vectors.columns(k, centre[k], side) for k, side in sides)
    steps, groups = plan.step[plan.first :], plan.groups
    group = np.empty(n_samples, int)
    word, place = np.nonzero(vectors.groups >= 0)
    group[vectors.groups[word, place]] = word
    numbers = plan.groups.vectors.view(np.int16)[:, group].astype(int)
    weight = plan.groups.weight[group] if len(plan.groups.weight) else np.ones(n_samples, int)
    assert (steps[0] * weight <= design.weight * (1 + 1e-6)).all()
    centred = power_of(codes, centre, 1)
    np.testing.assert_allclose(of_columns.total, float(steps[0]) * (centred @ weight), rtol=1e-6)
    np.testing.assert_allclose(of_columns.square, float(steps[0]) * (centred**2 @ weight), rtol=1e-6)
    sizes = np.abs(design.weight * design.basis[1:]) @ np.abs(centred).T
    off = of_columns.effects - (design.weight * design.basis[1:]) @ centred.T
    assert (np.abs(off) <= sizes + 1e-9).all()
    n_grouped = len(groups.step)
    room = np.zeros((groups.vectors.shape[1], 16), np.int32), np.zeros((32, n_grouped, 4), np.float32)
    exact = codes - design.columns.mean[:, None]
    on_fixed = (design.columns.on_fixed[:, 1 : 1 + n_grouped] / design.columns.norm[:, None]).T
    for top in (0, 32):
        sums, shares = np.zeros((5, 32, 96), np.int32), np.zeros((2, 32, 96), np.float32)
        grouped_sums(rows, columns, groups, top, 0, 96, room, sums, shares)
        part = slice(top, min(top + 32, 45))
        kinds = [(weight, 1, 1), (weight, 1, 2), (weight, 2, 1), (weight, 2, 2), (numbers[0], 1, 1)]
        for found, (vector, of_row, of_column) in zip(sums, kinds, strict=True):
            left = power_of(codes[part], centre[part], of_row) * vector
            right = power_of(codes, centre, of_column)
            np.testing.assert_array_equal(found[: len(left), :70], left @ right.T)
        effects = groups.step[:, None].astype(float) * numbers[1:]
        squares = sum((((exact[part] * q) @ exact.T) ** 2 for q in effects), np.zeros((len(left), 70)))
        np.testing.assert_allclose(shares[0, : len(left), :70], squares, rtol=1e-4, atol=1e-4 * n_grouped)
        np.testing.assert_allclose(shares[1, : len(left), :70], on_fixed[:, part].T @ on_fixed, atol=1e-6)


@needs_counts
@pytest.mark.parametrize("n_samples", [40, 64, 1337])
def test_sums_of_a_pair_are_exact(n_samples):
    rng = np.random.default_rng(n_samples)
    codes = rng.integers(0, 3, (6, n_samples)).astype(np.int8)
    vectors = rng.integers(-127, 128, (7, n_samples)).astype(np.int8)
    digits = make_digits(vectors)
    for less_a, less_b in ((0, 0), (1, 0), (1, 2), (2, 2)):
        for kind, (of_a, of_b) in enumerate([(1, 1), (1, 2), (2, 1), (2, 2)]):
            left, right = (
                (codes[k].astype(int) - less) ** p for k, less, p in ((1, less_a, of_a), (4, less_b, of_b))
            )
            found = sums_of(codes, 1, 4, (less_a, less_b), digits, kind)
            np.testing.assert_array_equal(found, vectors.astype(int) @ (left * right))


@needs_counts
@pytest.mark.parametrize(("n_covariates", "binary"), [(0, False), (3, True), (10, False)])
def test_pairs_that_need_no_bytes_for_all_are_found(n_covariates, binary):
    """The list of a screen whose sums are loose, pairs being worked out once more, is the exhaustive one."""
    rng = np.random.default_rng(n_covariates)
    calls, covariates = scan_cohort_data(rng, 900, 70, 0.0, 0.6, n_covariates)
    y = covariates.sum(axis=1) * 0.3 + rng.standard_t(3, 900) + 0.7 * (calls[:, 5] - 1) * (calls[:, 41] - 1)
    trait = (y > 0.5).astype(float) if binary else y
    design = (binary_design if binary else make_design)(calls.T.copy(), trait, covariates)
    usable = np.flatnonzero(design.columns.varies)
    screen = WholeScreen(design, critical_value(design, 1e-3))
    assert isinstance(screen.vectors, GroupedVectors)
    a, b = screen.candidates(screen.left(usable), screen.right(usable))
    keep = np.zeros((70, 70), dtype=bool)
    keep[usable[a], usable[b]] = True
    pairs = np.array([(i, j) for i in usable for j in usable if i < j])
    if binary:
        passes = ~(np.abs(weighted_score(design, pairs)) < -ndtri(5e-4))
    else:
        passes = ~(regress_pairs(design, trait, pairs).p_value > 1e-3)
    assert 3 < passes.sum() < 0.1 * len(pairs)
    assert keep[pairs[passes, 0], pairs[passes, 1]].all()
    assert keep[pairs[passes, 1], pairs[passes, 0]].all()
    # What bytes leave costs next to nothing, where the fixed effects have little of the columns.
    reach = (design.columns.on_fixed[:, 1:] ** 2).sum(axis=1) / design.columns.norm**2
    free = (reach[pairs] < 0.1).all(axis=1)
    assert keep[pairs[free, 0], pairs[free, 1]].sum() <= 1.05 * passes[free].sum() + 3


def test_rounded_vectors():
    rng = np.random.default_rng(1)
    vector, weight = rng.standard_t(3, 500), rng.random(500) ** 3
    once, twice = rounded(vector, 63, 1), rounded(vector, 63, 2)
    for parts, room in ((once, 0.5 / 63), (twice, 0.25 / 63**2)):
        assert np.abs(parts.digits).max() <= 63
        np.testing.assert_allclose(parts.steps @ parts.digits + parts.rest, vector, rtol=1e-12)
        assert np.abs(parts.rest).max() <= 1.001 * room * np.abs(vector).max()
    assert len(rounded(np.array([1.0, -2.0, 2.0]), 2, 2).digits) == 1
    down = rounded_down(weight, 31)
    assert down.digits.min() >= 0
    assert down.digits.max() <= 31
    assert 0 < down.rest.max() < weight.max() / 31**2 * 1.001
    np.testing.assert_allclose(down.steps @ down.digits + down.rest, weight, rtol=1e-12)
    same = rounded_down(np.full(9, 0.21), 31)
    assert len(same.digits) == 1
    assert not same.rest.any()


@needs_units
@pytest.mark.parametrize("missing", [0.0, 0.02])
@pytest.mark.parametrize("strength", [0.0, 1.5])
def test_binary_pairs_within_the_margin_are_kept(missing, strength):
    rng = np.random.default_rng(int(10 * strength))
    calls, covariates = scan_cohort_data(rng, 700, 90, missing, 0.5, 2)
    x = np.maximum(calls, 0)
    log_odds = -1 + strength * covariates[:, 0] + 0.8 * x[:, 3] + 0.7 * (x[:, 7] - 1) * (x[:, 44] - 1)
    case = (rng.random(700) < 1 / (1 + np.exp(-log_odds))).astype(float)
    design = binary_design(np.ascontiguousarray(calls.T), case, covariates)
    usable = np.flatnonzero(design.columns.varies)
    margin = score_margin(design, 1e-2)
    screen = WholeScreen(design, critical_value(design, 1e-2), margin)
    keep = np.zeros((90, 90), dtype=bool)
    a, b = screen.candidates(screen.left(usable), screen.right(usable))
    keep[usable[a], usable[b]] = True
    i, j = np.triu_indices(90, 1)
    some = design.columns.varies[i] & design.columns.varies[j]
    pairs = np.stack([i[some], j[some]], axis=1)
    z, total = weighted_score(design, pairs), margin[pairs].sum(axis=1)
    critical = -ndtri(5e-3)
    wanted = ~(np.abs(z) < critical * (1 - total))
    assert wanted.sum() > 10
    assert keep[pairs[wanted, 0], pairs[wanted, 1]].all()
    assert keep[pairs[wanted, 1], pairs[wanted, 0]].all()
    found = keep[pairs[:, 0], pairs[:, 1]]
    assert found.sum() < 1.4 * wanted.sum() + 10


def test_plans_know_every_sum():
    rng = np.random.default_rng(4)
    calls, covariates = scan_cohort_data(rng, 60, 5, 0.2, 0.0, 2)
    vectors = Vectors(make_design(calls.T.copy(), rng.normal(size=60), covariates), 1.0, 1.0)
    whole, gaps = vectors.plan(False, False), vectors.plan(True, False)
    assert len(whole.products) == 4 + 2 + 2  # genotypes, two digits of the trait, two effects
    assert len(gaps.products) == 9 + 4 * 2 + 4 * 2
    assert len(set(gaps.place)) == 17


def test_precisions_that_do_not_serve():
    rng = np.random.default_rng(5)
    codes = rng.integers(0, 13, (3, 40)).astype(np.int8)
    design = make_design(codes, rng.normal(size=40), np.zeros((40, 0)))
    assert not whole_numbers_serve(design)
    assert choose_products("auto", design).name == "float32"
    with pytest.raises(genoattn.InputError, match="no units for bytes on this machine, or codes above 11"):
        choose_products("int8", design)
    with pytest.raises(genoattn.InputError, match="precision 'half' is unknown; choose one of auto, float32"):
        choose_products("half", design)
