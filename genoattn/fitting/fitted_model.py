"""A fitted model, new or read back: its predictions, and its table in any gauge."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit

from genoattn.closed_form.posterior import Posterior
from genoattn.cohort import Cohort, Covariates
from genoattn.errors import InputError
from genoattn.interactions.estimates import TestedTerms
from genoattn.interactions.expansion import Expansion
from genoattn.interactions.extract import describe_tests, readout_factors, table_rows
from genoattn.interactions.schema import Manifest
from genoattn.interactions.table import LEVEL, InteractionTable
from genoattn.io.alphabets import Alphabet
from genoattn.io.sample_ids import iids_of
from genoattn.model.phenotype_likelihood import COUNTS, mean_response
from genoattn.model.prediction import predict_orders, respond
from genoattn.model.readout import Readout, extend_readout, unseen_states
from genoattn.tokens.align import align_calls, align_covariates
from genoattn.tokens.gauge_centre import GAUGES, Gauge

_NUCLEOTIDES = set("ACGTU-")


@dataclass(frozen=True, eq=False)
class FittedModel:
    """A network with the statistics of its terms.

    Parameters
    ----------
    readout
        The network, in phenotype units.
    tested
        Its terms and their estimates in every gauge.
    manifest
        What describes model and table.
    posterior
        Of the coefficients, where they have one (``kernel`` start); gives predictions an interval.
    """

    readout: Readout
    tested: TestedTerms
    manifest: Manifest
    posterior: Posterior | None = None

    @property
    def covariates(self) -> Covariates | None:
        """The fixed effects of the model, without samples: what ``read`` expands a new table after."""
        names = self.manifest.covariate_names
        return Covariates(names, np.zeros((0, len(names))), self.manifest.covariate_levels) if names else None

    @property
    def alphabet(self) -> Alphabet:
        """Alphabet of the sequences, for :func:`genoattn.read` of new ones; ``auto`` for genotypes."""
        if self.manifest.vocabulary.encoding != "sequence":
            return "auto"
        if self.manifest.sites.frame is not None:
            return self.manifest.sites.frame.alphabet
        letters = {residue for residues in self.manifest.sites.states for residue in residues}
        return "dna" if letters <= _NUCLEOTIDES else "protein"

    def predict(self, cohort: Cohort) -> np.ndarray:
        """Phenotype predicted by the network: log-odds for a binary trait, logarithm of the mean for counts.

        Where the model has a link, these are values of its curve; :meth:`latent` gives those before it.

        Parameters
        ----------
        cohort
            Must hold the sites of the model, by ID or position and alleles, and its covariates.

        Returns
        -------
        Shape (n_samples,), float64.
        """
        return respond(self.readout, self.latent(cohort))

    def latent(self, cohort: Cohort) -> np.ndarray:
        """Latent phenotype, the sum of all orders and covariates: what coefficients add up to.

        Parameters and shape as for :meth:`predict`, which it equals where there is no link.
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
        """One row a sample: ``IID`` (``FID`` and ``IID`` of PLINK files), ``prediction``, and what follows.

        ``latent`` where the model has a link, ``probability`` where the prediction is log-odds, ``mean``
        where it is the logarithm of expected counts. Where the coefficients have a posterior, ``lower`` and
        ``upper`` hold the model's value with 90 % probability, without the noise of a new measurement. A
        link is taken for known, so that they are too narrow where it is flat.
        """
        latent = self.latent(cohort)
        prediction = respond(self.readout, latent)
        ids: dict[str, Iterable[str]] = {"IID": cohort.samples}
        if cohort.families is not None:
            ids = {"FID": cohort.families, "IID": iids_of(cohort.samples, cohort.families)}
        frame = pd.DataFrame({**ids, "prediction": prediction})
        if self.readout.link is not None:
            frame["latent"] = latent
        if self.posterior is not None:
            calls = align_calls(cohort, self.manifest.sites)
            reach = float(stats.norm.ppf(0.5 + LEVEL / 2)) * self.posterior.prediction_deviation(calls)
            # The curve is monotone: it carries the ends of an interval with it.
            frame["lower"] = respond(self.readout, latent - reach)
            frame["upper"] = respond(self.readout, latent + reach)
        likelihood = self.manifest.model.get("likelihood")
        if likelihood in COUNTS:
            frame["mean"] = mean_response(likelihood, prediction)
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
        above = {k: expansion.coefficients(t) for k, t in self.tested.terms.items() if k > highest}
        dropped = {k: int((c != 0).sum()) for k, c in above.items() if c.any()}
        left_out = {**manifest.left_out, **dropped}
        described = replace(
            manifest,
            gauge=gauge,
            order=highest,
            centre=expansion.centre,
            left_out=left_out,
            **describe_tests(self.tested, expansion, manifest.units),
            n_tests=self.tested.n_tests(expansion),
        )
        return InteractionTable(table_rows(expansion, manifest.sites, self.tested, highest), described)
