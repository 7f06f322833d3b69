r"""Sums over distinct entities, by inclusion-exclusion over set partitions.

.. math:: \sum_{i_1..i_n\ \text{distinct}} \prod_m f_m(i_m)
          = \sum_{\pi} \prod_{B\in\pi} (-1)^{|B|-1} (|B|-1)! \; S_B, \qquad S_B = \sum_l \prod_{m\in B} f_m(l)

over all set partitions pi of the factors (Moebius inversion on the partition lattice; Rota 1964, section 7).
"""

from collections.abc import Callable, Iterator
from functools import cache
from itertools import combinations
from math import factorial
from typing import TypeVar

import numpy as np
from torch import Tensor

Block = tuple[int, ...]
Partition = tuple[Block, ...]
Value = TypeVar("Value", Tensor, np.ndarray)


@cache
def set_partitions(n: int) -> tuple[Partition, ...]:
    """Every way to split {0, .., n-1} into non-empty blocks; their number is the Bell number of n.

    A block is a tuple of ascending indices; blocks are ordered by first index. n = 0 has one partition, the
    empty one.
    """
    if not n >= 0:
        raise ValueError(f"n: got {n}, needs an integer number of elements, 0 or more")
    return tuple(_partitions_of(tuple(range(n))))


def _partitions_of(elements: Block) -> Iterator[Partition]:
    """Partitions of the given elements: choose the block of the first one, then split the rest."""
    if not elements:
        yield ()
        return
    for block, rest in first_blocks(elements):
        for others in _partitions_of(rest):
            yield (block, *others)


@cache
def first_blocks(elements: Block) -> tuple[tuple[Block, Block], ...]:
    """Each block that may hold the first element, with the other elements."""
    first, others = elements[0], elements[1:]
    return tuple(
        ((first, *chosen), tuple(e for e in others if e not in chosen))
        for size in range(len(others) + 1)
        for chosen in combinations(others, size)
    )


@cache
def subsets(n: int) -> tuple[Block, ...]:
    """All subsets of {0, .., n-1} by size, the empty one first."""
    return tuple(chosen for size in range(n + 1) for chosen in combinations(range(n), size))


def block_weight(block: Block) -> int:
    """Inclusion-exclusion weight of one block, (-1)^(|B|-1) (|B|-1)!."""
    return (-1) ** (len(block) - 1) * factorial(len(block) - 1)


def distinct_sums(block_sum: Callable[[Block], Value], n: int) -> dict[Block, Value]:
    """Sum over ordered distinct entities, for every non-empty subset of the n factors at once.

    The sum over partitions is folded into D(A) = sum over blocks B holding the first element of A of
    weight(B) S_B D(A - B): about 3^n / 2 products for all subsets together, where the partitions one by one
    would take n products each. ``block_sum`` gives S_B for each non-empty block B (ascending indices), all
    of one shape, any.
    """
    if not n >= 1:
        raise ValueError(f"n: got {n}, needs at least one factor")
    blocks = {block: block_sum(block) for block in subsets(n) if block}
    sums: dict[Block, Value] = {}
    for subset in blocks:
        total = None
        for block, rest in first_blocks(subset):
            term = block_weight(block) * blocks[block]
            term = term * sums[rest] if rest else term
            total = term if total is None else total + term
        assert total is not None
        sums[subset] = total
    return sums


def distinct_sum(block_sum: Callable[[Block], Value], n: int) -> Value:
    """The entry of `distinct_sums` with every factor: the sum over ordered distinct entities."""
    return distinct_sums(block_sum, n)[tuple(range(n))]
