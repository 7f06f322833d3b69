"""Predictions of a readout, in blocks that bound the memory."""

import numpy as np
import torch

from genoattn.model.readout import Readout, rescale_latent


def predict_orders(
    readout: Readout, calls: np.ndarray, covariates: np.ndarray, block: int = 4096
) -> np.ndarray:
    """The network's output by order, 0, 1, ..: (n_samples, 1 + n_orders).

    Calls and covariates are as the readout takes them, aligned to its sites and names.
    """
    parts = []
    dtype, device = readout.bias.dtype, readout.bias.device
    with torch.no_grad():
        for start in range(0, len(calls), block):
            chosen = slice(start, start + block)
            numbers = torch.tensor(covariates[chosen], dtype=dtype, device=device)
            parts.append(readout(torch.tensor(calls[chosen], device=device), numbers).double().cpu().numpy())
    return np.concatenate(parts)


def calibrate(readout: Readout, calls: np.ndarray, covariates: np.ndarray) -> float:
    """Give the latent phenotype the scale that its link has over samples; by how much it is stretched."""
    if readout.link is None:
        return 1.0
    latent = torch.as_tensor(predict_orders(readout, calls, covariates).sum(axis=1))
    shift, scale = readout.link.calibrate(latent.to(readout.bias))
    rescale_latent(readout, shift, scale)
    return scale


def respond(readout: Readout, latent: np.ndarray) -> np.ndarray:
    """Linear predictor at latent phenotypes of any shape, float64."""
    if readout.link is None:
        return latent
    with torch.no_grad():
        return readout.link(torch.as_tensor(latent, dtype=readout.bias.dtype)).double().numpy()


def link_slope(readout: Readout, latent: np.ndarray) -> np.ndarray:
    """Derivative of the link at latent phenotypes of any shape, float64; 1 without a link."""
    if readout.link is None:
        return np.ones_like(latent)
    with torch.no_grad():
        return readout.link.slope(torch.as_tensor(latent, dtype=readout.bias.dtype)).double().numpy()
