"""A fitted model, fresh or read back: what it predicts, and its table in any gauge."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from scipy.special import expit

from genoattn.align import align_calls, align_covariates
from genoattn.cohort import Cohort, Covariates
from genoattn.errors import InputError
from genoattn.interactions.expansion import GAUGES, Expansion, Gauge
from genoattn.interactions.extract import TestedTerms, readout_factors, table_rows
from genoattn.interactions.schema import Manifest
from genoattn.interactions.table import InteractionTable
from genoattn.model.extend import extend_readout, unseen_states
from genoattn.model.readout import Readout


@dataclass(frozen=True, eq=False)
class FittedModel:
    """A network with the statistics of its terms.

    Parameters
    ----------
    readout
        The network, in phenotype units.
    tested
        Its terms and their statistics, which no gauge changes.
    manifest
        What describes model and table.
    """

    readout: Readout
    tested: TestedTerms
    manifest: Manifest

    @property
    def covariates(self) -> Covariates | None:
        """The fixed effects of the model, without samples: what ``read`` expands a new table after."""
        names = self.manifest.covariate_names
        return Covariates(names, np.zeros((0, len(names))), self.manifest.covariate_levels) if names else None

    def predict(self, cohort: Cohort) -> np.ndarray:
        """Phenotype predicted by the network; log-odds for a binary trait.

        Parameters
        ----------
        cohort
            Must hold the sites of the model, by ID or position and alleles, and its covariates.

        Returns
        -------
        Shape (n_samples,), float64.
        """
        sites = self.manifest.sites
        readout = self.readout
        if readout.features is not None and cohort.sites is not sites:
            sites = unseen_states(cohort, sites)
            if sites.states != self.manifest.sites.states:
                readout, _ = extend_readout(readout, self.manifest.vocabulary, sites)
        covariates = align_covariates(cohort, self.manifest.covariate_names, self.manifest.covariate_levels)
        return predict_orders(readout, align_calls(cohort, sites), covariates).sum(axis=1)

    def prediction_table(self, cohort: Cohort) -> pd.DataFrame:
        """One row a sample: ``IID``, ``prediction``, and ``probability`` where the prediction is log-odds."""
        prediction = self.predict(cohort)
        frame = pd.DataFrame({"IID": cohort.samples, "prediction": prediction})
        if self.manifest.binary:
            frame["probability"] = expit(prediction)
        return frame

    def export(self, gauge: Gauge, order: int | None = None) -> InteractionTable:
        """The model as a table in ``gauge``, with orders up to ``order`` (all by default).

        Raises
        ------
        InputError
            Where the gauge is unknown or the model has no such order.
        """
        manifest = self.manifest
        if gauge not in GAUGES:
            raise InputError(f"gauge {gauge!r} is unknown; choose one of {', '.join(GAUGES)}")
        if order is not None and not 0 <= order <= manifest.order:
            raise InputError(
                f"order {order}, but the model has orders up to {manifest.order}; "
                "ask for at most that, or fit again"
            )
        expansion = Expansion(readout_factors(self.readout, manifest.vocabulary), gauge)
        highest = manifest.order if order is None else order
        dropped = {k: len(t) for k, t in self.tested.terms.items() if k > highest and len(t)}
        left_out = {**manifest.left_out, **dropped}
        described = replace(
            manifest,
            gauge=gauge,
            order=highest,
            centre=expansion.centre,
            left_out=left_out,
            n_tests=self.tested.family_sizes(expansion),
        )
        return InteractionTable(table_rows(expansion, manifest.sites, self.tested, highest), described)


def predict_orders(
    readout: Readout, calls: np.ndarray, covariates: np.ndarray, block: int = 4096
) -> np.ndarray:
    """The network's output by order: (n_samples, 1 + n_orders), orders 0, 1, ..

    Parameters
    ----------
    calls, covariates
        As the readout takes them, aligned to its sites and names.
    block
        Samples at a time, which bounds the memory.
    """
    parts = []
    dtype = readout.bias.dtype
    with torch.no_grad():
        for start in range(0, len(calls), block):
            chosen = slice(start, start + block)
            out = readout(torch.tensor(calls[chosen]), torch.tensor(covariates[chosen], dtype=dtype))
            parts.append(out.double().numpy())
    return np.concatenate(parts)
