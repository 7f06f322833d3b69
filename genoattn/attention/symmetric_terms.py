"""All coefficients of one order as a sum of products over ranks, symmetric in the tokens of a term."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import permutations, product
from math import factorial

import numpy as np

from genoattn.attention.partitions import Block, distinct_sum
from genoattn.attention.top_terms import equal_columns

# Numbers held at once while variances are summed (256 MiB of float64).
VARIANCE_BUFFER = 2**25
# Numbers in one factor of the terms whose coefficients are made at once (8 MiB of float64).
COEFFICIENT_BUFFER = 2**20


@dataclass(frozen=True)
class SymmetricTerms:
    r"""coefficient({t_1, .., t_k}) = sum over permutations s and ranks r of w_r prod_j F_j[t_s(j), r].

    Arguments that share a factor have the same array, which spares the permutations among them.
    """

    factors: tuple[np.ndarray, ...]  # k arrays of shape (token, rank, channel)
    site: np.ndarray  # (token,), the site of each token
    weights: np.ndarray  # (token,), as of `GaugedTable`
    scale: np.ndarray  # w, shape (rank, channel)

    @property
    def order(self) -> int:
        """Number of tokens in a term."""
        return len(self.factors)

    @property
    def _arrangements(self) -> Counter[tuple[int, ...]]:
        """Permutations of the factors that differ, and how many give each."""
        return Counter(permutations(shared(self.factors)))

    def coefficients(self, tokens: np.ndarray) -> np.ndarray:
        """The coefficients of many terms: shape (term, channel).

        Parameters
        ----------
        tokens
            Shape (term, order), the tokens of each term, at distinct sites, in any order.
        """
        tokens = np.asarray(tokens)
        if tokens.ndim != 2 or tokens.shape[1] != self.order:
            raise ValueError(f"tokens: got shape {tokens.shape}, needs (term, {self.order})")
        site = np.sort(self.site[tokens], axis=1)
        repeated = (site[:, 1:] == site[:, :-1]).any(axis=1)
        if repeated.any():
            found = tuple(tokens[repeated.argmax()].tolist())
            raise ValueError(f"tokens: got {found}, needs {self.order} tokens at distinct sites")
        tokens = np.sort(tokens, axis=1)
        total = np.zeros((len(tokens), self.scale.shape[1]))
        step = max(1, COEFFICIENT_BUFFER // max(self.scale.size, 1))
        for start in range(0, len(tokens), step):
            part = slice(start, start + step)
            for arranged, times in self._arrangements.items():
                rows = [self.factors[m][tokens[part, k]] for k, m in enumerate(arranged)]
                total[part] += times * (reduce(np.multiply, rows) * self.scale).sum(axis=1)
        return total

    def axes(self, channel: int = 0) -> list[np.ndarray]:
        """One channel as products alone: k arrays, (token, rank * 2^(k-1)), equal up to signs.

        Of one factor for all arguments they are that factor, of any others sums of them: the sum over
        permutations is that over signs e_j, e_1 = 1, of prod_j e_j prod_m (sum_j e_j F_j[t_m]) over 2^(k-1)
        (Glynn 2010, European Journal of Combinatorics 31:1887).
        """
        factors, scale = [factor[:, :, channel] for factor in self.factors], self.scale[:, channel]
        if len(self._arrangements) == 1:
            return [factors[0] * (scale * factorial(self.order)), *factors[1:]]
        # Of factors of one size, so that none is lost in the rounding error of another.
        arguments = np.stack(equal_columns([factors[0] * scale, *factors[1:]]))  # (argument, token, rank)
        signs = np.array([(1, *others) for others in product((1, -1), repeat=self.order - 1)])
        mixed = np.concatenate([np.tensordot(sign, arguments, 1) for sign in signs], axis=1)
        weight = np.repeat(signs.prod(axis=1), arguments.shape[2]) / len(signs)
        return [mixed * weight, *[mixed] * (self.order - 1)]

    def variance(self) -> np.ndarray:
        """Variance of the sum of all terms, shape (channel,), sites independent with the gauge's
        distribution.

        For centred factors it is sum over permutations s and ranks r, q of w_r w_q times the sum over
        distinct sites of prod_j cov_l(F_jr, F_s(j)q): O(site * rank^2), in blocks of ranks.
        """
        return np.array([self._channel_variance(c) for c in range(self.scale.shape[1])])

    def _channel_variance(self, channel: int) -> float:
        factors = [factor[:, :, channel] for factor in self.factors]
        n_tokens, rank = factors[0].shape
        scale = self.scale[:, channel]
        if rank == 0:
            return 0.0
        order = np.argsort(self.site, kind="stable")
        starts = np.searchsorted(self.site[order], np.arange(self.site.max() + 1))
        first = shared(self.factors)
        factors = [factor[order] for factor in factors]
        weights = self.weights[order, None, None]
        step = max(1, VARIANCE_BUFFER // (n_tokens * rank * (self.order + 1)))
        total = 0.0
        for start in range(0, rank, step):
            block = slice(start, start + step)
            own = {m: weights * factors[m][:, block, None] for m in set(first)}
            weighted = [own[m] for m in first]
            for arranged, times in self._arrangements.items():
                paired = _paired_covariance(weighted, [factors[first[m]] for m in arranged], starts)
                total += times * float(scale[block] @ paired @ scale)
        return total


def _paired_covariance(
    left: Sequence[np.ndarray], right: Sequence[np.ndarray], starts: np.ndarray
) -> np.ndarray:
    """Sum over distinct sites of the product of the factors' covariances at a site: (rank block, rank)."""
    pairs = list(zip(map(id, left), map(id, right), strict=True))
    first = [pairs.index(pair) for pair in pairs]  # of the arguments that have the same factors
    covariance = {
        m: np.add.reduceat(left[m] * right[m][:, None, :], starts, axis=0) for m in set(first)
    }  # (site, rank block, rank)
    made: dict[Block, np.ndarray] = {}

    def block_sum(block: Block) -> np.ndarray:
        named = tuple(sorted(first[m] for m in block))
        if named not in made:
            made[named] = np.prod([covariance[m] for m in named], axis=0).sum(axis=0)  # (rank block, rank)
        return made[named]

    return distinct_sum(block_sum, len(left))


def shared(factors: Sequence[np.ndarray]) -> tuple[int, ...]:
    """For each argument the first one that has the same array."""
    return tuple(next(k for k, other in enumerate(factors) if other is factor) for factor in factors)
