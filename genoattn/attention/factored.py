r"""The interaction tensor of a module in factored form, never larger than tokens x rank.

.. math:: T[t_0, t_1, .., t_{n-1}, c] = \sum_r \prod_m F_m[t_m, r, c]

This is what data identify of an attention module (Ustaomeroglu & Qu, arXiv 2506.06179, Corollary 4.9); its
parameters are not. A module makes one by `interaction_table`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from genoattn.attention.checks import check_tokens
from genoattn.attention.gauged import GaugedTable, gauge_weights

# The largest dense tensor made, in numbers (1 GiB of float64).
DENSE_LIMIT = 2**27


@dataclass(frozen=True)
class FactoredTable:
    """T of one module over a vocabulary of tokens.

    Attributes
    ----------
    factors
        One array for each argument of T, the output's own entity first; shape (token, rank, channel),
        float64.
    site
        Shape (token,), the site of each token from 0, or None where any entity may be any token. With
        sites, a sample has one token at each site and its prediction is the module's output summed over its
        entities.
    distinct
        Whether the module sums over distinct entities.

    Examples
    --------
    >>> import numpy as np
    >>> from genoattn.attention import FactoredTable
    >>> copies = np.array([0.0, 1.0, 0.0, 1.0])[:, None, None]  # 2 sites x 2 states: (token, rank, channel)
    >>> table = FactoredTable((copies, copies), site=np.array([0, 0, 1, 1]))
    >>> table.dense()[1, 3]
    array([1.])
    >>> table.gauge("reference", reference=[0, 2]).coefficient(1, 3)  # as either token acts on the other
    array([2.])
    """

    factors: tuple[np.ndarray, ...]
    site: np.ndarray | None = None
    distinct: bool = True

    def __post_init__(self) -> None:
        shape = self.factors[0].shape
        if len(shape) != 3 or any(f.shape != shape for f in self.factors) or len(self.factors) < 2:
            found = [f.shape for f in self.factors]
            raise ValueError(
                f"factors: got shapes {found}, needs two or more of one shape (token, rank, channel)"
            )
        if not all(np.isfinite(f).all() for f in self.factors):
            raise ValueError(
                "factors: got a value that is not finite, needs finite factors; did the fit diverge?"
            )
        if self.site is None:
            return
        site = np.asarray(self.site)
        if site.shape != shape[:1] or not np.issubdtype(site.dtype, np.integer):
            raise ValueError(f"site: got shape {site.shape}, needs an integer for each of {shape[0]} tokens")
        if not np.array_equal(np.unique(site), np.arange(site.max() + 1)):
            raise ValueError(
                "site: got numbers with gaps, needs every site from 0 to n_sites - 1 to have a token"
            )
        object.__setattr__(self, "site", site)

    @classmethod
    def from_heads(
        cls,
        query: Tensor,
        keys: Sequence[Tensor],
        values: Sequence[Tensor],
        *,
        site: Sequence[int] | None,
        distinct: bool,
    ) -> "FactoredTable":
        """The table of projected tokens: (head, token, rank) and (head, token, channel)."""
        n_channels = values[0].shape[-1]

        def merged(factor: Tensor) -> np.ndarray:
            by_token = factor.movedim(0, 1).flatten(1, 2)  # (token, head * rank, channel)
            return by_token.detach().cpu().double().numpy()

        first = query.unsqueeze(-1).expand(*query.shape, n_channels)
        others = [k.unsqueeze(-1) * v.unsqueeze(-2) for k, v in zip(keys, values, strict=True)]
        factors = tuple(merged(factor) for factor in (first, *others))
        return cls(factors, None if site is None else np.asarray(site), distinct)

    @property
    def order(self) -> int:
        """Number of entities in an interaction."""
        return len(self.factors)

    @property
    def n_tokens(self) -> int:
        """Size of the vocabulary."""
        return self.factors[0].shape[0]

    def dense(self) -> np.ndarray:
        """T itself, shape (token, .., token, channel); for small vocabularies."""
        n_channels = self.factors[0].shape[2]
        size = self.n_tokens**self.order * n_channels
        if size > DENSE_LIMIT:
            raise ValueError(
                f"dense: got {self.n_tokens} tokens at order {self.order}, which need "
                f"{size * 8 / 2**30:.1f} GiB, more "
                f"than {DENSE_LIMIT * 8 / 2**30:g}; use coefficient() or gauge().top_terms()"
            )
        letters = "abcdefgh"[: self.order]
        inputs = ",".join(f"{letter}rz" for letter in letters)
        return np.einsum(f"{inputs}->{letters}z", *self.factors, optimize=True)

    def coefficient(self, tokens: Sequence[int]) -> np.ndarray:
        """T at one tuple of tokens, the output's own first; shape (channel,)."""
        if len(tokens) != self.order:
            raise ValueError(f"tokens: got {len(tokens)}, needs {self.order}, one for each argument")
        check_tokens(tokens, self.n_tokens)
        rows = [factor[token] for factor, token in zip(self.factors, tokens, strict=True)]
        return np.prod(rows, axis=0).sum(axis=0)

    def readout(self, weights: Sequence[float] | np.ndarray) -> "FactoredTable":
        """One channel, the weighted sum of the channels (rank times their number)."""
        w = np.asarray(weights, dtype=np.float64)
        if w.shape != self.factors[0].shape[2:]:
            raise ValueError(
                f"weights: got shape {w.shape}, needs one for each of {self.factors[0].shape[2]} channels"
            )
        factors = (self.factors[0] * w, *self.factors[1:])
        flat = tuple(f.reshape(self.n_tokens, -1, 1) for f in factors)
        return FactoredTable(flat, self.site, self.distinct)

    def by_axis(self) -> "FactoredTable":
        """The same tensor with each argument a site of its own: token t as argument m is token m * n_tokens
        + t.

        Makes a tensor over any tokens (no sites) a table over sites, so that gauges and terms mean the same
        in both.
        """
        axes = np.eye(self.order)[:, :, None, None, None]
        factors = [
            (axis * factor).reshape(-1, *factor.shape[1:])
            for axis, factor in zip(axes, self.factors, strict=True)
        ]
        return FactoredTable(tuple(factors), np.repeat(np.arange(self.order), self.n_tokens))

    def gauge(
        self,
        name: str,
        *,
        reference: Sequence[int] | np.ndarray | int | None = None,
        frequency: Sequence[float] | np.ndarray | None = None,
    ) -> GaugedTable:
        """The coefficients of all orders in a gauge, in closed form.

        Parameters
        ----------
        name
            `reference`, `zero-sum` or `frequency`.
        reference
            For `reference`, the reference token of each site; without sites, the one reference token.
        frequency
            For `frequency`, shape (token,), the frequency of each token at its site; without sites, in the
            vocabulary.

        Returns
        -------
        The gauged table; without sites, over the tokens of `by_axis`.
        """
        if self.site is not None:
            if not self.distinct:
                raise ValueError(
                    "gauge: got distinct=False, needs a module with distinct=True for terms over sites"
                )
            weights = gauge_weights(name, self.site, reference=reference, frequency=frequency)
            return GaugedTable.of(name, self.factors, self.site, weights)
        one_site = np.zeros(self.n_tokens, dtype=int)
        weights = gauge_weights(name, one_site, reference=reference, frequency=frequency)
        table = self.by_axis()
        assert table.site is not None
        return GaugedTable.of(name, table.factors, table.site, np.tile(weights, self.order))
