"""What missing calls can change in the screen: bounds from per-column quantities.

The screen computes the regression on all samples, a missing call being the mean; the exact test uses the
complete cases. Let V hold the orthonormal fixed effects and the two residual columns, D the samples that
lack a call, and ``V_D' V_D <= delta V'V``. The product P is 0 in D, so that ``c = V'P`` is that of the
complete cases, and with e the residual of the trait on V

- ``c' G_cc^-1 c <= c' G^-1 c / (1 - delta)``: what V takes of P;
- ``|<P, e_cc> - <P, e>| <= sqrt(c' G^-1 c delta) |e_D| / (1 - delta)``: the numerator;
- ``|e_cc|^2 >= |e|^2 - |e_D|^2 / (1 - delta)``: the trait.

delta is at most what the fixed effects and each column have in its own missing samples, which is here, and
what it has in those of the other, which follows from the genotypes counted (counted.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genoattn.cohort import MISSING
from genoattn.scan.design import Design

_BLOCK = 256
_UP = 1 + 1e-9


@dataclass(frozen=True, eq=False)
class Gaps:
    """The missing calls of columns.

    Parameters
    ----------
    leverage
        Shape (n_columns,), largest share of a function of the fixed effects, and of the column itself, that
        lies in its missing samples.
    trait
        Shape (n_columns,), share of the squared trait there.
    """

    leverage: np.ndarray
    trait: np.ndarray


def column_gaps(design: Design) -> Gaps | None:
    """The gaps of all columns; None where pairs lose no samples."""
    if not design.gaps.any():
        return None
    columns, basis = design.columns, design.basis
    trait, leverage = np.zeros(design.n_columns), np.zeros(design.n_columns)
    share = design.trait**2 / design.trait_norm**2
    outer = (basis[:, None] * basis[None]).reshape(-1, design.n_samples).T  # (sample, fixed x fixed)
    for start in range(0, design.n_columns, _BLOCK):
        rows = slice(start, start + _BLOCK)
        gone = (design.codes[rows] == MISSING).astype(np.float64)
        trait[rows] = gone @ share
        held = (gone @ outer).reshape(-1, design.n_fixed, design.n_fixed)
        leverage[rows] = np.linalg.eigvalsh(held)[:, -1]
    # An imputed column has there only what the fixed effects take of it.
    leverage *= np.maximum((columns.norm / columns.residual_norm) ** 2, 1.0)
    return Gaps(np.maximum(leverage, 0) * _UP, trait * _UP)
