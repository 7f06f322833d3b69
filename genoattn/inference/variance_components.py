"""How much of a trait's variance is additive, of dominance, and of interactions, in a cohort as a whole."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from genoattn.cohort import Cohort
from genoattn.errors import InputError
from genoattn.html_text import columns_table, panel, say
from genoattn.inference.background import NEAR
from genoattn.inference.robust import orthonormal_basis
from genoattn.inference.variance_columns import SiteWindows, StandardColumns
from genoattn.inference.variance_kernels import CohortKernels
from genoattn.inference.variance_matrices import KernelMatrices
from genoattn.inference.variance_moments import MomentFit
from genoattn.inference.variance_pairs import chromosome_pairs
from genoattn.inference.variance_stream import streamed_forms
from genoattn.inference.variance_text import sentence
from genoattn.model.relatives import find_relatives
from genoattn.progress import phase
from genoattn.writing import write_output

_log = logging.getLogger(__name__)
EXACT_SAMPLES = 5000  # up to which kernels of all samples are held, each 4 bytes a pair
_PART = 3000  # of more samples, those whose kernels give the moments
_FEWEST = 20  # residual degrees of freedom
_ALIKE = 1e-4  # smallest share of a component's matrix that the others must not have
_ORDER = {"additive": 1, "dominance": 1, "additive x additive": 2, "additive x additive x additive": 3}


@dataclass(frozen=True, eq=False)
class VarianceComponents:
    """Shares of a trait's variance in a cohort: by component, and of pairs of chromosomes.

    Parameters
    ----------
    frame
        A row a component, then a row a pair of chromosomes: ``component``, ``order``, ``chrom_1``,
        ``chrom_2`` (empty for the genome), ``share`` of the variance after covariates, as it was estimated,
        ``se``, ``p_value`` (one-sided), ``q_value`` (of pairs of chromosomes), ``detectable`` (the smallest
        share that would be significant at 5 % with a probability of 80 %; ``inf`` where none would) and
        ``n_terms`` (sites, pairs or triples).
    trait
        Its name.
    n_samples, n_sites
        That went in.
    method
        ``exact`` or ``random vectors``, with the reason.
    min_distance
        Base pairs: closer pairs are in no component.
    log
        What was left out, and why.

    Examples
    --------
    >>> import genoattn
    >>> from genoattn.simulate import simulate_cohort
    >>> cohort = simulate_cohort(n_samples=300, n_sites=40, linkage="none", seed=1).cohort
    >>> found = genoattn.variance_components(cohort, min_distance=0)
    >>> len(found.components), len(found.pairs)
    (3, 15)
    >>> found.save("variance.tsv")
    """

    frame: pd.DataFrame
    trait: str
    n_samples: int
    n_sites: int
    method: str
    min_distance: int
    log: tuple[str, ...] = ()

    @property
    def components(self) -> pd.DataFrame:
        """Rows of the whole genome."""
        return self.frame[self.frame["chrom_1"] == ""]

    @property
    def pairs(self) -> pd.DataFrame:
        """Rows of pairs of chromosomes, smallest p-value first."""
        return self.frame[self.frame["chrom_1"] != ""].sort_values("p_value", kind="stable")

    def summary(self, n: int = 5) -> str:
        """Components in sentences, and the first n pairs of chromosomes."""
        lines = [
            f"Variance of {self.trait} after covariates: {self.n_samples:,} samples, {self.n_sites:,} sites"
        ]
        lines += [f"  {sentence(row)}" for row in self.components.to_dict("records")]
        pairs = self.pairs
        if len(pairs):
            found = int((pairs["q_value"] < 0.05).sum())
            lines.append(f"  pairs of chromosomes: {found} of {len(pairs)} with q < 0.05")
        for row in pairs.head(n).to_dict("records"):
            lines.append(f"    {row['chrom_1']} x {row['chrom_2']}: {sentence(row, named=False)}")
        return "\n".join([*lines, *(f"  {line}" for line in self.log)])

    def to_tsv(self) -> bytes:
        """The rows as tab-separated text."""
        return self.frame.to_csv(sep="\t", index=False, float_format="%.6g").encode()

    def save(self, path: str | Path | None, force: bool = True) -> None:
        """Write the rows to a tab-separated file, or to stdout where ``path`` is None."""
        write_output(self.to_tsv(), path, force)

    def __repr__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        rows = self.components.to_dict("records")
        columns: dict[str, list[object]] = {"component": [row["component"] for row in rows]}
        for name in ("share", "se", "p_value", "detectable"):
            columns[name] = [f"{row[name]:.3g}" for row in rows]
        title = say("Variance of {} in {} samples", self.trait, f"{self.n_samples:,}")
        return panel(
            title, columns_table(columns, ("component",)), *(say("<div>{}</div>", x) for x in self.log)
        )


def variance_components(
    cohort: Cohort,
    *,
    order: int = 2,
    min_distance: int = NEAR,
    relatives: bool = False,
    by_chromosome: bool = True,
    seed: int = 0,
    progress: bool = False,
) -> VarianceComponents:
    """Additive, dominance and epistatic shares of a trait's variance in a cohort of genotypes.

    By the method of moments on products of the residuals of different samples (Haseman & Elston 1972;
    Crawford et al. 2017), with standard errors of normal theory: no pair of sites is tested, all are in one
    component.

    Parameters
    ----------
    cohort
        Genotypes with a phenotype; its covariates are adjusted for.
    order
        2, or 3 for triples of sites on three chromosomes as well.
    min_distance
        Base pairs. Pairs of sites of one chromosome that are closer belong to no component: their products
        stand for untyped variants between them, whose effects are additive. Some up to twice as far are left
        out with them. 0 for all pairs of different sites.
    relatives
        Whether to keep all of a group of relatives, who share environments too, and not its first sample
        alone.
    by_chromosome
        Whether to estimate the share of each pair of chromosomes.
    seed
        Of random vectors.
    progress
        Show what is going on, on stderr.

    Returns
    -------
    Shares, standard errors, tests, and what could have been found. Up to 5,000 samples all kernels are made;
    beyond, quadratic forms are estimated by random vectors, linear in samples, and their moments on 3,000 of
    them.

    Raises
    ------
    InputError
        Where there is no phenotype, the cohort has no genotypes, no site varies, the trait does not vary, or
        there are too few samples for the covariates.

    Examples
    --------
    >>> import genoattn
    >>> from genoattn.simulate import simulate_cohort
    >>> cohort = simulate_cohort(n_samples=300, n_sites=40, linkage="none", seed=1).cohort
    >>> found = genoattn.variance_components(cohort, min_distance=0)
    >>> found.components["component"].tolist()
    ['additive', 'dominance', 'additive x additive']
    >>> bool(found.components["share"].iloc[0] > 0)
    True
    """
    _check(cohort, order, min_distance)
    log: list[str] = []
    if not relatives:
        cohort = _without_relatives(cohort, log)
    assert cohort.phenotype is not None
    basis, residual = _residuals(cohort)
    columns = StandardColumns(cohort.calls)
    if not columns.varies.any():
        raise InputError(
            "no site of the cohort varies, so that there is no genetic variance; read other sites"
        )
    windows = SiteWindows.of(cohort, columns.varies, min_distance)
    exact = cohort.n_samples <= EXACT_SAMPLES
    with phase(progress, "estimating variance components"):
        fit, n_terms = _fitted(columns, windows, basis, residual, order, seed, log)
        rows = [_row(fit, k, n_terms) for k in range(len(fit.forms))]
    if by_chromosome and "additive x additive" in fit.moments.names:
        names = [str(c) for c in dict.fromkeys(cohort.sites.chrom[windows.site])]
        with phase(progress, "estimating pairs of chromosomes"):
            rows += chromosome_pairs(columns, windows, basis, residual, names, seed, log)
    for line in log:
        _log.info(line)
    n = cohort.n_samples
    method = (
        f"exact ({n:,} samples are at most {EXACT_SAMPLES:,})"
        if exact
        else f"random vectors ({n:,} samples are more than {EXACT_SAMPLES:,})"
    )
    return VarianceComponents(
        pd.DataFrame(rows), cohort.phenotype.name, n, len(windows.site), method, min_distance, tuple(log)
    )


def _check(cohort: Cohort, order: int, min_distance: int) -> None:
    if cohort.kind != "genotype":
        raise InputError(
            "variance components need genotypes of a population; of aligned sequences genoattn fit says the "
            "variance by order"
        )
    if cohort.phenotype is None:
        raise InputError("the cohort has no phenotype; read it with pheno=TABLE")
    if order not in (2, 3):
        raise InputError(f"order {order}: variance components are of order 2 or 3; give one of these")
    if not min_distance >= 0:
        raise InputError(f"min_distance {min_distance}: is below 0; give base pairs")


def _without_relatives(cohort: Cohort, log: list[str]) -> Cohort:
    """The first sample of each group of relatives."""
    groups = find_relatives(cohort.calls)
    if groups is None:
        return cohort
    first = np.sort(np.unique(groups, return_index=True)[1])
    log.append(
        f"{cohort.n_samples - len(first):,} samples left out as relatives of others, {len(first):,} kept"
    )
    return cohort.select_samples(first)


def _residuals(cohort: Cohort) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal basis of intercept and covariates, and residuals of the phenotype, scaled to variance 1."""
    assert cohort.phenotype is not None
    y, n = cohort.phenotype.values.astype(np.float64), cohort.n_samples
    given = np.zeros((n, 0)) if cohort.covariates is None else cohort.covariates.values
    basis = orthonormal_basis(np.column_stack([np.ones(n), given]))
    if n - basis.shape[1] < _FEWEST:
        raise InputError(
            f"{n} samples with {basis.shape[1] - 1} covariates leave {n - basis.shape[1]} degrees of "
            f"freedom, and variance components need {_FEWEST}; use more samples or fewer covariates"
        )
    centred = y - y.mean()
    residual = centred - basis @ (basis.T @ centred)
    spread = float(residual.std())
    if not spread > 1e-9 * max(float(np.abs(y).max()), 1e-300):
        raise InputError(
            f"trait {cohort.phenotype.name} does not vary after its covariates; choose another trait, or "
            "leave out the covariate that is the trait"
        )
    return basis, residual / spread


def _fitted(
    columns: StandardColumns,
    windows: SiteWindows,
    basis: np.ndarray,
    residual: np.ndarray,
    order: int,
    seed: int,
    log: list[str],
) -> tuple[MomentFit, dict[str, int]]:
    """The one choice of method: all kernels of few samples, random vectors of many."""
    n = len(residual)
    if order == 3 and n > EXACT_SAMPLES:
        log.append(f"triples left out: they are estimated for at most {EXACT_SAMPLES:,} samples")
        order = 2
    every = n <= EXACT_SAMPLES
    samples = np.arange(n)
    if not every:
        samples = np.sort(np.random.default_rng(seed).choice(n, _PART, replace=False))
    found = CohortKernels.of(columns, windows, samples, order)
    own_basis = basis if every else orthonormal_basis(basis[samples])
    matrices = KernelMatrices.of(found.kernels, own_basis, seed)
    matrices = _told_apart(matrices, log)
    if "additive x additive" not in matrices.moments.names and len(windows.site) > 1:
        log.append("no pairs of sites that are far enough apart: additive x additive is left out")
    if every:
        return MomentFit.of(matrices.moments, matrices.forms(residual), residual), found.n_terms
    moments = matrices.moments_of(n, n - basis.shape[1])
    streamed = streamed_forms(columns, windows, basis, residual, moments, seed)
    return MomentFit.of(streamed.moments, streamed.forms, residual, streamed.noise), found.n_terms


def _told_apart(matrices: KernelMatrices, log: list[str]) -> KernelMatrices:
    """Without components that earlier ones have all of, as where a cohort has few sites."""
    m = matrices.moments
    kept: list[int] = []
    for k, name in enumerate(m.names):
        own = m.two[k, k]
        shared = (
            m.two[np.ix_([k], kept)] @ np.linalg.pinv(m.two[np.ix_(kept, kept)]) @ m.two[np.ix_(kept, [k])]
        )
        if own > 0 and own - float(shared.sum()) > _ALIKE * own:
            kept.append(k)
        else:
            log.append(f"{name} left out: it cannot be told from the components before it")
    if not kept:
        raise InputError(
            "samples do not differ in relatedness, so that nothing can be estimated; use more sites"
        )
    return matrices if len(kept) == len(m.names) else matrices.select(kept)


def _row(fit: MomentFit, index: int, n_terms: dict[str, int]) -> dict[str, Any]:
    name, test = fit.moments.names[index], fit.test(index)
    return {
        "component": name,
        "order": _ORDER[name],
        "chrom_1": "",
        "chrom_2": "",
        "share": test.estimate,
        "se": test.se,
        "p_value": test.p_value,
        "q_value": float("nan"),
        "detectable": test.detectable,
        "n_terms": n_terms[name],
    }
