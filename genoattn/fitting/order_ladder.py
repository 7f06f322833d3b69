"""Choice of the order: models of every order on one split, with a link and without, and all orders at once.

A curve between a latent and the measured phenotype looks like interactions of every order to a model without
one; so each order is fitted both ways, and the smallest order that is not significantly worse than the best
(0.05, divided by the number of comparisons) is chosen, without a link where that does as well. The process of
all orders at once takes its place where its loss is smaller. Models are compared on
samples they have not seen: on the validation samples, or in five folds of these and the training samples
where they are few. The test samples measure the chosen model alone.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import special, stats

from genoattn.closed_form.gaussian_process import count_products
from genoattn.closed_form.learned_kernel import LearnedKernel
from genoattn.errors import InputError
from genoattn.fitting.choose import all_at_once, choose_estimator
from genoattn.fitting.train_model import Trained, train_ensemble, train_readout
from genoattn.model.link import LinkKind
from genoattn.model.phenotype_likelihood import COUNTS, LikelihoodKind, chosen_likelihood, mean_response
from genoattn.model.prediction import predict_orders, respond
from genoattn.model.readout import Readout
from genoattn.model.train import TrainingRun
from genoattn.model.train_config import Split, TrainConfig, TrainingData
from genoattn.progress import progress_bar
from genoattn.tokens import Vocabulary
from genoattn.tokens.token_features import TokenFeatures

_log = logging.getLogger(__name__)
_ALPHA = 0.05
_RESAMPLES = 400
_FEW, _FOLDS = 5000, 5  # samples up to which models are compared in folds
_FROM_ANOTHER_FOLD = 0.4  # of the time of a process, where its kernel is known from another fold
HIGHEST_ORDER = 8
ALL = "all"


@dataclass(frozen=True, eq=False)
class Ladder:
    """Models of rising order, and the one chosen.

    Parameters
    ----------
    frame
        One row a model: ``order`` (a number, or ``all``), ``link``, ``start``, ``score`` (1 - loss / loss of
        the mean: R2, or the share of the deviance), ``lower`` and ``upper`` (90 %, over the validation
        samples), ``p_worse`` (one-sided, paired over these samples, that its loss is no larger than the best
        model's), ``seconds``, ``chosen``, and ``share_k``, the share of order k in the variance over these
        samples; with ``share_k_lower`` and ``share_k_upper`` over an ensemble for the chosen model, where
        there is one.
    order, link
        Of the chosen model.
    reason
        Why it was chosen, and what was not tried.
    config
        Settings of the chosen model.
    trained
        The chosen model, where it was trained on the training samples of the split itself.
    learned
        The kernel of all orders at once, where that was chosen.
    """

    frame: pd.DataFrame
    order: int | str
    link: LinkKind
    reason: str
    config: TrainConfig
    trained: Trained | None
    learned: LearnedKernel | None

    def record(self) -> dict[str, Any]:
        """What was tried and why one was taken, for a manifest."""
        columns = ["order", "link", "start", "score", "seconds"]
        tried = self.frame[columns].round({"score": 4, "seconds": 1}).to_dict("records")
        return {"tried": tried, "chosen_because": self.reason}

    def summary(self) -> str:
        """The table as aligned text, and what was chosen."""
        lines = ["Orders on the same held-out samples (90 % intervals):"]
        for row in self.frame.to_dict("records"):
            known = range(1, 0 if row["order"] == ALL else row["order"] + 1)
            shares = " / ".join(f"{row[f'share_{k}']:.3f}" for k in known) or "not split"
            mark = " *" if row["chosen"] else ""
            lines.append(
                f"  order {row['order']}, link {row['link']:<8} {row['score']:.4f} "
                f"[{row['lower']:.4f}, {row['upper']:.4f}]  p {row['p_worse']:.2g}  shares {shares}{mark}"
            )
        lines.append(f"chosen: order {self.order}, link {self.link}, {self.reason}")
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class _Rung:
    """One model: its order and link, loss of each validation sample, and share of each order."""

    order: int | str
    link: LinkKind
    start: str
    trained: Trained | None
    learned: LearnedKernel | None
    loss: np.ndarray
    shares: np.ndarray
    seconds: float


def climb(
    vocabulary: Vocabulary,
    data: TrainingData,
    split: Split,
    config: TrainConfig,
    *,
    orders: Sequence[int],
    links: Sequence[LinkKind] = ("none", "monotone"),
    budget_s: float = np.inf,
    n_members: int = 0,
    features: TokenFeatures | None = None,
    run: TrainingRun = TrainingRun(),
) -> Ladder:
    """Fit orders from 1 up until one more does not help, and all at once; and choose.

    Parameters
    ----------
    vocabulary, data, split, config, features
        As for :func:`genoattn.fitting.train_model.train_readout`; the order and link of ``config`` are not
        used.
    orders, links
        Ascending orders, and what each is fitted with.
    budget_s
        Seconds: a model with which the fit, the training on all samples included, is expected to end later is
        not tried, but for the first order.
    n_members
        Size of the ensemble that says how far the shares of the chosen model may be off; 0 for none.
    """
    trials = _Trials(vocabulary, data, split, config, features, run, budget_s)
    for link in links:
        trials.fit(orders[0], link, always=True)
    several = len(orders) > 1
    if several and "none" in links and all_at_once(vocabulary, config, trials.kind, len(data.phenotype)):
        trials.fit(ALL, "none")
    for order in orders[1:]:
        for link in links:
            trials.fit(order, link)
        if not trials.improves(order):
            break
    return trials.choose(n_members)


class _Trials:
    """Models fitted within a time, and what they were compared on."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        data: TrainingData,
        split: Split,
        config: TrainConfig,
        features: TokenFeatures | None,
        run: TrainingRun,
        budget_s: float,
    ) -> None:
        self.vocabulary, self.data, self.split, self.config = vocabulary, data, split, config
        self.features, self.run, self.budget_s = features, run, budget_s
        self.kind = chosen_likelihood(config.likelihood, data.phenotype, data.binary)
        self.rungs: list[_Rung] = []
        self.untried: list[str] = []
        self.began = time.perf_counter()
        self.folds = _folds(split, config.seed)
        self.observed = data.phenotype[np.concatenate([fold.validation for fold in self.folds])]
        mean = data.phenotype[split.training].mean()
        self.null = _losses(self.kind, self.observed, np.full(len(self.observed), mean))

    def settings(self, order: int | str, link: LinkKind) -> TrainConfig:
        if order == ALL:
            return replace(self.config, attention="product", link=link)
        return replace(self.config, order=int(order), link=link)

    def fit(self, order: int | str, link: LinkKind, always: bool = False) -> None:
        """Fit a model, unless it is expected to end too late and need not be fitted ``always``."""
        settings = self.settings(order, link)
        began = time.perf_counter()
        choice = choose_estimator(self.vocabulary, settings, self.kind, len(self.split.training))
        again = _FROM_ANOTHER_FOLD if choice.estimator == "product process" else 1.0
        expected = (1 + again * (len(self.folds) - 1)) * self._expected_s(settings, choice.estimator)
        expected += self._refit_s()
        if not always and began - self.began + expected > self.budget_s:
            self._leave(order, link, "for lack of time")
            return
        v, kept, learned, predicted, by_order = self.vocabulary, None, None, [], []
        for fold, run in self._runs(f"order {order}, link {link}"):
            try:
                trained = train_readout(v, self.data, fold, settings, self.features, run, choice, learned)
            except InputError as error:  # of this model alone: others may do
                if always:
                    raise
                self._leave(order, link, str(error))
                return
            by_order.append(_by_order(trained.readout, self.data, fold))
            eta = respond(trained.readout, by_order[-1].sum(axis=1))
            predicted.append(mean_response(self.kind, eta))
            start, kept = trained.summary.start, trained if len(self.folds) == 1 else None
            learned = trained.learned
        loss = _losses(self.kind, self.observed, np.concatenate(predicted))
        shares = np.zeros(0) if order == ALL else _shares(np.concatenate(by_order))
        seconds = time.perf_counter() - began
        self.rungs.append(_Rung(order, link, start, kept, learned, loss, shares, seconds))
        score = 1 - loss.mean() / self.null.mean()
        _log.info("order %s, link %s: %.4f on held-out samples", order, link, score)

    def _runs(self, what: str) -> Iterator[tuple[Split, TrainingRun]]:
        """The folds with how to train on them: of several one bar shows all, and none their trainings."""
        if len(self.folds) == 1:
            yield self.folds[0], self.run
            return
        with progress_bar(self.run.progress, what, len(self.folds)) as advance:
            for fold in self.folds:
                yield fold, replace(self.run, progress=False)
                advance(1)

    def _leave(self, order: int | str, link: LinkKind, why: str) -> None:
        self.untried.append(f"order {order} with link {link} ({why})")
        _log.info("order %s, link %s: not tried (%s)", order, link, why)

    def _expected_s(self, settings: TrainConfig, estimator: str) -> float:
        """Seconds that a model is expected to take, on a slow machine."""
        n, v = len(self.split.training), self.vocabulary
        if estimator == "product process":
            return min(30 * (n / 3000) ** 2.5, 60) + n**2 / 1.5e7
        if estimator == "gaussian process":
            rounds = 1 if settings.link == "none" else 10
            return rounds * n * float(count_products(v, settings.order)) ** 2 / 2e10
        steps = max(2500, 30 * n / 1024)
        columns = 1.0 if v.is_dosage else v.n_columns
        return steps * 1024 * columns * settings.most_factors * settings.order**2 * 6 / 2e10

    def _refit_s(self) -> float:
        """Seconds that the best model so far is expected to take again on all samples."""
        if not self.rungs:
            return 0.0
        best = min(self.rungs, key=lambda rung: rung.loss.mean())
        return 1.4 * best.seconds / len(self.folds)

    def improves(self, order: int) -> bool:
        """Whether the best model of this order is better than the best of all lower ones, beyond chance."""
        numbered = [rung for rung in self.rungs if rung.order != ALL]
        here = [rung for rung in numbered if rung.order == order]
        if not here:
            return False
        lower = min((r for r in numbered if r.order != order), key=lambda rung: rung.loss.mean())
        best = min(here, key=lambda rung: rung.loss.mean())
        return _p_worse(lower.loss, best.loss) < _ALPHA

    def choose(self, n_members: int) -> Ladder:
        """The smallest order that is not clearly worse than the best, or all of them where that pays."""
        rungs = self.rungs
        numbered = [k for k, rung in enumerate(rungs) if rung.order != ALL]
        lowest = min(numbered, key=lambda k: rungs[k].loss.mean())
        best_of_all = min(rungs, key=lambda rung: rung.loss.mean())
        p_worse = [_p_worse(rung.loss, best_of_all.loss) for rung in rungs]
        level = _ALPHA / max(len(numbered) - 1, 1)  # of the comparisons with the best, as many as others
        equals = [k for k in numbered if _p_worse(rungs[k].loss, rungs[lowest].loss) >= level]
        chosen = min(equals, key=lambda k: (rungs[k].order, rungs[k].link != "none"))
        reason = "the smallest that is not clearly worse"
        for k, rung in enumerate(rungs):
            less = 1 - rung.loss.mean() / rungs[chosen].loss.mean()
            if rung.order == ALL and less > 0:
                of_order = f"order {rungs[chosen].order}, link {rungs[chosen].link}"
                reason = f"whose loss is {100 * less:.2g} % less than that of {of_order}"
                chosen = k
        if self.untried:
            reason += f"; not tried: {', '.join(self.untried)}"
        frame = _frame(rungs, p_worse, self.null, chosen, self.config.seed)
        best = rungs[chosen]
        if n_members >= 2 and best.order != ALL:
            unseen = replace(self.run, progress=False)
            members = train_ensemble(
                self.vocabulary, self.data, self.split, self.settings(best.order, best.link),
                n_members, self.features, unseen,
            )  # fmt: skip
            shares = [_shares(_by_order(m, self.data, self.split)) for m in members]
            _add_share_intervals(frame, chosen, shares)
        settings = self.settings(best.order, best.link)
        return Ladder(frame, best.order, best.link, reason, settings, best.trained, best.learned)


def _folds(split: Split, seed: int) -> list[Split]:
    """The split, or folds of its training and validation samples where they are few."""
    pool = np.sort(np.concatenate([split.training, split.validation]))
    if len(pool) > _FEW:
        return [split]
    fold = np.random.default_rng(seed).permutation(len(pool)) % _FOLDS
    return [Split(pool[fold != k], pool[fold == k], split.test) for k in range(_FOLDS)]


def _by_order(readout: Readout, data: TrainingData, split: Split) -> np.ndarray:
    return predict_orders(readout, data.calls[split.validation], data.covariates[split.validation])


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


def _frame(
    rungs: list[_Rung], p_worse: list[float], null: np.ndarray, chosen: int, seed: int
) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    # One draw of samples for all models: their scores vary together, as paired comparisons need.
    losses = np.stack([null, *(rung.loss for rung in rungs)])
    drawn = [losses[:, rng.integers(0, len(null), len(null))].mean(axis=1) for _ in range(_RESAMPLES)]
    resampled = np.stack(drawn)  # (resample, null and rungs)
    highest = max(len(rung.shares) for rung in rungs)
    rows = []
    for k, (rung, p) in enumerate(zip(rungs, p_worse, strict=True)):
        lower, upper = np.quantile(1 - resampled[:, k + 1] / resampled[:, 0], [0.05, 0.95])
        row = {
            "order": rung.order,
            "link": rung.link,
            "start": rung.start,
            "score": 1 - rung.loss.mean() / null.mean(),
            "lower": lower,
            "upper": upper,
            "p_worse": p,
            "seconds": rung.seconds,
            "chosen": k == chosen,
        }
        row |= {
            f"share_{n}": rung.shares[n - 1] if n <= len(rung.shares) else np.nan
            for n in range(1, highest + 1)
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
