"""Combinations of mutations of a sequence, and their predictions under a fitted model."""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np

from genoattn.interactions.expansion import Expansion
from genoattn.interactions.extract import readout_factors
from genoattn.model.prediction import predict_orders
from genoattn.model.readout import Readout
from genoattn.tokens import Vocabulary
from genoattn.tokens.vocabulary import count_choices


@dataclass(frozen=True, eq=False)
class Landscape:
    """Every sequence of a model's states, seen from one of them.

    Parameters
    ----------
    base
        Shape (n_sites,), int8: the state of the starting sequence at each site.
    sign
        1 to look for large values, -1 for small ones.
    """

    readout: Readout
    vocabulary: Vocabulary
    base: np.ndarray
    sign: float = 1.0

    @cached_property
    def tokens(self) -> np.ndarray:
        """Shape (n_tokens,), columns of the single mutations: states seen in training, other than the base's.

        Ascending, so that the tokens of a site are neighbours.
        """
        v = self.vocabulary
        return np.flatnonzero((v.variance > 0) & (v.state != self.base[v.site]))

    @cached_property
    def sites(self) -> np.ndarray:
        """Shape (n_tokens,), the site of each token, ascending."""
        return self.vocabulary.site[self.tokens]

    def count(self, most: int) -> list[int]:
        """Number of combinations of exactly 0, 1, .. ``most`` mutations, in Python's integers."""
        return count_choices(np.unique(self.sites, return_counts=True)[1], most)

    def calls(self, sets: np.ndarray) -> np.ndarray:
        """Sequences of combinations: shape (n_sets, n_sites), int8.

        Parameters
        ----------
        sets
            Shape (n_sets, n_mutations), indices into ``tokens`` at distinct sites.
        """
        out = np.tile(self.base, (len(sets), 1))
        rows = np.arange(len(sets))[:, None]
        out[rows, self.sites[sets]] = self.vocabulary.state[self.tokens][sets]
        return out

    def latent(self, sets: np.ndarray) -> np.ndarray:
        """Latent phenotype of combinations with covariates at 0, shape (n_sets,)."""
        covariates = np.zeros((len(sets), len(self.readout.covariate)))
        return predict_orders(self.readout, self.calls(sets), covariates).sum(axis=1)

    def score(self, sets: np.ndarray) -> np.ndarray:
        """Objective of the search: the latent phenotype, or its negative; shape (n_sets,)."""
        return self.sign * self.latent(sets)

    @cached_property
    def expansion(self) -> Expansion:
        """The model in the reference gauge of the base sequence: a coefficient for each set of mutations."""
        vocabulary = replace(self.vocabulary, reference=self.base.astype(np.int64))
        return Expansion(readout_factors(self.readout, vocabulary), "reference")

    def parts(self, sets: np.ndarray, order: int) -> np.ndarray:
        """Contributions of single mutations, pairs, .. of a combination to the latent phenotype of the base.

        Parameters
        ----------
        sets
            Shape (n_sets, n_mutations), indices into ``tokens``.

        Returns
        -------
        Shape (n_sets, order); its rows sum to the latent phenotype less that of the base.
        """
        out = np.zeros((len(sets), order))
        for k in range(1, min(order, sets.shape[1]) + 1):
            for chosen in combinations(range(sets.shape[1]), k):
                terms = np.sort(self.tokens[sets[:, list(chosen)]], axis=1)
                out[:, k - 1] += self.expansion.coefficients(terms)
        return out
