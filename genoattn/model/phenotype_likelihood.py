"""Likelihoods of a phenotype, given the linear predictor eta = g(phi).

Eta is the mean itself (``gaussian``, ``student``), its log-odds (``bernoulli``), or its logarithm
(``poisson``, ``negative-binomial``: McCullagh & Nelder 1989, chapter 6).
"""

from typing import Literal, get_args

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from genoattn.errors import InputError

LikelihoodKind = Literal["auto", "gaussian", "student", "bernoulli", "poisson", "negative-binomial"]
LIKELIHOODS: tuple[LikelihoodKind, ...] = get_args(LikelihoodKind)
COUNTS = ("poisson", "negative-binomial")
_MOST = 30.0  # of a logarithm: e^30 reads are more than any sequencer gives


class Likelihood(nn.Module):
    """Negative log-likelihood of one kind.

    Parameters
    ----------
    kind
        Not ``auto``; see :func:`chosen_likelihood`.
    known_variance
        Whether each value comes with the variance of its measurement (``gaussian``): the variance of a value
        is then a learned multiple of that, since reported ones can all be too large or too small, plus one
        learned variance, that of neither the model nor the measurement.

    Notes
    -----
    ``log_scale`` is the logarithm of the learned standard deviation (``gaussian`` with known variances,
    ``student``) or of the dispersion (``negative-binomial``: variance = mean + dispersion mean^2),
    ``log_variance_scale`` that of the multiple of known variances, and ``shape`` the excess of Student's
    degrees of freedom over 1, before softplus.
    """

    def __init__(self, kind: LikelihoodKind, known_variance: bool = False) -> None:
        super().__init__()
        self.kind, self.known_variance = kind, known_variance
        self.log_scale = nn.Parameter(torch.tensor(-1.0))
        self.log_variance_scale = nn.Parameter(torch.tensor(0.0))
        self.shape = nn.Parameter(torch.tensor(3.0))
        # Parameters that a kind does not have are not trained: processes would wait for their gradients.
        learned = kind in ("student", "negative-binomial") or known_variance
        self.log_scale.requires_grad_(learned)
        self.log_variance_scale.requires_grad_(known_variance)
        self.shape.requires_grad_(kind == "student")

    def forward(self, eta: Tensor, observed: Tensor, variance: Tensor | None = None) -> Tensor:
        """Mean negative log-likelihood, up to a constant that depends on the data alone."""
        if self.kind == "bernoulli":
            return binary_cross_entropy_with_logits(eta, observed)
        if self.kind == "student":
            return self._student(eta, observed)
        if self.kind in COUNTS:
            eta = eta.clamp(max=_MOST)
            return (eta.exp() - observed * eta).mean() if self.kind == "poisson" else self._nb(eta, observed)
        if variance is None:
            return 0.5 * ((eta - observed) ** 2).mean()
        total = self.log_variance_scale.exp() * variance + (2 * self.log_scale).exp()
        return 0.5 * ((eta - observed) ** 2 / total + total.log()).mean()

    def _student(self, eta: Tensor, observed: Tensor) -> Tensor:
        freedom = 1 + softplus(self.shape)
        z2 = ((observed - eta) / self.log_scale.exp()) ** 2
        constant = torch.lgamma(freedom / 2) - torch.lgamma((freedom + 1) / 2) + 0.5 * freedom.log()
        return constant + self.log_scale + ((freedom + 1) / 2 * torch.log1p(z2 / freedom)).mean()

    def _nb(self, eta: Tensor, observed: Tensor) -> Tensor:
        """With size k = 1 / dispersion: P(y) = G(y + k) / (G(k) y!) (k / (k + m))^k (m / (k + m))^y."""
        size = (-self.log_scale).exp()
        return (
            torch.lgamma(size)
            - torch.lgamma(observed + size)
            - size * size.log()
            + (size + observed) * torch.logaddexp(size.log(), eta)
            - observed * eta
        ).mean()

    @torch.no_grad()
    def rescale(self, scale: float) -> None:
        """Rescale from a standardised phenotype to its own units."""
        if self.kind in ("gaussian", "student"):
            self.log_scale.add_(float(np.log(scale)))

    def record(self) -> dict[str, float]:
        """Learned parameters of the noise by name, in units of the phenotype."""
        scale = float(self.log_scale.detach().exp())
        if self.kind == "student":
            return {"scale": scale, "degrees_of_freedom": float(1 + softplus(self.shape.detach()))}
        if self.kind == "negative-binomial":
            return {"dispersion": scale}
        if self.kind == "gaussian" and self.known_variance:
            return {"unexplained_sd": scale, "variance_scale": float(self.log_variance_scale.detach().exp())}
        return {}


def fitted_noise(squares: np.ndarray, variance: np.ndarray) -> tuple[float, float]:
    """Calibration of known variances: residuals have variance ``scale * variance + extra``.

    Both maximise the normal likelihood of squared residuals (n_samples,); the logarithm of the scale has a
    normal prior of mean 0 and standard deviation 1, which decides where the known variances (n_samples,) are
    all alike. Returns the scale, and the extra variance, at least a hundredth of the median of the scaled
    ones.
    """
    unit = float(np.median(variance))
    s, v = squares / unit, variance / unit

    def loss(logs: np.ndarray) -> tuple[float, np.ndarray]:
        scaled, extra = np.exp(logs[0]) * v, np.exp(logs[1])
        total = scaled + extra
        slope = (1 - s / total) / total
        value = float((np.log(total) + s / total).sum() + logs[0] ** 2)
        return value / len(s), np.array([slope @ scaled + 2 * logs[0], slope.sum() * extra]) / len(s)

    # Optimised as logarithms, which keeps both variances positive.
    start = np.log([1.0, max(float(s.mean()) - 1, 0.05)])
    found = minimize(loss, start, jac=True, bounds=[(-9.0, 9.0), (-18.0, 18.0)])
    scale, extra = np.exp(found.x)
    return float(scale), unit * max(float(extra), 0.01 * float(scale))


def chosen_likelihood(kind: LikelihoodKind, phenotype: np.ndarray, binary: bool) -> LikelihoodKind:
    """The likelihood of a phenotype: ``auto`` is Bernoulli for a binary trait and else Gaussian."""
    if kind not in LIKELIHOODS:
        raise InputError(f"likelihood {kind!r} is unknown; choose one of {', '.join(LIKELIHOODS)}")
    if binary and kind not in ("auto", "bernoulli"):
        raise InputError(
            f"likelihood {kind}, but the trait is binary; use bernoulli, or read it as quantitative"
        )
    if not binary and kind == "bernoulli":
        raise InputError("likelihood bernoulli needs a binary trait, of 0 and 1 or 1 and 2; use gaussian")
    if kind in COUNTS:
        wrong = np.flatnonzero((phenotype < 0) | (phenotype != np.round(phenotype)))
        if len(wrong):
            raise InputError(
                f"likelihood {kind} needs counts, integers from 0 up, but {len(wrong)} values are none, "
                f"the first {phenotype[wrong[0]]:g}; use gaussian or student, or read with average=False if "
                "that is the mean of a repeated sequence"
            )
    if kind == "auto":
        return "bernoulli" if binary else "gaussian"
    return kind


def mean_response(kind: LikelihoodKind, eta: np.ndarray) -> np.ndarray:
    """Mean of the phenotype at a linear predictor."""
    if kind == "bernoulli":
        return 1 / (1 + np.exp(-np.clip(eta, -700, 700)))
    return np.exp(np.minimum(eta, _MOST)) if kind in COUNTS else eta
