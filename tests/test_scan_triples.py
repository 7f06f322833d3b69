"""Triples against statsmodels, against exhaustive lists, and what they refuse."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import make_cohort
from oracles_scan import scan_cohort_data, term_regression

import genoattn
from genoattn.cohort import Phenotype
from genoattn.scan.design import make_design
from genoattn.scan.elimination import summing_error
from genoattn.scan.exact import regress_terms
from genoattn.scan.triples import triple_screen
from genoattn.scan.triples.triple_api import TripleEngine, _TripleCheckpoint
from genoattn.scan.triples.triple_scope import make_triple_scope

SITES = ["site_1", "site_2", "site_3"]


def triples_of(frame):
    return list(map(tuple, frame[SITES].to_numpy()))


@pytest.mark.parametrize("missing", [0.0, 0.03])
def test_triples_equal_statsmodels(missing):
    rng = np.random.default_rng(4)
    calls, covariates = scan_cohort_data(rng, 200, 7, missing, 0.3, 2)
    trait = calls[:, 0] * calls[:, 3] * calls[:, 5] * 0.2 + rng.normal(size=200) + covariates[:, 0]
    cohort = make_cohort(calls, [3] * 7, "genotype", trait, False, covariates)
    result = genoattn.scan_triples(cohort, threshold=1.0)
    frame = result.frame.set_index(SITES)
    n_tests = 0
    for sites in combinations(range(7), 3):
        expected = term_regression(calls, list(sites), trait, covariates)
        if expected is None:
            continue
        n_tests += 1
        row = frame.loc[tuple(f"s{k}" for k in sites)]
        ours = row[["coefficient", "se", "statistic", "p_value", "n_samples"]].to_numpy(dtype=float)
        np.testing.assert_allclose(ours, expected, rtol=1e-6)
    assert n_tests == len(frame) == result.counts["n_tests"] > 20
    assert result.counts["screen"] == ("score" if missing else "bound")


def blocks_of_linkage(rng, n_samples, n_sites):
    """Runs of sites that copy one another, some but for two samples; haplotypes that do not recombine."""
    calls, _ = scan_cohort_data(rng, n_samples, n_sites, 0.0, 0.85)
    for k in range(3, n_sites, 6):
        calls[:, k] = calls[:, k - 1]
        calls[rng.integers(n_samples, size=2), k] = 0
        calls[:, k - 2] = np.minimum(calls[:, k - 1], calls[:, k - 3])
    return calls


@pytest.mark.parametrize("n_covariates", [0, 3])
@pytest.mark.parametrize("linked", ["unlinked", "runs", "blocks"])
@pytest.mark.parametrize("threshold", [5e-3, 0.05])
def test_list_equals_that_of_every_triple_regressed(n_covariates, linked, threshold):
    rng = np.random.default_rng([n_covariates, len(linked)])
    calls, covariates = scan_cohort_data(rng, 250, 26, 0.0, 0.8 * (linked == "runs"), n_covariates)
    if linked == "blocks":
        calls = blocks_of_linkage(rng, 250, 26)
    trait = rng.normal(size=250) + (calls[:, 2] - 1) * (calls[:, 11] - 1) * calls[:, 20] * 0.2 + calls[:, 2]
    design = make_design(np.ascontiguousarray(calls.T), trait, covariates)
    columns = np.flatnonzero(design.columns.varies)
    scope = make_triple_scope(columns, np.arange(26), None, None)
    engine = TripleEngine(design, trait, scope, threshold, 2)
    parts = [result for _, result in engine.run(list(range(len(engine.tiles))))]
    every = np.array(list(combinations(columns, 3)))
    tests = regress_terms(design, trait, every)
    passing = tests.p_value <= threshold
    assert passing.sum() > 2
    assert {tuple(t) for part in parts for t in part.pairs} == set(map(tuple, every[passing]))
    assert sum(part.n_pairs for part in parts) == len(every)
    assert sum(part.n_untestable for part in parts) == (~tests.testable).sum()
    if linked == "blocks":
        assert (~tests.testable).sum() > 60


def test_bound_regresses_hardly_more_than_passes(monkeypatch):
    rng = np.random.default_rng(12)
    calls = rng.binomial(2, rng.uniform(0.1, 0.9, 60), (600, 60)).astype(np.int8)
    cohort = make_cohort(calls, [3] * 60, "genotype", rng.normal(size=600), False, rng.normal(size=(600, 2)))
    regressed = []

    def counting(design, trait, triples):
        regressed.append(len(triples))
        return regress_terms(design, trait, triples)

    monkeypatch.setattr("genoattn.scan.triples.triple_api.regress_terms", counting)
    result = genoattn.scan_triples(cohort, threshold=1e-3)
    assert 15 < result.counts["n_reported"] <= sum(regressed) < 1.1 * result.counts["n_reported"] + 3


@pytest.mark.parametrize("n_covariates", [0, 2])
def test_products_rounded_as_badly_as_may_be_miss_nothing(monkeypatch, n_covariates):
    rng = np.random.default_rng(21)
    calls, covariates = scan_cohort_data(rng, 1000, 20, 0.0, 0.9, n_covariates)
    if n_covariates:  # one that holds nearly all of a triple
        covariates[:, 0] = np.prod(calls[:, [4, 5, 6]] - 1.0, axis=1) + 0.01 * rng.normal(size=1000)
    trait = rng.normal(size=1000) + 3 * calls[:, 4] + 3 * calls[:, 5] * calls[:, 6]
    design = make_design(np.ascontiguousarray(calls.T), trait, covariates)
    every = np.array(list(combinations(range(20), 3)))
    p_values = regress_terms(design, trait, every).p_value
    real = triple_screen._Products.product

    def rounded(self, tile, i, j, vector, start, out):
        norm = real(self, tile, i, j, vector, start, out)
        if out.dtype == np.float32:
            size = np.linalg.norm(self.values[start:], axis=1)
            out -= 0.99 * np.sign(out) * summing_error(1000, triple_screen._CHUNK) * norm[:, None] * size
        return norm

    monkeypatch.setattr(triple_screen._Products, "product", rounded)
    scope = make_triple_scope(np.arange(20), np.arange(20), None, None)
    dependent = np.isin(every, [4, 5, 6]).sum(axis=1) > 1
    for k in [*np.argsort(p_values)[:40], *np.flatnonzero(dependent & np.isfinite(p_values))]:
        screen = triple_screen.CountScreen(design, scope, p_values[k] * (1 + 1e-9))
        found = [screen.candidates(tile) for tile in scope.tiles()]
        assert tuple(every[k]) in {t for part in found for t in zip(part.i, part.j, part.k, strict=True)}


@pytest.mark.parametrize(("dtype", "close"), [(np.float32, 1e-5), (np.float64, 1e-13)])
def test_products_of_a_tile(dtype, close):
    rng = np.random.default_rng(22)
    values, vector = rng.integers(0, 3, (12, 40)).astype(np.float32), rng.normal(size=40)
    scope = make_triple_scope(np.arange(12), np.arange(12), None, None)
    products = triple_screen._Products(scope, values, 2)
    for tile in scope.tiles():
        i, j = scope.rows(tile)
        out = np.zeros((len(i), 12 - scope.start(tile)), dtype=dtype)
        norm = products.product(tile, i, j, vector, scope.start(tile), out)
        left = (values[i] * values[j]).astype(np.float64) * vector
        np.testing.assert_allclose(out, left @ values[scope.start(tile) :].T, rtol=close, atol=close)
        np.testing.assert_allclose(norm, np.linalg.norm(left, axis=1), rtol=3e-4)


def test_rarer_alleles_are_counted():
    codes = np.array([[0, 1, 2, 2, 2], [0, 0, 1, 2, 0]], dtype=np.int8)
    np.testing.assert_array_equal(triple_screen.minor_counts(codes), [[2, 1, 0, 0, 0], [0, 0, 1, 2, 0]])


def planted(n_samples=500, n_sites=40, seed=5):
    rng = np.random.default_rng(seed)
    calls = rng.binomial(2, 0.4, (n_samples, n_sites)).astype(np.int8)
    x = calls - 0.8
    return calls, x[:, 4] * x[:, 17] * x[:, 33] + rng.normal(size=n_samples)


def test_triples_that_hold_a_site_or_a_pair():
    calls, trait = planted()
    cohort = make_cohort(calls, [3] * 40, "genotype", trait)
    exhaustive = genoattn.scan_triples(cohort, threshold=1e-2)
    assert triples_of(exhaustive.frame)[0] == ("s4", "s17", "s33")
    assert exhaustive.counts["n_tests"] == 40 * 39 * 38 // 6
    assert exhaustive.counts["exhaustive"]
    assert exhaustive.counts["candidates"] == ""
    pairs = [("s33", "s4"), ("s4", "s9"), ("s9", "s33"), ("s4", "s33"), ("s1", "s2"), ("s17", "s30")]
    everything = triples_of(exhaustive.frame)
    for sites, given_pairs, words in (
        ("s17,s2", None, "one of 2 sites"),
        (None, pairs, "one of 5 pairs"),
        (["s17", "s39"], pairs, "one of 2 sites or one of 5 pairs"),
    ):
        part = genoattn.scan_triples(cohort, 1e-2, sites=sites, pairs=given_pairs, max_sites=10)
        held = []
        for triple in combinations([f"s{k}" for k in range(40)], 3):
            by_site = sites is not None and set(triple) & {"s17", "s2" if sites == "s17,s2" else "s39"}
            by_pair = given_pairs is not None and any(set(pair) <= set(triple) for pair in pairs)
            held.append(triple) if by_site or by_pair else None
        assert part.counts["n_tests"] == len(held)
        assert triples_of(part.frame) == [triple for triple in everything if triple in set(held)]
        assert len(part.frame) > 3
        assert not part.counts["exhaustive"]
        assert part.counts["candidates"] == words
        assert f"not exhaustive: only triples that hold {words}" in part.summary()
    assert "exhaustive" not in exhaustive.summary()
    assert "screened by score" not in exhaustive.summary()
    calls[3, 2] = -1
    gapped = genoattn.scan_triples(make_cohort(calls, [3] * 40, "genotype", trait), 1e-3, sites="s17")
    assert "screened by score: a triple among linked sites may be missed" in gapped.summary()


def test_candidate_pairs_from_a_scan_of_pairs(tmp_path):
    calls, trait = planted()
    cohort = make_cohort(calls, [3] * 40, "genotype", trait)
    found = genoattn.scan_pairs(cohort, 0.02)
    ids = list(map(tuple, found.frame[["site_1", "site_2"]].to_numpy()))
    assert len(ids) > 5
    expected = genoattn.scan_triples(cohort, 1e-2, pairs=ids)
    found.save(tmp_path / "scan")
    mixed = pd.concat([found.frame, found.frame.iloc[:1].assign(order=1, site_1="absent")])
    sources = (found, found.frame, found.table, mixed, tmp_path / "scan", tmp_path / "scan/interactions.tsv")
    for pairs in sources:
        result = genoattn.scan_triples(cohort, 1e-2, pairs=pairs)
        assert result.counts["n_tests"] == expected.counts["n_tests"]
        pd.testing.assert_frame_equal(result.frame, expected.frame)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (
            [("s1", "s2"), ("s1", "absent")],
            "candidate pair 2: 'absent' is not a site of the cohort; give two IDs",
        ),
        ([("s1", "s1")], "candidate pair 1: 's1' with itself; give two sites"),
        ([("s1", "s2", "s3")], "candidate pair 1: 3 sites; give two IDs"),
        (["s1"], "candidate pair 1: 1 sites; give two IDs"),
        ([], "there is no candidate pair; leave pairs out"),
        (pd.DataFrame({"a": ["s1"]}), "candidate pairs: a table without columns site_1 and site_2"),
    ],
)
def test_candidate_pairs_with_mistakes(pairs, message):
    calls, trait = planted(60, 5 + 30)
    with pytest.raises(genoattn.InputError, match=message):
        genoattn.scan_triples(make_cohort(calls, [3] * 35, "genotype", trait), pairs=pairs)


def test_triples_refuse_what_they_cannot_do():
    rng = np.random.default_rng(6)
    calls = rng.binomial(2, 0.4, (60, 501)).astype(np.int8)
    y = rng.normal(size=60)
    large = make_cohort(calls, [3] * 501, "genotype", y)
    with pytest.raises(
        genoattn.InputError, match="501 columns make 20,833,250 triples; up to max_sites=500 are"
    ):
        genoattn.scan_triples(large, max_sites=500)
    with pytest.raises(genoattn.InputError, match="triples take no min_distance; leave it out"):
        genoattn.scan_triples(large, min_distance=3)
    with pytest.raises(genoattn.InputError, match="triples of 501 columns with 501 candidates need 0"):
        genoattn.scan_triples(large, memory=1e8, threads=5)
    with pytest.raises(genoattn.InputError, match="the cohort has no phenotype"):
        genoattn.scan_triples(make_cohort(calls[:, :5], [3] * 5, "genotype"))
    case = make_cohort(calls[:, :5], [3] * 5, "genotype", (y > 0).astype(float), True)
    with pytest.raises(genoattn.InputError, match="trait is binary; triples are for quantitative traits"):
        genoattn.scan_triples(case)
    with pytest.raises(genoattn.InputError, match="no triple of sites is left"):
        genoattn.scan_triples(make_cohort(calls[:, :2], [3] * 2, "genotype", y))


def test_states_of_one_site_make_no_triple():
    rng = np.random.default_rng(8)
    calls = rng.integers(0, 3, (150, 5)).astype(np.int8)
    cohort = make_cohort(calls, [3] * 5, "sequence", rng.normal(size=150))
    result = genoattn.scan_triples(cohort, threshold=1.0)
    assert result.counts["n_tests"] == len(result.frame) == 10 * 3**3
    assert result.counts["n_untestable"] == 0
    assert (result.frame[SITES].nunique(axis=1) == 3).all()
    held = genoattn.scan_triples(cohort, threshold=1.0, pairs=[("s0", "s1"), ("s1", "s2")])
    assert held.counts["n_tests"] == 5 * 3**3


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_order_of_samples_and_alleles(seed):
    rng = np.random.default_rng(seed)
    calls, covariates = scan_cohort_data(rng, 150, 12, 0.0, 0.4, 1)
    trait = rng.normal(size=150)
    cohort = make_cohort(calls, [3] * 12, "genotype", trait, False, covariates)
    plain = genoattn.scan_triples(cohort, threshold=0.05)
    order = rng.permutation(150)
    shuffled = make_cohort(calls[order], [3] * 12, "genotype", trait[order], False, covariates[order])
    swapped = calls.copy()
    chosen = rng.random(12) < 0.5
    swapped[:, chosen] = 2 - swapped[:, chosen]
    other = make_cohort(swapped, [3] * 12, "genotype", trait, False, covariates)
    numbers = plain.frame[SITES].map(lambda name: chosen[int(name[1:])]).sum(axis=1).astype(int)
    for changed, sign in ((shuffled, 1), (other, (-1) ** numbers.to_numpy())):
        frame = genoattn.scan_triples(changed, threshold=0.05).frame.set_index(SITES)
        assert len(frame) == len(plain.frame)
        frame = frame.loc[triples_of(plain.frame)]
        np.testing.assert_allclose(frame["statistic"], sign * plain.frame["statistic"], rtol=1e-6)


def test_an_interrupted_scan_goes_on(tmp_path, monkeypatch):
    calls, trait = planted(200, 70)
    cohort = make_cohort(calls, [3] * 70, "genotype", trait)
    file = tmp_path / "out.partial"
    exhaustive = genoattn.scan_triples(cohort, 1e-2)
    real, done = TripleEngine.tile, []

    def failing(self, number):
        if number == 9:
            raise KeyboardInterrupt
        return real(self, number)

    monkeypatch.setattr(TripleEngine, "tile", failing)
    with pytest.raises(KeyboardInterrupt):
        genoattn.scan_triples(cohort, 1e-2, checkpoint=file, threads=1)
    assert file.exists()
    monkeypatch.setattr(TripleEngine, "tile", lambda self, k: done.append(k) or real(self, k))
    for changed in ({"threshold": 1e-3}, {"sites": "s1"}, {"pairs": [("s1", "s2")]}):
        with pytest.raises(
            genoattn.InputError, match="left by an interrupted scan of other data or settings"
        ):
            genoattn.scan_triples(cohort, **{"threshold": 1e-2, "checkpoint": file, **changed})
    result = genoattn.scan_triples(cohort, 1e-2, checkpoint=file)
    assert min(done) == 9
    assert len(set(done)) == len(done)
    assert not file.exists()
    pd.testing.assert_frame_equal(result.frame, exhaustive.frame)
    assert result.counts["n_tests"] == exhaustive.counts["n_tests"]


def test_checkpoints_know_their_pairs():
    calls, trait = planted(100)
    design = make_design(np.ascontiguousarray(calls.T), trait, np.zeros((100, 0)))
    identities = set()
    for pair in ((0, 1), (0, 2), (0, 1)):
        scope = make_triple_scope(np.arange(40), np.arange(40), None, np.array([pair]))
        identities.add(_TripleCheckpoint(None, TripleEngine(design, trait, scope, 1e-2)).identity)
    assert len(identities) == 2


def test_none_found_is_an_empty_table():
    rng = np.random.default_rng(1)
    calls = rng.binomial(2, 0.4, (100, 8)).astype(np.int8)
    result = genoattn.scan_triples(make_cohort(calls, [3] * 8, "genotype", rng.normal(size=100)), 1e-12)
    assert len(result) == 0
    assert set(SITES) < set(result.frame.columns)
    assert result.counts["n_tests"] == 56


def test_mean_imputation_scores():
    calls, trait = planted()
    gaps = np.random.default_rng(3).random(calls.shape) < 0.01
    calls[gaps] = -1
    cohort = make_cohort(calls, [3] * 40, "genotype", trait)
    result = genoattn.scan_triples(cohort, 1e-4, missing="mean")
    assert triples_of(result.frame)[0] == ("s4", "s17", "s33")
    assert result.counts["screen"] == "score"
    assert result.counts["n_tests"] == 9880
    assert (result.frame["n_samples"] == 500).all()
    cases = genoattn.scan_triples(cohort, 1e-4, sites="s4")
    assert (cases.frame["n_samples"] < 500).all()
    assert cases.counts["n_tests"] == 39 * 38 // 2
    pairs = [("s4", "s17"), ("s4", "s33"), ("s17", "s33")]
    assert genoattn.scan_triples(cohort, 1e-4, pairs=pairs).counts["n_tests"] == 3 * 38 - 2


@pytest.mark.parametrize("share", [0.08, 0.05])
def test_a_pure_triple_ranks_first(share):
    rng = np.random.default_rng(9)
    calls = rng.binomial(2, rng.uniform(0.2, 0.5, 120), (2000, 120)).astype(np.int8)
    x = calls - calls.mean(axis=0)
    product = x[:, 20] * x[:, 60] * x[:, 100]
    trait = np.sqrt(share / (1 - share)) * product / product.std() + rng.normal(size=2000)
    cohort = replace(make_cohort(calls, [3] * 120, "genotype"), phenotype=Phenotype("t", trait, False))
    first = genoattn.scan_triples(cohort, 1e-4).frame.iloc[0]
    assert tuple(first[SITES]) == ("s20", "s60", "s100")
    assert first["variance_explained"] == pytest.approx(share, abs=0.02)
