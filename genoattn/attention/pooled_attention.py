r"""Attention pooled over sets of distinct sites: one number a sample and rank, from a design of columns.

.. math:: D_{nr}(x) = \sum_{l_1 .. l_n\ \text{distinct}} \prod_m u^m_{r l_m}, \qquad
          u^m_{rl} = \sum_{c \in l} x_c f^m_{rc}

over ordered sites, or over sets of sites where the factors of a rank are the same (*tied*: the elementary
symmetric polynomial e_n). It is the output of HyperAttention of order n (Ustaomeroglu & Qu, arXiv 2506.06179,
section 5) with values of its own for each token, summed over distinct entities. A site has one column of
dosages, or columns of which a sample has at most one that is not zero: a block sum over sites is then one
product of the design with a factor matrix, and the cost is linear in the number of sites.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from genoattn.attention.partitions import Block, distinct_sum
from genoattn.attention.pooled import newton

Centre = Callable[[Tensor], Tensor]


class PooledAttention(nn.Module):
    """Design (sample, column) to pooled interactions (sample, rank); the factors are a subclass's.

    ``indicators`` says that the design holds zeros and ones alone, whose powers are themselves.
    """

    def __init__(self, order: int, indicators: bool) -> None:
        super().__init__()
        self.order, self.indicators = order, indicators

    def factors(self) -> Tensor:
        """Factors before centring: (rank, slot, column), one slot where they are tied."""
        raise NotImplementedError  # of every subclass

    def sparse_parameters(self) -> list[nn.Parameter]:
        """Parameters that a sparse penalty applies to, each (rank, slot, ..)."""
        return []

    def forward(self, design: Tensor, centre: Centre = lambda values: values) -> Tensor:
        """Sum over distinct sites of each rank: (sample, rank).

        Parameters
        ----------
        design
            Shape (sample, column).
        centre
            Subtracts from values (.., column) their mean at each site; nothing by default.
        """
        factor = centre(self.factors())  # (rank, slot, column)
        if factor.shape[1] == 1:
            powers = [self._power(design, m) for m in range(1, self.order + 1)]
            return newton([power @ factor[:, 0].T ** m for m, power in enumerate(powers, 1)])
        # Where all slots are 0 so are their products, and the gradients of these: sparse factors need the
        # powers of few columns.
        used = (factor != 0).flatten(0, 1).any(dim=0).nonzero()[:, 0]
        few = len(used) < 0.5 * factor.shape[-1]
        chosen = design.index_select(1, used) if few else design
        powers = [design, *(self._power(chosen, m) for m in range(2, self.order + 1))]

        def block_sum(block: Block) -> Tensor:
            own = factor[:, list(block)]
            if few and len(block) > 1:
                own = own.index_select(2, used)
            return powers[len(block) - 1] @ own.prod(dim=1).T  # (sample, rank)

        return distinct_sum(block_sum, self.order)

    def _power(self, design: Tensor, m: int) -> Tensor:
        return design if self.indicators or m == 1 else design**m


class PooledHyperAttention(PooledAttention):
    """HyperAttention with a value for each rank, slot and column, pooled over sets of distinct sites.

    Attributes
    ----------
    value
        Shape (rank, slot, column), zero at the start; one slot if tied, else ``order``.

    Examples
    --------
    >>> import torch
    >>> from genoattn.attention import PooledHyperAttention
    >>> module = PooledHyperAttention(n_columns=3, order=2, rank=1, tied=True)
    >>> _ = module.value.data.copy_(torch.tensor([1.0, 2.0, 3.0]))
    >>> module(torch.ones(1, 3))  # 1 * 2 + 1 * 3 + 2 * 3
    tensor([[11.]], grad_fn=<DivBackward0>)
    """

    def __init__(
        self, n_columns: int, order: int = 3, rank: int = 8, *, tied: bool = False, indicators: bool = False
    ) -> None:
        super().__init__(order, indicators)
        self.value = nn.Parameter(torch.zeros(rank, 1 if tied else order, n_columns))

    def factors(self) -> Tensor:
        """The values."""
        return self.value

    def sparse_parameters(self) -> list[nn.Parameter]:
        """The values."""
        return [self.value]

    @torch.no_grad()
    def set_random(self, scale: float, generator: torch.Generator) -> None:
        """Normal values of a standard deviation."""
        self.value.copy_(scale * torch.randn(self.value.shape, generator=generator, dtype=self.value.dtype))


class PooledFeatureAttention(PooledAttention):
    """HyperFeatureAttention: the factor of a token is the product of the embeddings of its features.

    ``u_r(token) = prod_a E_ar(feature a of the token)``: head r of the paper's HFA with every C_a and W_a of
    rank one (section 5.1), so that the embeddings are as wide as the sum of the features' sizes, and a token
    that training never showed is known by its features.

    Parameters
    ----------
    index
        Shape (feature, column), the label of each feature of a column; -1, no label, has the embedding 1.
    sizes
        Number of labels of each feature.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from genoattn.attention import PooledFeatureAttention
    >>> index = np.array([[0, 0, 1, 1], [0, 1, 0, 1]])  # the site and the state of four columns
    >>> module = PooledFeatureAttention(index, sizes=[2, 2], order=2, rank=1, indicators=True)
    >>> module(torch.tensor([[1.0, 0.0, 0.0, 1.0]])).tolist()  # either entity may come first
    [[2.0]]
    """

    index: Tensor

    def __init__(
        self,
        index: np.ndarray,
        sizes: Sequence[int],
        order: int = 3,
        rank: int = 8,
        *,
        tied: bool = False,
        indicators: bool = False,
    ) -> None:
        super().__init__(order, indicators)
        slots = 1 if tied else order
        self.register_buffer("index", torch.as_tensor(index), persistent=False)
        self.embeddings = nn.ParameterList(torch.ones(rank, slots, size) for size in sizes)

    def factors(self) -> Tensor:
        """Product of the embeddings of each column's features."""
        values = [look_up(e, i) for e, i in zip(self.embeddings, self.index, strict=True)]
        return torch.stack(values).prod(dim=0)

    def sparse_parameters(self) -> list[nn.Parameter]:
        """The embedding of the first feature, the site: a token without a site factor has no factor."""
        return [self.embeddings[0]]

    @torch.no_grad()
    def set_random(self, scale: float, generator: torch.Generator) -> None:
        """Products of about a standard deviation ``scale``, no feature of which is decided at the start."""
        share = scale ** (1 / len(self.embeddings))
        for embedding in self.embeddings:
            noise = torch.randn(embedding.shape, generator=generator, dtype=embedding.dtype)
            embedding.copy_(share * (0.7 * noise + 0.7))


class PooledLinearAttention(PooledAttention):
    """Linear self-attention with one-hot embeddings (d = |S|): a coefficient for every pair of columns.

    It has a rank for each column, as factors the column itself in the first slot and its row of C in the
    second. C starts at zero, where its gradient is the score of every pair; the loss is convex in it. Memory
    is of the order of the square of the vocabulary.

    Examples
    --------
    >>> import torch
    >>> from genoattn.attention import PooledLinearAttention
    >>> module = PooledLinearAttention(n_columns=2)
    >>> _ = module.pair.data.copy_(torch.tensor([[5.0, 2.0], [1.0, 5.0]]))
    >>> module(torch.tensor([[1.0, 3.0]])).tolist()  # as either column acts on the other
    [[6.0, 3.0]]
    """

    def __init__(self, n_columns: int) -> None:
        super().__init__(2, True)
        self.pair = nn.Parameter(torch.zeros(n_columns, n_columns))

    def factors(self) -> Tensor:
        """The columns themselves, and the rows of C."""
        return torch.stack([torch.eye(len(self.pair)).to(self.pair), self.pair], dim=1)

    def forward(self, design: Tensor, centre: Centre = lambda values: values) -> Tensor:
        """Sum over columns m of another site of ``x_k C_km x_m``, for each column k: (sample, column)."""
        pair = centre(centre(self.pair).T).T
        pair = pair - torch.diag(pair.diagonal())  # of one site no other column is present
        return (design @ pair.T) * design


def look_up(embedding: Tensor, index: Tensor) -> Tensor:
    """Embedding (rank, slot, label) of each column's label; 1 where it has none."""
    # index_select, not brackets: its gradient is many times cheaper.
    found = embedding.index_select(-1, index.clamp(min=0))
    return torch.where(index >= 0, found, torch.ones((), dtype=found.dtype, device=found.device))
