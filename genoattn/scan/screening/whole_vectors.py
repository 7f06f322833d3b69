"""The vectors of a design as bytes, and the products of whole numbers that a screen makes with them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from genoattn.scan.design import Design
from genoattn.scan.screening.grouped import no_groups
from genoattn.scan.screening.pair_sums import no_digits
from genoattn.scan.screening.tiles import Rows, column_sums, configuration
from genoattn.scan.screening.whole import Plan
from genoattn.scan.screening.whole_pairs import place_of

_BYTE = 127
_FEW = 1e-9  # of a step, in which a weight may exceed what it is rounded to


class Rounded(NamedTuple):
    """A vector as bytes: ``sum_d step_d digit_d``, and what that leaves of it.

    Parameters
    ----------
    digits
        Shape (n_digits, n_samples), int8.
    steps
        Shape (n_digits,).
    rest
        Shape (n_samples,).
    """

    digits: np.ndarray
    steps: np.ndarray
    rest: np.ndarray

    def total(self) -> float:
        """Sum of the rounded vector."""
        return float(self.steps @ self.digits.sum(axis=1, dtype=np.int64))


def rounded(vector: np.ndarray, largest: int, n_digits: int) -> Rounded:
    """A vector to the nearest bytes of at most a size; digits that are all 0 are left out."""
    digits, steps, rest = [], [], vector.astype(np.float64)
    for _ in range(n_digits):
        step = float(np.abs(rest).max()) / largest
        if step <= 1e-14 * float(np.abs(vector).max()):
            break
        digit = np.round(rest / step)
        digits.append(digit.astype(np.int8))
        steps.append(step)
        rest = rest - step * digit
    return Rounded(np.array(digits, dtype=np.int8).reshape(-1, len(vector)), np.array(steps), rest)


def rounded_down(weight: np.ndarray, largest: int) -> Rounded:
    """Weights, of 0 or more, to bytes that nowhere exceed them."""
    digits, steps, rest = [], [], weight
    for _ in range(2):
        step = float(rest.max()) / largest
        if step <= _FEW * float(weight.max()):
            break
        digit = np.floor(rest / step + _FEW)
        digits.append(digit.astype(np.int8))
        steps.append(step)
        rest = np.maximum(rest - step * digit, 0.0)
    return Rounded(np.array(digits), np.array(steps), rest)


class _Operand(NamedTuple):
    """One of the rows of products: a vector's digit by a power of the codes."""

    kind: int
    power: int
    digit: np.ndarray
    step: float


class ColumnSums(NamedTuple):
    """Sums over the samples of columns of codes: by the weights, also of squares; by the trait; by each fixed
    effect, (n_fixed - 1, n_columns); by what rounding took of the weights, at most, also of squares.
    """

    total: np.ndarray
    square: np.ndarray
    trait: np.ndarray
    effects: np.ndarray
    lost: np.ndarray
    lost_square: np.ndarray


class Vectors:
    """The vectors of a design as bytes, small enough that their products with powers of codes are bytes too.

    Parameters
    ----------
    design
        Columns, trait and fixed effects.
    unit
        Score of a correlation of 1.
    root
        Length of the vector of ones.
    """

    def __init__(self, design: Design, unit: float, root: float) -> None:
        d, n = design, design.n_samples
        highest = max(int(d.codes.max(initial=1)), 1)
        ones = Rounded(np.ones((1, n), np.int8), np.ones(1), np.zeros(n))
        self.weight = rounded_down(d.weight, _BYTE // highest**2) if d.binary else ones
        size = _BYTE // highest
        self.trait = rounded(d.weight * d.trait * (unit / d.trait_norm), size, 2)
        self.effects = [rounded(d.weight * q, size, 1) for q in d.basis[1:]]
        # At least what rounding took of the weights.
        step = float(self.weight.rest.max()) / _BYTE
        self.lost_step = step
        self._lost = np.ceil(self.weight.rest / step).astype(np.int8) if step else np.zeros(n, np.int8)
        self.lost_total = step * float(self._lost.sum(dtype=np.int64))
        self.gaps = bool((d.columns.missing > 0).any())
        self.root = root
        by_length = np.sqrt(d.weight)
        rest = np.array([e.rest for e in self.effects]).reshape(-1, n) / by_length
        self._trait_error = float(np.linalg.norm(self.trait.rest / by_length))
        self._fixed_error = float(np.linalg.norm(rest, 2)) if len(rest) else 0.0
        self._operands = self._list_operands()
        self.powers = np.array([o.power for o in self._operands])
        self.digits = np.array([o.digit for o in self._operands])
        self.column_powers = np.array([1, 2, 0] if self.gaps else [1, 2])
        self._configuration = configuration()
        self.for_sums = self._rows_for_sums()

    def _list_operands(self) -> list[_Operand]:
        """Weights by codes and by their squares, the trait and the effects by codes; all by the indicators of
        a call too, where any is missing.
        """
        vectors = [self.weight, self.trait, *self.effects]
        return [
            _Operand(kind, power, digit, step)
            for kind, vector in enumerate(vectors)
            for power in ((1, 2) if kind == 0 else (1,)) + ((0,) if self.gaps else ())
            for digit, step in zip(vector.digits, vector.steps, strict=True)
        ]

    def _rows_for_sums(self) -> Rows:
        """A row of ones by each vector, and by what rounding took of the weights."""
        vectors = [v.digits for v in (self.weight, self.trait, *self.effects)]
        digits = np.concatenate([*vectors, self._lost[None]])
        powers = np.ones(len(digits), dtype=np.int64)
        return Rows(np.ones((1, digits.shape[1]), np.int8), np.zeros(1, np.int8), powers, digits)

    def sums(self, columns: np.ndarray, n_columns: int) -> ColumnSums:
        """Sums over the samples of the vectors times codes, or their squares, as operands have them."""
        every = np.arange(len(self.for_sums.vectors))
        products = np.concatenate(
            [np.stack([every, 0 * every + k, every + k * len(every)], axis=1) for k in (0, 1)]
        )
        sums = column_sums(self.for_sums, columns, products, self._configuration)[:, :n_columns]
        by_code, by_square = sums[: len(every)], sums[len(every) :]
        ends = np.cumsum([len(v.steps) for v in (self.weight, self.trait, *self.effects)])
        parts = []
        for vector, end in zip((self.weight, self.trait, *self.effects), ends, strict=True):
            parts.append(vector.steps @ by_code[end - len(vector.steps) : end])
        square = self.weight.steps @ by_square[: ends[0]]
        lost = (self.lost_step * by_code[ends[-1]], self.lost_step * by_square[ends[-1]])
        return ColumnSums(parts[0], square, parts[1], np.array(parts[2:]).reshape(-1, n_columns), *lost)

    def plan(self, gaps: bool, impute: bool) -> Plan:
        """The products of a tile, with or without missing calls."""
        out: list[tuple[int, int, int, int, float]] = []
        for k, operand in enumerate(self._operands):
            if operand.power == 0 and not gaps:
                continue
            others = (0, 1, 2) if operand.kind == 0 else (0, 1)
            for other in others if gaps else others[1:]:
                place = place_of(operand.kind, operand.power, other)
                # The operands of columns are codes, squares, calls.
                out.append((k, (2, 0, 1)[other], len(out), place, operand.step))
        totals = [v.total() for v in (self.weight, self.trait, *self.effects)]
        return Plan(
            np.array([row[:3] for row in out], dtype=np.int64),
            np.array([row[3] for row in out], dtype=np.uint64),
            np.array([row[4] for row in out], dtype=np.float32),
            np.array(totals, dtype=np.float32),
            np.float32(self.root),
            np.float32(self._trait_error),
            np.float32(self._fixed_error),
            gaps,
            impute,
            len(out),
            no_groups(),
            no_digits(),
        )
