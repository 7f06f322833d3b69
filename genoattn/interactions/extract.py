"""A fitted readout to factors, and factors to the rows of an interaction table."""

from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import pandas as pd

from genoattn.cohort import Sites
from genoattn.interactions.columns import q_values
from genoattn.interactions.descriptions import RARE_SAMPLES, Descriptions
from genoattn.interactions.estimates import Estimates, TestedTerms
from genoattn.interactions.expansion import Expansion, Factors, ProductFactors
from genoattn.interactions.proxies import LINKED_R2
from genoattn.interactions.schema import SITE_COLUMNS, estimand, table_columns
from genoattn.interactions.terms import count_terms, is_listed
from genoattn.model.link import LinkKind
from genoattn.model.phenotype_likelihood import COUNTS, LikelihoodKind
from genoattn.model.readout import Readout
from genoattn.tokens import Vocabulary

_MOST_TRIPLES = 3e11  # triples times ranks that are searched, and their coefficients made in three gauges


def readout_factors(readout: Readout, vocabulary: Vocabulary) -> Factors:
    """The parameters of a readout in float64, per unit of dosage or per state."""

    def array(tensor: object) -> np.ndarray:
        return tensor.detach().cpu().double().numpy()  # type: ignore[attr-defined]

    scale = array(readout.scale)
    product = None
    if readout.product is not None:
        values, n_columns = array(readout.product.values().T), vocabulary.n_columns
        product = ProductFactors(
            values,
            array(readout.product.weights),
            product_order(n_columns, vocabulary.n_sites, values.shape[1]),
        )
    return Factors(
        vocabulary,
        float(readout.bias.detach()),
        array(readout.additive_values()) / scale,
        {order: array(readout.factor_values(order)) / scale for order in readout.orders},
        {order: array(readout.weights[str(order)]) for order in readout.orders},
        known=np.isfinite(scale),
        product=product,
    )


def product_order(n_columns: int, n_sites: int, rank: int) -> int:
    """Largest order of the table of a product of all orders: 3, or 2 where triples are too many to search."""
    return min(n_sites, 3 if comb(n_columns, 3) * rank <= _MOST_TRIPLES else 2)


def table_rows(expansion: Expansion, sites: Sites, tested: TestedTerms, max_order: int) -> pd.DataFrame:
    """Rows of the interaction table in one gauge, by evidence.

    They are sorted by p-value, then by |coefficient|, in units of its standard deviation where it has one.
    Where inference has ranked the pairs, the k-th pair in that order stands where the pair with the k-th
    smallest p-value would: a pair may be likelier than its own p-value says, by the pairs around it. Pairs
    that are not claimed and have no test of their own come last.
    q-values are Benjamini-Hochberg over all terms of the order that could have been reported; those that
    are not in the table count as p = 1. Where inference has made claims, they are those of its signals;
    where it could not, pairs of genotypes have none. In the reference gauge rows of the reference state are
    left out: their coefficient is zero by definition.
    """
    orders = [order for order in sorted(tested.terms) if order <= max_order]
    frame = pd.concat([_order_rows(expansion, sites, tested, k) for k in orders], ignore_index=True)
    frame["place"] = frame.get("place", np.nan)
    frame["size"] = frame["coefficient"].abs() / frame["coefficient_sd"].fillna(1.0)
    frame = frame.sort_values(["p_value", "size"], ascending=[True, False], kind="stable", na_position="last")
    ranked = np.flatnonzero(frame["place"].notna())
    order = np.arange(len(frame))
    pairs = frame.iloc[ranked]
    untested = pairs["p_value"].isna() & (pairs["q_value"] == 1)
    order[ranked] = ranked[np.lexsort((pairs["place"], untested))]
    frame = frame.iloc[order]
    frame = frame.reindex(columns=table_columns(max_order)).reset_index(drop=True)
    positions = [f"pos_{k}" for k in range(1, max_order + 1)]
    texts = [f"{name}_{k}" for name in SITE_COLUMNS if name != "pos" for k in range(1, max_order + 1)]
    frame = frame.astype(dict.fromkeys([*positions, "n_samples"], "Int64"))
    frame[texts] = frame[texts].astype(object).fillna("").astype(str)
    repeated = repeats(frame, two_state_sites(expansion.vocabulary, sites))
    frame["flag"] = with_flag(frame["flag"], "repeat", repeated)
    return frame


def phenotype_units(trait: str, transform: str, likelihood: LikelihoodKind, link: LinkKind) -> str:
    """Units of a coefficient in words."""
    suffix = {"none": "", "log": ", natural log", "rank": ", rank-normalised"}[transform]
    units = f"units of {trait}{suffix}"
    if likelihood == "bernoulli":
        units = "log-odds"
    elif likelihood in COUNTS:
        units = f"natural log of the mean of {trait}"
    return (
        units if link == "none" else f"latent units before the link, with the mean and sd of {units} after it"
    )


def describe_tests(tested: TestedTerms, expansion: Expansion, units: str) -> dict[str, Any]:
    """``estimand`` and ``tests`` of the manifest of a table in the gauge of ``expansion``."""
    words = estimand(expansion.vocabulary.encoding, expansion.gauge, units, tested.method)
    record = {"method": tested.method, "reason": tested.reason}
    if expansion.gauge in tested.untested:
        record["untested"] = tested.untested[expansion.gauge]
    if tested.signals:
        record["signals"] = tested.signals
    return {"estimand": words, "tests": record}


def two_state_sites(vocabulary: Vocabulary, sites: Sites) -> frozenset[str]:
    """IDs of the sites whose tokens are two states, so that either says what the other does."""
    if vocabulary.is_dosage:
        return frozenset()
    seen = np.bincount(vocabulary.site, vocabulary.variance > 0, vocabulary.n_sites)
    return frozenset(sites.ids[(seen == 2) & (vocabulary.n_states == 2)].tolist())


def repeats(frame: pd.DataFrame, two_state: frozenset[str]) -> np.ndarray:
    """Rows whose contrast an earlier row has: same sites, at those of more than two states the same state.

    Shape (n_rows,), bool. In the reference gauge, which lists one state of two, there are none.
    """
    if not two_state:
        return np.zeros(len(frame), dtype=bool)
    keys = pd.DataFrame({"order": frame["order"]})
    for k in range(1, sum(str(name).startswith("site_") for name in frame) + 1):
        site, state = frame[f"site_{k}"], frame[f"state_{k}"]
        keys[f"site_{k}"], keys[f"state_{k}"] = site, state.where(~site.isin(two_state), "")
    return keys.duplicated().to_numpy()


def _order_rows(expansion: Expansion, sites: Sites, tested: TestedTerms, order: int) -> pd.DataFrame:
    v, claims = expansion.vocabulary, tested.claims.get(order)
    kept = is_listed(v, tested.terms[order], expansion.gauge)
    columns, described = tested.terms[order][kept], tested.descriptions[order].select(kept)
    estimates = tested.estimates[expansion.gauge][order].select(kept)
    rows: dict[str, Any] = {"order": np.full(len(columns), order)}
    for k in range(order):
        site, state = v.site[columns[:, k]], v.state[columns[:, k]]
        rows[f"site_{k + 1}"], rows[f"chrom_{k + 1}"] = sites.ids[site], sites.chrom[site]
        rows[f"pos_{k + 1}"], rows[f"ref_{k + 1}"] = sites.pos[site], sites.ref[site]
        labels = [
            sites.alt[s] if v.is_dosage else sites.states[s][a] for s, a in zip(site, state, strict=True)
        ]
        rows[f"state_{k + 1}"] = np.array(labels, dtype=object)
    if claims is not None:
        q_value = claims.q_value[kept]
    elif order == 2 and tested.signals:  # nothing has told pairs of genotypes from what looks like them
        q_value = np.full(len(columns), np.nan)
    else:
        q_value = q_values(estimates.p_value, count_terms(v, order, expansion.gauge))
    rows |= {
        "coefficient": expansion.coefficients(columns),
        "coefficient_sd": estimates.coefficient_sd,
        "effect": estimates.effect,
        "se": estimates.se,
        "statistic": estimates.statistic,
        "p_value": estimates.p_value,
        "q_value": q_value,
        "n_samples": described.n_samples,
        "frequency": described.frequency,
        # The intercept explains no variance about the mean.
        "variance_explained": estimates.variance_explained if order else np.full(len(columns), np.nan),
        "r2_ld": described.r2_ld,
        "flag": _flags(v, sites, columns, described, estimates),
    }
    if claims is not None:
        rows["flag"] = with_flag(rows["flag"], "phantom", claims.phantom[kept])
        rows["place"] = claims.place[kept]
    if order in tested.proxies:
        rows["flag"] = with_flag(rows["flag"], "proxy", tested.proxies[order][kept])
    return pd.DataFrame(rows)


def _flags(
    vocabulary: Vocabulary, sites: Sites, columns: np.ndarray, described: Descriptions, estimates: Estimates
) -> np.ndarray:
    """``linked`` (r2 of two sites at least 0.1, or alleles of one record), ``rare`` or ``unseen``."""
    site = vocabulary.site[columns]
    linked = np.nan_to_num(described.r2_ld) >= LINKED_R2
    if any(sites.alt):  # alleles of one record exclude each other; columns of an alignment have no chromosome
        for a, b in combinations(site.T, 2):
            linked |= (sites.chrom[a] == sites.chrom[b]) & (sites.pos[a] == sites.pos[b])
    unseen = (described.carriers == 0) & np.isnan(estimates.effect)
    flags = with_flag(np.full(len(columns), "", dtype=object), "linked", linked)
    flags = with_flag(flags, "rare", (described.carriers < RARE_SAMPLES) & ~unseen)
    return with_flag(flags, "unseen", unseen)


def with_flag(flags: np.ndarray | pd.Series, name: str, where: np.ndarray) -> np.ndarray:
    """Flags (n_rows,) with another one where it holds, separated by semicolons as in a VCF's FILTER."""
    old = np.asarray(flags, dtype=object)
    return np.where(where, np.where(old == "", name, old + ";" + name), old)
