"""scan_marginal(cohort) -> MarginalResult: does a site interact with any other? Read from top to bottom."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import chi2
from threadpoolctl import threadpool_limits

from genoattn.cohort import MISSING, Cohort
from genoattn.errors import InputError
from genoattn.inference.background import NEAR
from genoattn.inference.marginal_design import MarginalTrait, make_marginal_design
from genoattn.inference.marginal_null import MarginalDesign, MarginalScores, marginal_scores
from genoattn.inference.marginal_result import COLUMNS, MarginalResult
from genoattn.interactions.columns import TermColumns, q_values
from genoattn.interactions.schema import Manifest
from genoattn.progress import progress_bar
from genoattn.provenance import input_records, package_versions
from genoattn.scan.sites import choose_sites
from genoattn.tokens.site_records import from_site_records

_COMPONENTS = 4


@dataclass(frozen=True)
class MarginalConfig:
    """Settings of a test of marginal epistasis; see :func:`scan_marginal`."""

    sites: str | Sequence[str] | None = None
    with_sites: str | Sequence[str] | None = None
    mask_distance: int = NEAR
    n_components: int = _COMPONENTS
    threads: int | None = None
    seed: int = 0


def scan_marginal(
    cohort: Cohort,
    *,
    sites: str | Sequence[str] | None = None,
    with_sites: str | Sequence[str] | None = None,
    mask_distance: int = NEAR,
    n_components: int = _COMPONENTS,
    threads: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> MarginalResult:
    """Test each site's interactions with all others together (marginal epistasis).

    A variance-component score test (Crawford et al. 2017, PLoS Genet 13:e1006869): the sum over a site's
    partners of the squared score of the product of both, with the residual of the trait after covariates,
    principal components, the site itself and the additive effects of all sites (ridge regression; binary
    traits: weighted, of the working trait of the logistic regression on the covariates). It finds a site
    with many partners of which no pair can be told from noise, and does not say which they are.

    Parameters
    ----------
    cohort
        Genotypes with a phenotype, from :func:`genoattn.read`. A missing call counts as the mean of its site.
    sites
        Sites to test: IDs, regions or files of them, as for :func:`genoattn.scan_pairs`; None for all.
    with_sites
        Sites that may be partners, likewise (sparse marginal epistasis); None for all.
    mask_distance
        Bases within which a site of the same chromosome is no partner: what is linked to the site shares its
        additive effect, which then looks like an interaction.
    n_components
        Principal components that the trait and the dosages are adjusted for.
    threads
        Of the matrix products; None for what the environment says, all processors by default.
    seed
        Of the random vectors and traits behind the null distribution.
    progress
        Show the share done and the time left on stderr.

    Returns
    -------
    One row a site.

    Raises
    ------
    InputError
        Where the cohort has no phenotype or is of sequences, samples are too few, a setting is out of range,
        or no site has a partner.

    Examples
    --------
    >>> import genoattn
    >>> from genoattn.simulate import simulate_cohort
    >>> cohort = simulate_cohort(n_samples=400, n_sites=40, linkage="none", architecture="hub", seed=1).cohort
    >>> result = genoattn.scan_marginal(cohort, mask_distance=0)
    >>> result.frame["site"][0], result.counts["n_tests"]
    ('2:25955:C:T', 40)
    """
    config = MarginalConfig(sites, with_sites, mask_distance, n_components, threads, seed)
    _check(cohort, config)
    began = time.perf_counter()
    with threadpool_limits(threads):
        design, trait = make_marginal_design(cohort, sites, with_sites, mask_distance, n_components, seed)
        _check_partners(design)
        prepared = time.perf_counter()
        work = int(design.partner.sum()) + int(design.tested.sum())
        with progress_bar(progress, "marginal", work) as advance:
            scores = marginal_scores(design, trait.drawn, seed, advance)
    seconds = {
        "seconds_preparing": round(prepared - began, 3),
        "seconds_scanning": round(time.perf_counter() - prepared, 3),
    }
    return _result(cohort, config, design, trait, scores, seconds)


def _check(cohort: Cohort, config: MarginalConfig) -> None:
    """Refuse what cannot be tested."""
    if cohort.kind != "genotype":
        raise InputError(
            "the marginal test is of genotypes, and these are aligned sequences; scan their pairs instead"
        )
    if cohort.phenotype is None:
        raise InputError("the cohort has no phenotype; read it with pheno=TABLE")
    if cohort.sites.is_environment.any():
        raise InputError(
            "the marginal test is of sites of a genome; leave the environment out, or scan pairs"
        )
    if not config.mask_distance >= 0:
        raise InputError(f"mask_distance is {config.mask_distance}; give a number of bases, 0 for no limit")
    if not config.n_components >= 0:
        raise InputError(f"n_components is {config.n_components}; it must be 0 or more")
    if config.threads is not None and not config.threads >= 1:
        raise InputError(f"threads is {config.threads}; it must be 1 or more")


def _check_partners(design: MarginalDesign) -> None:
    """Refuse a run in which nothing can be tested, before it starts."""
    if not design.tested.any():
        raise InputError("none of the sites to test varies among the samples; widen the set of sites")
    if all(design.masked(chosen).all() for chosen in design.blocks(design.tested)):
        raise InputError(
            f"no site has a partner: all are within {design.mask_distance:,} bases of it on its chromosome, "
            "or do not vary; lower --mask-distance or widen the set of partners"
        )


def _result(
    cohort: Cohort,
    config: MarginalConfig,
    design: MarginalDesign,
    trait: MarginalTrait,
    scores: MarginalScores,
    seconds: dict[str, float],
) -> MarginalResult:
    """The table, by p-value, and what describes it."""
    n, site = cohort.n_samples, _asked(cohort, config)
    at = np.searchsorted(site, np.flatnonzero(design.tested))
    testable = (scores.n_partners > 0) & (scores.variance > 0)
    # The expectation of the statistic is the variance explained times this: the sum over samples of the
    # squared products of dosages, times the share of the variance that is left after adjustment.
    per_share = trait.freedom**2 * scores.variance * n**2 / 2 * trait.variance
    numbers = {
        "statistic": scores.z,
        "p_value": scores.p_value,
        "variance_explained": scores.z * scores.deviation / np.where(testable, per_share, 1.0),
        "se": scores.deviation / np.where(testable, per_share, 1.0),
    }
    values = {name: np.full(len(site), np.nan) for name in COLUMNS[5:10]}
    for name, column in numbers.items():
        values[name][at] = np.where(testable, column, np.nan)
    n_tests = int(testable.sum())
    values["q_value"] = q_values(values["p_value"], n_tests)
    n_partners = np.zeros(len(site), dtype=np.int64)
    n_partners[at] = scores.n_partners
    s = cohort.sites
    columns = {
        "site": s.ids[site], "chrom": s.chrom[site], "pos": s.pos[site], "ref": s.ref[site],
        "state": s.alt[site], **values, "n_samples": (cohort.calls[:, site] != MISSING).sum(axis=0),
        "n_partners": n_partners,
    }  # fmt: skip
    order = np.lexsort((-np.nan_to_num(values["statistic"], nan=-np.inf), values["p_value"]))  # NaN last
    counts = {
        "n_samples": n,
        "n_sites": len(site),
        "n_tests": n_tests,
        "n_untestable": len(site) - n_tests,
        "inflation": _inflation(values["p_value"]),
        "relatives": round(scores.mean, 4),
        **seconds,
    }
    return MarginalResult(TermColumns(columns).select(order), _manifest(cohort, config, counts), counts)


def _asked(cohort: Cohort, config: MarginalConfig) -> np.ndarray:
    """Indices of the sites that have a row: those asked for, whether they can be tested or not."""
    if config.sites is None:
        return np.arange(cohort.n_sites)
    return choose_sites(cohort.sites, config.sites)


def _inflation(p_value: np.ndarray) -> float:
    """Median of the p-values as chi-squared of one degree of freedom, over its expectation."""
    tested = p_value[np.isfinite(p_value)]
    if not len(tested):
        return float("nan")
    return round(float(chi2.isf(np.median(tested), 1) / chi2.ppf(0.5, 1)), 4)


def _manifest(cohort: Cohort, config: MarginalConfig, counts: dict[str, Any]) -> Manifest:
    """The manifest of a run; its table has no coefficients, so that no site is described in it."""
    phenotype = cohort.phenotype
    assert phenotype is not None
    none, vocabulary = from_site_records("dosage", [])
    transform = {"none": "", "log": ", natural log", "rank": ", rank-normalised"}[phenotype.transform]
    units = "case status" if phenotype.binary else f"{phenotype.name}{transform}"
    return Manifest(
        trait=phenotype.name,
        units=f"share of the variance of {units}",
        binary=phenotype.binary,
        transform=phenotype.transform,
        gauge="frequency",
        order=2,
        sites=none,
        vocabulary=vocabulary,
        centre=vocabulary.mean,
        n_tests={1: counts["n_tests"]},
        estimand="variance_explained: by all interactions of the site together, after the covariates, "
        "components and additive effects; method of moments. se: of it where the site has no interaction. "
        "statistic: in standard deviations of its distribution there",
        seed=config.seed,
        versions=package_versions(),
        inputs=input_records(cohort.source),
        model={"marginal": {**asdict(config), **counts}},
        flow=cohort.flow,
    )
