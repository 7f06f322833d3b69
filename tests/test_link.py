"""The curve of global epistasis: its slope and inverse, the convention of its scale, and its recovery."""

from types import SimpleNamespace

import numpy as np
import oracles
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_cohorts import sequence_sites

import genoattn
from genoattn.closed_form.product_basis import indicator_basis
from genoattn.cohort import Cohort, Phenotype
from genoattn.errors import InputError
from genoattn.fitting.metrics import r2
from genoattn.fitting.store import load_model
from genoattn.interactions.joint import fit_jointly
from genoattn.model.link import MonotoneLink, make_link
from genoattn.model.working_response import ResponseModel


def random_link(seed, bounded=False):
    generator = torch.Generator().manual_seed(seed)
    link = MonotoneLink(bounded).double()
    with torch.no_grad():
        for p in link.parameters():
            p.add_(torch.randn(p.shape, generator=generator, dtype=torch.float64))
    return link


def definition(link, x):
    """g by its formula, one value at a time."""

    def soft(t):
        return float(np.log1p(np.exp(t)))

    t = (x - float(link.input_shift)) / float(link.input_scale)
    out = link.offset.item() + (0 if link.bounded else soft(link.line.item()) * t)
    for c, a, h in zip(link.centre.tolist(), link.steepness.tolist(), link.height.tolist(), strict=True):
        out += soft(h) * np.tanh(soft(a) * (t - c))
    return float(link.output_shift) + float(link.output_scale) * out


@pytest.mark.parametrize("bounded", [False, True])
def test_curve_equals_its_formula_and_slope_its_derivative(bounded):
    link = random_link(0, bounded)
    link.rescale(3.0, 2.5)
    x = torch.linspace(-6, 10, 41, dtype=torch.float64, requires_grad=True)
    found = link(x)
    np.testing.assert_allclose(
        found.detach(), [definition(link, v) for v in x.tolist()], rtol=1e-12, atol=1e-12
    )
    (derivative,) = torch.autograd.grad(found.sum(), x)
    torch.testing.assert_close(link.slope(x), derivative, rtol=1e-10, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), bounded=st.booleans())
def test_curve_increases_and_its_inverse_undoes_it(seed, bounded):
    link = random_link(seed, bounded)
    x = torch.linspace(-3, 3, 61, dtype=torch.float64)
    with torch.no_grad():
        y = link(x)
    assert (y.diff() > 0).all()
    np.testing.assert_allclose(link.inverse(y.numpy(), -10, 10), x, atol=1e-5)


def test_ends_are_free_or_level_off():
    far = torch.tensor([50.0, 60.0], dtype=torch.float64)
    for bounded in (False, True):
        link = random_link(1, bounded)
        with torch.no_grad():
            gain = float(link(far).diff())
        assert (gain < 1e-3) == bounded
    assert make_link("none") is None


def test_inverse_stops_at_the_ends_of_its_search():
    link = random_link(2, bounded=True)
    np.testing.assert_allclose(link.inverse(np.array([-1e9, 1e9]), -4, 5), [-4, 5], atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), shift=st.floats(-50, 50), scale=st.floats(0.01, 100))
def test_calibration_fixes_mean_and_deviation_and_changes_no_prediction(seed, shift, scale):
    link = random_link(seed)
    link.rescale(shift, scale)
    latent = torch.randn(200, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    latent = shift + scale * 2 * latent
    with torch.no_grad():
        before = link(latent)
        a, b = link.calibrate(latent)
        after = link(a + b * latent)
    torch.testing.assert_close(after, before, rtol=1e-9, atol=1e-9 * scale)
    new = a + b * latent
    assert float(new.mean()) == pytest.approx(float(before.mean()), rel=1e-9, abs=1e-9 * scale)
    assert float(new.std()) == pytest.approx(float(before.std()), rel=1e-9)
    assert link.reach.tolist() == pytest.approx([float(new.min()), float(new.max())])


def sigmoid_landscape(n_samples=1500, n_sites=8, seed=0, noise=0.02):
    """Additive on the latent scale, then a sigmoid: curvature that looks like interactions."""
    rng = np.random.default_rng(seed)
    calls = rng.integers(0, 3, (n_samples, n_sites)).astype(np.int8)
    effects = rng.normal(0, 1, (n_sites, 3))
    latent = effects[np.arange(n_sites), calls].sum(axis=1)
    latent = (latent - latent.mean()) / latent.std()
    y = 1 / (1 + np.exp(-3 * latent)) + rng.normal(0, noise, n_samples)
    cohort = Cohort([f"i{k}" for k in range(n_samples)], sequence_sites(n_sites), calls, "sequence",
                    Phenotype("fitness", y))  # fmt: skip
    return cohort, latent


@pytest.fixture(scope="module")
def linked():
    cohort, latent = sigmoid_landscape()
    return cohort, latent, genoattn.fit(cohort, order=1, link="bounded", estimator="attention", device="cpu")


def test_link_takes_up_a_sigmoid(linked):
    cohort, latent, result = linked
    straight = genoattn.fit(cohort, order=1, estimator="attention", device="cpu")
    assert result.metrics.test > 0.985
    assert straight.metrics.test < 0.95
    assert np.corrcoef(result.model.latent(cohort), latent)[0, 1] > 0.998


def test_units_say_latent_and_the_convention_holds(linked):
    cohort, _, result = linked
    assert result.manifest.units == (
        "latent units before the link, with the mean and sd of units of fitness after it"
    )
    latent, predicted = result.model.latent(cohort), result.predict(cohort)
    # Fixed on the training samples, 70 % of these.
    assert latent.mean() == pytest.approx(predicted.mean(), abs=0.02)
    assert latent.std() == pytest.approx(predicted.std(), rel=0.05)
    frame = result.model.prediction_table(cohort)
    assert list(frame.columns) == ["IID", "prediction", "latent"]
    np.testing.assert_array_equal(frame["prediction"], predicted)


def test_table_adds_up_to_the_latent_phenotype(linked):
    cohort, _, result = linked
    np.testing.assert_allclose(result.table.predict(cohort), result.model.latent(cohort), rtol=0, atol=1e-5)


def test_curve_and_inverse_are_written_and_come_back(linked, tmp_path):
    cohort, _, result = linked
    result.save(tmp_path / "out")
    loaded = load_model(tmp_path / "out")
    np.testing.assert_array_equal(loaded.predict(cohort), result.predict(cohort))
    curve = pd.read_csv(tmp_path / "out" / "link.tsv", sep="\t")
    assert list(curve.columns) == ["latent", "predicted", "slope"]
    assert (curve["predicted"].diff().dropna() > 0).all()
    inside = np.interp(result.model.latent(cohort), curve["latent"], curve["predicted"])
    assert r2(result.predict(cohort), inside) > 0.9999
    back = pd.read_csv(tmp_path / "out" / "link_inverse.tsv", sep="\t")
    again = np.interp(np.interp(back["latent"], curve["latent"], curve["predicted"]), curve["predicted"],
                      curve["latent"])  # fmt: skip
    np.testing.assert_allclose(again, back["latent"], atol=1e-6)
    assert not (tmp_path / "none").exists()


def test_no_link_no_curve(tmp_path):
    cohort, _ = sigmoid_landscape(200, 4)
    genoattn.fit(cohort, order=1, estimator="attention", max_epochs=2, device="cpu").save(tmp_path / "out")
    assert not list((tmp_path / "out").glob("link*"))


def test_effects_are_those_of_the_true_latent_phenotype(linked):
    cohort, latent, result = linked
    none, zero = np.zeros((cohort.n_samples, 0)), np.zeros(cohort.n_samples)
    v, terms = result.manifest.vocabulary, result.tested.terms[1]
    readout = oracles.random_readout(np.random.default_rng(0), v, {})
    clean = fit_jointly(
        indicator_basis(v, 1), cohort.calls, none, ResponseModel(readout, "gaussian", {}, latent), zero
    )
    truth = clean.estimates(terms, "frequency").effect
    found = result.tested.estimates["frequency"][1]
    scale = found.effect @ truth / (truth @ truth)  # of the latent phenotype: a convention
    assert (np.abs(found.effect - scale * truth) < 4 * found.se).all()
    assert np.corrcoef(found.effect, truth)[0, 1] > 0.99


def test_tangents_are_numerical_derivatives():
    link = random_link(3)
    model = ResponseModel(SimpleNamespace(link=link), "gaussian", {}, np.zeros(5), link_prior=True)
    latent = np.linspace(-2, 2, 5)
    tangents, distance = model.link_tangents(latent)
    at = torch.as_tensor(latent)
    slope = link.slope(at).detach().numpy()
    columns, away = [], []
    straight = dict(MonotoneLink().double().named_parameters())
    for name, p in link.named_parameters():
        for k in range(p.numel()):
            with torch.no_grad():
                p.view(-1)[k] += 1e-6
                up = link(at).numpy()
                p.view(-1)[k] -= 2e-6
                columns.append((up - link(at).numpy()) / 2e-6 / slope)
                p.view(-1)[k] += 1e-6
            away.append(float((p - straight[name]).view(-1)[k]))
    np.testing.assert_allclose(tangents, np.array(columns).T, atol=1e-6)
    np.testing.assert_allclose(distance, away)


def test_unknown_link():
    cohort, _ = sigmoid_landscape(100, 4)
    with pytest.raises(InputError, match="link 'sigmoid' is unknown; choose one of none, monotone, bounded"):
        genoattn.fit(cohort, link="sigmoid")
