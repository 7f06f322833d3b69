"""The largest terms against a full enumeration."""

import numpy as np
import oracles_attention as oracle
import pytest

from genoattn.attention import FactoredTable, top_products, top_terms


def problem(order, n_tokens, rank, seed, kind):
    """Factors of a symmetric sum of products, and sites of one to three tokens."""
    rng = np.random.default_rng(seed)
    site = np.sort(rng.integers(0, max(order, n_tokens // 2), n_tokens))
    site = np.unique(site, return_inverse=True)[1]
    shared = rng.normal(size=(n_tokens, rank))
    if kind == "sparse":
        shared *= rng.random((n_tokens, rank)) < 0.2
    if kind == "heavy":
        shared *= np.exp(2 * rng.normal(size=(n_tokens, 1)))
    weights = rng.normal(size=rank)
    return [shared * weights, *[shared] * (order - 1)], site


@pytest.mark.parametrize("kind", ["dense", "sparse", "heavy"])
@pytest.mark.parametrize(("order", "n_tokens"), [(1, 30), (2, 60), (3, 25), (4, 14)])
@pytest.mark.parametrize("scaled", [False, True])
def test_equals_enumeration(order, n_tokens, kind, scaled):
    for seed in range(3):
        axes, site = problem(order, n_tokens, 3, seed, kind)
        scale = np.random.default_rng(seed).random(n_tokens) if scaled else None
        tokens, coefficients = oracle.top_terms(axes, site, 20, scale)
        found = top_products(axes, site, 20, scale=scale, block=8)
        assert [tuple(t) for t in found.tokens] == tokens
        np.testing.assert_allclose(found.coefficient, coefficients, rtol=1e-12)


@pytest.mark.parametrize("kind", ["dense", "sparse", "heavy"])
@pytest.mark.parametrize("order", [3, 4])
def test_walk_in_many_pieces(monkeypatch, order, kind):
    monkeypatch.setattr(top_terms, "ROWS", 30)  # ten sets of tokens at a time
    axes, site = problem(order, 16, 3, order, kind)
    tokens, coefficients = oracle.top_terms(axes, site, 30)
    found = top_products(axes, site, 30, block=4)
    assert [tuple(t) for t in found.tokens] == tokens
    np.testing.assert_allclose(found.coefficient, coefficients, rtol=1e-12)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_tight_bound_drops_no_term(monkeypatch, order):
    # Of one rank the bound on a product is the product: what it drops wrongly is missing here.
    monkeypatch.setattr(top_terms, "ROWS", 10)
    for seed in range(20):
        axis = np.random.default_rng(seed).uniform(1, 2, size=(12, 1))
        found = top_products([axis] * order, np.arange(12), 20, block=4)
        assert [tuple(t) for t in found.tokens] == oracle.top_terms([axis] * order, np.arange(12), 20)[0]


@pytest.mark.parametrize("order", [2, 3])
def test_rounding_error_of_float32_drops_no_term(monkeypatch, order):
    monkeypatch.setattr(top_terms, "ROWS", 70)
    for seed in range(10):
        rng = np.random.default_rng(seed)
        axis = rng.normal(size=(1, 7)) + 1e-9 * rng.normal(size=(20, 7))
        found = top_products([axis] * order, np.arange(20), 3, block=4)
        assert [tuple(t) for t in found.tokens] == oracle.top_terms([axis] * order, np.arange(20), 3)[0]


@pytest.mark.parametrize("order", [3, 4])
def test_equal_terms_of_higher_orders(monkeypatch, order):
    monkeypatch.setattr(top_terms, "ROWS", 5)
    site = np.repeat(np.arange(6), 2)
    found = top_products([np.ones((12, 1))] * order, site, 17, block=4)
    assert [tuple(t) for t in found.tokens] == oracle.top_terms([np.ones((12, 1))] * order, site, 17)[0]


def test_bound_spares_work_and_misses_nothing():
    axes, site = problem(2, 400, 3, 0, "heavy")
    tokens, _ = oracle.top_terms(axes, site, 10)
    found = top_products(axes, site, 10, block=16)
    assert [tuple(t) for t in found.tokens] == tokens
    assert found.n_screened < 0.2 * found.n_possible


def test_equal_terms_are_ordered_by_token():
    found = top_products([np.ones((6, 1))] * 2, np.arange(6), 4, block=2)
    assert found.tokens.tolist() == [[0, 1], [0, 2], [0, 3], [0, 4]]


def test_zero_is_not_a_term():
    axis = np.zeros((5, 2))
    axis[[1, 3], 0] = 2.0
    found = top_products([axis, axis], np.arange(5), 10)
    assert found.tokens.tolist() == [[1, 3]]
    assert found.coefficient.tolist() == [4.0]


def test_differences_below_float32_are_seen():
    # 1 + 1e-9 and 1 are one number in float32; the screen must keep both, float64 must tell them apart.
    axis = np.ones((50, 1))
    axis[37] += 1e-9
    axis[21] += 2e-9
    found = top_products([axis, axis], np.arange(50), 1, block=8)
    assert found.tokens.tolist() == [[21, 37]]


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_scale_beyond_float32(size):
    axes, site = problem(2, 40, 3, 0, "dense")
    found = top_products([axis * size for axis in axes], site, 20, block=8)
    assert [tuple(t) for t in found.tokens] == oracle.top_terms(axes, site, 20)[0]


def test_terms_that_underflow_in_float32():
    # 1 among numbers of 1e-25, whose product 1e-50 is zero in float32; all three terms exist.
    axis = np.array([[1.0], [1e-25], [2e-25]])
    found = top_products([axis, axis], np.arange(3), 5)
    assert found.tokens.tolist() == [[0, 2], [0, 1], [1, 2]]
    np.testing.assert_allclose(found.coefficient, [2e-25, 1e-25, 2e-50], rtol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_no_term_at_all(order):
    found = top_products([np.zeros((4, 2))] * order, np.arange(4), 3)
    assert found.tokens.shape == (0, order)


@pytest.mark.parametrize("by", ["coefficient", "variance"])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_top_terms_of_a_table(order, by):
    rng = np.random.default_rng(0)
    site = np.repeat(np.arange(8), 2)
    table = FactoredTable(tuple(rng.normal(size=(16, 2, 2)) for _ in range(3)), site)
    p = rng.random(8)
    frequency = np.stack([p, 1 - p], axis=1).ravel()
    gauged = table.gauge("frequency", frequency=frequency)
    found = gauged.top_terms(5, order, by, channel=1)
    scale = np.sqrt(frequency) if by == "variance" else None
    tokens, coefficients = oracle.top_terms(gauged.component(order).axes(1), site, 5, scale)
    # In the frequency gauge of two states a variance comes in pairs and fours of nearly equal terms.
    np.testing.assert_allclose(np.sort(np.abs(found.coefficient)), np.sort(np.abs(coefficients)), rtol=1e-9)
    for t, coefficient in zip(found.tokens, found.coefficient, strict=True):
        np.testing.assert_allclose(gauged.coefficient(*t)[1], coefficient, rtol=1e-9)
        share = frequency[t].prod() * coefficient**2
        assert by == "coefficient" or share == pytest.approx(
            found.score[found.tokens.tolist().index(t.tolist())]
        )
    assert len(tokens) == 5


def test_needs_at_least_one_term():
    with pytest.raises(ValueError, match="k: got 0, needs at least 1"):
        top_products([np.ones((3, 1))] * 2, np.arange(3), 0)
