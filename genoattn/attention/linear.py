r"""Linear self-attention, exact for every pairwise function of entities.

.. math:: SA(X) = \sum_h (X C_h X^\top)\, X W_h

Ustaomeroglu & Qu (arXiv 2506.06179), section 2; Theorem 3.1: with one embedding dimension for each token any
f(mu, nu) w_nu is represented exactly. What data identify is T[mu,nu,c] = (x_mu^T C x_nu)(x_nu^T W)_c
(their Corollary 4.9), not C and W.
"""

import torch
from torch import Tensor, nn

from genoattn.attention.checks import check_size
from genoattn.attention.contraction import project
from genoattn.attention.entity_attention import EntityAttention


class LinearSelfAttention(EntityAttention):
    """Pairwise attention, (batch, entity, d_in) -> (batch, entity, d_out), in O(entity) time and memory.

    Parameters
    ----------
    d_in, d_out
        Width of the embedding of an entity and of the output.
    n_heads
        Heads are summed.
    distinct
        Leave the pair (i, i) out of the sum over j. The paper keeps it.
    kernel
        `linear`, or `softmax`: the scores normalised over j, dense over pairs.
    max_gib
        The softmax kernel refuses input that would take more memory than this.
    generator
        Source of the starting values; torch's own by default.

    Attributes
    ----------
    interaction
        C, shape (head, d_in, d_in). Zero at the start, as in the paper's convergence theorem (4.4).
    value
        W, shape (head, d_in, d_out). Uniform on +-1/sqrt(d_in) at the start.
    """

    def __init__(
        self,
        d_in: int,
        d_out: int,
        n_heads: int = 1,
        *,
        distinct: bool = False,
        kernel: str = "linear",
        max_gib: float = 4.0,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(d_in, d_out, 2, n_heads, distinct, kernel, max_gib)
        self.interaction = nn.Parameter(torch.empty(n_heads, d_in, d_in, device=device, dtype=dtype))
        self.value = nn.Parameter(torch.empty(n_heads, d_in, d_out, device=device, dtype=dtype))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """No interaction, random values."""
        nn.init.zeros_(self.interaction)
        nn.init.uniform_(self.value, -(self.d_in**-0.5), self.d_in**-0.5, generator=generator)

    @classmethod
    def from_interactions(
        cls, f: Tensor, w: Tensor, embedding: Tensor | None = None, *, rank: int | None = None
    ) -> "LinearSelfAttention":
        """The module that computes out_i = sum_j f(i, j) w_j exactly (Theorem 3.1).

        Parameters
        ----------
        f
            Shape (token, token), how strongly the second token acts on the first.
        w
            Shape (token, d_out), how the action of a token shows.
        embedding
            Shape (token, token), the embedding of each token in a row, invertible; one-hot by default.
        rank
            Keep only this many singular values of f. With an orthogonal embedding the scores are then off by
            sigma_(rank+1) in spectral norm and by the root of the sum of the squares of the singular values
            left out in Frobenius norm, and no C of that rank does better (Theorem B.2; Eckart & Young
            1936).
        """
        n_tokens = len(f)
        if f.dim() != 2 or f.shape != (n_tokens, n_tokens) or not torch.isfinite(f).all():
            raise ValueError(f"f: got shape {tuple(f.shape)}, needs finite values of shape (token, token)")
        if w.dim() != 2 or len(w) != n_tokens or not torch.isfinite(w).all():
            raise ValueError(
                f"w: got shape {tuple(w.shape)}, needs finite values of shape ({n_tokens}, d_out)"
            )
        if embedding is None:
            embedding = torch.eye(n_tokens, dtype=f.dtype, device=f.device)
        if embedding.shape != (n_tokens, n_tokens) or not torch.linalg.cond(embedding) < 1e8:
            raise ValueError(
                f"embedding: got shape {tuple(embedding.shape)}, needs an invertible "
                f"matrix ({n_tokens}, {n_tokens})"
            )
        if rank is not None:
            check_size("rank", rank)
            u, s, vh = torch.linalg.svd(f)
            f = u[:, :rank] * s[:rank] @ vh[:rank]
        module = cls(n_tokens, w.shape[1], device=f.device, dtype=f.dtype)
        with torch.no_grad():
            # x_mu^T C x_nu = f(mu, nu) for all tokens: X C X^T = f.
            module.interaction[0] = torch.linalg.solve(embedding, torch.linalg.solve(embedding, f.mT).mT)
            module.value[0] = torch.linalg.solve(embedding, w)
        return module

    def projections(self, x: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Query ``X C``, the key X itself, and the value ``X W``."""
        return project(x, self.interaction), [x], [project(x, self.value)]
