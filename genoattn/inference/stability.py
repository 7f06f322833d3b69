"""Stability of the choice of pairs over random halves of the samples, tested in the other halves."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from genoattn.closed_form.additive_start import fit_scale
from genoattn.closed_form.pair_columns import PairColumns
from genoattn.closed_form.ridge import RidgeRegression, Spectrum
from genoattn.cohort import Sites
from genoattn.inference.pair_selection import PairProblem, found_factors
from genoattn.inference.relatives import relative_folds
from genoattn.inference.robust import robust_test


@dataclass(frozen=True, eq=False)
class Stability:
    """Pairs chosen in halves of the samples."""

    pair: np.ndarray  # (n_pairs, 2), ascending column indices: every pair that some half chose
    frequency: np.ndarray  # (n_pairs,), the share of the halves that chose it
    # (n_pairs,), mean and standard deviation over the halves, 0 where a half left it out, per standardised
    # column
    coefficient: np.ndarray
    se: np.ndarray
    p_value: np.ndarray  # (n_pairs,), from the halves that did not choose

    def frame(self, sites: Sites, site: np.ndarray, scale: np.ndarray) -> pd.DataFrame:
        """Table of the pairs, the most frequent first; coefficients per unit of dosage with 90 % intervals.

        Parameters
        ----------
        site, scale
            Shape (n_columns,), site and standard deviation of each column.
        """
        unit = scale[self.pair].prod(axis=1)
        mean, half_width = self.coefficient / unit, 1.645 * self.se / unit
        ids = sites.ids[site[self.pair]]
        frame = pd.DataFrame(
            {
                "site_1": ids[:, 0],
                "site_2": ids[:, 1],
                "selection_frequency": self.frequency,
                "coefficient": mean,
                "low_90": mean - half_width,
                "high_90": mean + half_width,
                "p_value_held_out": self.p_value,
            }
        )
        return frame.sort_values(
            ["selection_frequency", "p_value_held_out"], ascending=[False, True], kind="stable"
        ).reset_index(drop=True)


def half_sample_stability(
    pairs: PairColumns,
    phenotype: np.ndarray,
    covariates: np.ndarray,
    n_halves: int,
    seed: int,
    max_rank: int = 32,
    relatives: np.ndarray | None = None,
) -> Stability:
    """Find factors of pairs in random halves of the samples, and test them in the other halves.

    The frequency with which a pair is chosen is that of stability selection (Meinshausen & Buehlmann 2010),
    and the spread of its coefficient over halves estimates that of all samples (delete-half jackknife: Shao &
    Wu 1989). p-values: in each half the p-value of a chosen pair in the other half times the number chosen, 1
    where it was not chosen; twice their median over the halves controls the family-wise error rate whatever
    their dependence (Meinshausen, Meier & Buehlmann 2009).

    Parameters
    ----------
    phenotype
        Shape (n_samples,).
    covariates
        Shape (n_samples, n_covariates), the components among them.
    relatives
        Shape (n_samples,), who stay together in every half; None where nobody is related.
    """
    rng = np.random.default_rng(seed)
    coefficients: list[dict[tuple[int, int], float]] = []
    p_values: list[dict[tuple[int, int], float]] = []
    for _ in range(n_halves):
        chosen = relative_folds(relatives, len(phenotype), 2, rng) == 1
        found = _choose(pairs, phenotype, covariates, chosen, max_rank)
        coefficients.append(found)
        p_values.append(
            {
                pair: min(1.0, len(found) * _test(pairs.columns, phenotype, covariates, ~chosen, pair))
                for pair in found
            }
        )
    every = sorted({pair for found in coefficients for pair in found})
    value = np.array([[found.get(pair, 0.0) for pair in every] for found in coefficients])
    tested = np.array([[found.get(pair, 1.0) for pair in every] for found in p_values])
    value, tested = value.reshape(n_halves, len(every)), tested.reshape(n_halves, len(every))
    return Stability(
        np.array(every, dtype=np.int64).reshape(-1, 2),
        (value != 0).mean(axis=0),
        value.mean(axis=0),
        value.std(axis=0, ddof=1) if n_halves > 1 else np.full(len(every), np.nan),
        np.minimum(2 * np.median(tested, axis=0), 1.0),
    )


def _choose(
    pairs: PairColumns, phenotype: np.ndarray, covariates: np.ndarray, chosen: np.ndarray, max_rank: int
) -> dict[tuple[int, int], float]:
    """Coefficients of the pairs that the factors of some samples couple, per standardised column."""
    part = PairColumns(pairs.columns[chosen], pairs.site, pairs.segment, pairs.visible)
    fixed = np.column_stack([np.ones(int(chosen.sum())), covariates[chosen]])
    residual = RidgeRegression(Spectrum.of_columns(part.columns), fixed).fit(phenotype[chosen])[2]
    problem = PairProblem(part, phenotype[chosen], covariates[chosen], 0.0, max_rank)
    shapes, _ = found_factors(problem, residual)
    out: dict[tuple[int, int], float] = {}
    for left, right in fit_scale(part.columns, residual, list(shapes), 2):
        for i in np.flatnonzero(left).tolist():
            for j in np.flatnonzero(right).tolist():
                if pairs.site[i] != pairs.site[j]:
                    key = (i, j) if i < j else (j, i)
                    out[key] = out.get(key, 0.0) + float(left[i] * right[j])
    return out


def _test(
    columns: np.ndarray,
    phenotype: np.ndarray,
    covariates: np.ndarray,
    chosen: np.ndarray,
    pair: tuple[int, int],
) -> float:
    """Robust p-value of the product of a pair in some samples, adjusted for both columns and covariates."""
    a, b = columns[chosen][:, pair[0]], columns[chosen][:, pair[1]]
    others = np.column_stack([np.ones(len(a)), covariates[chosen], a, b])
    return robust_test(a * b, others, phenotype[chosen][:, None]).p_value
