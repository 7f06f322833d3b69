"""One method on one training set, in a process of its own: predictions, seconds, peak memory.

    python worker.py METHOD PROBLEM.npz OUT.npz '{"order": 2}'

Runs under any Python that has the method's libraries; imports nothing of the driver.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
_RESIDUES = "ACDEFGHIKLMNPQRSTVWY-*"


class Problem:
    """Training and test samples: calls (n, n_sites), y (n,), variance (n,) or None, n_states (n_sites,)."""

    def __init__(self, path: str) -> None:
        with np.load(path) as data:
            self.train, self.test = data["train"], data["test"]
            self.y, self.n_states = data["y"], data["n_states"]
            self.states = tuple(map(tuple, json.loads(str(data["states"]))))  # their names, site by site
            self.variance = data["variance"] if len(data["variance"]) else None


def run_genoattn(problem: Problem, settings: dict[str, Any]) -> Callable[[], np.ndarray]:
    import genoattn
    from genoattn.cohort import Cohort, Phenotype, Sites

    n_sites = len(problem.n_states)
    none = np.full(n_sites, "", dtype=object)
    ids = np.array([f"s{k}" for k in range(n_sites)], dtype=object)
    sites = Sites(ids, none, np.arange(1, n_sites + 1), none, none, problem.states)

    def cohort(calls: np.ndarray, phenotype: Phenotype | None) -> Cohort:
        names = np.arange(len(calls)).astype(str).astype(object)
        return Cohort(names, sites, calls.astype(np.int8), "sequence", phenotype)

    weighted = settings.pop("weighted", True)
    train = cohort(problem.train, Phenotype("y", problem.y, variance=problem.variance if weighted else None))
    test = cohort(problem.test, None)
    # The driver measures the test samples; none are needed inside, and only the defaults make their table.
    options = {"test": 0.0, "device": "cpu", **({"max_terms": 1} if "order" in settings else {}), **settings}
    fit = genoattn.fit  # imports what it needs, which is not to be timed
    return lambda: fit(train, **options).predict(test)


def run_ridge(problem: Problem, settings: dict[str, Any]) -> Callable[[], np.ndarray]:
    from ridge import ridge

    return lambda: ridge(problem.train, problem.y, problem.test, problem.n_states, settings["order"])


def run_gaussian_process(problem: Problem, settings: dict[str, Any]) -> Callable[[], np.ndarray]:
    from gaussian_process import gaussian_process

    p = problem
    return lambda: gaussian_process(p.train, p.y, p.test, p.n_states, settings["order"], p.variance)


def run_mavenn(problem: Problem, settings: dict[str, Any]) -> Callable[[], np.ndarray]:
    import mavenn
    import tensorflow as tf

    tf.keras.utils.set_random_seed(0)
    alphabet = list(_RESIDUES[: int(problem.n_states.max())])

    def texts(calls: np.ndarray) -> np.ndarray:
        return np.array(["".join(alphabet[a] for a in row) for row in calls])

    train, test = texts(problem.train), texts(problem.test)

    def work() -> np.ndarray:
        model = mavenn.Model(
            L=train.dtype.itemsize // 4,
            alphabet=alphabet,
            regression_type="GE",
            gpmap_type=settings["gpmap"],
            ge_nonlinearity_type="nonlinear",
            ge_noise_model_type="Gaussian",
        )
        held = np.random.default_rng(0).random(len(train)) < 0.15
        model.set_data(x=train, y=problem.y, validation_flags=held, verbose=False)
        model.fit(
            epochs=settings["epochs"],
            batch_size=settings.get("batch_size", 200),
            early_stopping_patience=10,
            verbose=False,
            try_tqdm=False,
        )
        return np.asarray(model.x_to_yhat(test))

    return work


def run_boosting(problem: Problem, settings: dict[str, Any]) -> Callable[[], np.ndarray]:
    from sklearn.ensemble import HistGradientBoostingRegressor

    model = HistGradientBoostingRegressor(
        max_iter=2000, early_stopping=True, categorical_features=list(range(problem.train.shape[1]))
    )
    return lambda: model.fit(problem.train.astype(float), problem.y).predict(problem.test.astype(float))


METHODS = {
    "genoattn": run_genoattn,
    "ridge": run_ridge,
    "gaussian process": run_gaussian_process,
    "mavenn": run_mavenn,
    "boosting": run_boosting,
}


def main() -> None:
    method, problem, out, settings = sys.argv[1:]
    skipped, prediction, seconds = "", np.zeros(0), 0.0
    try:
        work = METHODS[method](Problem(problem), json.loads(settings))
        start = time.perf_counter()
        prediction = work()
        seconds = time.perf_counter() - start
    except ImportError as error:
        skipped = f"not installed: {error.name}"
    except MemoryError as error:
        skipped = f"too large: {error}"
    except ValueError as error:
        if type(error).__name__ != "TooLargeError":
            raise
        skipped = f"too large: {error}"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kilobytes on Linux
    np.savez(out, prediction=prediction, seconds=seconds, peak_mib=peak, skipped=skipped)


if __name__ == "__main__":
    main()
