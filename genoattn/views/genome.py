"""Chromosomes laid end to end along one axis, and pairs of sites as arcs over it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from genoattn.cohort import ENVIRONMENT
from genoattn.errors import InputError

GAP = 0.01  # between chromosomes, as a share of all of them
_SHARE = 0.04  # of the genome, for environments, which have no length of their own
_SEX = {"X": 1, "Y": 2, "XY": 3, "M": 4, "MT": 4}


@dataclass(frozen=True, eq=False)
class GenomeLayout:
    """Chromosomes end to end.

    Parameters
    ----------
    frame
        One row a chromosome in natural order: ``chrom``, ``offset`` (where its first base lies on the axis),
        ``length``, ``middle``; ``step``, the length of a base. Environments are last.
    is_alignment
        Whether the axis is that of columns of an alignment, which have no chromosome.
    """

    frame: pd.DataFrame
    is_alignment: bool

    @property
    def end(self) -> float:
        """Where the axis ends."""
        return float((self.frame["offset"] + self.frame["length"]).max())

    def place(self, chrom: Sequence[str] | np.ndarray, pos: Sequence[float] | np.ndarray) -> np.ndarray:
        """Place on the axis of sites, (n_sites,)."""
        offset = dict(zip(self.frame["chrom"], self.frame["offset"], strict=True))
        step = dict(zip(self.frame["chrom"], self.frame["step"], strict=True))
        absent = sorted({str(name) for name in chrom} - set(offset))
        if absent:
            raise InputError(f"no site of the run is on chromosome {absent[0]}; give sites of the same run")
        shift = np.array([offset[str(name)] for name in chrom], dtype=np.float64)
        length = np.array([step[str(name)] for name in chrom], dtype=np.float64)
        # Environments are numbered from 1, each in the middle of its stretch.
        half = np.array([0.5 if str(name) == ENVIRONMENT else 0.0 for name in chrom])
        return shift + (np.asarray(pos, dtype=np.float64) - half) * length


def natural_key(name: str) -> tuple:
    """Sorts chromosomes as people do: 2 before 10, X, Y and MT last; a prefix ``chr`` changes nothing."""
    if name == ENVIRONMENT:
        return (3, 0, ())
    bare = re.sub(r"^chr", "", name, flags=re.IGNORECASE)
    if bare.upper() in _SEX:
        return (1, _SEX[bare.upper()], ())
    parts = tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in re.split(r"(\d+)", bare) if p)
    return (0 if bare[:1].isdecimal() else 2, 0, parts)


def genome_layout(chrom: Sequence[str] | np.ndarray, pos: Sequence[int] | np.ndarray) -> GenomeLayout:
    """Layout of the chromosomes of sites, each as long as its last site.

    Parameters
    ----------
    chrom, pos
        Shape (n_sites,): name of the chromosome (empty for columns of an alignment), 1-based position.
    """
    names = np.array([str(c) for c in chrom], dtype=object)
    place = np.asarray(pos, dtype=np.float64)
    ordered = sorted(set(names.tolist()), key=natural_key)
    longest = pd.Series(place).groupby(names).max()
    length = np.maximum(longest.reindex(ordered).to_numpy(dtype=np.float64), 1.0)
    step = np.ones(len(ordered))
    if len(ordered) > 1 and ordered[-1] == ENVIRONMENT:
        step[-1] = _SHARE * length[:-1].sum() / length[-1]
        length[-1] *= step[-1]
    # Sites without positions are each on a chromosome of its own: gaps must not take all the room.
    gap = min(GAP, 0.2 / len(ordered)) * length.sum() if len(ordered) > 1 else 0.0
    offset = np.concatenate([[0.0], np.cumsum(length + gap)[:-1]]) if ordered else np.zeros(0)
    frame = pd.DataFrame(
        {"chrom": ordered, "offset": offset, "length": length, "middle": offset + length / 2, "step": step}
    )
    return GenomeLayout(frame, ordered == [""])


def pair_arcs(rows: pd.DataFrame, layout: GenomeLayout) -> pd.DataFrame:
    """Pairs as arcs: the rows of order 2 (or of a table of signals), with ``x_1`` < ``x_2`` on the axis.

    Columns ``site_1`` and ``site_2`` keep the order of the rows: ``from_1`` and ``from_2`` are their places.
    """
    pairs = rows[rows["order"] == 2] if "order" in rows else rows
    first = layout.place(pairs["chrom_1"].to_numpy(), pairs["pos_1"].to_numpy(dtype=np.float64))
    second = layout.place(pairs["chrom_2"].to_numpy(), pairs["pos_2"].to_numpy(dtype=np.float64))
    ends = {"from_1": first, "from_2": second}
    return pairs.assign(**ends, x_1=np.minimum(first, second), x_2=np.maximum(first, second))
