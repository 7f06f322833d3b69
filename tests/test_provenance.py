"""Versions and checksums."""

import hashlib
import platform
from importlib.metadata import PackageNotFoundError

import numpy
import torch

from genoattn import provenance
from genoattn.provenance import input_records, package_versions, sha256


def test_sha256_of_a_file_longer_than_one_piece(tmp_path):
    content = bytes(range(256)) * 9000  # 2.3 MB, read in pieces of 1 MiB
    path = tmp_path / "big"
    path.write_bytes(content)
    assert sha256(path) == hashlib.sha256(content).hexdigest()
    empty = tmp_path / "empty"
    empty.touch()
    assert sha256(empty) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_records_name_files_without_their_folder(tmp_path):
    path = tmp_path / "pheno.tsv"
    path.write_text("IID\ty\n")
    (tmp_path / "cohort.v2.bed").write_bytes(b"l")
    source = {"phenotypes": path, "genotypes": tmp_path / "cohort.v2", "covariates": tmp_path / "missing.tsv"}
    assert input_records({role: str(name) for role, name in source.items()}) == {
        "phenotypes": {"file": "pheno.tsv", "sha256": hashlib.sha256(b"IID\ty\n").hexdigest()},
        "genotypes": {"file": "cohort.v2.bed", "sha256": hashlib.sha256(b"l").hexdigest()},  # a PLINK prefix
        "covariates": {"file": "missing.tsv", "sha256": ""},
    }
    assert input_records({}) == {}


def test_versions_of_what_a_result_depends_on(monkeypatch):
    versions = package_versions()
    assert versions["python"] == platform.python_version()
    assert versions["numpy"] == numpy.__version__
    assert torch.__version__.startswith(versions["torch"].split("+")[0])
    assert {"genoattn", "pytorch-lightning", "pandas", "pysam"} <= set(versions)

    def absent(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(provenance, "version", absent)
    assert package_versions()["genoattn"] == "unknown"
