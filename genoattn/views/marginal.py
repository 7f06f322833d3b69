"""Marginal effects of single sites: rows of order 1 of a table, or a regression of every site."""

from __future__ import annotations

import numpy as np
import pandas as pd

from genoattn.cohort import ENVIRONMENT, MISSING, Cohort
from genoattn.errors import InputError
from genoattn.interactions.table import InteractionTable
from genoattn.tokens import build_vocabulary, default_encoding

_BLOCK = 1024
COLUMNS = ("site", "chrom", "pos", "ref", "state", "effect", "se", "p_value", "n_samples")


def marginal_effects(source: InteractionTable | Cohort) -> pd.DataFrame:
    """Effect of every site on its own, sorted as the sites are.

    Parameters
    ----------
    source
        A table, whose tested rows of order 1 are taken as they are; or a cohort, of which every site (of
        sequences every state but the first) is regressed alone, with the covariates. Environments are left
        out.

    Returns
    -------
    One row a site and state: ``site``, ``chrom``, ``pos``, ``ref``, ``state``, ``effect`` (units of the
    phenotype per copy, or of carriers; binary traits: log-odds), ``se``, ``p_value``, ``n_samples``.

    Raises
    ------
    InputError
        Where the table has no tested row of order 1, or the cohort no phenotype.
    """
    if isinstance(source, Cohort):
        return scan_sites(source)
    rows = source.frame[(source.frame["order"] == 1) & source.frame["p_value"].notna()]
    rows = rows[rows["chrom_1"] != ENVIRONMENT]
    if not len(rows):
        raise InputError("no row of order 1 is tested in this table; give the cohort, whose sites are tested")
    frame = pd.DataFrame({name: rows[name if name in rows else f"{name}_1"] for name in COLUMNS})
    number = {name: k for k, name in enumerate(source.manifest.sites.ids)}
    return frame.sort_values("site", key=lambda s: s.map(number), kind="stable").reset_index(drop=True)


def scan_sites(cohort: Cohort) -> pd.DataFrame:
    """Regression of the phenotype on every site alone, with the covariates, in samples called there.

    Quantitative traits: least squares and Student's t. Binary traits: the score test of logistic regression
    with the null model of all samples; ``effect`` is one step from it, score over information.
    """
    from scipy import stats

    if cohort.phenotype is None:
        raise InputError("the cohort has no phenotype; read it with pheno=TABLE")
    vocabulary = build_vocabulary(cohort, default_encoding(cohort))
    genome = ~cohort.sites.is_environment[vocabulary.site]
    kept = np.flatnonzero(genome & (vocabulary.is_dosage | (vocabulary.state > 0)))
    fixed = _fixed(cohort)
    blocks = []
    for start in range(0, len(kept), _BLOCK):
        columns = kept[start : start + _BLOCK]
        calls = cohort.calls[:, vocabulary.site[columns]]
        called = calls != MISSING
        x = calls.astype(np.float64) if vocabulary.is_dosage else calls == vocabulary.state[columns]
        x = np.where(called, x - vocabulary.mean[columns], 0.0)
        test = _score_tests if cohort.phenotype.binary else _least_squares
        blocks.append(test(x, called.astype(np.float64), cohort.phenotype.values, fixed))
    effect, se, df, n = np.concatenate(blocks, axis=1) if blocks else np.zeros((4, 0))
    p_value = 2 * stats.t.sf(np.abs(effect / se), df)
    sites, at = cohort.sites, vocabulary.site[kept]
    state = sites.alt[at]
    if not vocabulary.is_dosage:
        state = [sites.states[s][a] for s, a in zip(at, vocabulary.state[kept], strict=True)]
    named = {"site": sites.ids[at], "chrom": sites.chrom[at], "pos": sites.pos[at], "ref": sites.ref[at]}
    tested = {"effect": effect, "se": se, "p_value": p_value, "n_samples": n.astype(np.int64)}
    return pd.DataFrame({**named, "state": state, **tested})


def _fixed(cohort: Cohort) -> np.ndarray:
    """Orthonormal basis of intercept and covariates, (n_samples, n_fixed)."""
    from genoattn.scan.design import fixed_basis

    fixed = cohort.fixed_effects
    return fixed_basis(fixed.values, np.ones(cohort.n_samples), fixed.names).T


def _adjusted(
    x: np.ndarray, called: np.ndarray, y: np.ndarray, fixed: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weighted <x, x>, <x, y> and <y, y> of each column, adjusted for the fixed effects in its samples."""
    k = fixed.shape[1]
    products = (fixed[:, :, None] * fixed[:, None, :]).reshape(len(y), k * k) * weight[:, None]
    zz = (called.T @ products).reshape(-1, k, k)  # (n_columns, n_fixed, n_fixed)
    zx = x.T @ (fixed * weight[:, None])
    zy = called.T @ (fixed * (weight * y)[:, None])
    solved = np.linalg.solve(zz + 1e-12 * np.eye(k), np.stack([zx, zy], axis=2))
    xx = weight @ x**2 - (zx * solved[:, :, 0]).sum(axis=1)
    xy = (weight * y) @ x - (zx * solved[:, :, 1]).sum(axis=1)
    yy = (weight * y * y) @ called - (zy * solved[:, :, 1]).sum(axis=1)
    # A column that the fixed effects determine has no effect of its own.
    xx = np.where(xx > 1e-10 * np.maximum(weight @ x**2, 1e-300), xx, np.nan)
    return xx, xy, yy


def _least_squares(x: np.ndarray, called: np.ndarray, y: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Effect, standard error, degrees of freedom and samples of each column: (4, n_columns)."""
    xx, xy, yy = _adjusted(x, called, y - y.mean(), fixed, np.ones(len(y)))
    n = called.sum(axis=0)
    df = n - fixed.shape[1] - 1.0
    effect = xy / xx
    with np.errstate(invalid="ignore", divide="ignore"):
        se = np.sqrt(np.maximum(yy - effect * xy, 0) / np.where(df > 0, df, np.nan) / xx)
    return np.stack([effect, se, df, n])


def _score_tests(x: np.ndarray, called: np.ndarray, y: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Effect, standard error, degrees of freedom (endless) and samples of each column: (4, n_columns)."""
    from genoattn.scan.logistic import fit_logistic

    beta = fit_logistic(fixed.T, y)
    if beta is None:
        raise InputError("cases and controls are separated by the covariates; leave the one that does it out")
    mean = 1 / (1 + np.exp(-fixed @ beta))
    weight = mean * (1 - mean)
    information, score, _ = _adjusted(x, called, (y - mean) / weight, fixed, weight)
    n = called.sum(axis=0)
    return np.stack([score / information, 1 / np.sqrt(information), np.full(len(n), np.inf), n])
