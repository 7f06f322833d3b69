"""genoattn fit COHORT --pheno TABLE -o DIR"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from genoattn_cli import options


class AttentionName(StrEnum):
    hyper = "hyper"
    feature = "feature"
    linear = "linear"


def command(
    cohort: options.Cohort,
    pheno: options.Pheno,
    output: options.Folder,
    trait: Annotated[
        str | None,
        typer.Option("--trait", metavar="NAME", help="Column of the phenotype table.", show_default=False),
    ] = None,
    covar: options.Covar = None,
    order: Annotated[int, typer.Option("--order", min=1, help="Largest order of interaction.")] = 2,
    gauge: Annotated[
        options.GaugeName, typer.Option("--gauge", help="Gauge of the table.")
    ] = options.GaugeName.frequency,
    transform: options.Transform = options.TransformName.none,
    trait_type: options.Type = options.TraitType.auto,
    encoding: options.Encoding = options.EncodingName.auto,
    attention: Annotated[
        AttentionName,
        typer.Option("--attention", help="feature couples features of tokens, linear takes all pairs."),
    ] = AttentionName.hyper,
    features: Annotated[
        Path | None,
        typer.Option(
            "--features", metavar="TABLE", help="Features of sites, by a column site.", show_default=False
        ),
    ] = None,
    feature_info: Annotated[
        str | None,
        typer.Option(
            "--feature-info", metavar="KEY,..", help="INFO entries that are features.", show_default=False
        ),
    ] = None,
    region: options.Region = None,
    maf: options.Maf = None,
    max_missing: options.MaxMissing = 0.1,
    haploid: options.Haploid = options.HaploidName.double,
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference",
            metavar="NAME",
            help="FASTA record whose residues are the reference. (default: the first)",
            show_default=False,
        ),
    ] = None,
    alphabet: options.Alphabet = options.AlphabetName.auto,
    rank: Annotated[int, typer.Option("--rank", min=1, help="Most factors an order.")] = 32,
    penalty: Annotated[
        float, typer.Option("--penalty", min=0, help="Multiple of the sparse penalty that noise calls for.")
    ] = 1.0,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Longest training.")] = 500,
    max_terms: Annotated[
        int, typer.Option("--max-terms", min=1, help="Most terms reported for an order.")
    ] = 50_000,
    top: Annotated[int, typer.Option("--top", min=0, help="Rows of each order to print.")] = 10,
    force: options.Force = False,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
    seed: options.Seed = 0,
    threads: options.Threads = None,
    device: options.Device = "auto",
) -> None:
    """Fit a hyper-attention model and write its interaction table.

    Writes interactions.tsv and .parquet, variance_components.tsv, metrics.json, manifest.json and
    model.ckpt to DIR, and prints a summary. p-values are those of one unpenalised regression a term;
    q-values count all terms of the order that could have been reported. They do not correct for several
    traits or for relatedness that the covariates leave.
    """
    options.start_logging(verbose, quiet)
    from genoattn.writing import check_output

    check_output(output, force, folder=True, inputs=(cohort, pheno, covar, features))
    options.set_threads(threads)
    import genoattn

    data = options.read_cohort(
        cohort,
        pheno,
        trait,
        covar,
        region=region,
        maf=maf,
        max_missing=max_missing,
        haploid=haploid,
        transform=transform,
        trait_type=trait_type,
        reference=reference,
        alphabet=alphabet,
        features=features,
        info=feature_info.split(",") if feature_info else (),
    )
    result = genoattn.fit(
        data,
        progress=not quiet,
        order=order,
        gauge=gauge.value,
        encoding=options.chosen_encoding(encoding),
        attention=attention.value,
        rank=rank,
        penalty=penalty,
        max_epochs=epochs,
        max_terms=max_terms,
        seed=seed,
        device=device,
    )
    result.save(output, force)
    typer.echo(result.summary(top))
    typer.echo(f"\nwritten to {output}")
