"""genoattn scan COHORT --pheno TABLE -o DIR"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from genoattn_cli import options
from genoattn_cli.fit import Alphabet, EncodingName, TraitType, Transform


class MissingName(StrEnum):
    complete = "complete"
    mean = "mean"


class FormatName(StrEnum):
    table = "table"
    plink = "plink"


class PrecisionName(StrEnum):
    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"


def command(
    cohort: options.Cohort,
    pheno: Annotated[
        Path,
        typer.Option(
            "--pheno", metavar="TABLE", help="Phenotypes: TSV or CSV with an IID column.", show_default=False
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder to write.", show_default=False)
    ],
    trait: Annotated[
        str | None,
        typer.Option("--trait", metavar="NAME", help="Column of the phenotype table.", show_default=False),
    ] = None,
    covar: options.Covar = None,
    threshold: Annotated[float, typer.Option("--threshold", help="Largest p-value reported.")] = 1e-4,
    sites: Annotated[
        str | None,
        typer.Option(
            "--sites",
            metavar="SET",
            help="Only pairs with these: IDs, chr:from-to, BED or list, by commas.",
            show_default=False,
        ),
    ] = None,
    with_sites: Annotated[
        str | None,
        typer.Option(
            "--with", metavar="SET", help="Their partners, likewise. (default: all sites)", show_default=False
        ),
    ] = None,
    min_distance: Annotated[
        int, typer.Option("--min-distance", min=0, help="Bases between the sites of a pair.")
    ] = 0,
    max_r2: Annotated[
        float | None,
        typer.Option("--max-r2", help="Leave out pairs in stronger linkage.", show_default=False),
    ] = None,
    missing: Annotated[
        MissingName, typer.Option("--missing", help="complete: the samples called at both sites of a pair.")
    ] = MissingName.complete,
    transform: Annotated[Transform, typer.Option("--transform", help="Of the phenotype.")] = Transform.none,
    trait_type: Annotated[
        TraitType, typer.Option("--trait-type", help="auto takes 0/1 and 1/2 for binary.")
    ] = TraitType.auto,
    encoding: Annotated[
        EncodingName, typer.Option("--encoding", help="auto: dosage, or sequence for FASTA.")
    ] = EncodingName.auto,
    region: options.Region = None,
    maf: Annotated[
        float | None,
        typer.Option(
            "--maf",
            min=0,
            max=0.5,
            help="Drop sites below this minor allele frequency. (default: 0.01; FASTA 0)",
            show_default=False,
        ),
    ] = None,
    max_missing: Annotated[
        float, typer.Option("--max-missing", min=0, max=1, help="Drop sites with more missing calls.")
    ] = 0.1,
    alphabet: Annotated[Alphabet, typer.Option("--alphabet", help="Of a FASTA.")] = Alphabet.auto,
    memory: Annotated[float, typer.Option("--memory", metavar="GB", help="Memory to stay under.")] = 2.0,
    precision: Annotated[
        PrecisionName, typer.Option("--precision", help="Of the screen; the result is the same.")
    ] = PrecisionName.auto,
    permutations: Annotated[
        int, typer.Option("--permutations", min=0, help="Permute the trait for a genome-wide threshold.")
    ] = 0,
    order: Annotated[int, typer.Option("--order", min=2, max=3, help="2: pairs; 3: triples.")] = 2,
    form: Annotated[
        FormatName, typer.Option("--format", help="plink writes .epi.qt or .epi.cc as well.")
    ] = FormatName.table,
    seed: options.Seed = 0,
    top: Annotated[int, typer.Option("--top", min=0, help="Rows to print.")] = 10,
    force: options.Force = False,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
    threads: options.Threads = None,
) -> None:
    """Test the product term of every pair (or triple) of sites and write those that pass a threshold.

    One regression a pair, beside both main effects and the covariates, on the samples called at both sites:
    least squares for a quantitative trait, logistic for a binary one. Writes interactions.tsv and
    .parquet, manifest.json and scan.json to DIR, and prints a summary. Interrupted, it leaves DIR.partial,
    from which the same command goes on.
    """
    options.start_logging(verbose, quiet)
    from genoattn.writing import check_output

    check_output(output, force)
    import genoattn

    data = genoattn.read(
        cohort,
        pheno,
        trait,
        covar,
        region=region,
        maf=maf,
        max_missing=max_missing,
        transform=transform.value,
        trait_type=trait_type.value,
        alphabet=alphabet.value,
    )
    options.report(data)
    scan = genoattn.scan_pairs if order == 2 else genoattn.scan_triples
    limits: dict[str, Any] = {
        "sites": sites,
        "with_sites": with_sites,
        "min_distance": min_distance,
        "max_r2": max_r2,
        "missing": missing.value,
        "encoding": None if encoding is EncodingName.auto else encoding.value,
        "memory": memory * 1e9,
        "threads": threads,
        "precision": precision.value,
        "permutations": permutations,
        "seed": seed,
    }
    if order == 2:
        limits["checkpoint"] = output.with_name(f"{output.name}.partial")
    elif form is FormatName.plink:
        raise genoattn.InputError("PLINK has no format for triples; leave --format out")
    result = scan(data, threshold, progress=not quiet, **limits)
    result.save(output, force, plink=form is FormatName.plink)
    typer.echo(result.summary(top))
    typer.echo(f"\nwritten to {output}")
