r"""One-step estimates for landscapes with more products than the samples carry.

The residual of the fitted model is averaged over the samples of each joint state of a term's sites (a
cell); the term's own contrast of these means in the gauge is the error of the model's coefficient:

.. math:: \text{effect} = \text{coefficient} + f \sum_c A_c \bar r_c, \qquad A_c = \prod_l (1[a_l = c_l] -
p_l(c_l)).

The contrast is orthogonal to all lower-order terms of these sites and to the other terms of the same
states. A flexible model has fitted part of the noise of its own samples: f, from the errors of training and
of held-out samples, corrects the residual for that (Bellec & Zhang 2022, Bernoulli 28:713).
"""

import numpy as np

from genoattn.closed_form.product_basis import by_site_set
from genoattn.cohort import MISSING
from genoattn.interactions.descriptions import MOST_CELLS
from genoattn.interactions.estimates import Estimates
from genoattn.model.working_response import WorkingResponse
from genoattn.tokens import Vocabulary
from genoattn.tokens.gauge_centre import Gauge, gauge_centre

_PRIOR_SAMPLES = 10  # that the common variance counts for, with a cell's own
_AMBIGUOUS = 0.25  # standard errors by which states never seen may move an estimate


def cell_estimates(
    vocabulary: Vocabulary,
    calls: np.ndarray,
    working: WorkingResponse,
    latent: np.ndarray,
    terms: np.ndarray,
    coefficient: np.ndarray,
    gauge: Gauge,
    inflation: float,
) -> Estimates:
    """Effects of terms (n_terms, order) of one order, 1 or more; see :class:`Estimates`.

    From calls (n_samples, n_sites), int8, -1 where missing; the working response at the fitted latent
    phenotype (n_samples,); coefficients (n_terms,) of the model in the gauge: any for its highest order,
    ``frequency`` for lower ones; and the inflation f, 1 or more.
    """
    residual, weight = working.values - latent, working.weight
    noise = inflation * float(weight @ residual**2) / len(latent)
    centre = gauge_centre(vocabulary, gauge)
    effect, variance = np.full(len(terms), np.nan), np.full(len(terms), np.nan)
    for sites, chosen in by_site_set(vocabulary.site[np.sort(terms, axis=1)]):
        columns = np.sort(terms[chosen], axis=1)
        shape = tuple(vocabulary.n_states[list(sites)].tolist())
        if np.prod(shape, dtype=np.float64) > MOST_CELLS:
            continue
        called = (calls[:, sites] != MISSING).all(axis=1)
        cell = np.ravel_multi_index(tuple(calls[called][:, sites].T.astype(np.int64)), shape)
        w, r = weight[called], residual[called]
        number, size, summed, squares = (
            np.bincount(cell, values, minlength=int(np.prod(shape))) for values in (None, w, w * r, w * r**2)
        )
        seen = number > 0
        mean = np.where(seen, summed / np.where(seen, size, 1.0), 0.0)
        own = (_PRIOR_SAMPLES * noise + inflation * squares) / (_PRIOR_SAMPLES + number)
        spread = np.where(seen, own / np.where(seen, size, 1.0), 0.0)
        of_unseen = np.where(seen, 0.0, float((coefficient[chosen] ** 2).mean()))
        # A is a product of one matrix a site, and so is its square.
        matrices = [
            np.eye(n) - centre[first : first + n]
            for first, n in zip(vocabulary.first[list(sites)], shape, strict=True)
        ]
        at = tuple(vocabulary.state[columns].T)
        step = _along_sites(mean.reshape(shape), matrices)[at]
        squared = [matrix**2 for matrix in matrices]
        var, ambiguity = (_along_sites(t.reshape(shape), squared)[at] for t in (spread, of_unseen))
        var = inflation * var
        known = seen.reshape(shape)[at] & (ambiguity <= _AMBIGUOUS**2 * var)
        variance[chosen] = np.where(known, var, np.nan)
        effect[chosen] = coefficient[chosen] + inflation * step
    return Estimates.of(effect, np.sqrt(variance), np.inf, noise / working.total)


def _along_sites(table: np.ndarray, matrices: list[np.ndarray]) -> np.ndarray:
    """A table over the states of sites, times one matrix (n_states, n_states) along each of its axes."""
    for axis, matrix in enumerate(matrices):
        table = np.moveaxis(np.tensordot(matrix, table, (1, axis)), 0, axis)
    return table
