r"""Coefficients of every order, in a gauge, from the factors alone.

Split each factor into the gauge's mean at its site and the rest, F_m = mean_m + c_m. The pooled output is the
coefficient of t_0 .. t_{n-1} (each t_m^2 = 0) in prod over sites l of (1 + sum_m F_m(l) t_m). Taking out
the sites of a term,

.. math:: \text{coefficient}(t) = [t_0 .. t_{n-1}] \; E \prod_{a \in t} g_a, \qquad
          E = \prod_l (1 + \text{mean}(l)), \quad g_a = \frac{c(a)}{1 + \text{mean}(l_a)},

where E's part for a set of arguments is the sum over distinct sites of their means, and
g_a's part for a set A is sum_{m in A} c_m(a) (-1)^(|A|-1) (|A|-1)! prod_{m' in A - m} mean_m'(l_a). So the
coefficients of order k are again a sum of products, one for each way to choose k disjoint sets of
arguments.

A gauge is a distribution over the tokens of each site: a point mass on the reference token (`reference`), the
uniform one (`zero-sum`), or the token frequencies (`frequency`). The last is the functional analysis of
variance (Hoeffding 1948); these gauges are those of Posfai, McCandlish & Kinney (2025).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from genoattn.attention.checks import check_tokens
from genoattn.attention.partitions import (
    Block,
    Partition,
    block_weight,
    distinct_sums,
    set_partitions,
)
from genoattn.attention.symmetric_terms import SymmetricTerms, shared
from genoattn.attention.top_terms import TopTerms, top_products

GAUGES = ("reference", "zero-sum", "frequency")


@dataclass(frozen=True)
class GaugedTable:
    """The terms of an interaction table in one gauge.

    Attributes
    ----------
    gauge
        Name of the gauge.
    means, deviations
        Of each argument's factor its mean at each site, (site, rank, channel), and the rest, (token, rank,
        channel). Arguments that share a factor have the same two arrays.
    site
        Shape (token,), from 0 without gaps.
    weights
        Shape (token,), the gauge's distribution over the tokens of each site; of a site whose one token is a
        dosage, its variance.
    scale
        Shape (rank, channel), by which the products are multiplied.

    Examples
    --------
    >>> import numpy as np
    >>> from genoattn.attention import FactoredTable
    >>> copies = np.array([0.0, 1.0, 0.0, 1.0])[:, None, None]  # 2 sites x 2 states: (token, rank, channel)
    >>> table = FactoredTable((copies, copies), site=np.array([0, 0, 1, 1])).gauge("zero-sum")
    >>> table.intercept, table.coefficient(1), table.coefficient(1, 3)
    (array([0.5]), array([0.5]), array([0.5]))
    >>> table.variance_components().ravel()  # orders 1 and 2
    array([0.5 , 0.25])
    """

    gauge: str
    means: tuple[np.ndarray, ...]
    deviations: tuple[np.ndarray, ...]
    site: np.ndarray
    weights: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, gauge: str, factors: Sequence[np.ndarray], site: np.ndarray, weights: np.ndarray) -> Self:
        """The table of factors (token, rank, channel) in the gauge of a distribution (token,)."""
        means = tuple(np.zeros((int(site.max()) + 1, *factor.shape[1:])) for factor in factors)
        for mean, factor in zip(means, factors, strict=True):
            np.add.at(mean, site, weights[:, None, None] * factor)
        deviations = tuple(f - mean[site] for f, mean in zip(factors, means, strict=True))
        return cls(gauge, means, deviations, site, weights, np.ones(factors[0].shape[1:]))

    @property
    def order(self) -> int:
        """Highest order of a term."""
        return len(self.means)

    @cached_property
    def _pooled_means(self) -> dict[Block, np.ndarray]:
        """E: for each set of arguments the sum over distinct sites of their means, (rank, channel)."""

        def block_sum(block: Block) -> np.ndarray:
            return np.prod([self.means[m] for m in block], axis=0).sum(axis=0)

        return {(): np.ones(self.scale.shape), **distinct_sums(block_sum, self.order)}

    @property
    def intercept(self) -> np.ndarray:
        """The term of order 0, shape (channel,)."""
        return (self.scale * self._pooled_means[tuple(range(self.order))]).sum(axis=0)

    def component(self, order: int) -> SymmetricTerms:
        """All coefficients of one order, from 1 to the table's, as a sum of products."""
        if not 1 <= order <= self.order:
            raise ValueError(f"order: got {order}, needs 1 to {self.order}, the order of the table")
        if order not in self._components:
            self._components[order] = self._component(order)
        return self._components[order]

    @cached_property
    def _components(self) -> dict[int, SymmetricTerms]:
        return {}

    def _component(self, order: int) -> SymmetricTerms:
        ways = self._ways(order)
        parts = {block: self._term_part(block) for blocks in ways for block in blocks}
        # A product with a factor that is zero at every token adds nothing; centred factors have many.
        alive = [
            np.all([scale.any(axis=1), *(parts[block].any(axis=(0, 2)) for block in blocks)], axis=0)
            for blocks, scale in ways.items()
        ]
        arguments = list(zip(*ways, strict=True))  # of each token of a term its block in every way
        factors = {  # one array for the tokens that share their factors
            blocks: np.concatenate([parts[b][:, on] for b, on in zip(blocks, alive, strict=True)], axis=1)
            for blocks in arguments
        }
        scale = np.concatenate([scale[on] for scale, on in zip(ways.values(), alive, strict=True)])
        return SymmetricTerms(tuple(factors[a] for a in arguments), self.site, self.weights, scale)

    def _ways(self, order: int) -> dict[Partition, np.ndarray]:
        """Disjoint sets of arguments for the tokens of a term, and their scale with all the others pooled.

        Arguments that share a factor are named by the first of them.
        """
        first = shared(self.deviations)
        ways: dict[Partition, np.ndarray] = {}
        for blocks, unused in _disjoint_blocks(self.order, order):
            named = tuple(sorted(tuple(sorted(first[m] for m in block)) for block in blocks))
            ways[named] = ways.get(named, 0.0) + self.scale * self._pooled_means[unused]
        return ways

    def _term_part(self, block: Block) -> np.ndarray:
        """g: the part of a term's token for a set of arguments, (token, rank, channel)."""
        total = np.zeros_like(self.deviations[0])
        for m in range(len(block)):
            part = self.deviations[block[m]]
            for other in (*block[:m], *block[m + 1 :]):
                part = part * self.means[other][self.site]
            total += part
        return block_weight(block) * total

    def coefficient(self, *tokens: int) -> np.ndarray:
        """The coefficient of tokens at distinct sites, shape (channel,); of no token, the intercept."""
        check_tokens(tokens, len(self.site))
        return self.component(len(tokens)).coefficients(np.array([tokens]))[0] if tokens else self.intercept

    def variance_components(self) -> np.ndarray:
        """Variance of each order when sites are independent with the gauge's distribution.

        Returns
        -------
        Shape (order, channel), orders 1 to the highest. Orders are orthogonal, so these add up to the
        variance of the pooled output.
        """
        self._check_spread("variance_components")
        return np.stack([self.component(order).variance() for order in range(1, self.order + 1)])

    def top_terms(self, k: int, order: int, by: str = "coefficient", *, channel: int = 0) -> TopTerms:
        """The k terms of one order with the largest |coefficient| or variance, exactly (see `top_terms`).

        Parameters
        ----------
        k
            How many terms.
        order
            Number of tokens in a term.
        by
            `coefficient`, or `variance`: frequency of the joint state times coefficient squared, the term's
            share in `variance_components`.
        channel
            Which output.
        """
        if by not in ("coefficient", "variance"):
            raise ValueError(f"by: got {by!r}, needs 'coefficient' or 'variance'")
        if by == "variance":
            self._check_spread("by")
        terms = self.component(order)
        scale = np.sqrt(self.weights) if by == "variance" else None
        found = top_products(terms.axes(channel), self.site, k, scale=scale)
        nonzero = terms.coefficients(found.tokens)[:, channel] != 0
        # A coefficient of zero can be rounding error in the products of signed sums.
        kept = found.tokens[nonzero], found.coefficient[nonzero], found.score[nonzero]
        return TopTerms(*kept, found.n_screened, found.n_possible)

    def _check_spread(self, name: str) -> None:
        if self.gauge == "reference":
            raise ValueError(
                f"{name}: got gauge 'reference', where nothing varies; needs gauge('frequency') for variances"
            )


def _disjoint_blocks(n: int, k: int) -> Iterator[tuple[Partition, Block]]:
    """Every k disjoint non-empty sets of the n arguments, with the unused arguments.

    They are the partitions of n + 1 elements into k + 1 blocks, the block of the extra element holding the
    unused arguments.
    """
    for partition in set_partitions(n + 1):
        if len(partition) == k + 1:
            extra, *blocks = (tuple(e - 1 for e in block if e > 0) for block in partition)
            yield tuple(blocks), extra


def gauge_weights(
    name: str,
    site: np.ndarray,
    *,
    reference: Sequence[int] | np.ndarray | int | None = None,
    frequency: Sequence[float] | np.ndarray | None = None,
) -> np.ndarray:
    """The gauge's distribution over the tokens of each site: (token,), summing to 1 at each site.

    Parameters
    ----------
    site
        Shape (token,), the site of each token, 0 .. n_sites - 1.
    reference
        For `reference`: the index of the reference token of each site, in any order.
    frequency
        For `frequency`: shape (token,), not negative, summing to 1 over the tokens of each site.
    """
    n_sites = int(site.max()) + 1
    if name == "zero-sum":
        return 1.0 / np.bincount(site, minlength=n_sites)[site]
    if name == "reference":
        if reference is None:
            raise ValueError("reference: got nothing, needs the index of the reference token of each site")
        tokens = np.atleast_1d(np.asarray(reference))
        if not np.issubdtype(tokens.dtype, np.integer) or not ((tokens >= 0) & (tokens < len(site))).all():
            raise ValueError(
                f"reference: got {tokens.tolist()[:5]}, needs token indices from 0 to {len(site) - 1}"
            )
        count = np.bincount(site[tokens], minlength=n_sites)
        if (count != 1).any():
            worst = int(np.flatnonzero(count != 1)[0])
            raise ValueError(f"reference: got {count[worst]} tokens of site {worst}, needs one of every site")
        return np.bincount(tokens, minlength=len(site)).astype(np.float64)
    if name != "frequency":
        raise ValueError(f"gauge: got {name!r}, needs one of {', '.join(map(repr, GAUGES))}")
    if frequency is None:
        raise ValueError("frequency: got nothing, needs the frequency of each token at its site")
    weights = np.asarray(frequency, dtype=np.float64)
    if weights.shape != site.shape or not (weights >= 0).all():
        raise ValueError(
            f"frequency: got shape {weights.shape}, needs 0 or more for each of {len(site)} tokens"
        )
    total = np.bincount(site, weights, minlength=n_sites)
    off = np.abs(total - 1)
    if not off.max() < 1e-6:
        worst = int(off.argmax())
        raise ValueError(f"frequency: got a sum of {total[worst]:.6g} at site {worst}, needs 1 at every site")
    # Exact, so that the orders are orthogonal to the last digit.
    return weights / total[site]
