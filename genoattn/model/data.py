"""A cohort as a LightningDataModule: batches for training, validation, test and prediction."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from genoattn.cohort import Cohort
from genoattn.errors import InputError
from genoattn.model.relatives import find_relatives
from genoattn.model.split import split_samples
from genoattn.model.train_config import Split, TrainingData

Batch = dict[str, Tensor]
_AT_ONCE = 4096  # samples in a batch that is only evaluated


class CohortSamples(Dataset[Batch]):
    """Chosen samples of a cohort; an index may be a number, a slice, or an array of many.

    A batch has ``calls`` (n, n_sites), int8; ``covariates`` (n, n_covariates), ``phenotype`` (n,) and, where
    measurements have known variances, ``variance`` (n,), float64, in the units of the cohort; and ``sample``
    (n,), their indices in the cohort.
    """

    def __init__(self, data: TrainingData, chosen: np.ndarray) -> None:
        arrays = {"calls": data.calls, "covariates": data.covariates, "phenotype": data.phenotype}
        if data.variance is not None:
            arrays["variance"] = data.variance
        # A view where all samples are chosen: a cohort is not held twice.
        everybody = np.array_equal(chosen, np.arange(len(data.calls)))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*not writable")  # nothing writes to them
            self.tensors = {k: torch.as_tensor(a if everybody else a[chosen]) for k, a in arrays.items()}
        self.tensors["sample"] = torch.as_tensor(chosen)

    def __len__(self) -> int:
        return len(self.tensors["sample"])

    def __getitem__(self, index: Any) -> Batch:
        return {name: tensor[index] for name, tensor in self.tensors.items()}


class BatchIndices(DistributedSampler[Any]):
    """Indices of every sample once an epoch, in batches of equal size (to one) that processes share.

    With ``seed`` the order is a new one in every epoch, and the same on every process and after a resume. Of
    every batch each process takes its share, so that no sample counts twice.
    """

    def __init__(
        self, n: int, batch_size: int, seed: int | None = None, n_processes: int = 1, rank: int = 0
    ) -> None:
        super().__init__(range(n), n_processes, rank, shuffle=seed is not None, seed=seed or 0)  # type: ignore[arg-type]
        self.n, self.n_batches = n, max(1, min(-(-n // batch_size), n // n_processes))

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[Any]:
        if self.n_batches == 1 and self.num_replicas == 1:
            yield slice(None)  # all samples, not copied
            return
        order = torch.arange(self.n)
        if self.shuffle:
            generator = torch.Generator().manual_seed(self.seed + self.epoch)
            order = torch.randperm(self.n, generator=generator)
        for batch in order.tensor_split(self.n_batches):
            yield batch[self.rank :: self.num_replicas]


class CohortData(pl.LightningDataModule):
    """Batches of a cohort for a Trainer.

    Parameters
    ----------
    cohort
        With a phenotype, from :func:`genoattn.read`; or its arrays.
    split
        Samples that train, validate and test; by default a random choice that keeps relatives together and
        cases in proportion.
    validation, test
        Shares of the samples, where ``split`` is None.
    batch_size
        Samples in a training batch over all processes; None for at most 1,024.
    seed
        Of the split and of the order of the samples.
    num_workers
        Processes that prepare batches, as of a torch DataLoader.

    Raises
    ------
    InputError
        Where the cohort has no phenotype, or too few samples.

    Examples
    --------
    >>> import genoattn
    >>> from genoattn.simulate import simulate_cohort
    >>> cohort = simulate_cohort(n_samples=400, n_sites=12, linkage="none", seed=1).cohort
    >>> data = genoattn.CohortData(cohort, batch_size=70, seed=1)
    >>> [len(batch["phenotype"]) for batch in data.train_dataloader()]
    [70, 70, 70, 70]
    """

    def __init__(
        self,
        cohort: Cohort | TrainingData,
        split: Split | None = None,
        *,
        validation: float = 0.15,
        test: float = 0.15,
        batch_size: int | None = None,
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        self.cohort = cohort if isinstance(cohort, Cohort) else None
        self.arrays = training_data(cohort) if isinstance(cohort, Cohort) else cohort
        a = self.arrays
        self.split = split or split_samples(a.phenotype, a.binary, validation, test, seed, a.relatives)
        self.batch_size = min(batch_size or 1024, len(self.split.training))
        self.seed, self.num_workers = seed, num_workers

    def sample_names(self, indices: Tensor) -> list[str]:
        """IDs of samples, or their numbers from 1 where only arrays were given."""
        if self.cohort is None:
            return [str(k + 1) for k in indices.tolist()]
        return [str(s) for s in np.asarray(self.cohort.samples)[indices.cpu().numpy()]]

    def train_dataloader(self) -> DataLoader[Batch]:
        return self._loader(self.split.training, self.batch_size, self.seed)

    def val_dataloader(self) -> DataLoader[Batch]:
        return self._loader(self.split.validation, max(self.batch_size, _AT_ONCE))

    def validation_batches(self) -> Iterator[Batch]:
        """All validation samples, in every process."""
        samples = CohortSamples(self.arrays, self.split.validation)
        yield from (samples[k] for k in BatchIndices(len(samples), max(self.batch_size, _AT_ONCE)))

    def test_dataloader(self) -> DataLoader[Batch]:
        return self._loader(self.split.test, max(self.batch_size, _AT_ONCE))

    def predict_dataloader(self) -> DataLoader[Batch]:
        """All samples, in the order of the cohort."""
        return self._loader(np.arange(len(self.arrays.calls)), max(self.batch_size, _AT_ONCE))

    def _loader(self, chosen: np.ndarray, batch_size: int, seed: int | None = None) -> DataLoader[Batch]:
        trainer = self.trainer
        n_processes, rank = (1, 0) if trainer is None else (trainer.world_size, trainer.global_rank)
        if 0 < len(chosen) < n_processes:
            raise InputError(f"{len(chosen)} samples for {n_processes} processes; use fewer devices")
        samples = CohortSamples(self.arrays, chosen)
        indices = BatchIndices(len(chosen), batch_size, seed, n_processes, rank)
        workers = {"num_workers": self.num_workers, "persistent_workers": self.num_workers > 0}
        # A sampler of complete batches: one look-up a batch in place of one a sample.
        return DataLoader(samples, batch_size=None, sampler=indices if len(chosen) else None, **workers)  # type: ignore[arg-type]


def training_data(cohort: Cohort) -> TrainingData:
    """Arrays of a cohort that a model can be trained on, with its relatives.

    Raises
    ------
    InputError
        Where the cohort has no phenotype, one of extreme units, or too many covariates.
    """
    phenotype = cohort.phenotype
    if phenotype is None:
        raise InputError("the cohort has no phenotype; read it with pheno=TABLE")
    with np.errstate(over="ignore"):
        spread = float(phenotype.values.std())
    if not 1e-100 < spread < 1e100:
        raise InputError(
            f"trait {phenotype.name}: its standard deviation is {spread:.3g}, too far from 1; "
            "give it in other units"
        )
    covariates = np.zeros((cohort.n_samples, 0)) if cohort.covariates is None else cohort.covariates.values
    is_environment = cohort.sites.is_environment
    if covariates.shape[1] + is_environment.sum() > cohort.n_samples // 4:
        levels = {} if cohort.covariates is None else cohort.covariates.levels
        widest = max(levels, key=lambda column: len(levels[column]), default="")
        hint = f"; {widest} alone has {len(levels[widest])} levels" if widest else ""
        raise InputError(
            f"covariates: {covariates.shape[1]} columns for {cohort.n_samples} samples leave nothing to "
            f"fit{hint}; remove some"
        )
    relatives, state_names = None, None
    if cohort.kind == "genotype":
        relatives = find_relatives(cohort.calls[:, ~is_environment] if is_environment.any() else cohort.calls)
    else:
        names = [name for states in cohort.sites.states for name in states]
        state_names = np.unique(names, return_inverse=True)[1].reshape(-1)
    values = phenotype.values, phenotype.binary, phenotype.variance
    return TrainingData(
        cohort.calls,
        covariates,
        *values,
        relatives=relatives,
        state_names=state_names,
        environments=tuple(np.flatnonzero(is_environment).tolist()),
    )
