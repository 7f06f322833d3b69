"""What the estimators of scikit-learn share: parameters, features and fit."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from genoattn.cohort import Cohort, Phenotype
from genoattn.errors import InputError
from genoattn.estimators.feature_matrix import (
    X_ENCODINGS,
    NumberColumns,
    StateColumns,
    XEncoding,
    category_cohort,
    is_text,
    sequence_cohort,
    sequence_letters,
)
from genoattn.fitting.fit import fit
from genoattn.io.alphabets import Alphabet, Letters
from genoattn.model.link import LinkKind
from genoattn.model.prediction import predict_orders, respond
from genoattn.model.train_config import EstimatorKind
from genoattn.tokens.gauge_centre import Gauge

_LEAST_TO_SPLIT, _LEAST_OF_A_CLASS = 20, 3  # samples, below which none are set aside to stop the training
_log = logging.getLogger(__name__)


class HyperAttentionEstimator(BaseEstimator):
    """Parameters, features and fit of both estimators."""

    def __init__(
        self,
        order: int | str = 2,
        *,
        gauge: Gauge = "frequency",
        encoding: XEncoding = "auto",
        link: LinkKind | str = "none",
        estimator: EstimatorKind = "auto",
        rank: int | None = None,
        penalty: float = 1.0,
        max_epochs: int = 500,
        validation_fraction: float = 0.15,
        max_terms: int = 50_000,
        assess: bool = False,
        alpha: float = 0.05,
        budget: float = 240.0,
        ploidy: int = 2,
        sites: pd.DataFrame | None = None,
        alphabet: Alphabet = "auto",
        reference: str | Sequence[str] | None = None,
        handle_unknown: str = "error",
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.order = order
        self.gauge = gauge
        self.encoding = encoding
        self.link = link
        self.estimator = estimator
        self.rank = rank
        self.penalty = penalty
        self.max_epochs = max_epochs
        self.validation_fraction = validation_fraction
        self.max_terms = max_terms
        self.assess = assess
        self.alpha = alpha
        self.budget = budget
        self.ploidy = ploidy
        self.sites = sites
        self.alphabet = alphabet
        self.reference = reference
        self.handle_unknown = handle_unknown
        self.device = device
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.input_tags.string = True
        return tags

    def _checked(self, X: Any, **options: Any) -> tuple[np.ndarray, Any, Letters | None]:
        """Features (n_samples, n_features), y where one is among the options, and the alphabet of sequences.

        They are float64 with NaN where missing, or strings with None where missing.
        """
        alphabet: Letters | None = None
        text = is_text(X)
        if text and not isinstance(X, pd.DataFrame) and np.ndim(X) == 1:
            known = getattr(self, "alphabet_", None) if not options.get("reset", True) else None
            X, alphabet = sequence_letters(X, self.alphabet if known is None else known)
        settings = {"dtype": object if text else np.float64, "ensure_all_finite": "allow-nan"}
        found = validate_data(self, X, **settings, accept_sparse=not text and ["csr", "csc"], **options)
        X, y = found if "y" in options else (found, None)
        if hasattr(X, "toarray"):  # sparse: a cohort is dense
            X = X.toarray()
        if text:
            missing = pd.isna(X)
            X = X.astype(str).astype(object)
            X[missing] = None
        return X, y, alphabet

    def _cohort(self, X: np.ndarray, given: Any, alphabet: Letters | None) -> Cohort:
        """The cohort of the training samples without a phenotype; sets what their features are."""
        names = getattr(self, "feature_names_in_", None)
        self.alphabet_ = alphabet
        if X.dtype != object:
            if self.encoding == "sequence":
                raise InputError("X has numbers, and encoding 'sequence' needs letters; give X.astype(str)")
            numbers = NumberColumns.of(X, self.encoding, self.ploidy)
            self.features_: NumberColumns | StateColumns = numbers
            return numbers.cohort(X, names, self.sites)
        if self.encoding not in ("auto", "sequence"):
            raise InputError(f"X has strings, and encoding {self.encoding!r} needs numbers; use 'sequence'")
        if self.sites is not None:
            raise InputError("sites are for numbers, and X has strings; leave them out, or name its columns")
        if alphabet is None:
            cohort = category_cohort(X, names, self.reference)
        else:
            if not isinstance(self.reference, str | None):
                raise InputError("reference is a list, and X has sequences; give one sequence")
            cohort = sequence_cohort(given, alphabet, self.reference)
        self.features_ = StateColumns(cohort.sites.states, self.handle_unknown == "ignore")
        return cohort

    def _fit(
        self, X: np.ndarray, given: Any, alphabet: Letters | None, phenotype: Phenotype, **more: Any
    ) -> Self:
        """Fit to checked features and the phenotype of the samples."""
        if self.encoding not in X_ENCODINGS:
            raise InputError(f"encoding {self.encoding!r} is unknown; choose one of {', '.join(X_ENCODINGS)}")
        if self.handle_unknown not in ("error", "ignore"):
            raise InputError(f"handle_unknown is {self.handle_unknown!r}; choose error or ignore")
        cohort = replace(self._cohort(X, given, alphabet), phenotype=phenotype)
        n, order, y = cohort.n_samples, self.order, phenotype.values
        if isinstance(order, Integral) and order > cohort.n_sites:
            _log.info("order %d of %d features is order %d", order, cohort.n_sites, cohort.n_sites)
            order = cohort.n_sites
        rarest = min((y == 0).sum(), (y == 1).sum()) if phenotype.binary else n
        validation = self.validation_fraction
        if n < _LEAST_TO_SPLIT or rarest < _LEAST_OF_A_CLASS:
            _log.info("%d samples are too few to set some aside: training is not stopped early", n)
            validation = 0.0
        encoding = self.features_.encoding
        self.result_ = fit(
            cohort,
            order=order,
            gauge=self.gauge,
            encoding="dosage" if encoding == "numeric" else encoding,
            link=self.link,
            estimator=self.estimator,
            rank=self.rank,
            penalty=self.penalty,
            max_epochs=self.max_epochs,
            validation=validation,
            test=0.0,
            refit=True,
            max_terms=self.max_terms,
            assess=self.assess,
            alpha=self.alpha,
            budget=self.budget,
            device=self.device,
            seed=_seed(self.random_state),
            **more,
        )
        self.interactions_ = self.features_.in_units_of_features(self.result_.table)
        return self

    def _predictor(self, X: Any) -> np.ndarray:
        """Predictions (n_samples,) on the scale of the model: log-odds, or logarithms of means of counts."""
        check_is_fitted(self)
        values = self._checked(X, reset=False)[0]
        if (values.dtype == object) != isinstance(self.features_, StateColumns):
            words = ("numbers", "strings") if values.dtype == object else ("strings", "numbers")
            raise InputError(f"the model was fitted on {words[0]}, and X has {words[1]}; give it the same")
        calls = self.features_.calls(values)
        readout = self.result_.readout
        return respond(readout, predict_orders(readout, calls, np.zeros((len(calls), 0))).sum(axis=1))


def _seed(random_state: int | np.random.RandomState | None) -> int:
    """A seed by scikit-learn's rules; an integer is the seed itself."""
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))
