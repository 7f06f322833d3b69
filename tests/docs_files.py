"""Small files under the names that the documentation uses: cohort.vcf.gz, traits.tsv, variants.csv, .."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pysam
from genotype_files import write_rows

import genoattn
from genoattn.simulate import simulate_cohort

ROOT = Path(__file__).parents[1]
WILD_TYPE = "MKTAYIAGWTQL"
N_SAMPLES, N_VARIANTS = 150, 240


def write_all(folder: Path) -> None:
    """Every file that a page may name, in ``folder``."""
    folder.mkdir(exist_ok=True)
    _write_data(folder / "data")
    cohort = simulate_cohort(n_samples=N_SAMPLES, n_sites=16, n_chromosomes=2, n_terms=1, seed=3).cohort
    samples = list(cohort.samples)
    _write_genotypes(folder, cohort, samples)
    _write_tables(folder, cohort, samples)
    _write_landscape(folder)
    (folder / "my.toml").write_text('cohort = "cohort.vcf.gz"\npheno = "traits.tsv"\ntrait = "height"\n')


def _write_data(folder: Path) -> None:
    """The example data, with fewer variants of the antibody."""
    shutil.copytree(ROOT / "data", folder)
    path = folder / "cr6261_h1.fasta.gz"
    records = gzip.decompress(path.read_bytes()).decode().split(">")[1:]
    path.write_bytes(gzip.compress("".join(f">{record}" for record in records[:N_VARIANTS]).encode()))


def _write_genotypes(folder: Path, cohort: genoattn.Cohort, samples: list[str]) -> None:
    sites = cohort.sites
    rows = [
        SimpleNamespace(
            chrom=sites.chrom[k], pos=int(sites.pos[k]), name=f"rs{k + 1}",
            ref=sites.ref[k], alts=[sites.alt[k]],
            genotypes=[("0/0", "0/1", "1/1")[c] if c >= 0 else "./." for c in cohort.calls[:, k]],
        )
        for k in range(cohort.n_sites)
    ]  # fmt: skip
    for name in ("cohort.vcf.gz", "cohort.bcf", "cohort.vcz", "genotypes.bed", "chr1.pgen"):
        write_rows(folder / name, samples, rows)
    pysam.bcftools.index(str(folder / "cohort.vcf.gz"))
    new = [SimpleNamespace(**{**vars(row), "genotypes": row.genotypes[:20]}) for row in rows]
    write_rows(folder / "new.vcf.gz", [f"new{k}" for k in range(20)], new)
    lines = [
        "##fileformat=VCFv4.3", '##FORMAT=<ID=DS,Number=A,Type=Float,Description="Dosage">',
        '##INFO=<ID=GENE,Number=1,Type=String,Description="Gene">',
        *(f"##contig=<ID={name}>" for name in dict.fromkeys(sites.chrom)),
        "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *samples]),
    ]  # fmt: skip
    noise = np.random.default_rng(1).uniform(0, 0.2, cohort.calls.shape)
    dosages = np.abs(cohort.calls - np.where(cohort.calls > 0, noise, -noise))
    for k, row in enumerate(rows):
        fixed = [row.chrom, str(row.pos), row.name, row.ref, row.alts[0], ".", "PASS", f"GENE=g{k % 3}", "DS"]
        lines.append("\t".join([*fixed, *(f"{value:.2f}" for value in dosages[:, k])]))
    (folder / "imputed.vcf.gz").write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))


def _write_tables(folder: Path, cohort: genoattn.Cohort, samples: list[str]) -> None:
    rng = np.random.default_rng(2)
    height = np.asarray(cohort.phenotype.values)
    traits = pd.DataFrame({"IID": samples, "height": height, "weight": rng.normal(70, 9, len(samples))})
    traits["case"] = (height > np.median(height)).astype(int)
    traits["eggs"] = rng.poisson(np.exp(1 + 0.3 * (height - height.mean()) / height.std()))
    traits["titre"] = np.exp(height)
    traits.to_csv(folder / "traits.tsv", sep="\t", index=False)
    for name, ids in (("covariates.tsv", samples), ("new_covariates.tsv", [f"new{k}" for k in range(20)])):
        table = pd.DataFrame(
            {"IID": ids, "age": rng.integers(20, 70, len(ids)), "PC1": rng.normal(0, 1, len(ids))}
        )
        table["medium"] = np.where(np.arange(len(ids)) % 3, "glucose", "maltose")
        table["batch"] = np.where(np.arange(len(ids)) % 2, "a", "b")
        table.to_csv(folder / name, sep="\t", index=False)
    features = pd.DataFrame({"site": [f"rs{k + 1}" for k in range(cohort.n_sites)]})
    features["gene"] = [f"g{k % 3}" for k in range(cohort.n_sites)]
    features.to_csv(folder / "features.tsv", sep="\t", index=False)


def _write_landscape(folder: Path) -> None:
    rng = np.random.default_rng(4)
    changes = {2: "R", 3: "P", 5: "L", 6: "M", 8: "S", 10: "V", 11: "E"}  # positions from 1
    carried = rng.random((N_VARIANTS, len(changes))) < 0.4
    carried[0] = False
    effect = carried @ rng.normal(0, 0.5, len(changes)) + 1.0 * carried[:, 0] * carried[:, 1]
    fitness = effect + rng.normal(0, 0.1, N_VARIANTS)
    names, sequences, mutations = [], [], []
    for k, row in enumerate(carried):
        letters = list(WILD_TYPE)
        found = [(p, residue) for (p, residue), there in zip(changes.items(), row, strict=True) if there]
        for p, residue in found:
            letters[p - 1] = residue
        names.append(f"v{k}")
        sequences.append("".join(letters))
        mutations.append(":".join(f"{WILD_TYPE[p - 1]}{p}{residue}" for p, residue in found) or "WT")
    table = pd.DataFrame({"IID": names, "sequence": sequences, "mutations": mutations, "fitness": fitness})
    table["se"] = 0.1
    table["var"] = 0.01
    for name in ("rep_a", "rep_b", "rep_c"):
        table[name] = effect + rng.normal(0, 0.1, N_VARIANTS)
    table["reads"] = rng.poisson(np.exp(2 + 0.5 * effect))
    table.to_csv(folder / "variants.csv", index=False)
    table.head(20).drop(columns="fitness").to_csv(folder / "new.csv", index=False)
    table[["IID", "fitness", "var", "se"]].to_csv(folder / "fitness.tsv", sep="\t", index=False)
    fasta = "".join(f">{name}\n{sequence}\n" for name, sequence in zip(names, sequences, strict=True))
    (folder / "variants.fasta").write_text(fasta)
    (folder / "wild_type.fasta").write_text(f">wild_type\n{WILD_TYPE}\n")
