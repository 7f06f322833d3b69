"""Features of tokens: what they are, the factors made of them, and tokens that training never showed."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import genoattn
from genoattn.attention import PooledFeatureAttention, PooledLinearAttention
from genoattn.closed_form.additive_start import all_pairs_start
from genoattn.cohort import Cohort, Phenotype, Sites
from genoattn.errors import InputError
from genoattn.interactions.schema import manifest_from_json
from genoattn.model.readout import extend_readout, unseen_states
from genoattn.tokens import build_vocabulary
from genoattn.tokens.token_features import token_features

RESIDUES = "ADKSW"


def landscape(calls: np.ndarray, states: tuple[tuple[str, ...], ...], values: np.ndarray) -> Cohort:
    n_sites = calls.shape[1]
    ids = [f"A{k + 1}" for k in range(n_sites)]
    pos = np.arange(1, n_sites + 1)
    sites = Sites(
        np.array(ids),
        np.array([""] * n_sites),
        pos,
        np.array(["A"] * n_sites),
        np.array([""] * n_sites),
        states,
    )
    samples = np.array([f"v{k}" for k in range(len(calls))])
    return Cohort(samples, sites, calls.astype(np.int8), "sequence", Phenotype("y", values))


def product_landscape(seed: int, n_samples: int, n_sites: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Calls, and e_2 of entity values that are a product of an effect of the state and one of the site."""
    rng = np.random.default_rng(seed)
    state, site = rng.normal(size=len(RESIDUES)), rng.normal(size=n_sites)
    calls = rng.integers(0, len(RESIDUES), (n_samples, n_sites))
    value = state[calls] * site
    return calls, (value.sum(axis=1) ** 2 - (value**2).sum(axis=1)) / 2


def test_features_of_residues_by_hand():
    calls = np.array([[0, 0], [1, 1], [2, 0]])
    cohort = landscape(calls, (("A", "D", "W"), ("K", "A")), np.arange(3.0))
    cohort = replace(
        cohort, sites=replace(cohort.sites, features={"gene": np.array(["g1", ""], dtype=object)})
    )
    found = token_features(cohort.sites, build_vocabulary(cohort, "sequence"))
    assert found.levels == {
        "site": ("A1", "A2"),
        "state": ("A", "D", "W", "K"),
        "class": ("aliphatic", "negative", "aromatic", "positive"),
        "gene": ("g1", ""),
    }
    assert found.index.tolist() == [[0, 0, 0, 1, 1], [0, 1, 2, 3, 0], [0, 1, 2, 3, 0], [0, 0, 0, 1, 1]]
    assert sum(found.sizes) == 12


def test_nucleotides_have_no_residue_class():
    cohort = landscape(np.array([[0, 0], [1, 1]]), (("A", "C"), ("G", "-")), np.arange(2.0))
    assert "class" not in token_features(cohort.sites, build_vocabulary(cohort, "sequence")).levels


def test_feature_factors_are_products_of_embeddings():
    cohort = landscape(np.array([[0, 0], [1, 1]]), (("A", "C"), ("G", "A")), np.arange(2.0))
    features = token_features(cohort.sites, build_vocabulary(cohort, "sequence"))
    module = PooledFeatureAttention(features.index, features.sizes, rank=1, tied=True)
    site, state = torch.tensor([[[2.0, 3.0]]]), torch.tensor([[[5.0, 7.0, 11.0]]])
    with torch.no_grad():
        module.embeddings[0].copy_(site)
        module.embeddings[1].copy_(state)
    # Columns: A at site 1, C at 1, G at 2, A at 2; states in order of appearance A, C, G.
    assert module.factors()[0, 0].tolist() == [2 * 5, 2 * 7, 3 * 11, 3 * 5]


def test_pair_factors_start_at_zero_with_a_gradient():
    module = PooledLinearAttention(3)
    values = module.factors()
    assert values.shape == (3, 2, 3)
    assert torch.equal(values[:, 0], torch.eye(3))
    values[:, 1].sum().backward()
    assert bool((module.pair.grad == 1).all())


def test_tokens_never_seen_are_predicted_from_their_features():
    calls, values = product_landscape(1, 6000)
    unseen = (calls[:, 0] == 3) | (calls[:, 4] == 1)
    states = [tuple(RESIDUES)] * 5
    states[0], states[4] = ("A", "D", "K", "W"), ("A", "K", "S", "W")
    shown = calls[~unseen].copy()
    shown[:, 0] = np.array([0, 1, 2, -9, 3])[shown[:, 0]]
    shown[:, 4] = np.array([0, -9, 1, 2, 3])[shown[:, 4]]
    cohort = landscape(shown, tuple(states), values[~unseen])
    result = genoattn.fit(cohort, attention="feature", rank=4, max_epochs=60, seed=2)
    new = landscape(calls[unseen], (tuple(RESIDUES),) * 5, values[unseen])
    predicted = result.predict(new)
    residual = values[unseen] - predicted
    assert 1 - (residual @ residual) / ((values[unseen] - values[unseen].mean()) ** 2).sum() > 0.9
    with pytest.raises(InputError, match=r"S at column 1.*no training sample|has S at column 1"):
        genoattn.fit(cohort, attention="hyper", rank=4, max_epochs=1).predict(new)


def test_extension_leaves_known_tokens_as_they_were():
    calls, values = product_landscape(2, 300)
    cohort = landscape(np.minimum(calls, 3), (tuple(RESIDUES[:4]),) * 5, values)
    result = genoattn.fit(cohort, attention="feature", rank=3, max_epochs=3, precision=64)
    wider = landscape(calls, (tuple(RESIDUES),) * 5, values)
    with pytest.raises(InputError, match=r"W at column 1: no training sample had it anywhere; write X"):
        result.predict(wider)
    odd = replace(cohort.sites, states=(("A", "D", "K", "S"), *cohort.sites.states[1:]))
    assert unseen_states(cohort, odd).states == odd.states
    wide, vocabulary = extend_readout(result.readout, result.manifest.vocabulary, odd)
    assert vocabulary.n_columns == result.manifest.vocabulary.n_columns
    tensors = torch.tensor(cohort.calls), torch.zeros((300, 0), dtype=torch.float64)
    assert torch.equal(wide(*tensors), result.readout(*tensors))


@pytest.mark.parametrize("attention", ["feature", "linear"])
def test_saved_model_predicts_the_same(attention, tmp_path):
    calls, values = product_landscape(3, 400)
    cohort = landscape(calls, (tuple(RESIDUES),) * 5, values)
    gene = np.array(["g1", "g1", "g2", "g2", ""], dtype=object)
    cohort = replace(cohort, sites=replace(cohort.sites, features={"gene": gene}))
    result = genoattn.fit(cohort, attention=attention, rank=3, max_epochs=3)
    result.save(tmp_path / "out")
    from genoattn.fitting.store import load_model

    loaded = load_model(tmp_path / "out")
    assert np.array_equal(loaded.predict(cohort), result.predict(cohort))
    assert loaded.manifest.sites.features["gene"].tolist() == gene.tolist()
    again = manifest_from_json(loaded.manifest.to_json())
    assert again.to_json() == loaded.manifest.to_json()


@pytest.mark.validation  # trains a model to the end
def test_linear_attention_learns_every_pairwise_function():
    rng = np.random.default_rng(4)
    calls = rng.integers(0, 3, (4000, 4))
    pair = rng.normal(size=(4, 4, 3, 3))
    values = sum(pair[a, b][calls[:, a], calls[:, b]] for a in range(4) for b in range(a))
    cohort = landscape(calls, (("A", "D", "K"),) * 4, values)
    result = genoattn.fit(cohort, attention="linear", max_epochs=300)
    assert result.metrics.test > 0.99


def test_linear_attention_refuses_what_it_cannot_do():
    calls, values = product_landscape(5, 100)
    cohort = landscape(calls, (tuple(RESIDUES),) * 5, values)
    with pytest.raises(InputError, match="linear attention is of order 2, not 3; choose hyper attention"):
        genoattn.fit(cohort, attention="linear", order=3)
    with pytest.raises(InputError, match="attention 'dot' is unknown; choose one of hyper, feature, linear"):
        genoattn.fit(cohort, attention="dot")


def test_ridge_of_all_pairs_equals_the_explicit_one():
    rng = np.random.default_rng(6)
    columns = rng.normal(size=(30, 6))
    columns -= columns.mean(axis=0)
    site = np.array([0, 0, 1, 2, 2, 3])
    residual = rng.normal(size=30) + columns[:, 0] * columns[:, 3]
    pair, ridge = all_pairs_start(columns, residual, site)
    chosen = [(k, m) for k in range(6) for m in range(k) if site[k] != site[m]]
    products = np.column_stack([columns[:, k] * columns[:, m] for k, m in chosen])
    products -= products.mean(axis=0)
    gram = products.T @ products + 30 * ridge * np.eye(len(chosen))
    expected = np.linalg.solve(gram, products.T @ (residual - residual.mean()))
    assert np.allclose([2 * pair[k, m] for k, m in chosen], expected, rtol=1e-8, atol=1e-10)
    assert np.allclose(pair, pair.T)
    assert not pair[site[:, None] == site[None, :]].any()


def genotypes(seed: int, n_samples: int = 300, n_sites: int = 30) -> Cohort:
    """One planted pair, with a feature that says nothing."""
    rng = np.random.default_rng(seed)
    calls = rng.binomial(2, 0.4, (n_samples, n_sites)).astype(np.int8)
    ids = np.array([f"rs{k}" for k in range(n_sites)])
    text = np.array(["A"] * n_sites)
    region = np.array([f"r{k % 3}" for k in range(n_sites)], dtype=object)
    states = (("A/A", "A/C", "C/C"),) * n_sites
    sites = Sites(ids, text, np.arange(n_sites) * 10, text, text, states, {"region": region})
    values = (calls[:, 3] - 0.8) * (calls[:, 8] - 0.8) + rng.normal(size=n_samples)
    return Cohort(
        np.array([f"s{k}" for k in range(n_samples)]), sites, calls, phenotype=Phenotype("y", values)
    )


@pytest.mark.parametrize("attention", ["feature", "linear"])
def test_other_attention_finds_a_pair_among_genotypes(attention, tmp_path):
    cohort = genotypes(7)
    result = genoattn.fit(cohort, attention=attention, seed=1)
    top = result.table.top(1, order=2).iloc[0]
    assert {top["site_1"], top["site_2"]} == {"rs3", "rs8"}
    assert top["coefficient"] > 0
    again = Cohort(cohort.samples, cohort.sites.select(np.arange(30)), cohort.calls)
    assert np.array_equal(result.predict(again), result.predict(cohort))
