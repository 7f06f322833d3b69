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


def command(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder to write.", show_default=False)
    ],
    samples: Annotated[int, typer.Option("--samples", help="Number of samples.")] = 1000,
    sites: Annotated[int, typer.Option("--sites", help="Number of sites.")] = 200,
    architecture: Annotated[
        Architecture, typer.Option("--architecture", help="How the interactions are laid out.")
    ] = Architecture.pairs,
    order: Annotated[
        int | None,
        typer.Option("--order", help="Sites in an interaction. (default: 2, triple 3)", show_default=False),
    ] = None,
    terms: Annotated[
        int | None, typer.Option("--terms", help="Number of interactions.", show_default=False)
    ] = None,
    additive_variance: Annotated[
        float, typer.Option("--additive-variance", help="Share of variance of all additive effects.")
    ] = 0.2,
    interaction_variance: Annotated[
        float, typer.Option("--interaction-variance", help="Share of all interactions.")
    ] = 0.2,
    term_variances: Annotated[
        str | None,
        typer.Option(
            "--term-variances",
            metavar="V,V,..",
            help="Share of each isolated interaction.",
            show_default=False,
        ),
    ] = None,
    prevalence: Annotated[
        float | None,
        typer.Option(
            "--prevalence", help="Cases of a binary trait. (default: quantitative)", show_default=False
        ),
    ] = None,
    maf: Annotated[float, typer.Option("--maf", help="Smallest minor allele frequency.")] = 0.05,
    linkage: Annotated[
        LinkageName, typer.Option("--linkage", help="msprime, or none for independent sites.")
    ] = LinkageName.msprime,
    missing: Annotated[float, typer.Option("--missing", help="Rate of missing calls.")] = 0.0,
    force: options.Force = False,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
    seed: options.Seed = 1,
) -> None:
    """Simulate a cohort with real linkage disequilibrium and known interactions.

    Writes cohort.vcf.gz with its index, pheno.tsv with the column trait, and truth.tsv, the planted terms
    in the columns of an interaction table.
    """
    options.start_logging(verbose, quiet)
    from genoattn.writing import check_output, whole_directory

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
    with whole_directory(output, force) as work:
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
