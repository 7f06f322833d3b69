"""Rows of a table for the samples of a cohort, by family and sample ID."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from unicodedata import normalize

import numpy as np

from genoattn.errors import InputError
from genoattn.io.tables import SampleTable, known_family, list_names

# Shares of the samples below which IDs hardly match, and above which nearly all do.
_FEW_FOUND, _MOST_FOUND = 0.05, 0.8
_DECIMAL, _NUMBER = re.compile(r"\d+\.0"), re.compile(r"\d+(\.0)?")


def name_samples(families: Sequence[str], iids: Sequence[str]) -> list[str]:
    """Unique names: the IID, or ``FID:IID`` where several families have it."""
    counts: dict[str, int] = defaultdict(int)
    for iid in iids:
        counts[iid] += 1
    return [iid if counts[iid] == 1 else f"{fid}:{iid}" for fid, iid in zip(families, iids, strict=True)]


def named_samples(
    path: Path, families: Sequence[str] | None, iids: Sequence[str]
) -> tuple[Sequence[str] | None, list[str], list[str]]:
    """Families and unique names of the samples of a .fam or .psam; how many are named by both, in words."""
    if families is None and len(set(iids)) < len(iids):
        raise InputError(
            f"{path}: sample ID '{Counter(iids).most_common(1)[0][0]}' occurs twice; make IIDs unique"
        )
    if families is None:
        return None, list(iids), []
    if len(set(zip(families, iids, strict=True))) < len(iids):
        (family, iid), _ = Counter(zip(families, iids, strict=True)).most_common(1)[0]
        raise InputError(f"{path}: sample ID '{iid}' of family {family} occurs twice; make IIDs unique")
    names = name_samples(families, iids)
    if len(set(names)) < len(names):
        twice, _ = Counter(names).most_common(1)[0]
        raise InputError(f"{path}: '{twice}' is both an IID and FID:IID of another sample; make IIDs unique")
    n_renamed = sum(name != iid for name, iid in zip(names, iids, strict=True))
    line = f"{n_renamed} samples share their IID with another family, named FID:IID instead"
    return families, names, [line] if n_renamed else []


def iids_of(samples: Iterable[str], families: Iterable[str]) -> list[str]:
    """IIDs behind the names that :func:`name_samples` gave."""
    return [str(name).removeprefix(f"{fid}:") for name, fid in zip(samples, families, strict=True)]


def match_rows(
    samples: Sequence[str] | np.ndarray, families: Sequence[str] | np.ndarray | None, table: SampleTable
) -> tuple[np.ndarray, list[str]]:
    """The table's row for each sample, shape (n_samples,), -1 for none; and by what they matched, in words.

    Where sample and row both have an FID, both IDs must agree; else the IID alone, which is refused where two
    samples or two rows have it. Samples without families (of a VCF) may also be called ``FID_IID``, if more
    rows match so. It is an error if there is no row at all.
    """
    samples = [str(name) for name in samples]
    search = _RowFinder(samples, families, table)
    rows = search.by_id()
    lines = search.lines()
    if families is None and table.families is not None:
        joined = search.by_joined_id()
        n_joined, n_ids = int((joined >= 0).sum()), int((rows >= 0).sum())
        if n_joined and n_joined == n_ids and not np.array_equal(joined, rows):
            raise InputError(
                f"{table.path}: {n_ids} samples of the genotypes match an IID and as many FID_IID; "
                "leave out the column FID, or name the samples otherwise"
            )
        if n_joined > n_ids:
            rows, lines = joined, [f"{n_joined} samples matched with {table.path} by FID_IID, {n_ids} by IID"]
    if (rows < 0).all() and (whole := _without_decimals(table)) is not None:
        rows, lines = match_rows(samples, families, whole)
        return rows, [f"IDs of {table.path} such as {table.ids[0]} read as {whole.ids[0]}", *lines]
    _check_families(search, int((rows >= 0).sum()))
    if (rows < 0).all():
        raise InputError(_nothing_in_common(samples, table, search.n_other_family))
    return rows, lines


def _check_families(search: _RowFinder, n_found: int) -> None:
    """Raise InputError where hardly a sample matches by FID and IID, but nearly all by FID alone."""
    table, ours, theirs = search.table, search.families, search.their_families
    n = len(ours)
    if n_found > _FEW_FOUND * n or len(set(ours)) < n or len(set(theirs)) < len(theirs):
        return
    row = {fid: k for k, fid in enumerate(theirs)}
    pairs = [(i, row[fid]) for i, fid in enumerate(ours) if fid and fid in row]
    pairs = [(i, k) for i, k in pairs if table.ids[k] != search.iids[i]]
    if len(pairs) > _MOST_FOUND * n:
        i, k = pairs[0]
        raise InputError(
            f"{table.path}: {n_found} of {n} samples match by FID and IID, {len(pairs)} by FID alone (FID "
            f"{ours[i]} has IID {table.ids[k]} there, {search.iids[i]} in the genotypes); make the IIDs alike"
        )


def _without_decimals(table: SampleTable) -> SampleTable | None:
    """The table with 1 for IDs like 1.0, as pandas and R write them; None where IDs are not all so."""
    families = table.families or ()
    if not all(_DECIMAL.fullmatch(name) for name in table.ids) or not all(map(_NUMBER.fullmatch, families)):
        return None
    ids = tuple(name.removesuffix(".0") for name in table.ids)
    own = None if table.families is None else tuple(name.removesuffix(".0") for name in families)
    return replace(table, ids=ids, families=own)


class _RowFinder:
    """The rows of one table, and the samples that have been matched with them."""

    def __init__(
        self, samples: list[str], families: Sequence[str] | np.ndarray | None, table: SampleTable
    ) -> None:
        n = len(samples)
        self.table = table
        self.samples = samples
        self.iids = samples if families is None else iids_of(samples, families)
        self.families = [""] * n if families is None else [known_family(str(fid)) for fid in families]
        theirs = table.families or [""] * len(table.ids)
        self.their_families = [known_family(fid) for fid in theirs]
        self.by_pair: dict[tuple[str, str], int] = {}
        self.by_iid: dict[str, list[int]] = defaultdict(list)
        for row, (fid, iid) in enumerate(zip(self.their_families, table.ids, strict=True)):
            self.by_iid[iid].append(row)
            if fid:
                self.by_pair[fid, iid] = row
        self.n_pairs = self.n_other_family = 0

    def by_id(self) -> np.ndarray:
        """Rows by FID and IID where both sides have families, else by IID."""
        rows = np.full(len(self.samples), -1, dtype=np.intp)
        sample_of: dict[int, str] = {}
        for i, (name, iid, fid) in enumerate(zip(self.samples, self.iids, self.families, strict=True)):
            row = self.by_pair.get((fid, iid), self.by_pair.get((fid, name), -1)) if fid else -1
            if row >= 0:
                self.n_pairs += 1
            else:
                row = self._by_iid(name, iid, fid)
            if row < 0:
                continue
            if row in sample_of:
                raise InputError(
                    f"{self.table.path}: two samples of the genotypes, {sample_of[row]} and {name}, have the "
                    f"sample ID '{self.table.ids[row]}'; give the table their families in a column FID"
                )
            sample_of[row] = name
            rows[i] = row
        return rows

    def _by_iid(self, name: str, iid: str, fid: str) -> int:
        named = self.by_iid.get(name, []) or self.by_iid.get(iid, [])
        rows = [row for row in named if not (fid and self.their_families[row])]
        self.n_other_family += bool(named) and not rows
        if len(rows) > 1:
            found = list_names([self.their_families[row] or "0" for row in rows], 3)
            raise InputError(
                f"{self.table.path}: sample ID '{iid}' has {len(rows)} rows, of families {found}, and the "
                "genotypes do not say which family is meant; make IIDs unique"
            )
        return rows[0] if rows else -1

    def by_joined_id(self) -> np.ndarray:
        """Rows whose FID_IID is the name of the sample, as PLINK writes it to a VCF."""
        rows: dict[str, list[int]] = defaultdict(list)
        for row, (fid, iid) in enumerate(zip(self.table.families or (), self.table.ids, strict=True)):
            rows[f"{fid}_{iid}"].append(row)
        found = [rows.get(name, [-1]) for name in self.samples]
        # Two rows may spell one name (A_B with C, A with B_C): then neither is meant for sure.
        return np.array([one[0] if len(one) == 1 else -1 for one in found], dtype=np.intp)

    def lines(self) -> list[str]:
        """By what samples were matched, where the two tables could differ in it."""
        counts = (
            (self.n_pairs, "samples matched with {} by FID and IID"),
            (self.n_other_family, "samples have a row in {} with their IID but another FID; not matched"),
        )
        return [f"{n} {text.format(self.table.path)}" for n, text in counts if n]


def _nothing_in_common(samples: list[str], table: SampleTable, n_other_family: int) -> str:
    if n_other_family:
        causes = [f"{n_other_family} IIDs agree, but not their families (leave out the column FID)"]
    else:
        causes = _likely_causes(samples, table.ids)
    why = f"{'; '.join(causes)}; " if causes else ""
    return (
        f"{table.path}: no sample in common with the genotypes; IDs there: {', '.join(table.ids[:3])}; "
        f"IDs of the genotypes: {', '.join(samples[:3])}; {why}make them alike"
    )


def _likely_causes(ours: Sequence[str], theirs: Sequence[str]) -> list[str]:
    """Why no ID of the one is among those of the other."""
    readings: tuple[tuple[str, Callable[[str], str]], ...] = (
        ("leading zeros are missing, as spreadsheets drop them", lambda name: name.lstrip("0")),
        ("they differ in upper and lower case", str.casefold),
        ("their accents are written in two ways (Unicode)", lambda name: normalize("NFC", name)),
        ("some are numbers with decimals", lambda name: name.removesuffix(".0")),
    )
    found = [cause for cause, read in readings if not set(map(read, ours)).isdisjoint(map(read, theirs))]
    for one, other in ((ours, theirs), (theirs, ours)):
        if not set(other).isdisjoint(part for name in one for part in _after_underscores(name)):
            found.append("some are FID_IID, as PLINK writes them")
    return found


def _after_underscores(name: str) -> list[str]:
    """Each IID that a name may hold if it is FID_IID."""
    parts = name.split("_")
    return ["_".join(parts[i:]) for i in range(1, len(parts))]
