"""Filters of ``read``: frequencies, missingness, limits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from read_files import RECORDS, SAMPLES, expect, genotypes
from vcf_files import record, write_text, write_vcf

from genoattn.io import read
from genoattn.io.filters import summarise_sites


def test_frequencies_by_hand(tmp_path: Path) -> None:
    cohort = read(genotypes(tmp_path), filters=False)
    # Copies over two chromosomes of the called: 6/12, 6/12, 0/12 (G), 4/8, 1/12 and 0.
    for calls in (cohort.calls, cohort.calls.astype(np.float32)):
        sites = summarise_sites("genotype", calls, cohort.sites.n_states)
        np.testing.assert_allclose(sites.minor_frequency, [0.5, 0.5, 0, 0.5, 1 / 12, 0])
        assert sites.n_called.tolist() == [6, 6, 6, 4, 6, 6]
        assert sites.varies.tolist() == [True, True, False, True, True, False]


def test_frequencies_from_the_definition(tmp_path: Path) -> None:
    """Oracle: list the chromosomes of the called samples one by one."""
    rng = np.random.default_rng(1)
    words = np.array(["0/0", "0/1", "1/1", "./.", "1|0"])
    rows = [record(list(rng.choice(words, size=20)), pos=i + 1) for i in range(30)]
    cohort = read(write_vcf(tmp_path / "r.vcf", [f"s{i}" for i in range(20)], rows), filters=False)
    sites = summarise_sites("genotype", cohort.calls, cohort.sites.n_states)
    missing_shares = 1 - sites.n_called / 20
    for row, frequency, missing in zip(rows, sites.minor_frequency, missing_shares, strict=True):
        called = [g for g in row.split("\t")[9:] if "." not in g]
        chromosomes = [a for g in called for a in g.replace("|", "/").split("/")]
        share = chromosomes.count("1") / len(chromosomes)
        assert frequency == pytest.approx(min(share, 1 - share))
        assert missing == pytest.approx(1 - len(called) / 20)


def test_everything_filtered(tmp_path: Path) -> None:
    rows = [RECORDS[2], RECORDS[3], RECORDS[4], record(["./."] * 6, pos=9)]
    path = write_vcf(tmp_path / "g.vcf", SAMPLES, rows)
    expect(
        r"g.vcf: no site is left of 4 records \(4 sites\) in 6 samples: 1 monomorphic, "
        r"2 over the missingness limit 0.1, 1 under the minor allele frequency 0.1; "
        r"loosen the filter that dropped most, or check the samples$",
        path,
        maf=0.1,
    )
    # With no limit on missingness, a site without any call is still not worth a column.
    cohort = read(path, maf=0, max_missing=1)
    assert cohort.sites.pos.tolist() == [3, 4]
    assert "kept 2 (2 monomorphic, 0 over the missingness limit 1, 0 under" in cohort.log[-1]


def test_limits_are_inclusive(tmp_path: Path) -> None:
    path = write_vcf(tmp_path / "g.vcf", SAMPLES, [record(["0/0", "0/1", "1/1", "./.", "./.", "./."])])
    assert read(path, maf=0.5, max_missing=0.5).n_sites == 1


def test_default_frequency_limits(tmp_path: Path) -> None:
    many = [f"s{i}" for i in range(100)]
    rows = [
        record(["0/1"] + ["0/0"] * 99, pos=1),
        record(["0/1", "0/1"] + ["0/0"] * 98, pos=2),
    ]
    # 1/200 is under 0.01, 2/200 is not.
    assert read(write_vcf(tmp_path / "g.vcf", many, rows)).sites.pos.tolist() == [2]
    fasta = write_text(tmp_path / "x.fa", "".join(f">s{i}\nM{'W' if i else 'C'}\n" for i in range(200)))
    cohort = read(fasta)
    assert cohort.sites.ids.tolist() == ["C2"]
    assert cohort.log[-1].startswith("read 200 sequences (2 sites), kept 1 (1 monomorphic, 0 over")
    # In a sequence all residues but the commonest are the minor ones: 1/200.
    sites = summarise_sites("sequence", cohort.calls, cohort.sites.n_states)
    np.testing.assert_allclose(sites.minor_frequency, [1 / 200])
    expect(r"1 monomorphic, .* 1 under the minor allele frequency 0.01", fasta, maf=0.01)
