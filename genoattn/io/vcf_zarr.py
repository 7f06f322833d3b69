"""VCF Zarr (.vcz), what bio2zarr and sgkit write: records in chunks of arrays."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from genoattn.errors import InputError
from genoattn.io.alleles import in_region
from genoattn.io.code_kernels import pack_alleles
from genoattn.io.genotype_records import RecordDecoder, Records, join_blocks
from genoattn.io.record_kernels import IRREGULAR, REGULAR
from genoattn.io.source import GenotypeSource, SiteBlock
from genoattn.io.text import decode_bytes

_STEP = 1000  # records at a time
# Arrays, with their dimensions and whether they hold integers, else text.
_NEEDED = {
    "call_genotype": (3, True),
    "variant_position": (1, True),
    "variant_contig": (1, True),
    "variant_allele": (2, False),
    "contig_id": (1, False),
    "sample_id": (1, False),
}
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
        self._group = _open(path) if dataset is None else _checked(path, dataset, dataset)
        super().__init__(path, _texts(_values(path, self._group, "sample_id")), region=region)
        self._check()
        self.decoder = RecordDecoder(path, self.samples, (), haploid == "double", strict)

    def _check(self) -> None:
        """Raise InputError unless the arrays have as many records and samples as the genotypes."""
        genotypes = self._group["call_genotype"]
        n = genotypes.shape[0]
        for name in ("variant_position", "variant_contig", "variant_allele", "variant_id"):
            if name in self._group and self._group[name].shape[:1] != (n,):
                raise InputError(
                    f"{self.path}: {name} has the shape {self._group[name].shape}, but call_genotype has {n} "
                    "records; make the store again with: vcf2zarr convert"
                )
        if genotypes.shape[1] != len(self.samples) or not genotypes.shape[2]:
            raise InputError(
                f"{self.path}: call_genotype has the shape {genotypes.shape}, but there are "
                f"{len(self.samples)} samples; make the store again with: vcf2zarr convert"
            )

    def _records(self) -> Records:
        """The fixed columns of all records."""
        path, group = self.path, self._group
        contigs = dict(enumerate(_texts(_values(path, group, "contig_id"))))
        pos = _values(path, group, "variant_position").tolist()
        numbers = _values(path, group, "variant_contig").tolist()
        absent = next((c for c in numbers if c not in contigs), None)
        if absent is not None:
            raise InputError(
                f"{path}: variant_contig names contig {absent}, but contig_id has {len(contigs)}; "
                "make the store again with: vcf2zarr convert"
            )
        chrom = [contigs[c] for c in numbers]
        names = _texts(_values(path, group, "variant_id")) if "variant_id" in group else ["."] * len(pos)
        # Rows are filled up with empty texts.
        alleles = [",".join(_texts(row)).rstrip(",") for row in _values(path, group, "variant_allele")]
        ref = [row.partition(",")[0] for row in alleles]
        alt = [row.partition(",")[2] or "." for row in alleles]
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
            with _reading(self.path, "call_genotype"):
                calls = np.asarray(genotypes[start : start + step])[inside - start]
            yield self._block(records.take(inside), calls if kept is None else calls[:, kept])
        self.decoder.left_out.check(self.n_records)

    def _block(self, records: Records, calls: np.ndarray) -> SiteBlock:
        """The sites of records, from allele indices (n_records, n_samples, ploidy)."""
        status = np.full(len(records), IRREGULAR, dtype=np.uint8)
        codes = np.empty(calls.shape[:2], dtype=np.uint8)
        if calls.shape[2] <= 2:
            pack_alleles(np.ascontiguousarray(calls), codes, status)
        if (status == REGULAR).all():
            return self.decoder.decode(records, codes)
        parts = []
        for k in range(len(records)):
            if status[k] == REGULAR:
                parts.append(self.decoder.decode_one(records[k], codes[k].astype(np.intp)))
                continue
            alleles = calls[k].tolist()
            texts = ["/".join("." if a < 0 else str(a) for a in row if a != _FILL) or "." for row in alleles]
            parts.append(self.decoder.decode_texts(records[k], texts))
        return join_blocks(parts, calls.shape[1])

    def log(self) -> list[str]:
        """What was found, one readable line each."""
        return self.decoder.log()


@contextmanager
def _reading(path: Path, name: str) -> Iterator[None]:
    """Errors of a store in words: zarr and its codecs raise those of all their parts."""
    try:
        yield
    except Exception as error:
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(f"{path}: {name} cannot be read ({what}); copy the store again") from error


def _values(path: Path, group: Any, name: str) -> np.ndarray:
    """All values of an array."""
    with _reading(path, name):
        return np.asarray(group[name][...])


def _open(path: Path) -> Any:
    """The group of a store that has what genotypes need."""
    import zarr

    if not path.exists():
        raise InputError(f"{path}: no such folder; check the path")
    try:
        group = zarr.open_group(zarr.storage.ZipStore(path) if path.is_file() else path, mode="r")
        return _checked(path, group, set(group.array_keys()))
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path}: not a Zarr store; make one with: vcf2zarr convert") from error


def _checked(path: Path, group: Any, there: Collection[str]) -> Any:
    """The group, which has what genotypes need."""
    for name, (n_dimensions, integers) in _NEEDED.items():
        if name not in there:
            raise InputError(
                f"{path}: no {name} in the store, which a VCF Zarr with genotypes has; "
                "make it again with: vcf2zarr convert"
            )
        array = group[name]
        if array.ndim != n_dimensions or array.dtype.kind not in ("iu" if integers else "OSTU"):
            raise InputError(
                f"{path}: {name} has {array.ndim} dimensions of {array.dtype}, not {n_dimensions} of "
                f"{'integers' if integers else 'text'}; make the store again with: vcf2zarr convert"
            )
    return group


def _texts(values: np.ndarray) -> list[str]:
    """Strings, however the store holds them."""
    return [decode_bytes(v) if isinstance(v, bytes) else str(v) for v in values.tolist()]
