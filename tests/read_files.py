"""A small VCF and table of phenotypes for tests of ``read``, and checks of its result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from vcf_files import record, write_text, write_vcf

from genoattn.cohort import Cohort
from genoattn.errors import InputError
from genoattn.io import read

SAMPLES = [f"s{i}" for i in range(6)]
# Copies over six samples: an ordinary site, another, and one of each kind that the filters take.
RECORDS = [
    record(["0/0", "0/1", "1/1", "0/0", "0/1", "1/1"], pos=1),
    record(["1/1", "0/0", "0/1", "0/0", "1/1", "0/1"], pos=2, alt="C,G"),
    record(["0/0", "./.", "./.", "1/1", "0/1", "0/1"], pos=3),
    record(["0/0"] * 5 + ["0/1"], pos=4),
    record(["0/0"] * 6, pos=5, alt="."),
]


def genotypes(tmp_path: Path) -> Path:
    return write_vcf(tmp_path / "g.vcf", SAMPLES, RECORDS)


def pheno(tmp_path: Path, text: str = "IID\tT\n" + "".join(f"s{i}\t{i}.5\n" for i in range(6))) -> Path:
    return write_text(tmp_path / "p.tsv", text)


def expect(message: str, *arguments: object, **options: object) -> None:
    """``read`` fails with the message on one line."""
    with pytest.raises(InputError, match=message) as caught:
        read(*arguments, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def equal(a: Cohort, b: Cohort) -> bool:
    """The same samples, sites, calls, phenotype and covariates."""
    same = a.samples.tolist() == b.samples.tolist() and a.sites.ids.tolist() == b.sites.ids.tolist()
    same = same and a.sites.states == b.sites.states and np.array_equal(a.calls, b.calls)
    for x, y in ((a.phenotype, b.phenotype), (a.covariates, b.covariates)):
        same = same and (x is None) == (y is None) and (x is None or np.array_equal(x.values, y.values))
    return same
