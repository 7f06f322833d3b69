"""The scan of order 3."""
