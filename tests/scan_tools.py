"""What tests of the scan share: a screen run on one tile, and the genotypic test of one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from genoattn.scan.exact import PairTests
from genoattn.scan.genotypic import GenotypicScreen, genotypic_pairs


def candidates(screen, rows, cols, keep=None):
    """Pairs of columns that a screen lets pass, as a set, and its other counts."""
    keep = rows[:, None] < cols if keep is None else keep
    found = screen.candidates(screen.block(rows), screen.block(cols), keep)
    return set(zip(rows[found.i].tolist(), cols[found.j].tolist(), strict=True)), found


class Found(NamedTuple):
    i: np.ndarray
    j: np.ndarray
    tests: PairTests


def genotypic_tile(design, trait, rows, cols, keep, threshold):
    """Pairs of a tile that pass the genotypic test, and how many cannot be tested."""
    screen = GenotypicScreen(design, threshold)
    _, screened = candidates(screen, rows, cols, keep)
    tests = genotypic_pairs(design, trait, np.stack([rows[screened.i], cols[screened.j]], axis=1))
    kept = np.flatnonzero(tests.p_value <= threshold)
    n_untestable = screened.n_untestable + int((tests.df == 0).sum())
    return Found(screened.i[kept], screened.j[kept], tests.select(kept)), n_untestable
