"""Closed forms: ridge regression, sparse pairs read off the scores, the Gaussian process.

Arrays of these names are the same here and in ``inference``: ``columns`` (n_samples, n_columns),
standardised, and their ``site`` (n_columns,), ascending; ``phenotype`` (n_samples,) and its ``residual``
(n_samples,) after the additive model; ``covariates`` (n_samples, n_covariates), without an intercept;
``shapes`` (n_ranks, 2, n_columns), factors of pairs, and the ``strength`` (n_ranks,) of each.
"""
