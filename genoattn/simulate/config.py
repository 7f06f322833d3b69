"""Settings of a simulation, checked before any work is done."""

from dataclasses import dataclass
from typing import Literal

from genoattn.errors import InputError

Linkage = Literal["msprime", "none"]
ARCHITECTURES = ("pairs", "triple", "hub", "modules", "additive", "null")
ISOLATED = ("pairs", "triple")
MODULE_SIZE = 10
_DEFAULT_TERMS = {"pairs": 5, "triple": 3, "hub": 20, "modules": MODULE_SIZE**2, "additive": 0, "null": 0}


@dataclass(frozen=True)
class SimulationConfig:
    """Settings of :func:`genoattn.simulate.simulate_cohort`.

    Parameters
    ----------
    n_samples, n_sites
        Size of the cohort; exactly ``n_sites`` sites are kept.
    architecture
        ``pairs``: isolated terms, each of sites of its own. ``triple``: the same, of order 3. ``hub``: one
        site that is in every term, each time with partners of their own. ``modules``: two pathways of 10
        sites, every site of one coupled to every site of the other by a product of two factor vectors.
        ``additive``: no interactions. ``null``: no genetic effect at all.
    order
        Sites in an interaction; None is 3 for ``triple`` and 2 for the others. ``pairs`` and ``hub`` take
        any order from 2 to the number of chromosomes.
    n_terms
        Number of interactions; None is 5 for ``pairs``, 3 for ``triple``, 20 for ``hub``, or as many as
        ``term_variances``. ``modules`` always has 100.
    additive_variance
        Share of phenotype variance of all additive effects together; 0 with ``null``.
    n_additive
        Number of sites with an additive effect, drawn apart from the interacting sites; None is 20, or all
        sites where there are fewer.
    interaction_variance
        Share of phenotype variance of all interactions together, split equally; for ``modules`` it is
        the share of their sum. Not used where ``term_variances`` is given.
    term_variances
        The share of each isolated term by itself, for instance ``(0.05, 0.05, 0.02)``.
    prevalence
        None for a quantitative trait; else the fraction of cases, those of highest liability.
    maf
        Smallest minor allele frequency of a kept site, in the sample.
    linkage
        ``msprime``: coalescent genotypes with linkage disequilibrium. ``none``: independent sites in
        Hardy-Weinberg proportions, allele frequencies uniform from ``maf`` to 0.5.
    missing
        Rate of missing calls, at random. Phenotypes come from the complete genotypes.
    n_chromosomes
        Independent chromosomes, equally many sites on each.
    seed
        The genotypes depend on the seed, the sizes, ``maf`` and ``linkage`` alone, so that architectures can
        be compared on the same cohort.

    Raises
    ------
    InputError
        Where the settings contradict each other.

    Examples
    --------
    >>> from genoattn.simulate import SimulationConfig, simulate_cohort
    >>> config = SimulationConfig(n_samples=100, n_sites=30, architecture="hub", n_terms=4, linkage="none")
    >>> simulate_cohort(config).cohort
    Cohort(100 samples x 30 sites, genotype, trait trait, 0 covariates)
    """

    n_samples: int = 1000
    n_sites: int = 200
    architecture: str = "pairs"
    order: int | None = None
    n_terms: int | None = None
    additive_variance: float = 0.2
    n_additive: int | None = None
    interaction_variance: float = 0.2
    term_variances: tuple[float, ...] | None = None
    prevalence: float | None = None
    maf: float = 0.05
    linkage: Linkage = "msprime"
    missing: float = 0.0
    n_chromosomes: int = 5
    seed: int = 1

    def __post_init__(self) -> None:
        if self.term_variances is not None:
            object.__setattr__(self, "term_variances", tuple(float(v) for v in self.term_variances))
        _check_size(self)
        _check_terms(self)
        _check_variances(self)

    @property
    def term_order(self) -> int:
        """Sites in an interaction, the default resolved."""
        return self.order if self.order is not None else 3 if self.architecture == "triple" else 2

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of phenotype variance of each interaction; empty where there are none."""
        if self.term_variances is not None:
            return self.term_variances
        n = self.n_terms if self.n_terms is not None else _DEFAULT_TERMS[self.architecture]
        if self.architecture in ("additive", "null"):
            n = 0
        return (self.interaction_variance / n,) * n if n else ()

    @property
    def additive_share(self) -> float:
        """The share of phenotype variance of the additive effects, 0 where there are none."""
        return 0.0 if self.architecture == "null" or self.n_additive == 0 else self.additive_variance

    @property
    def n_additive_sites(self) -> int:
        """Number of sites with an additive effect, the default resolved."""
        return min(20, self.n_sites) if self.n_additive is None else self.n_additive

    @property
    def n_causal(self) -> int:
        """Number of interacting sites."""
        if self.architecture == "modules":
            return 2 * MODULE_SIZE
        per_term = self.term_order - 1 if self.architecture == "hub" else self.term_order
        return per_term * len(self.shares) + (self.architecture == "hub")


def _require(holds: bool, mistake: str) -> None:
    if not holds:
        raise InputError(f"simulate: {mistake}")


def _check_size(c: SimulationConfig) -> None:
    known, least = ", ".join(ARCHITECTURES), max(2, c.n_chromosomes)
    unknown = f"architecture '{c.architecture}' is unknown; choose one of {known}"
    _require(c.architecture in ARCHITECTURES, unknown)
    _require(c.linkage in ("msprime", "none"), f"linkage '{c.linkage}' is unknown; choose msprime or none")
    _require(c.n_samples >= 20, f"{c.n_samples} samples; at least 20 are needed")
    _require(c.n_chromosomes >= 1, f"{c.n_chromosomes} chromosomes; at least 1 is needed")
    size = f"{c.n_sites} sites on {c.n_chromosomes} chromosomes"
    _require(c.n_sites >= least, f"{size}; ask for at least {least} sites")
    _require(0 < c.maf < 0.5, f"maf is {c.maf}; it must lie above 0 and below 0.5")
    _require(0 <= c.missing < 1, f"missing is {c.missing}; it must lie from 0 to below 1")
    _require(c.seed >= 0, f"seed is {c.seed}; it must be 0 or more")
    _require(
        c.prevalence is None or 0 < round(c.prevalence * c.n_samples) < c.n_samples,
        f"prevalence {c.prevalence} of {c.n_samples} samples gives no cases or no controls; "
        "choose it above 0 and below 1",
    )


def _check_terms(c: SimulationConfig) -> None:
    _require(
        c.order is None or c.order >= 2,
        f"order is {c.order}; an interaction has 2 sites or more (architecture additive has none)",
    )
    fixed = {"triple": 3, "modules": 2}.get(c.architecture, c.term_order)
    _require(
        c.term_order == fixed,
        f"architecture {c.architecture} has order {fixed}, but order is {c.order}; "
        "leave order out or choose pairs or hub",
    )
    _require(
        c.n_terms is None or (c.n_terms >= 1 and c.architecture in (*ISOLATED, "hub")),
        f"n_terms is {c.n_terms} with architecture {c.architecture}; "
        "it is 1 or more with pairs, triple and hub, and left out with the others",
    )
    _require(
        c.term_variances is None or c.architecture in ISOLATED,
        f"term_variances with architecture {c.architecture}; they are for pairs and triple, "
        "use interaction_variance",
    )
    number = len(c.term_variances or ())
    _require(
        c.term_variances is None or c.n_terms in (None, number),
        f"n_terms is {c.n_terms} but there are {number} term_variances; give one of them",
    )
    _require(
        0 <= c.n_additive_sites <= c.n_sites,
        f"n_additive is {c.n_additive}; it must lie from 0 to the {c.n_sites} sites",
    )
    _require(
        c.n_causal <= c.n_sites,
        f"the interactions take {c.n_causal} sites but there are {c.n_sites}; "
        "ask for more sites or fewer terms",
    )
    _require(
        not c.shares or c.term_order <= c.n_chromosomes,
        f"a term of {c.term_order} unlinked sites on {c.n_chromosomes} chromosomes; "
        "raise n_chromosomes or lower the order",
    )


def _check_variances(c: SimulationConfig) -> None:
    values = {"additive_variance": c.additive_variance, "interaction_variance": c.interaction_variance}
    values |= {f"term_variances[{i}]": v for i, v in enumerate(c.term_variances or ())}
    for name, value in values.items():
        _require(0 <= value < 1, f"{name} is {value}; a share of variance lies from 0 to below 1")
    total = c.additive_share + sum(c.shares)
    _require(
        total < 1,
        f"the shares of variance add to {total:g}, which leaves nothing for noise; "
        "lower additive_variance, interaction_variance or term_variances",
    )
