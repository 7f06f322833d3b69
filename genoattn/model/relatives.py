"""Groups of related samples, which every split of the samples keeps together."""

import logging

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from genoattn.cohort import MISSING

_log = logging.getLogger(__name__)
_SITES = 4000  # at most, evenly spaced
_RELATED = 0.2  # of the alleles in common beyond chance: between half siblings and cousins
_TOLD = 0.45  # a relatedness that siblings have
_DEVIATIONS = 6.0  # of the relatedness of strangers
_LARGEST = 0.1  # of the samples: beyond, everybody is related, as in a cross
_BLOCK = 1024


def find_relatives(calls: np.ndarray) -> np.ndarray | None:
    """Groups of samples connected by pairs that share alleles as second-degree relatives do, or more.

    The relatedness of two samples is the mean product of their standardised dosages (VanRaden 2008). Pairs
    above 0.2, and above six deviations of its values between strangers, are related. None are where sites are
    too few to tell siblings, or one group has a tenth of the samples (crosses, inbred lines, populations far
    apart). Of calls (n_samples, n_sites), dosages, the number (n_samples,) of each sample's group from 0;
    None where no two samples are related.
    """
    n, n_sites = calls.shape
    columns = calls[:, np.unique(np.linspace(0, n_sites - 1, min(n_sites, _SITES)).astype(int))]
    known = columns != MISSING
    mean = (columns * known).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    x = np.where(known, columns - mean, 0).astype(np.float32)
    spread = x.std(axis=0)
    x = x[:, spread > 0] / spread[spread > 0]
    if n < 2 or not x.shape[1]:
        return None
    first, second = [], []
    threshold = _RELATED
    for start in range(0, n, _BLOCK):
        shared = x[start : start + _BLOCK] @ x[start:].T / x.shape[1]
        if start == 0:
            strangers = shared[np.triu_indices(len(shared), 1)]
            # The median of absolute deviations is not moved by the few pairs of relatives.
            deviation = 1.4826 * float(np.median(np.abs(strangers - np.median(strangers))))
            threshold = max(_RELATED, _DEVIATIONS * deviation)
            if threshold > _TOLD:
                return None
        i, j = np.nonzero(np.triu(shared > threshold, 1))
        first.append(i + start)
        second.append(j + start)
    a, b = np.concatenate(first), np.concatenate(second)
    if not len(a):
        return None
    graph = sparse.coo_array((np.ones(len(a), dtype=np.int8), (a, b)), shape=(n, n))
    label = connected_components(graph, directed=False)[1].astype(np.int64)
    size = np.bincount(label)
    if size.max() > _LARGEST * n:
        _log.info("relatives: one group has %d of %d samples; splits are of samples", size.max(), n)
        return None
    _log.info("relatives: %d samples in %d groups stay together", size[size > 1].sum(), (size > 1).sum())
    return label


def relative_folds(
    groups: np.ndarray | None, n: int, folds: int, seed: int | np.random.Generator
) -> np.ndarray:
    """Random folds of about equal size that keep relatives together: shape (n,), from 0."""
    rng = np.random.default_rng(seed)
    if groups is None:
        return rng.permutation(n) % folds
    return assign_relatives(groups, np.full(folds, n / folds), rng)


def assign_relatives(groups: np.ndarray, quota: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A part for each sample: groups of relatives at random, each to the part that lacks the largest share.

    Groups (n_samples,) are numbered from 0; ``quota`` (n_parts,) is how many samples each part is to have.
    """
    size = np.bincount(groups)
    needed, part = quota.astype(float), np.zeros(len(size), dtype=np.int64)
    for group in rng.permutation(len(size)):
        chosen = int(np.argmax(needed / np.maximum(quota, 1e-300)))
        part[group] = chosen
        needed[chosen] -= size[group]
    return part[groups]
