"""Kernels of all pairs of samples, additive, dominance and of products of sites, of few samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from genoattn.inference.variance_columns import SiteWindows, StandardColumns

_ROWS = 256  # of a tile, which then stays in the processor's cache


@dataclass(frozen=True, eq=False)
class CohortKernels:
    """Relationship of each two samples, by component.

    Parameters
    ----------
    kernels
        By the name of the component: (n_samples, n_samples), float32, the mean over its terms of the product
        of the two samples' columns.
    n_terms
        By the name of the component: sites, pairs or triples of sites it is over.
    by_chromosome
        Sums over the sites of each chromosome, and sums over its close pairs; empty unless asked for.
    """

    kernels: dict[str, np.ndarray]
    n_terms: dict[str, int]
    by_chromosome: tuple[tuple[np.ndarray, np.ndarray], ...] = ()

    @classmethod
    def of(
        cls,
        columns: StandardColumns,
        windows: SiteWindows,
        samples: np.ndarray,
        order: int = 2,
        keep_chromosomes: bool = False,
    ) -> CohortKernels:
        """Kernels of ``samples`` (indices).

        With P the sum over sites of the products of two samples' columns, and C that of its squares over
        windows and neighbouring ones, pairs that are not close have the kernel ``(P^2 - C) / 2``,
        elementwise; triples of sites on three chromosomes by Newton's identities ``(p_1^3 - 3 p_1 p_2 + 2
        p_3) / 6``, ``p_m`` the sum over chromosomes of the m-th powers of their P. No product of columns is
        ever made.
        """
        totals: list[np.ndarray] = []
        powers: list[np.ndarray] = []
        kept, separate = [], keep_chromosomes or order > 2
        for sums in _by_chromosome(columns, windows, samples, separate):
            if order > 2:
                cubes = [sums[0] ** 2, sums[0] ** 3]
                powers = [a + b for a, b in zip(powers, cubes, strict=True)] if powers else cubes
            if keep_chromosomes:
                kept.append((sums[0], sums[1]))
            if not totals:
                totals = [total.copy() for total in sums] if separate else sums
                continue
            for total, own in zip(totals, sums, strict=True):
                total += own
        return cls(*_scaled(totals, powers, columns, windows), tuple(kept))


def _scaled(
    totals: list[np.ndarray],
    powers: list[np.ndarray],
    columns: StandardColumns,
    windows: SiteWindows,
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Sums, which are overwritten, as means over terms; and the numbers of terms."""
    additive, close, dominance = totals
    sites = windows.sites_of()
    n_dominance = int(columns.has_dominance[windows.site].sum())
    pairs = int((windows.n_pairs() + np.diag(np.diag(windows.n_pairs()))).sum()) // 2
    found = {"additive": (additive, len(windows.site)), "dominance": (dominance, n_dominance)}
    if pairs:
        np.subtract(additive**2, close, out=close)
        close /= 2
        found["additive x additive"] = (close, pairs)
    if powers:
        total = int(sites.sum())
        triples = (total**3 - 3 * total * int((sites**2).sum()) + 2 * int((sites**3).sum())) // 6
        if triples:
            cube = (additive**3 - 3 * additive * powers[0] + 2 * powers[1]) / 6
            found["additive x additive x additive"] = (cube, triples)
    for kernel, n in found.values():
        kernel /= np.float32(max(n, 1))
    kernels = {name: kernel for name, (kernel, n) in found.items() if n}
    return kernels, {name: n for name, (_, n) in found.items() if n}


def _by_chromosome(
    columns: StandardColumns, windows: SiteWindows, samples: np.ndarray, separate: bool
) -> Iterator[list[np.ndarray]]:
    """Sums over sites, over close pairs (ordered, with each site itself), and of dominance.

    Of each chromosome, or of all together unless ``separate``.
    """
    sums: list[np.ndarray] = []
    chromosome = -1
    for group in windows.groups(separate):
        own = int(windows.window_chromosome[group[0]])
        if not sums or (separate and own != chromosome):
            if sums:
                _mirror(sums)
                yield sums
            sums = [np.zeros((len(samples), len(samples)), np.float32) for _ in range(3)]
            chromosome = own
        _add_group(sums, columns, windows, samples, group)
    if sums:
        _mirror(sums)
        yield sums


def _add_group(
    sums: list[np.ndarray],
    columns: StandardColumns,
    windows: SiteWindows,
    samples: np.ndarray,
    group: list[int],
) -> None:
    """Add the sites of a group of windows; the window before it is a neighbour only."""
    before = [group[0] - 1] if windows.follows[group[0]] else []
    start = windows.first[(before or group)[0]]
    inside = windows.first[group[0]] - start
    sites = windows.site[start : windows.first[group[-1] + 1]]
    x, d = columns.of(sites, samples)
    d = d[:, int(columns.has_dominance[sites[:inside]].sum()) :]
    # Windows of one site without neighbours: their squares are one product of squared columns.
    lone = np.array([windows.is_lone(w) for w in group])
    alone = windows.first[np.array(group)[lone]] - start
    crowded = [w for w, one in zip(group, lone, strict=True) if not one]
    squared = x[:, alone] ** 2
    for row in range(0, len(samples), _ROWS):  # on and above the diagonal
        rows, rest = slice(row, row + _ROWS), slice(row, None)
        sums[0][rows, rest] += x[rows, inside:] @ x[rest, inside:].T
        sums[2][rows, rest] += d[rows] @ d[rest].T
        if len(alone):
            sums[1][rows, rest] += squared[rows] @ squared[rest].T
        last = None
        for w in before + crowded:
            part = slice(windows.first[w] - start, windows.first[w + 1] - start)
            own = x[rows, part] @ x[rest, part].T
            if w not in before:
                near = own * (own if last is None or not windows.follows[w] else own + 2 * last)
                sums[1][rows, rest] += near
            last = own


def _mirror(sums: list[np.ndarray]) -> None:
    """Fill what is below the diagonal."""
    for total in sums:
        for row in range(0, len(total), _ROWS):
            rows = slice(row, row + _ROWS)
            total[row + _ROWS :, rows] = total[rows, row + _ROWS :].T
            total[rows, rows] = np.triu(total[rows, rows]) + np.triu(total[rows, rows], 1).T
