"""Rows of an interaction table from the tests of a scan."""

from itertools import combinations
from typing import Any

import numpy as np

from genoattn.cohort import MISSING, Cohort, Sites
from genoattn.interactions.columns import TermColumns, q_values
from genoattn.interactions.schema import table_columns
from genoattn.scan.design import Design
from genoattn.scan.exact import PairTests
from genoattn.tokens import Vocabulary

# Flags of a row: r2 of its sites from which it is linked, carriers of its joint state below which it is rare.
_LINKED_R2 = 0.1
_RARE_SAMPLES = 10


def pair_rows(
    cohort: Cohort,
    vocabulary: Vocabulary,
    design: Design,
    terms: np.ndarray,
    tests: PairTests,
    n_tests: int,
    several: bool = False,
) -> tuple[TermColumns, np.ndarray]:
    """Rows of the interaction table, sorted by p-value then |coefficient|, and which test each row is.

    ``tests`` are those of ``terms`` (n_terms, order), indices of columns, and ``n_tests`` how many tests the
    q-values are over; ``several`` says whether a test is of several products together, without one effect.
    """
    order = terms.shape[1]
    columns: dict[str, Any] = {"order": np.full(len(terms), order, dtype=np.int64)}
    for k in range(order):
        columns |= _site_columns(cohort.sites, vocabulary, terms[:, k], k + 1)
    frequency, carriers = joint_frequency(vocabulary, design.codes, terms)
    linked = (tests.r2 >= _LINKED_R2) | same_place(cohort.sites, vocabulary.site[terms])
    nothing = np.full(len(terms), np.nan)
    effect, se = (nothing, nothing) if several else _effect(tests)
    columns |= {
        "coefficient": tests.coefficient,
        "coefficient_sd": nothing,
        "effect": effect,
        "se": se,
        "statistic": tests.statistic,
        "p_value": tests.p_value,
        "q_value": q_values(tests.p_value, n_tests),
        "n_samples": tests.n_samples.astype(np.int64),
        "frequency": frequency,
        "variance_explained": tests.explained,
        "r2_ld": tests.r2,
        "flag": np.where(linked, "linked", np.where(carriers < _RARE_SAMPLES, "rare", "")).astype(object),
    }
    by_p = np.lexsort((-np.abs(tests.coefficient), tests.p_value))
    return TermColumns({name: columns[name][by_p] for name in table_columns(order)}), by_p


def _effect(tests: PairTests) -> tuple[np.ndarray, np.ndarray]:
    """The coefficient, with the standard error that goes with its test: ``effect / se`` is the statistic.

    For the likelihood ratio it is the effect over the signed root (Miettinen 1976, Am. J. Epidemiol.
    103:226).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        se = np.where(tests.statistic != 0, tests.coefficient / tests.statistic, tests.se)
    return tests.coefficient, np.abs(se)


def _site_columns(sites: Sites, vocabulary: Vocabulary, chosen: np.ndarray, k: int) -> dict[str, np.ndarray]:
    """Columns of the table for the ``k``-th site of each term."""
    site, state = vocabulary.site[chosen], vocabulary.state[chosen]
    if vocabulary.is_dosage:
        label = sites.alt[site]
    else:
        label = np.array([sites.states[s][c] for s, c in zip(site, state, strict=True)], dtype=object)
    return {
        f"site_{k}": sites.ids[site],
        f"chrom_{k}": sites.chrom[site],
        f"pos_{k}": sites.pos[site],
        f"ref_{k}": sites.ref[site],
        f"state_{k}": label,
    }


def same_place(sites: Sites, site: np.ndarray) -> np.ndarray:
    """Whether two sites of each term (n_terms, order) are at one position, as alleles of one record are."""
    out = np.zeros(len(site), dtype=bool)
    if any(sites.alt):  # columns of an alignment have no chromosome
        for a, b in combinations(range(site.shape[1]), 2):
            same = sites.chrom[site[:, a]] == sites.chrom[site[:, b]]
            out |= same & (sites.pos[site[:, a]] == sites.pos[site[:, b]])
    return out


def joint_frequency(
    vocabulary: Vocabulary, codes: np.ndarray, terms: np.ndarray, block: int = 256
) -> tuple[np.ndarray, np.ndarray]:
    """Frequency of the joint state of each term, and the number of samples that carry it.

    For dosages the mean product of dosage over ploidy, and the samples with the minor allele at every site;
    both over the samples called at all sites.
    """
    frequency, carriers = np.zeros(len(terms)), np.zeros(len(terms), dtype=np.int64)
    most = np.ones(len(codes), dtype=np.int8)
    absent = np.zeros(len(codes), dtype=np.int8)  # what a sample without the minor allele has
    if vocabulary.is_dosage:
        most = (vocabulary.n_states - 1)[vocabulary.site].astype(np.int8)
        absent = np.where(vocabulary.mean > most / 2, most, 0).astype(np.int8)
    for start in range(0, len(terms), block):
        rows = slice(start, start + block)
        chosen = terms[rows]
        kind = np.int32 if codes.dtype == np.int8 else np.float64
        product = np.ones((len(chosen), codes.shape[1]), dtype=kind)
        called, carried = np.ones(product.shape, dtype=bool), np.ones(product.shape, dtype=bool)
        for column in chosen.T:
            state = codes[column]
            product *= state
            called &= state != MISSING
            carried &= np.abs(state - absent[column][:, None]) > 0.5
        n = np.maximum(called.sum(axis=1), 1)
        share = (product * called).sum(axis=1) / most[chosen].astype(np.float64).prod(axis=1)
        frequency[rows], carriers[rows] = share / n, (carried & called).sum(axis=1)
    return frequency, carriers
