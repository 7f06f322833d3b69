"""Share of the variance that is of products of sites, by pair of chromosomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from genoattn.inference.robust import orthonormal_basis
from genoattn.inference.variance_columns import SiteWindows, StandardColumns
from genoattn.inference.variance_kernels import CohortKernels
from genoattn.inference.variance_matrices import KernelMatrices, off_diagonal, trace_of
from genoattn.inference.variance_moments import MomentFit, critical_value, tail
from genoattn.interactions.columns import q_values

_MEMORY = 1.2e9  # bytes for the kernels of chromosomes
_MOST = 60  # chromosomes, or scaffolds
_SAMPLES = 5000
_VECTORS = 64
_NAME = "additive x additive"


@dataclass(frozen=True, eq=False)
class _Genome:
    """What the tests of all pairs share: matrices, and V of all components times the random vectors."""

    matrices: dict[str, np.ndarray]  # additive, dominance and the sum over all pairs
    forms: dict[str, float]
    basis: np.ndarray
    residual: np.ndarray
    variance: float
    structure: np.ndarray  # V less the variance times M
    vectors: np.ndarray

    def times_v(self, z: np.ndarray) -> np.ndarray:
        """V times vectors within M."""
        out: np.ndarray = np.float32(self.variance) * z + self.structure @ z
        return out


def chromosome_pairs(
    columns: StandardColumns,
    windows: SiteWindows,
    basis: np.ndarray,
    residual: np.ndarray,
    names: list[str],
    seed: int,
    log: list[str],
) -> list[dict[str, Any]]:
    """A row each pair of chromosomes that has pairs of sites, a chromosome with itself among them.

    Each is estimated together with the additive and the dominance component and all other pairs of sites.
    ``names`` are those of the chromosomes; of many samples a random part is used, which the log says.
    """
    if not 1 < windows.n_chromosomes <= _MOST:
        if windows.n_chromosomes > _MOST:
            log.append(f"pairs of {windows.n_chromosomes} chromosomes left out: at most {_MOST} are compared")
        return []
    most = min(_SAMPLES, int((_MEMORY / 8 / windows.n_chromosomes) ** 0.5))
    if len(residual) > most:
        log.append(f"pairs of chromosomes: of {most:,} samples at random")
        part = np.sort(np.random.default_rng(seed).choice(len(residual), most, replace=False))
        basis = orthonormal_basis(basis[part])
        residual = residual[part] - basis @ (basis.T @ residual[part])
    else:
        part = np.arange(len(residual))
    found = CohortKernels.of(columns, windows, part, keep_chromosomes=True)
    genome, scale = _genome(found, basis, residual, seed)
    pairs, rows = windows.n_pairs(), []
    for i in range(len(names)):
        for j in range(i, len(names)):
            if pairs[i, j] and pairs[i, j] < scale:
                kernel = _kernel(found, i, j)
                rows.append(_tested(genome, kernel, int(pairs[i, j]), names[i], names[j]))
    kept = [row for row in rows if row is not None]
    for row, q in zip(kept, q_values(np.array([r["p_value"] for r in kept]), len(kept)), strict=True):
        row["q_value"] = float(q)
    return kept


def _kernel(found: CohortKernels, i: int, j: int) -> np.ndarray:
    """Sum over pairs of a site on one chromosome and a site on the other."""
    own, close = found.by_chromosome[i]
    other, _ = found.by_chromosome[j]
    out: np.ndarray = own * other if i != j else (own * own - close) / 2
    return out


def _genome(found: CohortKernels, basis: np.ndarray, residual: np.ndarray, seed: int) -> tuple[_Genome, int]:
    total = found.n_terms[_NAME]
    every = KernelMatrices.of(found.kernels, basis, seed)
    forms = every.forms(residual)
    fit = MomentFit.of(every.moments, forms, residual)
    structure = np.zeros_like(every.matrices[_NAME])
    for s, matrix in zip(fit.components(), every.matrices.values(), strict=True):
        structure += np.float32(s) * matrix
    z = np.random.default_rng(seed).choice(np.array([-1, 1], np.float32), (len(basis), _VECTORS))
    matrices = {**every.matrices, _NAME: every.matrices[_NAME] * np.float32(total)}
    values = dict(zip(every.matrices, forms.tolist(), strict=True))
    values[_NAME] *= total
    return _Genome(matrices, values, basis, residual, fit.variance, structure, z), total


def _tested(genome: _Genome, kernel: np.ndarray, n: int, first: str, second: str) -> dict[str, Any] | None:
    """The row of a pair of chromosomes, whose kernel is a sum over ``n`` pairs of sites; None if not told
    apart.

    Its matrix is regressed on those of the other components: the residual ``G`` has ``tr(G F) = 0`` for them
    all.
    """
    diagonal = np.diag(kernel).astype(np.float64)
    free = 1 - np.einsum("nk,nk->n", genome.basis, genome.basis)
    own, trace = off_diagonal(kernel, genome.basis)
    others = {**genome.matrices, _NAME: genome.matrices[_NAME] - own}
    names = list(others)
    two = np.array([[trace_of(others[a], others[b]) for b in names] for a in names])
    mixed = np.array([trace_of(others[a], own) for a in names])
    weight = np.linalg.lstsq(two / np.outer(*[np.sqrt(np.diag(two))] * 2), mixed / np.sqrt(np.diag(two)))[0]
    g = own
    for w, name in zip(weight / np.sqrt(np.diag(two)), names, strict=True):
        g = g - np.float32(w) * others[name]
    df = len(kernel) - genome.basis.shape[1]
    square = trace_of(g, own)
    if not square > 1e-4 * trace_of(own, own):
        return None
    mean = (trace + diagonal @ free) / df  # variance of a component with s = 1
    g *= np.float32(mean / square / genome.variance)
    share = float(genome.residual @ (g @ genome.residual.astype(np.float32)))
    se, skewness = _spread(genome, g)
    z = share / se
    least = (critical_value(0.05, skewness) + float(stats.norm.ppf(0.8))) * se
    return {
        "component": _NAME, "order": 2, "chrom_1": first, "chrom_2": second, "share": share, "se": se,
        "p_value": tail(z, skewness), "q_value": float("nan"),
        "detectable": least if least < 10 else float("inf"), "n_terms": n,
    }  # fmt: skip


def _spread(genome: _Genome, g: np.ndarray) -> tuple[float, float]:
    """Standard deviation and skewness of ``e'Ge`` under the components of the genome, by random vectors."""
    z = genome.vectors
    n = z.shape[1]
    right = g @ genome.times_v(z)  # G V z
    left = genome.times_v(g @ z)  # V G z
    variance = 2 * float(np.einsum("nb,nb->", left, right, dtype=np.float64)) / n
    again = g @ genome.times_v(right)
    third = 8 * float(np.einsum("nb,nb->", left, again, dtype=np.float64)) / n
    return float(np.sqrt(variance)), third / variance**1.5
