"""One figure for each experiment."""

import matplotlib.pyplot as plt
import numpy as np
from experiments import GOAL, TEST_LENGTHS, TRAIN_LENGTH, Comparison, Construction, Trained
from matplotlib.figure import Figure

PAPER_MSE = 1e-7


def plot_construction(result: Construction) -> Figure:
    """C of the colliding agents in the Fourier basis, and the best rank-d error against its bound."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    left.plot(np.diag(result.interaction["sinusoidal"]), lw=1)
    left.set(title="Designed C, colliding agents (N = 360, R = 5)", xlabel="index of the Fourier basis")
    left.set_ylabel("diagonal of C")
    right.plot(result.rank, result.bound, lw=5, color="0.8", label="singular value d + 1 of f")
    right.plot(result.rank, result.error, lw=1, label="error of the rank-d C")
    right.set(title="Best rank-d self-attention", xlabel="rank d", ylabel="spectral norm")
    right.legend()
    return figure


def plot_lengths(runs: list[Trained]) -> Figure:
    """Test error at every length; the model saw one."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    for axis, world in zip(axes, dict.fromkeys(run.world for run in runs), strict=True):
        for run in (r for r in runs if r.world == world):
            for name, style in (("in distribution", "-"), ("shifted", "--")):
                axis.semilogy(
                    TEST_LENGTHS, run.by_length[name], style, marker=".", label=f"{run.embedding}, {name}"
                )
        axis.axhline(PAPER_MSE, color="0.6", lw=1)
        axis.text(TEST_LENGTHS[-1], PAPER_MSE * 1.3, "the paper's 1e-7", ha="right", color="0.4")
        axis.axvline(TRAIN_LENGTH, color="0.8", zorder=0)
        axis.set(title=world.capitalize(), xlabel=f"entities in a sample (trained on {TRAIN_LENGTH})")
    axes[0].set_ylabel("mean squared error")
    axes[0].set_ylim(GOAL / 1e5, 1e-5)
    axes[1].legend(fontsize=8, loc="lower right")
    return figure


def plot_tables(run: Trained) -> Figure:
    """Designed and learned parameters differ; their interaction tables are one."""
    pictures = {
        "C, designed": run.designed.interaction[0].detach().numpy(),
        "C, learned": run.learned.interaction[0].detach().numpy(),
        "T, designed": run.tables[0],
        "T, learned": run.tables[1],
    }
    figure, axes = plt.subplots(1, 4, figsize=(12, 3.2), layout="constrained")
    for axis, (title, values) in zip(axes, pictures.items(), strict=True):
        limit = np.abs(values).max()
        image = axis.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit)
        axis.set(title=title, xticks=[], yticks=[])
        figure.colorbar(image, ax=axis, shrink=0.7)
    figure.suptitle(f"{run.world.capitalize()}, {run.embedding} embedding")
    return figure


def plot_comparisons(results: list[Comparison]) -> Figure:
    """Test error of each model, and the variance of the target."""
    figure, axes = plt.subplots(1, len(results), figsize=(9, 3.6), layout="constrained")
    for axis, result in zip(axes, results, strict=True):
        for name, losses in result.losses.items():
            axis.semilogy(20 * np.arange(len(losses)), losses, marker=".", label=name)
        axis.axhline(result.variance, color="0.6", lw=1, ls=":", label="variance of the target")
        axis.axhline(PAPER_MSE, color="0.6", lw=1)
        axis.set(title=result.name.capitalize(), xlabel="L-BFGS steps", ylabel="training mean squared error")
        axis.legend(fontsize=8)
    return figure
