"""What has an exact solution: ridge regression, sparse pairs read off the scores, the Gaussian process."""
