r"""Every order at once: attention over reference sequences, a product over sites.

.. math:: \phi(x) = \sum_r \lambda_r \prod_l v_{rl}(x_l), \qquad v = 1 + u,

is the sum of HyperAttention of all orders with shared factors u, in O(sites). Split :math:`v_{rl}` into its
mean :math:`\bar v_{rl}` under a gauge's distribution of states and the rest: the coefficients of order n are
those of tied HyperAttention of order n with factors :math:`v / \bar v - 1` and weights
:math:`\lambda_r \prod_l \bar v_{rl}`.
"""

from dataclasses import dataclass
from functools import cached_property
from math import factorial

import numpy as np
import torch
from torch import Tensor, nn

from genoattn.attention.symmetric_terms import SymmetricTerms

_MOST = 2**25  # numbers of a block of attention weights: 128 MiB of float32


class ProductAttention(nn.Module):
    r"""Attention over reference sequences r whose weights are a product over sites, positive.

    A query with the state of the reference at a site keeps its attention; one with another state keeps of it
    what the correlation of the two says. It is the posterior mean of a Gaussian process whose kernel is that
    product (Zhou, Marti-Gomez, Petti & McCandlish 2025), the limit of full rank of a sum of HyperAttention of
    all orders. A missing state counts as the mean of the attention over the states of its site.

    Parameters
    ----------
    samples
        Shape (rank, site), int8, the reference sequences; negative where missing.
    correlation
        Shape (column, n), of each state with states 0 to n - 1 of its own site, 1 with itself, positive; 0
        where a site has fewer.
    frequency
        Shape (column,), of each state, which says what a missing state is.
    site
        Shape (column,), the site of each column, ascending; the columns of a site are its states 0, 1, ..
    weights
        Shape (rank,), lambda.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from genoattn.attention import ProductAttention
    >>> half = np.array([[1, 0.5], [0.5, 1], [1, 0.5], [0.5, 1]])  # a change of state halves the attention
    >>> site = np.array([0, 0, 1, 1])
    >>> module = ProductAttention(np.array([[0, 1]]), half, np.full(4, 0.5), site, np.ones(1))
    >>> module(torch.tensor([[0, 1], [1, 1], [1, 0]])).numpy().round(3)
    array([1.  , 0.5 , 0.25])
    """

    samples: Tensor
    correlation: Tensor
    frequency: Tensor
    site: Tensor
    first: Tensor
    weights: Tensor

    def __init__(
        self,
        samples: np.ndarray,
        correlation: np.ndarray,
        frequency: np.ndarray,
        site: np.ndarray,
        weights: np.ndarray,
    ) -> None:
        super().__init__()
        self.register_buffer("samples", torch.tensor(samples, dtype=torch.int8))
        self.register_buffer("correlation", torch.tensor(correlation))
        self.register_buffer("frequency", torch.tensor(frequency))
        self.register_buffer("weights", torch.tensor(weights))
        self.register_buffer("site", torch.as_tensor(site), persistent=False)
        first = np.searchsorted(site, np.arange(samples.shape[1]))
        self.register_buffer("first", torch.as_tensor(first), persistent=False)

    @property
    def rank(self) -> int:
        """Number of reference sequences."""
        return len(self.weights)

    def values(self, rows: slice = slice(None)) -> Tensor:
        """v of the states of some reference sequences: (rank, column), positive."""
        # A reference sequence with a missing state is the mean over the states of the site.
        n_columns, most = self.correlation.shape
        of_site = self.first[self.site][:, None] + torch.arange(most, device=self.site.device)
        share = self.frequency[of_site.clamp(max=n_columns - 1)]
        mean = (self.correlation * share).sum(dim=1, keepdim=True)
        table = torch.cat([self.correlation, mean], dim=1)
        state = self.samples[rows].long()
        state = torch.where(state < 0, most, state)[:, self.site]  # (rank, column)
        return table[torch.arange(n_columns, device=table.device), state]

    def forward(self, calls: Tensor) -> Tensor:
        """Sum over the reference sequences: (sample,).

        Parameters
        ----------
        calls
            Shape (sample, site), states, negative where missing.
        """
        query = self._indicators(calls)  # (sample, column, then missing site)
        total = query.new_zeros(len(calls))
        step = max(1, _MOST // max(len(calls), 1))
        for start in range(0, self.rank, step):
            rows = slice(start, start + step)
            value = self.values(rows)  # (rank, column)
            mean = value.new_zeros(len(value), len(self.first))
            mean = mean.index_add(1, self.site, value * self.frequency)
            key = torch.cat([value, mean], dim=1).log()
            total = total + (query @ key.T).exp_() @ self.weights[rows]  # (sample, rank) summed over rank
        return total

    def _indicators(self, calls: Tensor) -> Tensor:
        """Which column each site of a sequence has, or that it is missing: (sample, column and then site)."""
        n_columns, n_sites = len(self.site), len(self.first)
        missing = n_columns + torch.arange(n_sites, device=calls.device)
        column = torch.where(calls < 0, missing, self.first + calls)
        out = torch.zeros(len(calls), n_columns + n_sites, dtype=self.correlation.dtype, device=calls.device)
        return out.scatter_(1, column, 1.0)


@dataclass(frozen=True, eq=False)
class ProductTerms:
    """Coefficients of every order of products over sites, in a gauge.

    Attributes
    ----------
    values
        v, shape (column, rank), float64.
    weights
        lambda, shape (rank,).
    site
        Shape (column,), from 0 without gaps.
    centre
        Shape (column,), the gauge's distribution over the states of each site.

    Examples
    --------
    >>> import numpy as np
    >>> from genoattn.attention import ProductTerms
    >>> values = np.array([[1.0], [3.0], [1.0], [5.0]])  # (1 + 2 x_1) (1 + 4 x_2)
    >>> terms = ProductTerms(values, np.ones(1), np.array([0, 0, 1, 1]), np.array([1.0, 0.0, 1.0, 0.0]))
    >>> terms.intercept, terms.coefficients(np.array([[1, 3]]))
    (1.0, array([8.]))
    """

    values: np.ndarray
    weights: np.ndarray
    site: np.ndarray
    centre: np.ndarray

    @cached_property
    def gauged(self) -> tuple[np.ndarray, np.ndarray]:
        """Factors (column, rank) and weights (rank,) of tied HyperAttention of any order."""
        first = np.searchsorted(self.site, np.arange(self.site.max() + 1))
        mean = np.add.reduceat(self.values * self.centre[:, None], first, axis=0)  # (site, rank)
        return self.values / mean[self.site] - 1, self.weights * mean.prod(axis=0)

    @property
    def intercept(self) -> float:
        """The term of order 0."""
        return float(self.gauged[1].sum())

    def component(self, order: int) -> SymmetricTerms:
        """All coefficients of one order, from 1 up, as a sum of products."""
        factors, weights = self.gauged
        shared = factors[:, :, None]
        scale = weights[:, None] / factorial(order)  # a term there is a sum over permutations
        return SymmetricTerms((shared,) * order, self.site, self.centre, scale)

    def coefficients(self, columns: np.ndarray) -> np.ndarray:
        """Coefficients (term,) of terms (term, order) at distinct sites; order 0 is the intercept."""
        if columns.shape[1] == 0:
            return np.full(len(columns), self.intercept)
        if columns.shape[1] == 2 and len(columns) > len(self.site):  # all pairs are one product
            factors, weights = self.gauged
            return ((factors * weights) @ factors.T)[columns[:, 0], columns[:, 1]]
        return self.component(columns.shape[1]).coefficients(columns)[:, 0]

    def variances(self, highest: int, n_draws: int, seed: int) -> np.ndarray:
        """Variance of each order from 1 to ``highest``, and of all higher ones together, (highest + 1,).

        Over random sequences whose sites are independent with the gauge's distribution: each is the variance
        of the exact order of ``n_draws`` of them.
        """
        rng = np.random.default_rng(seed)
        factors, weights = self.gauged
        first = np.searchsorted(self.site, np.arange(self.site.max() + 1))
        n_states = np.diff([*first, len(self.site)])
        drawn = [
            start + rng.choice(number, n_draws, p=self.centre[start : start + number])
            for start, number in zip(first, n_states, strict=True)
        ]
        query = np.zeros((n_draws, len(self.site)))
        query[np.arange(n_draws)[:, None], np.stack(drawn, axis=1)] = 1.0
        parts = []
        for some in np.array_split(query, max(1, n_draws * self.values.shape[1] // _MOST)):
            elementary = [np.ones((len(some), len(weights)))]
            powers = [some @ factors**m for m in range(1, highest + 1)]
            for n in range(1, highest + 1):  # Newton's identities
                signed = ((-1) ** (m - 1) * elementary[n - m] * powers[m - 1] for m in range(1, n + 1))
                elementary.append(sum(signed) / n)  # type: ignore[arg-type]
            all_orders = np.exp(some @ np.log1p(factors))
            parts.append(np.stack([e @ weights for e in (*elementary[1:], all_orders)], axis=1))
        orders = np.concatenate(parts)  # (draw, order)
        orders[:, -1] -= orders[:, :-1].sum(axis=1)
        return orders.var(axis=0)
