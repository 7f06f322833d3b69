"""Claims that a fit supports: error rates, linkage, phantoms, stability."""
