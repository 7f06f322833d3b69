"""genoattn scan COHORT --pheno TABLE -o DIR"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genoattn_cli import choices, options, steps
from genoattn_cli.config import RUN_FILE, run_file
from genoattn_cli.json_output import print_json, scan_record
from genoattn_cli.marginal import check_options
from genoattn_cli.marginal import run as run_marginal

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


class BackgroundName(StrEnum):
    loco = "loco"
    genome = "genome"


TraitOption = Annotated[
    list[str] | None,
    options.INPUT(
        "--trait",
        metavar="NAME",
        help="Column of the phenotype table to scan; repeat it for several, which are read once.",
        default="its only column",
    ),
]
SitesOption = Annotated[
    str | None,
    options.FILTERS(
        "--sites",
        metavar="SET",
        help="Scan only pairs with one of these sites: IDs, chr:from-to, BED files or lists of IDs, by "
        "commas.",
        default="all",
    ),
]
WithSitesOption = Annotated[
    str | None,
    options.FILTERS("--with", metavar="SET", help="Partners of --sites, named likewise.", default="all"),
]
MinDistanceOption = Annotated[
    int,
    options.FILTERS(
        "--min-distance", metavar="BASES", min=0, help="Leave out pairs that lie closer on a chromosome."
    ),
]
MaxR2Option = Annotated[
    float | None,
    options.FILTERS(
        "--max-r2",
        metavar="R2",
        help="Leave out pairs in stronger linkage disequilibrium, which tag one another's additive effects.",
        default="no limit",
    ),
]
OrderOption = Annotated[
    int, options.MODEL("--order", metavar="ORDER", min=2, max=3, help="2: pairs of sites; 3: triples.")
]
MarginalOption = Annotated[
    bool,
    options.MODEL(
        "--marginal",
        help="Test each site's interactions with all others together (marginal epistasis), not pairs. "
        "Missing calls count as the mean of their site; --with names the sites that may be partners.",
    ),
]
MaskOption = Annotated[
    int | None,
    options.MODEL(
        "--mask-distance",
        metavar="BASES",
        min=0,
        help="With --marginal: sites of the chromosome that lie closer are no partners.",
        default="1000000",
    ),
]
PairsOption = Annotated[
    Path | None,
    options.MODEL(
        "--pairs",
        metavar="SCAN",
        help="With --order 3: only triples that hold a pair of an earlier scan, its folder or its table.",
        default="all",
    ),
]
EncodingOption = Annotated[
    choices.EncodingName,
    options.MODEL(
        "--encoding",
        metavar="WORD",
        help="Columns that are tested. dosage: copies of an allele; sequence: a state for each letter; "
        "auto: "
        "dosage for genotypes, sequence for alignments.",
    ),
]
TestOption = Annotated[
    TestName,
    options.MODEL(
        "--test",
        metavar="WORD",
        help="additive: the product of two dosages, 1 degree of freedom; genotypic: dominance terms too, up "
        "to "
        "4 degrees.",
    ),
]
MissingOption = Annotated[
    MissingName,
    options.MODEL(
        "--missing",
        metavar="WORD",
        help="Missing calls. complete: test each pair on the samples called at both sites; mean: fill in "
        "the "
        "mean of the site.",
    ),
]
BackgroundOption = Annotated[
    BackgroundName | None,
    options.MODEL(
        "--background",
        metavar="WORD",
        help="For relatives and several populations: test in a linear mixed model with the additive effects "
        "of the genome. loco: a variance of their own for the two chromosomes of a pair; genome: one for "
        "all chromosomes, much faster. Quantitative traits; missing calls count as the mean.",
        default="none",
    ),
]
PermutationsOption = Annotated[
    int,
    options.MODEL(
        "--permutations",
        metavar="NUMBER",
        min=0,
        help="Permute the trait so often for a genome-wide threshold; each costs a scan.",
    ),
]
ThresholdOption = Annotated[
    float, options.OUTPUT("--threshold", metavar="P", help="Largest p-value that is reported.")
]
FormOption = Annotated[
    FormatName,
    options.OUTPUT(
        "--format",
        metavar="WORD",
        help="table; plink: write interactions.epi.qt or .epi.cc, in the columns of PLINK 1.9, as well.",
    ),
]
TopOption = Annotated[int, options.OUTPUT("--top", metavar="NUMBER", min=0, help="Rows in the summary.")]
MemoryOption = Annotated[float, options.RUNTIME("--memory", metavar="GB", help="Memory to stay under.")]

# Options that go to genoattn.read, and to a scan, by their own names.
_READ = ("region", "maf", "max_missing", "haploid", "alphabet", "dosage_field", "duplicates", "strict")
_SCAN = (
    "sites", "with_sites", "min_distance", "max_r2", "test", "background", "missing", "threads", "device",
    "permutations", "seed",
)  # fmt: skip


def command(
    cohort: options.ScanCohort,
    *,
    pheno: options.Pheno,
    trait: TraitOption = None,
    covar: options.Covar = None,
    environment: options.Environment = None,
    transform: options.Transform = choices.TransformName.none,
    trait_type: options.Type = choices.TraitType.auto,
    alphabet: options.Alphabet = choices.AlphabetName.auto,
    region: options.Region = None,
    haploid: options.Haploid = choices.HaploidName.double,
    dosage_field: options.DosageField = None,
    maf: options.Maf = None,
    max_missing: options.MaxMissing = 0.1,
    duplicates: options.Duplicates = choices.DuplicatesName.keep,
    strict: options.Strict = False,
    sites: SitesOption = None,
    with_sites: WithSitesOption = None,
    min_distance: MinDistanceOption = 0,
    max_r2: MaxR2Option = None,
    order: OrderOption = 2,
    marginal: MarginalOption = False,
    mask_distance: MaskOption = None,
    pairs: PairsOption = None,
    test: TestOption = TestName.additive,
    encoding: EncodingOption = choices.EncodingName.auto,
    background: BackgroundOption = None,
    missing: MissingOption = MissingName.complete,
    permutations: PermutationsOption = 0,
    output: options.Folder,
    threshold: ThresholdOption = 1e-4,
    form: FormOption = FormatName.table,
    top: TopOption = 10,
    as_json: options.AsJson = False,
    no_report: options.NoReport = False,
    force: options.Force = False,
    config: options.Config = None,
    memory: MemoryOption = 2.0,
    seed: options.Seed = 0,
    threads: options.Threads = None,
    device: options.Device = "cpu",
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
) -> None:
    """Test the product term of every pair (or triple) of sites and write those that pass a threshold.

    One regression a pair, adjusted for both main effects and the covariates, on the samples called at both
    sites: least squares for a quantitative trait, logistic for a binary one. Writes report.html,
    interactions.tsv and .parquet, manifest.json, scan.json and run.toml to DIR, and prints a summary; of
    several traits each has a folder in DIR, and traits.tsv sums them up. Interrupted, the scan of one trait
    leaves DIR.partial, from which the same command goes on. With --marginal one test a site, of its
    interactions with all others: marginal.tsv in place of interactions.tsv.
    """
    _run(locals())


def _run(given: dict[str, Any]) -> None:
    """The command with its options by name."""
    output, trait, top = given["output"], given["trait"], given["top"]
    plink = given["form"] is FormatName.plink
    steps.start_logging(given["verbose"], given["quiet"], given["config"])
    from genoattn.writing import check_output

    inputs = [given[name] for name in ("cohort", "pheno", "covar", "pairs")]
    check_output(output, given["force"], folder=True, inputs=inputs)
    check_options(given)
    _check_order(given["order"], trait, plink, given["pairs"])
    record = {RUN_FILE: run_file("scan", command, given, output)}
    if given["marginal"]:
        run_marginal(given, record, read)
        return
    data = read(given)
    cohorts: dict[Path, Callable[[], Cohort]]
    if _several(trait):
        from genoattn.scan.traits import save_traits, summarise_traits

        results = _scan_traits(data, given)
        save_traits(results, output, given["force"], plink, record)
        summary = summarise_traits(results)
        cohorts = {output / name: partial(_of_trait, data, given, name) for name in results}
    else:
        result = _scan_one(data, given)
        results = {"": result}
        result.save(output, given["force"], plink, record)
        cohorts = {output: lambda: data}
        with steps.results_in(output):
            summary = result.summary(top)
    with steps.results_in(output):
        if not given["as_json"]:
            typer.echo(f"{summary}\n\nwritten to {output}")
        if not given["no_report"]:
            steps.add_reports(output, cohorts)
    if given["as_json"]:
        several = {"traits": {name: scan_record(one, top) for name, one in results.items()}}
        print_json("scan", output, **(several if _several(trait) else scan_record(results[""], top)))


def _several(trait: list[str] | None) -> bool:
    return trait is not None and len(trait) > 1


def _check_order(order: int, trait: list[str] | None, plink: bool, pairs: Path | None) -> None:
    """Refuse what goes with pairs or with triples only."""
    from genoattn.errors import InputError

    if order == 2 and pairs is not None:
        raise InputError("--pairs names pairs that triples must hold; give --order 3 with it")
    if order == 3 and plink:
        raise InputError("PLINK has no format for triples; leave --format out")
    if order == 3 and _several(trait):
        raise InputError("triples are scanned for one trait at a time; give one --trait")
    if _several(trait):
        from genoattn.scan.traits import check_folders

        check_folders(trait or [])


def read(given: Mapping[str, Any], name: str | None = None) -> Cohort:
    """The cohort of a scan with the options of the command by name; of several traits that of one of them."""
    how = {option: given[option] for option in _READ} | {"environment": given["environment"]}
    trait = given["trait"]
    if not _several(trait):
        tables = given["pheno"], trait[0] if trait else None, given["covar"]
        return steps.read_cohort(given["cohort"], *tables, **how, **_treatment(given))
    data = steps.read_cohort(given["cohort"], None, None, given["covar"], **how)
    return data if name is None else _of_trait(data, given, name)


def _of_trait(data: Cohort, given: Mapping[str, Any], name: str) -> Cohort:
    from genoattn.scan.traits import cohort_with_trait

    return cohort_with_trait(data, given["pheno"], name, **_treatment(given))


def _treatment(given: Mapping[str, Any]) -> dict[str, Any]:
    return {option: steps.plain(given[option]) for option in ("transform", "trait_type")}


def _settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a scan by name."""
    return {option: steps.plain(given[option]) for option in _SCAN} | {
        "progress": not given["quiet"],
        "encoding": steps.chosen_encoding(given["encoding"]),
        "memory": given["memory"] * 1e9,
    }


def _scan_one(data: Cohort, given: Mapping[str, Any]) -> ScanResult:
    import genoattn

    output, threshold = given["output"], given["threshold"]
    how = {"checkpoint": output.with_name(f"{output.name}.partial"), **_settings(given)}
    try:
        if given["order"] == 3:
            return genoattn.scan_triples(data, threshold, pairs=given["pairs"], **how)
        return genoattn.scan_pairs(data, threshold, **how)
    except KeyboardInterrupt as error:  # typer would drop where to go on from
        raise typer.Abort(str(error)) from None


def _scan_traits(data: Cohort, given: Mapping[str, Any]) -> dict[str, ScanResult]:
    from genoattn.scan.traits import scan_traits

    how = {"names": given["trait"], **_treatment(given), **_settings(given)}
    return scan_traits(data, given["pheno"], given["threshold"], **how)
