"""genoattn simulate -o DIR"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from genoattn_cli import options, steps


class Architecture(StrEnum):
    pairs = "pairs"
    triple = "triple"
    hub = "hub"
    modules = "modules"
    additive = "additive"
    null = "null"


class LinkageName(StrEnum):
    msprime = "msprime"
    none = "none"


SamplesOption = Annotated[int, options.INPUT("--samples", metavar="NUMBER", help="Samples to simulate.")]
SitesOption = Annotated[int, options.INPUT("--sites", metavar="NUMBER", help="Sites to simulate.")]
MafOption = Annotated[
    float, options.INPUT("--maf", metavar="SHARE", help="Smallest minor allele frequency of a site.")
]
LinkageOption = Annotated[
    LinkageName,
    options.INPUT(
        "--linkage",
        metavar="WORD",
        help="msprime: linkage disequilibrium of a coalescent; none: independent sites.",
    ),
]
MissingOption = Annotated[
    float, options.INPUT("--missing", metavar="SHARE", help="Share of calls that are missing, at random.")
]
ArchitectureOption = Annotated[
    Architecture,
    options.MODEL(
        "--architecture",
        metavar="WORD",
        help="How interactions are laid out. pairs; triple; hub: all share a site; modules: groups of "
        "sites; "
        "additive: none; null: no effects at all.",
    ),
]
OrderOption = Annotated[
    int | None,
    options.MODEL("--order", metavar="ORDER", help="Sites in an interaction.", default="2; triple 3"),
]
TermsOption = Annotated[
    int | None,
    options.MODEL("--terms", metavar="NUMBER", help="Interactions to plant.", default="by --architecture"),
]
AdditiveVarianceOption = Annotated[
    float,
    options.MODEL(
        "--additive-variance",
        metavar="SHARE",
        help="Share of the trait's variance of all additive effects.",
    ),
]
InteractionVarianceOption = Annotated[
    float,
    options.MODEL(
        "--interaction-variance", metavar="SHARE", help="Share of the trait's variance of all interactions."
    ),
]
TermVariancesOption = Annotated[
    str | None,
    options.MODEL(
        "--term-variances",
        metavar="V,V,..",
        help="Share of each interaction by itself, in place of --interaction-variance.",
        default="equal",
    ),
]
PrevalenceOption = Annotated[
    float | None,
    options.MODEL(
        "--prevalence",
        metavar="SHARE",
        help="Make the trait binary, with this share of cases.",
    ),
]


def command(
    *,
    samples: SamplesOption = 1000,
    sites: SitesOption = 200,
    maf: MafOption = 0.05,
    linkage: LinkageOption = LinkageName.msprime,
    missing: MissingOption = 0.0,
    architecture: ArchitectureOption = Architecture.pairs,
    order: OrderOption = None,
    terms: TermsOption = None,
    additive_variance: AdditiveVarianceOption = 0.2,
    interaction_variance: InteractionVarianceOption = 0.2,
    term_variances: TermVariancesOption = None,
    prevalence: PrevalenceOption = None,
    output: options.Folder,
    force: options.Force = False,
    config: options.Config = None,
    seed: options.Seed = 1,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
) -> None:
    """Simulate a cohort with real linkage disequilibrium and known interactions.

    Writes cohort.vcf.gz with its index, pheno.tsv with the column trait, and truth.tsv, the planted terms
    in the columns of an interaction table.
    """
    steps.start_logging(verbose, quiet, config)
    from genoattn.writing import atomic_directory, check_output

    check_output(output, force, folder=True)
    from genoattn.simulate import simulate_cohort, write_simulation

    simulation = simulate_cohort(
        n_samples=samples,
        n_sites=sites,
        architecture=architecture.value,
        order=order,
        n_terms=terms,
        additive_variance=additive_variance,
        interaction_variance=interaction_variance,
        term_variances=_numbers(term_variances),
        prevalence=prevalence,
        maf=maf,
        linkage=linkage.value,
        missing=missing,
        seed=seed,
    )
    with atomic_directory(output, force) as work:
        write_simulation(simulation, work)
    typer.echo(f"written to {output}")


def _numbers(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not a list of numbers such as 0.05,0.05,0.02", param_hint="--term-variances"
        ) from None
