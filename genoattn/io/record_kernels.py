"""Genotypes of many VCF or BCF records in one pass over their bytes, as packed codes.

A packed code is ``first | second << 4``, of two allele indices up to 9, 14 for a missing allele and 15 for
the absent second one of a haploid call. Records that do not fit are marked for the general parser.
"""

import numpy as np
from numba import njit

MISSING_ALLELE, NO_ALLELE = 14, 15
REGULAR, IRREGULAR, COMMENT = 0, 1, 2
_LARGEST = 21  # byte of an allele index of 9
_VECTOR_END = 0x81  # what fills the vector of a sample of lower ploidy
N_FIXED = 9  # columns of a record before those of its samples
_TAB, _LINE, _RETURN, _COLON, _DOT, _HASH = (ord(c) for c in "\t\n\r:.#")
_SLASH, _BAR, _ZERO, _NINE, _G, _T = (ord(c) for c in "/|09GT")
_COMMA, _MINUS, _PLUS, _E, _E_UPPER = (ord(c) for c in ",-+eE")


@njit(cache=True, nogil=True)
def _allele(byte: int) -> int:
    """The allele index a byte stands for, 14 where missing, -1 where it is neither."""
    if _ZERO <= byte <= _NINE:
        return byte - _ZERO
    return MISSING_ALLELE if byte == _DOT else -1


@njit(cache=True, nogil=True, inline="always")
def _is_allele(byte: np.uint32) -> bool:
    return (byte - np.uint32(_ZERO) <= np.uint32(9)) | (byte == np.uint32(_DOT))


@njit(cache=True, nogil=True)
def _parse_even(words: np.ndarray, codes: np.ndarray) -> bool:
    """Parse diploid calls of one digit each; False where there are others.

    ``words`` (n_samples,), uint32, little-endian, hold a call and the tab behind it, the last one the end of
    the line instead. This is the layout of nearly all calls there are, and the loop has no branches, so that
    it is compiled to vector instructions.
    """
    wrong = np.uint32(0)
    last = len(words) - 1
    for sample in range(last + 1):
        word = words[sample]
        between = word & np.uint32(0xFF00FF00)
        separated = (between == np.uint32(0x09002F00)) | (between == np.uint32(0x09007C00))
        separated |= (sample == last) & (
            (between == np.uint32(0x0A002F00)) | (between == np.uint32(0x0A007C00))
        )
        first, second = word & np.uint32(255), (word >> np.uint32(16)) & np.uint32(255)
        wrong |= np.uint32(0) if separated & _is_allele(first) & _is_allele(second) else np.uint32(1)
        # The low bits of a digit are its number, those of a dot 14.
        codes[sample] = np.uint8((word & np.uint32(15)) | ((word >> np.uint32(12)) & np.uint32(240)))
    return wrong == 0


@njit(cache=True, nogil=True)
def _parse_calls(text: np.ndarray, p: int, codes: np.ndarray) -> int:
    """Parse calls of any width from ``p``, GT first in each; the end of the line, -1 if irregular."""
    for sample in range(len(codes)):
        first = _allele(text[p])
        second = NO_ALLELE
        p += 1
        if first >= 0 and (text[p] == _SLASH or text[p] == _BAR):
            second = _allele(text[p + 1])
            p += 2
        if first < 0 or second < 0:
            return -1
        if text[p] == _COLON:
            while text[p] != _TAB and text[p] != _LINE:
                p += 1
            p -= text[p - 1] == _RETURN
        p += text[p] == _RETURN and text[p + 1] == _LINE
        codes[sample] = first | second << 4
        if text[p] != (_TAB if sample < len(codes) - 1 else _LINE):
            return -1
        p += 1
    return p - 1


@njit(cache=True, nogil=True)
def parse_lines(text: np.ndarray, start: int, codes: np.ndarray, tabs: np.ndarray, status: np.ndarray) -> int:
    """Parse the complete lines of a block of VCF text from ``start``; how many there were, at most n_most.

    Parameters
    ----------
    text
        Shape (n_bytes,), uint8; the last byte ends a line.
    codes
        Shape (n_most, n_samples), uint8; filled with packed codes.
    tabs
        Shape (n_most, 11), int64; filled with the start of the line, the ends of its nine fixed columns, 0
        where it has fewer, and the end of the line.
    status
        Shape (n_most,), uint8; filled with what each line is.
    """
    p, width, line = start, 4 * codes.shape[1], 0
    while p < len(text) and line < len(status):
        tabs[line, :] = 0
        tabs[line, 0] = p
        column = 1
        while column <= N_FIXED and text[p] != _LINE:
            if text[p] == _TAB:
                tabs[line, column] = p
                column += 1
            p += 1
        status[line], end = IRREGULAR, -1
        at = tabs[line, N_FIXED - 1] + 1  # FORMAT
        if text[tabs[line, 0]] == _HASH or text[tabs[line, 0]] == _LINE:
            status[line] = COMMENT
        elif column > N_FIXED and text[at] == _G and text[at + 1] == _T:
            last = p + width - 1
            even = at + 3 == p and last < len(text) and text[last] == _LINE
            if even and _parse_even(text[p : last + 1].view(np.uint32), codes[line]):
                end = last
            if end < 0 and (at + 3 == p or text[at + 2] == _COLON):
                end = _parse_calls(text, p, codes[line])
            if end >= 0:
                status[line], p = REGULAR, end
        while text[p] != _LINE:
            p += 1
        tabs[line, N_FIXED + 1] = p
        p += 1
        line += 1
    return line


@njit(cache=True, nogil=True)
def _decimal(text: np.ndarray, p: int) -> tuple[float, int]:
    """The number at ``p``, NaN for a dot, and where it ends; where it begins if there is none."""
    start, value, scale, n_digits, exponent = p, 0.0, 1.0, 0, 0
    negative = text[p] == _MINUS
    p += negative
    while _ZERO <= text[p] <= _NINE:
        value, n_digits, p = 10 * value + (text[p] - _ZERO), n_digits + 1, p + 1
    if text[p] == _DOT:
        p += 1
        while _ZERO <= text[p] <= _NINE:
            value, scale, n_digits, p = 10 * value + (text[p] - _ZERO), 10 * scale, n_digits + 1, p + 1
        if n_digits == 0:
            return np.nan, p
    if n_digits == 0:
        return np.nan, start
    if text[p] == _E or text[p] == _E_UPPER:
        down = text[p + 1] == _MINUS
        p += 2 if down or text[p + 1] == _PLUS else 1
        while _ZERO <= text[p] <= _NINE:
            exponent, p = 10 * exponent + (text[p] - _ZERO), p + 1
        value *= 10.0 ** (-exponent if down else exponent)
    return (-value if negative else value) / scale, p


@njit(cache=True, nogil=True)
def parse_numbers(text: np.ndarray, p: int, entry: int, values: np.ndarray) -> int:
    """Parse the numbers of one entry of all samples of a line from ``p``.

    ``values`` (n_samples, n_most), NaN, are filled from the left; trailing entries of a sample may be left
    out. The end of the line; -1 - the number of the first sample that cannot be read.
    """
    n_samples, n_most = values.shape
    for sample in range(n_samples):
        for _ in range(entry):
            while text[p] != _COLON and text[p] != _TAB and text[p] != _LINE:
                p += 1
            if text[p] != _COLON:
                break
            p += 1
        k = 0
        while text[p] != _TAB and text[p] != _LINE and text[p] != _RETURN and text[p] != _COLON:
            value, end = _decimal(text, p)
            if end == p or k == n_most:
                return -1 - sample
            values[sample, k] = value
            k, p = k + 1, end
            if text[p] == _COMMA:
                p += 1
        while text[p] != _TAB and text[p] != _LINE:
            p += 1
        if text[p] != (_TAB if sample < n_samples - 1 else _LINE):
            return -1 - sample
        p += 1
    return p - 1


@njit(cache=True, nogil=True)
def _number(data: np.ndarray, p: int, size: int) -> np.int64:
    """The little-endian signed integer of ``size`` bytes at ``p``."""
    value = np.int64(0)
    for i in range(size):
        value |= np.int64(data[p + i]) << (8 * i)
    return value - (np.int64(1) << (8 * size)) if data[p + size - 1] > 127 else value


@njit(cache=True, nogil=True)
def _descriptor(data: np.ndarray, p: int) -> tuple[np.int64, int, int]:
    """Number of values, bytes of each, and where they begin, of the typed values at ``p`` of a BCF."""
    kind, n = data[p] & 15, np.int64(data[p] >> 4)
    size = 1 if kind == 1 or kind == 7 else 2 if kind == 2 else 4 if kind == 3 or kind == 5 else 0
    p += 1
    if n == 15:  # the number follows, as a typed integer
        kind = data[p] & 15
        width = 4 if kind == 3 else kind
        n, p = _number(data, p + 1, width), p + 1 + width
    return n, size, p


@njit(cache=True, nogil=True)
def parse_bcf(
    data: np.ndarray, gt: int, codes: np.ndarray, starts: np.ndarray, vectors: np.ndarray, status: np.ndarray
) -> int:
    """Parse the complete records of a block of BCF.

    Parameters
    ----------
    data
        Shape (n_bytes,), uint8.
    gt
        Number of GT in the dictionary of strings of the header.
    codes
        Shape (n_most, n_samples), uint8; filled with packed codes.
    starts
        Shape (n_most + 1,), int64; filled with the start of each record and the end of the last.
    vectors
        Shape (n_most, 3), int64; filled with where the genotypes of a record begin, alleles a sample, and
        bytes an allele; -1 where it has none.
    status
        Shape (n_most,), uint8; filled with whether the codes are those of the record.

    Returns
    -------
    The number of records; -1 - the number where the next one contradicts itself.
    """
    p, n_records, n_samples = 0, 0, codes.shape[1]
    while n_records < len(status) and p + 32 <= len(data):
        shared, individual = _number(data, p, 4), _number(data, p + 4, 4)
        if shared < 24 or individual < 0:
            return -1 - n_records
        end = p + 8 + shared + individual
        if end > len(data):
            break
        starts[n_records], status[n_records] = p, IRREGULAR
        vectors[n_records] = -1
        q = p + 8 + shared
        for _ in range(data[p + 31]):
            if q + 3 > end:
                return -1 - n_records
            _, width, q = _descriptor(data, q)  # of the key
            key = _number(data, q, width)
            n, size, q = _descriptor(data, q + width)
            if n < 0 or q + n * size * n_samples > end:
                return -1 - n_records
            if key == gt:
                vectors[n_records, 0], vectors[n_records, 1], vectors[n_records, 2] = q, n, size
                own, end_of_own = codes[n_records], q + n * n_samples
                if size == 1 and n == 1 and _unpack(data[q:end_of_own], own):
                    status[n_records] = REGULAR
                if size == 1 and n == 2 and _unpack_pairs(data[q:end_of_own].view(np.uint16), own):
                    status[n_records] = REGULAR
            q += n * size * n_samples
        n_records += 1
        p = end
    starts[n_records] = p
    return n_records


@njit(cache=True, nogil=True, inline="always")
def _unpacked(byte: np.uint32) -> np.uint32:
    """Allele index a of a byte of a BCF: (a + 1) << 1, the phase in the lowest bit; 0 is missing."""
    return (byte >> np.uint32(1)) - np.uint32(1) if byte > np.uint32(1) else np.uint32(MISSING_ALLELE)


@njit(cache=True, nogil=True)
def _unpack(first: np.ndarray, codes: np.ndarray) -> bool:
    """Packed codes of haploid genotypes (n_samples,), uint8; False where an allele index is above 9."""
    above = np.uint32(0)
    for sample in range(len(codes)):
        byte = np.uint32(first[sample])
        above |= np.uint32(1) if byte > np.uint32(_LARGEST) else np.uint32(0)
        codes[sample] = np.uint8(_unpacked(byte) | np.uint32(NO_ALLELE << 4))
    return bool(above == 0)


@njit(cache=True, nogil=True)
def _unpack_pairs(pairs: np.ndarray, codes: np.ndarray) -> bool:
    """Packed codes of genotypes of two bytes (n_samples,), uint16; False where an allele index is above 9.

    No branch waits for a call, so that the loop is compiled to vector instructions.
    """
    above = np.uint32(0)
    for sample in range(len(codes)):
        first = np.uint32(pairs[sample]) & np.uint32(255)
        second = np.uint32(pairs[sample]) >> np.uint32(8)
        absent = second == np.uint32(_VECTOR_END)
        over = (first > np.uint32(_LARGEST)) | ((second > np.uint32(_LARGEST)) & (not absent))
        above |= np.uint32(1) if over else np.uint32(0)
        b = np.uint32(NO_ALLELE) if absent else _unpacked(second)
        codes[sample] = np.uint8(_unpacked(first) | b << np.uint32(4))
    return bool(above == 0)
