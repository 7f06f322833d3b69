"""Slow definitions of what genoattn computes from cohorts: loops over entities, states and samples."""

from itertools import combinations, permutations, product
from math import prod

import numpy as np
import statsmodels.api as sm
import torch

from genoattn.cohort import Cohort, Covariates, Phenotype, Sites
from genoattn.model.readout import Readout

KIND = {"dosage": "genotype", "genotype": "genotype", "sequence": "sequence"}  # of a cohort for an encoding


def random_calls(rng, n_samples, n_states, missing=0.0):
    """Uneven state frequencies, every state of every site seen at least once; -1 where missing."""
    columns = []
    for k in n_states:
        calls = rng.choice(k, n_samples, p=rng.dirichlet(np.full(k, 4.0)))
        calls[rng.permutation(n_samples)[:k]] = np.arange(k)
        columns.append(calls)
    calls = np.stack(columns, axis=1).astype(np.int8)
    hidden = rng.random(calls.shape) < missing
    return np.where(hidden, -1, calls).astype(np.int8)


def make_cohort(calls, n_states, kind, phenotype=None, binary=False, covariates=None):
    """A cohort around calls: genotypes with n_states - 1 alleles a sample, or columns of an alignment."""
    n_samples, n_sites = calls.shape
    numbers = np.arange(n_sites)
    residues = "ACDEFGHIKLMNPQRSTVWY"
    if kind == "genotype":
        alt = ["C"] * n_sites
        states = tuple(tuple("/".join("A" * (k - 1 - c) + "C" * c) for c in range(k)) for k in n_states)
    else:
        alt, states = [""] * n_sites, tuple(tuple(residues[:k]) for k in n_states)
    sites = Sites(
        [f"s{i}" for i in numbers], ["1"] * n_sites, 100 * numbers + 1, ["A"] * n_sites, alt, states
    )
    return Cohort(
        samples=[f"i{i}" for i in range(n_samples)],
        sites=sites,
        calls=calls.copy(),
        kind=kind,
        phenotype=None if phenotype is None else Phenotype("trait", phenotype, binary),
        covariates=None
        if covariates is None
        else Covariates(tuple(f"c{k}" for k in range(covariates.shape[1])), covariates),
    )


def random_readout(rng, vocabulary, ranks, n_covariates=0, tied=False, **options):
    """A float64 readout whose every parameter is random."""
    module = Readout(vocabulary, ranks, n_covariates, tied, **options).double()
    # The buffers were rounded to the default dtype on construction.
    module.mean.copy_(torch.tensor(vocabulary.mean))
    if vocabulary.is_dosage:
        spread = vocabulary.variance**0.5
        module.scale.copy_(torch.tensor(np.where(spread > 0, spread, np.inf)))
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.tensor(rng.normal(size=tuple(p.shape))))
    return module


def site_columns(vocabulary, site):
    return [c for c in range(vocabulary.n_columns) if vocabulary.site[c] == site]


def factor_value(values, vocabulary, site, state):
    """Centred value of a factor for an entity, per sd of dosage or per state; 0 if missing or unseen."""
    columns = site_columns(vocabulary, site)
    c = columns[0] if vocabulary.encoding == "dosage" else columns[int(state)]
    if state < 0 or vocabulary.variance[c] == 0:
        return 0.0
    if vocabulary.encoding == "dosage":
        return values[c] * (state - vocabulary.mean[c]) / vocabulary.variance[c] ** 0.5
    return values[c] - sum(vocabulary.mean[c] * values[c] for c in columns)


def distinct_pooled(values, tied):
    """Sum over unordered distinct sites of the symmetrised product; ``values[slot][site]``."""
    order, n_sites = len(values), len(values[0])
    total = 0.0
    for sites in combinations(range(n_sites), order):
        if tied:
            total += prod(values[0][s] for s in sites)
        else:
            total += sum(prod(values[m][s] for m, s in enumerate(p)) for p in permutations(sites))
    return total


def readout(module, vocabulary, calls, covariates):
    """Contribution of each order for each sample, by nested loops over distinct sites."""
    array = {k: v.detach().double().numpy() for k, v in module.state_dict().items()}
    additive = module.additive_values().detach().double().numpy()
    out = np.zeros((len(calls), 2 + len(module.orders)))
    for i, sample in enumerate(calls):
        out[i, 0] = array["bias"] + covariates[i] @ array["covariate"]
        out[i, 1] = sum(factor_value(additive, vocabulary, s, x) for s, x in enumerate(sample))
        for k, order in enumerate(module.orders):
            factors = module.factor_values(order).detach().double().numpy()
            for weight, slots in zip(array[f"weights.{order}"], factors, strict=True):
                slots = np.repeat(slots, order, axis=0) if module.tied else slots
                values = [[factor_value(f, vocabulary, s, x) for s, x in enumerate(sample)] for f in slots]
                out[i, 2 + k] += weight * distinct_pooled(values, module.tied)
    return out


def all_calls(n_states):
    """Every combination of states, the last site running fastest."""
    return np.array(list(product(*(range(k) for k in n_states))), dtype=np.int8)


def project(landscape, probabilities, sites, states):
    """Coefficient of a term by definition: average over the other sites, less the averages over its own.

    ``landscape`` has one axis a site; ``probabilities`` are the gauge's, one vector a site.
    """
    for axis, p in enumerate(probabilities):
        mean = np.expand_dims(np.tensordot(landscape, p, axes=(axis, 0)), axis)
        landscape = landscape - mean if axis in sites else np.broadcast_to(mean, landscape.shape)
    index = [0] * landscape.ndim
    for s, a in zip(sites, states, strict=True):
        index[s] = a
    return landscape[tuple(index)]


def polynomial(values, calls, centre):
    """Coefficient of each product of (dosage - centre), by least squares over all states: {sites: value}."""
    n_sites = calls.shape[1]
    terms = [t for size in range(n_sites + 1) for t in combinations(range(n_sites), size)]
    design = np.stack([np.prod(calls[:, list(t)] - centre[list(t)], axis=1) for t in terms], axis=1)
    solution, *_ = np.linalg.lstsq(design, values, rcond=None)
    return dict(zip(terms, solution, strict=True))


def all_terms(vocabulary, order):
    """Every ascending set of columns at distinct sites, (n_terms, order)."""
    chosen = combinations(range(vocabulary.n_columns), order)
    terms = [t for t in chosen if len({vocabulary.site[c] for c in t}) == order]
    return np.array(terms, dtype=np.int64).reshape(len(terms), order)


def term_columns(vocabulary, calls, term):
    """Uncentred columns of a term, one a slot: dosage, or indicator of the state; (n_samples, order)."""
    columns = []
    for c in term:
        state = calls[:, vocabulary.site[c]].astype(float)
        columns.append(state if vocabulary.encoding == "dosage" else (state == vocabulary.state[c]) * 1.0)
    return np.stack(columns, axis=1)


def term_regression(vocabulary, calls, phenotype, covariates, term, binary):
    """statsmodels on the complete cases: the term, its lower-order terms, covariates and an intercept.

    Returns the fit, and the fit without the term. The columns are uncentred: the coefficient of the
    highest product does not depend on that.
    """
    complete = (calls[:, vocabulary.site[list(term)]] >= 0).all(axis=1)
    x = term_columns(vocabulary, calls[complete], term)
    products = [
        x[:, list(slots)].prod(axis=1)
        for k in range(1, len(term) + 1)
        for slots in combinations(range(len(term)), k)
    ]
    design = np.column_stack([np.ones(complete.sum()), covariates[complete], *products])
    y = phenotype[complete]
    fits = [
        sm.Logit(y, d).fit(disp=0, method="newton", tol=1e-14, maxiter=100) if binary else sm.OLS(y, d).fit()
        for d in (design, design[:, :-1])
    ]
    return fits[0], fits[1]


def pair_t(a, b, y, covariates):
    """t of the product in a regression on both columns, the product and covariates."""
    return sm.OLS(y, np.column_stack([np.ones(len(y)), covariates, a, b, a * b])).fit().tvalues[-1]


def table_prediction(table, calls, covariates):
    """Prediction from the rows of a table, sample by sample: coefficient times what the row multiplies."""
    manifest, v = table.manifest, table.manifest.vocabulary
    sites = {name: k for k, name in enumerate(manifest.sites.ids)}
    out = covariates @ manifest.covariate_coefficients
    for row in table.frame.to_dict("records"):
        for i, sample in enumerate(calls):
            value = row["coefficient"]
            for k in range(1, row["order"] + 1):
                s = sites[row[f"site_{k}"]]
                if v.encoding == "dosage":
                    value *= (v.mean[s] if sample[s] < 0 else sample[s]) - manifest.centre[s]
                else:
                    a = manifest.sites.states[s].index(row[f"state_{k}"])
                    frequency = v.mean[site_columns(v, s)[a]]
                    value *= frequency if sample[s] < 0 else float(sample[s] == a)
            out[i] += value
    return out


def lasso(x, y, penalty, sweeps=2000):
    """argmin |y - x b|^2 / (2 n) + penalty |b|_1 by cyclic coordinate descent."""
    n, beta = len(y), np.zeros(x.shape[1])
    for _ in range(sweeps):
        for k in range(x.shape[1]):
            rest = y - x @ beta + x[:, k] * beta[k]
            rho = x[:, k] @ rest / n
            beta[k] = np.sign(rho) * max(abs(rho) - penalty, 0.0) / (x[:, k] @ x[:, k] / n)
    return beta


def walsh(landscape):
    """Walsh coefficients of a complete binary landscape, {sites: value}, by their definition.

    ``landscape`` has one axis of length 2 a site; the value of a set S is the mean of y(x) times the product
    over S of 1 - 2 x.
    """
    n = landscape.ndim
    points = list(product((0, 1), repeat=n))
    return {
        sites: sum(landscape[x] * prod(1 - 2 * x[s] for s in sites) for x in points) / 2**n
        for size in range(n + 1)
        for sites in combinations(range(n), size)
    }
