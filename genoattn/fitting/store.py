"""The output folder of a fit, tables in other gauges, and models read back."""

import io
import json
import pickle
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from genoattn.attention import ProductAttention
from genoattn.closed_form.posterior import Posterior
from genoattn.closed_form.product_basis import ProductBasis
from genoattn.errors import InputError
from genoattn.fitting.fitted_model import FittedModel
from genoattn.fitting.metrics import Metrics
from genoattn.interactions.descriptions import Descriptions
from genoattn.interactions.estimates import Claims, Estimates, TestedTerms
from genoattn.interactions.schema import Manifest, manifest_from_json
from genoattn.interactions.table import InteractionTable
from genoattn.model.readout import Readout
from genoattn.tokens.token_features import token_features
from genoattn.writing import atomic_directory, atomic_file, write_output

_MODEL, _MANIFEST = "model.ckpt", "manifest.json"
# What json, torch.load and the constructors raise on files that are damaged or of another version.
_UNREADABLE = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,
    EOFError,
    OSError,
    pickle.UnpicklingError,
)


def save_fit(
    model: FittedModel,
    table: InteractionTable,
    metrics: Metrics,
    variance: pd.DataFrame,
    directory: str | Path,
    force: bool = False,
    extra: Mapping[str, pd.DataFrame | bytes] | None = None,
) -> None:
    """Write the folder of ``genoattn fit``: tables, metrics, manifest, model, and ``extra`` ones."""
    # Serialised in memory first, so that only plain writing can fail, whose errors say what they are.
    files = {
        "interactions.tsv": table.to_tsv(),
        "interactions.parquet": table.to_parquet(),
        "variance_components.tsv": variance.to_csv(sep="\t", index=False, float_format="%.6g").encode(),
        "metrics.json": (json.dumps(metrics.record(), indent=1) + "\n").encode(),
        _MANIFEST: table.manifest.to_json().encode(),
        _MODEL: _checkpoint(model),
    }
    files |= _link_files(model)
    for name, content in (extra or {}).items():
        if isinstance(content, pd.DataFrame):
            content = content.to_csv(sep="\t", index=False, float_format="%.6g").encode()
        files[name] = content
    with atomic_directory(directory, force) as work:
        for name, content in files.items():
            (work / name).write_bytes(content)


def _link_files(model: FittedModel) -> dict[str, bytes]:
    """The curve from the latent to the measured phenotype and back, over the training samples' range."""
    link = model.readout.link
    if link is None:
        return {}
    latent, predicted, slope = link.curve()
    curve = pd.DataFrame({"latent": latent, "predicted": predicted, "slope": slope})
    even = np.linspace(predicted[0], predicted[-1], len(predicted))
    inverse = pd.DataFrame({"predicted": even, "latent": link.inverse(even, latent[0], latent[-1])})
    tables = {"link.tsv": curve, "link_inverse.tsv": inverse}
    return {k: t.to_csv(sep="\t", index=False, float_format="%.9g").encode() for k, t in tables.items()}


def save_table(table: InteractionTable, path: str | Path | None, force: bool = True) -> None:
    """Write a table as TSV or Parquet, by the name's ending; as TSV to stdout where ``path`` is None.

    The manifest of a TSV goes to its folder: ``NAME.manifest.json`` for ``NAME.tsv``.
    """
    if path is None:
        write_output(table.to_tsv(), None)
        return
    path = Path(path)
    if path.suffix not in (".tsv", ".parquet"):
        raise InputError(f"{path}: unknown ending {path.suffix or 'none'}; name the table .tsv or .parquet")
    if path.suffix == ".parquet":
        write_output(table.to_parquet(), path, force)
        return
    # Both are complete before either takes its place: a table with another's manifest would be misread.
    with atomic_file(path, force) as rows, atomic_file(path.with_suffix(".manifest.json")) as manifest:
        rows.write_bytes(table.to_tsv())
        manifest.write_bytes(table.manifest.to_json().encode())


def _checkpoint(model: FittedModel) -> bytes:
    """State of the network as Lightning lays it out, with the statistics that tables in other gauges need."""
    readout, tested, manifest = model.readout, model.tested, model.manifest
    record = {
        "state_dict": {f"readout.{k}": v for k, v in readout.state_dict().items()},
        "hyper_parameters": {
            "ranks": readout.ranks,
            "n_covariates": len(readout.covariate),
            "tied": readout.tied,
            "full": readout.full,
            "link": readout.link_kind,
            "n_references": None if readout.product is None else readout.product.rank,
            "levels": None if readout.features is None else dict(readout.features.levels),
            "dtype": str(readout.bias.dtype).removeprefix("torch."),
        },
        "pytorch-lightning_version": manifest.versions.get("pytorch-lightning", ""),
        "terms": {order: torch.as_tensor(columns) for order, columns in tested.terms.items()},
        "descriptions": {order: _arrays(d) for order, d in tested.descriptions.items()},
        "estimates": {
            gauge: {order: _arrays(e) for order, e in by_order.items()}
            for gauge, by_order in tested.estimates.items()
        },
        "tests": {
            "method": tested.method,
            "reason": tested.reason,
            "untested": dict(tested.untested),
            "signals": tested.signals,
        },
        "proxies": {order: torch.as_tensor(p) for order, p in tested.proxies.items()},
        "claims": {order: _arrays(c) for order, c in tested.claims.items()},
    }
    if model.posterior is not None:
        # All but the vocabulary, which the manifest has; a covariance in single precision is half as large.
        record["posterior"] = {
            "contrasts": torch.as_tensor(model.posterior.basis.contrasts),
            "mean": torch.as_tensor(model.posterior.mean),
            "covariance": torch.as_tensor(model.posterior.covariance).float(),
            "prior": torch.as_tensor(model.posterior.prior),
        }
    if model.quantiles is not None:
        record["quantiles"] = torch.as_tensor(model.quantiles)
    buffer = io.BytesIO()
    torch.save(record, buffer)
    return buffer.getvalue()


def load_model(directory: str | Path) -> FittedModel:
    """Read the model of an output folder.

    Raises
    ------
    InputError
        Where the folder is not one that ``genoattn fit`` wrote.

    Examples
    --------
    >>> import genoattn
    >>> import pandas as pd
    >>> from itertools import product
    >>> rows = [("".join(s), s.count("C") + 2 * (s[:2] == ("C", "C"))) for s in product("AC", repeat=6)]
    >>> pd.DataFrame(rows, columns=["variant", "fitness"]).to_csv("landscape.csv", index=False)
    >>> cohort = genoattn.read("landscape.csv", trait="fitness", sequence_column="variant")
    >>> genoattn.fit(cohort, order=2).save("fit", force=True)
    >>> genoattn.load_model("fit").predict(cohort).shape
    (64,)
    """
    directory = Path(directory)
    for name in (_MODEL, _MANIFEST):
        if not (directory / name).is_file():
            raise InputError(f"{directory}: no {name} there; give the output folder of genoattn fit")
    try:
        manifest = manifest_from_json((directory / _MANIFEST).read_text(encoding="utf-8"))
        record = torch.load(directory / _MODEL, map_location="cpu", weights_only=True)
        quantiles = record.get("quantiles")
        return FittedModel(
            _readout(record, manifest),
            _tested(record),
            manifest,
            _posterior(record, manifest),
            None if quantiles is None else quantiles.numpy(),
        )
    except InputError as error:  # of a later schema
        raise InputError(f"{directory}: {error}") from None
    except _UNREADABLE as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:100]
        raise InputError(
            f"{directory}: its model cannot be read ({reason}); fit again with this version"
        ) from None


def _readout(record: dict[str, Any], manifest: Manifest) -> Readout:
    settings = record["hyper_parameters"]
    features = None
    if settings["levels"] is not None:
        features = token_features(manifest.sites, manifest.vocabulary, settings["levels"])
    product = None
    if settings.get("n_references") is not None:
        v, rank = manifest.vocabulary, settings["n_references"]
        correlation, frequency = np.zeros((v.n_columns, v.n_states.max())), np.zeros(v.n_columns)
        references = np.zeros((rank, v.n_sites))
        product = ProductAttention(references, correlation, frequency, v.site, np.zeros(rank))
    readout = Readout(
        manifest.vocabulary,
        settings["ranks"],
        settings["n_covariates"],
        settings["tied"],
        features,
        settings["full"],
        settings["link"],
        getattr(torch, settings["dtype"]),
        product,
    )
    readout.load_state_dict({k.removeprefix("readout."): v for k, v in record["state_dict"].items()})
    return readout.eval()


def _arrays(values: Descriptions | Estimates | Claims) -> dict[str, torch.Tensor]:
    return {f.name: torch.as_tensor(getattr(values, f.name)) for f in fields(values)}


def _posterior(record: dict[str, Any], manifest: Manifest) -> Posterior | None:
    kept = record.get("posterior")
    if kept is None:
        return None
    v, prior = manifest.vocabulary, kept["prior"].numpy()
    basis = ProductBasis(v, kept["contrasts"].numpy(), v.mean, len(prior))
    return Posterior(basis, kept["mean"].numpy(), kept["covariance"].double().numpy(), prior)


def _tested(record: dict[str, Any]) -> TestedTerms:
    def numbers(arrays: dict[Any, torch.Tensor]) -> dict[Any, np.ndarray]:
        return {name: array.numpy() for name, array in arrays.items()}

    return TestedTerms(
        {order: columns.numpy() for order, columns in record["terms"].items()},
        {order: Descriptions(**numbers(arrays)) for order, arrays in record["descriptions"].items()},
        {
            gauge: {order: Estimates(**numbers(arrays)) for order, arrays in by_order.items()}
            for gauge, by_order in record["estimates"].items()
        },
        **record["tests"],
        proxies=numbers(record["proxies"]),
        claims={order: _claims(**numbers(arrays)) for order, arrays in record["claims"].items()},
    )


def _claims(q_value: np.ndarray, phantom: np.ndarray, place: np.ndarray | None = None) -> Claims:
    """Claims, of older runs without places in a ranking."""
    return Claims(q_value, phantom, np.full(len(q_value), np.inf) if place is None else place)
