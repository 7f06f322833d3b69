"""Inner products of the genotypes of two blocks of columns: by counting bits, or by matrix products.

For centred columns a and b these are <a,b>, <a2,b>, <a,b2> and <a2,b2>, all that a regression on a, b and
their product needs beside the trait and the covariates. Without weights they follow exactly from how many
samples have which codes at both sites; with weights, or codes above 2, they are matrix products.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from genoattn.scan.design import Design
from genoattn.scan.screening.bits import Planes, pack_planes, set_bits

_ROWS, _STRIP = 16, 32  # of a tile at a time, whose bits stay in the cache
_HIGHEST = 2  # code that two planes can hold


class CodedBlock(NamedTuple):
    """Columns of a block as planes of bits, coded for the rarer allele, which loses no digits in centring.

    Parameters
    ----------
    planes
        Shape (3, n_block, n_words), uint64: calls that are not missing, codes of 1 or more, codes of 2.
    counts
        Shape (3, n_block), float64: bits set in each plane.
    linear, square
        Shape (3, n_block): weights with which the planes add up to the centred column, and to its square.
    gaps, dosage
        Whether any call is missing, and whether any code is 2.
    """

    planes: np.ndarray
    counts: np.ndarray
    linear: np.ndarray
    square: np.ndarray
    gaps: bool
    dosage: bool

    def part(self, chosen: slice) -> CodedBlock:
        """Some of its columns."""
        return self._replace(
            planes=np.ascontiguousarray(self.planes[:, chosen]),
            counts=np.ascontiguousarray(self.counts[:, chosen]),
            linear=np.ascontiguousarray(self.linear[:, chosen]),
            square=np.ascontiguousarray(self.square[:, chosen]),
        )


class GenotypeSums(NamedTuple):
    """Inner products of the centred columns a of a block and b of another, float64 (n_rows, n_cols) each."""

    ab: np.ndarray
    aab: np.ndarray
    abb: np.ndarray
    aabb: np.ndarray


def genotype_sums(design: Design, rows: np.ndarray, cols: np.ndarray) -> GenotypeSums:
    """Inner products of two blocks, missing calls at the mean, in the inner product of the design."""
    if countable(design, rows) and countable(design, cols):
        return counted_sums(code_block(design, rows), code_block(design, cols))
    return multiplied_sums(design.values(rows), design.values(cols), design.weight)


def countable(design: Design, chosen: np.ndarray) -> bool:
    """Whether the genotype products of columns follow from counts."""
    weighted = design.binary or bool((design.weight != 1).any())
    return not weighted and int(design.codes[chosen].max(initial=0)) <= _HIGHEST


def multiplied_sums(a: np.ndarray, b: np.ndarray, weight: np.ndarray | None) -> GenotypeSums:
    """Inner products of centred rows (n_rows, n_samples) and (n_cols, n_samples) by four matrix products."""
    left = a if weight is None else a * weight
    squares = b * b
    ab, abb = left @ b.T, left @ squares.T
    left = left * a
    return GenotypeSums(ab, left @ b.T, abb, left @ squares.T)


def centred_columns(design: Design, chosen: np.ndarray, dtype: type = np.float64) -> np.ndarray:
    """Columns less their means, 0 where missing, in one pass: (n_chosen, n_samples)."""
    out: np.ndarray = np.empty((len(chosen), design.n_samples), dtype)
    _centre(design.codes, chosen, design.columns.mean, out)
    return out


@njit(nogil=True, cache=True)
def _centre(codes, chosen, mean, out):  # type: ignore[no-untyped-def]
    for k in range(len(chosen)):
        row, target, middle = codes[chosen[k]], out[k], mean[chosen[k]]
        for s in range(len(row)):
            target[s] = row[s] - middle if row[s] >= 0 else 0.0


def code_block(design: Design, chosen: np.ndarray) -> CodedBlock:
    """Planes of columns of a design."""
    return code_rows(design.codes[chosen])


def code_rows(codes: np.ndarray, rarer: bool = True) -> CodedBlock:
    """Planes of rows of codes 0, 1, 2 and -1 where missing, int8 of shape (n_block, n_samples).

    Where ``rarer``, codes of which the mean exceeds the half are counted from the other end.
    """
    planes = pack_planes(codes)
    one, two, called = planes.one, planes.two, planes.called
    n_called, n_one, n_two = (_bits_set(x) for x in (called, one, two))
    top = np.where(planes.dosage, 2.0, 1.0)
    common = rarer & (n_one + n_two > 0.5 * top * n_called)
    one, two, n_one, n_two = _flip(planes, common, n_called, n_one, n_two)
    mean = (n_one + n_two) / np.maximum(n_called, 1)
    sign = np.where(common, -1.0, 1.0)
    ones = np.ones_like(mean)
    linear = np.stack([-mean, ones, ones]) * sign
    square = np.stack([mean**2, 1 - 2 * mean, 3 - 2 * mean])
    gaps = bool((n_called < codes.shape[1]).any())
    counts = np.stack([n_called, n_one, n_two])
    return CodedBlock(np.stack([called, one, two]), counts, linear, square, gaps, bool(planes.dosage.any()))


def _flip(
    planes: Planes, common: np.ndarray, n_called: np.ndarray, n_one: np.ndarray, n_two: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Planes and counts with the codes of common alleles replaced by those of the other allele."""
    one, two = planes.one.copy(), planes.two.copy()
    n_one, n_two = n_one.copy(), n_two.copy()
    dosage, single = common & planes.dosage, common & ~planes.dosage
    one[dosage] = planes.called[dosage] & ~planes.two[dosage]
    two[dosage] = planes.called[dosage] & ~planes.one[dosage]
    n_one[dosage], n_two[dosage] = (n_called - n_two)[dosage], (n_called - n_one)[dosage]
    one[single] = planes.called[single] & ~planes.one[single]
    n_one[single] = (n_called - n_one)[single]
    return one, two, n_one, n_two


@njit(nogil=True, cache=True)
def _bits_set(planes):  # type: ignore[no-untyped-def]
    """Bits set in each row of a plane, float64."""
    out = np.zeros(len(planes))
    for k in range(len(planes)):
        for word in planes[k]:
            out[k] += set_bits(word)
    return out


def counted_sums(left: CodedBlock, right: CodedBlock) -> GenotypeSums:
    """Inner products of two coded blocks."""
    shape = (left.planes.shape[1], right.planes.shape[1])
    out = GenotypeSums(*(np.empty(shape) for _ in range(4)))
    _counted_sums(left, right, out)
    return out


@njit(nogil=True, cache=True, error_model="numpy")
def _counted_sums(left, right, out):  # type: ignore[no-untyped-def]
    n_rows, n_cols = out.ab.shape
    gaps = left.gaps or right.gaps
    counts = np.zeros((3, 3, _ROWS, n_cols))
    mixed = np.empty((3, n_cols))
    for first in range(0, n_rows, _ROWS):
        last = min(first + _ROWS, n_rows)
        joint_counts(left, right, first, last, gaps, counts)
        for i in range(first, last):
            _row_sums(left, right, i, counts[:, :, i - first], mixed, out)


@njit(nogil=True, cache=True, error_model="numpy")
def joint_counts(left, right, first, last, gaps, counts):  # type: ignore[no-untyped-def]
    """Samples in plane x of a row and plane y of a column: ``counts[x, y, row - first, column]``.

    Without gaps the planes of calls are whole, and planes of codes of 2 are looked at where there are any;
    the other entries keep what they have, 0 at first.
    """
    n_cols = right.planes.shape[1]
    for i in range(first, last):
        for k in range(3):
            counts[k, 0, i - first] = left.counts[k, i]
            counts[0, k, i - first] = right.counts[k]
        counts[0, 0, i - first] = left.counts[0, i]
    dosage = left.dosage and right.dosage
    for start in range(0, n_cols, _STRIP):
        stop = min(start + _STRIP, n_cols)
        for i in range(first, last):
            if dosage:
                _count_codes(left.planes, right.planes, i, start, stop, counts[:, :, i - first])
            else:
                for x in range(1, 3 if left.dosage else 2):
                    for y in range(1, 3 if right.dosage else 2):
                        _count(left.planes[x, i], right.planes[y], start, stop, counts[x, y, i - first])
            if gaps:
                for k in range(3):
                    _count(left.planes[k, i], right.planes[0], start, stop, counts[k, 0, i - first])
                    if k:
                        _count(left.planes[0, i], right.planes[k], start, stop, counts[0, k, i - first])


@njit(nogil=True, cache=True, error_model="numpy")
def _count_codes(left, right, i, start, stop, counts):  # type: ignore[no-untyped-def]
    """The four counts of codes of 1 or more, and of 2."""
    for j in range(start, stop):
        n11 = n12 = n21 = n22 = np.uint64(0)
        for w in range(left.shape[2]):
            a1, a2, b1, b2 = left[1, i, w], left[2, i, w], right[1, j, w], right[2, j, w]
            n11 += set_bits(a1 & b1)
            n12 += set_bits(a1 & b2)
            n21 += set_bits(a2 & b1)
            n22 += set_bits(a2 & b2)
        counts[1, 1, j], counts[1, 2, j] = n11, n12
        counts[2, 1, j], counts[2, 2, j] = n21, n22


@njit(nogil=True, cache=True, error_model="numpy")
def _count(row, planes, start, stop, counts):  # type: ignore[no-untyped-def]
    for j in range(start, stop):
        total = np.uint64(0)
        for w in range(len(row)):
            total += set_bits(row[w] & planes[j, w])
        counts[j] = total


@njit(nogil=True, cache=True, error_model="numpy")
def _row_sums(left, right, i, counts, mixed, out):  # type: ignore[no-untyped-def]
    """The sums of row i, bilinear in the weights of the planes; ``mixed`` is work space of three rows."""
    for square_a in (False, True):
        of_a = left.square if square_a else left.linear
        plain, squared = (out.aab, out.aabb) if square_a else (out.ab, out.abb)
        for y in range(3):
            c = counts[:, y]
            _combine(of_a[0, i], of_a[1, i], of_a[2, i], c[0], c[1], c[2], mixed[y])
        for square_b in (False, True):
            of_b = right.square if square_b else right.linear
            target = squared if square_b else plain
            _dot_columns(mixed[0], mixed[1], mixed[2], of_b[0], of_b[1], of_b[2], target[i])


# Loops over few arrays: a compiler that cannot prove many of them apart makes no vectors of a longer one.
@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _combine(a, b, c, x, y, z, out):  # type: ignore[no-untyped-def]
    for j in range(len(out)):
        out[j] = a * x[j] + b * y[j] + c * z[j]


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
def _dot_columns(x0, x1, x2, y0, y1, y2, out):  # type: ignore[no-untyped-def]
    for j in range(len(out)):
        out[j] = x0[j] * y0[j] + x1[j] * y1[j] + x2[j] * y2[j]
