"""Pair factors selected by cross-validation along a path of thresholds."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from genoattn.closed_form.pair_columns import PairColumns
from genoattn.closed_form.pair_factors import Seeds, find_seeds, pair_factors
from genoattn.model.relatives import relative_folds
from genoattn.scan.scores import score_matrix

_log = logging.getLogger(__name__)
_PATH = (0.0, 4.0, 8.0, 16.0, 32.0)  # squared z beyond its price that a factor must have
_FOLDS, _FEW_FOLDS = 5, 2
_MANY_PAIRS = 2_000_000  # above which a fold's scan is dear, and there are two
_SURE = 2.0  # standard errors by which held-out samples must be better predicted
_BETTER = 1.1  # times the gain of a smaller threshold that a larger one must have
LINKED = 0.1  # r2 from which two columns of a segment are no pair


@dataclass(frozen=True, eq=False)
class PairProblem:
    """The samples on which pair factors are sought."""

    pairs: PairColumns  # standardised columns, with all pairs of segments visible that may be used
    phenotype: np.ndarray  # (n_samples,)
    covariates: np.ndarray  # (n_samples, n_covariates)
    # penalty of the additive model, as in :class:`genoattn.closed_form.additive_start.AdditiveStart`
    ridge: float
    max_rank: int
    # (n_samples,), who stay together in every fold; None where nobody is related
    relatives: np.ndarray | None = None

    def part(self, index: np.ndarray) -> PairProblem:
        """The problem of some of the samples."""
        p = self.pairs
        pairs = PairColumns(p.columns[index], p.site, p.segment, p.visible)
        return PairProblem(pairs, self.phenotype[index], self.covariates[index], self.ridge, self.max_rank)


def found_factors(problem: PairProblem, residual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scan all pairs, and grow factors from what stands out, as :func:`pair_factors` does.

    The score of a pair is its t against the phenotype or against the residual of the additive model,
    whichever is closer to zero: the first alone sees interactions in additive effects of linked sites, the
    second alone misplaces an interaction whose main effects the ridge has spread over neighbours. Pairs
    within a chromosome count only where their r2 is below 0.1.
    """
    pairs = problem.pairs
    both = np.column_stack([problem.phenotype, residual])
    score = score_matrix(pairs.columns, both, problem.covariates, pairs.site)
    return pair_factors(pairs, without_linked(find_seeds(score), pairs), residual, problem.max_rank)


def believed_factors(problem: PairProblem, residual: np.ndarray, seed: int) -> tuple[np.ndarray, float]:
    """The factors that predict samples they were not found in, and by how much to shrink them.

    In each fold factors are found without it, and the residual in it is predicted from those whose surplus
    passes a threshold; the threshold that predicts best is used for all samples. Where even that
    lowers the squared error by less than two standard errors, there is no factor.

    Returns
    -------
    Factors as from :func:`pair_factors`, and the slope, from 0 to 1, of held-out residuals on predictions.
    """
    shapes, surplus = found_factors(problem, residual)
    if not len(shapes):
        return shapes, 0.0
    n, n_columns = problem.pairs.n_samples, problem.pairs.n_columns
    folds = _FOLDS if n_columns * (n_columns - 1) // 2 <= _MANY_PAIRS else _FEW_FOLDS
    fold = relative_folds(problem.relatives, n, folds, seed)
    held_out, predicted = np.zeros(n), np.zeros((len(_PATH), n))
    for k in range(folds):
        held_out[fold == k], predicted[:, fold == k] = _predict_fold(problem, fold != k)
    # Along the path the smallest threshold wins unless a larger one predicts a tenth better.
    best_gain, least, slope = 0.0, np.inf, 0.0
    for threshold, prediction in zip(_PATH, predicted, strict=True):
        power = float(prediction @ prediction)
        if power == 0:
            continue
        trial = float(np.clip(held_out @ prediction / power, 0.0, 1.0))
        gains = held_out**2 - (held_out - trial * prediction) ** 2
        sure = gains.mean() > _SURE * gains.std() / np.sqrt(n)
        if sure and gains.mean() > _BETTER * best_gain:
            best_gain, least, slope = float(gains.mean()), threshold, trial
    kept = shapes[surplus >= least]
    _log.info(
        "cross-validation keeps %d of %d factors of pairs, shrunk by %.2f", len(kept), len(shapes), slope
    )
    return kept, slope if len(kept) else 0.0


def _predict_fold(problem: PairProblem, training: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Residual of the additive model in held-out samples, and its prediction along the path."""
    part, out = problem.part(training), ~training
    columns = problem.pairs.columns
    residual, held_out = _ridge_residuals(problem, training)
    shapes, surplus = found_factors(part, residual)
    predicted = np.zeros((len(_PATH), int(out.sum())))
    if not len(shapes):
        return held_out, predicted
    products = np.stack([(columns @ a) * (columns @ b) for a, b in shapes], axis=1)
    products -= products[training].mean(axis=0)
    for k, threshold in enumerate(_PATH):
        used = products[:, surplus >= threshold]
        if used.shape[1]:
            weights = np.linalg.lstsq(used[training], residual, rcond=1e-8)[0]
            predicted[k] = used[out] @ weights
    return held_out, predicted


def _ridge_residuals(problem: PairProblem, training: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Residuals in and out of the training samples of ridge regression fitted there, its penalty given."""
    x, y = problem.pairs.columns, problem.phenotype
    fixed = np.column_stack([np.ones(len(y)), problem.covariates])
    q, _ = np.linalg.qr(fixed[training])
    a = x[training] - q @ (q.T @ x[training])
    b = y[training] - q @ (q.T @ y[training])
    penalty = problem.ridge * len(b)
    if a.shape[1] > len(b):
        kernel = a @ a.T
        kernel[np.diag_indices_from(kernel)] += penalty
        effect = a.T @ linalg.solve(kernel, b, assume_a="pos", overwrite_a=True)
    else:
        gram = a.T @ a
        gram[np.diag_indices_from(gram)] += penalty
        effect = linalg.solve(gram, a.T @ b, assume_a="pos", overwrite_a=True)
    residual = y - x @ effect
    residual = residual - fixed @ np.linalg.lstsq(fixed[training], residual[training], rcond=None)[0]
    return residual[training], residual[~training]


def without_linked(seeds: Seeds, pairs: PairColumns) -> Seeds:
    """Seeds less pairs of a segment, hidden from itself, that are in linkage: they are no evidence."""
    first, second = seeds.pair.T
    inside = pairs.segment[first] == pairs.segment[second]
    inside &= ~pairs.visible.diagonal()[pairs.segment[first]]
    kept = ~inside
    for start in range(0, int(inside.sum()), 4096):
        index = np.flatnonzero(inside)[start : start + 4096]
        a, b = pairs.columns[:, first[index]], pairs.columns[:, second[index]]
        r2 = (a * b).sum(axis=0) ** 2 / np.maximum((a**2).sum(axis=0) * (b**2).sum(axis=0), 1e-300)
        kept[index] = r2 < LINKED
    return Seeds(seeds.pair[kept], seeds.strength[kept], seeds.n_tests)
