"""What is said of a file: the parts of a description, which are also the keys of its JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FileType = Literal["genotypes", "alignment", "variants", "table", "run"]
ColumnKind = Literal["number", "binary", "words", "mixed", "constant", "empty"]
InputState = Literal["unchanged", "changed", "not found", "no checksum"]
Phased = Literal["all", "some", "none"]


@dataclass(frozen=True)
class SampleSummary:
    """Names of samples."""

    n: int
    first: tuple[str, ...]  # up to three
    n_families: int | None  # different family IDs; None where the format has none


@dataclass(frozen=True)
class ChromosomeSummary:
    """Records of one chromosome."""

    name: str
    n_records: int
    first: int  # position, 1-based
    last: int


@dataclass(frozen=True)
class FrequencyClass:
    """Sites whose minor allele frequency is from ``low`` on, and below ``high``."""

    low: float
    high: float  # included where it is 0 or 0.5
    n_sites: int


@dataclass(frozen=True)
class CallLayout:
    """How calls are written."""

    format_keys: tuple[str, ...]  # empty where the format has none
    phased: Phased | None  # None where the file does not tell
    n_records: int  # the first ones of the file, which this was taken from


@dataclass(frozen=True)
class GenotypeSummary:
    """Records, and the calls of some samples.

    Kinds of records exclude each other, the first that holds: without an alternate allele, symbolic (an
    allele such as ``<DEL>`` or a breakend), multi-allelic, biallelic. A site is an alternate allele.
    """

    complete: bool  # whether all records were looked at
    n_records: int  # looked at
    n_sites: int
    n_samples: int  # whose calls were looked at
    n_biallelic: int
    n_multiallelic: int
    n_symbolic: int
    n_without_alternate: int
    n_unplaced: int  # records without a chromosome or position
    n_repeated: int  # sites that name an earlier one again
    n_shared_ids: int  # records whose ID another record has too
    chromosomes: tuple[ChromosomeSummary, ...]
    ploidy: dict[str, int]  # sites by the largest ploidy of their calls, "0" where nothing is called
    dosages: bool  # whether calls are expected copies, not whole ones
    layout: CallLayout
    n_missing: int  # calls
    missing_fraction: float
    n_samples_over: int  # samples without a call at more than a tenth of the sites
    worst_sample: str | None  # with the most missing calls; None where nothing is missing
    worst_fraction: float
    frequencies: tuple[FrequencyClass, ...]
    n_uncalled: int  # sites without any call, which have no frequency


@dataclass(frozen=True)
class AlignmentSummary:
    """Aligned sequences, of a file of them or of a table of variants."""

    n_sequences: int
    n_columns: int
    alphabet: str
    alphabet_reason: str
    reference: str  # name of the sequence that the reference gauge compares with
    n_variable: int  # columns with more than one state
    n_repeated: int  # sequences equal to an earlier one
    gap_fraction: float  # of all letters
    missing_fraction: float
    n_columns_over: int  # columns where more than a tenth of the sequences is missing


@dataclass(frozen=True)
class KeptSummary:
    """What a fit or scan would use with the tables and limits given."""

    n_samples_in_file: int
    n_samples: int
    samples: tuple[str, ...]  # why the others are not used, and what the tables are, one line each
    maf: float
    max_missing: float
    n_sites_in_file: int  # of what was looked at
    n_sites: int
    n_monomorphic: int
    n_over_missing: int
    n_rare: int
    n_repeated: int  # sites with the calls of an earlier one of the same name


@dataclass(frozen=True)
class TableColumn:
    """A column of a table."""

    name: str
    role: Literal["id", "family", "value"]
    kind: ColumnKind
    n_missing: int
    n_distinct: int
    examples: tuple[str, ...]  # up to five values, the most frequent first; of mixed ones the words
    lowest: float | None = None
    highest: float | None = None
    mean: float | None = None
    codes: dict[str, int] | None = None  # numbers that may stand for missing values, and how often they occur


@dataclass(frozen=True)
class TableSummary:
    """A table of samples or of anything else."""

    n_rows: int
    id_column: str | None
    columns: tuple[TableColumn, ...]
    problem: str | None  # why it cannot be read as a table of samples


@dataclass(frozen=True)
class InputCheck:
    """An input of a run, looked for beside the output and in the current folder."""

    role: str
    file: str
    sha256: str
    state: InputState
    found: str | None  # path of the file that was compared


@dataclass(frozen=True)
class RunSummary:
    """The output folder of a command."""

    command: str
    title: str  # what was fitted or scanned, in one line
    trait: str
    order: int
    n_sites: int  # that the manifest describes
    covariates: tuple[str, ...]
    settings: dict[str, object]
    results: dict[str, object]  # metrics of a fit, counts of a scan
    version: str  # of genoattn
    seed: int
    inputs: tuple[InputCheck, ...]
    files: dict[str, int]  # bytes of each


@dataclass(frozen=True)
class FileDescription:
    """What is in a file. Parts that do not apply are None; :meth:`record` is its JSON."""

    path: str
    kind: FileType
    format: str
    compression: Literal["none", "gzip", "bgzip"]
    index: str | None  # name of the file
    mismatch: str | None  # why the name of the file says something else
    samples: SampleSummary | None = None
    genotypes: GenotypeSummary | None = None
    alignment: AlignmentSummary | None = None
    kept: KeptSummary | None = None
    table: TableSummary | None = None
    run: RunSummary | None = None
    notes: tuple[str, ...] = ()  # of the reader, and hints
