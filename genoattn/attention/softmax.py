"""The softmax kernel: attention normalised over all tuples of entities, dense, for few entities."""

import string
from collections.abc import Sequence

import torch
from torch import Tensor

GIB = 2**30


def check_dense_memory(name: str, shape: Sequence[int], dtype: torch.dtype, max_gib: float) -> None:
    """Refuse before a dense score tensor of this shape would take more than the limit."""
    n_bytes = torch.finfo(dtype).bits // 8
    for size in shape:
        n_bytes *= size
    # Scores, weights and their gradients live at once.
    needed = 4 * n_bytes / GIB
    if needed > max_gib:
        raise ValueError(
            f"{name}: got scores of shape {tuple(shape)}, which need {needed:.1f} GiB with softmax, "
            f"more than max_gib={max_gib:g}; use fewer entities, a lower order or kernel='linear'"
        )


def tuple_scores(query: Tensor, keys: Sequence[Tensor]) -> Tensor:
    """A[.., i, j1, .., j(n-1)] = sum_r q_r(i) prod_m k^m_r(j_m), from (.., entity, rank) each."""
    letters = string.ascii_lowercase[: len(keys) + 1]
    inputs = ",".join(f"...{letter}z" for letter in letters)
    return torch.einsum(f"{inputs}->...{letters}", query, *keys)


def softmax_attention(
    scores: Tensor, values: Sequence[Tensor], mask: Tensor | None, *, distinct: bool
) -> Tensor:
    """out_ic = sum over j of softmax_j(A[i, j1, ..]) prod_m v^m_c(j_m): shape (.., batch, entity, channel).

    The scores (.., batch, entity, .., entity) have one axis for the output entity and one for each argument,
    and a value (.., batch, entity, channel) belongs to each argument. An entity absent from the mask (batch,
    entity) is in no tuple. With ``distinct`` only tuples whose entities differ from each other and from i
    count; where none is left, the output is zero.
    """
    n_arguments, n_entities = len(values), values[0].shape[-2]
    allowed = _allowed_tuples(n_arguments, n_entities, mask, distinct, scores.device)
    start = scores.dim() - n_arguments
    flat = scores.flatten(start)  # (.., batch, entity, tuple)
    allowed = allowed.flatten(allowed.dim() - n_arguments)
    # The lowest finite number, not -inf, so that a row without any tuple gives zero and no NaN gradient.
    weights = flat.masked_fill(~allowed, torch.finfo(flat.dtype).min).softmax(dim=-1) * allowed
    letters = string.ascii_lowercase[: n_arguments + 1]
    inputs = ",".join(f"...{letter}z" for letter in letters[1:])
    return torch.einsum(f"...{letters},{inputs}->...{letters[0]}z", weights.view_as(scores), *values)


def _allowed_tuples(
    n_arguments: int, n_entities: int, mask: Tensor | None, distinct: bool, device: torch.device
) -> Tensor:
    """Mask of the tuples (i, j1, ..) that take part: shape (batch or 1, entity, .., entity)."""
    index = torch.arange(n_entities, device=device)
    entity = torch.meshgrid(*[index] * (n_arguments + 1), indexing="ij")
    allowed = torch.ones_like(entity[0], dtype=torch.bool)[None]
    for axis in range(1, n_arguments + 1):
        if mask is not None:
            allowed = allowed & mask[:, entity[axis]]
        if distinct:
            for other in entity[:axis]:
                allowed = allowed & (entity[axis] != other)
    return allowed
