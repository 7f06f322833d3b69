"""Slow definitions of what genoattn.attention computes: loops over entities and tokens, nothing shared."""

from itertools import combinations, permutations, product
from math import prod

import numpy as np
import torch


def tuples(i, order, present, distinct):
    """Every (i, j1, .., j(order-1)) that takes part in the sum for entity i."""
    for others in product(present, repeat=order - 1):
        chosen = (i, *others)
        if not distinct or len(set(chosen)) == order:
            yield chosen


def present_entities(mask, sample, n_entities):
    return [i for i in range(n_entities) if mask is None or mask[sample, i]]


def attention(x, order, score, value, *, mask=None, distinct=False, softmax=False):
    """out[b, i] = sum over tuples of score(tuple) * value(tuple), both of embeddings, by loops."""
    n_batch, n_entities = x[0].shape[:2]
    rows = []
    for b in range(n_batch):
        present = present_entities(mask, b, n_entities)
        for i in range(n_entities):
            entities = {j: [f[b, j] for f in x] for j in range(n_entities)}
            chosen = list(tuples(i, order, present, distinct)) if i in present else []
            if not chosen:
                rows.append(None)
                continue
            scores = torch.stack([score(*[entities[j] for j in t]) for t in chosen])
            values = torch.stack([value(*[entities[j] for j in t[1:]]) for t in chosen])
            weights = torch.softmax(scores, dim=0) if softmax else scores
            rows.append((weights[:, None] * values).sum(dim=0))
    width = next(len(r) for r in rows if r is not None)
    zero = torch.zeros(width, dtype=x[0].dtype)
    return torch.stack([zero if r is None else r for r in rows]).reshape(n_batch, n_entities, width)


def linear_attention(module, x, mask=None, softmax=False):
    """Each head by the definition x_i^T C x_j, x_j^T W."""
    return sum(
        attention(
            [x],
            2,
            lambda i, j, c=c: i[0] @ c @ j[0],
            lambda j, w=w: j[0] @ w,
            mask=mask,
            distinct=module.distinct,
            softmax=softmax,
        )
        for c, w in zip(module.interaction, module.value, strict=True)
    )


def feature_attention(module, features, mask=None, softmax=False):
    """Products over features of x_i^T C x_j and of x_j^T W."""
    total = 0
    for h in range(module.n_heads):
        cs, ws = [c[h] for c in module.interaction], [w[h] for w in module.value]
        total = total + attention(
            features,
            2,
            lambda i, j, cs=cs: prod(a @ c @ b for a, c, b in zip(i, cs, j, strict=True)),
            lambda j, ws=ws: prod(b @ w for b, w in zip(j, ws, strict=True)),
            mask=mask,
            distinct=module.distinct,
            softmax=softmax,
        )
    return total


def hyper_attention(module, x, mask=None, softmax=False):
    """sum_r q_r(i) prod_m k^m_r(j_m) times prod_m v^m(j_m)."""
    total = 0
    for h in range(module.n_heads):
        q, ks, vs = module.query[h], module.keys[:, h], module.values[:, h]

        def score(i, *others, q=q, ks=ks):
            return prod((j[0] @ k for j, k in zip(others, ks, strict=True)), start=i[0] @ q).sum()

        def value(*others, vs=vs):
            return prod(j[0] @ v for j, v in zip(others, vs, strict=True))

        total = total + attention(
            [x], module.order, score, value, mask=mask, distinct=module.distinct, softmax=softmax
        )
    return total


def distinct_sum(f):
    """f of shape (factor, entity): the sum over ordered distinct entities."""
    return sum(
        prod(f[m][i] for m, i in enumerate(chosen)) for chosen in permutations(range(f.shape[1]), len(f))
    )


def elementary_symmetric(u, order):
    """u of shape (batch, entity, rank)."""
    return sum(u[:, list(chosen)].prod(dim=1) for chosen in combinations(range(u.shape[1]), order))


def pooled_value(factors, tokens):
    """The sum over ordered distinct entities of prod_m F_m[token] of one sample, (channel,)."""
    order = len(factors)
    return sum(
        np.prod([factors[m][tokens[e]] for m, e in enumerate(chosen)], axis=0).sum(axis=0)
        for chosen in permutations(range(len(tokens)), order)
    )


def tokens_by_site(site):
    return [np.flatnonzero(site == s) for s in range(site.max() + 1)]


def gauge_coefficients(factors, site, weights):
    """Every coefficient of every order by projecting the landscape of all genotypes, {tokens: (channel,)}.

    The projection that defines the gauge: average over the sites outside the term, and for each site of the
    term take the value at the token less the average.
    """
    states = tokens_by_site(site)
    n_sites = len(states)
    shape = [len(s) for s in states]
    landscape = np.stack([pooled_value(factors, genotype) for genotype in product(*states)])
    landscape = landscape.reshape(*shape, -1)
    found = {}
    for order in range(n_sites + 1):
        for sites in combinations(range(n_sites), order):
            part = landscape
            for s in range(n_sites):
                mean = np.tensordot(weights[states[s]], part, axes=(0, s))
                mean = np.expand_dims(mean, s)
                part = part - mean if s in sites else mean
            for genotype in product(*[range(len(states[s])) for s in sites]):
                index = [0] * n_sites
                for s, g in zip(sites, genotype, strict=True):
                    index[s] = g
                tokens = tuple(int(states[s][g]) for s, g in zip(sites, genotype, strict=True))
                found[tokens] = part[tuple(index)]
    return found


def top_terms(axes, site, k, scale=None):
    """All sets of tokens at distinct sites, scored and sorted."""
    order = len(axes)
    rows = []
    for tokens in combinations(range(len(site)), order):
        if len(set(site[list(tokens)])) < order:
            continue
        coefficient = np.prod([axes[m][t] for m, t in enumerate(tokens)], axis=0).sum()
        score = abs(coefficient) if scale is None else (coefficient * scale[list(tokens)].prod()) ** 2
        rows.append((-score, tokens, coefficient))
    rows = sorted(r for r in rows if r[0] < 0)[:k]
    return [r[1] for r in rows], np.array([r[2] for r in rows])
