"""genoattn scan COHORT --pheno TABLE -o DIR"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genoattn_cli import options

if TYPE_CHECKING:
    from genoattn.cohort import Cohort
    from genoattn.scan.result import ScanResult


class MissingName(StrEnum):
    complete = "complete"
    mean = "mean"


class FormatName(StrEnum):
    table = "table"
    plink = "plink"


class TestName(StrEnum):
    additive = "additive"
    genotypic = "genotypic"


TraitOption = Annotated[
    list[str] | None,
    typer.Option(
        "--trait",
        metavar="NAME",
        help="Column of the phenotype table; repeat it for several.",
        show_default=False,
    ),
]
ThresholdOption = Annotated[float, typer.Option("--threshold", help="Largest p-value reported.")]
SitesOption = Annotated[
    str | None,
    typer.Option(
        "--sites",
        metavar="SET",
        help="Only pairs with these: IDs, chr:from-to, BED or list, by commas.",
        show_default=False,
    ),
]
WithSitesOption = Annotated[
    str | None,
    typer.Option(
        "--with", metavar="SET", help="Their partners, likewise. (default: all sites)", show_default=False
    ),
]
MinDistanceOption = Annotated[
    int, typer.Option("--min-distance", min=0, help="Bases between the sites of a pair.")
]
MaxR2Option = Annotated[
    float | None,
    typer.Option("--max-r2", help="Leave out pairs in stronger linkage.", show_default=False),
]
TestOption = Annotated[TestName, typer.Option("--test", help="genotypic: dominance terms too, up to 4 df.")]
MissingOption = Annotated[
    MissingName, typer.Option("--missing", help="complete: the samples called at both sites of a pair.")
]
MemoryOption = Annotated[float, typer.Option("--memory", metavar="GB", help="Memory to stay under.")]
PermutationsOption = Annotated[
    int, typer.Option("--permutations", min=0, help="Permute the trait for a genome-wide threshold.")
]
OrderOption = Annotated[int, typer.Option("--order", min=2, max=3, help="2: pairs; 3: triples.")]
PairsOption = Annotated[
    Path | None,
    typer.Option(
        "--pairs",
        metavar="SCAN",
        help="Only triples that hold a pair of this earlier scan: its folder or table.",
        show_default=False,
    ),
]
FormOption = Annotated[FormatName, typer.Option("--format", help="plink writes .epi.qt or .epi.cc as well.")]
TopOption = Annotated[int, typer.Option("--top", min=0, help="Rows to print.")]


def command(
    cohort: options.ScanCohort,
    pheno: options.Pheno,
    output: options.Folder,
    trait: TraitOption = None,
    covar: options.Covar = None,
    threshold: ThresholdOption = 1e-4,
    sites: SitesOption = None,
    with_sites: WithSitesOption = None,
    min_distance: MinDistanceOption = 0,
    max_r2: MaxR2Option = None,
    test: TestOption = TestName.additive,
    missing: MissingOption = MissingName.complete,
    transform: options.Transform = options.TransformName.none,
    trait_type: options.Type = options.TraitType.auto,
    encoding: options.Encoding = options.EncodingName.auto,
    region: options.Region = None,
    maf: options.Maf = None,
    max_missing: options.MaxMissing = 0.1,
    haploid: options.Haploid = options.HaploidName.double,
    dosage_field: options.DosageField = None,
    duplicates: options.Duplicates = options.DuplicatesName.keep,
    strict: options.Strict = False,
    alphabet: options.Alphabet = options.AlphabetName.auto,
    memory: MemoryOption = 2.0,
    permutations: PermutationsOption = 0,
    order: OrderOption = 2,
    pairs: PairsOption = None,
    form: FormOption = FormatName.table,
    seed: options.Seed = 0,
    top: TopOption = 10,
    force: options.Force = False,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
    threads: options.Threads = None,
    device: options.Device = "cpu",
) -> None:
    """Test the product term of every pair (or triple) of sites and write those that pass a threshold.

    One regression a pair, adjusted for both main effects and the covariates, on the samples called at both
    sites: least squares for a quantitative trait, logistic for a binary one. Writes interactions.tsv and
    .parquet, manifest.json and scan.json to DIR, and prints a summary; of several traits each has a folder in
    DIR, and traits.tsv sums them up. Interrupted, the scan of one trait leaves DIR.partial, from which the
    same command goes on.
    """
    options.start_logging(verbose, quiet)
    from genoattn.writing import check_output

    check_output(output, force, folder=True, inputs=(cohort, pheno, covar, pairs))
    sources = dict(
        region=region, maf=maf, max_missing=max_missing, haploid=haploid, alphabet=alphabet,
        dosage_field=dosage_field, duplicates=duplicates, strict=strict,
    )  # fmt: skip
    settings = dict(
        progress=not quiet, sites=sites, with_sites=with_sites, min_distance=min_distance, max_r2=max_r2,
        test=test.value, missing=missing.value, encoding=options.chosen_encoding(encoding),
        memory=memory * 1e9, threads=threads, device=device, permutations=permutations, seed=seed,
    )  # fmt: skip
    treatment, plink = dict(transform=transform.value, trait_type=trait_type.value), form is FormatName.plink
    _check_order(order, trait, plink, pairs)
    if trait is not None and len(trait) > 1:
        tables, settings = (cohort, pheno, covar), {**treatment, **settings}
        summary = _scan_traits(tables, trait, threshold, settings, sources, output, force, plink)
    else:
        data = options.read_cohort(cohort, pheno, trait[0] if trait else None, covar, **sources, **treatment)
        result = _scan_one(data, order, threshold, settings, pairs, output)
        result.save(output, force, plink)
        summary = result.summary(top)
    typer.echo(f"{summary}\n\nwritten to {output}")


def _check_order(order: int, trait: list[str] | None, plink: bool, pairs: Path | None) -> None:
    """Refuse what goes with pairs or with triples only."""
    from genoattn.errors import InputError

    if order == 2 and pairs is not None:
        raise InputError("--pairs names pairs that triples must hold; give --order 3 with it")
    if order == 3 and plink:
        raise InputError("PLINK has no format for triples; leave --format out")
    if order == 3 and trait is not None and len(trait) > 1:
        raise InputError("triples are scanned for one trait at a time; give one --trait")


def _scan_one(
    data: Cohort, order: int, threshold: float, settings: dict[str, Any], pairs: Path | None, output: Path
) -> ScanResult:
    import genoattn

    partial = output.with_name(f"{output.name}.partial")
    if order == 3:
        return genoattn.scan_triples(data, threshold, pairs=pairs, checkpoint=partial, **settings)
    return genoattn.scan_pairs(data, threshold, checkpoint=partial, **settings)


def _scan_traits(
    tables: tuple[Path, Path, Path | None],
    names: list[str],
    threshold: float,
    settings: dict[str, Any],
    sources: dict[str, Any],
    output: Path,
    force: bool,
    plink: bool,
) -> str:
    """Scan several traits, write their folders, and sum them up."""
    from genoattn.scan.traits import check_folders, save_traits, scan_traits, summarise_traits

    check_folders(names)
    cohort, pheno, covar = tables
    data = options.read_cohort(cohort, None, None, covar, **sources)
    results = scan_traits(data, pheno, threshold, names=names, **settings)
    save_traits(results, output, force, plink)
    return summarise_traits(results)
