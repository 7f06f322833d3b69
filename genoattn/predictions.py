"""Predictions of a fitted model as a table."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import pandas as pd
from scipy.special import expit

from genoattn.cohort import Cohort
from genoattn.interactions.schema import Manifest


class Predictor(Protocol):
    """A fitted model, fresh or read back."""

    @property
    def manifest(self) -> Manifest: ...

    def predict(self, cohort: Cohort) -> np.ndarray: ...


def prediction_table(model: Predictor, cohort: Cohort) -> pd.DataFrame:
    """One row a sample: ``IID``, ``prediction``, and ``probability`` where the prediction is log-odds."""
    prediction = model.predict(cohort)
    frame = pd.DataFrame({"IID": cohort.samples, "prediction": prediction})
    if model.manifest.binary:
        frame["probability"] = expit(prediction)
    return frame
