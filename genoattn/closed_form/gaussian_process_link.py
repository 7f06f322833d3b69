"""The closed form of a small landscape behind a monotone curve, by Gauss-Newton steps."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from genoattn.closed_form.gaussian_process import ProductFit, fit_products, predict_products
from genoattn.closed_form.product_basis import ProductBasis
from genoattn.model.link import MonotoneLink
from genoattn.model.phenotype_likelihood import fitted_noise

_STEPS = 10
_SETTLED = 2e-3
_MOST_SAMPLES = 20_000  # that shape the curve, which has two dozen parameters
_FLAT = 0.05  # of the mean slope


@dataclass(frozen=True, eq=False)
class LinkedFit:
    """Coefficients on the latent scale, and the curve to the phenotype."""

    products: ProductFit
    link: MonotoneLink


def fit_linked_products(
    products: ProductBasis,
    entity: np.ndarray,
    phenotype: np.ndarray,
    covariates: np.ndarray,
    bounded: bool,
    variance: np.ndarray | None = None,
    penalty: float = 1.0,
) -> LinkedFit:
    """Coefficients and curve in turn, from the model without a curve.

    The phenotype is made linear around the last fit, ``z = phi + (y - g(phi)) / g'(phi)`` with weights
    ``g'(phi)^2``; z has a closed form; the step towards it is halved until the squared error falls
    (Gauss-Newton with a line search); then the curve is fitted to the new latent values.

    Parameters
    ----------
    products, entity, phenotype, covariates, variance, penalty
        As for :func:`genoattn.closed_form.gaussian_process.fit_products`; the phenotype standardised.
    bounded
        Whether the curve levels off on both sides.
    """
    fit = fit_products(products, entity, phenotype, covariates, variance, penalty)
    base = _weights(fit, variance, len(phenotype))
    latent = predict_products(products, entity, covariates, fit)
    link = MonotoneLink(bounded).double()
    _fit_curve(link, latent, phenotype, base, fit.noise)
    for _ in range(_STEPS):
        eta, slope = _curve(link, latent)
        # Where the curve is flat the linearised phenotype is far away, with hardly any weight: bound both.
        slope = np.maximum(slope, _FLAT * slope.mean())
        linear, weight = latent + (phenotype - eta) / slope, base * slope**2
        aim = fit_products(products, entity, linear, covariates, None, penalty, weight, fit)
        towards = predict_products(products, entity, covariates, aim)
        share = _step_length(link, latent, towards, phenotype, base)
        if share == 0:
            break
        step = share * (towards - latent)
        fit = _between(fit, aim, share)
        latent = latent + step
        _fit_curve(link, latent, phenotype, base, fit.noise)
        # Residuals of the fitted samples are too small; those of the linear step say by how much.
        if variance is not None:
            taken_up = aim.noise / max(float(weight @ (linear - towards) ** 2 / weight.sum()), 1e-300)
            squares = taken_up * (phenotype - _curve(link, latent)[0]) ** 2
            variance_scale, noise = fitted_noise(squares, variance)
            fit = replace(fit, noise=noise, variance_scale=variance_scale)
            base = _weights(fit, variance, len(phenotype))
        if step.std() < _SETTLED * latent.std():
            break
    return LinkedFit(fit, link)


def _weights(fit: ProductFit, variance: np.ndarray | None, n_samples: int) -> np.ndarray:
    """Inverse variances of the residuals, (n_samples,); all 1 without known ones."""
    return np.ones(n_samples) if variance is None else 1 / (fit.variance_scale * variance + fit.noise)


def _curve(link: MonotoneLink, latent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values = torch.as_tensor(latent)
    with torch.no_grad():
        return link(values).numpy(), link.slope(values).numpy()


def _fit_curve(
    link: MonotoneLink, latent: np.ndarray, phenotype: np.ndarray, weight: np.ndarray, noise: float
) -> None:
    """Weighted least squares of the curve's shape, by a quasi-Newton method.

    Its parameters have a normal prior around the straight line it starts as, of unit variance: ``noise`` over
    the number of samples, in the mean squared error.
    """
    some = slice(None, None, max(1, len(latent) // _MOST_SAMPLES))
    x, y, w = (torch.as_tensor(a[some]) for a in (latent, phenotype, weight / weight.mean()))
    shape = [p for p in link.parameters() if p.requires_grad]
    straight = dict(MonotoneLink(link.bounded, len(link.centre)).double().named_parameters())
    prior = [(p, straight[name].detach()) for name, p in link.named_parameters() if p.requires_grad]
    optimiser = torch.optim.LBFGS(shape, max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = (w * (y - link(x)) ** 2).mean()
        loss = loss + noise / len(latent) * torch.stack([((p - q) ** 2).sum() for p, q in prior]).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[arg-type]


def _step_length(
    link: MonotoneLink, latent: np.ndarray, towards: np.ndarray, phenotype: np.ndarray, weight: np.ndarray
) -> float:
    """The largest of 1, 1/2, .. 1/16 that lowers the squared error; 0 if none does."""
    now = float(weight @ (phenotype - _curve(link, latent)[0]) ** 2)
    for share in (1.0, 0.5, 0.25, 0.125, 0.0625):
        then = _curve(link, latent + share * (towards - latent))[0]
        if float(weight @ (phenotype - then) ** 2) < now:
            return share
    return 0.0


def _between(fit: ProductFit, aim: ProductFit, share: float) -> ProductFit:
    """The coefficients a share of the way to ``aim``, whose variances they take."""
    return ProductFit(
        fit.intercept + share * (aim.intercept - fit.intercept),
        fit.covariates + share * (aim.covariates - fit.covariates),
        fit.coefficients + share * (aim.coefficients - fit.coefficients),
        aim.covariance,
        aim.variances,
        aim.noise,
    )
