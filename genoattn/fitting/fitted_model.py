"""A fitted model, new or read back: its predictions, and its table in any gauge."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats

from genoattn.closed_form.posterior import Posterior
from genoattn.cohort import Cohort, Covariates
from genoattn.errors import InputError
from genoattn.fitting.fit_html import model_html
from genoattn.fitting.trait_units import in_trait_units, model_scale
from genoattn.interactions.estimates import TestedTerms
from genoattn.interactions.expansion import Expansion
from genoattn.interactions.extract import describe_tests, readout_factors, table_rows
from genoattn.interactions.schema import Manifest
from genoattn.interactions.table import LEVEL, InteractionTable
from genoattn.io.alphabets import Alphabet
from genoattn.io.environments import Environment, environments_of
from genoattn.io.sample_ids import iids_of
from genoattn.model.phenotype_likelihood import COUNTS
from genoattn.model.prediction import predict_orders, respond
from genoattn.model.readout import Readout, extend_readout, unseen_states
from genoattn.tokens.align import align_calls, align_covariates
from genoattn.tokens.gauge_centre import GAUGES, Gauge
from genoattn.tokens.site_places import MatchBy

_NUCLEOTIDES = set("ACGTU-")
_log = logging.getLogger(__name__)


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
    quantiles
        Of a trait that was rank-normalised: normal scores and values, (2, n), as of a cohort's phenotype.
    """

    readout: Readout
    tested: TestedTerms
    manifest: Manifest
    posterior: Posterior | None = None
    quantiles: np.ndarray | None = None

    @property
    def covariates(self) -> Covariates | None:
        """The fixed effects of the model, without samples: what ``read`` expands a new table after.

        None where it has neither covariates nor environments.
        """
        names = self.manifest.covariate_names
        if not names and not self.environments:
            return None
        return Covariates(names, np.zeros((0, len(names))), self.manifest.covariate_levels)

    @property
    def environments(self) -> tuple[Environment, ...]:
        """The environments of the model, for :func:`genoattn.read` of new samples."""
        return environments_of(self.manifest.sites)

    @property
    def alphabet(self) -> Alphabet:
        """Alphabet of the sequences, for :func:`genoattn.read` of new ones; ``auto`` for genotypes."""
        if self.manifest.vocabulary.encoding != "sequence":
            return "auto"
        if self.manifest.sites.frame is not None:
            return self.manifest.sites.frame.alphabet
        letters = {residue for residues in self.manifest.sites.states for residue in residues}
        return "dna" if letters <= _NUCLEOTIDES else "protein"

    def predict(self, cohort: Cohort, match_by: MatchBy = "position") -> np.ndarray:
        """Predictions on the scale of the model, to which coefficients refer.

        That is the trait's own, its logarithm or normal score where it was transformed, log-odds for a binary
        trait, and the logarithm of the mean for counts; :meth:`prediction_table` has the trait's units too.
        Where the model has a link, these are values of its curve; :meth:`latent` gives those before it.

        Parameters
        ----------
        cohort
            Must hold the sites of the model and its covariates. A missing call counts as the mean of the
            training samples, as in the fit. See :func:`genoattn.tokens.align.align_calls`.
        match_by
            What sites of genotypes match by: ``position``, or ``id`` where the build has changed.

        Returns
        -------
        Shape (n_samples,), float64.
        """
        return respond(self.readout, self.latent(cohort, match_by))

    def latent(self, cohort: Cohort, match_by: MatchBy = "position") -> np.ndarray:
        """Latent phenotype, the sum of all orders and covariates: what coefficients add up to.

        Parameters and shape as for :meth:`predict`, which it equals where there is no link.
        """
        return self._latent(cohort, match_by)[0]

    def _latent(self, cohort: Cohort, match_by: MatchBy) -> tuple[np.ndarray, np.ndarray]:
        """Latent phenotypes, and the calls as the model has its sites."""
        sites = self.manifest.sites
        if self.environments and not cohort.sites.is_environment.any():
            names = ", ".join(e.name for e in self.environments)
            raise InputError(
                f"the model has the environment {names}, and the cohort has none; read it with covar and "
                "environment=model.environments"
            )
        readout = self.readout
        if readout.features is not None and cohort.sites is not sites:
            sites = unseen_states(cohort, sites)
            if sites.states != self.manifest.sites.states:
                readout, _ = extend_readout(readout, self.manifest.vocabulary, sites)
        covariates = align_covariates(cohort, self.manifest.covariate_names, self.manifest.covariate_levels)
        calls = align_calls(cohort, sites, self.manifest.haploid, match_by)
        if (cohort.dosages is None) != (self.manifest.dosages is None):
            words = {True: "hard calls", False: "dosages"}
            of_model, here = (words[d is None] for d in (self.manifest.dosages, cohort.dosages))
            _log.warning("the model was fitted on %s, and these are %s", of_model, here)
        return predict_orders(readout, calls, covariates).sum(axis=1), calls

    def prediction_table(self, cohort: Cohort, match_by: MatchBy = "position") -> pd.DataFrame:
        """One row a sample: ``IID``, and ``FID`` where it has one, and ``prediction`` in units of the trait.

        Where the model's scale is another, ``prediction_log_odds``, ``prediction_log`` or
        ``prediction_normal_score`` is the prediction on it; for what becomes of it in the trait's units see
        :func:`genoattn.fitting.trait_units.in_trait_units`. ``latent`` where the model has a link. Where the
        coefficients have a posterior, ``lower`` and ``upper`` hold the value, in units of the trait, with
        90 % probability, without the noise of a new measurement; a link is taken for known, so that they are
        too narrow where it is flat. ``probability`` of a case and ``mean`` of counts are the prediction.
        """
        ids: dict[str, Iterable[str]] = {"IID": cohort.samples}
        if cohort.families is not None:
            ids = {"FID": cohort.families, "IID": iids_of(cohort.samples, cohort.families)}
        latent, calls = self._latent(cohort, match_by)
        values = {"prediction": respond(self.readout, latent)}
        if self.posterior is not None:
            reach = float(stats.norm.ppf(0.5 + LEVEL / 2)) * self.posterior.prediction_deviation(calls)
            # The curve and the way back to the trait are monotone: they carry the ends of an interval along.
            values |= {"lower": respond(self.readout, latent - reach)}
            values |= {"upper": respond(self.readout, latent + reach)}
        scale = model_scale(self.manifest)
        columns = {f"prediction_{scale}": values["prediction"]} if scale else {}
        if self.readout.link is not None:
            columns["latent"] = latent
        if scale == "normal_score" and self.quantiles is None:
            _log.warning(
                "the model has no quantiles of %s, so that predictions are normal scores alone; fit again",
                self.manifest.trait,
            )
            return pd.DataFrame({**ids, **columns})
        back = {k: in_trait_units(v, self.manifest, self.quantiles) for k, v in values.items()}
        columns = {"prediction": back.pop("prediction"), **columns, **back}
        if self.manifest.model.get("likelihood") in COUNTS:
            columns["mean"] = columns["prediction"]
        if self.manifest.binary:
            columns["probability"] = columns["prediction"]
        return pd.DataFrame({**ids, **columns})

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

    def _repr_html_(self) -> str:
        return model_html(self)
