"""Settings of a scan: what they are, and which values are refused."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from genoattn.errors import InputError
from genoattn.scan.genome_parts import BackgroundWord
from genoattn.tokens import Encoding


@dataclass(frozen=True)
class ScanConfig:
    """Settings of a scan.

    Parameters
    ----------
    threshold
        Largest p-value reported.
    sites, with_sites
        Pairs of a site of the first set with one of the second, each a list of IDs, regions
        (``chr:from-to``) or files of them (BED or one ID a line); None for all sites.
    min_distance
        Sites of one chromosome closer than this, in bases, are not paired.
    max_r2
        Pairs with a larger squared correlation are not tested.
    test
        ``additive``: the product of dosages. ``genotypic``: a dominance term at each site too, and their
        products together, on up to 4 degrees of freedom.
    missing
        ``complete``: each pair on the samples called at both sites; ``mean``: missing calls count as the
        mean of their site (binary traits: weighted by the variances of the regression on the covariates).
    background
        ``loco``: the test is made in a linear mixed model with the additive effects of the genome, those of
        the pair's chromosomes with a variance of their own; ``genome``: with one variance for all. Both for
        quantitative traits, with missing calls at the mean. None for no background.
    encoding
        ``dosage``, ``genotype`` or ``sequence``; None for dosage or sequence.
    memory
        Bytes to stay under.
    threads
        Tiles at a time; None for all processors.
    device
        Of the screen: ``cpu``, a device of torch such as ``cuda``, or ``auto`` for cuda where there is one.
        The result is the same.
    permutations
        How often the trait is permuted for a genome-wide threshold; 0 for none.
    seed
        Of the permutations.
    """

    threshold: float = 1e-4
    sites: str | Sequence[str] | None = None
    with_sites: str | Sequence[str] | None = None
    min_distance: int = 0
    max_r2: float | None = None
    test: Literal["additive", "genotypic"] = "additive"
    missing: Literal["complete", "mean"] = "complete"
    background: BackgroundWord | None = None
    encoding: Encoding | None = None
    memory: float = 2e9
    threads: int | None = None
    device: str = "cpu"
    permutations: int = 0
    seed: int = 0

    @property
    def screen_device(self) -> str:
        """``device``, with ``auto`` resolved."""
        if self.device != "auto":
            return self.device
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"

    @property
    def n_threads(self) -> int:
        """``threads``, or the processors this process may use."""
        if self.threads is not None:
            return self.threads
        # macOS and Windows do not say which processors a process may use.
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_config(threshold: float, options: dict[str, Any]) -> ScanConfig:
    """Settings given by name."""
    unknown = set(options) - set(ScanConfig.__dataclass_fields__)
    if unknown:
        names = ", ".join(sorted(ScanConfig.__dataclass_fields__))
        raise TypeError(f"scan_pairs() got an unknown setting {sorted(unknown)[0]!r}; known are {names}")
    config = ScanConfig(threshold=threshold, **options)
    # The covariance of the samples is that of all of them, for every pair.
    return config if config.background is None else replace(config, missing="mean")


def check_config(config: ScanConfig) -> None:
    """Refuse settings out of range."""
    if not 0 < config.threshold <= 1:
        raise InputError(f"threshold is {config.threshold}; give a p-value above 0 and up to 1")
    _check_background(config)
    if config.test not in ("additive", "genotypic"):
        raise InputError(f"test {config.test!r} is unknown; choose one of additive, genotypic")
    if config.test == "genotypic" and (config.permutations or config.missing == "mean"):
        raise InputError(
            "the genotypic test is made on complete cases and without permutations; leave missing and "
            "permutations out"
        )
    if config.missing not in ("complete", "mean"):
        raise InputError(f"missing {config.missing!r} is unknown; choose one of complete, mean")
    if config.threads is not None and not config.threads >= 1:
        raise InputError(f"threads is {config.threads}; it must be 1 or more")
    if not config.permutations >= 0:
        raise InputError(f"permutations is {config.permutations}; it must be 0 or more")
    if config.device not in ("cpu", "auto"):
        check_device(config.device)
    if not config.memory >= 1e8:
        raise InputError(f"memory is {config.memory:g} bytes; give at least 100 MB")


def _check_background(config: ScanConfig) -> None:
    """Refuse a background that is unknown, or goes with nothing else that is asked for."""
    if config.background is None:
        return
    if config.background not in ("loco", "genome"):
        raise InputError(f"background {config.background!r} is unknown; choose one of loco, genome")
    if config.test == "genotypic":
        raise InputError("the genotypic test has no background; leave the background or the test out")
    if config.permutations:
        raise InputError(
            "permutations make relatives unrelated, so that a background has none; leave one of them out"
        )
    if config.device not in ("cpu", "auto"):
        raise InputError("a scan with a background runs on the processor; leave the device out")


def check_device(device: str) -> None:
    """Refuse a device that torch does not have here."""
    import torch

    try:
        torch.zeros(1, dtype=torch.float64, device=device).sum()
    # What torch raises for a device that it does not know, that is not there, or that has no float64.
    except (RuntimeError, AssertionError, TypeError, NotImplementedError):
        raise InputError(f"device {device!r} is not available here; use cpu") from None
