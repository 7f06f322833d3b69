"""A readout from the closed-form solution of a landscape of few sites."""

from __future__ import annotations

import numpy as np
import torch

from genoattn.errors import InputError
from genoattn.interactions.basis import ProductBasis
from genoattn.interactions.posterior import Posterior
from genoattn.model.account import TrainingAccount
from genoattn.model.config import TrainConfig, TrainingData
from genoattn.model.likelihood import LikelihoodKind
from genoattn.model.linked_products import fit_linked_products
from genoattn.model.prediction import predict_orders, respond
from genoattn.model.products import (
    MOST_PRODUCTS,
    ProductFit,
    column_unit,
    count_products,
    fit_products,
    make_products,
    tied_ranks,
)
from genoattn.model.readout import Readout, rescale_latent
from genoattn.model.split import Split
from genoattn.tokens import Vocabulary

_MOST_WORK = 5e11  # samples x products^2 that an automatic choice may cost: some ten seconds


def takes_kernel(
    vocabulary: Vocabulary, config: TrainConfig, likelihood: LikelihoodKind, n_samples: int
) -> bool:
    """Whether the closed form is asked for, or is the automatic choice for these data.

    Raises
    ------
    InputError
        Where it is asked for, and there is none for such a model.
    """
    if config.start not in ("kernel", "auto"):
        return False
    number = count_products(vocabulary, config.order)
    plain = config.attention == "hyper" and likelihood == "gaussian"
    rounds = 1 if config.link == "none" else 10
    if config.start == "auto":
        small = number <= MOST_PRODUCTS and rounds * n_samples * float(number) ** 2 <= _MOST_WORK
        return vocabulary.encoding == "sequence" and plain and small
    if not plain:
        raise InputError("start kernel is for hyper attention and a gaussian likelihood; use start random")
    if number > MOST_PRODUCTS:
        raise InputError(
            f"start kernel with {number:,} products up to order {config.order}, more than {MOST_PRODUCTS:,}; "
            "lower the order, or use start random"
        )
    return True


def kernel_readout(
    vocabulary: Vocabulary, data: TrainingData, split: Split, config: TrainConfig
) -> tuple[Readout, TrainingAccount]:
    """The model whose variances of each order make the training samples most likely; see ``products``.

    Parameters
    ----------
    vocabulary
        The columns, with training means.
    data, split
        All samples, and which of them train and validate.
    config
        Order, penalty and seed.

    Returns
    -------
    A float64 readout in phenotype units, and its account with the posterior of the coefficients.
    """
    training = split.training
    y = data.phenotype[training]
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
    ranks = {order: len(readout.weights[str(order)]) for order in readout.orders}
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
    return readout, TrainingAccount("kernel", ranks, 1, loss, "gaussian", noise, posterior)


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
