"""The vectors of a design as one number for each group of 32 samples, and sums that are counted with them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from genoattn.scan.design import Design
from genoattn.scan.screening.bits import pack_planes
from genoattn.scan.screening.grouped import GROUP, Grouped, Groups, alike, pack_words
from genoattn.scan.screening.whole import Plan
from genoattn.scan.screening.whole_pairs import place_of
from genoattn.scan.screening.whole_vectors import ColumnSums, Rounded, rounded

_LARGEST = 2**15 - 1
_LEAST = 100  # of the levels of a number, for so many samples that sums would leave 32 bits
_BYTE = 63  # largest digit of what groups leave of the trait, times codes up to 2
_PRECISE = 0.9  # in the trait's units, a score of one: error of a score that bytes must make smaller
_FEW = 1e-9  # of a step
_STRIP = 256  # columns summed at a time


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
        by_length = np.sqrt(d.weight)
        trait, effects = d.weight * d.trait * (unit / d.trait_norm), d.weight * d.basis[1:]
        self.order = alike(_features(trait, effects, d.weight))
        self._group = np.empty(n, dtype=np.int64)
        self._group[self.order] = np.arange(n) // GROUP
        self._largest = largest_number(n)
        self._plain = bool(np.ptp(d.weight) <= _FEW * d.weight.max())
        self._weight = self._least(d.weight)
        self._trait = self._mean(trait)
        self._effects = [self._mean(q) for q in effects]
        self._bytes = self._trait_bytes(by_length)
        left = self._bytes.rest if len(self._bytes.steps) else self._trait.rest
        self._trait_error = float(np.linalg.norm(left / by_length))
        rest = np.array([e.rest for e in self._effects]).reshape(-1, n) / by_length
        self._fixed_error = float(np.linalg.norm(rest, 2)) if len(rest) else 0.0
        self._exact = np.ascontiguousarray(np.concatenate([trait[None], effects]))
        self.powers = np.ones(len(self._bytes.steps), dtype=np.int64)
        self.digits = self._bytes.digits
        self.column_powers = self.powers[:1]
        self.lost_total = float(self._weight.rest.sum())

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

    def _trait_bytes(self, by_length: np.ndarray) -> Rounded:
        """What groups leave of the trait, in as few bytes as make its error small."""
        out = rounded(self._trait.rest, _BYTE, 0)
        for n_digits in (1, 2):
            if np.linalg.norm(out.rest / by_length) > _PRECISE:
                out = rounded(self._trait.rest, _BYTE, n_digits)
        return out

    def numbers(self, chosen: np.ndarray, centre: np.ndarray) -> tuple[ColumnSums, np.ndarray]:
        """Sums of columns less a whole number by the vectors, and those of the groups' numbers alone.

        Parameters
        ----------
        chosen
            Shape (n_block,), columns.
        centre
            Shape (n_block,), what is taken off their codes.

        Returns
        -------
        Sums, and an array (3 + n_effects, n_block) of whole numbers: of the codes as they are by the weights'
        numbers, of their squares, and of the codes by the trait's and each effect's.
        """
        group, vectors = self._group, [self._trait, *self._effects]
        rows = np.array([self._weight.whole[group], *(v.whole[group] for v in vectors)])
        more = np.concatenate([self._weight.rest[None], self._bytes.digits.astype(np.float64)])
        every = np.concatenate([rows, more])
        by_code, by_square = np.empty((len(every), len(chosen))), np.empty((2, len(chosen)))
        for start in range(0, len(chosen), _STRIP):
            part = slice(start, start + _STRIP)
            codes = (self.design.codes[chosen[part]] - centre[part, None]).astype(np.float64)
            by_code[:, part] = every @ codes.T
            by_square[:, part] = every[[0, len(rows)]] @ (codes**2).T
        whole = rows.sum(axis=1)
        as_is = np.empty((2 + len(vectors), len(chosen)))
        as_is[0] = by_code[0] + centre * whole[0]
        as_is[1] = by_square[0] + 2 * centre * by_code[0] + centre**2 * whole[0]
        as_is[2:] = by_code[1 : len(rows)] + whole[1:, None] * centre
        steps = np.array([v.step for v in vectors])
        of_vectors = steps[:, None] * by_code[1 : len(rows)]
        trait = of_vectors[0] + self._bytes.steps @ by_code[len(rows) + 1 :]
        step, lost = self._weight.step, by_code[len(rows)]
        sums = ColumnSums(step * by_code[0], step * by_square[0], trait, of_vectors[1:], lost, by_square[1])
        return sums, np.round(as_is).astype(np.int32)

    def grouped(self, chosen: np.ndarray, centre: np.ndarray, numbers: np.ndarray, side: int) -> Grouped:
        """Columns as the rows of a tile (``side`` 0), or as its columns; ``numbers`` as above."""
        planes = pack_planes(self.design.codes[chosen][:, self.order])
        words = pack_words(planes, np.arange(len(chosen)), len(self.order), side)
        more = (0, -len(chosen) % side if side else 0)
        parts = (np.pad(x, more) for x in (centre.astype(np.int32), numbers[0], numbers[1]))
        sums = np.ascontiguousarray(np.pad(numbers[2:], ((0, 0), more)))
        return Grouped(words, *parts, sums)  # type: ignore[call-arg]

    def plan(self) -> Plan:
        """The products of a tile."""
        n_bytes, vectors = len(self._bytes.steps), [self._trait, *self._effects]
        places = [place_of(1, 1, 1)] * n_bytes + [place_of(0, a, b) for a in (1, 2) for b in (1, 2)]
        places += [place_of(kind, 1, 1) for kind in range(1, 1 + len(vectors))]
        steps = [*self._bytes.steps, *[self._weight.step] * 4, *(v.step for v in vectors)]
        products = np.zeros((len(places), 2), dtype=np.int64)
        products[:n_bytes, 0] = np.arange(n_bytes)
        totals = np.array([self._total(v) for v in (self._weight, *vectors)])
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
            n_bytes,
            self._groups(),
            np.ascontiguousarray(self.design.weight, dtype=np.float64),
            self._exact,
        )

    def _total(self, numbers: _Numbers) -> float:
        return numbers.step * float(numbers.whole[self._group].sum())

    def _groups(self) -> Groups:
        n_words = 2 * -(-len(self._group) // (2 * GROUP))

        def words(whole: np.ndarray) -> np.ndarray:
            return np.pad(whole, (0, n_words - len(whole))).astype(np.int32)

        vectors = [self._trait, *self._effects]
        pairs = np.array([words(v.whole).astype(np.int16).view(np.int32) for v in vectors])
        totals = np.array([v.whole[self._group].sum() for v in vectors])
        whole = int(self._weight.whole[self._group].sum())
        weight = words(self._weight.whole)[: 0 if self._plain else None]
        return Groups(weight, pairs, whole, np.round(totals).astype(np.int32))


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
