"""A readout from the Gaussian process of all orders at once, and the posterior of its coefficients."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from genoattn.attention import ProductAttention
from genoattn.closed_form.kernel_system import CholeskySystem
from genoattn.closed_form.learned_kernel import LearnedKernel
from genoattn.closed_form.posterior import without_prior
from genoattn.closed_form.product_kernel_fit import (
    ProductKernelModel,
    fit_product_kernel,
    solve_product_kernel,
)
from genoattn.model.prediction import predict_orders
from genoattn.model.readout import Readout
from genoattn.model.train_config import Split, TrainConfig, TrainingData, TrainingSummary
from genoattn.tokens import Vocabulary
from genoattn.tokens.gauge_centre import Gauge, gauge_centre

_EXACT = 10_000  # training samples up to which the readout is in float64
_AMPLE = 10_000  # training samples from which blocks of them teach a kernel all there is
_MOST_WORK = 1e12  # multiplications for the deviations of the coefficients of an order in a gauge
_PROBES = 16


@dataclass(frozen=True, eq=False)
class ProductPosterior:
    """Posterior of the coefficients of a product kernel, while its training samples are in memory."""

    model: ProductKernelModel
    vocabulary: Vocabulary

    @property
    def is_proper(self) -> bool:
        """Whether deviations are known: the system of the samples is factored, so that they cost little."""
        return isinstance(self.model.system, CholeskySystem)

    @property
    def most_terms(self) -> int:
        """Terms whose deviations cost half a minute."""
        return int(_MOST_WORK / (2.0 * len(self.model.weights) ** 2))

    def surprise(self, calls: np.ndarray, error: np.ndarray, variance: np.ndarray | None) -> float:
        """Mean squared error of samples that the model has not seen, over what it expects; 1 is right.

        Parameters
        ----------
        calls
            Shape (n, n_sites).
        error
            Shape (n,), phenotype less its prediction.
        variance
            Shape (n,), known variances of the phenotype, if any.
        """
        expected = self.model.predict_deviation(calls) ** 2
        expected += self.model.learned.noise_of(variance, len(calls))
        return float((error**2 / expected).mean())

    @cached_property
    def degrees(self) -> float:
        """Effective degrees of freedom of the process, from random traces."""
        system = self.model.system
        signs = np.random.default_rng(0).choice([-1.0, 1.0], (len(system.noise), _PROBES))
        remaining = (signs * system.noise[:, None] * system.solve(signs)).sum(axis=0).mean()
        return len(system.noise) - float(remaining)

    def moments(self, columns: np.ndarray, gauge: Gauge) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation of the coefficients of terms (n_terms, order), each (n_terms,).

        The deviations are NaN but for the largest coefficients, as many as :attr:`most_terms`, and those
        only where the system is factored.
        """
        mean, variance, _ = self._moments(columns, gauge)
        return mean, np.sqrt(variance)

    def unshrunken(self, columns: np.ndarray, gauge: Gauge) -> tuple[np.ndarray, np.ndarray]:
        """Estimates (n_terms,) without the prior of each coefficient, and standard errors.

        As those of :meth:`genoattn.closed_form.posterior.Posterior.unshrunken`.
        """
        mean, variance, prior = self._moments(columns, gauge)
        return without_prior(mean, variance, prior)

    def _moments(self, columns: np.ndarray, gauge: Gauge) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if gauge not in self._kept:
            self._kept[gauge] = {}
        order = columns.shape[1]
        kept = self._kept[gauge].get(order)
        if kept is None or kept[0] is not columns:  # the same terms are asked for twice
            kept = self._kept[gauge][order] = (columns, self._made(columns, gauge))
        return kept[1]

    @cached_property
    def _kept(self) -> dict[str, dict[int, tuple[np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]]]]:
        return {}

    def _made(self, columns: np.ndarray, gauge: Gauge) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean, variance and prior variance of each coefficient."""
        centre = gauge_centre(self.vocabulary, gauge)
        mean = self.model.coefficients(columns, centre)
        variance, prior = np.full(len(mean), np.nan), np.full(len(mean), np.nan)
        if self.is_proper:
            some = np.argsort(-np.abs(mean), kind="stable")[: self.most_terms]
            variance[some] = self.model.coefficient_deviations(columns[some], centre) ** 2
            prior[some] = self.model.kernel.coefficient_variance(columns[some], centre)
        return mean, variance, prior


def product_readout(
    vocabulary: Vocabulary,
    data: TrainingData,
    split: Split,
    config: TrainConfig,
    learned: LearnedKernel | None = None,
    progress: bool = False,
) -> tuple[Readout, TrainingSummary, ProductPosterior]:
    """The process of largest marginal likelihood; see :mod:`genoattn.closed_form.product_kernel`.

    ``learned`` is a kernel of other samples of the same sites: learning goes on from it, or where samples are
    ample it is taken as it is.

    Returns a readout in phenotype units, the training summary, and the posterior of the coefficients.
    """
    training = split.training
    variance = None if data.variance is None else data.variance[training]
    calls, y = data.calls[training], data.phenotype[training]
    covariates = data.covariates[training]
    if learned is None or len(training) <= _AMPLE:
        model = fit_product_kernel(
            calls, vocabulary.n_states, y, variance, covariates,
            state_names=data.state_names, start=learned, seed=config.seed, progress=progress,
        )  # fmt: skip
    else:
        model = solve_product_kernel(learned, calls, y, variance, covariates, progress=progress)
    kernel = model.kernel
    attention = ProductAttention(
        calls, kernel.correlation, kernel.frequency, vocabulary.site, kernel.variance * model.weights
    )
    dtype = torch.float64 if len(training) <= _EXACT else torch.float32
    readout = Readout(vocabulary, {}, data.covariates.shape[1], dtype=dtype, product=attention)
    with torch.no_grad():
        readout.bias.fill_(model.intercept)
        readout.covariate.copy_(torch.as_tensor(model.fixed[1:]))
    readout.eval()
    loss = float("inf")
    if len(split.validation):
        held = split.validation
        predicted = predict_orders(readout, data.calls[held], data.covariates[held]).sum(axis=1)
        loss = float(0.5 * ((predicted - data.phenotype[held]) ** 2).mean() / y.var())
    noise = {"residual_sd": float(np.sqrt(model.learned.noise))}
    if variance is not None:
        noise = {
            "unexplained_sd": float(np.sqrt(model.learned.noise)),
            "variance_scale": model.learned.variance_scale,
        }
    summary = TrainingSummary("product", {}, 1, loss, "gaussian", noise)
    return readout, summary, ProductPosterior(model, vocabulary)
