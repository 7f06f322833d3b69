"""Choice of the estimates of the terms of a fitted model, with its reason."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Literal

import numpy as np

from genoattn.closed_form.posterior import Posterior
from genoattn.closed_form.product_basis import SiteSet, free_states, indicator_basis, n_products
from genoattn.closed_form.product_readout import ProductPosterior
from genoattn.interactions.cell_means import cell_estimates
from genoattn.interactions.descriptions import describe_terms
from genoattn.interactions.design_moments import gram_work
from genoattn.interactions.estimates import Estimates, TestedTerms
from genoattn.interactions.expansion import Expansion, Factors
from genoattn.interactions.joint import JointFit, fit_jointly
from genoattn.interactions.mixed import MixedModel
from genoattn.interactions.terms import count_terms, every_term, is_listed
from genoattn.model.prediction import predict_orders
from genoattn.model.working_response import ResponseModel, are_separated
from genoattn.tokens.gauge_centre import GAUGES, Gauge

_log = logging.getLogger(__name__)
_SHARE = 3  # samples a product, for least squares of all of them
_EVENTS = 10  # cases, and controls, a product (Peduzzi et al. 1996)
_WIDE = 10.0  # standard error of log-odds: cases and controls are separated along such a term
_UNSEEN = 0.05  # share of the products that the data need not determine
_MOST_WORK = 2e12  # multiplications, one to two minutes
_MOST = 8000  # products: their covariance takes half a gibibyte
_NO_LOWER = (
    "rows below the highest order have no test in this gauge: their coefficients are meant at one background "
    "and sum up more interactions than the samples tell apart; the frequency gauge tests them"
)
_FLAT = (
    "rows whose interval is wider than the range of the latent phenotype have no test: the link is flat there"
)
_UNDETERMINED = (
    "rows have no test where the samples do not determine the coefficient: states never seen together, terms "
    "that are sums of others or of covariates in these samples, separated cases and controls"
)
_PROXY = "proxies, linked terms that share the interaction of a lead, have no test of their own"


@dataclass(frozen=True, eq=False)
class FittedTerms:
    """A fitted model with the samples that its terms are tested on.

    ``members`` are the same model fitted to resampled samples, for ``coefficient_sd`` without a posterior.
    """

    factors: Factors
    calls: np.ndarray  # (n_samples, n_sites), int8
    covariates: np.ndarray  # (n_samples, n_covariates)
    response: ResponseModel  # the phenotype, its link and likelihood
    inflation: float = 1.0  # by how much the errors of training samples are too small: 1 or more
    posterior: Posterior | ProductPosterior | None = None
    members: Sequence[Factors] = ()
    is_sequence: bool = True  # else genotypes
    leads: Collection[SiteSet] = ()  # sets of sites that inference has found to lead a signal
    environments: Collection[int] = ()  # sites that are environments

    @cached_property
    def orders(self) -> np.ndarray:
        """Shape (n_samples, 1 + n_orders), what each order of the model adds to the latent phenotype."""
        return predict_orders(self.response.readout, self.calls, self.covariates)

    @cached_property
    def latent(self) -> np.ndarray:
        """Shape (n_samples,), the fitted latent phenotype."""
        return self.orders.sum(axis=1)

    @property
    def has_exclusive_levels(self) -> bool:
        """Whether two environments are levels of one, so that their product is always 0."""
        levels = self.calls[:, list(self.environments)] != 0
        together = levels.T.astype(np.int64) @ levels
        return bool((together[np.triu_indices(len(together), 1)] == 0).any())

    @cached_property
    def expansions(self) -> dict[Gauge, Expansion]:
        """The model in every gauge."""
        return {gauge: Expansion(self.factors, gauge) for gauge in GAUGES}


Method = Literal["least squares", "posterior", "cell means", "mixed model", "none"]
TermEstimator = Callable[[np.ndarray, Gauge], Estimates]


def estimate_terms(fitted: FittedTerms, terms: Mapping[int, np.ndarray], max_terms: int = 0) -> TestedTerms:
    """Estimates of terms, by order (n_terms, order), column indices, in every gauge.

    Where all products are estimated together, all terms of an order are listed, those that the model leaves
    at zero too, unless they are more than ``max_terms``.
    """
    vocabulary = fitted.factors.vocabulary
    chosen = choose_method(fitted)
    _log.info("effects by %s: %s", chosen.method, chosen.reason)
    if chosen.method == "least squares":
        small = [order for order in terms if count_terms(vocabulary, order) <= max_terms]
        terms = {**terms, **{order: every_term(vocabulary, order) for order in small}}
    described = {order: describe_terms(vocabulary, fitted.calls, t) for order, t in terms.items()}
    has_link = fitted.response.readout.link is not None
    widest = float(np.ptp(fitted.latent)) / 4 if has_link else np.inf
    if fitted.response.kind == "bernoulli":
        widest = min(widest, _WIDE)

    def of(order: int, gauge: Gauge) -> Estimates:
        found = chosen.estimate(terms[order], gauge)
        seen = (described[order].carriers > 0) | vocabulary.is_dosage
        deviation = _deviation(fitted, terms[order], gauge)
        return replace(found.only((found.se <= widest) & seen), coefficient_sd=deviation)

    of_gauge = {gauge: {order: of(order, gauge) for order in terms} for gauge in GAUGES}
    reasons = {gauge: [_FLAT] if has_link else [] for gauge in GAUGES}
    if chosen.method in ("cell means", "mixed model") and fitted.factors.order > 1:
        for gauge in ("reference", "zero-sum"):
            reasons[gauge].append(_NO_LOWER)
    if chosen.proxies is not None:
        for gauge in GAUGES:
            reasons[gauge].append(_PROXY)
    for gauge, by_order in of_gauge.items():
        listed = (found.effect[is_listed(vocabulary, terms[k], gauge)] for k, found in by_order.items() if k)
        if chosen.method == "none":
            reasons[gauge] = [chosen.reason]
        elif any(np.isnan(effect).any() for effect in listed):
            reasons[gauge].append(_UNDETERMINED)
    untested = {gauge: "; ".join(said) for gauge, said in reasons.items() if said}
    proxies = {} if chosen.proxies is None else {k: chosen.proxies(t) for k, t in terms.items() if k > 1}
    return TestedTerms(terms, described, of_gauge, chosen.method, chosen.reason, untested, proxies)


@dataclass(frozen=True, eq=False)
class ChosenMethod:
    """Method by which the terms of a model are estimated, and its reason."""

    method: Method
    reason: str
    estimate: TermEstimator  # from terms (n_terms, order) and a gauge
    proxies: Callable[[np.ndarray], np.ndarray] | None = None  # terms that share the interaction of a lead


def choose_method(fitted: FittedTerms) -> ChosenMethod:
    """Choose the method by which the terms of a model are estimated."""
    if fitted.factors.product is not None:
        n = len(fitted.calls)
        if fitted.posterior is not None and fitted.posterior.is_proper:
            said = f"all orders at once; the posterior of the largest coefficients, from {n:,} samples"
            return ChosenMethod("posterior", said, _by_posterior(fitted))
        said = f"all orders at once; the posterior of {n:,} samples is not made"
        return ChosenMethod("cell means", said, _by_cell_means(fitted))
    number = n_products(free_states(fitted.factors.vocabulary), max(fitted.factors.order, 1))
    most, share = _carried(fitted)
    said = f"{number:,} products up to order {fitted.factors.order}"
    exclusive = fitted.has_exclusive_levels
    joint = _fit_all(fitted) if number <= min(most, _MOST) and not exclusive else None
    if joint is not None:
        if joint.separated:
            return _untested("cases and controls are separated: the likelihood has no maximum")
        missing = joint.null.shape[1]
        if missing <= _UNSEEN * number:
            return ChosenMethod("least squares", f"{said}, at most {share}", _jointly(fitted, joint))
        said += f", {missing:,} of them not determined by the samples"
    elif exclusive:
        said += ", some of them of levels of one environment, which exclude each other"
    else:
        said += f", more than {share}" if number > most else ", too many to regress together"
    if fitted.posterior is not None and fitted.posterior.is_proper:
        return ChosenMethod("posterior", f"{said}; their posterior is known", _by_posterior(fitted))
    if fitted.is_sequence:
        if fitted.response.kind == "bernoulli" and are_separated(fitted.response.observed, fitted.latent):
            return _untested("the model separates all cases from all controls: the likelihood has no maximum")
        return ChosenMethod("cell means", f"{said}; sequences", _by_cell_means(fitted))
    return _by_mixed_model(fitted, f"{said}; genotypes")


def _untested(reason: str) -> ChosenMethod:
    return ChosenMethod("none", reason, lambda terms, _: Estimates.none(len(terms)))


def _carried(fitted: FittedTerms) -> tuple[int, str]:
    """Number of products that the samples can determine, and that in words."""
    response, n = fitted.response, len(fitted.calls)
    if response.kind == "bernoulli":
        cases = int(response.observed.sum())
        return min(cases, n - cases) // _EVENTS, f"1/{_EVENTS} of the cases or controls"
    if response.readout.link is None:
        return n // _SHARE, f"1/{_SHARE} of the samples"
    weight = response.at(fitted.latent).weight
    effective = int(weight.sum() ** 2 / (weight @ weight))  # Kish 1965: what uneven weights are worth
    words = "" if effective > 0.9 * n else f", of which {effective:,} count, by their weights"
    return effective // _SHARE, f"1/{_SHARE} of the samples{words}"


def _fit_all(fitted: FittedTerms) -> JointFit | None:
    """Least squares of all products; None where they would take minutes."""
    basis = indicator_basis(fitted.factors.vocabulary, max(fitted.factors.order, 1))
    rounds = 10 if fitted.response.is_iterated else 1
    if rounds * gram_work(basis, fitted.calls) > _MOST_WORK:
        return None
    # Without a link and with normal noise nothing depends on where the step begins.
    latent = np.zeros(len(fitted.calls)) if fitted.response.is_linear else fitted.latent
    return fit_jointly(basis, fitted.calls, fitted.covariates, fitted.response, latent)


def _jointly(fitted: FittedTerms, joint: JointFit) -> TermEstimator:
    has_link = fitted.response.readout.link is not None

    def estimate(terms: np.ndarray, gauge: Gauge) -> Estimates:
        if has_link and not terms.shape[1]:  # the zero of a latent phenotype is a convention
            return Estimates.none(len(terms))
        return joint.estimates(terms, gauge)

    return estimate


def _by_posterior(fitted: FittedTerms) -> TermEstimator:
    posterior, working = fitted.posterior, fitted.response.at(fitted.latent)
    assert posterior is not None
    noise = float(working.weight @ (working.values - fitted.latent) ** 2) / len(fitted.latent)
    df = len(fitted.latent) - 1 - fitted.covariates.shape[1] - posterior.degrees

    def estimate(terms: np.ndarray, gauge: Gauge) -> Estimates:
        if not terms.shape[1]:
            return Estimates.none(len(terms))
        effect, se = posterior.unshrunken(terms, gauge)
        return Estimates.of(effect, np.sqrt(fitted.inflation) * se, df, noise / working.total)

    return estimate


def _by_cell_means(fitted: FittedTerms) -> TermEstimator:
    v, working = fitted.factors.vocabulary, fitted.response.at(fitted.latent)
    one_step = partial(cell_estimates, v, fitted.calls, working, fitted.latent, inflation=fitted.inflation)
    return _where_meant(fitted, one_step)


def _by_mixed_model(fitted: FittedTerms, reason: str) -> ChosenMethod:
    model = MixedModel(
        fitted.factors, fitted.calls, fitted.covariates, fitted.response.at(fitted.latent),
        fitted.orders[:, 2:].sum(axis=1), fitted.leads, fitted.environments,
    )  # fmt: skip
    return ChosenMethod("mixed model", reason, _where_meant(fitted, model.estimates), model.proxies)


def _where_meant(
    fitted: FittedTerms, one_step: Callable[[np.ndarray, np.ndarray, Gauge], Estimates]
) -> TermEstimator:
    """One-step estimates of the terms whose coefficient is meant at average states of all other sites.

    So are those of the highest order in any gauge, of the frequency gauge, and of a dosage at a site that the
    model couples to no other.
    """
    # Of all orders at once none is the highest.
    highest = max(fitted.factors.order, 1) if fitted.factors.product is None else np.inf
    is_dosage = fitted.factors.vocabulary.is_dosage

    def estimate(terms: np.ndarray, gauge: Gauge) -> Estimates:
        if not terms.shape[1]:
            return Estimates.none(len(terms))
        coefficient = fitted.expansions[gauge].coefficients(terms)
        if not is_dosage:
            meant = gauge == "frequency" or terms.shape[1] == highest
            return one_step(terms, coefficient, gauge) if meant else Estimates.none(len(terms))
        average = fitted.expansions["frequency"].coefficients(terms)
        if terms.shape[1] not in of_dosages:  # the same in every gauge
            of_dosages[terms.shape[1]] = one_step(terms, average, "frequency")
        return of_dosages[terms.shape[1]].only((coefficient == average) | (terms.shape[1] == highest))

    of_dosages: dict[int, Estimates] = {}
    return estimate


def _deviation(fitted: FittedTerms, terms: np.ndarray, gauge: Gauge) -> np.ndarray:
    """Posterior standard deviation of the model's coefficients, or that over an ensemble: (n_terms,)."""
    if terms.shape[1] and fitted.posterior is not None:
        return np.sqrt(fitted.inflation) * fitted.posterior.moments(terms, gauge)[1]
    if terms.shape[1] and len(fitted.members) > 1:
        drawn = [Expansion(member, gauge).coefficients(terms) for member in fitted.members]
        return np.std(drawn, axis=0, ddof=1)
    return np.full(len(terms), np.nan)
