"""What of a fit can be claimed: error rates, linkage, phantoms, stability."""
