r"""Signals against the noise: characteristic strains, signal-to-noise ratios, and how far a detector hears.

With $S_n$ of polarizations summed in R, the square of the signal-to-noise ratio averaged over the sky and the
polarization angle is

$$\langle\rho^2\rangle = 4 \int \frac{(|\tilde h_+|^2 + |\tilde h_\times|^2)/2}{S_n}\,df
  = \int \Big(\frac{h_c}{h_n}\Big)^2 d\ln f, \qquad
  h_c = 2 f \sqrt{\tfrac12 (|\tilde h_+|^2 + |\tilde h_\times|^2)}, \quad h_n = \sqrt{f S_n}.$$

Integrals are trapezoidal in ln f on the frequencies given. Only ratios of strains are squared: float32 is enough.
Derived in docs/theory/tdi.md.
"""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics import units
from physics.constants import PARSEC, SOLAR_MASS_PARAMETER, SPEED_OF_LIGHT
from physics.numerics import checks
from physics.tdi.detector import Detector
from physics.tdi.foregrounds import Foreground
from physics.tdi.noise import STRAIN_SCALE
from physics.tdi.spectra import asd
from physics.types import Frequencies, Real, Scalar

INCLINATION = 8.0 / 5.0
"""<rho^2> = (8/5) int A^2/S_n df for h+ = A (1 + cos^2 i)/2, hx = A cos i, averaged over the inclination i."""

SOLAR_TIME = SOLAR_MASS_PARAMETER / SPEED_OF_LIGHT**3
"""GM/c^3 of the Sun [s]."""

MEGAPARSEC = 1e6 * PARSEC


def characteristic_strain(frequency: Real, plus: Real, cross: Real) -> Float[Array, "*batch"]:
    """Return h_c = 2 f sqrt((|h+|^2 + |hx|^2)/2) of a signal, dimensionless.

    Args:
        frequency: f [Hz], of shape (frequency,).
        plus: Fourier transform of h+ [1/Hz], real or complex, of shape (..., frequency).
        cross: the same of hx.

    Raises:
        ValueError: shapes that do not broadcast, or a frequency that is not finite and positive.
        UnitsError: a quantity of another dimension.

    Source: derived in docs/theory/tdi.md.
    """
    points = checks.positive(units.array(frequency, "Hz", "frequency"), "frequency")
    parts = [_modulus(wave, name) for wave, name in ((plus, "plus"), (cross, "cross"))]
    shapes = {"frequency": points.shape, "plus": parts[0].shape, "cross": parts[1].shape}
    shape = checks.broadcastable(shapes)
    dtype = points.dtype
    points, first, second = (jnp.broadcast_to(part.astype(dtype), shape) for part in (points, *parts))
    return math.sqrt(2.0) * points * jnp.hypot(first, second)


def noise_strain(
    frequency: Real,
    det: Detector,
    channel: str = "X",
    *,
    family: str | None = None,
    generation: int = 2,
    shift: int | None = None,
    method: str = "exact",
    foreground: Foreground | None = None,
) -> Frequencies:
    """Return h_n = sqrt(f S_n) of a detector, dimensionless; (h_c/h_n)^2 is the SNR^2 per unit of ln f.

    Args:
        frequency: f [Hz], of any shape.
        det: arm length and noise.
        channel: as in `sensitivity`.
        family: as in `response`.
        generation: 1 or 2.
        shift: as in `response`.
        method: as in `response`.
        foreground: as in `sensitivity`.

    Raises:
        ValueError: as in `asd`.
        UnitsError: `frequency` is a quantity that is not a frequency.

    Source: derived in docs/theory/tdi.md.
    """
    points = checks.positive(units.array(frequency, "Hz", "frequency"), "frequency")
    options: dict[str, Any] = {"family": family, "generation": generation, "shift": shift, "method": method}
    return jnp.sqrt(points) * asd(points, det, channel, foreground=foreground, **options)


def snr(
    frequency: Real,
    plus: Real,
    cross: Real,
    det: Detector,
    channel: str = "optimal",
    *,
    family: str | None = None,
    generation: int = 2,
    shift: int | None = None,
    method: str = "exact",
    foreground: Foreground | None = None,
) -> Float[Array, "*batch"]:
    """Return the root-mean-square signal-to-noise ratio of a transient over sky positions and polarization angles.

    The inclination is that of the waveform given. Do not add channels by hand: "optimal" is A, E and T together.

    Args:
        frequency: f [Hz], increasing, of shape (frequency,); the integral runs over it and no further.
        plus: Fourier transform of h+ [1/Hz], real or complex, of shape (..., frequency).
        cross: the same of hx.
        det: arm length and noise.
        channel: as in `sensitivity`.
        family: as in `response`.
        generation: 1 or 2.
        shift: as in `response`.
        method: as in `response`.
        foreground: as in `sensitivity`.

    Returns:
        sqrt(<rho^2>), of the leading shape of the waveforms.

    Raises:
        ValueError: the frequencies do not increase, are fewer than two, or shapes do not fit; or as in `asd`.
        UnitsError: a quantity of another dimension.

    Source: derived in docs/theory/tdi.md.
    """
    points = band(frequency)
    options: dict[str, Any] = {"family": family, "generation": generation, "shift": shift, "method": method}
    noise = noise_strain(points, det, channel, foreground=foreground, **options)
    ratio = characteristic_strain(points, plus, cross) / expand(noise, plus, cross)
    return jnp.sqrt(jnp.sum(ratio**2 * expand(log_weights(points), plus, cross), axis=-1))


def monochromatic_snr(
    frequency: Real,
    amplitude: Real,
    det: Detector,
    channel: str = "optimal",
    *,
    duration: Real,
    family: str | None = None,
    generation: int = 2,
    shift: int | None = None,
    method: str = "exact",
    foreground: Foreground | None = None,
) -> Frequencies:
    """Return the SNR of a source of constant frequency, (8/5 a^2 T/S_n)^(1/2), averaged over sky and inclination.

    For h+ = a (1 + cos^2 i) cos(phi) and hx = 2 a cos i sin(phi); some authors write 2a for this a.

    Args:
        frequency: f [Hz], of any shape.
        amplitude: a, dimensionless, of the shape of `frequency`.
        det: arm length and noise.
        channel: as in `sensitivity`.
        duration: T [s].
        family: as in `response`.
        generation: 1 or 2.
        shift: as in `response`.
        method: as in `response`.
        foreground: as in `sensitivity`.

    Raises:
        ValueError: a number that is not finite and positive; or as in `asd`.
        UnitsError: a quantity of another dimension.

    Source: derived in docs/theory/tdi.md.
    """
    points = checks.positive(units.array(frequency, "Hz", "frequency"), "frequency")
    options: dict[str, Any] = {"family": family, "generation": generation, "shift": shift, "method": method}
    density = asd(points, det, channel, foreground=foreground, **options)
    size = checks.nonnegative(units.array(amplitude, "", "amplitude"), "amplitude")
    checks.broadcastable({"frequency": points.shape, "amplitude": size.shape})
    time = seconds(duration, points.dtype)
    ratio = (size.astype(points.dtype) / STRAIN_SCALE) / (density / STRAIN_SCALE)
    return math.sqrt(INCLINATION) * ratio * jnp.sqrt(time)


def inspiral_amplitude(frequency: Real, chirp_mass: Real, distance: Real) -> Float[Array, "*batch"]:
    r"""Return A(f) [1/Hz] of an inspiral to leading order, with h+ = A (1 + cos^2 i)/2 and hx = A cos i.

    $$A = \sqrt{\tfrac{5}{24}}\,\pi^{-2/3}\,\frac{c}{d} \Big(\frac{G\mathcal{M}}{c^3}\Big)^{5/6} f^{-7/6}.$$

    Args:
        frequency: f [Hz], of shape (..., frequency), below the end of the inspiral.
        chirp_mass: redshifted chirp mass (1 + z) M [solar masses], one number or an array that broadcasts.
        distance: luminosity distance [Mpc].

    Raises:
        ValueError: a number that is not finite and positive, or shapes that do not broadcast.
        UnitsError: a quantity of another dimension.

    Source: the quadrupole formula in the stationary-phase approximation; docs/theory/tdi.md.
    """
    points = checks.positive(units.array(frequency, "Hz", "frequency"), "frequency")
    mass = checks.positive(units.array(chirp_mass, "solMass", "chirp_mass"), "chirp_mass").astype(points.dtype)
    far = checks.positive(units.array(distance, "Mpc", "distance"), "distance").astype(points.dtype)
    shape = checks.broadcastable({"frequency": points.shape, "chirp_mass": mass.shape, "distance": far.shape})
    points, mass, far = (jnp.broadcast_to(part, shape) for part in (points, mass, far))
    scale = math.sqrt(5.0 / 24.0) * math.pi ** (-2.0 / 3.0) * SPEED_OF_LIGHT / MEGAPARSEC * SOLAR_TIME ** (5.0 / 6.0)
    # Without powers that leave float32: M f first.
    return scale / far * (mass * points) ** (5.0 / 6.0) / points / points


def horizon_distance(
    frequency: Real,
    chirp_mass: Real,
    det: Detector,
    channel: str = "optimal",
    *,
    threshold: float = 8.0,
    family: str | None = None,
    generation: int = 2,
    shift: int | None = None,
    method: str = "exact",
    foreground: Foreground | None = None,
) -> Scalar:
    """Return the luminosity distance [Mpc] at which an inspiral has the threshold's SNR, averaged over sky and angles.

    Args:
        frequency: f [Hz], increasing, of shape (frequency,): the part of the inspiral that is observed, no further than
            its end.
        chirp_mass: redshifted chirp mass (1 + z) M [solar masses], one number.
        det: arm length and noise.
        channel: as in `sensitivity`.
        threshold: SNR, averaged as a root mean square over sky, polarization angle and inclination.
        family: as in `response`.
        generation: 1 or 2.
        shift: as in `response`.
        method: as in `response`.
        foreground: as in `sensitivity`.

    Raises:
        ValueError: the frequencies do not increase, or a number is not finite and positive; or as in `asd`.
        UnitsError: a quantity of another dimension.

    Source: derived in docs/theory/tdi.md.
    """
    points = band(frequency)
    # hx = 0 and h+ = A sqrt(4/5): the mean over the inclination of |h+|^2 + |hx|^2.
    wave = math.sqrt(INCLINATION / 2.0) * inspiral_amplitude(points, chirp_mass, 1.0)
    options: dict[str, Any] = {"family": family, "generation": generation, "shift": shift, "method": method}
    ratio = snr(points, wave, jnp.zeros_like(wave), det, channel, foreground=foreground, **options)
    return ratio / float(checks.positive(np.asarray(threshold, float), "threshold"))


def band(frequency: Real) -> Float[Array, " frequency"]:
    """Return frequencies to integrate over; `ValueError` unless they are two or more, in one axis, increasing."""
    points = checks.positive(units.array(frequency, "Hz", "frequency"), "frequency")
    if points.ndim != 1 or points.size < 2:
        raise ValueError(f"frequency: expected two or more in one axis to integrate over, got shape {points.shape}")
    if not checks.is_traced(points) and not np.all(np.diff(np.asarray(points)) > 0):
        raise ValueError("frequency: expected increasing values to integrate over")
    return points


def log_weights(points: Float[Array, " frequency"]) -> Float[Array, " frequency"]:
    """Return trapezoidal weights of an integral over ln f."""
    steps = 0.5 * jnp.diff(jnp.log(points))
    return jnp.pad(steps, (0, 1)) + jnp.pad(steps, (1, 0))


def seconds(duration: Real, dtype: Any) -> Scalar:
    """Return an observation time [s] as one positive number."""
    time = checks.positive(units.array(duration, "s", "duration"), "duration")
    if time.ndim:
        raise ValueError(f"duration: expected one number in s, got an array of shape {time.shape}")
    return time.astype(dtype)


def expand(spectrum: Float[Array, " frequency"], *waves: Real) -> Float[Array, "*batch frequency"]:
    """Return `spectrum` with leading axes, so that it broadcasts against the largest of the waves explicitly."""
    return spectrum.reshape((1,) * (max(np.ndim(wave) for wave in (spectrum, *waves)) - 1) + spectrum.shape)


def _modulus(wave: Real, name: str) -> Float[Array, "*batch"]:
    plain = jnp.asarray(units.value(wave, "Hz-1", name))
    if not jnp.issubdtype(plain.dtype, jnp.number):
        raise ValueError(f"{name}: expected numbers in 1/Hz, got an array of {plain.dtype}")
    if jnp.issubdtype(plain.dtype, jnp.complexfloating):
        # |h| of two parts near 1e-25 without their squares.
        plain = jnp.hypot(plain.real, plain.imag)
    return checks.finite(jnp.abs(plain), name)
