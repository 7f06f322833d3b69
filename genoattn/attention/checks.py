"""Checks of what enters a module; a failure is a ValueError that says what was found and what is needed."""

from collections.abc import Sequence

import torch
from torch import Tensor

KERNELS = ("linear", "softmax")


def check_size(name: str, value: int, least: int = 1) -> int:
    """An integer, not below the least."""
    if isinstance(value, bool) or not isinstance(value, int) or not value >= least:
        raise ValueError(f"{name}: got {value!r}, needs an integer of at least {least}")
    return value


def check_kernel(kernel: str) -> str:
    """One of the kernels."""
    if kernel not in KERNELS:
        raise ValueError(f"kernel: got {kernel!r}, needs one of {', '.join(map(repr, KERNELS))}")
    return kernel


def check_entities(name: str, x: Tensor, width: int) -> Tensor:
    """A floating-point tensor of shape (batch, entity, width), neither axis empty."""
    if not isinstance(x, Tensor):
        raise ValueError(
            f"{name}: got {type(x).__name__}, needs a torch.Tensor of shape (batch, entity, {width})"
        )
    if x.dim() != 3 or x.shape[-1] != width:
        raise ValueError(f"{name}: got shape {tuple(x.shape)}, needs (batch, entity, {width})")
    if not x.is_floating_point():
        raise ValueError(f"{name}: got dtype {x.dtype}, needs a floating-point tensor")
    if 0 in x.shape:
        raise ValueError(f"{name}: got shape {tuple(x.shape)}, needs at least one sample and one entity")
    return x


def check_dtype(name: str, x: Tensor, parameter: Tensor) -> None:
    """The dtype of the module; autocast may mix them."""
    if x.dtype != parameter.dtype and not torch.is_autocast_enabled(x.device.type):
        raise ValueError(
            f"{name}: got dtype {x.dtype}, needs {parameter.dtype} as the module; convert one to the other"
        )


def check_table(kernel: str, tokens: Tensor, width: int, parameter: Tensor, name: str = "tokens") -> None:
    """Embeddings (token, width) of a module that has a table: the softmax kernel has none."""
    if kernel != "linear":
        raise ValueError(f"kernel: got {kernel!r}, needs 'linear': a normalised form is no table over tokens")
    if not isinstance(tokens, Tensor) or tokens.dim() != 2 or tokens.shape[1] != width:
        found = f"shape {tuple(tokens.shape)}" if isinstance(tokens, Tensor) else type(tokens).__name__
        raise ValueError(f"{name}: got {found}, needs a torch.Tensor of shape (token, {width})")
    if not torch.isfinite(tokens).all():
        raise ValueError(f"{name}: got NaN or infinity, needs finite values")
    check_dtype(name, tokens, parameter)


def check_tokens(tokens: Sequence[int], n_tokens: int) -> None:
    """Indices of tokens, from 0."""
    for token in tokens:
        if not 0 <= token < n_tokens:
            raise ValueError(f"tokens: got {token}, needs indices from 0 to {n_tokens - 1}")


def check_order(order: int, n_entities: int, distinct: bool) -> None:
    """Distinct entities must be at least as many as the order."""
    if distinct and order > n_entities:
        raise ValueError(
            f"order: got {order}, needs at most the number of entities, here {n_entities}, when distinct=True"
        )


def check_mask(mask: Tensor | None, x: Tensor) -> Tensor | None:
    """A boolean tensor of shape (batch, entity), every sample with at least one entity present."""
    if mask is None:
        return None
    needed = tuple(x.shape[:2])
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool or tuple(mask.shape) != needed:
        found = f"{mask.dtype} {tuple(mask.shape)}" if isinstance(mask, Tensor) else type(mask).__name__
        raise ValueError(
            f"mask: got {found}, needs a torch.bool tensor of shape {needed}, True where present"
        )
    empty = ~mask.any(dim=1)
    if empty.any():
        first = int(empty.nonzero()[0])
        raise ValueError(f"mask: got no present entity in sample {first}, needs one or more in every sample")
    return mask


def present_values(name: str, x: Tensor, mask: Tensor | None) -> Tensor:
    """x with the masked entities set to zero, whatever they held; elsewhere every value must be finite."""
    if mask is not None:
        x = torch.where(mask.unsqueeze(-1), x, x.new_zeros(()))
    # A finite sum has finite terms, and costs a fraction of looking at each.
    if not torch.isfinite(x.detach().sum()) and not torch.isfinite(x).all():
        sample, entity, column = (~torch.isfinite(x)).nonzero()[0].tolist()
        raise ValueError(
            f"{name}: got {x[sample, entity, column].item()} at [{sample}, {entity}, {column}], "
            "needs finite values; mask the entities that are missing"
        )
    return x


def present_outputs(out: Tensor, mask: Tensor | None, order: int, distinct: bool) -> Tensor:
    """The output, exact zeros where an entity is absent or its sample has too few for a distinct tuple."""
    if mask is None:
        return out
    if distinct:
        mask = mask & (mask.sum(dim=1, keepdim=True) >= order)
    return torch.where(mask.unsqueeze(-1), out, out.new_zeros(()))
