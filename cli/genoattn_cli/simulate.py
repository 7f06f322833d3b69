"""genoattn simulate -o DIR"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from genoattn_cli import options


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


OutputOption = Annotated[
    Path, typer.Option("-o", "--output", metavar="DIR", help="Folder to write.", show_default=False)
]
SamplesOption = Annotated[int, typer.Option("--samples", help="Number of samples.")]
SitesOption = Annotated[int, typer.Option("--sites", help="Number of sites.")]
ArchitectureOption = Annotated[
    Architecture, typer.Option("--architecture", help="How the interactions are laid out.")
]
OrderOption = Annotated[
    int | None,
    typer.Option("--order", help="Sites in an interaction. (default: 2, triple 3)", show_default=False),
]
TermsOption = Annotated[
    int | None, typer.Option("--terms", help="Number of interactions.", show_default=False)
]
AdditiveVarianceOption = Annotated[
    float, typer.Option("--additive-variance", help="Share of variance of all additive effects.")
]
InteractionVarianceOption = Annotated[
    float, typer.Option("--interaction-variance", help="Share of all interactions.")
]
TermVariancesOption = Annotated[
    str | None,
    typer.Option(
        "--term-variances",
        metavar="V,V,..",
        help="Share of each isolated interaction.",
        show_default=False,
    ),
]
PrevalenceOption = Annotated[
    float | None,
    typer.Option("--prevalence", help="Cases of a binary trait. (default: quantitative)", show_default=False),
]
MafOption = Annotated[float, typer.Option("--maf", help="Smallest minor allele frequency.")]
LinkageOption = Annotated[
    LinkageName, typer.Option("--linkage", help="msprime, or none for independent sites.")
]
MissingOption = Annotated[float, typer.Option("--missing", help="Rate of missing calls.")]


def command(
    output: OutputOption,
    samples: SamplesOption = 1000,
    sites: SitesOption = 200,
    architecture: ArchitectureOption = Architecture.pairs,
    order: OrderOption = None,
    terms: TermsOption = None,
    additive_variance: AdditiveVarianceOption = 0.2,
    interaction_variance: InteractionVarianceOption = 0.2,
    term_variances: TermVariancesOption = None,
    prevalence: PrevalenceOption = None,
    maf: MafOption = 0.05,
    linkage: LinkageOption = LinkageName.msprime,
    missing: MissingOption = 0.0,
    force: options.Force = False,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
    seed: options.Seed = 1,
    config: options.Config = None,
) -> None:
    """Simulate a cohort with real linkage disequilibrium and known interactions.

    Writes cohort.vcf.gz with its index, pheno.tsv with the column trait, and truth.tsv, the planted terms
    in the columns of an interaction table.
    """
    options.start_logging(verbose, quiet, config)
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
