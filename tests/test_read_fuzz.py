"""Damaged files of genotypes: read as bcftools does, or refused in one line."""

from __future__ import annotations

import gzip
import random
import re

import numpy as np
import pysam
import pysam.bcftools
import pytest
import zarr
from fuzz import damage_bytes, damage_text, read_or_refuse
from genotype_files import vcf_of, write_rows
from oracles_genotypes import Row, expected

SAMPLES = ["a", "b", "c"]
ROWS = [
    Row("1", 10, "rs1", "A", ("C",), ("0/1", "1|1", "./.")),
    Row("1", 20, ".", "AT", ("A", "ATT"), ("0/2", "1/2", "0/0")),
    Row("1", 30, "rs3", "G", ("T",), ("1/1", "0/1", "0/0")),
    Row("X", 5, "rs4", "C", ("T",), ("0", "1", "0/1")),
    Row("X", 9, "rs5", "C", (), ("0/0", "./.", "0/0")),
    Row("2", 7, "rs6", "T", ("G",), ("0/0", "0/1", "1/1")),
]
# GT first, as the format has it: htslib takes a GT that is left out for allele 0, genoattn for missing.
KEYS = (("GT",), ("GT", "DP", "AD"))
FORMAT = "%CHROM\t%POS\t%ID\t%REF\t%ALT[\t%SAMPLE\t%GT]\n"
QUICK, THOROUGH = 150, 6000


def rounds(n_quick):
    """Seeds: some in every run of the tests, many more under ``validation``."""
    many = n_quick * THOROUGH // QUICK
    return pytest.mark.parametrize(
        "seeds",
        [
            pytest.param(range(n_quick), id="quick"),
            pytest.param(range(n_quick, many), id="thorough", marks=pytest.mark.validation),
        ],
    )


def by_bcftools(path):
    """The samples and records that bcftools reads, None where it refuses the file."""
    try:
        lines = pysam.bcftools.query("-f", FORMAT, str(path)).split("\n")[:-1]
    except (pysam.SamtoolsError, UnicodeDecodeError):
        return None
    samples, rows = [], []
    for line in lines:
        chrom, pos, name, ref, alt, *calls = line.split("\t")
        samples, genotypes = calls[::2], tuple(calls[1::2])
        rows.append(Row(chrom, int(pos), name, ref, tuple(alt.split(",")) if alt != "." else (), genotypes))
    return samples, rows


def n_left_out(cohort):
    """Records that the log counts as left out."""
    found = (re.match(r"(\d+) records left out", line) for line in cohort.log)
    return sum(int(one[1]) for one in found if one)


def sites_in_common(cohort):
    columns = cohort.sites.chrom, cohort.sites.pos.tolist(), cohort.sites.ref, cohort.sites.alt
    return list(zip(*columns, cohort.sites.states, cohort.calls.T.tolist(), strict=True))


@rounds(QUICK)
def test_vcf_is_read_as_bcftools_reads_it(tmp_path, seeds):
    n_both = 0
    for seed in seeds:
        rng = random.Random(seed)
        text = vcf_of(SAMPLES, ROWS, rng.choice(KEYS))
        for _ in range(rng.choice([1, 1, 2, 3])):
            text = damage_text(text, rng)
        path = tmp_path / f"{seed}.vcf"
        path.write_bytes(text.encode())
        cohort = read_or_refuse(path)
        theirs = by_bcftools(path) if cohort is not None else None
        if cohort is None or theirs is None:
            continue
        n_both += 1
        samples, rows = theirs
        assert cohort.samples.tolist() == samples, seed
        every = [what for _, *what in map(list, expected(rows))]
        ours = [list(site) for site in sites_in_common(cohort)]
        if n_left_out(cohort):
            assert all(site in every for site in ours), seed
        else:
            assert ours == every, seed
    assert n_both > len(seeds) / 3


@rounds(QUICK)
@pytest.mark.parametrize("info", [(), ("DP",)])
def test_damaged_bcf(tmp_path, seeds, info):
    """Of its bytes before compression, which no checksum protects; with INFO entries through htslib."""
    original = gzip.decompress(write_rows(tmp_path / "x.bcf", SAMPLES, ROWS, KEYS[1]).read_bytes())
    n_read = 0
    for seed in seeds:
        rng = random.Random(seed)
        path = tmp_path / f"{seed}.bcf"
        with pysam.BGZFile(str(path), "wb") as file:
            file.write(damage_bytes(original, rng))
        n_read += read_or_refuse(path, info=info) is not None
    assert n_read < len(seeds)


@rounds(QUICK)
@pytest.mark.parametrize("name", ["x.vcf.gz", "x.plain.vcf.gz", "x.bcf"])
def test_damaged_compression(tmp_path, seeds, name):
    """Whatever is read is what was written: checksums see the rest."""
    original = write_rows(tmp_path / name, SAMPLES, ROWS).read_bytes()
    undamaged = read_or_refuse(tmp_path / name)
    n_refused = 0
    for seed in seeds:
        path = tmp_path / f"{seed}.{name}"
        path.write_bytes(damage_bytes(original, random.Random(seed)))
        cohort = read_or_refuse(path)
        n_refused += cohort is None
        if cohort is not None:
            np.testing.assert_array_equal(cohort.calls, undamaged.calls)
    assert n_refused > len(seeds) / 2


@rounds(QUICK)
@pytest.mark.parametrize("suffix", [".bed", ".bim", ".fam", ".pgen", ".pvar", ".psam"])
def test_damaged_plink(tmp_path, seeds, suffix):
    binary = "x.bed" if suffix in (".bed", ".bim", ".fam") else "x.pgen"
    rows = [row for row in ROWS if row.chrom != "X" and (binary == "x.pgen" or len(row.alts) == 1)]
    path = write_rows(tmp_path / binary, SAMPLES, rows)
    damaged = path.with_suffix(suffix)
    original = damaged.read_bytes()
    n_read = 0
    for seed in seeds:
        rng = random.Random(seed)
        text = suffix not in (".bed", ".pgen") and rng.random() < 0.7
        damaged.write_bytes(
            damage_text(original.decode(), rng).encode() if text else damage_bytes(original, rng)
        )
        n_read += read_or_refuse(path) is not None
    assert n_read < len(seeds)


def damage_array(values, rng):
    """Alter an entry, the shape or the kind of an array."""
    values, i = values.copy(), rng.randrange(values.size)
    number = values.dtype.kind in "iu"
    some = (
        rng.choice([-3, -1, 0, 1, 9, 10, 100, 127]) if number else rng.choice(["", ".", "1", "\u00e9", "A,C"])
    )
    choice = rng.randrange(7)
    if choice < 3:
        values.reshape(-1)[i] = some
        return values
    if choice == 3:
        return values[: rng.randrange(len(values) + 1)]
    if choice == 4:
        return np.concatenate([values, values[:1]])
    if choice == 5:
        return values[..., None] if rng.random() < 0.5 else values[:1].sum(axis=0, keepdims=values.ndim < 2)
    return values.astype(object).astype(str) if number else np.arange(values.size).reshape(values.shape)


@rounds(30)
def test_damaged_zarr(tmp_path, seeds):
    """One array of a store altered, or a file of it damaged or removed."""
    rows = ROWS[:3]
    n_read = 0
    for seed in seeds:
        rng = random.Random(seed)
        path = write_rows(tmp_path / f"{seed}.vcz", SAMPLES, rows)
        if rng.random() < 0.4:
            file = rng.choice(sorted(p for p in path.rglob("*") if p.is_file()))
            if rng.random() < 0.2:
                file.unlink()
            else:
                file.write_bytes(damage_bytes(file.read_bytes(), rng))
        else:
            group = zarr.open_group(path)
            name = rng.choice(sorted(group.array_keys()))
            values = damage_array(np.asarray(group[name][...]), rng)
            kind = str if values.dtype.kind in "OUT" else values.dtype
            array = group.create_array(name, shape=values.shape, dtype=kind, overwrite=True)
            array[...] = values
        n_read += read_or_refuse(path) is not None
    assert n_read < len(seeds)
