"""A simulation as files: genotypes, phenotype and truth."""

from pathlib import Path

import numpy as np

import genoattn
from genoattn.cohort import Cohort
from genoattn.io.vcf import quiet_htslib
from genoattn.simulate.cohorts import Simulation

# Indexed by the call, so that a missing one (-1) takes the last.
_GENOTYPES = np.array([b"\t0/0", b"\t0/1", b"\t1/1", b"\t./."])


def write_simulation(simulation: Simulation, directory: str | Path) -> None:
    """Write ``cohort.vcf.gz`` with its ``.tbi`` index, ``pheno.tsv`` and ``truth.tsv``.

    Parameters
    ----------
    simulation
        What to write. Genotypes are unphased: a cohort holds dosages. Positions, alleles and every digit of
        the phenotype survive being read back.
    directory
        Made if absent; files of these names are replaced.
    """
    import pandas as pd
    import pysam

    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    cohort, vcf = simulation.cohort, folder / "cohort.vcf.gz"
    with quiet_htslib():
        with pysam.BGZFile(str(vcf), "wb", None) as file:
            file.write(_header(cohort, simulation.contig_lengths).encode())
            for index in range(cohort.n_sites):
                file.write(_record(cohort, index))
        pysam.tabix_index(str(vcf), preset="vcf", force=True)
    assert cohort.phenotype is not None
    trait = cohort.phenotype.values.astype(np.int64 if cohort.phenotype.binary else np.float64)
    pheno = pd.DataFrame({"IID": cohort.samples, cohort.phenotype.name: trait})
    pheno.to_csv(folder / "pheno.tsv", sep="\t", index=False)
    simulation.truth.to_csv(folder / "truth.tsv", sep="\t", index=False)


def _header(cohort: Cohort, contig_lengths: tuple[int, ...]) -> str:
    lines = [
        "##fileformat=VCFv4.3",
        f"##source=genoattn {genoattn.__version__} simulate",
        *(f"##contig=<ID={i},length={length}>" for i, length in enumerate(contig_lengths, start=1)),
        '##FILTER=<ID=PASS,Description="All filters passed">',
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
        "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *cohort.samples]),
    ]
    return "\n".join(lines) + "\n"


def _record(cohort: Cohort, index: int) -> bytes:
    sites = cohort.sites
    fixed = [
        sites.chrom[index],
        str(sites.pos[index]),
        ".",
        sites.ref[index],
        sites.alt[index],
        ".",
        "PASS",
        ".",
        "GT",
    ]
    return "\t".join(fixed).encode() + _GENOTYPES[cohort.calls[:, index]].tobytes() + b"\n"
