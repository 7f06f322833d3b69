"""How the calls of a file are written: keys of FORMAT, and phase."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np

from genoattn.describe.file_kinds import FileKind
from genoattn.describe.summaries import CallLayout, Phased
from genoattn.io.bcf import Bcf
from genoattn.io.byte_blocks import byte_blocks
from genoattn.io.pgen import Pgen
from genoattn.io.record_kernels import N_FIXED
from genoattn.io.text import decode_bytes
from genoattn.io.vcf import line_blocks
from genoattn.streams import local_copy

_HEAD = 100  # records that are looked at
_WIDTHS = {1: 1, 2: 2, 3: 4, 5: 4, 7: 1}  # bytes of a value of a BCF, by its type


def describe_layout(found: FileKind, n_samples: int) -> CallLayout:
    """Keys of FORMAT and phase of the first records; of PLINK 2 and of other formats as the file has it."""
    if found.format == "VCF":
        return _of_lines(_lines(found))
    if found.format == "BCF":
        return _of_bcf(Bcf(found.path), n_samples)
    if found.format == "PLINK 2":
        phased = Pgen(found.path).has_phase()
        return CallLayout((), "some" if phased else "none", 0)
    if found.format == "VCF Zarr":
        return _of_zarr(found)
    return CallLayout((), "none" if found.format == "PLINK 1" else None, 0)


def _lines(found: FileKind) -> Iterable[str]:
    for block in line_blocks(byte_blocks(found.path)):
        for line in block.splitlines():
            if line.strip() and not line.startswith(b"#"):
                yield decode_bytes(line)


def _of_lines(lines: Iterable[str]) -> CallLayout:
    keys: dict[str, None] = {}
    n_records = n_phased = n_unphased = 0
    for line in islice(lines, _HEAD):
        form, *entries = line.rstrip("\r\n").split("\t")[N_FIXED - 1 :]
        own = form.split(":")
        keys |= dict.fromkeys(own)
        n_records += 1
        if own[0] != "GT":
            continue
        calls = [entry.partition(":")[0] for entry in entries]
        n_phased += sum("|" in call for call in calls)
        n_unphased += sum("/" in call and "." not in call for call in calls)
    return CallLayout(tuple(keys), _phased(n_phased, n_unphased), n_records)


def _phased(n_phased: int, n_unphased: int) -> Phased | None:
    """Phase of calls of two alleles or more, None where there is no such call."""
    if not n_phased:
        return "none" if n_unphased else None
    return "some" if n_unphased else "all"


def _of_bcf(file: Bcf, n_samples: int) -> CallLayout:
    """The same of a BCF: an allele is (index + 1) << 1, with the phase in the lowest bit."""
    keys: dict[str, None] = {}
    n_records = n_phased = n_unphased = 0
    for n_entries, data in file.formats(_HEAD):
        n_records, at = n_records + 1, 0
        for _ in range(n_entries):
            _, width, at = _typed(data, at)
            key = file.strings.get(int.from_bytes(data[at : at + width], "little"), "?")
            n_values, width, at = _typed(data, at + width)
            keys[key] = None
            if key == "GT" and n_values > 1:
                kind = f"<i{width}"
                values = np.frombuffer(data, kind, n_samples * n_values, at).reshape(n_samples, n_values)
                known, phase = values[:, 1] > 1, values[:, 1] & 1
                n_phased += int((known & (phase == 1)).sum())
                n_unphased += int((known & (phase == 0) & (values[:, 0] > 1)).sum())
            at += n_samples * n_values * width
    return CallLayout(tuple(keys), _phased(n_phased, n_unphased), n_records)


def _typed(data: bytes, at: int) -> tuple[int, int, int]:
    """Number of values, bytes of each, and where they begin, of typed values of a BCF (VCF 4.4, 6.3.3)."""
    n, width, at = data[at] >> 4, _WIDTHS.get(data[at] & 15, 0), at + 1
    if n == 15:  # the number follows, as a typed integer
        size = _WIDTHS[data[at] & 15]
        n, at = int.from_bytes(data[at + 1 : at + 1 + size], "little"), at + 1 + size
    return n, width, at


def _of_zarr(found: FileKind) -> CallLayout:
    import zarr

    local = local_copy(found.path)
    group: Any = zarr.open_group(zarr.storage.ZipStore(local) if local.is_file() else local, mode="r")
    names = sorted(name.removeprefix("call_") for name in group.array_keys() if name.startswith("call_"))
    keys = [
        "GT" if name == "genotype" else name
        for name in names
        if name != "genotype_phased" and not name.endswith("_mask")
    ]
    if "call_genotype_phased" not in group:
        return CallLayout(tuple(keys), None, 0)
    some = group["call_genotype_phased"][:_HEAD]
    phased: Phased = "all" if some.all() else "some" if some.any() else "none"
    return CallLayout(tuple(keys), phased, len(some))
