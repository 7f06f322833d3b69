"""Stability of the choice of pairs over random halves of the samples, tested in the other halves."""

import numpy as np
import pandas as pd

from genoattn.closed_form.additive_start import fit_scale
from genoattn.closed_form.ridge import RidgeRegression, Spectrum
from genoattn.cohort import Sites
from genoattn.inference.pair_selection import PairProblem, found_factors
from genoattn.inference.robust import robust_test
from genoattn.model.relatives import relative_folds


def half_sample_stability(
    problem: PairProblem, sites: Sites, scale: np.ndarray, n_halves: int, seed: int
) -> pd.DataFrame:
    """Find factors of pairs in random halves of the samples, and test them in the other halves.

    The frequency with which a pair is chosen is that of stability selection (Meinshausen & Buehlmann 2010),
    and the spread of its coefficient over halves estimates that of all samples (delete-half jackknife: Shao &
    Wu 1989). p-values: in each half the p-value of a chosen pair in the other half times the number chosen, 1
    where it was not chosen; twice their median over the halves controls the family-wise error rate whatever
    their dependence (Meinshausen, Meier & Buehlmann 2009).

    Parameters
    ----------
    problem
        Standardised columns, phenotype and covariates, the components among them, of all samples.
    scale
        Shape (n_columns,), standard deviation of each column.

    Returns
    -------
    One row a pair that some half chose, the most frequent first: ``site_1``, ``site_2``,
    ``selection_frequency``, ``coefficient`` per unit of dosage (mean over the halves, 0 where a half left the
    pair out) with its 90 % interval ``low_90``, ``high_90``, and ``p_value_held_out``.
    """
    rng = np.random.default_rng(seed)
    pairs, n = problem.pairs, len(problem.phenotype)
    coefficients: list[dict[tuple[int, int], float]] = []
    p_values: list[dict[tuple[int, int], float]] = []
    for _ in range(n_halves):
        chosen = relative_folds(problem.relatives, n, 2, rng) == 1
        found, held_out = _choose(problem.part(chosen)), problem.part(~chosen)
        coefficients.append(found)
        p_values.append({pair: min(1.0, len(found) * _p_value(held_out, pair)) for pair in found})
    every = sorted({pair for found in coefficients for pair in found})
    value = np.array([[found.get(pair, 0.0) for pair in every] for found in coefficients])
    tested = np.array([[found.get(pair, 1.0) for pair in every] for found in p_values])
    value, tested = value.reshape(n_halves, len(every)), tested.reshape(n_halves, len(every))
    index = np.array(every, dtype=np.int64).reshape(-1, 2)
    unit, ids = scale[index].prod(axis=1), sites.ids[pairs.site[index]]
    se = value.std(axis=0, ddof=1) if n_halves > 1 else np.full(len(every), np.nan)
    mean, half_width = value.mean(axis=0) / unit, 1.645 * se / unit
    frame = pd.DataFrame(
        {
            "site_1": ids[:, 0],
            "site_2": ids[:, 1],
            "selection_frequency": (value != 0).mean(axis=0),
            "coefficient": mean,
            "low_90": mean - half_width,
            "high_90": mean + half_width,
            "p_value_held_out": np.minimum(2 * np.median(tested, axis=0), 1.0),
        }
    )
    order, ascending = ["selection_frequency", "p_value_held_out"], [False, True]
    return frame.sort_values(order, ascending=ascending, kind="stable", ignore_index=True)


def _choose(half: PairProblem) -> dict[tuple[int, int], float]:
    """Coefficients of the pairs that the factors of some samples couple, per standardised column."""
    columns, site = half.pairs.columns, half.pairs.site
    fixed = np.column_stack([np.ones(len(columns)), half.covariates])
    residual = RidgeRegression(Spectrum.of_columns(columns), fixed).fit(half.phenotype)[2]
    shapes, _ = found_factors(half, residual)
    out: dict[tuple[int, int], float] = {}
    for left, right in fit_scale(columns, residual, list(shapes), 2):
        for i in np.flatnonzero(left).tolist():
            for j in np.flatnonzero(right).tolist():
                if site[i] != site[j]:
                    key = (i, j) if i < j else (j, i)
                    out[key] = out.get(key, 0.0) + float(left[i] * right[j])
    return out


def _p_value(half: PairProblem, pair: tuple[int, int]) -> float:
    """Robust p-value of the product of a pair, adjusted for both columns and covariates."""
    a, b = half.pairs.columns[:, pair[0]], half.pairs.columns[:, pair[1]]
    others = np.column_stack([np.ones(len(a)), half.covariates, a, b])
    return robust_test(a * b, others, half.phenotype[:, None]).p_value
