"""How many false signals to expect: the same tests on resampled traits, which have no interactions."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.optimize import minimize

from genoattn.inference.background import AdditiveGenome, Background

_SLOPE_SD = 0.05  # by how much the rate may change with the logarithm of the threshold, before data
_STEPS = 4.0  # ratio of successive thresholds at which signals are counted


@dataclass(frozen=True)
class FalseSignals:
    """Most false signals, with 97.5 % confidence in the count, to expect up to a weighted p-value.

    ``ratio (threshold / limit)^slope`` times the number of tests times the threshold: 1 and 0 where p-values
    are uniform and no two pairs make one signal. Linked pairs make it smaller, tails of the trait that the
    tests do not allow for larger.
    """

    n_tests: int
    limit: float = 1.0
    ratio: float = 1.0
    slope: float = 0.0
    n_counted: int = 0  # signals of the resampled traits that it rests on
    n_resamples: int = 0

    def expected(self, threshold: np.ndarray) -> np.ndarray:
        """At weighted p-values: shape of ``threshold``."""
        share = np.maximum(np.asarray(threshold, dtype=np.float64), 1e-300)
        out: np.ndarray = self.n_tests * share * self.ratio * (share / self.limit) ** self.slope
        return out

    @classmethod
    def counted(cls, thresholds: np.ndarray, n_tests: int, limit: float, n_resamples: int) -> FalseSignals:
        """From the weighted p-values of all signals of resampled traits, those above ``limit`` left out.

        The counts between ``limit``, its quarter, a quarter of that and so on are Poisson with the mean that
        :meth:`expected` says; the likeliest ratio and slope, the slope under a normal prior of mean 0 and
        standard deviation 0.05, so that few counts do not extrapolate far. The ratio is then raised by two
        standard errors of the count.
        """
        p = np.sort(thresholds[thresholds <= limit])
        n_steps = int(np.clip(np.log(max(limit * n_tests, 1.0)) / np.log(_STEPS), 1, 8)) + 2
        edge = limit * _STEPS ** -np.arange(n_steps + 1.0)
        edge[-1] = 0.0
        count = np.array([((p <= a) & (p > b)).sum() for a, b in pairwise(edge)])

        def loss(parameters: np.ndarray) -> float:
            log_ratio, slope = parameters
            power = np.maximum(edge / limit, 1e-300) ** (1 + slope) * (edge > 0)
            mean = n_resamples * n_tests * limit * np.exp(log_ratio) * (power[:-1] - power[1:])
            prior = slope**2 / (2 * _SLOPE_SD**2) + log_ratio**2 / 8
            return float(mean.sum() - count @ np.log(np.maximum(mean, 1e-300)) + prior)

        start = np.array([np.log((len(p) + 0.5) / (n_resamples * n_tests * limit + 0.5)), 0.0])
        log_ratio, slope = minimize(loss, start, method="Nelder-Mead").x
        ratio = float(np.exp(log_ratio) * (1 + 2 / np.sqrt(max(len(p), 1))))
        return cls(n_tests, limit, ratio, float(np.clip(slope, -0.5, 0.5)), len(p), n_resamples)


@dataclass(frozen=True, eq=False)
class Exchangeable:
    """Which samples stand for each other when a trait is resampled.

    Parameters
    ----------
    strata
        Shape (n_samples,): residuals stay within a stratum. None for one stratum.
    families
        Shape (n_samples,): residuals of a family keep their places and change sign together. None where
        nobody is related.
    order
        Shape (n_samples,): the samples in an order that does not depend on that of the file, so that neither
        do the resampled traits. None for that of the file.
    """

    strata: np.ndarray | None = None
    families: np.ndarray | None = None
    order: np.ndarray | None = None

    def words(self, binary: bool) -> str:
        """How traits are resampled."""
        if binary:
            return "drawn with the fitted probabilities"
        if self.families is not None:
            return "residuals flipped in sign by family"
        return "residuals permuted" + ("" if self.strata is None else " within strata")

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """A uniform number for each of ``n`` samples."""
        out = np.empty(n)
        out[slice(None) if self.order is None else self.order] = rng.random(n)
        return out

    def residuals(self, residual: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Residuals (n_samples,) as they might as well have been."""
        n = len(residual)
        if self.families is not None:
            place = np.arange(n) if self.order is None else np.argsort(self.order)
            lead = np.full(int(self.families.max()) + 1, n)
            np.minimum.at(lead, self.families, place)  # a family's sign is that of its member who comes first
            sign = np.empty(n)
            sign[place] = np.where(self.draw(n, rng) < 0.5, -1.0, 1.0)
            return residual * sign[lead[self.families]]
        strata = np.zeros(n, dtype=np.int64) if self.strata is None else self.strata
        # Two sorts of the samples by stratum, at random within it: one takes the place of the other.
        places, drawn = (np.lexsort((self.draw(n, rng), strata)) for _ in range(2))
        out = np.empty_like(residual)
        out[places] = residual[drawn]
        return out


def resampled_backgrounds(
    genome: AdditiveGenome,
    background: Background,
    binary: bool,
    exchangeable: Exchangeable,
    number: int,
    rng: np.random.Generator,
) -> list[Background]:
    """Backgrounds of traits that the cohort might have without interactions.

    What the additive genome and the covariates fit, plus residuals permuted within strata, or flipped in sign
    by families, where samples are related (Winkler et al. 2014, NeuroImage 92:381; Freedman & Lane 1983). A
    binary trait is drawn again with the fitted probabilities.
    """
    fitted = background.fitted
    out = []
    for _ in range(number):
        if binary:
            chance = exchangeable.draw(len(fitted), rng) - fitted
            values = (chance < 0).astype(np.float64)
            values[[np.argmin(chance), np.argmax(chance)]] = 1.0, 0.0  # both values, whatever happens
        else:
            values = fitted + exchangeable.residuals(background.residuals[:, 0], rng)
        out.append(genome.take_out(values, binary))
    return out
