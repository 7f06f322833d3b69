"""genoattn fit COHORT --pheno TABLE -o DIR"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from genoattn_cli import options


class Transform(StrEnum):
    none = "none"
    log = "log"
    rank = "rank"


class TraitType(StrEnum):
    auto = "auto"
    quantitative = "quantitative"
    binary = "binary"


class EncodingName(StrEnum):
    auto = "auto"
    dosage = "dosage"
    genotype = "genotype"
    sequence = "sequence"


class AttentionName(StrEnum):
    hyper = "hyper"
    feature = "feature"
    linear = "linear"


class Alphabet(StrEnum):
    auto = "auto"
    dna = "dna"
    protein = "protein"


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
    order: Annotated[int, typer.Option("--order", min=1, help="Largest order of interaction.")] = 2,
    gauge: Annotated[
        options.GaugeName, typer.Option("--gauge", help="Gauge of the table.")
    ] = options.GaugeName.frequency,
    transform: Annotated[Transform, typer.Option("--transform", help="Of the phenotype.")] = Transform.none,
    trait_type: Annotated[
        TraitType, typer.Option("--trait-type", help="auto takes 0/1 and 1/2 for binary.")
    ] = TraitType.auto,
    encoding: Annotated[
        EncodingName, typer.Option("--encoding", help="auto: dosage, or sequence for FASTA.")
    ] = EncodingName.auto,
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
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference",
            metavar="NAME",
            help="FASTA record whose residues are the reference. (default: the first)",
            show_default=False,
        ),
    ] = None,
    alphabet: Annotated[Alphabet, typer.Option("--alphabet", help="Of a FASTA.")] = Alphabet.auto,
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
        reference=reference,
        alphabet=alphabet.value,
        features=features,
        info=feature_info.split(",") if feature_info else (),
    )
    options.report(data)
    result = genoattn.fit(
        data,
        progress=not quiet,
        order=order,
        gauge=gauge.value,
        encoding=None if encoding is EncodingName.auto else encoding.value,
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
