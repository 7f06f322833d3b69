"""The Gaussian process of all orders on measured sequences: predictions, coefficients, their uncertainty."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from genoattn.closed_form.kernel_system import KernelSystem, kernel_system
from genoattn.closed_form.learned_kernel import LearnedKernel, learn_kernel
from genoattn.closed_form.product_kernel import ProductKernel
from genoattn.errors import InputError

_TERMS = 256  # whose covariances with all samples are held at once


@dataclass(frozen=True, eq=False)
class ProductKernelModel:
    r"""A Gaussian process with a product kernel after the data, :math:`c + \sum_r \alpha_r k(x_r, x)`.

    The sum is attention over the training samples x_r, and a sum of HyperAttention of all orders. The
    coefficient of a term T with states a is

    .. math:: \sigma^2 \sum_r \alpha_r \prod_{l \in T} (k_l(x_{rl}, a_l) - m_{rl}) \prod_{l \notin T} m_{rl},
              \qquad m_{rl} = \sum_a p_l(a) k_l(x_{rl}, a),

    plus c for the term of order 0, where p are the gauge's probabilities of states: a point mass on the
    reference state, uniform, or the allele frequencies. Coefficients of all orders together are the mean of
    the process exactly.

    The intercept c and the effects of covariates have a flat prior and are estimated by generalised least
    squares; deviations include their uncertainty. They take the kernel and the noise as known, which makes
    them a little too small.

    Notes
    -----
    Columns are the states of the first site, then of the second, and so on: those of a vocabulary of states
    (:class:`genoattn.tokens.Vocabulary`, not the ``dosage`` encoding).

    Examples
    --------
    >>> import numpy as np
    >>> states = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 10, dtype=np.int8)
    >>> phenotype = np.array([0.0, 0.0, 0.0, 1.0] * 10) + np.tile([0.01, -0.01], 20)
    >>> model = fit_product_kernel(states, np.array([2, 2]), phenotype)
    >>> model.predict(states[:4]).round(1) + 0.0
    array([0., 0., 0., 1.])
    >>> reference = np.array([1.0, 0, 1, 0])
    >>> model.coefficients(np.array([[1, 3]]), reference).round(1)
    array([1.])
    """

    learned: LearnedKernel
    system: KernelSystem
    fixed: np.ndarray  # (1 + n_covariates,), intercept and effects of covariates, phenotype units
    weights: np.ndarray  # (n_samples,), alpha of each training sample
    # (n_samples, 1 + n_covariates), solution of the system for the intercept's ones and the covariates; and
    # (1 + n_covariates, 1 + n_covariates), their covariance
    solved: np.ndarray
    fixed_covariance: np.ndarray

    @property
    def kernel(self) -> ProductKernel:
        return self.learned.kernel

    @property
    def intercept(self) -> float:
        """Phenotype of a sequence unlike all others, at covariates of 0."""
        return float(self.fixed[0])

    def predict(self, states: np.ndarray) -> np.ndarray:
        """Posterior mean (m,) of the phenotype of samples (m, n_sites), int8, negative where missing.

        At covariates of 0.
        """
        check_states(states, self.kernel.n_states)
        return self.intercept + self.system.smooth(self.weights, states)

    def predict_deviation(self, states: np.ndarray) -> np.ndarray:
        """Posterior standard deviation (m,) of the phenotype of samples (m, n_sites), without their noise."""
        check_states(states, self.kernel.n_states)
        out = np.empty(len(states))
        for rows in _slices(len(states)):
            cross = self.kernel.block(self.system.states, states[rows])
            out[rows] = self._deviation(self.kernel.diagonal(states[rows]), cross, 1.0)
        return out

    def coefficients(self, columns: np.ndarray, gauge_frequencies: np.ndarray) -> np.ndarray:
        """Coefficients (n_terms,) of terms of one order, in phenotype units.

        Parameters
        ----------
        columns
            Shape (n_terms, order), columns at distinct sites; of order 0 the intercept of the gauge.
        gauge_frequencies
            Shape (n_columns,), the gauge's probability of each state; they add up to 1 at each site.
        """
        columns = self._check_terms(columns, gauge_frequencies)
        terms = self.kernel.terms(self.system.states, self.weights, gauge_frequencies)
        return terms.coefficients(columns) + (0.0 if columns.shape[1] else self.intercept)

    def coefficient_deviations(self, columns: np.ndarray, gauge_frequencies: np.ndarray) -> np.ndarray:
        """Posterior standard deviations (n_terms,) of `coefficients`: prior variance less what is explained.

        The deviation under the prior is the root of ``kernel.coefficient_variance``.
        """
        columns = self._check_terms(columns, gauge_frequencies)
        prior = self.kernel.coefficient_variance(columns, gauge_frequencies)
        ones = np.ones(len(self.weights))
        ratio, base = self.kernel.terms(self.system.states, ones, gauge_frequencies).gauged
        own = 0.0 if columns.shape[1] else 1.0  # of the intercept in the coefficient
        out = np.empty(len(columns))
        for some in _slices(len(columns)):
            cross = base[:, None] * ratio[columns[some]].prod(axis=1).T
            out[some] = self._deviation(prior[some], cross, own)
        return out

    def _deviation(self, prior: np.ndarray, cross: np.ndarray, own: float) -> np.ndarray:
        """Standard deviation (m,) of quantities of prior variances (m,) and covariances (n_samples, m).

        ``own`` is the weight of the intercept in each, and the last summand the uncertainty of that.
        """
        explained = (cross * self.system.solve(cross)).sum(axis=0)
        gap = -self.solved.T @ cross  # (1 + n_covariates, m)
        gap[0] += own
        open_part = (gap * (self.fixed_covariance @ gap)).sum(axis=0)
        return np.sqrt(np.maximum(prior - explained + open_part, 0.0))

    def _check_terms(self, columns: np.ndarray, gauge_frequencies: np.ndarray) -> np.ndarray:
        columns = np.asarray(columns)
        kernel = self.kernel
        if columns.ndim != 2 or not ((columns >= 0) & (columns < len(kernel.site))).all():
            raise InputError(
                f"columns: got shape {columns.shape}, needs (n_terms, order) of columns 0 to "
                f"{len(kernel.site) - 1}"
            )
        site = np.sort(kernel.site[columns.astype(np.int64)], axis=1)
        if (site[:, 1:] == site[:, :-1]).any():
            raise InputError("columns: a term has two columns of one site; name each site once")
        if (
            gauge_frequencies.shape != kernel.site.shape
            or not (np.abs(np.add.reduceat(gauge_frequencies, kernel.first[:-1]) - 1) < 1e-6).all()
        ):
            raise InputError(
                f"gauge_frequencies: needs {len(kernel.site)} probabilities that add up to 1 at each site"
            )
        return columns.astype(np.int64)


def fit_product_kernel(
    states: np.ndarray,
    n_states: np.ndarray,
    phenotype: np.ndarray,
    variance: np.ndarray | None = None,
    covariates: np.ndarray | None = None,
    *,
    per_allele: bool = True,
    state_names: np.ndarray | None = None,
    start: LearnedKernel | None = None,
    seed: int = 0,
    n_steps: int = 120,
    block_size: int = 3000,
    budget_s: float = 300.0,
    max_gib: float = 8.0,
    progress: bool = False,
) -> ProductKernelModel:
    """Learn the kernel on blocks of the samples, then solve for all of them.

    Parameters
    ----------
    states
        Shape (n_samples, n_sites), int8, negative where missing; see
        :mod:`genoattn.closed_form.product_kernel` for what that means.
    n_states
        Shape (n_sites,), how many states each site has, 2 or more.
    phenotype
        Shape (n_samples,).
    variance
        Shape (n_samples,), known variances of the measurements: the noise is a learned multiple of them plus
        a learned variance. None: one learned variance.
    covariates
        Shape (n_samples, n_covariates), fixed effects; the kernel is learned on residuals of least squares.
    per_allele
        A decay for every allele; else one for each site.
    state_names
        Shape (n_columns,), numbers from 0 of the names of states, where sites share them: how alike two
        residues are is then learned, too, from all sites together.
    start
        A kernel of other samples of the same sites, from which learning goes on for a dozen steps.
    seed
        Of the random blocks. The same seed gives the same model where the time is not up.
    n_steps, block_size
        Steps of the optimiser, and samples in a block; a third of that in the first two thirds of the steps.
        Up to a third more samples than a block are taken together, in at most as many steps.
    budget_s
        Seconds after which learning ends, with a warning; the solve of all samples comes on top.
    max_gib
        Memory for the kernel of all samples; see :mod:`genoattn.closed_form.kernel_system`.
    progress
        Show bars on stderr.
    """
    n_states = np.asarray(n_states, dtype=np.int64)
    check_states(states, n_states)
    if phenotype.shape != (len(states),) or not np.isfinite(phenotype).all() or len(states) < 2:
        raise InputError(f"phenotype: needs {len(states)} finite values, one a sample, and two at least")
    if variance is not None and (variance.shape != phenotype.shape or not (variance >= 0).all()):
        raise InputError("variance: needs a value of 0 or more for each sample")
    phenotype = np.asarray(phenotype, dtype=np.float64)
    fixed = fixed_effects(covariates, len(states))
    residual = phenotype - fixed @ np.linalg.lstsq(fixed, phenotype, rcond=None)[0]
    learned = learn_kernel(
        states,
        n_states,
        residual,
        variance,
        per_allele=per_allele,
        state_names=state_names,
        start=start,
        seed=seed,
        n_steps=n_steps,
        block_size=block_size,
        budget_s=budget_s,
        progress=progress,
    )
    return solve_product_kernel(learned, states, phenotype, variance, covariates, max_gib, progress)


def solve_product_kernel(
    learned: LearnedKernel,
    states: np.ndarray,
    phenotype: np.ndarray,
    variance: np.ndarray | None = None,
    covariates: np.ndarray | None = None,
    max_gib: float = 8.0,
    progress: bool = False,
) -> ProductKernelModel:
    """The model of a known kernel; parameters as of :func:`fit_product_kernel`."""
    system = kernel_system(learned.kernel, states, learned.noise_of(variance, len(states)), max_gib)
    fixed = fixed_effects(covariates, len(states))
    # Residuals first, so that the residual of an iterative solution is small against the deviations.
    start = np.linalg.lstsq(fixed, phenotype, rcond=None)[0]
    solutions = system.solve(np.column_stack([phenotype - fixed @ start, fixed]), progress)
    by_phenotype, solved = solutions[:, 0], solutions[:, 1:]
    covariance = np.linalg.pinv(fixed.T @ solved)
    change = covariance @ (fixed.T @ by_phenotype)
    weights = by_phenotype - solved @ change
    return ProductKernelModel(learned, system, start + change, weights, solved, covariance)


def fixed_effects(covariates: np.ndarray | None, n_samples: int) -> np.ndarray:
    """Ones and covariates, (n_samples, 1 + n_covariates)."""
    ones = np.ones((n_samples, 1))
    return ones if covariates is None else np.column_stack([ones, covariates])


def check_states(states: np.ndarray, n_states: np.ndarray) -> None:
    """Raise unless states are (n, n_sites) integers below the number of states of their site."""
    if states.ndim != 2 or states.shape[1] != len(n_states) or not np.issubdtype(states.dtype, np.integer):
        raise InputError(
            f"states: got {states.dtype} of shape {states.shape}, needs integers at {len(n_states)} sites"
        )
    over = np.flatnonzero((states >= n_states).any(axis=0))
    if len(over):
        raise InputError(
            f"states: {states[:, over[0]].max()} at site {over[0]}, which has {n_states[over[0]]} states, "
            "numbered from 0; negative is missing"
        )


def _slices(number: int) -> Iterator[slice]:
    """Slices of at most 256."""
    for start in range(0, number, _TERMS):
        yield slice(start, min(start + _TERMS, number))
