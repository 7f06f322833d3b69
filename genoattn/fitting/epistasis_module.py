"""The module of a phenotype with its table: training in a user's own Trainer."""

import torch

from genoattn.cohort import Cohort
from genoattn.errors import InputError
from genoattn.interactions.descriptions import Descriptions, describe_terms
from genoattn.interactions.estimates import Estimates, TestedTerms
from genoattn.interactions.expansion import Expansion
from genoattn.interactions.extract import describe_tests, phenotype_units, readout_factors, table_rows
from genoattn.interactions.schema import Manifest
from genoattn.interactions.table import InteractionTable
from genoattn.interactions.terms import collect_terms
from genoattn.model.module import PhenotypeModule
from genoattn.model.prediction import predict_orders
from genoattn.model.readout import rescale_latent
from genoattn.provenance import package_versions
from genoattn.tokens.align import align_calls, align_covariates
from genoattn.tokens.gauge_centre import GAUGES, Gauge


class EpistasisModule(PhenotypeModule):
    __doc__ = f"""{(PhenotypeModule.__doc__ or "").rstrip()}

    Examples
    --------
    >>> import genoattn, pytorch_lightning as pl
    >>> from genoattn.simulate import simulate_cohort
    >>> cohort = simulate_cohort(
    ...     n_samples=1500, n_sites=8, linkage="none", n_terms=1, interaction_variance=0.5, seed=1
    ... ).cohort
    >>> data = genoattn.CohortData(cohort, batch_size=128, seed=1)
    >>> module = genoattn.EpistasisModule.for_data(data, order=2, rank=4, seed=1)
    >>> trainer = pl.Trainer(
    ...     max_epochs=30, accelerator="cpu", logger=False, enable_checkpointing=False,
    ...     enable_progress_bar=False, enable_model_summary=False,
    ... )
    >>> trainer.fit(module, data)
    >>> module.interaction_table("zero-sum").top(1)[["site_1", "site_2"]].shape
    (1, 2)
    """

    def interaction_table(
        self, gauge: Gauge = "frequency", cohort: Cohort | None = None, max_terms: int = 50_000
    ) -> InteractionTable:
        """The coefficients of the model, in units of the phenotype.

        They have no tests: that is the work of :func:`genoattn.fit` and :func:`genoattn.scan_pairs`.

        Parameters
        ----------
        gauge
            ``frequency``, ``zero-sum`` or ``reference``.
        cohort
            Samples that ``n_samples``, ``frequency`` and ``r2_ld`` are of; without it these are empty.
        max_terms
            Most interaction terms of an order, the largest coefficients first.
        """
        if gauge not in GAUGES:
            raise InputError(f"gauge {gauge!r} is unknown; choose one of {', '.join(GAUGES)}")
        readout, v = self.in_phenotype_units().cpu(), self.vocabulary
        calls = None if cohort is None else align_calls(cohort, self.sites)
        if readout.link is not None:
            if cohort is None or calls is None:
                raise InputError("a link's latent scale is that of samples: give the cohort")
            names, levels = self.described.covariate_names, dict(self.described.covariate_levels or {})
            latent = predict_orders(readout, calls, align_covariates(cohort, names, levels)).sum(axis=1)
            rescale_latent(readout, *readout.link.calibrate(torch.as_tensor(latent).to(readout.bias)))
        factors = readout_factors(readout, v)
        terms, left_out = collect_terms(Expansion(factors, "frequency"), max_terms)
        described = {
            k: Descriptions.none(len(t)) if calls is None else describe_terms(v, calls, t)
            for k, t in terms.items()
        }
        untested = {k: Estimates.none(len(t)) for k, t in terms.items()}
        tested = TestedTerms(terms, described, {gauge: untested}, "none", "a module has coefficients alone")
        expansion, d = Expansion(factors, gauge), self.described
        units = phenotype_units(d.trait, d.transform, self.likelihood.kind, readout.link_kind)
        manifest = Manifest(
            d.trait, units, d.binary, d.transform, gauge, expansion.model.order,
            self.sites, v, expansion.centre,
            covariate_names=tuple(d.covariate_names),
            covariate_levels={k: tuple(levels) for k, levels in (d.covariate_levels or {}).items()},
            covariate_coefficients=readout.covariate.detach().double().numpy(),
            n_tests=tested.n_tests(expansion),
            left_out=left_out,
            **describe_tests(tested, expansion, units),
            versions=package_versions(),
            model={"start": "trainer", "ranks": readout.ranks, "likelihood": self.likelihood.kind},
        )  # fmt: skip
        return InteractionTable(table_rows(expansion, self.sites, tested, manifest.order), manifest)
