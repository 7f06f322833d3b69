"""Regression of the phenotype on the sites of one term and their products, with nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from genoattn.cohort import MISSING, Cohort
from genoattn.interactions.schema import Manifest
from genoattn.views.joint_states import term_calls


@dataclass(frozen=True)
class PlainTest:
    """Product of the sites of a term in a regression of its own.

    ``effect`` is in units of the phenotype (binary traits: log-odds) per product of copies or for carriers;
    ``se`` its standard error; ``p_value`` two-sided, Student's t (binary traits: Wald); ``n`` samples.
    """

    effect: float
    se: float
    p_value: float
    n: int


def plain_regression(
    cohort: Cohort, row: Mapping[Any, Any], manifest: Manifest, with_covariates: bool = False
) -> PlainTest | None:
    """Test of a term's product with its lower-order terms, in samples called at every site.

    Genotypes count copies of the effect allele. Of states the samples are those that carry the reference
    state or the term's state at every site. The coefficient of the highest product is the same however the
    sites are centred.

    Returns
    -------
    None where these samples do not determine the product.
    """
    assert cohort.phenotype is not None
    order = int(row["order"])
    sites = tuple(str(row[f"site_{k}"]) for k in range(1, order + 1))
    values, kept = _values(term_calls(cohort, sites, manifest, whole=False), sites, row, manifest)
    values, y = values[kept], cohort.phenotype.values[kept]
    if len(y) < 2**order + 2:
        return None
    values = values - values.mean(axis=0)  # better conditioned, with the same highest product
    subsets = [s for size in range(1, order + 1) for s in combinations(range(order), size)]
    columns = [np.ones(len(y)), *(values[:, list(s)].prod(axis=1) for s in subsets)]
    if with_covariates:
        fixed = cohort.fixed_effects
        own = [name not in sites for name in fixed.names]  # the main effect of an environment is there
        columns[1:1] = [c - c.mean() for c in fixed.values[kept][:, own].T if np.ptp(c) > 0]
    x = np.stack(columns, axis=1)
    scale = np.linalg.norm(x, axis=0)
    if not scale.all() or np.linalg.matrix_rank(x / scale) < x.shape[1] or len(y) <= x.shape[1]:
        return None
    return _logistic(x, y) if cohort.phenotype.binary else _least_squares(x, y)


def _values(
    calls: np.ndarray, sites: tuple[str, ...], row: Mapping[Any, Any], manifest: Manifest
) -> tuple[np.ndarray, np.ndarray]:
    """Copies, or whether a sample has the term's state, (n_samples, order); and which samples count."""
    if manifest.vocabulary.is_dosage:
        return calls.astype(np.float64), (calls != MISSING).all(axis=1)
    ids = manifest.sites.ids.tolist()
    at = [ids.index(name) for name in sites]
    own = np.array([manifest.sites.states[s].index(str(row[f"state_{k + 1}"])) for k, s in enumerate(at)])
    reference = manifest.vocabulary.reference[at]
    carried = calls == own
    if manifest.vocabulary.encoding == "genotype" or (own == reference).any():
        return carried.astype(np.float64), (calls != MISSING).all(axis=1)
    return carried.astype(np.float64), (carried | (calls == reference)).all(axis=1)


def _least_squares(x: np.ndarray, y: np.ndarray) -> PlainTest | None:
    from scipy import stats

    beta = np.linalg.lstsq(x, y, rcond=None)[0]
    df = len(y) - x.shape[1]
    variance = float(((y - x @ beta) ** 2).sum()) / df
    se = float(np.sqrt(variance * np.linalg.inv(x.T @ x)[-1, -1]))
    if not se > 0:
        return None
    return PlainTest(float(beta[-1]), se, float(2 * stats.t.sf(abs(beta[-1] / se), df)), len(y))


def _logistic(x: np.ndarray, y: np.ndarray) -> PlainTest | None:
    from scipy import stats

    from genoattn.scan.logistic import fit_logistic

    beta = fit_logistic(x.T, y)
    if beta is None:
        return None
    mu = 1 / (1 + np.exp(-x @ beta))
    information = (x * (mu * (1 - mu))[:, None]).T @ x
    se = float(np.sqrt(np.linalg.inv(information)[-1, -1]))
    return PlainTest(float(beta[-1]), se, float(2 * stats.norm.sf(abs(beta[-1] / se))), len(y))
