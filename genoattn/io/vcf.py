"""VCF and BCF: every alternate allele is a site, a call is its number of copies.

Text is split here, not by htslib: a record becomes one dictionary look-up a sample, and a mistake in it can
be named. htslib reads BCF and the indexes of regions.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from genoattn.cohort import Cohort
from genoattn.errors import InputError
from genoattn.io.alleles import Allele, build_sites, check_distinct, n_shared_ids, parse_region
from genoattn.io.genotype_strings import GenotypeCodes, MalformedGenotypeError, parse_genotype
from genoattn.io.tables import MISSING_TEXT
from genoattn.io.text import check_bgzip_end, check_file, is_bgzip, read_lines

if TYPE_CHECKING:
    from pysam import VariantFile, VariantRecord

_FIXED = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"]


def read_vcf(
    path: Path,
    region: str | None = None,
    info: tuple[str, ...] = (),
    haploid: Literal["as-is", "double"] = "double",
) -> tuple[Cohort, str]:
    """Read a VCF (plain, gzip or bgzip) or BCF: a cohort before matching and filters, and a line in words.

    Genotypes of any ploidy, phased or not; one with any missing allele is missing. There is one site for each
    alternate allele in file order; a record without one is a site whose ``alt`` is ``.``. A site has one
    state more than the largest ploidy seen among its called samples. Options as in ``genoattn.read``.
    """
    check_file(path)
    is_bcf = path.name.lower().endswith(".bcf")
    samples = _bcf_samples(path) if is_bcf else _text_samples(path)
    _check_samples(path, samples)
    if is_bcf:
        lines = _bcf_records(path, region)
    else:
        lines = _text_records(path) if region is None else _region_records(path, region)
    reader = _Reader(path, samples, info, haploid == "double")
    with closing(lines):
        for line in lines:
            reader.add(line)
    if reader.n_records == 0:
        where = f" in region {region}; choose another region" if region else "; it has only a header"
        raise InputError(f"{path}: no records{where}")
    return reader.cohort(), f"{reader.n_records} records ({len(reader.alleles)} sites)"


@dataclass
class _Reader:
    """Records become calls one at a time; ``cohort`` puts them together."""

    path: Path
    samples: list[str]
    info: tuple[str, ...] = ()
    double: bool = True
    labels: list[list[str]] = field(default_factory=list)
    codes: GenotypeCodes = field(default_factory=GenotypeCodes)
    alleles: list[Allele] = field(default_factory=list)
    calls: list[np.ndarray] = field(default_factory=list)
    n_records: int = 0
    n_half_missing: int = 0
    haploid: dict[str, tuple[int, int]] = field(default_factory=dict)
    single: list[np.ndarray] = field(default_factory=list)  # per site, where haploid calls are not doubled

    def add(self, line: str) -> None:
        """Read one record, a line without its end."""
        self.n_records += 1
        fields = line.split("\t")
        self._check_columns(fields)
        chrom, pos, record_id, ref, alt = fields[:5]
        genotypes = self._genotypes(fields)
        try:
            codes = self.codes.encode(genotypes)
        except MalformedGenotypeError as error:
            sample = self.samples[genotypes.index(error.args[0])]
            raise InputError(
                f"{self._where(fields)}: sample {sample} has the malformed genotype '{error.args[0]}'; "
                "write allele indices as in 0/1"
            ) from None
        alternates = alt.split(",")
        self._check_alleles(fields, genotypes, codes, 0 if alt == "." else len(alternates))
        self.n_half_missing += self.codes.n_half_missing(codes)
        ploidy, single = self._ploidy(fields, codes)
        several = len(alternates) > 1
        for index, name in enumerate(alternates):
            allele = Allele(self.n_records, record_id, chrom, int(pos), ref, name, several, ploidy)
            self.alleles.append(allele)
            copies = self.codes.copies(codes, index + 1)
            double = self.double and single.any()
            self.calls.append(np.where(single, 2 * copies, copies) if double else copies)
            if not self.double:
                self.single.append(single)
            self.labels.append([info_label(fields[7], k, index, len(alternates)) for k in self.info])

    def _ploidy(self, fields: list[str], codes: np.ndarray) -> tuple[int, np.ndarray]:
        """The largest ploidy among called samples, and which have a haploid call among diploid ones.

        Of mixtures these alone make sense: chrX of males and females.
        """
        ploidies = self.codes.ploidies(codes)
        largest = int(ploidies.max())
        fewer = (ploidies > 0) & (ploidies < largest)
        if largest > 2 and fewer.any():
            sample = self.samples[int(ploidies.argmax())]
            raise InputError(
                f"{self._where(fields)}: sample {sample} has {largest} alleles where others have fewer; "
                "correct the genotype or set it to missing"
            )
        if fewer.any():
            n_calls, n_records = self.haploid.get(fields[0], (0, 0))
            self.haploid[fields[0]] = (n_calls + int(fewer.sum()), n_records + 1)
        return largest, fewer

    def cohort(self) -> Cohort:
        """The cohort of all records added."""
        check_distinct(self.path, self.alleles, "keep one of them, for example with: bcftools norm -d exact")
        # A record without any call takes the ploidy of the others.
        default = max(a.ploidy for a in self.alleles) or 2
        alleles = [a if a.ploidy else a._replace(ploidy=default) for a in self.alleles]
        log = []
        if self.n_half_missing:
            log.append(f"{self.n_half_missing} half-missing genotypes (such as ./1) read as missing")
        log += [
            f"{n_calls} haploid calls among diploid ones at {n_records} records of {chrom} count "
            f"{'0 or 2' if self.double else '0 or 1'} copies; give sex as a covariate"
            for chrom, (n_calls, n_records) in self.haploid.items()
        ]
        if n_shared := n_shared_ids(alleles):
            log.append(
                f"{n_shared} records share their ID with another record, named chrom:pos:ref:alt instead"
            )
        calls = np.ascontiguousarray(np.array(self.calls, dtype=np.int8).T)
        sites = replace(build_sites(alleles), features=self._features())
        single = np.array(self.single).T if self.single and self.haploid else None
        return Cohort(np.array(self.samples, dtype=object), sites, calls, log=tuple(log), is_haploid=single)

    def _features(self) -> dict[str, np.ndarray]:
        """Labels of each INFO entry asked for, by its key; an error for one that no record has."""
        features = {}
        for k, key in enumerate(self.info):
            labels = np.array([row[k] for row in self.labels], dtype=object)
            if not any(labels):
                raise InputError(
                    f"{self.path}: no record has the INFO entry {key}; list what there is: bcftools head"
                )
            features[key] = labels
        return features

    def _where(self, fields: list[str]) -> str:
        return f"{self.path}, record {self.n_records} ({':'.join(fields[:2])})"

    def _check_columns(self, fields: list[str]) -> None:
        expected = 9 + len(self.samples)
        if len(fields) != expected:
            cure = "the file may be cut short, copy it again" if len(fields) < expected else "check its tabs"
            raise InputError(
                f"{self._where(fields)}: {len(fields)} columns, the header has {expected}; {cure}"
            )
        if not fields[1].isdecimal():
            raise InputError(f"{self._where(fields)}: position '{fields[1]}' is not a number; correct it")

    def _genotypes(self, fields: list[str]) -> list[str]:
        """The genotype string of each sample: the GT entry, wherever FORMAT puts it."""
        if fields[8] == "GT":
            return fields[9:]
        keys = fields[8].split(":")
        if "GT" not in keys:
            raise InputError(
                f"{self._where(fields)}: no GT in FORMAT '{fields[8]}'; genotypes are needed; "
                "call them or remove the record"
            )
        index = keys.index("GT")
        if index == 0:
            return [text.partition(":")[0] for text in fields[9:]]
        # Trailing entries of a sample may be left out; GT left out is a missing call.
        entries = (text.split(":") for text in fields[9:])
        return [entry[index] if len(entry) > index else "." for entry in entries]

    def _check_alleles(
        self, fields: list[str], genotypes: list[str], codes: np.ndarray, n_alternates: int
    ) -> None:
        largest = self.codes.largest_allele(codes)
        if largest.max() > n_alternates:
            i = int(np.argmax(largest > n_alternates))
            index = max(parse_genotype(genotypes[i]))
            raise InputError(
                f"{self._where(fields)}: sample {self.samples[i]} has allele index {index} "
                f"but the record has {n_alternates + 1} alleles; correct the record or remove it"
            )


def info_label(info: str, key: str, index: int, n_alternates: int) -> str:
    """Value of an INFO entry for alternate allele ``index``, from 0: its own, or that of the record.

    ``yes`` for a flag, empty where the record has no such entry or it is missing.
    """
    for entry in info.split(";"):
        name, equals, value = entry.partition("=")
        if name == key:
            if not equals:
                return "yes"
            values = value.split(",")
            own = values[index] if len(values) == n_alternates else value
            return "" if own in MISSING_TEXT else own
    return ""


def _check_samples(path: Path, samples: list[str]) -> None:
    if not samples:
        raise InputError(f"{path}: no samples, the file lists sites only; give a file with genotypes")
    seen: set[str] = set()
    for sample in samples:
        if sample in seen:
            raise InputError(f"{path}: sample ID '{sample}' occurs twice in the header; rename one of them")
        seen.add(sample)


def _text_samples(path: Path) -> list[str]:
    """Sample IDs of the ``#CHROM`` line, the border where what is not a VCF is turned away."""
    first = None
    for line in read_lines(path):
        if first is None and not line.startswith(("##fileformat=VCF", "#CHROM")):
            raise InputError(f"{path}: not a VCF: its first line is '{line[:40]}', not ##fileformat=VCF...")
        first = line
        if line.startswith("##"):
            continue
        columns = line.split("\t")
        if columns[: len(_FIXED)] != _FIXED:
            raise InputError(
                f"{path}: not a VCF: no header line '#CHROM POS ID REF ALT QUAL FILTER INFO' "
                f"separated by tabs before '{line[:40]}'"
            )
        return columns[9:]
    raise InputError(f"{path}: not a VCF: no header line that begins with #CHROM; the file may be cut short")


def _text_records(path: Path) -> Generator[str, None, None]:
    yield from (line for line in read_lines(path) if line and not line.startswith("#"))


@contextmanager
def quiet_htslib() -> Iterator[None]:
    """htslib prints to stderr; what it has to say is raised instead."""
    import pysam

    before = pysam.set_verbosity(0)
    try:
        yield
    finally:
        pysam.set_verbosity(before)


def _index(path: Path) -> str | None:
    """The index of a file, in its folder; pysam by itself looks for a .tbi only."""
    found = (f"{path}{suffix}" for suffix in (".tbi", ".csi") if Path(f"{path}{suffix}").exists())
    return next(found, None)


def _check_index(path: Path, command: str) -> None:
    if _index(path) is None:
        raise InputError(f"{path}: a region needs an index; make one with: {command} {path}")


def _region_records(path: Path, region: str) -> Generator[str, None, None]:
    """Lines of a bgzip-compressed VCF that overlap the region."""
    import pysam

    if not is_bgzip(path):
        raise InputError(
            f"{path}: a region needs a bgzip-compressed VCF with an index; "
            "compress it with bgzip, then run tabix -p vcf"
        )
    check_bgzip_end(path)
    _check_index(path, "tabix -p vcf")
    try:
        with quiet_htslib(), pysam.TabixFile(str(path), index=_index(path), encoding="utf-8") as file:
            span = parse_region(region, list(file.contigs), path)
            yield from file.fetch(span.contig, span.start - 1, span.end)
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: truncated or corrupt, or its index is; copy it again and index it anew"
        ) from error


def _bcf_samples(path: Path) -> list[str]:
    import pysam

    check_bgzip_end(path)
    try:
        with quiet_htslib(), pysam.VariantFile(str(path)) as file:
            return list(file.header.samples)
    except (ValueError, OSError) as error:
        raise InputError(
            f"{path}: not a BCF, or its header is damaged; check it with: bcftools head"
        ) from error


def _fetch(file: VariantFile, region: str, path: Path) -> Iterator[VariantRecord]:
    span = parse_region(region, [str(name) for name in file.header.contigs], path)
    return file.fetch(span.contig, span.start - 1, span.end)


def _bcf_records(path: Path, region: str | None) -> Generator[str, None, None]:
    """Records of a BCF as VCF lines. One thread: with more, htslib waits for ever on a damaged block."""
    import pysam

    if region is not None:
        _check_index(path, "bcftools index")
    n = 0
    try:
        with quiet_htslib(), pysam.VariantFile(str(path)) as file:
            for record in file if region is None else _fetch(file, region, path):
                n += 1
                yield str(record).rstrip("\n")
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: truncated or corrupt after record {n}; copy or download it again"
        ) from error
