"""Attention modules whose interaction tables are exact, linear in the number of entities.

Needs torch and numpy only.
"""

from genoattn.attention.factored import FactoredTable
from genoattn.attention.feature import HyperFeatureAttention
from genoattn.attention.gauged import GaugedTable
from genoattn.attention.hyper import HyperAttention, LinearSelfAttention
from genoattn.attention.pooled import elementary_symmetric, newton
from genoattn.attention.pooled_attention import (
    PooledFeatureAttention,
    PooledHyperAttention,
    PooledLinearAttention,
)
from genoattn.attention.product import ProductAttention, ProductTerms
from genoattn.attention.top_terms import TopTerms, top_products

__all__ = [
    "FactoredTable",
    "GaugedTable",
    "HyperAttention",
    "HyperFeatureAttention",
    "LinearSelfAttention",
    "PooledFeatureAttention",
    "PooledHyperAttention",
    "PooledLinearAttention",
    "ProductAttention",
    "ProductTerms",
    "TopTerms",
    "elementary_symmetric",
    "newton",
    "top_products",
]
