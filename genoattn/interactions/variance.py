"""Variance components by order, in closed form, under independent sites."""

from itertools import combinations, permutations
from math import factorial

import numpy as np
import pandas as pd

from genoattn.attention.partitions import distinct_sum
from genoattn.interactions.expansion import Expansion, Factors


def variance_components(factors: Factors) -> dict[int, float]:
    """Variance that each order of the model contributes if sites are independent at the training frequencies.

    For order n with centred factors f it is the sum over ranks r, s and permutations p of the slots of
    ``lambda_r lambda_s D(m -> sum_a freq(a) f_rm(a) f_sp(m)(a))``, D the sum over distinct sites; with
    tied factors ``sum_rs lambda_r lambda_s e_n(sum_a freq(a) u_r(a) u_s(a))``.

    Returns
    -------
    Variance in squared phenotype units, by order from 1 up.
    """
    v = factors.vocabulary
    expansion = Expansion(factors, "frequency")
    # Of a centred dosage column the second moment is its variance, of centred state values the frequency.
    moment = v.variance if v.is_dosage else v.mean
    deviation, _ = expansion._split(factors.additive)
    components = {1: float((deviation**2 * moment).sum())}
    for order, values in sorted(factors.factors.items()):
        centred, _ = expansion._split(values)
        weight = factors.weights[order]
        total = 0.0
        for r in range(len(weight)):  # one rank at a time bounds memory at ranks x slots^2 x sites
            total += weight[r] * float(weight @ _covariance(centred[r], centred, moment, expansion, order))
        components[order] = total
    return components


def variance_table(factors: Factors, of_phenotype: float | None) -> pd.DataFrame:
    """Table of variances by order: ``variance``, its share of the model's, and of the phenotype's.

    Parameters
    ----------
    of_phenotype
        Variance of the phenotype; None where the coefficients are in other units.
    """
    components = variance_components(factors)
    frame = pd.DataFrame({"order": list(components), "variance": list(components.values())})
    frame["share_of_model"] = frame["variance"] / (sum(components.values()) or 1.0)
    if of_phenotype is not None:
        frame["share_of_phenotype"] = frame["variance"] / of_phenotype
    return frame


def _covariance(
    one: np.ndarray, many: np.ndarray, moment: np.ndarray, expansion: Expansion, order: int
) -> np.ndarray:
    """Covariance of one rank with every rank: shape (n_ranks,)."""
    v = expansion.vocabulary
    # Shape (n_ranks, slot of `one`, slot of `many`, n_sites).
    gram = v.site_mean(one[None, :, None, :] * many[:, None, :, :], moment)
    if one.shape[0] == 1:
        blocks = {
            b: (gram[:, 0, 0] ** len(b)).sum(axis=-1)
            for size in range(1, order + 1)
            for b in combinations(range(order), size)
        }
        return distinct_sum(blocks, order) / factorial(order)
    total = np.zeros(len(many))
    for matching in permutations(range(order)):
        blocks = {
            b: np.prod([gram[:, m, matching[m]] for m in b], axis=0).sum(axis=-1)
            for size in range(1, order + 1)
            for b in combinations(range(order), size)
        }
        total += distinct_sum(blocks, order)
    return total
