"""The screen: a bound on the statistic of every pair, which leaves few for the exact test."""
