"""A cohort: samples x sites with a phenotype and covariates, matched by sample ID."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from genoattn.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

MISSING = -1
ENVIRONMENT = "environment"  # the chromosome of environments
Kind = Literal["genotype", "sequence"]
Letters = Literal["dna", "diploid", "protein", "symbols"]
Haploid = Literal["as-is", "double"]


def count_states(calls: np.ndarray, n_states: int) -> np.ndarray:
    """Samples in each state at each site, (n_states, n_sites), of calls (n_samples, n_sites), int8."""
    counts = np.zeros((n_states, calls.shape[1]), dtype=np.int64)
    for start in range(0, len(calls), 255):  # so many fit in a byte, which is quick to add
        some = calls[start : start + 255]
        for state in range(n_states):
            counts[state] += np.add.reduce((some == state).view(np.uint8), axis=0, dtype=np.uint8)
    return counts


@dataclass(frozen=True)
class AlignmentFrame:
    """The alignment that sites are columns of, in which they are numbered."""

    alphabet: Letters  # what its letters mean
    consensus: str  # the commonest state of every column, before any were dropped

    @property
    def n_columns(self) -> int:
        return len(self.consensus)


@dataclass(frozen=True, eq=False)
class Sites:
    """The columns of a cohort: alternate alleles of VCF records, or columns of an alignment.

    Parameters
    ----------
    ids
        Shape (n_sites,), unique names: the record's ID, else chrom:pos:ref:alt; for an alignment the
        reference residue and the 1-based column (``G41``; ``column41`` where states are symbols).
    chrom, pos, ref, alt
        Shape (n_sites,). 1-based positions. ``alt`` is the effect allele; empty for an alignment, where
        every state is compared with ``ref``.
    states
        For each site the labels of its states; ``calls`` holds indices into them. For genotypes state c
        means c copies of ``alt`` (labels ``A/A``, ``A/C``, ``C/C``); for sequences they are residues.
    features
        By name (``gene``, ``region``, ``consequence``) a label for each site, shape (n_sites,); empty
        where it has none.
    frame
        The alignment that the sites are columns of; None for genotypes.
    """

    ids: np.ndarray
    chrom: np.ndarray
    pos: np.ndarray
    ref: np.ndarray
    alt: np.ndarray
    states: tuple[tuple[str, ...], ...]
    features: Mapping[str, np.ndarray] = field(default_factory=dict)
    frame: AlignmentFrame | None = None

    def __post_init__(self) -> None:
        n = len(self.ids)
        for name in ("ids", "chrom", "ref", "alt"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=object))
        object.__setattr__(self, "pos", np.asarray(self.pos, dtype=np.int64))
        columns = {name: getattr(self, name) for name in ("chrom", "pos", "ref", "alt", "states")}
        columns |= {f"features[{name!r}]": labels for name, labels in self.features.items()}
        for name, values in columns.items():
            if len(values) != n:
                raise ValueError(f"Sites.{name} has {len(values)} entries for {n} sites")
        if len(set(self.ids)) != n:
            raise ValueError("Sites.ids are not unique")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def n_states(self) -> np.ndarray:
        """Shape (n_sites,), the number of states of each site."""
        return np.array([len(s) for s in self.states], dtype=np.int64)

    @property
    def is_environment(self) -> np.ndarray:
        """Shape (n_sites,), bool: the sites that are columns of the covariate table, and no genotypes."""
        return np.asarray(self.chrom == ENVIRONMENT, dtype=bool)

    def select(self, index: np.ndarray) -> Sites:
        """The sites at ``index`` (integers or a boolean mask), in that order."""
        index = np.arange(len(self))[index]
        columns = (self.ids, self.chrom, self.pos, self.ref, self.alt)
        ids, chrom, pos, ref, alt = (column[index] for column in columns)
        features = {name: labels[index] for name, labels in self.features.items()}
        states = tuple(self.states[i] for i in index)
        return Sites(ids, chrom, pos, ref, alt, states, features, self.frame)


@dataclass(frozen=True, eq=False)
class Phenotype:
    """One trait of the samples of a cohort.

    Parameters
    ----------
    name
        Column of the phenotype table.
    values
        Shape (n_samples,), float64, finite. Binary traits are 0 (control) and 1 (case).
    binary
        Whether the trait is a case-control status.
    transform
        What was applied to the values in the table: ``none``, ``log`` or ``rank``.
    variance
        Shape (n_samples,), float64, finite and above zero: the variance of each value's measurement error, in
        squared units of ``values``; None where it is not known.
    quantiles
        Shape (2, n_quantiles): normal scores, ascending, and the values of the trait that have them, under
        ``rank``; what leads back to the trait. None where it is not known.
    """

    name: str
    values: np.ndarray
    binary: bool = False
    transform: str = "none"
    variance: np.ndarray | None = None
    quantiles: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.variance is None:
            return
        own, values = np.shape(self.variance), np.shape(self.values)
        if own != values:
            raise ValueError(f"Phenotype.variance has shape {own}, the values {values}")
        if not (np.isfinite(self.variance) & (np.asarray(self.variance) > 0)).all():
            raise ValueError("Phenotype.variance must be finite and above zero")

    def select(self, index: np.ndarray) -> Phenotype:
        """The samples at ``index`` (integers or a boolean mask), in that order."""
        variance = None if self.variance is None else self.variance[index]
        return replace(self, values=self.values[index], variance=variance)


@dataclass(frozen=True, eq=False)
class Covariates:
    """Fixed effects: numeric columns and the dummy columns of categorical ones.

    Parameters
    ----------
    names
        One name a column; a dummy column is called ``column=level``.
    values
        Shape (n_samples, n_covariates), float64, finite.
    levels
        For each categorical column of the table its levels, the first being the baseline; what is needed
        to expand a new table in the same way.
    """

    names: tuple[str, ...]
    values: np.ndarray
    levels: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def groups(self, column: str) -> np.ndarray:
        """Number of the group of each sample, (n_samples,), from 0: samples of one level, or one value.

        Raises
        ------
        InputError
            Where there is no such column of the table.
        """
        dummies = [f"{column}={level}" for level in self.levels.get(column, ())[1:]] or [column]
        if not set(dummies) <= set(self.names):
            numeric = [n for n in self.names if not any(n.startswith(f"{c}=") for c in self.levels)]
            known = ", ".join([*self.levels, *numeric]) or "none"
            raise InputError(f"there is no covariate {column!r}; the covariates are: {known}")
        values = self.values[:, [self.names.index(name) for name in dummies]]
        _, group = np.unique(values, axis=0, return_inverse=True)
        return group.reshape(-1)


@dataclass(frozen=True)
class FlowStep:
    """What one step of reading kept of the samples, sequences, records or sites that reached it."""

    unit: Literal["samples", "sequences", "records", "sites"]
    read: int
    kept: int
    left_out: Mapping[str, int] = field(default_factory=dict)  # by the first reason


@dataclass(frozen=True, eq=False)
class Cohort:
    """Genotypes or aligned sequences of samples, with what was measured on them. Frozen and validated.

    Parameters
    ----------
    samples
        Shape (n_samples,), unique sample IDs.
    calls
        Shape (n_samples, n_sites), int8: the index of the sample's state at the site, for genotypes the
        number of copies of the effect allele; or float32: the expected number, of imputed genotypes. -1 where
        the call is missing. In either memory layout.
    kind
        ``genotype`` (VCF and its kin) or ``sequence`` (an alignment).
    phenotype, covariates
        In the order of ``samples``; None where none were given.
    families
        Shape (n_samples,), family IDs (PLINK's FID); None where the file has none. A sample whose IID several
        families have is called ``FID:IID``.
    source
        The files this came from, by role (``genotypes``, ``phenotypes``, ``covariates``).
    log, flow
        What was read, kept and dropped: one readable line each, and as counts.
    haploid
        What haploid calls among diploid ones count: ``double``, 0 or 2 copies, or ``as-is``, 0 or 1.
    is_haploid
        Shape (n_samples, n_sites), bool: these calls where they count 0 or 1; None where there are none.
    dosages
        Entry of the file whose dosages the calls are (``DS``, ``GP``, ``HDS``; ``probabilities`` of a BGEN);
        None for hard calls.

    Examples
    --------
    >>> from genoattn.simulate import simulate_cohort
    >>> cohort = simulate_cohort(n_samples=100, n_sites=8, linkage="none", n_terms=1, seed=1).cohort
    >>> cohort.calls.shape, cohort.phenotype.name, cohort.n_samples
    ((100, 8), 'trait', 100)
    >>> cohort.select_samples(cohort.phenotype.values > 0).select_sites(cohort.sites.pos > 0).n_sites
    8
    """

    samples: np.ndarray
    sites: Sites
    calls: np.ndarray
    kind: Kind = "genotype"
    phenotype: Phenotype | None = None
    covariates: Covariates | None = None
    families: np.ndarray | None = None
    source: dict[str, str] = field(default_factory=dict)
    log: tuple[str, ...] = ()
    flow: tuple[FlowStep, ...] = ()
    haploid: Haploid = "double"
    is_haploid: np.ndarray | None = None
    dosages: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "samples", np.asarray(self.samples, dtype=object))
        n, n_sites = len(self.samples), len(self.sites)
        if len(set(self.samples)) != n:
            raise ValueError("Cohort.samples are not unique")
        if self.families is not None and len(self.families) != n:
            raise ValueError(f"Cohort.families has {len(self.families)} entries for {n} samples")
        allowed = (np.int8, np.float32) if self.kind == "genotype" else (np.int8,)
        if self.calls.dtype not in allowed or self.calls.shape != (n, n_sites):
            found = f"{self.calls.dtype} {self.calls.shape}"
            raise ValueError(f"Cohort.calls must be int8 of shape ({n}, {n_sites}), got {found}")
        if n and n_sites:
            if not self.calls.min() >= MISSING:
                raise ValueError("Cohort.calls below -1")
            over = self.calls.max(axis=0) > self.sites.n_states - 1
            if over.any():
                raise ValueError(f"Cohort.calls exceed the states of site {self.sites.ids[over][0]}")
        for part in (self.phenotype, self.covariates):
            if part is not None and (len(part.values) != n or not np.isfinite(part.values).all()):
                name = type(part).__name__
                raise ValueError(f"{name}.values must be finite, one row for each of {n} samples")
        self.calls.flags.writeable = False

    @classmethod
    def from_arrays(
        cls,
        genotypes: np.ndarray | pd.DataFrame,
        sites: pd.DataFrame | Sequence[str] | None = None,
        samples: Sequence[str] | None = None,
        phenotype: np.ndarray | pd.Series | Phenotype | None = None,
        covariates: pd.DataFrame | None = None,
        *,
        ploidy: int = 2,
        trait: str = "trait",
    ) -> Cohort:
        """A cohort of genotypes in memory.

        Parameters
        ----------
        genotypes
            Shape (n_samples, n_sites): copies of the effect allele, or dosages; NaN or
            -1 where missing. A frame has samples as its index and IDs of sites as its columns.
        sites
            Frame with any of the columns ``id``, ``chrom``, ``pos``, ``ref``, ``alt``, a row a site in the
            order of the genotypes; or their IDs alone. Without positions every site is on a chromosome of
            its own.
        samples
            Names; those of a frame, or ``sample1``, .. if None.
        phenotype
            A value a sample, NaN where missing: such samples are left out. A Series is matched by its index.
            Values that are all 0 or 1 are a binary trait.
        covariates
            Frame of numbers, matched by its index.
        ploidy
            Copies that a sample can have.
        trait
            Name of the phenotype, where it is an array.

        Raises
        ------
        ValueError
            Where shapes, names or values contradict each other.

        Examples
        --------
        >>> import numpy as np
        >>> from genoattn import Cohort
        >>> Cohort.from_arrays(np.array([[0, 1], [2, np.nan], [1, 0.4]]), phenotype=np.array([1.5, 2, 3]))
        Cohort(3 samples x 2 sites, genotype, trait trait, 0 covariates)
        """
        from genoattn.in_memory import cohort_of_arrays

        return cohort_of_arrays(genotypes, sites, samples, phenotype, covariates, ploidy, trait)

    @property
    def has_dosages(self) -> bool:
        """Whether calls are expected copies, which need not be integers, and not hard calls."""
        return self.calls.dtype != np.int8

    @property
    def n_samples(self) -> int:
        return len(self.samples)

    @property
    def n_sites(self) -> int:
        return len(self.sites)

    @property
    def fixed_effects(self) -> Covariates:
        """Covariates, and behind them the main effects of environments: what every model has unpenalised."""
        own, added = self.covariates, np.flatnonzero(self.sites.is_environment)
        names = () if own is None else own.names
        values = np.zeros((self.n_samples, 0)) if own is None else own.values
        main = self.calls[:, added].astype(np.float64)
        return Covariates((*names, *self.sites.ids[added]), np.column_stack([values, main]))

    def select_samples(self, index: np.ndarray) -> Cohort:
        """The samples at ``index`` (integers or a boolean mask), in that order."""
        pheno, covar, calls = self.phenotype, self.covariates, self.calls
        pheno = None if pheno is None else pheno.select(index)
        covar = None if covar is None else replace(covar, values=covar.values[index])
        if calls.flags.c_contiguous:
            calls = calls[index]
        else:  # keeps its layout
            calls = np.take(calls.T, np.arange(len(calls))[index], axis=1).T
        families = None if self.families is None else self.families[index]
        haploid = None if self.is_haploid is None else self.is_haploid[index]
        return replace(
            self,
            samples=self.samples[index],
            calls=calls,
            phenotype=pheno,
            covariates=covar,
            families=families,
            is_haploid=haploid,
        )

    def select_sites(self, index: np.ndarray) -> Cohort:
        """The sites at ``index`` (integers or a boolean mask), in that order."""
        haploid = None if self.is_haploid is None else self.is_haploid[:, index]
        return replace(self, sites=self.sites.select(index), calls=self.calls[:, index], is_haploid=haploid)

    def __repr__(self) -> str:
        trait = "no phenotype" if self.phenotype is None else f"trait {self.phenotype.name}"
        n_covariates = 0 if self.covariates is None else len(self.covariates.names)
        size = f"{self.n_samples} samples x {self.n_sites} sites"
        return f"Cohort({size}, {self.kind}, {trait}, {n_covariates} covariates)"

    def _repr_html_(self) -> str:
        from genoattn.cohort_html import cohort_html

        return cohort_html(self)


def copy_states(ref: str, alt: str, ploidy: int, multiallelic: bool = False) -> tuple[str, ...]:
    """Labels of 0 to ``ploidy`` copies of ``alt``, such as ``A/A``, ``A/C``, ``C/C``.

    At a multi-allelic record ``*`` stands for any other allele, unless the allele is itself ``*`` (a deletion
    that spans the site): then ``other`` does.
    """
    other = ref if not multiallelic else ("other" if alt == "*" else "*")
    return tuple("/".join([other] * (ploidy - c) + [alt] * c) for c in range(ploidy + 1))
