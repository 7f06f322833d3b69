"""VCF Zarr (.vcz), what bio2zarr and sgkit write: records in chunks of arrays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from genoattn.errors import InputError
from genoattn.io.alleles import in_region
from genoattn.io.genotype_records import RecordDecoder, Records, join_blocks
from genoattn.io.record_kernels import MISSING_ALLELE, NO_ALLELE
from genoattn.io.source import GenotypeSource, SiteBlock

_NEEDED = ("call_genotype", "variant_position", "variant_contig", "variant_allele", "contig_id", "sample_id")
_STEP = 1000  # records at a time
_FILL = -2  # in place of the alleles that a sample of lower ploidy does not have


class VcfZarr(GenotypeSource):
    """Hard calls of a VCF Zarr store, a folder or a ``.zip`` of one, or of a data set of sgkit in memory."""

    def __init__(
        self,
        path: Path,
        region: str | None = None,
        haploid: Literal["as-is", "double"] = "double",
        strict: bool = False,
        dataset: Any = None,
    ) -> None:
        self._group = _open(path) if dataset is None else _checked(path, dataset)
        super().__init__(path, _texts(self._array("sample_id")), region=region)
        self.decoder = RecordDecoder(path, self.samples, (), haploid == "double", strict)

    def _array(self, name: str) -> np.ndarray:
        return np.asarray(self._group[name][:])

    def _records(self) -> Records:
        """The fixed columns of all records."""
        contigs = _texts(self._array("contig_id"))
        pos = self._array("variant_position").tolist()
        chrom = [contigs[c] for c in self._array("variant_contig").tolist()]
        names = _texts(self._array("variant_id")) if "variant_id" in self._group else ["."] * len(pos)
        alleles = [[text for text in _texts(row) if text] or [""] for row in self._array("variant_allele")]
        ref, alt = [row[0] for row in alleles], [",".join(row[1:]) or "." for row in alleles]
        return Records(list(range(1, len(pos) + 1)), chrom, pos, [n or "." for n in names], ref, alt)

    def blocks(self, kept: np.ndarray | None = None) -> Iterator[SiteBlock]:
        """The sites in file order, with the calls of the samples at ``kept``, None for all."""
        if kept is not None:
            self.decoder.samples = [self.samples[i] for i in kept]
        records = self._records()
        chosen = in_region(self.region, records.chrom, records.pos, self.path)
        genotypes = self._group["call_genotype"]
        # A chunk of a store at a time; what is in memory may have no chunks.
        first = (getattr(genotypes, "chunks", None) or (_STEP,))[0]
        step = first if isinstance(first, int) else _STEP
        for start in range(0, len(records), step):
            inside = chosen[(chosen >= start) & (chosen < start + step)]
            if not len(inside):
                continue
            self.n_records += len(inside)
            calls = np.asarray(genotypes[start : start + step])[inside - start]
            yield self._block(records.take(inside), calls if kept is None else calls[:, kept])
        self.decoder.left_out.check(self.n_records)

    def _block(self, records: Records, calls: np.ndarray) -> SiteBlock:
        """The sites of records, from allele indices (n_records, n_samples, ploidy)."""
        if calls.shape[2] <= 2 and calls.max(initial=0) <= 9:
            packed = np.where(calls == _FILL, NO_ALLELE, np.where(calls < 0, MISSING_ALLELE, calls))
            packed = packed.astype(np.uint8)
            second = packed[:, :, 1] if calls.shape[2] == 2 else np.uint8(NO_ALLELE)
            return self.decoder.decode(records, packed[:, :, 0] | second << np.uint8(4))
        parts = []
        for k, own in enumerate(calls.tolist()):
            texts = ["/".join("." if a < 0 else str(a) for a in row if a != _FILL) for row in own]
            parts.append(
                self.decoder.decode_one(records[k], self.decoder.codes.encode(t or "." for t in texts))
            )
        return join_blocks(parts, calls.shape[1])

    def log(self) -> list[str]:
        """What was found, one readable line each."""
        return self.decoder.log()


def _open(path: Path) -> Any:
    """The group of a store that has what genotypes need."""
    import zarr

    if not path.exists():
        raise InputError(f"{path}: no such folder; check the path")
    try:
        group = zarr.open_group(zarr.storage.ZipStore(path) if path.is_file() else path, mode="r")
        return _checked(path, group)
    except InputError:
        raise
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: not a Zarr store; make one with: vcf2zarr convert") from error


def _checked(path: Path, group: Any) -> Any:
    absent = [name for name in _NEEDED if name not in group]
    if absent:
        raise InputError(
            f"{path}: no {absent[0]} in the store, which a VCF Zarr with genotypes has; "
            "make it again with: vcf2zarr convert"
        )
    return group


def _texts(values: np.ndarray) -> list[str]:
    """Strings, however the store holds them."""
    return [v.decode() if isinstance(v, bytes) else str(v) for v in values.tolist()]
