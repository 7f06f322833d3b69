"""Interaction tables: the tensor, its gauges and variances, against projection, gaugefixer, the modules."""

from itertools import combinations, product

import numpy as np
import oracles_attention as oracle
import pytest
import torch
from test_attention_modules import randomised

from genoattn.attention import (
    FactoredTable,
    GaugedTable,
    HyperAttention,
    HyperFeatureAttention,
    LinearSelfAttention,
)

# Three sites of 2, 3 and 2 states.
SITE = np.array([0, 0, 1, 1, 1, 2, 2])
FREQUENCY = np.array([0.25, 0.75, 0.5, 0.3, 0.2, 0.9, 0.1])
REFERENCE = np.array([0, 3, 6])
GAUGES = [("reference", {"reference": REFERENCE}), ("zero-sum", {}), ("frequency", {"frequency": FREQUENCY})]


def random_table(order, rank=2, n_channels=2, site=SITE, seed=0):
    rng = np.random.default_rng(seed)
    factors = tuple(rng.normal(size=(len(site), rank, n_channels)) for _ in range(order))
    return FactoredTable(factors, site)


def random_tokens(n_tokens=7, width=3):
    return torch.randn(n_tokens, width, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def table_modules(distinct):
    options = {"distinct": distinct, "dtype": torch.float64, "n_heads": 2}
    return [
        randomised(LinearSelfAttention(3, 2, **options)),
        randomised(HyperFeatureAttention((1, 2), 2, **options)),
        *[randomised(HyperAttention(3, 2, order, 2, **options)) for order in (2, 3)],
    ]


def features_of(module, tokens):
    return [tokens[..., :1], tokens[..., 1:]] if isinstance(module, HyperFeatureAttention) else tokens


@pytest.mark.parametrize("distinct", [False, True])
def test_table_predicts_what_the_module_computes(distinct):
    tokens, drawn = random_tokens(), torch.tensor([[0, 3, 6, 2], [1, 1, 5, 4]])
    for module in table_modules(distinct):
        x = features_of(module, tokens[drawn])
        t = module.interaction_table(features_of(module, tokens)).dense()
        order = t.ndim - 1
        for b, sample in enumerate(drawn.tolist()):
            for i in range(4):
                expected = sum(
                    t[tuple(sample[e] for e in chosen)]
                    for chosen in oracle.tuples(i, order, range(4), distinct)
                )
                np.testing.assert_allclose(module(x)[b, i].detach().numpy(), expected, rtol=1e-10, atol=1e-10)


def test_paper_tensor_of_linear_attention():
    module, tokens = randomised(LinearSelfAttention(3, 2, dtype=torch.float64)), random_tokens()
    c, w = module.interaction[0].detach(), module.value[0].detach()
    expected = (tokens @ c @ tokens.T).unsqueeze(-1) * (tokens @ w)
    table = module.interaction_table(tokens)
    np.testing.assert_allclose(table.dense(), expected.numpy(), rtol=1e-12)
    np.testing.assert_allclose(table.coefficient([4, 1]), expected[4, 1].numpy(), rtol=1e-12)


@pytest.mark.parametrize(("name", "options"), GAUGES)
@pytest.mark.parametrize("order", [2, 3, 4])
def test_gauge_equals_projection(order, name, options):
    site = SITE if order < 4 else np.array([0, 0, 1, 1, 2, 2, 3, 3])
    if order == 4:
        options = {
            "reference": {"reference": [0, 3, 4, 7]},
            "zero-sum": {},
            "frequency": {"frequency": [0.3, 0.7, 0.5, 0.5, 0.9, 0.1, 0.4, 0.6]},
        }[name]
    table = random_table(order, site=site)
    gauged = table.gauge(name, **options)
    expected = oracle.gauge_coefficients(table.factors, site, gauged.weights)
    for tokens, value in expected.items():
        got = gauged.coefficient(*tokens) if len(tokens) <= order else 0.0
        np.testing.assert_allclose(got, value, atol=1e-11)


@pytest.mark.parametrize(("name", "options"), GAUGES)
def test_terms_of_all_orders_add_up_to_the_module(name, options):
    module = randomised(HyperAttention(3, 2, 3, 2, dtype=torch.float64))
    tokens = random_tokens()
    gauged = module.interaction_table(tokens, site=SITE).gauge(name, **options)
    for genotype in product(*oracle.tokens_by_site(SITE)):
        expected = module(tokens[list(genotype)].unsqueeze(0)).sum(dim=1)[0].detach().numpy()
        terms = [t for order in range(4) for t in combinations(genotype, order)]
        np.testing.assert_allclose(
            sum(gauged.coefficient(*t) for t in terms), expected, rtol=1e-9, atol=1e-12
        )


GAUGEFIXER = {
    "reference": {"gauge": "wild-type", "wt_seq": "ABB"},
    "zero-sum": {"gauge": "zero-sum"},
    "frequency": {"gauge": "hierarchical", "pi_lc": [FREQUENCY[:2], FREQUENCY[2:5], FREQUENCY[5:]]},
}


@pytest.mark.parametrize(("name", "options"), GAUGES)
@pytest.mark.parametrize("order", [2, 3])
def test_gauge_equals_gaugefixer(order, name, options):
    gaugefixer, pandas = pytest.importorskip("gaugefixer"), pytest.importorskip("pandas")
    table = random_table(order, n_channels=1)
    letters = "ABABCAB"  # the letter of each token; REFERENCE spells ABB
    genotypes = list(product(*oracle.tokens_by_site(SITE)))
    landscape = {"".join(letters[t] for t in g): oracle.pooled_value(table.factors, g)[0] for g in genotypes}
    model = gaugefixer.AllOrderModel(alphabet_list=[["A", "B"], ["A", "B", "C"], ["A", "B"]])
    model.set_landscape(pandas.Series(landscape))
    fixed = model.get_fixed_params(**GAUGEFIXER[name])
    gauged = table.gauge(name, **options)
    assert len(fixed) == 3 * 4 * 3
    first = np.searchsorted(SITE, np.arange(3))
    for (positions, states), value in fixed.items():
        tokens = [int(first[s]) + "ABC".index(letter) for s, letter in zip(positions, states, strict=True)]
        got = gauged.coefficient(*tokens)[0] if len(tokens) <= order else 0.0
        np.testing.assert_allclose(got, value, atol=1e-10)


@pytest.mark.parametrize("order", [2, 3])
def test_variance_components(order):
    table = random_table(order)
    gauged = table.gauge("frequency", frequency=FREQUENCY)
    coefficients = oracle.gauge_coefficients(table.factors, SITE, FREQUENCY)
    expected = np.zeros((order, 2))
    for tokens, value in coefficients.items():
        if 1 <= len(tokens) <= order:
            expected[len(tokens) - 1] += FREQUENCY[list(tokens)].prod() * value**2
    np.testing.assert_allclose(gauged.variance_components(), expected, rtol=1e-10)


def test_variance_components_add_up_to_the_variance():
    table = random_table(3)
    genotypes = list(product(*oracle.tokens_by_site(SITE)))
    values = np.stack([oracle.pooled_value(table.factors, g) for g in genotypes])
    p = np.array([FREQUENCY[list(g)].prod() for g in genotypes])
    variance = p @ values**2 - (p @ values) ** 2
    got = table.gauge("frequency", frequency=FREQUENCY).variance_components().sum(axis=0)
    np.testing.assert_allclose(got, variance, rtol=1e-10)


def test_variance_in_blocks_of_ranks(monkeypatch):
    table = random_table(2, rank=5)
    expected = table.gauge("zero-sum").variance_components()
    monkeypatch.setattr("genoattn.attention.symmetric_terms.VARIANCE_BUFFER", 1)
    np.testing.assert_allclose(table.gauge("zero-sum").variance_components(), expected, rtol=1e-12)


def test_readout_weights_the_channels():
    table = random_table(3)
    weights = np.array([2.0, -3.0])
    np.testing.assert_allclose(table.readout(weights).dense()[..., 0], table.dense() @ weights, rtol=1e-12)


def test_gauge_without_sites_is_that_of_each_argument():
    table = random_table(2)
    free = FactoredTable(table.factors)
    gauged = free.gauge("reference", reference=2)
    t = free.dense()
    # f(a, b) = f(r, r) + [f(a, r) - f(r, r)] + [f(r, b) - f(r, r)] + the rest, by hand for a = 4, b = 1.
    np.testing.assert_allclose(gauged.intercept, t[2, 2])
    np.testing.assert_allclose(gauged.coefficient(4), t[4, 2] - t[2, 2])
    np.testing.assert_allclose(gauged.coefficient(7 + 1), t[2, 1] - t[2, 2])
    np.testing.assert_allclose(gauged.coefficient(4, 7 + 1), t[4, 1] - t[4, 2] - t[2, 1] + t[2, 2])


def test_permuting_tokens_permutes_the_table():
    table = random_table(3)
    order = np.array([3, 0, 6, 1, 5, 2, 4])
    permuted = FactoredTable(tuple(f[order] for f in table.factors), SITE[order])
    before = table.gauge("frequency", frequency=FREQUENCY)
    after = permuted.gauge("frequency", frequency=FREQUENCY[order])
    position = np.argsort(order)
    np.testing.assert_allclose(after.coefficient(*position[[0, 4]]), before.coefficient(0, 4))


def test_hyper_feature_table_holds_for_unseen_tokens():
    module = randomised(HyperFeatureAttention((2, 3), 1, dtype=torch.float64))
    state, gene = torch.eye(2).double(), torch.eye(3).double()
    every = [(s, g) for s in range(2) for g in range(3)]
    table = module.interaction_table([state[[s for s, _ in every]], gene[[g for _, g in every]]])
    for (a, (s, g)), (b, (s2, g2)) in product(enumerate(every), repeat=2):
        c = [c[0].detach() for c in module.interaction]
        w = [w[0].detach() for w in module.value]
        expected = c[0][s, s2] * c[1][g, g2] * w[0][s2] * w[1][g2]
        np.testing.assert_allclose(table.coefficient([a, b]), expected.numpy(), rtol=1e-12)


@pytest.mark.parametrize("sharing", [(0, 0), (0, 0, 0, 0), (0, 1, 0), (0, 1, 1, 0)])
@pytest.mark.parametrize("gauge", ["reference", "zero-sum", "frequency"])
def test_arguments_that_share_a_factor_are_counted_once(gauge, sharing):
    # The same table, told by one array for the arguments of a factor, and by a copy for each.
    site = np.repeat(np.arange(5), [2, 3, 2, 2, 2])
    table = random_table(len(sharing), site=site)
    rng = np.random.default_rng(1)
    frequency = rng.random(len(site))
    frequency /= np.bincount(site, frequency)[site]
    options = {"reference": {"reference": [0, 3, 6, 7, 10]}, "frequency": {"frequency": frequency}}.get(
        gauge, {}
    )
    one = table.gauge(gauge, **options)
    scale = rng.normal(size=one.scale.shape)
    parts = [(one.means[m], one.deviations[m]) for m in sharing]
    shared = GaugedTable(gauge, *zip(*parts, strict=True), one.site, one.weights, scale)
    copies = [(mean.copy(), deviation.copy()) for mean, deviation in parts]
    apart = GaugedTable(gauge, *zip(*copies, strict=True), one.site, one.weights, scale)
    np.testing.assert_allclose(shared.intercept, apart.intercept, rtol=1e-12)
    for order in range(1, len(sharing) + 1):
        less, more = shared.component(order), apart.component(order)
        tokens = np.array([[0, 2, 5, 8][:order], [10, 1, 4, 7][:order]])
        np.testing.assert_allclose(
            less.coefficients(tokens), more.coefficients(tokens), rtol=1e-10, atol=1e-12
        )
        np.testing.assert_allclose(less.variance(), more.variance(), rtol=1e-10)
        products = [
            np.prod([axis[t] for axis, t in zip(less.axes(1), ts, strict=True)], axis=0) for ts in tokens
        ]
        np.testing.assert_allclose(
            np.sum(products, axis=1), more.coefficients(tokens)[:, 1], rtol=1e-9, atol=1e-11
        )
    assert len(shared.component(1).scale) < len(apart.component(1).scale) or gauge == "frequency"
