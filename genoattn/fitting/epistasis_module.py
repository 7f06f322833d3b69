"""The module of a phenotype with its sites, checkpoints and table, for a user's own Trainer."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import torch

from genoattn import __version__
from genoattn.cohort import Cohort
from genoattn.errors import InputError
from genoattn.fitting.fit_html import module_html
from genoattn.interactions.descriptions import Descriptions, describe_terms
from genoattn.interactions.estimates import Estimates, TestedTerms
from genoattn.interactions.expansion import Expansion
from genoattn.interactions.extract import describe_tests, phenotype_units, readout_factors, table_rows
from genoattn.interactions.schema import Manifest
from genoattn.interactions.table import InteractionTable
from genoattn.interactions.terms import collect_terms
from genoattn.model.data import CohortData
from genoattn.model.link import LinkKind
from genoattn.model.module import PhenotypeModule
from genoattn.model.optimiser import Made, OptimizerSettings, Penalties
from genoattn.model.phenotype_likelihood import Likelihood, LikelihoodKind, chosen_likelihood
from genoattn.model.prediction import calibrate
from genoattn.model.readout import Readout, set_random_factors
from genoattn.model.standardise import Standardisation
from genoattn.provenance import package_versions
from genoattn.tokens import Encoding, build_vocabulary, default_encoding
from genoattn.tokens.align import align_calls, align_covariates
from genoattn.tokens.gauge_centre import GAUGES, Gauge
from genoattn.tokens.site_records import from_site_records, site_records
from genoattn.tokens.token_features import token_features


@dataclass(frozen=True)
class Described:
    """Names of the phenotype and the covariates, for a table."""

    trait: str = "phenotype"
    binary: bool = False
    transform: str = "none"
    covariate_names: tuple[str, ...] = ()
    covariate_levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @staticmethod
    def of(cohort: Cohort) -> "Described":
        """Of a cohort with a phenotype."""
        p, c = cohort.phenotype, cohort.covariates
        assert p is not None
        names, levels = ((), {}) if c is None else (tuple(c.names), dict(c.levels))
        return Described(p.name, p.binary, p.transform, names, levels)


class EpistasisModule(PhenotypeModule):
    r"""HyperAttention of a phenotype, for a Trainer of PyTorch Lightning.

    .. math:: \phi(x) = b + Z g + \sum_l w_l(x_l) + \sum_n \sum_r \lambda_{nr} D_n(f_{nr1}, .., f_{nrn})(x)

    with :math:`D_n` the sum over distinct sites of the product of the factors
    (:class:`genoattn.model.readout.Readout`); a link takes :math:`\phi` to the linear predictor of the
    phenotype. Parameters are on the scale of a standardised phenotype and standardised covariates; batches,
    predictions and tables are in the units of the cohort. :meth:`for_data` makes one for a cohort.

    Parameters
    ----------
    sites, encoding
        Records of the sites (:func:`genoattn.tokens.site_records.site_records`) and their encoding.
    ranks
        For each order of 2 and above the number of factors.
    n_covariates
        Fixed effects.
    tied, levels, link
        As of :class:`~genoattn.model.readout.Readout`; ``levels`` are the labels of its features.
    likelihood, known_variance
        As of :class:`~genoattn.model.phenotype_likelihood.Likelihood`.
    penalties
        Fields of :class:`~genoattn.model.optimiser.Penalties`, on the mean loss. With an optimiser other than
        ``proximal-adam`` they are part of the loss.
    lr, optimizer, optimizer_options, schedule, schedule_options
        As of :class:`~genoattn.model.optimiser.OptimizerSettings`.
    standardisation, described
        Moments of the training samples, and the names for a table.
    seed
        Of the random factors that training starts from.
    version
        Of genoattn, for checkpoints.

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

    def __init__(
        self,
        sites: Sequence[dict[str, Any]],
        encoding: Encoding,
        ranks: Mapping[int, int],
        n_covariates: int = 0,
        *,
        tied: bool = True,
        levels: Mapping[str, tuple[str, ...]] | None = None,
        link: LinkKind = "none",
        likelihood: LikelihoodKind = "gaussian",
        known_variance: bool = False,
        penalties: Mapping[str, float] | None = None,
        lr: float = 0.02,
        optimizer: Made = "proximal-adam",
        optimizer_options: Mapping[str, Any] | None = None,
        schedule: Made = "annealed",
        schedule_options: Mapping[str, Any] | None = None,
        standardisation: Mapping[str, Any] | None = None,
        described: Mapping[str, Any] | None = None,
        seed: int = 0,
        version: str = __version__,
    ) -> None:
        kept = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        # A function is no part of a checkpoint: it could not be read back without running it.
        kept |= {k: "a function" for k in ("optimizer", "schedule") if callable(kept[k])}
        known, vocabulary = from_site_records(encoding, sites)
        features = None if levels is None else token_features(known, vocabulary, levels)
        readout = Readout(vocabulary, ranks, n_covariates, tied, features, link=link)
        set_random_factors(readout, vocabulary.n_sites, seed)
        super().__init__(
            readout,
            Likelihood(likelihood, known_variance),
            Penalties(**(penalties or {})),
            Standardisation.of_record(standardisation, n_covariates),
            OptimizerSettings(lr, optimizer, optimizer_options or {}, schedule, schedule_options or {}),
        )
        self.save_hyperparameters(kept, logger=False)
        self.sites, self.vocabulary = known, vocabulary
        self.described = Described(**(described or {}))

    @classmethod
    def for_data(
        cls,
        data: CohortData,
        order: int = 2,
        rank: int = 16,
        *,
        encoding: Encoding | None = None,
        likelihood: LikelihoodKind = "auto",
        by_feature: bool = False,
        **options: Any,
    ) -> Self:
        """A module for the sites of a cohort, with moments of its training samples.

        Parameters
        ----------
        data
            Of a :class:`~genoattn.cohort.Cohort`.
        order, rank
            Largest order, and factors of each from 2 up.
        encoding
            ``dosage`` or ``genotype`` for genotypes, ``sequence`` for alignments; the usual one by default.
        likelihood
            As of a fit.
        by_feature
            HyperFeatureAttention: factors are products of embeddings of the features of tokens.
        options
            Others of the class.
        """
        cohort, arrays, training = data.cohort, data.arrays, data.split.training
        if cohort is None:
            raise InputError("CohortData of arrays has no sites; make it of a Cohort")
        if not 1 <= order <= cohort.n_sites:
            raise InputError(
                f"order {order}, but there are {cohort.n_sites} sites; "
                f"ask for an order from 1 to {cohort.n_sites}"
            )
        vocabulary = build_vocabulary(cohort, encoding or default_encoding(cohort), training)
        kind = chosen_likelihood(likelihood, arrays.phenotype, arrays.binary)
        return cls(
            site_records(cohort.sites, vocabulary),
            vocabulary.encoding,
            dict.fromkeys(range(2, order + 1), rank),
            arrays.covariates.shape[1],
            levels=dict(token_features(cohort.sites, vocabulary).levels) if by_feature else None,
            likelihood=kind,
            known_variance=kind == "gaussian" and arrays.variance is not None,
            penalties=options.pop("penalties", {"factor_l2": 1 / len(training)}),
            standardisation=asdict(Standardisation.of(arrays, training, kind)),
            described=asdict(Described.of(cohort)),
            **options,
        )

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls, checkpoint_path: str | Path, map_location: Any = "cpu", strict: bool = True, **options: Any
    ) -> Self:
        """Read a checkpoint of a Trainer; ``options`` take the place of its hyper-parameters.

        Nothing in the file is executed (``weights_only``).

        Raises
        ------
        InputError
            Where the file is no checkpoint of this class, or of another version.
        """
        where = Path(checkpoint_path)
        try:
            record = torch.load(where, map_location=map_location, weights_only=True)
            settings, state = {**record["hyper_parameters"], **options}, record["state_dict"]
        except FileNotFoundError:
            raise InputError(f"{where}: no such file") from None
        except Exception as error:  # what torch raises on files that are none of its own has no common class
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:80]
            raise InputError(f"{where}: not a checkpoint of a {cls.__name__} ({reason})") from None
        for name in ("optimizer", "schedule"):
            if settings.get(name) == "a function":
                raise InputError(f"{where}: its {name} was a function; give it again: {name}=...")
        written = settings.pop("version", "unknown")
        try:
            module = cls(**settings)
            module.load_state_dict(state, strict=strict)
        except (TypeError, KeyError, ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:160]
            raise InputError(
                f"{where}: written by genoattn {written}, and this is {__version__}: {reason}"
            ) from None
        return module.to(map_location)

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
            names, levels = self.described.covariate_names, self.described.covariate_levels
            calibrate(readout, calls, align_covariates(cohort, names, levels))
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
            covariate_levels={k: tuple(levels) for k, levels in d.covariate_levels.items()},
            covariate_coefficients=readout.covariate.detach().double().numpy(),
            n_tests=tested.n_tests(expansion),
            left_out=left_out,
            **describe_tests(tested, expansion, units),
            versions=package_versions(),
            model={"start": "trainer", "ranks": readout.ranks, "likelihood": self.likelihood.kind},
        )  # fmt: skip
        return InteractionTable(table_rows(expansion, self.sites, tested, manifest.order), manifest)

    def _repr_html_(self) -> str:
        return module_html(self)
