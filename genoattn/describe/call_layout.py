"""How the calls of a file are written: keys of FORMAT, and phase."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from genoattn.describe.file_kinds import FileKind
from genoattn.describe.summaries import CallLayout, Phased
from genoattn.io.byte_blocks import byte_blocks
from genoattn.io.indexed import quiet_htslib
from genoattn.io.record_kernels import N_FIXED
from genoattn.io.text import decode_bytes
from genoattn.io.vcf import line_blocks
from genoattn.streams import local_copy

_HEAD = 100  # records that are looked at


def describe_layout(found: FileKind, n_samples: int) -> CallLayout:
    """Keys of FORMAT and phase of the first records; of PLINK 2 and of other formats as the file has it."""
    if found.format in ("VCF", "BCF"):
        return _of_lines(_bcf_lines(found) if found.format == "BCF" else _vcf_lines(found))
    if found.format == "PLINK 2":
        import pgenlib

        with pgenlib.PgenReader(str(found.path).encode(), raw_sample_ct=n_samples) as file:
            return CallLayout((), "some" if file.hardcall_phase_present() else "none", 0)
    if found.format == "VCF Zarr":
        return _of_zarr(found)
    return CallLayout((), "none" if found.format == "PLINK 1" else None, 0)


def _vcf_lines(found: FileKind) -> Iterable[str]:
    for block in line_blocks(byte_blocks(found.path)):
        for line in block.splitlines():
            if line.strip() and not line.startswith(b"#"):
                yield decode_bytes(line)


def _bcf_lines(found: FileKind) -> Iterable[str]:
    import pysam

    with quiet_htslib(), pysam.VariantFile(str(local_copy(found.path))) as file:
        yield from (str(record) for record in file)


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
    phased: Phased | None = None
    if n_phased or n_unphased:
        phased = "none" if not n_phased else "some" if n_unphased else "all"
    return CallLayout(tuple(keys), phased, n_records)


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
