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
    of_samples = np.stack([np.ones(len(latent)), weight, weight * residual, weight * residual**2])
    centre = gauge_centre(vocabulary, gauge)
    by_site = np.ascontiguousarray(calls.T)  # the calls of a site lie together
    effect, variance = np.full(len(terms), np.nan), np.full(len(terms), np.nan)
    for sites, chosen in by_site_set(vocabulary.site[np.sort(terms, axis=1)]):
        shape = tuple(vocabulary.n_states[list(sites)].tolist())
        if np.prod(shape, dtype=np.float64) > MOST_CELLS:
            continue
        number, size, summed, squares, cell = _cells(by_site[list(sites)], of_samples, shape)
        mean = summed / size
        own = (_PRIOR_SAMPLES * noise + inflation * squares) / (_PRIOR_SAMPLES + number)
        of_unseen = float((coefficient[chosen] ** 2).mean())
        # A is a product of one matrix a site, and so is its square; rows of the states of the terms alone.
        state = vocabulary.state[np.sort(terms[chosen], axis=1)]  # (term, order)
        matrices, at = [], []
        for slot, (first, n) in enumerate(zip(vocabulary.first[list(sites)], shape, strict=True)):
            used, index = np.unique(state[:, slot], return_inverse=True)
            matrices.append(np.eye(n)[used] - centre[first : first + n])
            at.append(index.reshape(-1))  # NumPy 2.0 alone returns a second axis
        squared = [matrix**2 for matrix in matrices]
        step = _along_sites(cell, mean, 0.0, shape, matrices)[tuple(at)]
        var = inflation * _along_sites(cell, own / size, 0.0, shape, squared)[tuple(at)]
        ambiguity = _along_sites(cell, 0.0, of_unseen, shape, squared)[tuple(at)]
        known = np.isin(np.ravel_multi_index(tuple(state.T), shape), cell)
        known &= ambiguity <= _AMBIGUOUS**2 * var
        variance[chosen] = np.where(known, var, np.nan)
        effect[chosen] = coefficient[chosen] + inflation * step
    return Estimates.of(effect, np.sqrt(variance), np.inf, noise / working.total)


def _cells(states: np.ndarray, of_samples: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """Sums of values (n_values, n_samples) over each joint state that a sample has, and those joint states.

    ``states``: (n_sites, n_samples), of ``shape`` many, -1 where missing.
    """
    called = (states != MISSING).all(axis=0)
    if not called.all():
        states, of_samples = states[:, called], of_samples[:, called]
    cell = np.ravel_multi_index(tuple(states.astype(np.int64)), shape)
    sums = [np.bincount(cell, values, minlength=int(np.prod(shape))) for values in of_samples]
    seen = np.flatnonzero(sums[0])
    return (*(each[seen] for each in sums), seen)


def _along_sites(
    cell: np.ndarray,
    values: np.ndarray | float,
    others: float,
    shape: tuple[int, ...],
    matrices: list[np.ndarray],
) -> np.ndarray:
    """A table of ``values`` at some joint states and ``others`` elsewhere, times one matrix along each axis.

    A matrix is (n_rows, n_states): the result has one axis of rows for each site.
    """
    table = np.full(int(np.prod(shape)), others)
    table[cell] = values
    table = table.reshape(shape)
    for matrix in matrices:  # the first axis goes to the end each time
        table = np.tensordot(table, matrix, (0, 1))
    return table
