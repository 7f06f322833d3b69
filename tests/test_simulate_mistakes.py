"""Mistakes in what is to be simulated are named, each with what to do."""

import numpy as np
import pytest

from genoattn.errors import InputError
from genoattn.simulate import SimulationConfig, cohorts, genotypes, simulate_cohort


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"architecture": "star"},
            "'star' is unknown; choose one of pairs, triple, hub, modules, additive, null",
        ),
        ({"linkage": "real"}, "linkage 'real' is unknown; choose msprime or none"),
        ({"n_samples": 5}, "5 samples; at least 20 are needed"),
        ({"n_chromosomes": 0}, "0 chromosomes; at least 1"),
        ({"n_sites": 4}, "4 sites on 5 chromosomes; ask for at least 5 sites"),
        ({"maf": 0.5}, "maf is 0.5; it must lie above 0 and below 0.5"),
        ({"maf": float("nan")}, "maf is nan; it must lie"),
        ({"missing": 1.0}, "missing is 1.0; it must lie from 0 to below 1"),
        ({"seed": -1}, "seed is -1; it must be 0 or more"),
        ({"prevalence": 1.0}, "prevalence 1.0 of 1000 samples gives no cases or no controls"),
        ({"prevalence": 0.0001}, "prevalence 0.0001 of 1000 samples gives no cases"),
        ({"order": 1}, "order is 1; an interaction has 2 sites or more"),
        ({"architecture": "triple", "order": 2}, "triple has order 3, but order is 2; leave order out"),
        ({"architecture": "modules", "order": 3}, "modules has order 2, but order is 3"),
        ({"order": 6}, "a term of 6 unlinked sites on 5 chromosomes; raise n_chromosomes"),
        ({"n_terms": 0}, "n_terms is 0 with architecture pairs"),
        ({"architecture": "modules", "n_terms": 3}, "n_terms is 3 with architecture modules"),
        (
            {"n_terms": 101},
            "interactions take 202 sites but there are 200; ask for more sites or fewer terms",
        ),
        ({"architecture": "hub", "term_variances": (0.1,)}, "term_variances with architecture hub"),
        ({"n_terms": 2, "term_variances": (0.1,)}, "n_terms is 2 but there are 1 term_variances"),
        ({"n_additive": 201}, "n_additive is 201; it must lie from 0 to the 200 sites"),
        ({"interaction_variance": 1.0}, "interaction_variance is 1.0; a share of variance"),
        ({"additive_variance": float("nan")}, "additive_variance is nan; a share of variance"),
        ({"term_variances": (0.1, -0.1)}, r"term_variances\[1\] is -0.1; a share of variance"),
        (
            {"additive_variance": 0.5, "interaction_variance": 0.5},
            "shares of variance add to 1, which leaves nothing",
        ),
        (
            {"architecture": "hub", "n_chromosomes": 2, "n_sites": 22},
            "do not hold 21 interacting sites unlinked",
        ),
        (
            {"n_samples": 20, "order": 5, "n_terms": 1},
            "cannot be told from its lower-order terms in 20 samples",
        ),
    ],
)
def test_mistakes_are_named(settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        simulate_cohort(**settings)
    assert "\n" not in str(caught.value)


def test_no_room_for_noise_is_named() -> None:
    with pytest.raises(
        InputError, match=r"explain 1\.440 of a phenotype variance of 1, which leaves nothing"
    ):
        cohorts._noise(np.array([-1.2, 1.2]), np.random.default_rng(0))


def test_too_few_common_sites_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(genotypes, "MAX_DOUBLINGS", 2)
    monkeypatch.setattr(genotypes, "_biallelic_sites", lambda ts, maf: np.arange(3))
    with pytest.raises(
        InputError, match=r"3 of 40 sites with minor allele frequency 0\.05 or more in 800000 base"
    ):
        simulate_cohort(architecture="null")


def test_config_and_keywords_together_are_refused() -> None:
    with pytest.raises(TypeError, match="not both"):
        simulate_cohort(SimulationConfig(), seed=2)
