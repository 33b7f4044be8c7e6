"""Noise of images: from pixels away from the source, and how much larger it is on the source."""

import math
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics.faraday.fits.arguments import nonnegative_number
from physics.faraday.images.cube import StokesCube
from physics.numerics import checks
from physics.types import HostArray

CLIP = 3.0
ROUNDS = 10


def off_source_rms(image: HostArray) -> float:
    """Return the standard deviation of the pixels away from the source, in the unit of the image.

    The median absolute deviation scaled to a normal distribution; pixels beyond three of it are taken away and it is
    found again, until nothing changes. The deviation kept by clipping a normal distribution at three is corrected.

    Args:
        image: any shape; values that are not finite are left out.

    Raises:
        ValueError: no value is finite.
    """
    values = np.asarray(image, np.float64)
    values = values[np.isfinite(values)]
    if values.size == 0:
        raise ValueError("image: expected at least one finite value")
    for _ in range(ROUNDS):
        centre = np.median(values)
        rms = float(np.median(np.abs(values - centre))) / _CLIPPED_MAD
        inside = np.abs(values - centre) <= CLIP * rms
        if inside.all() or rms == 0.0:
            break
        values = values[inside]
    return rms


def _clipped_mad() -> float:
    # The median of |x| given |x| < CLIP, for a standard normal x, by bisection.
    target = 0.5 * math.erf(CLIP / math.sqrt(2.0))
    low, high = 0.0, CLIP
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if math.erf(middle / math.sqrt(2.0)) < target else (low, middle)
    return low


_CLIPPED_MAD = _clipped_mad()


@dataclass(frozen=True)
class NoiseModel:
    """Errors of Q and U that differ from pixel to pixel: thermal noise, deconvolution and leakage.

    What all pixels share stays apart, because it moves a map as a whole: the zero point of the EVPA is `evpa_error` of
    `fit_map`, the flux scale `flux_scale` of `spectral_index`.

    Args:
        clean: error of the deconvolution on the source, in units of the noise away from it.
        d_term: what is left of an antenna's instrumental polarization, a fraction of I.
        independent: number of independent D-term errors that average in one image: antennas times scans (times IFs
            where an image is of several).

    Raises:
        ValueError: a value is negative or not finite, or `independent` not a positive whole number.
    """

    clean: float = 1.5
    d_term: float = 0.002
    independent: int = 100

    def __post_init__(self) -> None:
        for name in ("clean", "d_term"):
            object.__setattr__(self, name, nonnegative_number(getattr(self, name), "", name))
        checks.positive_integer(self.independent, "independent")

    @property
    def leakage(self) -> float:
        """Residual instrumental polarization of an image, a fraction of I."""
        return self.d_term / math.sqrt(self.independent)

    def sigma(self, cube: StokesCube) -> tuple[Float[Array, "channel y x"], Float[Array, "channel y x"]]:
        """Return the standard deviations of Q and U in every pixel, in the unit of the images."""
        rms = jnp.broadcast_to(cube.sigma[:, :, None, None], (*cube.sigma.shape, *cube.I.shape[1:]))
        peak = jnp.broadcast_to(jnp.max(cube.I, axis=(1, 2), keepdims=True), cube.I.shape)
        q, u = (on_source_sigma(rms[:, i], cube.I, peak, clean=self.clean, leakage=self.leakage) for i in (1, 2))
        return q, u


def on_source_sigma(
    rms: Float[Array, "*shape"],
    intensity: Float[Array, "*shape"],
    peak: Float[Array, "*shape"],
    *,
    clean: float = 1.5,
    leakage: float = 0.0,
) -> Float[Array, "*shape"]:
    r"""Return the standard deviation of Q or U on the source.

    $$ \sigma^2 = \sigma_{rms}^2\,(1 + c^2) + \delta^2\,\big[I^2 + (0.3\,I_{peak})^2\big] $$

    Args:
        rms: off-source noise.
        intensity: I of the pixel, same unit.
        peak: the highest I of the image, same unit.
        clean: c, error of the deconvolution in units of `rms`.
        leakage: delta, residual instrumental polarization of the image: the D-term error over the square root of the
            number of antennas, IFs and scans.

    Source: the customary VLBI error model (MOJAVE practice), as stated in docs/theory/faraday.md.
    """
    return jnp.sqrt(jnp.square(rms) * (1.0 + clean**2) + leakage**2 * (intensity**2 + jnp.square(0.3 * peak)))
