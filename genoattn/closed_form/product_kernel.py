r"""Every order at once: the product kernel of a landscape, and its interaction coefficients in closed form.

The sum of HyperAttention of all orders with shared factors is
:math:`\phi(x) = \sum_r \lambda_r \prod_l (1 + u_{rl}(x_l))`. Its limit of full rank under a ridge prior is a
Gaussian process with a product kernel,

.. math:: k(x, x') = \sigma^2 \prod_l k_l(x_l, x'_l), \qquad
          k_l(a, b) = 1 \text{ if } a = b, \text{ else } w_{la} w_{lb} s_l(a, b), \quad 0 < w < 1.

One w for each site is the connectedness kernel, :math:`w_l^2 = (1 - \rho_l) / (1 + (q_l - 1) \rho_l)` with
q_l states and decay rate :math:`\rho_l`; one for each allele the Jenga kernel (Zhou, Marti-Gomez, Petti &
McCandlish 2025). The similarity :math:`s_l(a, b) = \exp(-c_l |z_a - z_b|^2)` of two states is that of points
z, one for each state, which all sites share: what one site says of two residues is used at the others. Each
table is a positive definite correlation, the elementwise product of two such: a rank-one matrix plus a
diagonal, and a Gaussian kernel.

A missing state is the mean over the states of its site, with the allele frequencies p as weights:
:math:`k_l(?, b) = \sum_a p_a k_l(a, b)` and :math:`k_l(?, ?) = \sum_{ab} p_a p_b k_l(a, b)`. The value of
such a sample is thus taken as the average of its possible sequences; how far a sequence may be from that
average is not added to the noise.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from genoattn.attention import ProductTerms

_ROWS = 2048


@dataclass(frozen=True, eq=False)
class ProductKernel:
    """A product kernel, in float64.

    Samples are int8 states (n_samples, n_sites), negative where missing; columns are the states of the first
    site, then of the second, and so on, as in a vocabulary of states.

    Notes
    -----
    Memory of a block is 8 bytes an entry, of its operands 8 bytes a sample and column. All tables are
    positive, so that their logarithms add up over sites as one product with an indicator matrix.
    """

    variance: float  # prior variance of the phenotype at a sequence, sigma^2
    # (n_columns, n), of each state with states 0 to n - 1 of its own site, 0 where there are fewer
    correlation: np.ndarray
    n_states: np.ndarray  # (n_sites,)
    frequency: np.ndarray  # (n_columns,), allele frequencies, which say what a missing state is

    @staticmethod
    def of_decay(
        variance: float, decay: np.ndarray, n_states: np.ndarray, frequency: np.ndarray
    ) -> "ProductKernel":
        """The kernel whose states are alike as their decay (n_columns,), -log w, says alone."""
        site = np.repeat(np.arange(len(n_states)), n_states)
        first = np.concatenate([[0], np.cumsum(n_states)])
        of_site = np.arange(n_states.max())  # its states, and more where it has fewer
        other = np.minimum(first[site][:, None] + of_site, len(site) - 1)
        correlation = np.exp(-decay[:, None] - decay[other])
        correlation[np.arange(len(site)), np.arange(len(site)) - first[site]] = 1.0
        correlation[of_site >= n_states[site][:, None]] = 0.0
        return ProductKernel(variance, correlation, n_states, frequency)

    @property
    def n_sites(self) -> int:
        return len(self.n_states)

    @cached_property
    def first(self) -> np.ndarray:
        """Shape (n_sites + 1,), index of the first column of each site, and the number of columns."""
        return np.concatenate([[0], np.cumsum(self.n_states)])

    @cached_property
    def site(self) -> np.ndarray:
        """Shape (n_columns,), the site of each column."""
        return np.repeat(np.arange(self.n_sites), self.n_states)

    @cached_property
    def tables(self) -> list[np.ndarray]:
        """k_l of each site, (n_states + 1, n_states + 1); the last row and column are the missing state."""
        tables = []
        for start, stop in zip(self.first, self.first[1:], strict=False):
            table = self.correlation[start:stop, : stop - start]
            mix = np.vstack([np.eye(stop - start), self.frequency[start:stop]])
            tables.append(mix @ table @ mix.T)
        return tables

    def level(self, states: np.ndarray) -> np.ndarray:
        """Row of each site's table, (n_samples, n_sites): the state, or the last where it is missing."""
        return np.where(states < 0, self.n_states, states).astype(np.int64)

    def block(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Kernel between samples (n, n_sites) and (m, n_sites): (n, m)."""
        rows, indicators = self.operands(left, right)
        return self.product(rows, indicators)

    def operands(self, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log-kernel rows (n, c) of one set of samples and indicators (m, c) of another.

        c counts the states, missing ones included, that ``right`` has at all.
        """
        left, right = self.level(left), self.level(right)
        rows, indicators = [], []
        for table, own, other in zip(self.tables, left.T, right.T, strict=True):
            seen = np.unique(other)
            rows.append(np.log(table[:, seen])[own])
            indicators.append((other[:, None] == seen).astype(np.float64))
        return np.concatenate(rows, axis=1), np.concatenate(indicators, axis=1)

    def product(self, rows: np.ndarray, indicators: np.ndarray) -> np.ndarray:
        """Kernel from the operands, (n, m)."""
        out = rows @ indicators.T
        np.exp(out, out=out)
        out *= self.variance
        return out

    def diagonal(self, states: np.ndarray) -> np.ndarray:
        """k(x, x) of each sample, (n_samples,); the variance, or less where a state is missing."""
        level = self.level(states)
        out = np.full(len(states), self.variance)
        for table, own in zip(self.tables, level.T, strict=True):
            out *= table.diagonal()[own]
        return out

    def terms(self, states: np.ndarray, weights: np.ndarray, centre: np.ndarray) -> ProductTerms:
        """Coefficients of the sum of k(x_r, .) over samples (n, n_sites), with weights (n,)."""
        level = self.level(states)
        values = [table[own, :-1] for table, own in zip(self.tables, level.T, strict=True)]
        return ProductTerms(np.concatenate(values, axis=1).T, self.variance * weights, self.site, centre)

    def coefficient_variance(self, columns: np.ndarray, centre: np.ndarray) -> np.ndarray:
        """Prior variance (n_terms,) of the coefficients of terms (n_terms, order), at distinct sites."""
        level = np.empty(self.n_sites)  # covariance of a site's mean with itself
        ratio = np.empty(len(self.site))  # variance of each state's deviation from it, over the former
        for k, full in enumerate(self.tables):
            own = slice(self.first[k], self.first[k + 1])
            mean = full[:-1, :-1] @ centre[own]
            level[k] = centre[own] @ mean
            ratio[own] = (1 - 2 * mean + level[k]) / level[k]
        return self.variance * level.prod() * ratio[columns].prod(axis=1)


def row_blocks(n_samples: int) -> Iterator[slice]:
    """Slices of samples of at most 2,048 rows."""
    for start in range(0, n_samples, _ROWS):
        yield slice(start, min(start + _ROWS, n_samples))
