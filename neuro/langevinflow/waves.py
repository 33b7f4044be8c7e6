"""Waves on the rings: power by frequency and wave number."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from neuro.arguments import positive_number
from physics.numerics import checks
from physics.types import Real
from physics.units import array


class WaveSpectrum(NamedTuple):
    """Power of waves cos(2 pi f t - q x) on each ring: those of positive f and q run towards higher sites."""

    frequency: Float[Array, " frequency"]
    """f [Hz], ascending, of both signs."""
    wave_number: Float[Array, " wave"]
    """n of q = 2 pi n / L, from 0 to L/2."""
    power: Float[Array, "channel frequency wave"]
    """Mean over trials; summed over f and n it is the mean square of the windowed paths."""

    @property
    def direction(self) -> Float[Array, " channel"]:
        """Power towards higher sites less that towards lower ones, as a share of their sum; 0 without a direction.

        The uniform wave and the largest wave number are left out: the first has none, the second may have none.
        """
        both = (self.frequency[:, None] != 0) & (self.wave_number > 0)[None, :]
        travelling = both & (self.wave_number < jnp.max(self.wave_number))[None, :]
        sign = jnp.where(travelling, jnp.sign(self.frequency)[:, None], 0.0)
        up, down = (jnp.sum(self.power * jnp.maximum(s, 0.0)[None], axis=(1, 2)) for s in (sign, -sign))
        return (up - down) / (up + down)


def wave_spectrum(paths: Real, *, channels: int, bin_width: Real) -> WaveSpectrum:
    """Return the power of latent paths by frequency and wave number on the rings.

    Args:
        paths: (trial, time, latent), such as `Prediction.position.mean`; each trial's mean over time is taken off and a
            Hann window put on.
        channels: rings, `Config.channels`.
        bin_width: s.

    Raises:
        UnitsError: a bin width that is no time.
        ValueError: another shape, values that are not finite, fewer than three bins, or latents that do not make rings.
    """
    given = checks.finite(array(paths, "", "paths"), "paths")
    width = positive_number(bin_width, "s", "bin_width")
    checks.positive_integer(channels, "channels")
    if given.ndim != 3 or given.shape[1] < 3 or given.shape[2] % channels:
        raise ValueError(
            f"paths: expected the shape (trial, at least 3 bins, multiple of {channels} channels), got {given.shape}"
        )
    trials, bins, latents = given.shape
    sites = latents // channels
    rings = np.asarray(given, float).reshape(trials, bins, channels, sites)
    window = np.hanning(bins + 2)[1:-1]
    window = window / np.sqrt(np.mean(window**2))
    rings = (rings - rings.mean(axis=1, keepdims=True)) * window[:, None, None]
    # fft has exp(-i w t) and exp(-i q x): waves cos(w t - q x) lie at equal signs once the sites are conjugated.
    transform = np.fft.fft(np.fft.ifft(rings, axis=3) * sites, axis=1)
    power = np.mean(np.abs(transform) ** 2, axis=0) / (bins * sites) ** 2
    power = np.fft.fftshift(np.moveaxis(power, 1, 0), axes=1)
    half = sites // 2 + 1
    # A real wave lies at (f, q) and again at (-f, -q): what has no twin among the wave numbers kept counts twice.
    twice = np.where((np.arange(half) == 0) | (2 * np.arange(half) == sites), 1.0, 2.0)
    frequency = np.fft.fftshift(np.fft.fftfreq(bins, width))
    found = (frequency, np.arange(half), power[:, :, :half] * twice)
    return WaveSpectrum(*(jnp.asarray(x, given.dtype) for x in found))
