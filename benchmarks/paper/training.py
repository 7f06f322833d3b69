"""Training to the bottom: full-batch quasi-Newton steps on the mean squared error."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Fit:
    """The mean squared error after each round of steps."""

    losses: list[float]

    @property
    def final(self) -> float:
        return self.losses[-1]


def train(
    module: nn.Module, predict: Callable[[], Tensor], target: Tensor, n_rounds: int, goal: float
) -> Fit:
    """L-BFGS from the module's present parameters until the goal is met or the rounds are used up.

    Parameters
    ----------
    module
        Its parameters are changed in place.
    predict
        The module's output for the training samples.
    target
        Same shape as the output.
    n_rounds
        Rounds of 20 steps.
    goal
        Mean squared error at which to stop.
    """
    optimiser = torch.optim.LBFGS(
        module.parameters(),
        max_iter=20,
        history_size=50,
        line_search_fn="strong_wolfe",
        tolerance_grad=1e-14,
        tolerance_change=1e-16,
    )

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = mse(predict(), target)
        loss.backward()
        return loss

    losses = []
    for _ in range(n_rounds):
        losses.append(optimiser.step(closure).item())  # the loss before the round
        if not losses[-1] > goal:
            break
    with torch.no_grad():
        losses.append(mse(predict(), target).item())
    return Fit(losses)


def mse(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared error over samples, entities and channels."""
    return (prediction - target).square().mean()


@torch.no_grad()
def start_as_in_the_paper(values: Tensor, embedding: Tensor) -> None:
    """Every token's value is 1 at the start, so that <x, w(0)> > 0 as the convergence theorem (4.4) asks.

    Parameters
    ----------
    values
        Value weights of a module, last two axes (d_in, d_out); changed in place.
    embedding
        Shape (token, d_in), invertible.
    """
    ones = torch.ones(embedding.shape[0], values.shape[-1], dtype=values.dtype)
    values.copy_(torch.linalg.solve(embedding, ones).expand_as(values))
