r"""Stochastic backgrounds: energy density of the noise, signal-to-noise ratio, power-law-integrated sensitivity.

An isotropic unpolarized background whose polarizations have the one-sided PSD S each is seen as R S, and is

$$\Omega(f) = \frac{4\pi^2}{3 H_0^2} f^3 S(f).$$

With the noise known, and the background weak against it, the channels A, E, T of duration T give

$$\rho^2 = T \int \frac{\Omega^2}{\Omega_\mathrm{eff}^2}\,df, \qquad
  \Omega_\mathrm{eff}^{-2} = \sum_i \Omega_i^{-2}, \qquad \Omega_i = \frac{4\pi^2}{3 H_0^2} f^3 S_i.$$

The sum is over 1/S^2, not over 1/S as for a deterministic signal. Derived in docs/theory/tdi.md.
"""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics import units
from physics.numerics import checks
from physics.tdi.detector import Detector
from physics.tdi.foregrounds import Foreground
from physics.tdi.spectra import asd
from physics.tdi.strain import MEGAPARSEC, band, expand, log_weights, seconds
from physics.types import Frequencies, Real, Scalar

HUBBLE = 100.0
"""H_0 [km/s/Mpc] for which Omega is h^2 Omega."""


class PowerLawSensitivity(eqx.Module):
    """Upper envelope of all power laws that reach a threshold: a background above it anywhere is seen."""

    frequency: Float[Array, " frequency"]
    """[Hz]"""
    omega: Float[Array, " frequency"]
    """Energy density of the envelope (of h^2 Omega for the default H_0)."""
    slopes: Float[Array, " slope"]
    amplitudes: Float[Array, " slope"]
    """Omega of each power law at `reference_frequency`."""
    reference_frequency: Scalar
    """[Hz]"""


def energy_density(
    frequency: Real,
    det: Detector,
    channel: str = "X",
    *,
    family: str | None = None,
    generation: int = 2,
    shift: int | None = None,
    method: str = "exact",
    foreground: Foreground | None = None,
    hubble_constant: Real = HUBBLE,
) -> Frequencies:
    """Return the noise of a channel as energy density of a background, Omega_n = 4 pi^2 f^3 S_n/(3 H_0^2).

    For the default H_0 it is h^2 Omega_n. Works in float32.

    Args:
        frequency: f [Hz], of any shape.
        det: arm length and noise.
        channel: as in `sensitivity`; "optimal" stands for A, E and T with their 1/S^2 added, as backgrounds need.
        family: as in `response`.
        generation: 1 or 2.
        shift: as in `response`.
        method: as in `response`.
        foreground: as in `sensitivity`.
        hubble_constant: H_0 [km/s/Mpc].

    Raises:
        ValueError: as in `asd`.
        UnitsError: a quantity of another dimension.

    Source: derived in docs/theory/tdi.md.
    """
    points = checks.positive(units.array(frequency, "Hz", "frequency"), "frequency")
    options: dict[str, Any] = {
        "family": family,
        "generation": generation,
        "shift": shift,
        "method": method,
        "foreground": foreground,
    }
    hubble = checks.positive(units.array(hubble_constant, "km s-1 Mpc-1", "hubble_constant"), "hubble_constant")
    each = [
        (count, _omega(points, asd(points, det, one, **options), hubble)) for count, one in streams(channel, method)
    ]
    if len(each) == 1:
        return each[0][1]
    # 1/Omega^2 written relative to the smallest: float32 holds neither its square nor that of T.
    (count, first), *others = each
    return first / jnp.sqrt(count + sum(number * (first / other) ** 2 for number, other in others))


def background_snr(
    frequency: Real,
    omega: Real,
    det: Detector,
    channel: str = "optimal",
    *,
    duration: Real,
    duty_cycle: float = 1.0,
    weak: bool = True,
    family: str | None = None,
    generation: int = 2,
    shift: int | None = None,
    method: str = "exact",
    foreground: Foreground | None = None,
    hubble_constant: Real = HUBBLE,
) -> Float[Array, "*batch"]:
    """Return the signal-to-noise ratio of a stochastic background in channels of known noise.

    Args:
        frequency: f [Hz], increasing, of shape (frequency,).
        omega: Omega(f) of the background (h^2 Omega for the default H_0), of shape (..., frequency).
        det: arm length and noise.
        channel: as in `sensitivity`; "optimal" stands for A, E and T.
        duration: observation time [s].
        duty_cycle: fraction of it with data.
        weak: a background that is weak against the noise; otherwise S/S_n is replaced by S/(S_n + S).
        family: as in `response`.
        generation: 1 or 2.
        shift: as in `response`.
        method: as in `response`.
        foreground: as in `sensitivity`.
        hubble_constant: H_0 [km/s/Mpc].

    Raises:
        ValueError: the frequencies do not increase, a number is not finite or not positive, the duty cycle is not in
            0 to 1, or shapes do not fit; or as in `asd`.
        UnitsError: a quantity of another dimension.

    Source: derived in docs/theory/tdi.md.
    """
    points = band(frequency)
    signal = checks.nonnegative(units.array(omega, "", "omega"), "omega").astype(points.dtype)
    checks.broadcastable({"frequency": points.shape, "omega": signal.shape})
    options: dict[str, Any] = {"family": family, "generation": generation, "shift": shift, "method": method}
    options |= {"foreground": foreground, "hubble_constant": hubble_constant}
    total = jnp.zeros_like(signal)
    for count, one in streams(channel, method):
        noise = expand(energy_density(points, det, one, **options), signal)
        total = total + count * (signal / noise if weak else signal / (noise + signal)) ** 2
    cycles = _cycles(points, duration, duty_cycle)
    return jnp.sqrt(jnp.sum(total * expand(cycles * log_weights(points), signal), axis=-1))


def power_law_sensitivity(
    frequency: Real,
    det: Detector,
    channel: str = "optimal",
    *,
    duration: Real,
    threshold: float = 10.0,
    duty_cycle: float = 1.0,
    slopes: Real = None,
    reference_frequency: Real = 1e-3,
    family: str | None = None,
    generation: int = 2,
    shift: int | None = None,
    method: str = "exact",
    foreground: Foreground | None = None,
    hubble_constant: Real = HUBBLE,
) -> PowerLawSensitivity:
    r"""Return the `PowerLawSensitivity`: at each frequency the strongest of the power laws that just reach a threshold.

    $$\Omega_b = \rho \Big/ \sqrt{T \int \frac{(f/f_\mathrm{ref})^{2b}}{\Omega_\mathrm{eff}^2}\,df}, \qquad
      \Omega(f) = \max_b \Omega_b \Big(\frac{f}{f_\mathrm{ref}}\Big)^b.$$

    Args:
        frequency: f [Hz], increasing, of shape (frequency,); the band that is observed.
        det: arm length and noise.
        channel: as in `background_snr`.
        duration: observation time [s].
        threshold: the SNR that counts as seen.
        duty_cycle: fraction of the time with data.
        slopes: b, of shape (slope,); 65 from -8 to 8 by default.
        reference_frequency: f_ref [Hz]; the envelope does not depend on it.
        family: as in `response`.
        generation: 1 or 2.
        shift: as in `response`.
        method: as in `response`.
        foreground: as in `sensitivity`.
        hubble_constant: H_0 [km/s/Mpc].

    Raises:
        ValueError: the frequencies do not increase, a number is not finite or not positive, the duty cycle is not in
            0 to 1, or the slopes are not one axis; or as in `asd`.
        UnitsError: a quantity of another dimension.

    Source: the construction, Thrane & Romano 2013 (arXiv:1310.5300); the noise derived in docs/theory/tdi.md.
    """
    points = band(frequency)
    options: dict[str, Any] = {"family": family, "generation": generation, "shift": shift, "method": method}
    options |= {"foreground": foreground, "hubble_constant": hubble_constant}
    noise = energy_density(points, det, channel, **options)
    b = checks.finite(units.array(np.linspace(-8.0, 8.0, 65) if slopes is None else slopes, "", "slopes"), "slopes")
    if b.ndim != 1:
        raise ValueError(f"slopes: expected one axis, got shape {b.shape}")
    b = b.astype(points.dtype)
    reference = checks.positive(units.array(reference_frequency, "Hz", "reference_frequency"), "reference_frequency")
    reference = reference.astype(points.dtype)
    rho = float(checks.positive(np.asarray(threshold, float), "threshold"))
    # In logarithms: (f/f_ref)^16 and Omega^2 leave any precision.
    powers = b[:, None] * jnp.log(points / reference)[None, :]
    weights = jnp.log(_cycles(points, duration, duty_cycle) * log_weights(points)) - 2.0 * jnp.log(noise)
    amplitudes = math.log(rho) - 0.5 * jax.nn.logsumexp(2.0 * powers + weights[None, :], axis=1)
    envelope = jnp.max(amplitudes[:, None] + powers, axis=0)
    return PowerLawSensitivity(points, jnp.exp(envelope), b, jnp.exp(amplitudes), reference)


def streams(channel: str, method: str) -> tuple[tuple[int, str], ...]:
    """Return the independent data streams of a channel and how often each occurs: A, E = A and T for the optimum."""
    if channel == "optimal" and method == "numerical":
        raise ValueError('channel: with method "numerical", A, E and T are not independent; name one channel')
    return ((2, "A"), (1, "T")) if channel == "optimal" else ((1, channel),)


def _omega(points: Frequencies, density: Frequencies, hubble: Scalar) -> Frequencies:
    rate = hubble.astype(points.dtype) * (1e3 / MEGAPARSEC)
    return (2.0 * math.pi / math.sqrt(3.0) * (density / rate) * points * jnp.sqrt(points)) ** 2


def _cycles(points: Frequencies, duration: Real, duty_cycle: float) -> Frequencies:
    """Return f T, the independent frequencies per unit of ln f."""
    return seconds(duration, points.dtype) * checks.fraction(duty_cycle, "duty_cycle") * points
