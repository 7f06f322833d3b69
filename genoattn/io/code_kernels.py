"""Packed codes of genotypes (see :mod:`genoattn.io.record_kernels`): made, noted, translated and counted."""

import numpy as np
from numba import njit

from genoattn.io.record_kernels import IRREGULAR, MISSING_ALLELE, NO_ALLELE, REGULAR


@njit(cache=True, nogil=True)
def pack_alleles(alleles: np.ndarray, codes: np.ndarray, status: np.ndarray) -> None:
    """Packed codes of allele indices, -1 for a missing allele, -2 for one that the sample does not have.

    Parameters
    ----------
    alleles
        Shape (n_records, n_samples, ploidy), ploidy 1 or 2, signed integers.
    codes
        Shape (n_records, n_samples), uint8; filled.
    status
        Shape (n_records,), uint8; filled with whether the codes are those of the record.
    """
    diploid = alleles.shape[2] == 2
    for i in range(alleles.shape[0]):
        n_too_large = 0
        for k in range(alleles.shape[1]):
            first = np.int64(alleles[i, k, 0])
            second = np.int64(alleles[i, k, 1]) if diploid else np.int64(-2)
            n_too_large += int((first > 9) | (second > 9))
            a = first if first >= 0 else MISSING_ALLELE
            b = second if second >= 0 else NO_ALLELE if second == -2 else MISSING_ALLELE
            codes[i, k] = np.uint8(a | b << 4)
        status[i] = IRREGULAR if n_too_large else REGULAR


@njit(cache=True, nogil=True)
def note_codes(codes: np.ndarray, seen: np.ndarray) -> None:
    """Set ``seen`` (n_rows, 256), bool, where a row of ``codes`` (n_rows, n), uint8, has the code."""
    for i in range(codes.shape[0]):
        for k in range(codes.shape[1]):
            seen[i, codes[i, k]] = True


@njit(cache=True, nogil=True)
def count_values(rows: np.ndarray, counts: np.ndarray) -> None:
    """Fill ``counts`` (n_rows, n_values), int64, with how often ``rows`` (n_rows, n), int8, have 0, 1, ..."""
    for i in range(rows.shape[0]):
        for value in range(counts.shape[1]):
            n = 0
            for k in range(rows.shape[1]):
                n += rows[i, k] == value
            counts[i, value] = n


@njit(cache=True, nogil=True)
def translate(codes: np.ndarray, table: np.ndarray, out: np.ndarray) -> None:
    """Write ``table[codes]`` to ``out``: codes and out (n_rows, n), uint8 and int8; table (256,), int8."""
    for i in range(codes.shape[0]):
        for k in range(codes.shape[1]):
            out[i, k] = table[codes[i, k]]
