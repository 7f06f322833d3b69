"""Each site's sum of squared pair scores, and its distribution where the site interacts with none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from genoattn.inference.chi_squared_mixture import ChiSquaredMixture

_BYTES = 2e8  # of a block of sites in float32
_LARGE = 32  # eigenvalues that are known one by one
_POWERS = 6  # applications of the quadratic form that separate them from the others
_PROBES = 64  # random vectors for the sum of cubes of the others
_SOME_PARTNERS = 1024  # at a time
_SOME = 64  # sites for the mean of drawn traits


@dataclass(frozen=True, eq=False)
class MarginalDesign:
    """What the scores of a cohort are made of.

    Parameters
    ----------
    columns
        Shape (n_sites, n_samples), float32: dosages less their regression on the fixed effects, of mean
        square 1, or 0 throughout where there is no variation.
    residual
        Shape (n_samples,), residual of the trait, orthogonal to the fixed effects.
    partner, tested
        Shape (n_sites,), bool: sites that may be partners, and those with a test. No site without variation
        is either.
    record, chromosome, position
        Shape (n_sites,): a number alike for sites of one record, a number for each chromosome, bases.
    mask_distance
        Bases within which a site of the same chromosome is no partner.
    """

    columns: np.ndarray
    residual: np.ndarray
    partner: np.ndarray
    tested: np.ndarray
    record: np.ndarray
    chromosome: np.ndarray
    position: np.ndarray
    mask_distance: int

    @property
    def n_samples(self) -> int:
        return len(self.residual)

    @cached_property
    def of_partner(self) -> np.ndarray:
        """Columns of the partners, (n_partners, n_samples)."""
        return self.columns if self.partner.all() else self.columns[self.partner]

    @cached_property
    def partner_square(self) -> np.ndarray:
        """Sum of squared dosages of the partners of each sample, (n_samples,)."""
        return np.einsum("ks,ks->s", self.of_partner, self.of_partner, dtype=np.float64)

    def masked(self, chosen: np.ndarray) -> np.ndarray:
        """Which partners are too close to each of the chosen sites: (n_chosen, n_partners), bool."""
        out = self.record[chosen][:, None] == self.record[self.partner]
        if self.mask_distance > 0:
            apart = np.abs(self.position[chosen][:, None] - self.position[self.partner])
            same = self.chromosome[chosen][:, None] == self.chromosome[self.partner]
            out |= same & (apart < self.mask_distance)
        return out

    def blocks(self, which: np.ndarray) -> Iterator[np.ndarray]:
        """Indices of the sites of a mask (n_sites,), bool, some at a time."""
        width = int(np.clip(_BYTES / (4 * self.n_samples), 16, 512))
        index = np.flatnonzero(which)
        for start in range(0, len(index), width):
            yield index[start : start + width]


@dataclass(frozen=True, eq=False)
class MarginalScores:
    """Statistics of the tested sites, each of shape (n_tested,), float64."""

    # sum over the partners of the squared score of the product, less the squares of single samples; over
    # n_partners
    statistic: np.ndarray
    scale: np.ndarray  # sum of squares of dosage times residual
    n_partners: np.ndarray
    # variance of the statistic where the site has no interaction, for a scale of 1
    variance: np.ndarray
    # mean of the statistic there, in standard deviations: what relatives among the samples cause
    mean: float
    shape: ChiSquaredMixture  # of its distribution, but for mean and scale

    @property
    def z(self) -> np.ndarray:
        """The statistic less its mean, in standard deviations of its null distribution."""
        return self.statistic / self.deviation - self.mean

    @property
    def deviation(self) -> np.ndarray:
        """Standard deviation of the statistic in its null distribution."""
        return np.asarray(np.maximum(self.scale * np.sqrt(self.variance), 1e-300))

    @property
    def p_value(self) -> np.ndarray:
        return self.shape.upper_tail(self.z * self.shape.deviation)


def marginal_scores(
    design: MarginalDesign, drawn: np.ndarray, seed: int, advance: Callable[[float], None] = lambda n: None
) -> MarginalScores:
    """Statistics of all tested sites and their null distribution.

    With x the dosages of a site, X those of its m partners, r the residual of the trait, adjusted for x, and
    w = x * r, the statistic is ``sum over samples s, t, s != t, of w_s w_t K_st``, ``K = X'X / m``. That is
    the score statistic ``r' D K D r`` of a variance component of the products, D the diagonal matrix of x
    (Crawford et al. 2017, PLoS Genet 13:e1006869), without the diagonal terms. Where the site has no
    interaction and the samples are unrelated its mean is 0, whatever the distribution of the trait and its
    variance are, since x and the partners are independent. Its variance is ``2 sum of (r_s r_t K_st)^2, s !=
    t``, for x of variance 1, and its distribution the mixture of chi-squared variables of the eigenvalues of
    the matrix of r_s r_t K_st.

    Relatives share x and partners, and their residuals are correlated: the mean, in standard deviations, is
    then estimated from ``drawn`` (2, n_draws, n_samples), residuals of random traits without interactions,
    and the independent noise in them, whose mean is 0. ``advance`` is told of sites done.
    """
    rows, total = _squares(design, advance)
    found = [_block(design, chosen, rows, total, advance) for chosen in design.blocks(design.tested)]
    statistic, scale, n_partners, variance = np.concatenate(found, axis=1)
    mean = _mean_of_relatives(design, drawn, variance)
    return MarginalScores(statistic, scale, n_partners, variance, mean, _shape(design, total, seed))


def _squares(design: MarginalDesign, advance: Callable[[float], None]) -> tuple[np.ndarray, float]:
    """Sum of squares of the off-diagonal quadratic form of the partners' residual products, and its parts.

    With ``B_k`` that of the partner k alone, the parts are the inner products of B_k with the sum of all,
    shape (n_partners,): the elements of ``(X D X')^2`` in row k, D the diagonal matrix of r^2, less the
    diagonal terms.
    """
    weight = (design.residual**2).astype(np.float32)
    own = (design.residual**4 * design.partner_square).astype(np.float32)
    parts = np.zeros(len(design.of_partner))
    start = 0
    for chosen in design.blocks(design.partner):
        x = design.columns[chosen]
        product = (x * weight) @ design.of_partner.T  # (chosen, partner)
        square = np.einsum("kl,kl->k", product, product, dtype=np.float64)
        parts[start : start + len(chosen)] = square - (x**2) @ own
        start += len(chosen)
        advance(len(chosen))
    return parts, float(parts.sum())


def _block(
    design: MarginalDesign,
    chosen: np.ndarray,
    parts: np.ndarray,
    total: float,
    advance: Callable[[float], None],
) -> np.ndarray:
    """Statistic, scale, number of partners and variance of chosen sites: (4, n_chosen)."""
    masked = design.masked(chosen)
    near = np.flatnonzero(masked.any(axis=0))
    inside, at = design.of_partner[near], masked[:, near]
    of_masked = _sample_squares(design, masked)
    statistic, scale = _statistics(design, chosen, design.residual, masked, of_masked)
    n_partners = (~masked).sum(axis=1)
    of_sets = _square_of_sets(inside, design.residual, at, of_masked)
    variance = 2 * (total - 2 * at @ parts[near] + of_sets)
    variance /= np.maximum(n_partners, 1) ** 2 * (design.residual @ design.residual) ** 2
    advance(len(chosen))
    return np.stack([statistic, scale, n_partners, variance])


def _sample_squares(design: MarginalDesign, masked: np.ndarray) -> np.ndarray:
    """Sum of squared dosages of each row's masked partners, of each sample: (n_rows, n_samples), float32."""
    out = np.zeros((len(masked), design.n_samples), dtype=np.float32)
    near = np.flatnonzero(masked.any(axis=0))
    for start in range(0, len(near), _SOME_PARTNERS):
        some = near[start : start + _SOME_PARTNERS]
        out += masked[:, some].astype(np.float32) @ design.of_partner[some] ** 2
    return out


def _statistics(
    design: MarginalDesign,
    chosen: np.ndarray,
    residual: np.ndarray,
    masked: np.ndarray,
    of_masked: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Statistic and scale of chosen sites (n_chosen,) with a residual of any trait (n_samples,)."""
    x, r = design.columns[chosen], residual.astype(np.float32)
    own_effect = (x @ r) / np.einsum("js,js->j", x, x)
    w = x * (r - own_effect[:, None] * x)  # (chosen, sample)
    score = w @ design.of_partner.T  # (chosen, partner)
    score[masked] = 0
    square = w**2
    own = design.partner_square.astype(np.float32) - of_masked
    diagonal = np.einsum("js,js->j", square, own, dtype=np.float64)
    total = np.einsum("jk,jk->j", score, score, dtype=np.float64) - diagonal
    scale = square.sum(axis=1, dtype=np.float64)
    return total / np.maximum((~masked).sum(axis=1), 1), scale


def _mean_of_relatives(design: MarginalDesign, drawn: np.ndarray, variance: np.ndarray) -> float:
    """Mean over some tested sites of the statistic of drawn traits, in standard deviations."""
    tested = np.flatnonzero(design.tested)
    some = np.unique(np.linspace(0, len(tested) - 1, _SOME).astype(int))
    masked = design.masked(tested[some])
    keep = ~masked.all(axis=1) & (variance[some] > 0)
    if not keep.any():
        return 0.0
    some, masked = some[keep], masked[keep]
    of_masked = _sample_squares(design, masked)
    mean = np.zeros(2)
    for k, kind in enumerate(drawn):
        for residual in kind:
            statistic, scale = _statistics(design, tested[some], residual, masked, of_masked)
            mean[k] += float(np.mean(statistic / scale / np.sqrt(variance[some]))) / len(kind)
    return float(mean[0] - mean[1])


def _square_of_sets(
    columns: np.ndarray, residual: np.ndarray, sets: np.ndarray, of_sample: np.ndarray
) -> np.ndarray:
    """Sum of squares of the off-diagonal quadratic form of each set of columns (n_sets, n_columns), bool.

    ``of_sample`` (n_sets, n_samples) are the sums of squares of a set's columns, of each sample.
    """
    weight = (residual**2).astype(np.float32)
    product = ((columns * weight) @ columns.T) ** 2
    member = sets.astype(np.float32)
    every = np.einsum("jk,jk->j", member @ product, member, dtype=np.float64)
    return np.asarray(every - (of_sample**2).astype(np.float64) @ residual**4)


def _shape(design: MarginalDesign, total: float, seed: int) -> ChiSquaredMixture:
    """Mixture of the eigenvalues of the off-diagonal quadratic form of all partners.

    The largest are found by subspace iteration (Halko, Martinsson & Tropp 2011, SIAM Rev 53:217); the sum of
    cubes of the others by random vectors (Hutchinson 1990).
    """
    rng = np.random.default_rng(seed)
    n, x = design.n_samples, design.of_partner
    r = design.residual.astype(np.float32)[:, None]
    own = r**2 * design.partner_square.astype(np.float32)[:, None]

    def apply(v: np.ndarray) -> np.ndarray:
        v = v.astype(np.float32)
        return np.asarray(r * (x.T @ (x @ (r * v))) - own * v, dtype=np.float64)

    k = min(_LARGE, len(x), n // 4)
    basis = np.linalg.qr(rng.standard_normal((n, min(2 * k, n))))[0]
    for _ in range(_POWERS):
        basis = np.linalg.qr(apply(basis))[0]
    image = apply(basis)
    values, turn = np.linalg.eigh((basis.T @ image + image.T @ basis) / 2)
    large = values[-k:][values[-k:] > 0]
    top, image = basis @ turn[:, -k:], image @ turn[:, -k:]
    cube = float(np.einsum("sk,sk->", image, apply(image)))
    probe = rng.choice([-1.0, 1.0], (n, _PROBES))
    probe -= top @ (top.T @ probe)
    once = apply(probe)
    cube += float(np.einsum("sk,sk->", once, apply(once))) / _PROBES
    return ChiSquaredMixture(large, total - float((large**2).sum()), cube - float((large**3).sum()))
