"""Records of genotypes written in every format that can hold them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pgenlib
import pysam
import pysam.bcftools
import zarr
from bed_reader import to_bed
from oracles_genotypes import alleles_of

CONTIGS = ("1", "2", "X", "0", "chrUn_1.2")
_META = (
    "##fileformat=VCFv4.3\n"
    + "".join(f"##contig=<ID={name}>\n" for name in CONTIGS)
    + '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
    + '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Depth">\n'
    + '##FORMAT=<ID=FT,Number=1,Type=String,Description="Filter">\n'
    + '##FORMAT=<ID=AD,Number=.,Type=Integer,Description="Depths">\n'
)
FIXED = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT"
# Another field of a sample, by key.
_OTHER = {"DP": "37", "FT": "q10;s.50", "AD": "12,0,7"}


def described(cohort):
    """The sites of a cohort as the oracle has them."""
    s = cohort.sites
    columns = s.ids, s.chrom, s.pos.tolist(), s.ref, s.alt, s.states, cohort.calls.T.tolist()
    return list(zip(*columns, strict=True))


def cell(genotype, keys, short=False):
    """A sample's column of a VCF; ``short`` leaves the entries behind GT out."""
    entries = [genotype if key == "GT" else _OTHER[key] for key in keys]
    return ":".join(entries[: keys.index("GT") + 1] if short else entries)


def vcf_lines(rows, keys=("GT",)):
    """The lines of records; every third sample leaves out what it may."""
    lines = []
    for row in rows:
        cells = [cell(g, keys, short=i % 3 == 2) for i, g in enumerate(row.genotypes)]
        fixed = row.chrom, str(row.pos), row.name, row.ref, ",".join(row.alts) or "."
        lines.append("\t".join([*fixed, "50", "PASS", ".", ":".join(keys), *cells]))
    return lines


def vcf_of(samples, rows, keys=("GT",), end="\n"):
    """A complete VCF."""
    lines = [*_META.splitlines(), "\t".join([FIXED, *samples]), *vcf_lines(rows, keys)]
    return "".join(line + end for line in lines)


def write_rows(path: Path, samples, rows, keys=("GT",)) -> Path:
    """Write the records in the format of the suffix; for PLINK's the path of its binary file is given."""
    if path.suffix == ".bed":
        return _write_bed(path, samples, rows)
    if path.suffix == ".pgen":
        return _write_pgen(path, samples, rows)
    if path.suffix == ".vcz":
        return _write_zarr(path, samples, rows)
    text = vcf_of(samples, rows, keys)
    if path.suffix == ".vcf":
        path.write_text(text)
    elif path.name.endswith(".plain.vcf.gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        plain = path.with_name("plain.vcf")
        plain.write_text(text)
        kind = "-Ob" if path.suffix == ".bcf" else "-Oz"
        pysam.bcftools.view("--no-version", kind, "-o", str(path), str(plain), catch_stdout=False)
    return path


def _allele_indices(rows, ploidy, missing=-1, fill=-2):
    """Shape (n_rows, n_samples, ploidy)."""
    padded = [[[missing if a is None else a for a in alleles_of(g)] for g in row.genotypes] for row in rows]
    return np.array([[g + [fill] * (ploidy - len(g)) for g in row] for row in padded], dtype=np.int8)


def _write_zarr(path, samples, rows):
    """The arrays of bio2zarr that genotypes need, in chunks of two records."""
    ploidy = max(len(alleles_of(g)) for row in rows for g in row.genotypes)
    n_alleles = 1 + max(len(row.alts) for row in rows)
    contigs = list(dict.fromkeys(row.chrom for row in rows))
    alleles = [[row.ref, *row.alts] + [""] * (n_alleles - 1 - len(row.alts)) for row in rows]
    arrays = {
        "call_genotype": _allele_indices(rows, ploidy),
        "variant_position": np.array([row.pos for row in rows], dtype=np.int32),
        "variant_contig": np.array([contigs.index(row.chrom) for row in rows], dtype=np.int8),
        "variant_id": np.array([row.name for row in rows], dtype=object),
        "variant_allele": np.array(alleles, dtype=object),
        "contig_id": np.array(contigs, dtype=object),
        "sample_id": np.array(samples, dtype=object),
    }
    group = zarr.open_group(path, mode="w", zarr_format=2)
    for name, values in arrays.items():
        chunks = (2, *values.shape[1:]) if name.startswith(("call", "variant")) else values.shape
        kind = str if values.dtype == object else values.dtype
        array = group.create_array(name, shape=values.shape, chunks=chunks, dtype=kind)
        array[...] = values
    return path


def _write_bed(path, samples, rows):
    """Copies of the alternate allele, which is A1; biallelic diploid records only."""
    indices = _allele_indices(rows, 2)
    copies = np.where((indices < 0).any(axis=2), -127, indices.sum(axis=2)).astype(np.int8)
    properties = {
        "fid": ["f"] * len(samples),
        "iid": list(samples),
        "chromosome": [row.chrom for row in rows],
        "sid": [row.name for row in rows],
        "bp_position": [row.pos for row in rows],
        "allele_1": [row.alts[0] for row in rows],
        "allele_2": [row.ref for row in rows],
    }
    to_bed(path, copies.T, properties=properties, count_A1=True)
    return path


def _write_pgen(path, samples, rows):
    """Diploid records of any number of alternates."""
    path.with_suffix(".psam").write_text("#IID\tSEX\n" + "".join(f"{name}\tNA\n" for name in samples))
    lines = [f"{r.chrom}\t{r.pos}\t{r.name}\t{r.ref}\t{','.join(r.alts) or '.'}\n" for r in rows]
    path.with_suffix(".pvar").write_text("#CHROM\tPOS\tID\tREF\tALT\n" + "".join(lines))
    most = 1 + max(2, *(len(row.alts) for row in rows))
    indices = _allele_indices(rows, 2, missing=-9).astype(np.int32)
    with pgenlib.PgenWriter(str(path).encode(), len(samples), len(rows), False, allele_ct_limit=most) as file:
        for row, own in zip(rows, indices, strict=True):
            file.append_alleles(own.reshape(-1).copy(), allele_ct=1 + max(1, len(row.alts)))
    return path
