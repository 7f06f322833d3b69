"""Formats of ``read`` by suffix, and its options."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from read_files import RECORDS, SAMPLES, expect, genotypes, pheno
from vcf_files import write_text, write_vcf

from genoattn.io import read


def test_suffixes(tmp_path: Path) -> None:
    for name in ("a.fasta", "a.FA", "a.fas", "a.afa", "a.faa"):
        path = write_text(tmp_path / name, ">a\nMW\n>b\nMC\n")
        assert read(path).kind == "sequence"
    assert read(str(path)).n_sites == 1
    for name in ("a.vcf", "a.vcf.gz", "a.bcf"):
        assert read(write_vcf(tmp_path / name, SAMPLES, RECORDS)).kind == "genotype"
    bgz = tmp_path / "a.vcf.bgz"
    bgz.write_bytes((tmp_path / "a.vcf.gz").read_bytes())
    assert read(bgz).n_samples == 6


@pytest.mark.parametrize("name", ["a.vcf", "a.vcf.gz", "a.bcf", "a.fa", "a.bim", "prefix", "a.txt"])
def test_missing_file(tmp_path: Path, name: str) -> None:
    expect(rf"{name}: no such file; check the path", tmp_path / name)


def test_suffix_errors(tmp_path: Path) -> None:
    expect(
        r"a.txt: unknown suffix '.txt'; readable are .vcf, .vcf.gz, .vcf.bgz, .bcf, .bed, .pgen, .*.fasta",
        write_text(tmp_path / "a.txt", "x"),
    )
    expect(r"a.vcz: no such folder; check the path", tmp_path / "a.vcz")
    expect(r"a.pgen: no such file; check the path", tmp_path / "a.pgen")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"maf": 0.6}, r"maf is 0.6; give a minor allele frequency from 0 to 0.5"),
        ({"maf": float("nan")}, r"maf is nan"),
        ({"max_missing": -0.1}, r"max_missing is -0.1; give a fraction from 0 to 1"),
        ({"max_missing": float("nan")}, r"max_missing is nan"),
        ({"transform": "sqrt"}, r"transform is 'sqrt'; choose one of none, log, rank"),
        ({"trait_type": "ordinal"}, r"trait_type is 'ordinal'; choose one of auto, quantitative, binary"),
        ({"alphabet": "rna"}, r"alphabet is 'rna'; choose one of auto, dna, diploid, protein, symbols"),
        ({"trait": "T"}, r"trait 'T' without a table; give the phenotypes too"),
        ({"reference": "wt"}, r"g.vcf: reference and alphabet are for alignments; leave them out"),
        ({"alphabet": "dna"}, r"g.vcf: reference and alphabet are for alignments"),
    ],
)
def test_option_errors(tmp_path: Path, options: dict[str, object], message: str) -> None:
    expect(message, genotypes(tmp_path), **options)


def test_more_option_errors(tmp_path: Path) -> None:
    fitted = read(genotypes(tmp_path), covar=pheno(tmp_path)).covariates
    expect(
        r"covariates_like expands covar for prediction; give covar, and no phenotypes",
        genotypes(tmp_path),
        covariates_like=fitted,
    )
    fasta = write_text(tmp_path / "x.fa", ">a\nM\n")
    expect(r"x.fa: an alignment has no regions; leave the region 1:1-2 out", fasta, region="1:1-2")


def test_import_is_light() -> None:
    code = "import genoattn.io, sys; print({'torch', 'pandas', 'pysam', 'scipy', 'Bio'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
