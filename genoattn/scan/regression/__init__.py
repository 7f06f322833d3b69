"""Exact tests of pairs by least squares, one by one and whole tiles at a time."""
