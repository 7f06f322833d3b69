"""Estimators with the interface of scikit-learn."""

from genoattn.estimators.hyper_attention_estimators import HyperAttentionClassifier, HyperAttentionRegressor

__all__ = ["HyperAttentionClassifier", "HyperAttentionRegressor"]
