r"""Decay of every site and allele, prior variance and noise, by marginal likelihood on blocks of samples.

Each step takes the marginal likelihood of a random block of the training samples, by its Cholesky factor, and
one step of Adam on the logarithms of the parameters: a composite likelihood of all samples, without a
system of all samples to solve. The mean of a block is profiled out. Log decays are normal around
that of their site, those of sites around a common one.
"""

import logging
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from genoattn.closed_form.product_kernel import ProductKernel
from genoattn.progress import progress_bar

log = logging.getLogger(__name__)
_PRIOR_SD = 0.5  # of a log decay around that of its site, and of a site's around the common one
_LEAST_NOISE = 1e-5  # of the phenotype's variance
_RATE = 0.1  # of Adam, on logarithms; falls to a twentieth along a cosine in the last third
_SMALLER = 3  # times smaller are the blocks of the first two thirds of the steps
_START_COVARIANCE = 0.3  # of two random samples, over the variance


@dataclass(frozen=True, eq=False)
class LearnedKernel:
    """A kernel and the noise around it, in squared units of the phenotype."""

    kernel: ProductKernel
    noise: float  # variance of the residuals, added to multiples of known ones
    variance_scale: float  # what known variances are multiplied with; 1 without them
    n_steps: int  # fewer than asked for where the time was up

    def noise_of(self, variance: np.ndarray | None, n_samples: int) -> np.ndarray:
        """Noise variance of samples (n_samples,) with these known variances, or with none."""
        known = np.zeros(n_samples) if variance is None else variance
        return self.variance_scale * known + self.noise


class _KernelParameters(nn.Module):
    """Logarithms of what is learned, and the marginal likelihood of a block."""

    def __init__(self, kernel: ProductKernel, per_allele: bool, known: bool) -> None:
        super().__init__()
        n_columns = len(kernel.site)
        double = torch.float64
        self.common = nn.Parameter(torch.tensor(float(np.log(kernel.decay.mean())), dtype=double))
        self.by_site = nn.Parameter(torch.zeros(kernel.n_sites, dtype=double))
        self.by_allele = nn.Parameter(torch.zeros(n_columns, dtype=double), requires_grad=per_allele)
        self.variance = nn.Parameter(torch.tensor(float(np.log(kernel.variance)), dtype=double))
        self.noise = nn.Parameter(torch.tensor(float(np.log(0.3)), dtype=double))
        self.scale = nn.Parameter(torch.zeros((), dtype=double), requires_grad=known)
        self.site = torch.as_tensor(kernel.site)
        # Rows of states, then one a site for the missing state, its allele frequencies.
        missing = np.where(np.arange(kernel.n_sites)[:, None] == kernel.site, kernel.frequency, 0.0)
        self.mix = torch.as_tensor(np.vstack([np.eye(n_columns), missing]))
        owner = torch.as_tensor(np.concatenate([kernel.site, np.arange(kernel.n_sites)]))
        self.same_site = owner[:, None] == owner[None, :]

    def decay(self) -> Tensor:
        """-log w of each allele, (n_columns,)."""
        return (self.common + self.by_site[self.site] + self.by_allele).exp()

    def noises(self) -> tuple[Tensor, Tensor]:
        """Noise variance, and multiple of known variances."""
        return _LEAST_NOISE + self.noise.exp(), self.scale.exp()

    def kernel_of(self, indicators: Tensor) -> Tensor:
        """Kernel (n, n) among the samples of a block, from indicators (n, n_columns + n_sites)."""
        w = (-self.decay()).exp()
        table = torch.outer(w, w)
        table = table + torch.diag(1 - w**2)
        table = self.mix @ torch.where(self.same_site[: len(w), : len(w)], table, 0.0) @ self.mix.T
        logs = torch.where(self.same_site, table, 1.0).log()
        return (self.variance + (indicators @ logs) @ indicators.T).exp()

    def penalty(self, known: bool) -> Tensor:
        """Negative log-density of the priors."""
        squares = ((self.by_site / _PRIOR_SD) ** 2).sum() + ((self.by_allele / _PRIOR_SD) ** 2).sum()
        return 0.5 * (squares + (self.scale**2 if known else 0.0))

    def step(self, indicators: Tensor, phenotype: Tensor, variance: Tensor | None, n_samples: int) -> float:
        """Gradients of the loss for one sample; returns the negative log-likelihood for one sample.

        The derivative of the likelihood by the covariance S is (S^-1 - a a') / 2 with a = S^-1 (y - mean),
        which spares a backward pass through the factorisation.
        """
        noise, scale = self.noises()
        covariance = self.kernel_of(indicators)
        diagonal = noise.expand(len(phenotype)) if variance is None else noise + scale * variance
        covariance = covariance + torch.diag(diagonal)
        n = len(phenotype)
        with torch.no_grad():
            factor = torch.linalg.cholesky(covariance)
            inverse = torch.cholesky_inverse(factor)
            rows = inverse.sum(dim=1)
            centred = phenotype - (rows @ phenotype) / rows.sum()
            weights = inverse @ centred
            loss = 0.5 * centred @ weights + factor.diagonal().log().sum()
            slope = 0.5 * (inverse - torch.outer(weights, weights)) / n
        penalty = self.penalty(variance is not None) / n_samples
        torch.autograd.backward([covariance, penalty], [slope, torch.ones_like(penalty)])
        return float(loss) / n


def learn_kernel(
    states: np.ndarray,
    n_states: np.ndarray,
    phenotype: np.ndarray,
    variance: np.ndarray | None = None,
    *,
    per_allele: bool = True,
    seed: int = 0,
    n_steps: int = 120,
    block_size: int = 3000,
    budget_s: float = 300.0,
    progress: bool = False,
) -> LearnedKernel:
    """The kernel of largest marginal likelihood; parameters as of `fit_product_kernel`."""
    began = time.perf_counter()
    unit = float(phenotype.var()) or 1.0
    y = torch.as_tensor((phenotype - phenotype.mean()) / np.sqrt(unit))
    known = None if variance is None else torch.as_tensor(variance / unit)
    start = _start_kernel(states, n_states)
    model = _KernelParameters(start, per_allele, known is not None)
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=_RATE)
    rng = np.random.default_rng(seed)
    queue, done = np.zeros(0, dtype=np.int64), 0
    # Small blocks come close at a small part of the cost; the last third decides.
    first = 2 * n_steps // 3
    largest = min(block_size, len(y))
    sizes = [largest if k >= first else max(largest // _SMALLER, 1) for k in range(n_steps)]
    work = [size**2 * (size + 2000.0) for size in sizes]
    with progress_bar(progress, "learning the kernel", sum(work)) as advance:
        while done < n_steps and time.perf_counter() - began < budget_s:
            size, late = sizes[done], max(3 * done / n_steps - 2, 0.0)
            for group in optimiser.param_groups:
                group["lr"] = _RATE * max(0.5 * (1 + np.cos(np.pi * late)), 0.05)
            if len(queue) < size:
                queue = np.concatenate([queue, rng.permutation(len(y))])
            some, queue = queue[:size], queue[size:]
            optimiser.zero_grad()
            indicators = _indicators(states[some], start)
            model.step(indicators, y[some], None if known is None else known[some], len(y))
            optimiser.step()
            advance(work[done])
            done += 1
    if done < n_steps:
        log.warning("the kernel was learned in %d of %d steps: %g s were up", done, n_steps, budget_s)
    with torch.no_grad():
        noise, scale = (float(v) for v in model.noises())
        kernel = ProductKernel(
            unit * float(model.variance.exp()), model.decay().numpy(), start.n_states, start.frequency
        )
    return LearnedKernel(kernel, unit * noise, scale, done)


def _indicators(states: np.ndarray, kernel: ProductKernel) -> Tensor:
    """Which state each site of a sample has, or that it is missing: (n, n_columns + n_sites)."""
    missing = len(kernel.site) + np.arange(kernel.n_sites)
    column = np.where(states < 0, missing, kernel.first[:-1] + states)
    out = torch.zeros((len(states), len(kernel.site) + kernel.n_sites), dtype=torch.float64)
    return out.scatter_(1, torch.as_tensor(column), 1.0)


def _start_kernel(states: np.ndarray, n_states: np.ndarray) -> ProductKernel:
    """All alleles alike: random samples are correlated by 0.3 on average distance; variance 1."""
    frequency = allele_frequencies(states, n_states)
    first = np.concatenate([[0], np.cumsum(n_states)])
    alike = np.add.reduceat(frequency**2, first[:-1])
    distance = max(float((1 - alike).sum()), 1e-6)
    decay = np.full(len(frequency), -np.log(_START_COVARIANCE) / (2 * distance))
    return ProductKernel(1.0, decay, np.asarray(n_states, dtype=np.int64), frequency)


def allele_frequencies(states: np.ndarray, n_states: np.ndarray) -> np.ndarray:
    """Frequency of each state among called samples, (n_columns,); uniform at a site without a call."""
    parts = []
    for own, number in zip(states.T, n_states, strict=True):
        counts = np.bincount(own[own >= 0], minlength=number).astype(np.float64)
        parts.append(counts / counts.sum() if counts.sum() else np.full(number, 1 / number))
    return np.concatenate(parts)
