"""The complete fit of a cohort: settings, split, choice of the estimator, training, metrics, files."""
