"""Input files and a runner for tests of the command line."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from genoattn_cli import main
from vcf_files import record, write_text, write_vcf

N_SAMPLES, N_SITES = 30, 6


@dataclass(frozen=True)
class Outcome:
    """Result of a command: exit status, stdout and stderr."""

    status: int
    out: str
    err: str


def without_report(arguments):
    """The arguments; for fit and scan without a report, which takes longer than they do."""
    arguments = [str(a) for a in arguments]
    more = ["--no-report"] if arguments and arguments[0] in ("fit", "scan") and "-h" not in arguments else []
    return [*arguments, *(m for m in more if m not in arguments)]


def run_in_process(arguments, capsys, reports=False):
    """Run the command line in this process and put the library's logger back."""
    arguments = [str(a) for a in arguments] if reports else without_report(arguments)
    logger = logging.getLogger("genoattn")
    before = (list(logger.handlers), logger.level, logger.propagate)
    capsys.readouterr()
    try:
        status = main.run(arguments)
    finally:
        logger.handlers[:], logger.level, logger.propagate = before
        logger.setLevel(before[1])
    captured = capsys.readouterr()
    return Outcome(status, captured.out, captured.err)


def sample_ids(n=N_SAMPLES):
    return [f"S{i:02d}" for i in range(1, n + 1)]


def random_genotypes(seed=0, n_samples=N_SAMPLES, n_sites=N_SITES):
    """Shape (n_sites, n_samples), genotype strings."""
    rng = np.random.default_rng(seed)
    return np.array(["0/0", "0/1", "1/1"])[rng.binomial(2, 0.45, size=(n_sites, n_samples))]


def vcf_records(genotypes, **changes):
    return [
        record(list(row), pos=100 * k, name=f"rs{k}", **changes) for k, row in enumerate(genotypes, start=1)
    ]


def write_pheno(path: Path, n_samples=N_SAMPLES, seed=1, **columns):
    """A table with the trait ``y``, or with the columns given."""
    if not columns:
        columns = {"y": [f"{v:.6f}" for v in np.random.default_rng(seed).normal(size=n_samples)]}
    rows = zip(sample_ids(n_samples), *columns.values(), strict=True)
    lines = ["\t".join(("IID", *columns)), *("\t".join(map(str, row)) for row in rows)]
    return write_text(path, "\n".join(lines) + "\n")


def write_cohort(folder: Path, name="cohort.vcf"):
    """A small VCF and its phenotypes: their paths."""
    vcf = write_vcf(folder / name, sample_ids(), vcf_records(random_genotypes()))
    return vcf, write_pheno(folder / "pheno.tsv")
