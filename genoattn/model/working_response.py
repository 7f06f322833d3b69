"""The phenotype made linear around a fit: the working response of iteratively reweighted least squares.

McCullagh & Nelder 1989, Generalized Linear Models, section 2.5.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.func import functional_call, jacfwd

from genoattn.model.phenotype_likelihood import COUNTS, LikelihoodKind, mean_response
from genoattn.model.prediction import link_slope, respond
from genoattn.model.readout import Readout

_FLAT = 1e-3  # of the mean slope: the least that a curve's slope counts for


@dataclass(frozen=True, eq=False)
class WorkingResponse:
    """Response and weights of least squares on the latent scale."""

    values: np.ndarray  # (n_samples,), z = phi + (y - mean) / (d mean / d phi), in units of the coefficients
    weight: np.ndarray  # (n_samples,), positive: the information of a sample about phi, up to the dispersion
    # residual variance at weight 1 where the likelihood fixes it; None where the residuals tell it
    dispersion: float | None = None

    @property
    def total(self) -> float:
        """Weighted sum of squares about the weighted mean."""
        mean = self.weight @ self.values / self.weight.sum()
        return float(self.weight @ (self.values - mean) ** 2)


def are_separated(case: np.ndarray, latent: np.ndarray) -> bool:
    """Whether every case (n_samples,) has a larger latent phenotype than every control."""
    cases, controls = latent[case == 1], latent[case == 0]
    return bool(len(cases) and len(controls) and cases.min() > controls.max())


@dataclass(frozen=True, eq=False)
class ResponseModel:
    """Dependence of a phenotype on the latent phenotype: link, likelihood and learned noise."""

    readout: Readout  # whose link is used
    # of the likelihood, and its learned parameters (:class:`genoattn.model.phenotype_likelihood.Likelihood`)
    kind: LikelihoodKind
    noise: dict[str, float]
    observed: np.ndarray  # (n_samples,), the phenotype
    variance: np.ndarray | None = None  # (n_samples,), known variances of its measurement, if any
    link_prior: bool = False  # whether the link was fitted under a normal prior around a straight line

    @property
    def is_linear(self) -> bool:
        """Whether the phenotype is the latent phenotype plus noise, so that nothing depends on a fit."""
        return self.kind == "gaussian" and self.readout.link is None

    @property
    def is_iterated(self) -> bool:
        """Whether least squares of the working response, repeated, are the maximum likelihood."""
        return self.readout.link is None and self.kind in ("bernoulli", *COUNTS)

    def at(self, latent: np.ndarray) -> WorkingResponse:
        """The working response around latent phenotypes (n_samples,)."""
        if self.is_linear:
            return WorkingResponse(self.observed, self._base())
        eta, slope = respond(self.readout, latent), link_slope(self.readout, latent)
        mean = mean_response(self.kind, eta)
        residual = self.observed - mean
        dispersion: float | None = 1.0
        if self.kind == "bernoulli":
            base = np.maximum(mean * (1 - mean), 1e-12)
            slope = slope * base
            information = slope**2 / base
        elif self.kind in COUNTS:
            base = np.maximum(mean, 1e-12)
            slope = slope * base
            information = slope**2 / (base + self.noise.get("dispersion", 0.0) * base**2)
        else:
            slope = np.maximum(slope, _FLAT * slope.mean())
            information, dispersion = slope**2 * self._base(), None
            if self.kind == "student":
                residual = residual * self._pull(residual)
        return WorkingResponse(latent + residual / slope, information, dispersion)

    def squared_errors(self, latent: np.ndarray) -> np.ndarray:
        """Squared residuals of the phenotype over its variance, up to a constant: (n_samples,)."""
        mean = mean_response(self.kind, respond(self.readout, latent))
        squares = (self.observed - mean) ** 2
        return squares / np.maximum(mean, 1e-12) if self.kind in COUNTS else squares * self._base()

    def link_tangents(self, latent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Change of the working response with each parameter of the link, and how far each is from its
        prior's mean.

        Returns
        -------
        Shapes (n_samples, n_parameters) and (n_parameters,). In least squares a penalty of the residual
        variance on the squared distance is the normal prior of unit variance under which links are fitted
        in closed form.
        """
        link = self.readout.link
        if link is None:
            return np.zeros((len(latent), 0)), np.zeros(0)
        copy = link.in_double()
        free = {name: p.detach() for name, p in copy.named_parameters() if p.requires_grad}
        values = torch.as_tensor(latent)
        change = jacfwd(lambda p: functional_call(copy, p, (values,)))(free)
        tangents = torch.cat([t.reshape(len(latent), -1) for t in change.values()], dim=1).numpy()
        slope = copy.slope(values).detach().numpy()
        tangents = tangents / np.maximum(slope, _FLAT * slope.mean())[:, None]
        pull = torch.cat([change.detach().reshape(-1) for change in copy.departure()]).numpy()
        return tangents, pull if self.link_prior else np.zeros_like(pull)

    def _base(self) -> np.ndarray:
        """Inverse variance of the measurement, up to a constant."""
        n = len(self.observed)
        if self.kind != "gaussian" or self.variance is None:
            return np.ones(n)
        total = self.noise["variance_scale"] * self.variance + self.noise["unexplained_sd"] ** 2
        return total.mean() / total

    def _pull(self, residual: np.ndarray) -> np.ndarray:
        """Score of Student's distribution over its information, per unit of residual."""
        freedom, scale = self.noise["degrees_of_freedom"], self.noise["scale"]
        return (freedom + 3) / (freedom + (residual / scale) ** 2)
