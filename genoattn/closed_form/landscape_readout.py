"""A readout from the closed-form solution of a landscape of few sites, behind a monotone curve or not."""

from dataclasses import replace

import numpy as np
import torch

from genoattn.closed_form.gaussian_process import (
    ProductFit,
    column_unit,
    fit_products,
    make_products,
    predict_products,
    tied_ranks,
)
from genoattn.closed_form.posterior import Posterior
from genoattn.closed_form.product_basis import ProductBasis
from genoattn.model.link import MonotoneLink
from genoattn.model.phenotype_likelihood import fitted_noise
from genoattn.model.prediction import calibrate, predict_orders, respond
from genoattn.model.readout import Readout, rescale_latent
from genoattn.model.standardise import location
from genoattn.model.train_config import Split, TrainConfig, TrainingData, TrainingSummary
from genoattn.tokens import Vocabulary

_STEPS = 10
_SETTLED = 2e-3
_MOST_SAMPLES = 20_000  # that shape the curve, which has two dozen parameters
_FLAT = 0.05  # of the mean slope


def landscape_readout(
    vocabulary: Vocabulary, data: TrainingData, split: Split, config: TrainConfig
) -> tuple[Readout, TrainingSummary, Posterior]:
    """The model of largest marginal likelihood; see :mod:`genoattn.closed_form.gaussian_process`.

    Returns a float64 readout in phenotype units, the training summary, and the posterior of the coefficients.
    """
    training = split.training
    y = data.phenotype[training]
    # Standardised, so that thresholds of the search do not depend on the units of the phenotype.
    shift, scale = location(y)
    products = make_products(vocabulary, config.order)
    covariates = data.covariates[training]
    variance = None if data.variance is None else data.variance[training] / scale**2
    inputs = (products, products.entity(data.calls[training]), (y - shift) / scale, covariates)
    link = None
    if config.link == "none":
        fit = fit_products(*inputs, variance, config.penalty)
    else:
        fit, link = fit_linked_products(*inputs, config.link == "bounded", variance, config.penalty)
    readout = _readout(vocabulary, products, fit, config)
    if link is not None and readout.link is not None:
        readout.link.load_state_dict(link.state_dict())
        readout.link.rescale(shift, scale)
    rescale_latent(readout, shift, scale)
    unit_of_latent = scale * calibrate(readout, data.calls[training], covariates)
    loss = float("inf")
    if len(split.validation):
        held = split.validation
        predicted = respond(
            readout, predict_orders(readout, data.calls[held], data.covariates[held]).sum(axis=1)
        )
        loss = float(0.5 * (((predicted - data.phenotype[held]) / scale) ** 2).mean())
    prior = fit.variances / config.penalty if config.penalty else fit.variances
    posterior = Posterior(
        products,
        unit_of_latent * fit.coefficients,
        unit_of_latent**2 * fit.covariance,
        unit_of_latent**2 * prior,
    )
    deviation = scale * float(np.sqrt(fit.noise))
    noise = {"residual_sd": deviation}
    if variance is not None:
        noise = {"unexplained_sd": deviation, "variance_scale": fit.variance_scale}
    return readout, TrainingSummary("kernel", readout.ranks, 1, loss, "gaussian", noise), posterior


def _readout(vocabulary: Vocabulary, products: ProductBasis, fit: ProductFit, config: TrainConfig) -> Readout:
    """Tied factors that are the products exactly."""
    rng = np.random.default_rng(config.seed)
    unit = column_unit(vocabulary)
    made = {order: tied_ranks(products, fit.coefficients, order, rng) for order in range(2, config.order + 1)}
    ranks = {order: len(weights) for order, (_, weights) in made.items()}
    readout = Readout(
        vocabulary, ranks, len(fit.covariates), tied=True, link=config.link, dtype=torch.float64
    )
    with torch.no_grad():
        readout.bias.fill_(fit.intercept)
        readout.covariate.copy_(torch.as_tensor(fit.covariates))
        first_order = np.zeros(products.contrasts.shape[1])
        first_order[products.members[0][:, 0]] = fit.coefficients[products.order_of == 1]
        additive = products.contrasts @ first_order
        readout.additive.copy_(torch.as_tensor(unit * additive))
        for order, (factors, weights) in made.items():
            (target,) = readout.attention(order).sparse_parameters()
            target.copy_(torch.as_tensor(unit * factors)[:, None])
            readout.weights[str(order)].copy_(torch.as_tensor(weights))
    return readout.eval()


def fit_linked_products(
    products: ProductBasis,
    entity: np.ndarray,
    phenotype: np.ndarray,
    covariates: np.ndarray,
    bounded: bool,
    variance: np.ndarray | None = None,
    penalty: float = 1.0,
) -> tuple[ProductFit, MonotoneLink]:
    """Coefficients on the latent scale and the curve to the standardised phenotype, in turn, from no curve.

    The phenotype is made linear around the last fit, ``z = phi + (y - g(phi)) / g'(phi)`` with weights
    ``g'(phi)^2``; z has a closed form; the step towards it is halved until the squared error falls
    (Gauss-Newton with a line search); then the curve is fitted to the new latent values. A ``bounded`` curve
    levels off at both ends.
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
        share = _step_share(link, latent, towards, phenotype, base)
        if share == 0:
            break
        step = share * (towards - latent)
        fit = replace(
            aim,
            intercept=fit.intercept + share * (aim.intercept - fit.intercept),
            covariates=fit.covariates + share * (aim.covariates - fit.covariates),
            coefficients=fit.coefficients + share * (aim.coefficients - fit.coefficients),
        )
        latent = latent + step
        _fit_curve(link, latent, phenotype, base, fit.noise)
        # Residuals of the fitted samples are too small; those of the linear step say by how much.
        if variance is not None:
            inflation = aim.noise / max(float(weight @ (linear - towards) ** 2 / weight.sum()), 1e-300)
            squares = inflation * (phenotype - _curve(link, latent)[0]) ** 2
            variance_scale, noise = fitted_noise(squares, variance)
            fit = replace(fit, noise=noise, variance_scale=variance_scale)
            base = _weights(fit, variance, len(phenotype))
        if step.std() < _SETTLED * latent.std():
            break
    return fit, link


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
    optimiser = torch.optim.LBFGS(shape, max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        squares = torch.stack([(change**2).sum() for change in link.departure()])
        loss = (w * (y - link(x)) ** 2).mean() + noise / len(latent) * squares.sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[arg-type]


def _step_share(
    link: MonotoneLink, latent: np.ndarray, towards: np.ndarray, phenotype: np.ndarray, weight: np.ndarray
) -> float:
    """The largest of 1, 1/2, .. 1/16 that lowers the squared error; 0 if none does."""
    now = float(weight @ (phenotype - _curve(link, latent)[0]) ** 2)
    for share in (1.0, 0.5, 0.25, 0.125, 0.0625):
        then = _curve(link, latent + share * (towards - latent))[0]
        if float(weight @ (phenotype - then) ** 2) < now:
            return share
    return 0.0
