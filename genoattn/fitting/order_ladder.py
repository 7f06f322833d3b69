"""Choice of the order: models of every order on one split, with a link and without.

A curve between a latent and the measured phenotype looks like interactions of every order to a model without
one; so each order is fitted both ways, and the smallest order that is not significantly worse than the best
(0.05, divided by the number of comparisons) is chosen, without a link where that does as well.
"""

import logging
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import special, stats

from genoattn.fitting.train_model import Trained, train_ensemble, train_readout
from genoattn.model.link import LinkKind
from genoattn.model.phenotype_likelihood import COUNTS, LikelihoodKind, chosen_likelihood, mean_response
from genoattn.model.prediction import predict_orders, respond
from genoattn.model.readout import Readout
from genoattn.model.train import TrainingRun
from genoattn.model.train_config import Split, TrainConfig, TrainingData
from genoattn.tokens import Vocabulary
from genoattn.tokens.token_features import TokenFeatures

_log = logging.getLogger(__name__)
_ALPHA = 0.05
_RESAMPLES = 400
HIGHEST_ORDER = 8


@dataclass(frozen=True, eq=False)
class Ladder:
    """Models of rising order, and the one chosen.

    Parameters
    ----------
    frame
        One row a model: ``order``, ``link``, ``start``, ``test_score`` (1 - loss / loss of the mean: R2, or
        the share of the deviance), ``lower`` and ``upper`` (90 %, over the test samples), ``p_worse``
        (one-sided, paired over the test samples, that its loss is no larger than the best model's),
        ``chosen``, and ``share_k``, the share of order k in the variance over the test samples; with
        ``share_k_lower`` and ``share_k_upper`` over an ensemble for the chosen model, where there is one.
    """

    frame: pd.DataFrame
    order: int
    link: LinkKind

    def summary(self) -> str:
        """The table as aligned text, and what was chosen."""
        lines = ["Orders on the same test samples (90 % intervals):"]
        for row in self.frame.to_dict("records"):
            shares = " / ".join(f"{row[f'share_{k}']:.3f}" for k in range(1, row["order"] + 1))
            mark = " *" if row["chosen"] else ""
            lines.append(
                f"  order {row['order']}, link {row['link']:<8} {row['test_score']:.4f} "
                f"[{row['lower']:.4f}, {row['upper']:.4f}]  p {row['p_worse']:.2g}  shares {shares}{mark}"
            )
        lines.append(f"chosen: order {self.order}, link {self.link}, the smallest that is not clearly worse")
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class _Rung:
    """One model: its order and link, loss of each test sample, and share of each order."""

    order: int
    link: LinkKind
    start: str
    loss: np.ndarray
    shares: np.ndarray


def climb(
    vocabulary: Vocabulary,
    data: TrainingData,
    split: Split,
    config: TrainConfig,
    *,
    highest: int = HIGHEST_ORDER,
    n_members: int = 0,
    features: TokenFeatures | None = None,
    run: TrainingRun = TrainingRun(),
) -> Ladder:
    """Fit orders from 1 up until one more does not help, and choose.

    Parameters
    ----------
    vocabulary, data, split, config, features
        As for :func:`genoattn.fitting.train_model.train_readout`; the order of ``config`` is not used, and
        its link, if it is ``bounded``, is the one compared with none.
    n_members
        Size of the ensemble that says how far the shares of the chosen model may be off; 0 for none.
    """
    kind = chosen_likelihood(config.likelihood, data.phenotype, data.binary)
    observed = data.phenotype[split.test]
    null = _losses(kind, observed, np.full(len(observed), data.phenotype[split.training].mean()))
    links: tuple[LinkKind, ...] = ("none", "bounded" if config.link == "bounded" else "monotone")
    rungs: list[_Rung] = []
    for order in range(1, min(highest, vocabulary.n_sites) + 1):
        for link in links:
            settings = replace(config, order=order, link=link)
            trained = train_readout(vocabulary, data, split, settings, features, run)
            rungs.append(_rung(trained, settings, data, split, kind))
            score = 1 - rungs[-1].loss.mean() / null.mean()
            _log.info("order %d, link %s: %.4f on the test samples", order, link, score)
        if order > 1 and not _improves(rungs, order):
            break
    lowest = min(rungs, key=lambda rung: rung.loss.mean())
    p_worse = [_p_worse(rung.loss, lowest.loss) for rung in rungs]
    level = _ALPHA / max(len(rungs) - 1, 1)  # of the comparisons with the best, as many as there are others
    equals = [k for k in range(len(rungs)) if p_worse[k] >= level]
    chosen = min(equals, key=lambda k: (rungs[k].order, rungs[k].link != "none"))
    frame = _frame(rungs, p_worse, null, chosen, config.seed)
    best = rungs[chosen]
    if n_members >= 2:
        settings = replace(config, order=best.order, link=best.link)
        unseen = replace(run, progress=False)
        members = train_ensemble(vocabulary, data, split, settings, n_members, features, unseen)
        _add_share_intervals(frame, chosen, [_shares(_by_order(m, data, split)) for m in members])
    return Ladder(frame, best.order, best.link)


def _rung(
    trained: Trained, config: TrainConfig, data: TrainingData, split: Split, kind: LikelihoodKind
) -> _Rung:
    readout = trained.readout
    by_order = _by_order(readout, data, split)
    mean = mean_response(kind, respond(readout, by_order.sum(axis=1)))
    loss = _losses(kind, data.phenotype[split.test], mean)
    return _Rung(config.order, config.link, trained.summary.start, loss, _shares(by_order))


def _by_order(readout: Readout, data: TrainingData, split: Split) -> np.ndarray:
    return predict_orders(readout, data.calls[split.test], data.covariates[split.test])


def _shares(by_order: np.ndarray) -> np.ndarray:
    """Share of each order from 1 up in the variance of the latent phenotype."""
    variance = by_order[:, 1:].var(axis=0)
    return variance / max(float(variance.sum()), 1e-300)


def _losses(kind: LikelihoodKind, observed: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Loss of each sample: squared error, or half the deviance of a binary trait or a Poisson count."""
    if kind == "bernoulli":
        mean = np.clip(mean, 1e-12, 1 - 1e-12)
        return -special.xlogy(observed, mean) - special.xlogy(1 - observed, 1 - mean)
    if kind in COUNTS:
        mean = np.maximum(mean, 1e-12)
        return special.xlogy(observed, observed / mean) - observed + mean
    return (observed - mean) ** 2


def _p_worse(loss: np.ndarray, best: np.ndarray) -> float:
    """One-sided p-value of a paired t test that the loss is larger than the best model's."""
    difference = loss - best
    if not difference.std() > 0:
        return 1.0
    return float(stats.ttest_1samp(difference, 0.0, alternative="greater").pvalue)


def _improves(rungs: list[_Rung], order: int) -> bool:
    """Whether the best model of this order is better than the best of all lower ones, beyond chance."""
    lower = min((r for r in rungs if r.order < order), key=lambda rung: rung.loss.mean())
    best = min((r for r in rungs if r.order == order), key=lambda rung: rung.loss.mean())
    return _p_worse(lower.loss, best.loss) < _ALPHA


def _frame(
    rungs: list[_Rung], p_worse: list[float], null: np.ndarray, chosen: int, seed: int
) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    # One draw of samples for all models: their scores vary together, as paired comparisons need.
    losses = np.stack([null, *(rung.loss for rung in rungs)])
    drawn = [losses[:, rng.integers(0, len(null), len(null))].mean(axis=1) for _ in range(_RESAMPLES)]
    resampled = np.stack(drawn)  # (resample, null and rungs)
    highest = max(rung.order for rung in rungs)
    rows = []
    for k, (rung, p) in enumerate(zip(rungs, p_worse, strict=True)):
        lower, upper = np.quantile(1 - resampled[:, k + 1] / resampled[:, 0], [0.05, 0.95])
        row = {
            "order": rung.order,
            "link": rung.link,
            "start": rung.start,
            "test_score": 1 - rung.loss.mean() / null.mean(),
            "lower": lower,
            "upper": upper,
            "p_worse": p,
            "chosen": k == chosen,
        }
        row |= {
            f"share_{n}": rung.shares[n - 1] if n <= rung.order else np.nan for n in range(1, highest + 1)
        }
        rows.append(row)
    return pd.DataFrame(rows)


def _add_share_intervals(frame: pd.DataFrame, row: int, members: list[np.ndarray]) -> None:
    """90 % intervals of the shares of one row, from the spread of an ensemble."""
    shares = np.stack(members)
    reach = float(stats.t.ppf(0.95, len(members) - 1)) * shares.std(axis=0, ddof=1)
    for k in range(shares.shape[1]):
        value = float(frame.loc[row, f"share_{k + 1}"])  # type: ignore[arg-type]
        frame.loc[row, f"share_{k + 1}_lower"] = max(value - reach[k], 0.0)
        frame.loc[row, f"share_{k + 1}_upper"] = min(value + reach[k], 1.0)
