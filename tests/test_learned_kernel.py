"""The learned kernel: decay, similarity of states, noise; its blocks, its time, and how learning goes on."""

import logging
from dataclasses import replace

import numpy as np
import pytest
from test_product_kernel import by_site, random_states

from genoattn.closed_form.learned_kernel import _KernelParameters, allele_frequencies, learn_kernel
from genoattn.closed_form.product_kernel import ProductKernel
from genoattn.closed_form.product_kernel_fit import fit_product_kernel


def planted(rng, n_samples, decay, n_states, noise=0.1):
    """A draw from the process itself."""
    kernel = ProductKernel.of_decay(2.0, decay, np.array(n_states), np.ones(sum(n_states)))
    states = random_states(rng, n_samples, n_states)
    root = np.linalg.cholesky(kernel.block(states, states) + 1e-9 * np.eye(n_samples))
    return states, root @ rng.standard_normal(n_samples) + np.sqrt(noise) * rng.standard_normal(n_samples)


@pytest.mark.parametrize("per_allele", [False, True])
def test_planted_decays_are_found(per_allele):
    n_states = [3] * 6
    site = np.repeat(np.arange(6), 3)
    decay = np.array([0.02, 0.05, 0.1, 0.2, 0.4, 0.8])[site]
    if per_allele:
        decay = decay * np.tile([0.25, 1.0, 4.0], 6)
    states, phenotype = planted(np.random.default_rng(8), 1500, decay, n_states)
    options = {"per_allele": per_allele, "n_steps": 100, "block_size": 500}
    learned = learn_kernel(states, np.array(n_states), phenotype, **options)
    found = np.log(learned.decay)
    assert np.corrcoef(found, np.log(decay))[0, 1] > 0.85
    assert learned.noise == pytest.approx(0.1, rel=0.3)
    if not per_allele:
        assert all(np.ptp(own) < 1e-12 for own in by_site(found, n_states))


def test_known_variances_scale_the_noise():
    rng = np.random.default_rng(9)
    n_states = [2] * 8
    states, phenotype = planted(rng, 1200, np.full(16, 0.1), n_states, noise=1e-6)
    variance = rng.choice([0.01, 0.5], len(states))
    phenotype = phenotype + np.sqrt(2 * variance) * rng.standard_normal(len(states))
    learned = learn_kernel(states, np.array(n_states), phenotype, variance, n_steps=120, block_size=300)
    assert learned.variance_scale == pytest.approx(2.0, rel=0.25)
    assert learned.noise < 0.1


def test_missing_states_are_learned_from():
    n_states = [3] * 5
    decay = np.repeat([0.02, 0.1, 0.2, 0.4, 0.8], 3)
    states, phenotype = planted(np.random.default_rng(11), 1000, decay, n_states)
    hidden = np.random.default_rng(12).random(states.shape) < 0.05
    states = np.where(hidden, -1, states).astype(np.int8)
    model = fit_product_kernel(
        states, np.array(n_states), phenotype, per_allele=False, n_steps=60, block_size=400
    )
    assert np.corrcoef(np.log(model.learned.decay), np.log(decay))[0, 1] > 0.9
    np.testing.assert_allclose(model.kernel.frequency, allele_frequencies(states, np.array(n_states)))
    assert np.isfinite(model.predict_deviation(states[:20])).all()


def test_same_seed_same_model_other_seed_other_blocks():
    rng = np.random.default_rng(13)
    states, phenotype = planted(rng, 400, np.full(12, 0.2), [3] * 4)
    options = {"n_steps": 12, "block_size": 150}
    a, b, c = (
        fit_product_kernel(states, np.array([3] * 4), phenotype, seed=s, **options).predict(states[:30])
        for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(a, b)
    assert not np.allclose(a, c, rtol=1e-9)


def test_units_of_the_phenotype_do_not_matter():
    rng = np.random.default_rng(14)
    states, phenotype = planted(rng, 300, np.full(12, 0.2), [3] * 4)
    variance = rng.uniform(0.05, 0.2, len(states))
    options = {"n_steps": 15, "block_size": 300}
    a = fit_product_kernel(states, np.array([3] * 4), phenotype, variance, **options)
    b = fit_product_kernel(states, np.array([3] * 4), 7 - 100 * phenotype, 1e4 * variance, **options)
    np.testing.assert_allclose(b.predict(states), 7 - 100 * a.predict(states), rtol=1e-6)
    np.testing.assert_allclose(b.predict_deviation(states), 100 * a.predict_deviation(states), rtol=1e-6)


def test_deviations_cover_a_draw_from_the_process():
    rng = np.random.default_rng(15)
    n_states = [3] * 6
    states, phenotype = planted(rng, 1300, np.full(18, 0.15), n_states)
    options = {"n_steps": 60, "block_size": 400}
    model = fit_product_kernel(states[:1000], np.array(n_states), phenotype[:1000], **options)
    spread = np.sqrt(model.predict_deviation(states[1000:]) ** 2 + model.learned.noise)
    z = (phenotype[1000:] - model.predict(states[1000:])) / spread
    assert z.std() == pytest.approx(1.0, abs=0.12)


@pytest.mark.parametrize("block_size", [200, 50])
def test_the_time_is_kept(caplog, block_size):
    rng = np.random.default_rng(16)
    states, phenotype = planted(rng, 200, np.full(12, 0.2), [3] * 4)
    with caplog.at_level(logging.WARNING):
        options = {"block_size": block_size, "budget_s": 0.0}
        learned = learn_kernel(states, np.array([3] * 4), phenotype, **options)
    assert learned.n_steps == 0
    assert "0 of 120 steps: the time was up" in caplog.text


def test_no_block_has_a_sample_twice(monkeypatch):
    seen = []
    step = _KernelParameters.step

    def kept(model, indicators, phenotype, variance, n_samples):
        seen.append(phenotype.numpy().copy())
        return step(model, indicators, phenotype, variance, n_samples)

    monkeypatch.setattr(_KernelParameters, "step", kept)
    rng = np.random.default_rng(17)
    states, phenotype = planted(rng, 350, np.full(12, 0.2), [3] * 4)
    learn_kernel(states, np.array([3] * 4), phenotype, n_steps=30, block_size=250)
    assert max(len(block) for block in seen) == 250
    assert all(len(np.unique(block)) == len(block) for block in seen)


def test_states_that_are_alike_at_all_sites_are_found():
    """Residues 0 and 1 behave alike at every site, as 2 and 3 do."""
    rng = np.random.default_rng(19)
    n_states = np.full(6, 4)
    plain = ProductKernel.of_decay(1.0, np.full(24, 0.1), n_states, np.full(24, 0.25))
    squares = np.array([[0, 0.05, 2, 2], [0.05, 0, 2, 2], [2, 2, 0, 0.05], [2, 2, 0.05, 0]])
    kernel = replace(plain, correlation=plain.correlation * np.tile(np.exp(-squares), (6, 1)))
    states = random_states(rng, 1200, n_states.tolist())
    factor = np.linalg.cholesky(kernel.block(states, states) + 1e-8 * np.eye(len(states)))
    phenotype = factor @ rng.normal(size=len(states)) + 0.1 * rng.normal(size=len(states))
    names = np.tile(np.arange(4), 6)
    shared = fit_product_kernel(states[:800], n_states, phenotype[:800], state_names=names)
    alone = fit_product_kernel(states[:800], n_states, phenotype[:800])
    table = shared.kernel.correlation.reshape(6, 4, 4).mean(axis=0)
    assert min(table[0, 1], table[2, 3]) > 2 * table[:2, 2:].max()
    errors = [((m.predict(states[800:]) - phenotype[800:]) ** 2).mean() for m in (shared, alone)]
    assert errors[0] < 0.9 * errors[1]


def test_learning_goes_on_from_another_kernel():
    rng = np.random.default_rng(18)
    states, phenotype = planted(rng, 600, np.linspace(0.05, 0.4, 12), [3] * 4)
    n_states = np.array([3] * 4)
    known = np.full(600, 0.01)
    whole = learn_kernel(states, n_states, phenotype, known)
    first = learn_kernel(states[:400], n_states, phenotype[:400], known[:400])
    second = learn_kernel(states, n_states, phenotype, known, start=first)
    assert second.n_steps < whole.n_steps
    np.testing.assert_allclose(second.decay, whole.decay, rtol=0.25)
    unmoved = learn_kernel(states, n_states, phenotype, known, start=first, budget_s=0.0)
    np.testing.assert_allclose(unmoved.decay, first.decay, rtol=1e-12)
    assert unmoved.kernel.variance == pytest.approx(first.kernel.variance)
    assert unmoved.noise == pytest.approx(first.noise, rel=1e-3)
    assert unmoved.variance_scale == pytest.approx(first.variance_scale)
