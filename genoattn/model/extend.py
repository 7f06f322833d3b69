"""A readout that knows tokens by their features, extended to tokens that training never showed."""

from dataclasses import replace

import numpy as np
import torch

from genoattn.cohort import MISSING, Cohort, Sites
from genoattn.errors import InputError
from genoattn.model.readout import Readout
from genoattn.tokens import Vocabulary
from genoattn.tokens.token_features import token_features


def unseen_states(cohort: Cohort, sites: Sites) -> Sites:
    """The sites of a model with the states of an alignment added to those the model knows.

    Parameters
    ----------
    cohort
        Aligned sequences; genotypes have the same states always, and come back unchanged.
    """
    if cohort.kind != "sequence":
        return sites
    column = {int(p): k for k, p in enumerate(cohort.sites.pos)}
    states = []
    for k, known in enumerate(sites.states):
        own = column.get(int(sites.pos[k]))
        new: list[str] = []
        if own is not None:
            calls = cohort.calls[:, own]
            found = [cohort.sites.states[own][a] for a in np.unique(calls[calls != MISSING])]
            new = sorted(set(found) - set(known))
        states.append((*known, *new))
    return replace(sites, states=tuple(states))


def extend_readout(readout: Readout, vocabulary: Vocabulary, sites: Sites) -> tuple[Readout, Vocabulary]:
    """The readout for the states of ``sites``, those of the vocabulary and new ones of frequency 0."""
    assert readout.features is not None
    n_states = sites.n_states
    site = np.repeat(np.arange(len(sites)), n_states)
    state = np.concatenate([np.arange(k) for k in n_states])
    # Columns of a site keep their order and new ones follow, so this is the new place of each old column.
    place = np.searchsorted(site, vocabulary.site) + vocabulary.state
    mean, variance = np.zeros(len(site)), np.zeros(len(site))
    mean[place], variance[place] = vocabulary.mean, vocabulary.variance
    wide = replace(vocabulary, site=site, state=state, n_states=n_states, mean=mean, variance=variance)
    features = token_features(sites, wide, readout.features.levels)
    unknown = np.flatnonzero(features.index[list(features.levels).index("state")] < 0)
    if len(unknown):
        k = unknown[0]
        raise InputError(
            f"{sites.states[site[k]][state[k]]} at column {sites.pos[site[k]]}: "
            "no training sample had it anywhere; write X where it should count as missing"
        )
    dtype, link = readout.bias.dtype, readout.link_kind
    n_covariates = len(readout.covariate)
    out = Readout(wide, readout.ranks, n_covariates, readout.tied, features, link=link, dtype=dtype)
    old = readout.state_dict()
    kept = {name: value for name, value in out.state_dict().items() if name in dict(out.named_buffers())}
    additive = torch.zeros_like(out.additive)
    additive[torch.as_tensor(place)] = old["additive"]
    out.load_state_dict({**old, **kept, "additive": additive})
    return out.eval(), wide
