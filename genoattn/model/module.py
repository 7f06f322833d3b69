"""A LightningModule around the readout: loss, steps and metrics, in the units of the cohort."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from genoattn.errors import InputError
from genoattn.model.data import Batch, CohortData
from genoattn.model.optimiser import OptimizerSettings, Penalties, ProximalAdam, penalty
from genoattn.model.phenotype_likelihood import Likelihood
from genoattn.model.readout import Readout, rescale_latent
from genoattn.model.standardise import Standardisation

_NOISE_FREE = 0.02  # residual variance of a standardised phenotype
_PARTS = ("calls", "covariates", "phenotype")
_SHOWN = 5  # names of samples in a message


class PhenotypeModule(pl.LightningModule):
    """Loss, optimiser and metrics of a readout with parameters on the scale of a standardised phenotype.

    Batches are those of :class:`genoattn.model.data.CohortData`; predictions are in the units of the cohort.
    """

    def __init__(
        self,
        readout: Readout,
        likelihood: Likelihood,
        penalties: Penalties,
        standardisation: Standardisation,
        training: OptimizerSettings,
    ) -> None:
        super().__init__()
        self.readout, self.likelihood, self.penalties = readout, likelihood, penalties
        self.standardisation, self.training_settings = standardisation, training
        self._squares: list[Tensor] = []

    def forward(self, calls: Tensor, covariates: Tensor) -> Tensor:
        """Linear predictor, (n_samples,), in units of the phenotype.

        ``calls`` (n_samples, n_sites), int8, -1 where missing; ``covariates`` (n_samples, n_covariates) in
        the cohort's units.
        """
        s = self.standardisation
        eta = self._eta({"calls": calls, "covariates": s.covariates(covariates).to(self.readout.bias)})
        return s.shift + s.scale * eta

    def _eta(self, batch: Batch) -> Tensor:
        return self.readout.respond(self.readout(batch["calls"], batch["covariates"]).sum(dim=-1))

    def loss(self, batch: Batch, eta: Tensor | None = None) -> Tensor:
        """Mean negative log-likelihood of a standardised batch, up to a constant, at ``eta`` where known."""
        eta = self._eta(batch) if eta is None else eta
        variance = (batch["variance"],) if self.likelihood.known_variance else ()
        value: Tensor = self.likelihood(eta, batch["phenotype"], *variance)
        return value

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Batch:
        """A batch of the cohort, standardised; samples whose values are no numbers are refused by name."""
        if not isinstance(batch, Mapping) or not all(part in batch for part in _PARTS):
            raise InputError(f"a batch must be a mapping with {', '.join(_PARTS)}, as CohortData makes them")
        self._refuse_nan(batch)
        s, dtype = self.standardisation, self.readout.bias.dtype
        out = {
            "calls": batch["calls"],
            "covariates": s.covariates(batch["covariates"]).to(dtype),
            "phenotype": ((batch["phenotype"] - s.shift) / s.scale).to(dtype),
        }
        if self.likelihood.known_variance:
            if "variance" not in batch:
                raise InputError("the model has known variances, and a batch has none")
            out["variance"] = (batch["variance"] / s.scale**2).to(dtype)
        return out

    def _refuse_nan(self, batch: Mapping[str, Tensor]) -> None:
        wrong = ~torch.isfinite(batch["phenotype"]) | ~torch.isfinite(batch["covariates"]).all(dim=1)
        if not wrong.any():
            return
        index = batch.get("sample", torch.arange(len(wrong)))[wrong.cpu()]
        source = getattr(self._trainer, "datamodule", None) if self._trainer is not None else None
        names = [str(k) for k in index.tolist()]
        if isinstance(source, CohortData):
            names = source.sample_names(index)
        shown = ", ".join(names[:_SHOWN])
        shown += f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        raise InputError(f"phenotype or covariates of samples {shown} are no numbers; remove these samples")

    def training_step(self, batch: Batch, _: int) -> Tensor:
        # Gradients are averaged over processes: each weighs by its samples, so that the sum is that of one.
        loss = self.loss(batch) * self._weight(len(batch["phenotype"]))
        optimizer = self.trainer.optimizers[0]
        if not isinstance(optimizer, ProximalAdam):
            loss = loss + penalty(self.readout, self.penalties)
        elif self.penalties.factor_l2 and self._squared_error:
            # Without noise a prior would only bias: it fades with the residual variance below 2 %.
            fading = min(1.0, 2 * float(self._of_all(loss.detach()).mean()) / _NOISE_FREE)
            for group in optimizer.param_groups:
                if group["prior"]:
                    group["l2"] = self.penalties.factor_l2 * fading
        n = len(batch["phenotype"])
        self.log("train_loss", loss.detach(), batch_size=n, on_step=False, on_epoch=True)
        return loss

    @property
    def _squared_error(self) -> bool:
        return self.likelihood.kind == "gaussian" and not self.likelihood.known_variance

    def _of_all(self, value: Tensor) -> Tensor:
        """A value of every process, the first axis where there are several."""
        if self.trainer.world_size == 1:
            return value
        gathered = self.all_gather(value)
        assert isinstance(gathered, Tensor)
        return gathered

    def _weight(self, n: int) -> float:
        if self.trainer.world_size == 1:
            return 1.0
        total = self._of_all(torch.tensor(float(n), device=self.device)).sum()
        return n * self.trainer.world_size / float(total)

    def validation_step(self, batch: Batch, _: int) -> None:
        self._evaluate(batch, "val_loss")

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._evaluate(batch, "test_loss")

    def predict_step(self, batch: Batch, _: int) -> Tensor:
        """Linear predictor, (n_samples,), in units of the phenotype."""
        s = self.standardisation
        return s.shift + s.scale * self._eta(batch)

    def _evaluate(self, batch: Batch, name: str) -> None:
        eta, n = self._eta(batch), len(batch["phenotype"])
        self.log(name, self.loss(batch, eta), prog_bar=True, batch_size=n, sync_dist=True)
        y, error = batch["phenotype"].double(), (batch["phenotype"] - eta).double()
        self._squares.append(torch.stack([torch.ones_like(y), y, y * y, error * error]).sum(dim=1))

    def on_validation_epoch_end(self) -> None:
        self._log_r2("val_r2")

    def on_test_epoch_end(self) -> None:
        self._log_r2("test_r2")

    def _log_r2(self, name: str) -> None:
        """Coefficient of determination over the samples of all processes, of a phenotype that has one."""
        squares, self._squares = self._squares, []
        if not squares or self.likelihood.kind not in ("gaussian", "student"):
            return
        n, y, y2, rss = self._of_all(torch.stack(squares).sum(dim=0)).reshape(-1, 4).sum(dim=0).tolist()
        total = y2 - y * y / max(n, 1)
        self.log(name, 1 - rss / total if total > 0 else float("nan"), prog_bar=True)

    def mean_loss(self, batches: Iterable[Any]) -> float:
        """Mean loss of the samples of some batches, in the units of the cohort."""
        total, n = 0.0, 0
        with torch.no_grad():
            for batch in batches:
                here = {k: t.to(self.device) for k, t in self.on_before_batch_transfer(batch, 0).items()}
                total, n = total + float(self.loss(here)) * len(here["calls"]), n + len(here["calls"])
        return total / max(n, 1)

    def configure_optimizers(self) -> Any:
        settings = self.training_settings
        optimizer = settings.make_optimizer(self.readout, self.likelihood, self.penalties)
        if settings.schedule is None:
            return optimizer
        n_steps = self.trainer.estimated_stepping_batches if settings.schedule == "annealed" else 0
        if n_steps == float("inf"):
            raise InputError(
                "the learning rate falls to zero over the epochs of the Trainer, which has no limit; "
                "give it max_epochs, or the module another schedule"
            )
        return {"optimizer": optimizer, "lr_scheduler": settings.make_schedule(optimizer, int(n_steps))}

    def in_phenotype_units(self) -> Readout:
        """A copy of the readout whose parameters are in the units of the phenotype and the covariates."""
        s, readout = self.standardisation, copy.deepcopy(self.readout)
        rescale_latent(readout, s.shift, s.scale)
        if readout.link is not None:
            readout.link.rescale(s.shift, s.scale)
        with torch.no_grad():
            readout.covariate.div_(torch.as_tensor(s.covariate_scale).to(readout.covariate))
            readout.bias.sub_(readout.covariate @ torch.as_tensor(s.covariate_mean).to(readout.covariate))
        return readout
