"""Kernels for one frequency: responses, noise PSDs and sensitivities from the four functions of x.

With x = 2 pi f L/c and the noise counted in strain (`StrainNoise`: a = x^2 S_acc, o = S_oms / x^2),

    s   = (2 + c) S_oms + 4 (1 + c + c^2) S_acc = s^ / x^2,    S_z = 6 S_oms + 24 h S_acc = S^,
    r   = x^2 r^,                                              R_z = x^6 R^.

The powers of x are taken out by hand, so that one kernel serves float64 and float32, where R_z alone is zero.
"""

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax.numpy as jnp
from jaxtyping import Array, Float

from physics.constants import SPEED_OF_LIGHT
from physics.tdi.channels import generation_factor, weights
from physics.tdi.correlations import Phase, ResponseFunctions, phase, response_functions
from physics.tdi.noise import STRAIN_SCALE, InstrumentNoise, StrainNoise, strain_noise

TWO_PI = 2.0 * math.pi

Signal: TypeAlias = Callable[[Phase], ResponseFunctions]
"""How r and R_z are evaluated: exactly, or in elementary functions."""


class NoiseFunctions(NamedTuple):
    """The two noise functions in units of `STRAIN_SCALE` squared."""

    orthogonal: Float[Array, ""]
    r"""$x^2 s$, where $S_{AE} = 8 \sin^2(x/2)\,s$ is the noise of A and E of the Sagnac family."""
    symmetric: Float[Array, ""]
    """S_z, the noise of zeta."""


class ScaledSensitivity(NamedTuple):
    """A sensitivity as `STRAIN_SCALE`^2 x^(-2 power) `ratio`."""

    ratio: Float[Array, ""]
    power: int


def dimensionless(frequency: Float[Array, ""], arm_length: Float[Array, ""]) -> Float[Array, ""]:
    r"""Return $x = 2\pi f L/c$."""
    return TWO_PI * frequency * (arm_length / SPEED_OF_LIGHT)


def noise_functions(at: Phase, noise: StrainNoise) -> NoiseFunctions:
    r"""Return $x^2 s = (2 + c)\,x^4 o + 4(1 + c + c^2)\,a$ and $S_z = 6 x^2 o + 24 (h/x^2)\,a$.

    Source: derived in docs/theory/tdi.md.
    """
    x, c = at.x, at.cosine
    half = at.versine / x / x
    return NoiseFunctions(
        (2.0 + c) * x**4 * noise.displacement + 4.0 * (1.0 + c + c * c) * noise.acceleration,
        6.0 * x**2 * noise.displacement + 24.0 * half * noise.acceleration,
    )


def response(
    x: Float[Array, ""], shift: Float[Array, ""], spectrum: tuple[str, str], functions: Signal = response_functions
) -> Float[Array, ""]:
    """Return the response of one channel, summed over polarizations; see `physics.tdi.channels` for the table."""
    at = phase(x)
    signal = functions(at)
    combined = _combine(at, spectrum, x**2 * signal.orthogonal, x**6 * signal.symmetric)
    return generation_factor(x, shift) * combined


def noise_psd(
    frequency: Float[Array, ""],
    arm_length: Float[Array, ""],
    noise: InstrumentNoise,
    shift: Float[Array, ""],
    spectrum: tuple[str, str],
) -> Float[Array, ""]:
    """Return the noise PSD [1/Hz] of one channel."""
    x = dimensionless(frequency, arm_length)
    at = phase(x)
    functions = noise_functions(at, strain_noise(frequency, arm_length, noise))
    combined = _combine(at, spectrum, functions.orthogonal / x**2, functions.symmetric)
    return STRAIN_SCALE**2 * generation_factor(x, shift) * combined


def _combine(
    at: Phase, spectrum: tuple[str, str], orthogonal: Float[Array, ""], symmetric: Float[Array, ""]
) -> Float[Array, ""]:
    """Return a channel's generation-1 spectrum from (r, R_z) or from (s, S_z)."""
    kind, family = spectrum
    if kind == "zeta":
        return symmetric
    m, p, q = weights(family, at)
    if kind == "T":
        return m * q * symmetric
    if kind == "single":
        return m * (16.0 * p * orthogonal + q * symmetric) / 3.0
    return 8.0 * m * p * orthogonal


def scaled_sensitivity(
    frequency: Float[Array, ""],
    arm_length: Float[Array, ""],
    noise: InstrumentNoise,
    ratio: tuple[str, str],
    functions: Signal = response_functions,
) -> ScaledSensitivity:
    r"""Return PSD/R of one channel with every common zero divided out; it depends on the family of "single" only.

    $$S_A = \frac{s}{r}, \qquad S_T = S_\zeta = \frac{S_z}{R_z}, \qquad
      S_\mathrm{single} = \frac{16 p s + q S_z}{16 p r + q R_z}, \qquad
      \frac{1}{S_\mathrm{opt}} = \frac{2r}{s} + \frac{R_z}{S_z}.$$

    Source: derived in docs/theory/tdi.md.
    """
    x = dimensionless(frequency, arm_length)
    at = phase(x)
    noises = noise_functions(at, strain_noise(frequency, arm_length, noise))
    return _ratio(at, ratio, noises, functions(at))


def _ratio(at: Phase, ratio: tuple[str, str], noises: NoiseFunctions, signal: ResponseFunctions) -> ScaledSensitivity:
    kind, family = ratio
    square = at.x**2
    if kind == "T":
        return ScaledSensitivity(noises.symmetric / signal.symmetric, 3)
    if kind == "optimal":
        # Written as one fraction: a noise that vanishes at a frequency gives 0 there, not 1/0.
        weighted = 2.0 * signal.orthogonal * noises.symmetric + square * signal.symmetric * noises.orthogonal
        return ScaledSensitivity(noises.orthogonal * noises.symmetric / weighted, 2)
    if kind == "single":
        _, p, q = weights(family, at)
        numerator = 16.0 * p * noises.orthogonal + q * square * noises.symmetric
        denominator = 16.0 * p * signal.orthogonal + q * square**2 * signal.symmetric
        return ScaledSensitivity(numerator / denominator, 2)
    return ScaledSensitivity(noises.orthogonal / signal.orthogonal, 2)


def sensitivity(
    frequency: Float[Array, ""],
    arm_length: Float[Array, ""],
    noise: InstrumentNoise,
    ratio: tuple[str, str],
    functions: Signal = response_functions,
) -> Float[Array, ""]:
    """Return the sensitivity PSD/R [1/Hz] of one channel, polarizations summed."""
    scaled = scaled_sensitivity(frequency, arm_length, noise, ratio, functions)
    return STRAIN_SCALE**2 * scaled.ratio / dimensionless(frequency, arm_length) ** (2 * scaled.power)


def amplitude(
    frequency: Float[Array, ""],
    arm_length: Float[Array, ""],
    noise: InstrumentNoise,
    ratio: tuple[str, str],
    functions: Signal = response_functions,
) -> Float[Array, ""]:
    """Return the square root [Hz^-1/2] of `sensitivity`, without its square in between: float32 holds it."""
    scaled = scaled_sensitivity(frequency, arm_length, noise, ratio, functions)
    return STRAIN_SCALE * (jnp.sqrt(scaled.ratio) / dimensionless(frequency, arm_length) ** scaled.power)
