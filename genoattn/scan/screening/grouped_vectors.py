"""The vectors of a design as one number for each group of 32 samples, and sums that are counted with them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from genoattn.scan.design import Design
from genoattn.scan.screening.grouped import (
    GROUP,
    Grouped,
    Groups,
    alike,
    as_columns,
    digit_sums,
    pack_words,
    word_sums,
)
from genoattn.scan.screening.whole import Plan
from genoattn.scan.screening.whole_pairs import place_of
from genoattn.scan.screening.whole_vectors import ColumnSums, Rounded, rounded

_LARGEST = 2**15 - 1
_LEAST = 100  # of the levels of a number, for so many samples that sums would leave 32 bits
_BYTE = 63  # largest digit of what groups leave of the trait, times codes up to 2
_PRECISE = 0.6  # error of a score that bytes of what groups leave of the trait must make smaller
_ALIKE = 0.55  # share of a product's length in the fixed effects, at most, that groups may leave unknown
_FEW = 1e-9  # of a step


class _Numbers(NamedTuple):
    """A vector as a step times a whole number for each group; and what that leaves, (n_samples,)."""

    whole: np.ndarray
    step: float
    rest: np.ndarray


class GroupedVectors:
    """The vectors of a design whose genotypes are counted, as :class:`Vectors` has them.

    Samples are ordered so that groups are alike: by the trait where there are no fixed effects but the
    intercept, else by those and by the weights. What groups leave of the trait is bytes where it is large.

    Parameters
    ----------
    design
        Columns without missing calls, of codes up to 2; trait and fixed effects.
    unit
        Score of a correlation of 1.
    root
        Length of the vector of ones.
    """

    gaps = False

    def __init__(self, design: Design, unit: float, root: float) -> None:
        d, n = design, design.n_samples
        self.design, self.root = d, root
        self._by_length = np.sqrt(d.weight)
        self._largest = largest_number(n)
        self._plain = bool(np.ptp(d.weight) <= _FEW * d.weight.max())
        trait, effects = d.weight * d.trait * (unit / d.trait_norm), d.weight * d.basis[1:]
        # As many of the fixed effects are bytes as must be, for groups to be alike in the others.
        for n_grouped in range(len(effects), -1, -1):
            self._set_groups(trait, effects[:n_grouped])
            rest = np.array([e.rest for e in self._effects]).reshape(-1, n) / self._by_length
            if len(rest) == 0 or np.linalg.norm(rest, 2) <= _ALIKE:
                break
        self._weight, self._trait = self._least(d.weight), self._mean(trait)
        self._bytes, self._by_bytes = self._trait_bytes(), _one_byte(effects[n_grouped:])
        rest = np.concatenate([rest, self._by_bytes.rest / self._by_length])
        left = self._bytes.rest if len(self._bytes.steps) else self._trait.rest
        self._trait_error = float(np.linalg.norm(left / self._by_length))
        self._fixed_error = float(np.linalg.norm(rest, 2)) if len(rest) else 0.0
        self._exact = np.ascontiguousarray(np.concatenate([trait[None], effects]))
        self.digits = np.concatenate([self._bytes.digits, self._by_bytes.digits])
        self.powers = np.ones(len(self.digits), dtype=np.int64)
        self.column_powers = self.powers[:1]
        # What the weights lose, at most, for each group; and what all numbers add up to.
        self._lost = np.maximum.reduceat(self._weight.rest[self.order], np.arange(0, n, GROUP))
        numbers = [self._weight.whole, self._trait.whole, *(v.whole for v in self._effects), self._lost]
        self._totals = np.array(numbers) @ np.bincount(self._group)
        self.lost_total = float(self._totals[-1])

    def _set_groups(self, trait: np.ndarray, effects: np.ndarray) -> None:
        """Order the samples, and take the means of the effects in their groups."""
        self.order = alike(_features(trait, effects, self.design.weight))
        self._group = np.empty(len(self.order), dtype=np.int64)
        self._group[self.order] = np.arange(len(self.order)) // GROUP
        self._effects = [self._mean(q) for q in effects]

    def _least(self, weight: np.ndarray) -> _Numbers:
        """Weights to numbers that nowhere exceed them."""
        if self._plain:
            step = float(weight.min())
            return _Numbers(np.ones(int(self._group.max()) + 1), step, np.zeros(len(weight)))
        starts = np.arange(0, len(weight), GROUP)
        least = np.minimum.reduceat(weight[self.order], starts)
        step = float(least.max()) / self._largest
        whole = np.floor(least / step + _FEW)
        return _Numbers(whole, step, np.maximum(weight - step * whole[self._group], 0.0))

    def _mean(self, vector: np.ndarray) -> _Numbers:
        """A vector to the means of its groups."""
        mean = np.bincount(self._group, vector) / np.bincount(self._group)
        step = max(float(np.abs(mean).max()), 1e-300) / self._largest
        whole = np.round(mean / step)
        return _Numbers(whole, step, vector - step * whole[self._group])

    def _trait_bytes(self) -> Rounded:
        """What groups leave of the trait, in as few bytes as make its error small."""
        out = rounded(self._trait.rest, _BYTE, 0)
        for n_digits in (1, 2):
            if np.linalg.norm(out.rest / self._by_length) > _PRECISE:
                out = rounded(self._trait.rest, _BYTE, n_digits)
        return out

    def columns(self, codes: np.ndarray, centre: np.ndarray, side: int) -> tuple[ColumnSums, Grouped]:
        """Sums of columns less a whole number by the vectors, and the columns as they are counted.

        Parameters
        ----------
        codes
            Shape (n_block, n_samples).
        centre
            Shape (n_block,), what is taken off them.
        side
            0 for the rows of a tile, else what its columns are filled up to a multiple of.
        """
        words = pack_words(codes, self.order)
        vectors = [self._trait, *self._effects]
        whole = np.array([self._weight.whole, *(v.whole for v in vectors), self._lost])
        whole = np.pad(whole, ((0, 0), (0, words.shape[1] - whole.shape[1])))
        by_code = word_sums(words, whole, False)
        by_square = word_sums(words, np.ascontiguousarray(whole[[0, -1]]), True)
        totals = self._totals
        centred = by_code - centre * totals[:, None]
        squared = by_square - 2 * centre * by_code[[0, -1]] + centre**2 * totals[[0, -1], None]
        digits = digit_sums(codes, self.digits) - centre * self.digits.sum(axis=1, dtype=np.int64)[:, None]
        steps = np.array([v.step for v in vectors])
        of_vectors = steps[:, None] * centred[1:-1]
        n = len(self._bytes.steps)
        of_vectors[0] += self._bytes.steps @ digits[:n]
        effects = np.concatenate([of_vectors[1:], self._by_bytes.steps[:, None] * digits[n:]])
        step = self._weight.step
        sums = ColumnSums(
            step * centred[0], step * squared[0], of_vectors[0], effects, centred[-1], squared[-1]
        )
        if side:
            words, more = as_columns(words, side), (0, -len(codes) % side)
        else:
            more = (0, 0)
        numbers = (centre, by_code[0], by_square[0])
        parts = (np.pad(np.round(x).astype(np.int32), more) for x in numbers)
        by_vector = np.pad(np.round(by_code[1:-1]).astype(np.int32), ((0, 0), more))
        return sums, Grouped(words, *parts, np.ascontiguousarray(by_vector))  # type: ignore[call-arg]

    def plan(self) -> Plan:
        """The products of a tile."""
        n, vectors = len(self._bytes.steps), [self._trait, *self._effects]
        places = [place_of(1, 1, 1)] * n + [place_of(0, a, b) for a in (1, 2) for b in (1, 2)]
        n_effects = len(self._effects) + len(self._by_bytes.digits)
        places += [place_of(kind, 1, 1) for kind in range(1, 2 + n_effects)]
        steps = [
            *self._bytes.steps,
            *[self._weight.step] * 4,
            *(v.step for v in vectors),
            *self._by_bytes.steps,
        ]
        sums = np.arange(len(places))
        sums = np.concatenate([sums[:n], sums[len(sums) - len(self._by_bytes.digits) :]])
        products = np.stack([np.arange(len(sums)), 0 * sums, sums], axis=1)
        totals = np.concatenate([self._totals[:-1], self._by_bytes.digits.sum(axis=1, dtype=np.int64)])
        totals *= [self._weight.step, *(v.step for v in vectors), *self._by_bytes.steps]
        totals[1] += self._bytes.total()
        return Plan(
            products,
            np.array(places, dtype=np.uint64),
            np.array(steps, dtype=np.float32),
            totals.astype(np.float32),
            np.float32(self.root),
            np.float32(self._trait_error),
            np.float32(self._fixed_error),
            False,
            False,
            n,
            self._groups(),
            np.ascontiguousarray(self.design.weight, dtype=np.float64),
            self._exact,
        )

    def _groups(self) -> Groups:
        n_words = 2 * -(-len(self._group) // (2 * GROUP))

        def words(whole: np.ndarray) -> np.ndarray:
            return np.pad(whole, (0, n_words - len(whole))).astype(np.int32)

        vectors = [self._trait, *self._effects]
        pairs = np.array([words(v.whole).astype(np.int16).view(np.int32) for v in vectors])
        totals = np.round(self._totals).astype(np.int64)
        weight = words(self._weight.whole)[: 0 if self._plain else None]
        return Groups(weight, pairs, int(totals[0]), totals[1:-1].astype(np.int32))


class _Bytes(NamedTuple):
    """Some vectors as a step times bytes, and what that leaves: (n_vectors, n_samples) but for the steps."""

    digits: np.ndarray
    steps: np.ndarray
    rest: np.ndarray


def _one_byte(vectors: np.ndarray) -> _Bytes:
    steps = np.abs(vectors).max(axis=1, initial=1e-300) / _BYTE
    digits = np.round(vectors / steps[:, None])
    return _Bytes(digits.astype(np.int8), steps, vectors - steps[:, None] * digits)


def largest_number(n_samples: int) -> int:
    """The largest number of a group whose products with codes up to 2 add up within 32 bits."""
    return min(_LARGEST, (2**31 - 1) // (16 * max(n_samples, 1)))


def takes_groups(design: Design) -> bool:
    """Whether the genotypes of a design can be counted in groups."""
    whole = int(design.codes.max(initial=0)) <= 2 and not bool((design.columns.missing > 0).any())
    return whole and largest_number(design.n_samples) >= _LEAST


def _features(trait: np.ndarray, effects: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """By what samples are to be alike: shape (n_samples, n_features)."""
    by_length = np.sqrt(weight)
    if not len(effects):
        return (trait / by_length)[:, None]
    return np.column_stack([np.sqrt(len(weight)) * (effects / by_length).T, np.log(weight)])
