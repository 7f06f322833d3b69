"""PLINK 2 binary files (.pgen, .pvar, .psam), through pgenlib."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from genoattn.cohort import MISSING
from genoattn.errors import InputError
from genoattn.io.alleles import Alleles, in_region
from genoattn.io.plink import BLOCK_BYTES, about_x
from genoattn.io.sample_ids import named_samples
from genoattn.io.source import GenotypeSource, SiteBlock
from genoattn.io.text import check_file, decode_bytes, read_lines

_VARIABLE = 0x10  # the storage mode that plink2 writes, of records of variable length
_HEADER_BLOCK = 1 << 16  # records


class Pgen(GenotypeSource):
    """Hard calls of a PLINK 2 data set: every alternate allele is a site, counted as it is in a VCF."""

    def __init__(
        self, path: Path, region: str | None = None, haploid: str = "double", dosages: str | None = None
    ) -> None:
        import pgenlib

        check_file(path)
        psam = path.with_suffix(".psam")
        families, samples, notes = named_samples(psam, *_psam(psam))
        super().__init__(path, samples, families=families, region=region)
        self.notes += notes
        self._pvar = _pvar_path(path)
        try:
            self._variants = pgenlib.PvarReader(str(self._pvar).encode())
            self._offsets = self._variants.get_allele_idx_offsets()
            open_pgen(path, **self._options()).close()
        except RuntimeError as error:
            raise self._error(error) from None
        self._check_alleles()
        self._haploid = haploid
        self._dtype = np.dtype(np.float32 if dosages else np.int8)
        self.dosages = dosages

    def _options(self) -> dict:
        return {
            "raw_sample_ct": len(self.samples),
            "variant_ct": self._variants.get_variant_ct(),
            "allele_idx_offsets": self._offsets,
        }

    def has_phase(self) -> bool:
        """Whether some calls are phased."""
        with open_pgen(self.path, **self._options()) as file:
            return bool(file.hardcall_phase_present())

    def _check_alleles(self) -> None:
        """Raise InputError where calls are of alleles that the .pvar does not list: pgenlib merges them."""
        n = self._variants.get_variant_ct()
        counts = np.array([self._variants.get_allele_ct(i) for i in range(n)])
        wrong = np.flatnonzero(_of_several_alternates(self.path, n) & (counts == 2))
        if len(wrong):
            name = decode_bytes(self._variants.get_variant_id(int(wrong[0])))
            raise InputError(
                f"{self.path}: record {wrong[0] + 1} ({name}) has calls of several alternate alleles, and "
                f"{self._pvar.name} lists one; it belongs to another file, or was edited: make it again"
            )

    def _error(self, error: RuntimeError) -> InputError:
        text = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error.args[0])
        return InputError(
            f"{self.path}: cannot be read: {' '.join(text.split()).rstrip('.')}; it is cut short or its "
            ".pvar or .psam belongs to another one: check it with plink2 --pgen-info, or copy it again"
        )

    def _alleles(self) -> tuple[Alleles, np.ndarray]:
        """The alternate alleles, and where those of each record begin: (n_records + 1,)."""
        v, out = self._variants, Alleles.none()
        counts = [v.get_allele_ct(i) - 1 for i in range(v.get_variant_ct())]
        for i, n in enumerate(counts):
            ref, *alt = [decode_bytes(v.get_allele_code(i, k)) for k in range(n + 1)]
            name, chrom = decode_bytes(v.get_variant_id(i)), decode_bytes(v.get_variant_chrom(i))
            pos, several = int(v.get_variant_pos(i)), [n > 1] * n
            out.extend(
                Alleles([i + 1] * n, [name] * n, [chrom] * n, [pos] * n, [ref] * n, alt, several, [2] * n)
            )
        return out, np.concatenate([[0], np.cumsum(counts)])

    def blocks(self, kept: np.ndarray | None = None) -> Iterator[SiteBlock]:
        """The sites in file order, with the calls of the samples at ``kept``, None for all."""
        alleles, begin = self._alleles()
        chrom, pos = ([column[k] for k in begin[:-1]] for column in (alleles.chrom, alleles.pos))
        chosen = in_region(self.region, chrom, pos, self.path)
        self.n_records = len(chosen)
        self.notes += about_x(self._pvar, [chrom[i] for i in chosen], self._haploid)
        subset = None if kept is None else np.sort(kept).astype(np.uint32)
        order = None if kept is None else np.argsort(np.argsort(kept))
        n = len(self.samples) if kept is None else len(kept)
        step = max(1, BLOCK_BYTES // n)
        with open_pgen(self.path, sample_subset=subset, **self._options()) as file:
            for start in range(0, len(chosen), step):
                index = chosen[start : start + step].astype(np.uint32)
                first = np.empty((len(index), n), dtype=self._dtype)
                rows, found = [], list[int]()
                try:
                    read, read_one = file.read_list, file.read
                    if self._dtype == np.float32:
                        read, read_one = file.read_dosages_list, file.read_dosages
                    read(index, first)
                    for row, i in zip(first, index.tolist(), strict=True):
                        rows.append(row)
                        for allele in range(2, 1 + begin[i + 1] - begin[i]):
                            rows.append(np.empty(n, dtype=self._dtype))
                            read_one(i, rows[-1], allele_idx=allele)
                        found += range(begin[i], begin[i + 1])
                except RuntimeError as error:
                    raise self._error(error) from None
                copies = first if len(rows) == len(first) else np.array(rows)
                copies[copies < 0] = MISSING  # pgenlib writes -9
                yield SiteBlock(alleles.take(found), copies if order is None else copies[:, order])


def open_pgen(path: Path, **options: Any) -> Any:
    """The reader of pgenlib."""
    import pgenlib

    return pgenlib.PgenReader(str(path).encode(), **options)


def _pvar_path(path: Path) -> Path:
    for suffix in (".pvar", ".pvar.zst"):
        if (found := path.with_suffix(suffix)).exists():
            return found
    raise InputError(f"{path.with_suffix('.pvar')}: no such file; it belongs to {path.name}")


def _psam(path: Path) -> tuple[list[str] | None, list[str]]:
    """Family IDs, None where the file has none, and within-family IDs."""
    header, rows = ["FID", "IID"], list[list[str]]()
    for line in read_lines(path):
        if line.startswith("##") or not line.strip():
            continue
        if line.startswith("#"):
            header = line[1:].split()
            if "IID" not in header:
                raise InputError(f"{path}: no IID column in the header; make it again with plink2")
            continue
        rows.append(line.split())
    place = header.index("IID")
    if any(len(row) <= place for row in rows):
        raise InputError(f"{path}: a row without an IID; make it again with plink2")
    families = [row[0] for row in rows] if header[0] == "FID" else None
    return families, [row[place] for row in rows]


def _of_several_alternates(path: Path, n_records: int) -> np.ndarray:
    """Whether records have calls of a second alternate allele, (n_records,), by the header of a .pgen.

    PGEN specification (plink-ng, pgen_spec), section 2: bit 3 of the type of a record says so.
    """
    with path.open("rb") as file:
        head = file.read(12)
        if len(head) < 12 or head[2] != _VARIABLE:
            return np.zeros(n_records, dtype=bool)
        form, n_blocks = head[11], -(-n_records // _HEADER_BLOCK)
        wide, length = form & 15 > 3, 1 + form % 4
        file.seek(12 + 8 * n_blocks)
        types = []
        for start in range(0, n_records, _HEADER_BLOCK):
            m = min(_HEADER_BLOCK, n_records - start)
            packed = np.frombuffer(file.read(m if wide else (m + 1) // 2), dtype=np.uint8)
            own = packed if wide else np.stack([packed & 15, packed >> 4], axis=1).ravel()
            types.append(own[:m])
            # Lengths of the records, numbers of alleles, and flags of provisional references.
            file.seek(m * (length + (form >> 4 & 3)) + (-(-m // 8) if form >> 6 == 3 else 0), 1)
    found = np.concatenate([np.zeros(0, dtype=np.uint8), *types])
    return found & 8 != 0 if len(found) == n_records else np.zeros(n_records, dtype=bool)
