"""Exact tests of pairs for binary traits, by likelihood."""
