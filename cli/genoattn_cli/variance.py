"""genoattn variance COHORT --pheno TABLE -o FILE"""

from __future__ import annotations

from typing import Annotated

from genoattn_cli import choices, options, steps
from genoattn_cli.json_output import need_output, print_json, rows_of

TraitOption = Annotated[
    str | None,
    options.INPUT("--trait", metavar="NAME", help="Column of --pheno.", default="its only column"),
]
OrderOption = Annotated[
    int,
    options.MODEL(
        "--order", metavar="ORDER", min=2, max=3, help="3: triples of sites on three chromosomes as well."
    ),
]
MinDistanceOption = Annotated[
    int,
    options.FILTERS(
        "--min-distance",
        metavar="BASES",
        min=0,
        help="Leave out pairs of sites that lie closer on a chromosome: their products stand for additive "
        "variants between them. 0: all pairs.",
    ),
]
RelativesOption = Annotated[
    bool,
    options.FILTERS(
        "--relatives", help="Keep relatives, who share environments, and not one of each group alone."
    ),
]
NoPairsOption = Annotated[
    bool, options.MODEL("--no-chromosome-pairs", help="Leave out the rows of pairs of chromosomes.")
]


def command(
    cohort: options.ScanCohort,
    *,
    pheno: options.Pheno,
    trait: TraitOption = None,
    covar: options.Covar = None,
    transform: options.Transform = choices.TransformName.none,
    trait_type: options.Type = choices.TraitType.auto,
    region: options.Region = None,
    haploid: options.Haploid = choices.HaploidName.double,
    dosage_field: options.DosageField = None,
    maf: options.Maf = None,
    max_missing: options.MaxMissing = 0.1,
    duplicates: options.Duplicates = choices.DuplicatesName.keep,
    strict: options.Strict = False,
    min_distance: MinDistanceOption = 1_000_000,
    relatives: RelativesOption = False,
    order: OrderOption = 2,
    no_chromosome_pairs: NoPairsOption = False,
    output: options.TableFile = None,
    as_json: options.AsJson = False,
    force: options.Force = False,
    config: options.Config = None,
    seed: options.Seed = 0,
    threads: options.Threads = None,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
) -> None:
    """Estimate how much of a trait's variance is additive, of dominance and of interactions.

    All sites together, without a test of any pair: the share of each component with its standard error, a
    test, and the smallest share that this cohort would have shown with 80 % power; then the share of each
    pair of chromosomes. Of a binary trait on the scale of 0 and 1.
    """
    steps.start_logging(verbose, quiet, config)
    from genoattn.writing import check_output

    need_output(as_json, output)
    if output is not None:
        check_output(output, force, inputs=(cohort, pheno, covar))
    steps.set_threads(threads)
    import logging

    import genoattn

    data = steps.read_cohort(
        cohort, pheno, trait, covar,
        transform=transform, trait_type=trait_type, region=region, haploid=haploid,
        dosage_field=dosage_field, maf=maf, max_missing=max_missing, duplicates=duplicates, strict=strict,
    )  # fmt: skip
    found = genoattn.variance_components(
        data,
        order=order,
        min_distance=min_distance,
        relatives=relatives,
        by_chromosome=not no_chromosome_pairs,
        seed=seed,
        progress=steps.shown(),
    )
    logging.getLogger("genoattn").info(found.summary())
    found.save(output, force)
    if as_json and output is not None:
        names = ("trait", "n_samples", "n_sites", "method", "min_distance", "log")
        record = {name: getattr(found, name) for name in names}
        print_json("variance", output, **record, components=rows_of(found.frame))
