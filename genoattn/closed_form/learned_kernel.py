r"""Decay of every site and allele, similarity of states, prior variance and noise, by marginal likelihood.

Few samples are taken together, and their likelihood is maximised by L-BFGS. Of more each step takes the
marginal likelihood of a random block, and one step of Adam on the logarithms of the parameters: a composite
likelihood of all samples, without a system of all samples to solve. The mean of the samples is profiled
out. Log decays are normal around that of their site, those of sites around a common one; states that sites
share are points with a normal prior, whose distances say how alike they are.
"""

import logging
import time
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from genoattn.closed_form.product_kernel import ProductKernel
from genoattn.progress import progress_bar

log = logging.getLogger(__name__)
_DIMENSIONS = 4  # of the points of states
_SPREAD = 0.3  # of the points at first
_PRIOR_SD = 0.5  # of a log decay around that of its site, and of a site's around the common one
_LEAST_NOISE = 1e-5  # of the phenotype's variance
_RATE = 0.1  # of Adam, on logarithms; falls to a twentieth along a cosine in the last third
_SMALLER = 3  # times smaller are the blocks of the first two thirds of the steps
_START_COVARIANCE = 0.3  # of two random samples, over the variance
_GOING_ON = 12  # steps, all with large blocks, from a kernel of other samples of the same kind
_AT_ONCE = 4 / 3  # blocks of samples up to which all are taken together
_REACH = 6.0  # of a logarithm from where it starts
_SETTLED = 3e-5  # smallest decrease of the loss of a sample that is worth another step


@dataclass(frozen=True, eq=False)
class LearnedKernel:
    """A kernel and the noise around it, in squared units of the phenotype; and what it was made of."""

    kernel: ProductKernel
    noise: float  # variance of the residuals, added to multiples of known ones
    variance_scale: float  # what known variances are multiplied with; 1 without them
    n_steps: int  # fewer than asked for where the time was up
    parameters: dict[str, Tensor] = field(default_factory=dict)  # of a phenotype of variance ``unit``
    unit: float = 1.0
    decay: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (n_columns,), -log w of each allele

    def noise_of(self, variance: np.ndarray | None, n_samples: int) -> np.ndarray:
        """Noise variance of samples (n_samples,) with these known variances, or with none."""
        known = np.zeros(n_samples) if variance is None else variance
        return self.variance_scale * known + self.noise


class _KernelParameters(nn.Module):
    """Logarithms of what is learned, and the marginal likelihood of a block."""

    def __init__(
        self, kernel: ProductKernel, decay: float, per_allele: bool, known: bool, names: np.ndarray | None
    ) -> None:
        super().__init__()
        n_columns = len(kernel.site)
        double = torch.float64
        self.common = nn.Parameter(torch.tensor(np.log(decay), dtype=double))
        self.by_site = nn.Parameter(torch.zeros(kernel.n_sites, dtype=double))
        self.by_allele = nn.Parameter(torch.zeros(n_columns, dtype=double), requires_grad=per_allele)
        self.variance = nn.Parameter(torch.tensor(float(np.log(kernel.variance)), dtype=double))
        self.noise = nn.Parameter(torch.tensor(float(np.log(0.3)), dtype=double))
        self.scale = nn.Parameter(torch.zeros((), dtype=double), requires_grad=known)
        # Two states of a site are as alike as their decays say, whatever their names.
        self.names = None if names is None or kernel.n_states.max() < 3 else torch.as_tensor(names)
        n_names = 0 if self.names is None else int(self.names.max()) + 1
        drawn = torch.randn(n_names, _DIMENSIONS, dtype=double, generator=torch.Generator().manual_seed(0))
        self.points = nn.Parameter(_SPREAD * drawn, requires_grad=n_names > 0)
        self.contrast = nn.Parameter(torch.zeros(kernel.n_sites, dtype=double), requires_grad=n_names > 0)
        self.site = torch.as_tensor(kernel.site)
        # Rows of states, then one a site for the missing state, its allele frequencies.
        missing = np.where(np.arange(kernel.n_sites)[:, None] == kernel.site, kernel.frequency, 0.0)
        self.mix = torch.as_tensor(np.vstack([np.eye(n_columns), missing]))
        owner = torch.as_tensor(np.concatenate([kernel.site, np.arange(kernel.n_sites)]))
        self.same_site = owner[:, None] == owner[None, :]

    @torch.no_grad()
    def go_on_from(self, learned: LearnedKernel, unit: float) -> None:
        """Take over a kernel learned from other samples, with ``unit`` the variance of the phenotype."""
        self.load_state_dict(learned.parameters)
        for parameter in (self.variance, self.noise):
            parameter.add_(float(np.log(learned.unit / unit)))

    def decay(self) -> Tensor:
        """-log w of each allele, (n_columns,)."""
        return (self.common + self.by_site[self.site] + self.by_allele).exp()

    def noises(self) -> tuple[Tensor, Tensor]:
        """Noise variance, and multiple of known variances."""
        return _LEAST_NOISE + self.noise.exp(), self.scale.exp()

    def table(self) -> Tensor:
        """Correlation of the states of each site, 0 between sites: (n_columns, n_columns)."""
        decay = self.decay()
        logs = -decay[:, None] - decay[None, :]
        if self.names is not None:
            squares = ((self.points[:, None] - self.points[None, :]) ** 2).sum(dim=2)
            logs = logs - squares[self.names][:, self.names] * self.contrast.exp()[self.site][:, None]
        logs = logs - torch.diag(logs.diagonal())
        return torch.where(self.same_site[: len(decay), : len(decay)], logs.exp(), 0.0)

    def kernel_of(self, indicators: Tensor) -> Tensor:
        """Kernel (n, n) among the samples of a block, from indicators (n, n_columns + n_sites)."""
        table = self.mix @ self.table() @ self.mix.T
        logs = torch.where(self.same_site, table, 1.0).log()
        return (self.variance + (indicators @ logs) @ indicators.T).exp()

    def penalty(self, known: bool) -> Tensor:
        """Negative log-density of the priors."""
        logs = torch.cat([self.by_site, self.by_allele, self.contrast])
        squares = ((logs / _PRIOR_SD) ** 2).sum() + (self.points**2).sum()
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
    state_names: np.ndarray | None = None,
    start: LearnedKernel | None = None,
    seed: int = 0,
    n_steps: int = 120,
    block_size: int = 3000,
    budget_s: float = 300.0,
    progress: bool = False,
) -> LearnedKernel:
    """The kernel of largest marginal likelihood; parameters as of `fit_product_kernel`."""
    unit = float(phenotype.var()) or 1.0
    y = torch.as_tensor((phenotype - phenotype.mean()) / np.sqrt(unit))
    known = None if variance is None else torch.as_tensor(variance / unit)
    decay, plain = _plain_kernel(states, n_states)
    model = _KernelParameters(plain, decay, per_allele, known is not None, state_names)
    if start is not None:
        model.go_on_from(start, unit)
    samples = _Samples(_columns(states, plain), len(plain.site) + plain.n_sites, y, known)
    until = time.perf_counter() + budget_s
    if len(y) <= _AT_ONCE * block_size:
        done = _learn_from_all(model, samples, n_steps, until, progress)
    else:
        # Small blocks come close at a small part of the cost; the last third decides.
        n_large = min(_GOING_ON, n_steps) if start is not None else n_steps - 2 * n_steps // 3
        n_small = 0 if start is not None else n_steps - n_large
        sizes = [max(block_size // _SMALLER, 1)] * n_small + [block_size] * n_large
        rng = np.random.default_rng(seed)
        done = _learn_from_blocks(model, samples, sizes, n_large, rng, until, progress)
    with torch.no_grad():
        noise, scale = (float(v) for v in model.noises())
        table, sigma2 = model.table().numpy(), unit * float(model.variance.exp())
        decays, parameters = model.decay().numpy(), {k: v.clone() for k, v in model.state_dict().items()}
    correlation = np.zeros_like(plain.correlation)
    for first, stop in zip(plain.first, plain.first[1:], strict=False):
        correlation[first:stop, : stop - first] = table[first:stop, first:stop]
    kernel = ProductKernel(sigma2, correlation, plain.n_states, plain.frequency)
    return LearnedKernel(kernel, unit * noise, scale, done, parameters, unit, decays)


@dataclass(frozen=True, eq=False)
class _Samples:
    """Standardised samples from which a kernel is learned."""

    column: Tensor  # (n, n_sites), of the state that each site has, or of its missing state
    n_columns: int
    phenotype: Tensor  # (n,)
    variance: Tensor | None  # (n,), known

    def step(self, model: _KernelParameters, some: Tensor) -> float:
        """Gradients and loss of some samples, as of :meth:`_KernelParameters.step`."""
        model.zero_grad()
        column, variance = self.column[some], self.variance
        indicators = torch.zeros((len(column), self.n_columns), dtype=torch.float64).scatter_(1, column, 1.0)
        known = None if variance is None else variance[some]
        return model.step(indicators, self.phenotype[some], known, len(self.phenotype))


class _TimeIsUpError(Exception):
    """Ends a search by scipy."""


def _learn_from_all(
    model: _KernelParameters, samples: _Samples, n_steps: int, until: float, progress: bool
) -> int:
    """Largest likelihood of all samples together, by L-BFGS; returns the evaluations it took."""
    free = [p for p in model.parameters() if p.requires_grad]
    everyone = torch.arange(len(samples.phenotype))
    done = 0
    with progress_bar(progress, "learning the kernel", n_steps) as advance:

        def loss(point: np.ndarray) -> tuple[float, np.ndarray]:
            nonlocal done
            if time.perf_counter() > until:
                raise _TimeIsUpError
            vector_to_parameters(torch.as_tensor(point), free)
            value = samples.step(model, everyone)
            with torch.no_grad():
                value += float(model.penalty(samples.variance is not None)) / len(everyone)
            done += 1
            advance(1)
            return value, torch.cat([p.grad.reshape(-1) for p in free if p.grad is not None]).numpy()

        begin = parameters_to_vector(free).detach().numpy().copy()
        bounds = [(value - _REACH, value + _REACH) for value in begin]
        try:
            found = minimize(
                loss, begin, jac=True, method="L-BFGS-B", bounds=bounds,
                options={"maxfun": n_steps, "ftol": _SETTLED},
            )  # fmt: skip
            vector_to_parameters(torch.as_tensor(found.x), free)
        except _TimeIsUpError:
            log.warning("the kernel was learned in %d of %d steps: the time was up", done, n_steps)
    return done


def _learn_from_blocks(
    model: _KernelParameters,
    samples: _Samples,
    sizes: list[int],
    n_late: int,
    rng: np.random.Generator,
    until: float,
    progress: bool,
) -> int:
    """A step of Adam for each random block, slower in the last ``n_late``; returns the steps made."""
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=_RATE)
    work = [size**2 * (size + 2000.0) for size in sizes]
    queue = np.zeros(0, dtype=np.int64)
    with progress_bar(progress, "learning the kernel", sum(work)) as advance:
        for done, size in enumerate(sizes):
            if time.perf_counter() > until:
                log.warning("the kernel was learned in %d of %d steps: the time was up", done, len(sizes))
                return done
            late = max(1 - (len(sizes) - done) / n_late, 0.0)
            for group in optimiser.param_groups:
                group["lr"] = _RATE * max(0.5 * (1 + np.cos(np.pi * late)), 0.05)
            if len(queue) < size:  # a sample twice in a block would look like one without noise
                queue = rng.permutation(len(samples.phenotype))
            some, queue = queue[:size], queue[size:]
            samples.step(model, torch.as_tensor(some))
            optimiser.step()
            advance(work[done])
    return len(sizes)


def _columns(states: np.ndarray, kernel: ProductKernel) -> Tensor:
    """Which state each site of a sample has, or that it is missing, of n_columns + n_sites: (n, n_sites)."""
    missing = len(kernel.site) + np.arange(kernel.n_sites)
    return torch.as_tensor(np.where(states < 0, missing, kernel.first[:-1] + states))


def _plain_kernel(states: np.ndarray, n_states: np.ndarray) -> tuple[float, ProductKernel]:
    """All alleles alike: random samples are correlated by 0.3 on average distance; decay, and variance 1."""
    frequency = allele_frequencies(states, n_states)
    first = np.concatenate([[0], np.cumsum(n_states)])
    alike = np.add.reduceat(frequency**2, first[:-1])
    distance = max(float((1 - alike).sum()), 1e-6)
    decay = -np.log(_START_COVARIANCE) / (2 * distance)
    number = np.asarray(n_states, dtype=np.int64)
    return decay, ProductKernel.of_decay(1.0, np.full(len(frequency), decay), number, frequency)


def allele_frequencies(states: np.ndarray, n_states: np.ndarray) -> np.ndarray:
    """Frequency of each state among called samples, (n_columns,); uniform at a site without a call."""
    parts = []
    for own, number in zip(states.T, n_states, strict=True):
        counts = np.bincount(own[own >= 0], minlength=number).astype(np.float64)
        parts.append(counts / counts.sum() if counts.sum() else np.full(number, 1 / number))
    return np.concatenate(parts)
