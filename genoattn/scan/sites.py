"""Sets of sites from IDs, regions and files of them."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from genoattn.cohort import Sites
from genoattn.errors import InputError
from genoattn.io.text import read_lines

_log = logging.getLogger(__name__)


def choose_sites(sites: Sites, text: str | Sequence[str]) -> np.ndarray:
    """Indices of the sites that a set names.

    Parameters
    ----------
    sites
        The sites of a cohort.
    text
        One or several of: the ID of a site; a region ``chr``, ``chr:from-to`` or ``chr:pos`` (1-based, both
        ends inside); a file, BED (``.bed``: 0-based, the end outside) or with one ID or region a line.
        As one string they are separated by commas.

    Raises
    ------
    InputError
        Where an entry names no site of the cohort.
    """
    entries = text.split(",") if isinstance(text, str) else list(text)
    chosen = np.zeros(len(sites), dtype=bool)
    index = {name: k for k, name in enumerate(sites.ids)}
    for entry in entries:
        path = Path(entry)
        if entry in index:
            chosen[index[entry]] = True
        elif path.is_file():
            chosen |= _bed(sites, path) if path.name.endswith(".bed") else _list(sites, index, path)
        else:
            found = _region(sites, index, entry)
            if not found.any():
                raise InputError(
                    f"site set '{entry}': no site with this ID, region or file; give IDs of the cohort, "
                    "chr:from-to, or a file of them"
                )
            chosen |= found
    return np.flatnonzero(chosen)


def _region(sites: Sites, index: dict[str, int], text: str) -> np.ndarray:
    """Sites of an ID or region; none where it is neither."""
    if text in index:
        return np.arange(len(sites)) == index[text]
    contig, _, span = text.rpartition(":")
    on_contig = sites.chrom == (contig or text)
    if not contig:
        return on_contig
    first, dash, last = span.replace(",", "").partition("-")
    if not first.isdecimal() or (dash and last and not last.isdecimal()):
        return np.zeros(len(sites), dtype=bool)
    end = np.inf if dash and not last else int(last or first)
    return on_contig & (sites.pos >= int(first)) & (sites.pos <= end)


def _list(sites: Sites, index: dict[str, int], path: Path) -> np.ndarray:
    chosen, unknown = np.zeros(len(sites), dtype=bool), []
    for line in read_lines(path):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        found = _region(sites, index, entry)
        if not found.any():
            unknown.append(entry)
        chosen |= found
    if not chosen.any():
        first = f", '{unknown[0]}' the first," if unknown else ""
        raise InputError(
            f"{path}: none of its {len(unknown)} entries{first} is a site of the cohort; check IDs"
        )
    if unknown:
        _log.info("%s: %d entries, %r the first, name no site of the cohort", path, len(unknown), unknown[0])
    return chosen


def _bed(sites: Sites, path: Path) -> np.ndarray:
    chosen = np.zeros(len(sites), dtype=bool)
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip() or line.startswith(("#", "track", "browser")):
            continue
        fields = line.split()
        if len(fields) < 3 or not (fields[1].isdecimal() and fields[2].isdecimal()):
            raise InputError(f"{path}, line {number}: not chrom, start and end; correct the BED file")
        # BED counts from 0, with the end outside; positions count from 1.
        start, end = int(fields[1]), int(fields[2])
        chosen |= (sites.chrom == fields[0]) & (sites.pos > start) & (sites.pos <= end)
    if not chosen.any():
        raise InputError(f"{path}: none of its intervals holds a site of the cohort; check chromosome names")
    return chosen
