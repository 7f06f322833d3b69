r"""Global epistasis: a monotone curve between the latent phenotype and the measurement.

.. math:: g(\phi) = \text{offset} + s \phi + \sum_k h_k \tanh(a_k (\phi - c_k)), \qquad s, h_k, a_k > 0,

a sum of sigmoids and, where the ends are free, a straight line. With ``bounded`` ends there is no line, and
g levels off at both ends (a two-state equilibrium, a detection limit). The idea is that of Otwinowski,
McCandlish & Plotkin 2018, the sum of sigmoids that of Tareen et al. 2022 (MAVE-NN).
"""

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

LinkKind = Literal["none", "monotone", "bounded"]
LINKS: tuple[LinkKind, ...] = ("none", "monotone", "bounded")
_SIGMOIDS = 8
_REACH = 2.0  # centres of the sigmoids start within so many standard deviations


class MonotoneLink(nn.Module):
    """An increasing curve, with its derivative and its inverse; a ``bounded`` one levels off at both ends.

    The curve could absorb a shift and a scale of the latent phenotype. The convention that fixes them: over
    the training samples the latent phenotype has the mean and the standard deviation of ``g(phi)``; see
    :meth:`calibrate`. ``reach`` is its least and largest value there.
    """

    input_shift: Tensor
    input_scale: Tensor
    output_shift: Tensor
    output_scale: Tensor
    reach: Tensor

    def __init__(self, bounded: bool = False, n_sigmoids: int = _SIGMOIDS) -> None:
        super().__init__()
        self.bounded = bounded
        self.centre = nn.Parameter(torch.linspace(-_REACH, _REACH, n_sigmoids))
        self.steepness = nn.Parameter(torch.zeros(n_sigmoids))  # before softplus, as are the next two
        # Without a line the sigmoids together start with a slope of about 1 in the middle.
        self.height = nn.Parameter(torch.full((n_sigmoids,), -0.85 if bounded else -3.0))
        self.line = nn.Parameter(torch.tensor(0.5413), requires_grad=not bounded)  # softplus gives 1
        self.offset = nn.Parameter(torch.zeros(()))
        for name in ("input", "output"):
            self.register_buffer(f"{name}_shift", torch.zeros(()))
            self.register_buffer(f"{name}_scale", torch.ones(()))
        self.register_buffer("reach", torch.tensor([-1.0, 1.0]))

    def forward(self, latent: Tensor) -> Tensor:
        """g of each value, any shape."""
        t = (latent - self.input_shift) / self.input_scale
        bend = torch.tanh(softplus(self.steepness) * (t[..., None] - self.centre))
        out = self.offset + bend @ softplus(self.height)
        if not self.bounded:
            out = out + softplus(self.line) * t
        return self.output_shift + self.output_scale * out

    def slope(self, latent: Tensor) -> Tensor:
        """The derivative of g at each value, any shape."""
        t = (latent - self.input_shift) / self.input_scale
        rate = softplus(self.steepness)
        bend = 1 - torch.tanh(rate * (t[..., None] - self.centre)) ** 2
        out = bend @ (rate * softplus(self.height))
        if not self.bounded:
            out = out + softplus(self.line)
        return out * self.output_scale / self.input_scale

    def departure(self) -> list[Tensor]:
        """How far each free parameter is from its value in a straight line."""
        straight = dict(MonotoneLink(self.bounded, len(self.centre)).to(self.offset).named_parameters())
        return [p - straight[name].detach() for name, p in self.named_parameters() if p.requires_grad]

    def in_double(self) -> "MonotoneLink":
        """A copy in float64."""
        out = MonotoneLink(self.bounded, len(self.centre)).double()
        out.load_state_dict(self.state_dict())
        return out

    @torch.no_grad()
    def rescale(self, shift: float, scale: float) -> None:
        """Carry the curve from standardised to the units ``shift + scale * units``, latent and measured."""
        for name in ("input", "output"):
            for part, add in (("shift", shift), ("scale", 0.0)):
                buffer = getattr(self, f"{name}_{part}")
                buffer.mul_(scale).add_(add)

    @torch.no_grad()
    def calibrate(self, latent: Tensor) -> tuple[float, float]:
        """Fix the scale of the latent phenotype (n_samples,): mean and deviation become those of g(latent).

        Returns (shift, scale): the new latent phenotype is ``shift + scale * latent``. The curve is changed
        so that predictions stay as they are; the caller changes the model.
        """
        out = self(latent)
        spread, wanted = float(latent.double().std()), float(out.double().std())
        scale = wanted / spread if spread > 0 and wanted > 0 else 1.0
        shift = float(out.double().mean()) - scale * float(latent.double().mean())
        self.input_shift.mul_(scale).add_(shift)
        self.input_scale.mul_(scale)
        span = torch.stack([latent.min(), latent.max()])
        self.reach.copy_(shift + scale * span)
        return shift, scale

    @torch.no_grad()
    def inverse(self, values: np.ndarray, low: float, high: float, steps: int = 60) -> np.ndarray:
        """The latent phenotype at which g takes each value, of any shape, by bisection between two ends.

        Values that g does not reach between ``low`` and ``high`` come back as the closer of these.
        """
        target = torch.as_tensor(np.asarray(values, dtype=np.float64))
        below = torch.full_like(target, low)
        above = torch.full_like(target, high)
        curve = self.in_double()
        for _ in range(steps):
            middle = (below + above) / 2
            short = curve(middle) < target
            below, above = torch.where(short, middle, below), torch.where(short, above, middle)
        return ((below + above) / 2).numpy()

    def curve(self, n_points: int = 201) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Latent values evenly over the training samples' range, g and its slope there, each (n_points,)."""
        low, high = self.reach.double().tolist()
        latent = torch.linspace(low, high, n_points, dtype=torch.float64)
        exact = self.in_double()
        with torch.no_grad():
            return latent.numpy(), exact(latent).numpy(), exact.slope(latent).numpy()


def make_link(kind: LinkKind) -> MonotoneLink | None:
    """The curve of a kind; None for the identity."""
    return None if kind == "none" else MonotoneLink(kind == "bounded")
