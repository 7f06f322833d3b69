"""A readout from the closed-form solution of a landscape of few sites."""

import numpy as np
import torch

from genoattn.closed_form.gaussian_process import (
    ProductFit,
    column_unit,
    fit_products,
    make_products,
    tied_ranks,
)
from genoattn.closed_form.gaussian_process_link import fit_linked_products
from genoattn.closed_form.posterior import Posterior
from genoattn.closed_form.product_basis import ProductBasis
from genoattn.model.prediction import predict_orders, respond
from genoattn.model.readout import Readout, rescale_latent
from genoattn.model.train_config import Split, TrainConfig, TrainingData
from genoattn.model.training_summary import TrainingSummary
from genoattn.tokens import Vocabulary


def landscape_readout(
    vocabulary: Vocabulary, data: TrainingData, split: Split, config: TrainConfig
) -> tuple[Readout, TrainingSummary, Posterior]:
    """The model of largest marginal likelihood; see :mod:`genoattn.closed_form.gaussian_process`.

    Parameters
    ----------
    data, split
        All samples, and which of them train and validate.

    Returns
    -------
    A float64 readout in phenotype units, the training summary, and the posterior of the coefficients.
    """
    training = split.training
    y = data.phenotype[training]
    # Standardised, so that thresholds of the search do not depend on the units of the phenotype.
    shift, scale = float(y.mean()), float(y.std()) or 1.0
    products = make_products(vocabulary, config.order)
    covariates = data.covariates[training]
    variance = None if data.variance is None else data.variance[training] / scale**2
    inputs = (products, products.entity(data.calls[training]), (y - shift) / scale, covariates)
    link = None
    if config.link == "none":
        fit = fit_products(*inputs, variance, config.penalty)
    else:
        linked = fit_linked_products(*inputs, config.link == "bounded", variance, config.penalty)
        fit, link = linked.products, linked.link
    readout = _readout(vocabulary, products, fit, config)
    if link is not None and readout.link is not None:
        readout.link.load_state_dict(link.state_dict())
        readout.link.rescale(shift, scale)
    rescale_latent(readout, shift, scale)
    if readout.link is not None:
        latent = predict_orders(readout, data.calls[training], covariates).sum(axis=1)
        again = readout.link.calibrate(torch.as_tensor(latent))
        rescale_latent(readout, *again)
        unit_of_latent = scale * again[1]
    else:
        unit_of_latent = scale
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
    order_of, unit = products.order_of, column_unit(vocabulary)
    made = {order: tied_ranks(products, fit.coefficients, order, rng) for order in range(2, config.order + 1)}
    ranks = {order: len(weights) for order, (_, weights) in made.items()}
    readout = Readout(
        vocabulary, ranks, len(fit.covariates), tied=True, link=config.link, dtype=torch.float64
    )
    with torch.no_grad():
        readout.bias.fill_(fit.intercept)
        readout.covariate.copy_(torch.as_tensor(fit.covariates))
        additive = products.contrasts @ _first_order(products, fit, order_of)
        readout.additive.copy_(torch.as_tensor(unit * additive))
        for order, (factors, weights) in made.items():
            (target,) = readout.factor_module(order).sparse_parameters()
            target.copy_(torch.as_tensor(unit * factors)[:, None])
            readout.weights[str(order)].copy_(torch.as_tensor(weights))
    return readout.eval()


def _first_order(products: ProductBasis, fit: ProductFit, order_of: np.ndarray) -> np.ndarray:
    """Coefficient of each contrast by itself, (n_contrasts,)."""
    out = np.zeros(products.contrasts.shape[1])
    out[products.members[0][:, 0]] = fit.coefficients[order_of == 1]
    return out
