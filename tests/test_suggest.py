"""The best combinations of mutations: against brute force over all of them, by each way of searching."""

from itertools import combinations, product
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from oracles import make_cohort, random_calls, random_readout
from small_cohorts import planted, short_fit

import genoattn
from genoattn.cohort import Cohort
from genoattn.design import search as searching
from genoattn.design.search import Landscape
from genoattn.errors import InputError
from genoattn.fitting.fitted_model import FittedModel
from genoattn.model.prediction import predict_orders
from genoattn.tokens import build_vocabulary

RESIDUES = "ACDEFGHIKL"


def model_of(n_states, ranks, seed=0, tied=False, n_samples=80, **options):
    """A random model of sequences, and a cohort it could have come from."""
    rng = np.random.default_rng(seed)
    cohort = make_cohort(random_calls(rng, n_samples, n_states), n_states, "sequence")
    vocabulary = build_vocabulary(cohort, "sequence")
    readout = random_readout(rng, vocabulary, ranks, tied=tied, **options)
    order = max(ranks, default=1)
    manifest = SimpleNamespace(sites=cohort.sites, vocabulary=vocabulary, order=order)
    return FittedModel(readout, None, manifest), cohort


def brute_force(model, base, most):
    """Every sequence within ``most`` mutations of the base: its mutations and the network's value of it."""
    v = model.manifest.vocabulary
    out = []
    for size in range(1, most + 1):
        for sites in combinations(range(len(base)), size):
            for states in product(*(range(v.n_states[s]) for s in sites)):
                if any(base[s] == a for s, a in zip(sites, states, strict=True)):
                    continue
                if any(v.variance[v.first[s] + a] == 0 for s, a in zip(sites, states, strict=True)):
                    continue
                calls = np.array(base, dtype=np.int8)
                calls[list(sites)] = states
                with torch.no_grad():
                    terms = model.readout(torch.tensor(calls[None]), torch.zeros(1, 0, dtype=torch.float64))
                pairs = zip(sites, states, strict=True)
                text = ":".join(f"{RESIDUES[base[s]]}{100 * s + 1}{RESIDUES[a]}" for s, a in pairs)
                out.append((float(terms.sum()), text))
    return out


CASES = [
    ([3, 2, 4, 3, 2], {}, False, 3),
    ([3, 2, 4, 3, 2], {2: 3}, False, 3),
    ([3, 2, 4, 3, 2], {2: 3}, True, 5),
    ([2, 3, 3, 2], {2: 2, 3: 2}, False, 3),
    ([2, 3, 3, 2], {2: 2, 3: 2, 4: 1}, True, 4),
]


@pytest.mark.parametrize("minimise", [False, True])
@pytest.mark.parametrize(("n_states", "ranks", "tied", "most"), CASES)
def test_enumeration_is_brute_force(n_states, ranks, tied, most, minimise):
    model, _ = model_of(n_states, ranks, tied=tied)
    every = brute_force(model, [0] * len(n_states), most)
    found = genoattn.suggest(model, most, top=12, minimise=minimise)
    expected = sorted(every, reverse=not minimise)[:12]
    assert found.frame["mutations"].tolist() == [text for _, text in expected]
    np.testing.assert_allclose(found.frame["prediction"], [value for value, _ in expected], rtol=1e-9)
    assert (found.method, found.exact, found.n_combinations) == ("enumeration", True, len(every))
    assert set(found.frame["search"]) == {"enumeration, exact"}
    assert found.frame["rank"].tolist() == list(range(1, 13))
    assert found.frame["n_mutations"].tolist() == [text.count(":") + 1 for _, text in expected]


@pytest.mark.parametrize("minimise", [False, True])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("ranks", [{}, {2: 3}])
def test_branch_and_bound_is_brute_force(seed, ranks, minimise):
    model, _ = model_of([4, 3, 4, 3, 2, 4], ranks, seed=seed)
    expected = genoattn.suggest(model, 4, 15, minimise=minimise)
    found = genoattn.suggest(model, 4, 15, minimise=minimise, limit=1, width=1)
    assert (found.method, found.exact) == ("branch and bound", True)
    assert found.frame["mutations"].tolist() == expected.frame["mutations"].tolist()
    np.testing.assert_allclose(found.frame["prediction"], expected.frame["prediction"], rtol=1e-9)
    assert set(found.frame["search"]) == {"branch and bound, exact"}


def test_branch_and_bound_on_many_sites_prunes():
    """40 sites x 3 mutations, up to 5 of them: 160 million combinations in a few thousand nodes."""
    rng = np.random.default_rng(5)
    model, _ = model_of([4] * 40, {2: 2}, n_samples=200)
    with torch.no_grad():
        for p in model.readout.factors["2"].parameters():
            p.copy_(torch.tensor(0.15 * rng.normal(size=tuple(p.shape))))
    landscape = Landscape(model.readout, model.manifest.vocabulary, np.zeros(40, dtype=np.int8))
    assert sum(landscape.count(5)) > 1.6e8
    best = searching.beam(landscape, 5, 10, 30)
    tree = searching._Tree(landscape, 5, best, 200_000)
    assert tree.explore((), 0.0, tree.single)
    assert 200_000 - tree.nodes_to_go < 50_000
    # Nothing within one exchange of a mutation is better than the best, which a beam of 3,000 finds too.
    top = best.sets()[0]
    assert top == searching.beam(landscape, 5, 10, 3000).sets()[0]


def test_branch_and_bound_that_gives_up_says_so(monkeypatch):
    model, _ = model_of([4, 3, 4, 3, 2, 4], {2: 3})
    monkeypatch.setattr(searching, "_MOST_NODES", 1)
    monkeypatch.setattr(searching.branch_and_bound, "__defaults__", (1,))
    found = genoattn.suggest(model, 4, 5, limit=1, width=7)
    assert (found.method, found.exact) == ("beam of 7", False)
    assert set(found.frame["search"]) == {"beam of 7, not exact"}
    assert found.summary().endswith("by beam of 7 (not exact: better ones may exist)")


def test_a_wide_beam_finds_everything_of_higher_orders():
    model, _ = model_of([3, 3, 3, 3], {2: 2, 3: 2}, seed=3)
    expected = genoattn.suggest(model, 3, 10)
    found = genoattn.suggest(model, 3, 10, limit=1, width=1000)
    assert (found.method, found.exact) == ("beam of 1000", False)
    assert found.frame["mutations"].tolist() == expected.frame["mutations"].tolist()


@pytest.mark.parametrize("tied", [False, True])
def test_parts_of_the_orders_add_up(tied):
    model, cohort = model_of([3, 2, 4, 3], {2: 2, 3: 2}, seed=2, tied=tied)
    found = genoattn.suggest(model, 3, 40, start="i5", measured=cohort)
    parts = found.frame[["order_1", "order_2", "order_3"]].to_numpy()
    np.testing.assert_allclose(parts.sum(axis=1), found.frame["gain"], rtol=1e-7, atol=1e-9)
    single = found.frame[found.frame["n_mutations"] == 1]
    assert (single[["order_2", "order_3"]] == 0).all(axis=None)
    # Of two mutations the pair's part is f(ab) - f(a) - f(b) + f(base).
    base = cohort.calls[5]
    value = {text: v for v, text in brute_force(model, base, 2)}
    two = found.frame[found.frame["n_mutations"] == 2]
    assert len(two)
    for row in two.to_dict("records"):
        a, b = row["mutations"].split(":")
        expected = value[row["mutations"]] - value[a] - value[b] + found.start_prediction
        assert row["order_2"] == pytest.approx(expected, abs=1e-8)


def test_states_that_training_never_had_are_not_suggested():
    rng = np.random.default_rng(0)
    calls = rng.integers(0, 2, (40, 3)).astype(np.int8)
    calls[:, 1] += 1  # state 0 of the second site is in no sample, nor is 2 of the others
    vocabulary = build_vocabulary(make_cohort(calls, [3] * 3, "sequence"), "sequence")
    cohort = make_cohort(calls, [3] * 3, "sequence")
    readout = random_readout(rng, vocabulary, {2: 1})
    model = FittedModel(readout, None, SimpleNamespace(sites=cohort.sites, vocabulary=vocabulary, order=2))
    found = genoattn.suggest(model, 3, 100)
    commonest = 1 + int(np.mean(calls[:, 1] == 2) > 0.5)
    assert found.n_combinations == 7
    singles = found.frame.loc[found.frame["n_mutations"] == 1, "mutations"]
    assert set(singles) == {"A1C", "A201C", f"{'ACD'[commonest]}101{'ACD'[3 - commonest]}"}


def test_measured_and_the_start():
    model, cohort = model_of([3, 2, 3], {2: 2}, n_samples=8)
    found = genoattn.suggest(model, 3, 100, measured=cohort)
    seen = {tuple(row) for row in cohort.calls.tolist()}
    assert len(found.frame) == 17
    for row in found.frame.to_dict("records"):
        calls = [0, 0, 0]
        for text in row["mutations"].split(":"):
            calls[int(text[1:-1]) // 100] = RESIDUES.index(text[-1])
        assert row["measured"] == ("yes" if tuple(calls) in seen else "no")
    assert {"yes", "no"} == set(found.frame["measured"])
    assert set(genoattn.suggest(model, 2).frame["measured"]) == {""}
    assert found.start == "the wild type"
    again = genoattn.suggest(model, 2, start="i3", measured=cohort)
    assert again.start == "i3"
    value = predict_orders(model.readout, cohort.calls[3:4], np.zeros((1, 0))).sum()
    assert again.start_prediction == pytest.approx(value)


def test_of_a_fit_with_a_link():
    cohort = planted(200, 4, kind="sequence")
    result = short_fit(cohort, order=2, link="monotone")
    found = genoattn.suggest(result, 4, 1000)
    frame = found.frame
    assert found.n_combinations == len(frame) == 3**4 - 1
    assert (np.diff(frame["latent"]) <= 0).all()
    assert (np.diff(frame["prediction"]) <= 0).all()
    # What `predict` says of the same sequences; it computes in single precision.
    calls = np.zeros((len(frame), 4), dtype=np.int8)
    for row, text in enumerate(frame["mutations"]):
        for mutation in text.split(":"):
            calls[row, int(mutation[1:-1]) - 1] = "ACD".index(mutation[-1])
    same = Cohort(np.arange(len(frame)).astype(str), cohort.sites, calls, "sequence")
    table = result.model.prediction_table(same)
    np.testing.assert_allclose(frame["prediction"], table["prediction"], atol=1e-4)
    np.testing.assert_allclose(frame["latent"], table["latent"], atol=1e-4)
    np.testing.assert_allclose(found.start_prediction + frame["gain"], frame["prediction"], atol=1e-9)


def test_mistakes():
    model, cohort = model_of([3, 2, 3], {2: 2})
    with pytest.raises(InputError, match=r"4 mutations, but the model has 3 sites; ask for 1 to 3"):
        genoattn.suggest(model, 4)
    with pytest.raises(InputError, match=r"0 mutations, but the model has 3 sites"):
        genoattn.suggest(model, 0)
    with pytest.raises(InputError, match=r"top is 0; it must be 1 or more"):
        genoattn.suggest(model, 1, 0)
    with pytest.raises(InputError, match=r"start i1: give the measured variants that it is one of"):
        genoattn.suggest(model, 1, start="i1")
    with pytest.raises(InputError, match=r"no variant named zz to start from; the first are i0, i1, i2$"):
        genoattn.suggest(model, 1, start="zz", measured=cohort)
    calls = cohort.calls.copy()
    calls[2, 1] = -1
    holes = make_cohort(calls, [3, 2, 3], "sequence")
    with pytest.raises(InputError, match=r"start i2: its residue at s1 is missing; start from another"):
        genoattn.suggest(model, 1, start="i2", measured=holes)
    rng = np.random.default_rng(0)
    genotypes = make_cohort(random_calls(rng, 30, [3, 3]), [3, 3], "genotype")
    vocabulary = build_vocabulary(genotypes, "dosage")
    dosage = FittedModel(
        random_readout(rng, vocabulary, {2: 1}), None,
        SimpleNamespace(sites=genotypes.sites, vocabulary=vocabulary, order=2),
    )  # fmt: skip
    with pytest.raises(InputError, match=r"a model of dosage data: mutations are suggested for aligned sequ"):
        genoattn.suggest(dosage)
