"""Closed forms: ridge regression, sparse pairs read off the scores, the Gaussian process."""
