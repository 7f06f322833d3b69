"""Hyper-attention models of epistasis as estimators of scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from genoattn.cohort import Phenotype
from genoattn.errors import InputError
from genoattn.estimators.estimator_base import HyperAttentionEstimator
from genoattn.estimators.feature_matrix import XEncoding
from genoattn.fitting.trait_units import in_trait_units
from genoattn.io.alphabets import Alphabet
from genoattn.model.link import LinkKind
from genoattn.model.phenotype_likelihood import LikelihoodKind
from genoattn.model.train_config import EstimatorKind
from genoattn.tokens.gauge_centre import Gauge


class HyperAttentionRegressor(RegressorMixin, HyperAttentionEstimator):
    r"""Regression on alleles, residues or numbers and their interactions, by hyper-attention.

    The expected value of y is ``g(phi(x))``, with a link g (the identity by default) and

        phi(x) = b + sum_i w_i(x_i) + sum_{i<j} w_ij(x_i, x_j) + ... up to ``order`` features at once.

    Of copies of an allele, and of numbers, ``w_i(x_i)`` is a coefficient times ``(x_i - m_i)``, and
    ``w_ij(x_i, x_j)`` a coefficient times ``(x_i - m_i)(x_j - m_j)``, where the gauge sets m. Of letters
    there is a coefficient for each state, and each pair of states. HyperAttention shares factors between all
    sets of features, and ``interactions_`` lists the coefficients: the sum of its rows is ``phi``.

    Parameters
    ----------
    order
        Largest number of features that act together, at most that of X; ``"all"`` at once, or ``"auto"`` to
        compare orders on validation samples (letters, or the genotype encoding).
    gauge
        Convention that makes coefficients unique: ``frequency``, ``zero-sum`` or ``reference``. Of numbers
        that are no copies, the reference is the least value in training, and ``zero-sum`` the middle of their
        range. Predictions do not depend on it.
    encoding
        ``auto``: letters are states (``sequence``), numbers of 0 to ``ploidy`` copies of an allele
        (``dosage``), and where any lies outside, all columns are other numbers (``numeric``). Those are
        scaled by the range of each column for the fit, and the coefficients are per unit of X. ``genotype``:
        a coefficient for each number of copies.
    link, estimator, rank, penalty, max_epochs, max_terms, budget, device
        As of :class:`genoattn.FitConfig` and its training settings. ``estimator="ridge"`` is the quickest.
    likelihood
        ``auto`` (gaussian), ``student``, ``poisson`` or ``negative-binomial``.
    validation_fraction
        Share of the samples that stops the training; then the model is trained again on all of them. None are
        set aside of fewer than 20 samples, or 3 of a class: the training lasts ``max_epochs``.
    assess
        Whether signals are sought among the pairs of genotypes, which gives them q-values, and the model is
        measured in folds (``result_.metrics``), at several times the cost.
    alpha
        False discovery rate of these signals.
    ploidy
        Most copies of an allele.
    sites
        Frame with any of the columns ``id``, ``chrom``, ``pos``, ``ref``, ``alt``, a row for each column of
        X. By default names of the columns of a frame X are IDs.
    alphabet
        Of sequences: ``auto``, ``dna``, ``diploid``, ``protein`` or ``symbols``.
    reference
        Sequence, or state of each column, of the reference gauge; that of the first sample if None.
    handle_unknown
        A letter that no training sample had is an ``error``, or missing (``ignore``).
    random_state
        Seed of the split, of starting values and of batches.

    Attributes
    ----------
    interactions_
        The :class:`genoattn.InteractionTable`, coefficients per copy or unit of X.
    result_
        The :class:`genoattn.FitResult`; of numbers it counts in scaled units.
    n_features_in_, feature_names_in_
        Number of columns of X, or letters of a sequence; and their names where X is a frame.

    Notes
    -----
    X has a row a sample: numbers, dense or sparse, NaN where missing; or letters, of one dimension (aligned
    sequences) or two (a category a cell, None or NaN where missing). A missing call counts as the mean of the
    training samples. p-values are of terms that the model chose on the same samples.

    Examples
    --------
    >>> import numpy as np
    >>> from genoattn import HyperAttentionRegressor
    >>> rng = np.random.default_rng(1)
    >>> X = rng.integers(0, 3, (300, 8))  # copies of an allele at 8 sites
    >>> y = X[:, 0] + 2 * X[:, 2] * X[:, 5] + rng.normal(size=300)
    >>> model = HyperAttentionRegressor(random_state=1).fit(X, y)
    >>> model.interactions_.top(1)[["site_1", "site_2"]].to_numpy().tolist()
    [['site3', 'site6']]
    >>> round(model.score(X, y), 1)
    0.9
    """

    def __init__(
        self,
        order: int | str = 2,
        *,
        gauge: Gauge = "frequency",
        encoding: XEncoding = "auto",
        link: LinkKind | str = "none",
        estimator: EstimatorKind = "auto",
        likelihood: LikelihoodKind = "auto",
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
        # Named one by one, as scikit-learn reads parameters off this signature.
        super().__init__(
            order,
            gauge=gauge,
            encoding=encoding,
            link=link,
            estimator=estimator,
            rank=rank,
            penalty=penalty,
            max_epochs=max_epochs,
            validation_fraction=validation_fraction,
            max_terms=max_terms,
            assess=assess,
            alpha=alpha,
            budget=budget,
            ploidy=ploidy,
            sites=sites,
            alphabet=alphabet,
            reference=reference,
            handle_unknown=handle_unknown,
            device=device,
            random_state=random_state,
        )
        self.likelihood = likelihood

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to features X and targets y (n_samples,)."""
        name = getattr(y, "name", None)
        values, y, alphabet = self._checked(X, y=y, y_numeric=True, ensure_min_samples=2)
        y = np.asarray(y, dtype=np.float64)
        if np.ptp(y) == 0:
            raise InputError(f"y is {y[0]:g} for all samples; a model needs a trait that varies")
        phenotype = Phenotype("y" if name is None else str(name), y)
        return self._fit(values, X, alphabet, phenotype, likelihood=self.likelihood)

    def predict(self, X: Any) -> np.ndarray:
        """Expected y of features X, shape (n_samples,): of counts the mean."""
        return in_trait_units(self._predictor(X), self.result_.manifest)


class HyperAttentionClassifier(ClassifierMixin, HyperAttentionEstimator):
    """Classification of cases and controls by alleles, residues or numbers and their interactions.

    The log-odds of the second class, ``classes_[1]``, are ``g(phi(x))``, with the model, parameters and
    features of :class:`genoattn.HyperAttentionRegressor`, but for ``likelihood``, which is Bernoulli's:

        P(y = classes_[1] | x) = 1 / (1 + exp(-g(phi(x)))).

    More than two classes are for :class:`sklearn.multiclass.OneVsRestClassifier`.

    Attributes
    ----------
    classes_
        The two classes, sorted.
    interactions_, result_, n_features_in_, feature_names_in_
        As of the regressor; coefficients are log-odds.

    Examples
    --------
    >>> import numpy as np
    >>> from genoattn import HyperAttentionClassifier
    >>> rng = np.random.default_rng(1)
    >>> X = rng.integers(0, 3, (400, 6))
    >>> y = np.where(X[:, 1] * X[:, 4] + rng.normal(size=400) > 1, "case", "control")
    >>> model = HyperAttentionClassifier(random_state=1, max_epochs=50).fit(X, y)
    >>> model.classes_.tolist(), model.predict_proba(X).shape
    (['case', 'control'], (400, 2))
    >>> model.interactions_.top(1)[["site_1", "site_2"]].to_numpy().tolist()
    [['site2', 'site5']]
    """

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to features X and classes y (n_samples,)."""
        name = getattr(y, "name", None)
        values, y, alphabet = self._checked(X, y=y, ensure_min_samples=2)
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y", raise_unknown=True)
        if kind != "binary":
            raise InputError(
                f"Only binary classification is supported. The type of the target is {kind}. "
                "For several classes use sklearn.multiclass.OneVsRestClassifier"
            )
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise InputError(
                f"y has one class, {self.classes_[0]}; a classifier needs samples of two classes"
            )
        phenotype = Phenotype("y" if name is None else str(name), codes.astype(np.float64), binary=True)
        return self._fit(values, X, alphabet, phenotype)

    def decision_function(self, X: Any) -> np.ndarray:
        """Log-odds of ``classes_[1]``, shape (n_samples,)."""
        return self._predictor(X)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of each of ``classes_``, shape (n_samples, 2)."""
        odds = self._predictor(X)
        return np.column_stack([expit(-odds), expit(odds)])

    def predict(self, X: Any) -> np.ndarray:
        """The likelier class, shape (n_samples,)."""
        is_second = self._predictor(X) > 0
        return self.classes_[is_second.astype(int)]
