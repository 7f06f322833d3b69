"""Several traits at once: what each of them gives alone, on the samples that have it."""

import numpy as np
import pandas as pd
import pytest
from oracles import make_cohort
from oracles_scan import scan_cohort_data

import genoattn
from genoattn.cohort import Phenotype
from genoattn.scan import pair_scan

N = 90


@pytest.fixture
def cohort():
    calls, covariates = scan_cohort_data(np.random.default_rng(2), N, 10, 0.03, 0.6, 2)
    return make_cohort(calls, [3] * 10, "genotype", covariates=covariates)


@pytest.fixture
def traits(cohort):
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(rng.normal(size=(N, 4)), columns=["a", "b", "c", "sick"], index=cohort.samples)
    frame["sick"] = (frame["sick"] > 0) + 1
    frame.loc[cohort.samples[[3, 40, 41]], ["b", "sick"]] = np.nan
    frame.loc[cohort.samples[7], "c"] = np.nan
    return frame


def alone(cohort, frame, name, **options):
    """The scan of one trait, its samples picked by hand."""
    value = frame.loc[list(cohort.samples), name].to_numpy()
    keep = ~np.isnan(value)
    part = cohort.select_samples(np.flatnonzero(keep))
    binary = name == "sick"
    part = type(part)(
        part.samples,
        part.sites,
        part.calls,
        phenotype=Phenotype(name, value[keep] - binary, binary),
        covariates=part.covariates,
    )
    return genoattn.scan_pairs(part, **options)


def test_each_trait_as_if_alone(cohort, traits, caplog):
    caplog.set_level("INFO", logger="genoattn")
    shuffled = traits.sample(frac=1, random_state=1)
    found = genoattn.scan_traits(cohort, shuffled, threshold=0.5)
    assert list(found) == ["a", "b", "c", "sick"]
    for name, result in found.items():
        expected = alone(cohort, traits, name, threshold=0.5)
        pd.testing.assert_frame_equal(result.frame, expected.frame)
        assert len(result) > 10
        assert result.manifest.trait == name
    assert found["sick"].manifest.binary
    assert found["b"].frame["n_samples"].max() <= N - 3
    assert "trait b: 3 samples without a value dropped" in caplog.messages
    assert not any("trait a: 0 samples" in message for message in caplog.messages)


def test_traits_of_the_same_samples_share_their_columns(cohort, traits, monkeypatch):
    prepared = []
    real = pair_scan.prepare
    monkeypatch.setattr(
        "genoattn.scan.traits.prepare", lambda c, config: prepared.append(c.n_samples) or real(c, config)
    )
    genoattn.scan_traits(cohort, traits)
    assert prepared == [N, N - 3, N - 1]


def test_tables(cohort, traits, tmp_path):
    path = tmp_path / "traits.tsv"
    traits.rename_axis("IID").to_csv(path, sep="\t", na_rep="NA")
    frames = [traits, traits.rename_axis("sample").reset_index(), path, str(path)]
    results = [genoattn.scan_traits(cohort, t, 0.1, names=["c", "a"]) for t in frames]
    for result in results:
        assert list(result) == ["c", "a"]
        pd.testing.assert_frame_equal(result["c"].frame, results[0]["c"].frame)
    ranked = genoattn.scan_traits(cohort, traits, 1.0, names=["a"], transform="rank", sites="s1")
    assert ranked["a"].manifest.transform == "rank"
    assert len(ranked["a"]) == 9


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda f: f, {"names": ["z"]}, "traits: no trait 'z'; there are: a, b, c, sick"),
        (lambda f: f.drop(columns=f.columns), {}, "traits: no trait, only sample IDs; add"),
        (
            lambda f: f.assign(a=np.nan),
            {},
            "no sample of the genotypes has a value of trait 'a'; leave it out",
        ),
        (
            lambda f: f.set_axis([f"x{k}" for k in range(N)]),
            {},
            "no sample in common with the genotypes; IDs th",
        ),
        (lambda f: pd.concat([f, f.head(1)]), {}, "traits: sample ID 'i0' has two rows; keep one"),
        (lambda f: f.assign(a="tall"), {}, "trait 'a' of sample i0 is 'tall', not a number"),
        (lambda f: f.assign(a=1.0), {}, "trait 'a' is constant: 1 in all 90 samples"),
        (lambda f: f, {"threshold": 2}, "threshold is 2; give a p-value"),
    ],
)
def test_refused(cohort, traits, change, options, message):
    with pytest.raises(genoattn.InputError, match=message):
        genoattn.scan_traits(cohort, change(traits), **options)
