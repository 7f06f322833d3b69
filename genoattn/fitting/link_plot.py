"""A picture of the curve between the latent and the measured phenotype."""

import io

import numpy as np


def draw_link(latent: np.ndarray, predicted: np.ndarray, units: str) -> bytes:
    """The curve with the straight line of no link, as a PNG.

    Parameters
    ----------
    latent, predicted
        Shape (n_points,), latent values evenly over the training samples' range and the curve there.

    Returns
    -------
    The file's content.
    """
    # A figure of its own, not one of pyplot's, which would stay in memory and choose a screen.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.5, 4), layout="constrained")
    axis = figure.add_subplot()
    axis.plot(latent, latent, color="grey", linewidth=0.8, linestyle="--", label="no link")
    axis.plot(latent, predicted, color="tab:blue", label="link")
    axis.set(xlabel="latent phenotype", ylabel=f"predicted {units}")
    axis.legend()
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120, metadata={"Software": None})
    return content.getvalue()
