"""genoattn info FILE"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genoattn_cli import choices, options, steps

FileArgument = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="Genotypes, aligned sequences, a table, or an output folder of genoattn: told by the contents.",
        show_default=False,
    ),
]
PhenoOption = Annotated[
    Path | None,
    options.INPUT("--pheno", metavar="TABLE", help="Count the samples that have a phenotype here."),
]
TraitOption = Annotated[
    str | None,
    options.INPUT("--trait", metavar="NAME", help="Column of --pheno to count.", default="its only column"),
]
AllOption = Annotated[
    bool,
    options.RUNTIME(
        "--all",
        help="Read all records of a very large file, not the first 200 million calls.",
    ),
]
JsonOption = Annotated[bool, options.OUTPUT("--json", help="Print one JSON object in place of text.")]


def command(
    file: FileArgument,
    *,
    pheno: PhenoOption = None,
    trait: TraitOption = None,
    covar: options.Covar = None,
    sequence_column: options.SequenceColumn = None,
    mutation_column: options.MutationColumn = None,
    reference: options.Reference = None,
    wild_type: options.WildType = None,
    alphabet: options.Alphabet = choices.AlphabetName.auto,
    region: options.Region = None,
    haploid: options.Haploid = choices.HaploidName.double,
    dosage_field: options.DosageField = None,
    maf: options.Maf = None,
    max_missing: options.MaxMissing = 0.1,
    as_json: JsonOption = False,
    complete: AllOption = False,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
) -> None:
    """Say what is in a file, and what a fit or scan would keep of it and why not the rest."""
    steps.start_logging(verbose, quiet)
    from genoattn.describe.describe_file import describe_file
    from genoattn.describe.summary_text import to_json, to_text
    from genoattn.writing import write_output

    found = describe_file(
        file, pheno, trait, covar,
        region=region, maf=maf, max_missing=max_missing, sequence_column=sequence_column,
        mutation_column=mutation_column, reference=reference, wild_type=wild_type,
        alphabet=alphabet.value, haploid=haploid.value, dosage_field=steps.plain(dosage_field),
        complete=complete,
    )  # fmt: skip
    write_output((to_json if as_json else to_text)(found).encode(), None)
