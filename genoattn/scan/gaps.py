"""What missing calls can change in the screen: bounds from per-column quantities.

The screen computes the regression on all samples, a missing call being the mean; the exact test uses the
complete cases. Let V hold the orthonormal fixed effects and the two residual columns, D the samples that
lack a call, and ``V_D' V_D <= delta V'V``. The product P is 0 in D, so that ``c = V'P`` is that of the
complete cases, and with e the residual of the trait on V

- ``c' G_cc^-1 c <= c' G^-1 c / (1 - delta)``: what V takes of P;
- ``|<P, e_cc> - <P, e>| <= sqrt(c' G^-1 c delta) |e_D| / (1 - delta)``: the numerator;
- ``|e_cc|^2 >= |e|^2 - |e_D|^2 / (1 - delta)``: the trait.

delta and |e_D| are bounded by sums over each column's missing samples, and over the m largest squares of the
other column where m calls are missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genoattn.cohort import MISSING
from genoattn.scan.design import Design

_BLOCK = 256
_UP = np.float32(1 + 1e-5)  # what is stored in float32 is rounded up


@dataclass(frozen=True, eq=False)
class Gaps:
    """The missing calls of columns.

    Parameters
    ----------
    number
        Shape (n_columns,), missing calls.
    leverage
        Shape (n_columns,), largest share of a function of the fixed effects, or of the column itself, that
        lies in its missing samples.
    trait
        Shape (n_columns,), share of the squared trait there.
    steps
        Shape (n_steps,), ascending numbers of samples, the last all of them.
    largest
        Shape (n_columns, n_steps), sum of that many largest squares of the residual column, of unit length.
    """

    number: np.ndarray
    leverage: np.ndarray
    trait: np.ndarray
    steps: np.ndarray
    largest: np.ndarray

    def select(self, chosen: np.ndarray | slice) -> Gaps:
        """The columns of a block."""
        return Gaps(
            self.number[chosen], self.leverage[chosen], self.trait[chosen], self.steps, self.largest[chosen]
        )

    def carried_by(self, n_samples: int) -> np.ndarray:
        """Most that ``n_samples`` samples can carry of each column's square: shape (n_columns,)."""
        if n_samples == 0:
            return np.zeros(len(self.number), dtype=np.float32)
        return self.largest[:, np.searchsorted(self.steps, n_samples)]


def column_gaps(design: Design) -> Gaps | None:
    """The gaps of all columns; None where no call is missing."""
    columns = design.columns
    if not design.gaps.any():
        return None
    n, n_columns = design.n_samples, design.n_columns
    most = int(columns.missing.max())
    steps = np.unique(np.r_[np.ceil(most ** np.linspace(0, 1, 12)).astype(int), most])
    leverage, trait = np.zeros(n_columns), np.zeros(n_columns)
    largest = np.zeros((n_columns, len(steps)))
    share = design.trait**2 / design.trait_norm**2
    for start in range(0, n_columns, _BLOCK):
        rows = slice(start, start + _BLOCK)
        gone = design.codes[rows] == MISSING
        residual = design.residual(design.values(rows)) / columns.residual_norm[rows][:, None]
        square = residual**2
        trait[rows] = gone @ share
        top = -np.partition(-square, most - 1, axis=1)[:, :most] if most < n else square
        largest[rows] = np.cumsum(-np.sort(-top, axis=1), axis=1)[:, steps - 1]
        own = (square * gone).sum(axis=1)
        for k in np.flatnonzero(gone.any(axis=1)):
            part = design.basis[:, gone[k]]
            leverage[start + k] = np.linalg.eigvalsh(part @ part.T)[-1] + own[k]
    return Gaps(columns.missing, _rounded_up(leverage), _rounded_up(trait), steps, _rounded_up(largest))


def _rounded_up(values: np.ndarray) -> np.ndarray:
    return _UP * values.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Change:
    """Bounds for the complete cases of pairs, of their shape.

    Parameters
    ----------
    taken
        What fixed effects and main effects take of the product's square.
    score
        What the numerator may change by, in units of the trait's length.
    trait
        What the square of the trait's residual may lose, as a share.
    """

    taken: np.ndarray
    score: np.ndarray
    trait: np.ndarray


def complete_cases(
    left: Gaps,
    right: Gaps,
    rows: np.ndarray,
    cols: np.ndarray,
    room: np.ndarray,
    taken: np.ndarray,
    main: np.ndarray,
) -> Change:
    """From bounds on all samples to bounds on complete cases.

    Parameters
    ----------
    left, right
        Gaps of the rows and columns of the tile.
    rows, cols
        Row and column of each pair, of shapes that broadcast.
    room
        Smallest eigenvalue of the correlation matrix of the two columns, from below.
    taken
        ``c' G^-1 c``, from above.
    main
        Share of the trait that the main effects explain, from above.
    """
    row_most, column_most = int(left.number[rows].max()), int(right.number.max())
    trait = left.trait[rows] + right.trait[cols]
    delta = (left.leverage + left.carried_by(column_most))[rows]
    delta = delta + (right.leverage + right.carried_by(row_most))[cols]
    delta = delta / room
    keep = np.maximum(1 - delta, np.float32(1e-6))  # no pair is discarded where nothing need be left
    lost = np.sqrt(trait) + np.sqrt(np.minimum(delta, 1) * main)  # |e_D|
    return Change(taken / keep, np.sqrt(np.maximum(taken, 0) * delta) * lost / keep, lost**2 / keep)
