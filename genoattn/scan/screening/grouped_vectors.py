"""The vectors of a design as one number for each group of 32 samples, and sums that are counted with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from genoattn.scan.design import Design
from genoattn.scan.regression.tails import normal_p_value
from genoattn.scan.screening.alike import GROUP, alike
from genoattn.scan.screening.grouped import Grouped, Groups
from genoattn.scan.screening.pair_sums import Near, make_digits
from genoattn.scan.screening.whole import Plan
from genoattn.scan.screening.whole_pairs import place_of
from genoattn.scan.screening.whole_vectors import ColumnSums, Rounded, rounded
from genoattn.scan.screening.words import as_columns, digit_sums, pack_words, word_sums

_LARGEST = 2**15 - 1
_LEAST = 128  # of the levels of a number, for so many samples that sums would leave 32 bits
_BYTE = 63  # largest digit of what groups leave of the trait, times codes up to 2
_NEAR_BYTE = 127  # largest digit that pairs are worked out with once more
_FEW = 1e-9  # of a step
_SETTLED = 1.0  # error of a score that groups need not make smaller
_APART = 3.0  # how much farther apart than by their fixed effects cases and controls are
_PRECISE = 2e-3  # share of a weight, at most, that its digits should leave
# What working out a pair once more costs, and each vector with it, in products of bytes for every pair.
_ONCE_MORE, _WITH_VECTOR = 19.0, 1.2


class _Numbers(NamedTuple):
    """A vector as a step times a whole number for each group; and what that leaves, (n_samples,)."""

    whole: np.ndarray
    step: float
    rest: np.ndarray


class GroupedVectors:
    """The vectors of a design whose genotypes are counted, as :class:`Vectors` has them.

    Samples are in groups that are alike: in the trait where there are no fixed effects but the intercept,
    else in those, in the weights, and in the trait where that is binary. What groups leave of the trait, and
    the last of the fixed effects, are bytes where that costs less than the pairs that else would be worked
    out once more.

    Parameters
    ----------
    design
        Columns without missing calls, of codes up to 2; trait and fixed effects.
    unit
        Score of a correlation of 1.
    root
        Length of the vector of ones.
    critical
        The score, for a product of unit length, that must not be missed.
    """

    gaps = False

    def __init__(self, design: Design, unit: float, root: float, critical: float) -> None:
        d = design
        self.design, self.root = d, root
        self._by_length = np.sqrt(d.weight)
        self._largest = largest_number(d.n_samples)
        self._plain = bool(np.ptp(d.weight) <= _FEW * d.weight.max())
        trait, effects = d.weight * d.trait * (unit / d.trait_norm), d.weight * d.basis[1:]
        self.near = self._near(trait, effects)
        self._divide(trait, effects, critical)
        self._weight = self._least(d.weight)
        self.digits = np.concatenate([self._bytes.digits, self._by_bytes.digits])
        self.powers = np.ones(len(self.digits), dtype=np.int64)
        self.column_powers = self.powers[:1]
        # What the weights lose, at most, for each group; and what all numbers add up to.
        self._lost = self._of_groups(self._weight.rest, np.max, 0.0)
        numbers = [self._weight.whole, self._trait.whole, *(v.whole for v in self._effects), self._lost]
        self._totals = np.array(numbers) @ np.bincount(self._group)
        self.lost_total = float(self._totals[-1])

    def _near(self, trait: np.ndarray, effects: np.ndarray) -> Near:
        """The vectors in as many bytes as make them precise."""
        weight = self.design.weight
        none = np.zeros((0, len(weight)), dtype=np.int8)
        of_weight, lost = Rounded(none, np.zeros(0), weight), 0.0
        if not self._plain:
            for n_digits in (1, 2, 3):
                of_weight = rounded(weight, _NEAR_BYTE, n_digits)
                lost = float((np.abs(of_weight.rest) / weight).max())
                if lost <= _PRECISE:
                    break
        of_trait, of_effects = rounded(trait, _NEAR_BYTE, 2), _one_byte(effects, _NEAR_BYTE)
        digits = np.concatenate([of_trait.digits, of_effects.digits, of_weight.digits])
        trait_error = float(np.linalg.norm(of_trait.rest / self._by_length))
        fixed_error = self._length(of_effects.rest)
        steps = of_trait.steps, of_effects.steps, of_weight.steps
        return Near(make_digits(digits), *steps, lost, trait_error, fixed_error)

    def _length(self, rest: np.ndarray) -> float:
        """The largest length of what a product of unit length has in any combination of vectors."""
        return float(np.linalg.norm(rest / self._by_length, 2)) if len(rest) else 0.0

    def _divide(self, trait: np.ndarray, effects: np.ndarray, critical: float) -> None:
        """Choose the groups, and what is bytes, by what the screen costs."""
        least, chosen = np.inf, (0, 0)
        for n_bytes in range(len(effects) + 1):
            n_digits, cost = self._try(trait, effects, n_bytes, critical)
            if cost >= least:
                break
            least, chosen = cost, (n_bytes, n_digits)
        self._set(trait, effects, *chosen)

    def _try(
        self, trait: np.ndarray, effects: np.ndarray, n_bytes: int, critical: float
    ) -> tuple[int, float]:
        """The best number of digits of the trait, beside so many fixed effects in bytes; and what that costs
        in products of bytes for every pair.
        """
        once_more = _ONCE_MORE + _WITH_VECTOR * len(self.near.digits.totals)
        best = (0, np.inf)
        for n_digits in range(3):
            self._set(trait, effects, n_bytes, n_digits)
            left = np.sqrt(max(1 - (self._fixed_error + 0.05) ** 2 - 0.02, 0.0))
            least = critical * left - 1.06 * self._trait_error - 0.1 * (len(effects) > 0)
            share = float(normal_p_value(np.array(max(least, 0.0))))
            cost = n_bytes + n_digits + share * once_more
            if cost < best[1]:
                best = (n_digits, cost)
        return best

    def _set(self, trait: np.ndarray, effects: np.ndarray, n_bytes: int, n_digits: int) -> None:
        """Group the samples by all but the last fixed effects, which are bytes, as what is left of the trait
        is in so many digits.
        """
        n_grouped = len(effects) - n_bytes
        if getattr(self, "_n_grouped", None) != n_grouped:
            self._n_grouped = n_grouped
            self._set_groups(trait, effects[:n_grouped])
            self._by_bytes = _one_byte(effects[n_grouped:], _BYTE)
            rest = np.array([e.rest for e in self._effects]).reshape(-1, len(trait))
            self._fixed_error = self._length(np.concatenate([rest, self._by_bytes.rest]))
        self._bytes = rounded(self._trait.rest, _BYTE, n_digits)
        self._trait_error = float(np.linalg.norm(self._bytes.rest / self._by_length))

    def _set_groups(self, trait: np.ndarray, effects: np.ndarray) -> None:
        """Group the samples, and take the means of the trait and the effects in their groups."""
        extra = 8 + len(trait) // (8 * GROUP)
        settled = 0.0 if len(effects) else _SETTLED
        self.groups = alike(self._features(trait, effects), extra, settled)
        word, place = np.nonzero(self.groups >= 0)
        self._group = np.empty(len(trait), dtype=np.int64)
        self._group[self.groups[word, place]] = word
        self._trait = self._mean(trait)
        self._effects = [self._mean(q) for q in effects]

    def _features(self, trait: np.ndarray, effects: np.ndarray) -> np.ndarray:
        """By what samples are to be alike: shape (n_samples, n_features)."""
        of_trait = (trait / self._by_length)[:, None]
        if not len(effects):
            return of_trait
        features = np.sqrt(len(trait)) * (effects / self._by_length).T
        if not self.design.binary:
            return features
        return np.column_stack([_APART * of_trait, features, np.log(self.design.weight)])

    def _of_groups(self, vector: np.ndarray, choose: Callable, empty: float) -> np.ndarray:
        """The least or the largest number in each group."""
        out: np.ndarray = choose(np.append(vector, empty)[self.groups], axis=1)
        return out

    def _least(self, weight: np.ndarray) -> _Numbers:
        """Weights to numbers that nowhere exceed them."""
        if self._plain:
            step = float(weight.min())
            return _Numbers(np.ones(len(self.groups)), step, np.zeros(len(weight)))
        least = self._of_groups(weight, np.min, np.inf)
        step = float(least.max()) / self._largest
        whole = np.floor(least / step + _FEW)
        return _Numbers(whole, step, np.maximum(weight - step * whole[self._group], 0.0))

    def _mean(self, vector: np.ndarray) -> _Numbers:
        """A vector to the means of its groups."""
        mean = np.bincount(self._group, vector) / np.bincount(self._group)
        step = max(float(np.abs(mean).max()), 1e-300) / self._largest
        whole = np.round(mean / step)
        return _Numbers(whole, step, vector - step * whole[self._group])

    def columns(self, chosen: np.ndarray, centre: np.ndarray, side: int) -> tuple[ColumnSums, Grouped]:
        """Sums of columns less a whole number by the vectors, and the columns as they are counted.

        Parameters
        ----------
        chosen
            Shape (n_block,), which columns.
        centre
            Shape (n_block,), what is taken off their codes.
        side
            0 for the rows of a tile, else what its columns are filled up to a multiple of.
        """
        codes, of_columns = self.design.codes[chosen], self.design.columns
        words = pack_words(codes, self.groups)
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
        whole_numbers = (centre, by_code[0], by_square[0], by_code[1])
        on_fixed = of_columns.on_fixed[chosen, 1 : 1 + len(self._effects)] / of_columns.norm[chosen, None]
        numbers = (of_columns.mean[chosen], steps[1:, None] * by_code[2:-1], np.ascontiguousarray(on_fixed.T))
        return sums, Grouped(  # type: ignore[call-arg]
            words,
            *(np.pad(np.round(x).astype(np.int32), more) for x in whole_numbers),
            *(np.pad(x.astype(np.float32), ((0, 0),) * (x.ndim - 1) + (more,)) for x in numbers),
        )

    def plan(self) -> Plan:
        """The products of a tile."""
        n, vectors = len(self._bytes.steps), [self._trait, *self._effects]
        places = [place_of(1, 1, 1)] * n + [place_of(0, a, b) for a in (1, 2) for b in (1, 2)]
        places += [place_of(1, 1, 1)] + [place_of(2, 1, 1)] * len(self._by_bytes.digits)
        steps = [*self._bytes.steps, *[self._weight.step] * 4, self._trait.step, *self._by_bytes.steps]
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
            self.near,
        )

    def _groups(self) -> Groups:
        n_words = 2 * -(-len(self.groups) // 2)

        def words(whole: np.ndarray) -> np.ndarray:
            return np.pad(whole, (0, n_words - len(whole))).astype(np.int32)

        vectors = [self._trait, *self._effects]
        pairs = np.array([words(v.whole).astype(np.int16).view(np.int32) for v in vectors])
        totals = np.round(self._totals).astype(np.int64)
        weight = words(self._weight.whole)[: 0 if self._plain else None]
        step = np.array([v.step for v in self._effects], dtype=np.float32)
        effects = (step * totals[2:-1]).astype(np.float32)
        return Groups(weight, pairs, int(totals[0]), int(totals[1]), step, effects)


class _Bytes(NamedTuple):
    """Some vectors as a step times bytes, and what that leaves: (n_vectors, n_samples) but for the steps."""

    digits: np.ndarray
    steps: np.ndarray
    rest: np.ndarray


def _one_byte(vectors: np.ndarray, largest: int) -> _Bytes:
    steps = np.abs(vectors).max(axis=1, initial=1e-300) / largest
    digits = np.round(vectors / steps[:, None])
    return _Bytes(digits.astype(np.int8), steps, vectors - steps[:, None] * digits)


def largest_number(n_samples: int) -> int:
    """The largest number of a group whose products with codes up to 2 add up within 32 bits."""
    return min(_LARGEST, (2**31 - 1) // (16 * max(n_samples, 1)))


def takes_groups(design: Design) -> bool:
    """Whether the genotypes of a design can be counted in groups."""
    whole = int(design.codes.max(initial=0)) <= 2 and not bool((design.columns.missing > 0).any())
    return whole and largest_number(design.n_samples) >= _LEAST
