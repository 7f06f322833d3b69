"""Batches of a cohort for training and validation."""

from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from genoattn.model.train_config import Split


class Batches:
    """Calls, covariates, phenotype and its variances in memory, in batches, not copied one by one."""

    def __init__(
        self, tensors: tuple[Tensor, ...], batch_size: int, generator: torch.Generator | None = None
    ) -> None:
        self.tensors, self.batch_size, self.generator = tensors, batch_size, generator

    def __len__(self) -> int:
        return -(-len(self.tensors[0]) // self.batch_size)

    def __iter__(self) -> Any:
        n = len(self.tensors[0])
        if self.batch_size >= n:
            yield self.tensors
            return
        order = torch.arange(n) if self.generator is None else torch.randperm(n, generator=self.generator)
        for start in range(0, n, self.batch_size):
            chosen = order[start : start + self.batch_size]
            yield tuple(t[chosen] for t in self.tensors)


class CohortData(pl.LightningDataModule):
    """Training and validation batches of a cohort.

    Parameters
    ----------
    arrays
        Calls (n_samples, n_sites), int8; covariates (n_samples, n_covariates); phenotype (n_samples,), and
        its known variances (n_samples,) or None.
    split
        Samples that train and validate.
    batch_size
        Samples in a training batch.
    seed
        Of the order of the batches.
    """

    def __init__(
        self, arrays: tuple[np.ndarray | None, ...], split: Split, batch_size: int, seed: int
    ) -> None:
        super().__init__()
        calls, *numbers = (torch.tensor(a) for a in arrays if a is not None)
        self.tensors = (calls, *(a.to(torch.get_default_dtype()) for a in numbers))
        self.training, self.validation = torch.tensor(split.training), torch.tensor(split.validation)
        self.batch_size, self.seed = batch_size, seed

    def train_dataloader(self) -> Any:
        generator = torch.Generator().manual_seed(self.seed)
        return Batches(tuple(t[self.training] for t in self.tensors), self.batch_size, generator)

    def val_dataloader(self) -> Any:
        return Batches(tuple(t[self.validation] for t in self.tensors), max(self.batch_size, 4096))
