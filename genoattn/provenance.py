"""Provenance of a result: versions of the packages, checksums of the inputs."""

import hashlib
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from genoattn.streams import is_stream, local_copy

_PACKAGES = ("genoattn", "torch", "pytorch-lightning", "numpy", "pandas", "pysam", "biopython", "statsmodels")


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages a result depends on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # run from a source tree without metadata
            found[name] = "unknown"
    return found


def input_records(source: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """File name and SHA-256 of each input, by role; a PLINK prefix stands for its ``.bed``."""
    records = {}
    for role, path in source.items():
        file = Path(path)
        if not file.is_file() and not is_stream(file):  # the prefix of a PLINK fileset
            file = Path(f"{path}.bed")
        digest = sha256(local_copy(file)) if file.exists() else ""
        records[role] = {"file": file.name if digest else Path(path).name, "sha256": digest}
    return records


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in pieces."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
