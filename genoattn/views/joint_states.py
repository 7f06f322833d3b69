"""Mean phenotype by joint state of the sites of a term, and what additivity would predict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from genoattn.cohort import ENVIRONMENT, MISSING, Cohort
from genoattn.errors import InputError
from genoattn.interactions.schema import Manifest
from genoattn.io.environments import environments_of
from genoattn.tokens.align import align_calls

LEVEL = 0.95
MAX_POINTS = 2000


@dataclass(frozen=True, eq=False)
class JointStates:
    """Phenotype by joint state of the sites of a term.

    Parameters
    ----------
    frame
        One row a joint state that occurs, the first site's state changing slowest: ``state_k``, ``n``,
        ``mean``, ``sd``, ``se``, ``lower`` and ``upper`` (95 %: Student's t; of a binary trait Wilson's for
        the share of cases), and ``additive``, the mean without any interaction: of two states at two sites
        that of the last cell from the three others, else by least squares (binary traits: logistic
        regression) on the states of every site. Empty where it is not defined.
    points
        ``state_k``, ``value`` of single samples, at most ``max_points`` of them at random.
    sites
        IDs of the sites of the term.
    levels
        For each site the labels of its states, in the order of the rows.
    n_samples, n_missing, n_other
        Samples in the frame; left out for want of a call; left out because they carry another residue.
    rounded
        Whether calls are dosages, rounded here to whole copies.
    """

    frame: pd.DataFrame
    points: pd.DataFrame
    sites: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...]
    n_samples: int
    n_missing: int
    n_other: int
    rounded: bool
    binary: bool


def joint_states(
    cohort: Cohort,
    row: Mapping[Any, Any],
    manifest: Manifest,
    seed: int = 0,
    max_points: int = MAX_POINTS,
) -> JointStates:
    """Mean phenotype of the samples by joint state of the sites of a term.

    Of genotypes the states are copies of the effect allele, with labels such as ``A/C``; of an environment
    that is a number, thirds of the samples. Of sequences they
    are the reference state and the state of the term (of a term of the reference state, the commonest other);
    samples with other residues are left out and counted.

    Parameters
    ----------
    cohort
        Samples with a phenotype, whose values are used as they are.
    row
        A row of an interaction table, of any order above 0.
    manifest
        Description of the table.
    seed, max_points
        Which samples are in ``points``, and how many at most.

    Raises
    ------
    InputError
        Where the cohort has no phenotype, or the row is the intercept.
    """
    order = int(row["order"])
    if cohort.phenotype is None:
        raise InputError("the cohort has no phenotype; read it with pheno=TABLE")
    if order < 1:
        raise InputError("the intercept has no sites; choose a row of order 1 or above")
    sites = tuple(str(row[f"site_{k}"]) for k in range(1, order + 1))
    calls = term_calls(cohort, sites, manifest)
    exact = term_calls(cohort, sites, manifest, whole=False)
    states = [
        thirds(exact[:, k], sites[k], manifest)
        or _states(calls[:, k], str(row[f"state_{k + 1}"]), sites[k], manifest)
        for k in range(order)
    ]
    genome = [str(row.get(f"chrom_{k}")) != ENVIRONMENT for k in range(1, order + 1)]
    rounded = not np.array_equal(exact[:, genome], calls[:, genome])
    level = np.stack([s[0] for s in states], axis=1)  # (n_samples, order)
    missing, other = (level == MISSING).any(axis=1), (level == _OTHER).any(axis=1)
    kept = ~missing & ~other
    level, y = level[kept], cohort.phenotype.values[kept]
    labels = tuple(s[1] for s in states)
    frame = _cells(level, y, labels, cohort.phenotype.binary)
    rng = np.random.default_rng(seed)
    some = np.sort(rng.permutation(len(y))[:max_points])
    points = pd.DataFrame({f"state_{k + 1}": _labels(level[some, k], labels[k]) for k in range(order)})
    points["value"] = y[some]
    n_other = int((other & ~missing).sum())
    return JointStates(
        frame, points, sites, labels, len(y), int(missing.sum()), n_other,
        rounded, cohort.phenotype.binary,
    )  # fmt: skip


_OTHER = -2


def term_calls(cohort: Cohort, sites: tuple[str, ...], manifest: Manifest, whole: bool = True) -> np.ndarray:
    """Calls at sites of a table in its states, (n_samples, n_sites), rounded if ``whole``; -1 where missing.

    Environments that are numbers are rounded to units.
    """
    own = {name: k for k, name in enumerate(cohort.sites.ids)}
    model = {name: k for k, name in enumerate(manifest.sites.ids)}
    absent = [name for name in sites if name not in model]
    if absent:
        raise InputError(f"{absent[0]}: no such site in the table; give a row of this table")

    def same(name: str) -> bool:
        if name not in own:
            return False
        a, b = own[name], model[name]
        ours, theirs = cohort.sites, manifest.sites
        return ours.states[a] == theirs.states[b] and ours.alt[a] == theirs.alt[b]

    if all(same(name) for name in sites):
        calls = cohort.calls[:, [own[name] for name in sites]]
    else:
        calls = align_calls(cohort, manifest.sites, manifest.haploid)[:, [model[name] for name in sites]]
    return np.rint(calls).astype(np.int64) if whole else calls


def thirds(calls: np.ndarray, site: str, manifest: Manifest) -> tuple[np.ndarray, tuple[str, ...]] | None:
    """Thirds of the samples by an environment that is a number, and their ranges; None for other sites."""
    environment = next((e for e in environments_of(manifest.sites) if e.name == site and not e.levels), None)
    if environment is None:
        return None
    cuts = np.unique(np.quantile(calls, [1 / 3, 2 / 3]))
    level = np.searchsorted(cuts, calls, side="right")
    level = np.unique(level, return_inverse=True)[1]
    value = environment.lowest + environment.unit * calls
    ranges = [value[level == k] for k in range(int(level.max()) + 1)]
    return level, tuple(f"{own.min():.4g} to {own.max():.4g}" for own in ranges)


def _states(calls: np.ndarray, state: str, site: str, manifest: Manifest) -> tuple[np.ndarray, tuple]:
    """Level of each sample at a site, and the labels of the levels."""
    at = int(np.flatnonzero(manifest.sites.ids == site)[0])
    labels = manifest.sites.states[at]
    if manifest.vocabulary.encoding != "sequence":
        return calls, labels
    chosen, reference = labels.index(state), int(manifest.vocabulary.reference[at])
    if chosen == reference:
        counts = np.bincount(calls[calls >= 0], minlength=len(labels))
        counts[chosen] = -1
        chosen = int(counts.argmax())
    level = np.full(len(calls), _OTHER)
    level[calls == MISSING] = MISSING
    level[calls == reference] = 0
    level[calls == chosen] = 1
    return level, (labels[reference], labels[chosen])


def _labels(level: np.ndarray, labels: tuple) -> np.ndarray:
    return np.array(labels, dtype=object)[level]


def _cells(level: np.ndarray, y: np.ndarray, labels: tuple, binary: bool) -> pd.DataFrame:
    """One row a joint state."""
    order = level.shape[1]
    cells, index = np.unique(level, axis=0, return_inverse=True)
    index = index.ravel()
    n = np.bincount(index, minlength=len(cells))
    columns: dict[str, Any] = {f"state_{k + 1}": _labels(cells[:, k], labels[k]) for k in range(order)}
    columns["n"] = n
    mean = np.bincount(index, y, len(cells)) / n
    squares = np.bincount(index, (y - mean[index]) ** 2, len(cells))
    with np.errstate(invalid="ignore", divide="ignore"):
        sd = np.sqrt(squares / np.where(n > 1, n - 1, np.nan))
    columns |= {"mean": mean, "sd": sd, "se": sd / np.sqrt(n)}
    columns["lower"], columns["upper"] = intervals_of_means(mean, sd, n, binary)
    columns["additive"] = _additive(cells, index, mean, y, binary)
    return pd.DataFrame(columns)


def intervals_of_means(
    mean: np.ndarray, sd: np.ndarray, n: np.ndarray, binary: bool
) -> tuple[np.ndarray, np.ndarray]:
    """95 % intervals of means of n values: Student's t; Wilson's where values are 0 and 1."""
    from scipy import stats

    if binary:
        z = stats.norm.ppf(0.5 + LEVEL / 2)
        centre = (mean + z**2 / (2 * n)) / (1 + z**2 / n)
        reach = z / (1 + z**2 / n) * np.sqrt(mean * (1 - mean) / n + z**2 / (4 * n**2))
        return centre - reach, centre + reach
    reach = stats.t.ppf(0.5 + LEVEL / 2, np.maximum(n - 1, 1)) * sd / np.sqrt(n)
    return mean - reach, mean + reach


def _additive(
    cells: np.ndarray, index: np.ndarray, mean: np.ndarray, y: np.ndarray, binary: bool
) -> np.ndarray:
    """Mean of each cell without interaction, (n_cells,)."""
    dense = np.stack([np.unique(c, return_inverse=True)[1] for c in cells.T], axis=1)
    if not binary and dense.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]:
        return np.array([*mean[:3], mean[1] + mean[2] - mean[0]])
    indicators = [np.ones(len(cells))]
    for k in range(cells.shape[1]):
        indicators += [(cells[:, k] == s).astype(float) for s in np.unique(cells[:, k])[1:]]
    design = np.stack(indicators, axis=1)
    if binary:
        from genoattn.scan.logistic import fit_logistic

        beta = fit_logistic(design[index].T, y)
        return np.full(len(cells), np.nan) if beta is None else 1 / (1 + np.exp(-design @ beta))
    weight = np.sqrt(np.bincount(index, minlength=len(cells)))
    beta = np.linalg.lstsq(design * weight[:, None], mean * weight, rcond=None)[0]
    return design @ beta
