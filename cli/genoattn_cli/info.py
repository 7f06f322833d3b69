"""genoattn info FILE"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genoattn_cli import options

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
    typer.Option("--pheno", metavar="TABLE", help="Count samples that have a phenotype.", show_default=False),
]
TraitOption = Annotated[
    str | None, typer.Option("--trait", metavar="NAME", help="Its column.", show_default=False)
]
AllOption = Annotated[
    bool, typer.Option("--all", help="All records of a very large file, not the first 200 million calls.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")]


def command(
    file: FileArgument,
    pheno: PhenoOption = None,
    trait: TraitOption = None,
    covar: options.Covar = None,
    region: options.Region = None,
    maf: options.Maf = None,
    max_missing: options.MaxMissing = 0.1,
    sequence_column: options.SequenceColumn = None,
    mutation_column: options.MutationColumn = None,
    reference: options.Reference = None,
    wild_type: options.WildType = None,
    alphabet: options.Alphabet = options.AlphabetName.auto,
    haploid: options.Haploid = options.HaploidName.double,
    dosage_field: options.DosageField = None,
    complete: AllOption = False,
    as_json: JsonOption = False,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
) -> None:
    """Say what is in a file, and what a fit or scan would keep of it and why not the rest."""
    options.start_logging(verbose, quiet)
    from genoattn.describe.describe_file import describe_file
    from genoattn.describe.summary_text import to_json, to_text
    from genoattn.writing import write_output

    found = describe_file(
        file, pheno, trait, covar,
        region=region, maf=maf, max_missing=max_missing, sequence_column=sequence_column,
        mutation_column=mutation_column, reference=reference, wild_type=wild_type,
        alphabet=alphabet.value, haploid=haploid.value, dosage_field=options.plain(dosage_field),
        complete=complete,
    )  # fmt: skip
    write_output((to_json if as_json else to_text)(found).encode(), None)
