"""Standardised columns in segments, and products of factors over the pairs of segments that are visible."""

from __future__ import annotations

import copy

import numpy as np

from genoattn.cohort import Sites

LINKED = 0.2  # r2 above which a column is too strongly linked with the other slot to interact with it


def chromosome_numbers(sites: Sites) -> np.ndarray:
    """The chromosome of each site as a number from 0, shape (n_sites,); 0 throughout for an alignment."""
    _, number = np.unique(sites.chrom.astype(str), return_inverse=True)
    return number.reshape(-1)


def segment_numbers(sites: Sites) -> np.ndarray:
    """Segment of each site: its chromosome, from 0; of a genome of one chromosome all sites are in one.

    There environments are in it too: else sites of the genome would be hidden from each other.
    """
    number, outside = chromosome_numbers(sites), sites.is_environment
    return number if len(np.unique(number[~outside])) > 1 else np.zeros_like(number)


def visible_segments(segment: np.ndarray) -> np.ndarray:
    """Pairs of segments that factors couple: different ones, as sites of the same chromosome are linked.

    A single one is visible to itself. Shape (n_segments, n_segments), bool.
    """
    n = int(segment.max(initial=0)) + 1
    return ~np.eye(n, dtype=bool) if n > 1 else np.ones((1, 1), dtype=bool)


class PairColumns:
    """Columns with segments (n_columns,) from 0, of which some pairs are visible.

    ``visible`` (n_segments, n_segments), symmetric, holds the pairs of segments whose products may be used.
    Their noise is independent of that in the hidden pairs. Columns of one site never interact.
    """

    def __init__(
        self, columns: np.ndarray, site: np.ndarray, segment: np.ndarray, visible: np.ndarray
    ) -> None:
        self.columns, self.site, self.segment, self.visible = columns, site, segment, visible
        self.members = [_as_slice(np.flatnonzero(segment == k)) for k in range(len(visible))]
        self._linked: dict[int, np.ndarray] = {}
        self._single: tuple[np.ndarray, np.ndarray] | None = None

    def seen_as(self, visible: np.ndarray) -> PairColumns:
        """The same columns with other pairs of segments visible; what is cached of them is shared."""
        out = copy.copy(self)
        out.visible, out._single = visible, self.in_single_precision
        return out

    @property
    def in_single_precision(self) -> tuple[np.ndarray, np.ndarray]:
        """Columns and their squares as float32, kept once asked for: two of shape (n_samples, n_columns)."""
        if self._single is None:
            columns = self.columns.astype(np.float32)
            self._single = columns, columns**2
        return self._single

    @property
    def n_samples(self) -> int:
        return self.columns.shape[0]

    @property
    def n_columns(self) -> int:
        return self.columns.shape[1]

    def partial_sums(self, vector: np.ndarray) -> np.ndarray:
        """Sum of the columns, weighted by a sparse vector, within each segment: (n_samples, n_segments)."""
        out = np.zeros((self.n_samples, len(self.visible)))
        nonzero = np.flatnonzero(vector)
        for k in np.unique(self.segment[nonzero]):
            index = nonzero[self.segment[nonzero] == k]
            out[:, k] = self.columns[:, index] @ vector[index]
        return out

    def carriers(self, vector: np.ndarray) -> np.ndarray:
        """For each segment the sum of a vector over the segments visible from it: (n_samples, n_segments)."""
        return self.partial_sums(vector) @ self.visible.astype(np.float64)

    def mostly_visible(self, vector: np.ndarray) -> np.ndarray:
        """Columns from whose segment most of a vector's sum of squares is visible: (n_columns,), bool.

        Another column of a slot would stand for its products with the little that it sees of the other slot,
        but be multiplied with all of that.
        """
        weight = np.bincount(self.segment, vector**2, len(self.visible))
        seen = self.visible.astype(np.float64) @ weight
        share: np.ndarray = seen > 0.5 * weight.sum()
        return share[self.segment]

    def product(self, factor: np.ndarray) -> np.ndarray:
        """Centred product of the slots of a factor (2, n_columns) over visible pairs: shape (n_samples,).

        A factor whose entries lie within one segment is its own product, visible or not.
        """
        left, right = self.partial_sums(factor[0]), self.partial_sums(factor[1])
        if self.is_inside_segment(factor):
            out = left.sum(axis=1) * right.sum(axis=1)
        else:
            out = np.einsum("sk,sk->s", left, right @ self.visible.astype(np.float64))
        return out - out.mean()

    def is_inside_segment(self, factor: np.ndarray) -> bool:
        """Whether both slots of a factor lie in one and the same segment."""
        return len(np.unique(self.segment[(factor != 0).any(axis=0)])) == 1

    def linked_to(self, vector: np.ndarray) -> np.ndarray:
        """Columns at the site of a non-zero one, or of its segment and linked with it beyond the limit.

        Shape (n_columns,), bool.
        """
        out = np.zeros(self.n_columns, dtype=bool)
        for column in np.flatnonzero(vector).tolist():
            if column not in self._linked:  # growing asks for the same few columns again and again
                own = self.members[self.segment[column]]
                r2 = (self.columns[:, column] @ self.columns[:, own] / self.n_samples) ** 2
                linked = self.site == self.site[column]
                linked[own] |= r2 > LINKED
                self._linked[column] = linked
            out |= self._linked[column]
        return out

    def linked_neighbours(self, column: int) -> np.ndarray:
        """Columns of the same segment whose r2 with a column passes the limit, itself among them: indices."""
        linked = self.linked_to(np.bincount([column], minlength=self.n_columns))
        return np.flatnonzero(linked & (self.segment == self.segment[column]))

    def scores(self, carriers: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """:meth:`inner_products` with ``target``, and :meth:`squared_norms`."""
        return self.inner_products(carriers, target), self.squared_norms(carriers)

    def inner_products(self, carriers: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Inner product with ``target`` of every column times its segment's carrier, summed in float32.

        Of carriers (n_samples, n_segments) an array (n_columns,), 0 where the carrier is.
        """
        return self._weighted_sums(self.in_single_precision[0], carriers * target[:, None])

    def squared_norms(self, carriers: np.ndarray) -> np.ndarray:
        """Squared norm of every column times its segment's carrier, summed in float32: (n_columns,)."""
        return self._weighted_sums(self.in_single_precision[1], carriers**2)

    def _weighted_sums(self, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Sums over samples of values (n_samples, n_columns), each column with the weights of its segment."""
        out, weights = np.zeros(self.n_columns), np.asfortranarray(weights, dtype=np.float32)
        for k, inside in enumerate(self.members):
            if weights[:, k].any():
                out[inside] = values[:, inside].T @ weights[:, k]
        return out

    def features(self, carriers: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Chosen columns times the carriers of their segments: shape (n_samples, n_chosen)."""
        return self.columns[:, index] * carriers[:, self.segment[index]]


def _as_slice(index: np.ndarray) -> np.ndarray | slice:
    """Ascending indices as a slice where they follow each other, which takes no copy of the columns."""
    if len(index) and index[-1] - index[0] + 1 == len(index):
        return slice(int(index[0]), int(index[-1]) + 1)
    return index
