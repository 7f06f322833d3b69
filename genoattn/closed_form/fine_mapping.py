"""Fine mapping of a strong isolated factor: the likeliest pairs among linked columns."""

import numpy as np

from genoattn.closed_form.pair_factors import credible_entries

LARGE = 0.05  # of the variance of the phenotype: an interaction strong enough to be placed
_LINKED = 0.5  # r2 from which columns are alternatives
_MOST = 300  # alternatives at each of the two sites


def fine_mapped(
    columns: np.ndarray, phenotype: np.ndarray, shapes: np.ndarray, strength: np.ndarray
) -> np.ndarray:
    """Strong factors of two linked groups of columns, each replaced by the likeliest pairs of columns.

    Factors are found in residuals of the additive model, where the main effects of an interaction are spread
    over linked columns. The pair is therefore chosen on the phenotype itself, adjusted for covariates, by the
    variance that main effects and product explain together. A column counts by the posterior of its pairs,
    under a flat prior. Factors that explain less than 5 % of the variance, or whose columns are not all
    linked to one (r2 of 0.5), stay as they are.
    """
    out = shapes.copy()
    for k, (first, second) in enumerate(shapes):
        product = (columns @ first) * (columns @ second)
        one, other = (_alternatives(columns, slot) for slot in (first, second))
        weak = strength[k] ** 2 * product.var() < LARGE * phenotype.var()
        if weak or one is None or other is None:
            continue
        posterior = _posterior(columns, phenotype - phenotype.mean(), one, other)
        out[k] = 0.0
        for slot, (index, axis) in enumerate(((one, 1), (other, 0))):
            out[k, slot, index] = credible_entries(columns[:, index], posterior.sum(axis=axis))
    return out


def _alternatives(columns: np.ndarray, slot: np.ndarray) -> np.ndarray | None:
    """Columns linked to the largest entry of a slot; None where another entry of it is not."""
    r2 = (columns.T @ columns[:, int(np.argmax(np.abs(slot)))] / len(columns)) ** 2
    if np.any(r2[slot != 0] < _LINKED):
        return None
    order = np.argsort(-r2, kind="stable")[:_MOST]
    return np.sort(order[r2[order] >= _LINKED])


def _posterior(columns: np.ndarray, centred: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Posterior (n_first, n_second) of the pairs, by how much of a centred vector each explains."""
    b = columns[:, second]
    gain = np.empty((len(first), len(second)))
    for row, i in enumerate(first):
        a = columns[:, i : i + 1]
        product = a * b
        product -= product.mean(axis=0)
        gram = np.empty((len(second), 3, 3))
        gram[:, 0, 0] = float((a * a).sum())
        gram[:, 1, 1], gram[:, 2, 2] = (b * b).sum(axis=0), (product * product).sum(axis=0)
        gram[:, 0, 1] = gram[:, 1, 0] = (a * b).sum(axis=0)
        gram[:, 0, 2] = gram[:, 2, 0] = (a * product).sum(axis=0)
        gram[:, 1, 2] = gram[:, 2, 1] = (b * product).sum(axis=0)
        # Columns in perfect linkage make the three regressors collinear.
        gram += 1e-9 * len(centred) * np.eye(3)
        score = np.stack(
            [np.full(len(second), float(a[:, 0] @ centred)), b.T @ centred, product.T @ centred], axis=1
        )
        gain[row] = (score * np.linalg.solve(gram, score[:, :, None])[:, :, 0]).sum(axis=1)
    share = np.minimum(gain / max(float(centred @ centred), 1e-300), 1 - 1e-12)
    log_likelihood = -0.5 * len(centred) * np.log1p(-share)
    weight: np.ndarray = np.exp(log_likelihood - log_likelihood.max())
    return weight / weight.sum()
