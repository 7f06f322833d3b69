"""Samples for training, validation and test."""

import numpy as np

from genoattn.errors import InputError
from genoattn.model.relatives import assign_relatives
from genoattn.model.train_config import Split

_MINIMUM = 20


def split_samples(
    phenotype: np.ndarray,
    binary: bool,
    validation: float,
    test: float,
    seed: int,
    relatives: np.ndarray | None = None,
) -> Split:
    """Random split; cases and controls in the same proportion everywhere, or relatives together.

    ``validation`` and ``test`` are shares of the samples; ``relatives`` (n_samples,) are those of
    :func:`genoattn.model.relatives.find_relatives`. Where both shares are 0 all samples train, however few.
    """
    if validation == test == 0:
        nobody = np.arange(0)
        return Split(np.arange(len(phenotype)), nobody, nobody)
    if not (0 < validation < 1 and 0 <= test < 1 and validation + test < 1):
        raise InputError(
            f"validation share {validation} and test share {test} must be positive and leave a training set, "
            "or both be 0"
        )
    n = len(phenotype)
    if n < _MINIMUM:
        raise InputError(f"{n} samples with genotypes and phenotype; a fit needs at least {_MINIMUM}")
    rng = np.random.default_rng(seed)
    strata = [np.flatnonzero(phenotype == c) for c in (0, 1)] if binary else [np.arange(n)]
    parts: tuple[list[np.ndarray], ...] = ([], [], [])
    for stratum in strata:
        if len(stratum) < 3:
            kind = "controls" if stratum is strata[0] else "cases"
            raise InputError(f"{len(stratum)} {kind} among {n} samples; a fit needs at least 3 of each")
        shuffled = rng.permutation(stratum)
        n_validation = max(1, round(validation * len(stratum)))
        n_test = max(1, round(test * len(stratum))) if test else 0
        if n_validation + n_test >= len(stratum):
            raise InputError(
                f"validation share {validation} and test share {test} leave none of {len(stratum)} samples "
                "(of one class, for a binary trait) for training; lower them"
            )
        for part, chosen in zip(
            parts,
            np.split(shuffled, [len(stratum) - n_validation - n_test, len(stratum) - n_test]),
            strict=True,
        ):
            part.append(chosen)
    if relatives is not None:
        quota = np.array([sum(map(len, part)) for part in parts])
        chosen_part = assign_relatives(relatives, quota, rng)
        together = Split(*(np.flatnonzero(chosen_part == k) for k in range(3)))
        if _serves(together, quota, phenotype, binary):
            return together
    return Split(*(np.sort(np.concatenate(part)) for part in parts))


def _serves(split: Split, quota: np.ndarray, phenotype: np.ndarray, binary: bool) -> bool:
    """Whether the parts are within a factor of two of their sizes, and have both classes."""
    parts = split.training, split.validation, split.test
    close = all(0.5 * q <= len(part) <= 2 * q for part, q in zip(parts, quota, strict=True))
    return close and not (binary and any(len(part) and np.ptp(phenotype[part]) == 0 for part in parts))
