r"""What sensitivities become far below and far above f = c/(2 pi L), and the frequencies between which they are flat.

For x << 1 a sensitivity is a sum of two powers, one of the readout and one of the acceleration noise,

$$S_n \to k_o\,x^{-n_o}\,\frac{s_x^2}{L^2}\,\mathrm{shape}_x
        + k_a\,x^{-n_a}\,\frac{s_a^2 L^2}{c^4}\,\mathrm{shape}_a,$$

where the first factor of each is $S_\mathrm{oms}/x^2$ and $x^2 S_\mathrm{acc}$. Derived in docs/theory/tdi.md.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from physics import units
from physics.constants import SPEED_OF_LIGHT
from physics.numerics import checks
from physics.numerics.batching import chunked_map
from physics.tdi import kernels
from physics.tdi.channels import FAMILIES, combination
from physics.tdi.correlations import LN2, LN43, Phase, ResponseFunctions
from physics.tdi.detector import Detector, as_arrays
from physics.tdi.noise import STRAIN_SCALE, InstrumentNoise, check_range, common_amplitude, strain_noise
from physics.types import Frequencies, Real, Scalar

FLAT_END = 1.5
"""x at which the flat section ends, f_t = 1.5 c/(2 pi L)."""


class PowerLaws(NamedTuple):
    """The low-frequency limit of one sensitivity."""

    readout: float
    """k_o"""
    readout_power: int
    """n_o"""
    acceleration: float
    """k_a"""
    acceleration_power: int
    """n_a"""


_ORTHOGONAL = PowerLaws(10.0 / 3.0, 0, 40.0 / 3.0, 4)
_FIVE_LINKS = PowerLaws(25.0 / 3.0, 0, 40.0 / 3.0, 4)
LOW: Mapping[tuple[str, str], PowerLaws] = {
    ("A", ""): _ORTHOGONAL,
    ("T", ""): PowerLaws(2016.0, 4, 2016.0, 6),
    ("optimal", ""): PowerLaws(5.0 / 3.0, 0, 20.0 / 3.0, 4),
    ("single", "michelson"): _ORTHOGONAL,
    ("single", "sagnac"): PowerLaws(5.0, 2, 55.0 / 3.0, 4),
    ("single", "monitor"): _FIVE_LINKS,
    ("single", "beacon"): _FIVE_LINKS,
    ("single", "relay"): PowerLaws(5.0, 0, 40.0 / 3.0, 4),
}
"""By what a sensitivity depends on, (kind, family of "single")."""


class CharacteristicFrequencies(eqx.Module):
    """Where a sensitivity curve bends, and its level in between, for white noise."""

    f_n: Scalar
    """Readout and acceleration noise are equal [Hz]; below it acceleration noise dominates."""
    f_t: Scalar
    """1.5 c/(2 pi L) [Hz]; above it the response falls."""
    flat_asd: Scalar
    """sqrt(S_n) [Hz^-1/2] of the flat section; NaN for Sagnac and zeta, which have none."""


def characteristic_frequencies(det: Detector, family: str = "michelson") -> CharacteristicFrequencies:
    r"""Return f_n, f_t [Hz] and the flat level [Hz^-1/2] of the single channel of a family, for white noise.

    The amplitudes s_a and s_x of the detector count, not their spectral shapes. f_n is where the two terms of the
    low-frequency limit are equal; for "michelson", (1/2 pi) sqrt(2 s_a/s_x), it is also that of every A, E and of the
    optimum. At f_n, S_n is twice its flat level. For "sagnac" and "zeta" (and every T), f_n depends on L and nothing is
    flat.

    Args:
        det: one arm length; its noise amplitudes must not be zero.
        family: "michelson", "sagnac", "monitor", "beacon", "relay" or "zeta".

    Raises:
        ValueError: an unknown family, three arm lengths, or amplitudes that differ by link.
        TypeError: `det` is not a detector.

    Source: the existence of f_n and f_t, abstract of arXiv:2511.01330; their values derived in docs/theory/tdi.md.
    """
    checks.one_of(family, (*FAMILIES, "zeta"), "family")
    arm_length = _one_arm(det)
    law = LOW["T", ""] if family == "zeta" else LOW["single", family]
    light_time = arm_length / SPEED_OF_LIGHT
    # k_o x^-n_o (s_x/L)^2 = k_a x^-n_a (s_a L/c^2)^2, solved for x.
    acceleration = common_amplitude(det.noise.acceleration, "acceleration")
    displacement = common_amplitude(det.noise.displacement, "displacement")
    ratio = (acceleration * light_time**2) / displacement
    root = math.sqrt(law.acceleration / law.readout) * ratio
    x = root ** (2.0 / (law.acceleration_power - law.readout_power))
    flat = math.sqrt(law.readout) * displacement / arm_length if law.readout_power == 0 else math.nan
    turns = 2.0 * math.pi * light_time
    return CharacteristicFrequencies(*(jnp.asarray(value, float) for value in (x / turns, FLAT_END / turns, flat)))


def low_frequency_asd(
    frequency: Real, det: Detector, channel: str = "X", *, family: str | None = None, polarization: str = "sum"
) -> Frequencies:
    """Return what sqrt(S_n) [Hz^-1/2] tends to for x = 2 pi f L/c -> 0: the root of two power laws.

    The relative error is of order x^2: below 2 % for x < 0.3 and white noise. Works in float32.

    Args:
        frequency: f [Hz], of any shape.
        det: one arm length; the shapes of the noise are kept.
        channel: as in `sensitivity`; generations do not matter.
        family: as in `response`.
        polarization: as in `sensitivity`.

    Raises:
        ValueError: as in `asd`.
        UnitsError: `frequency` is a quantity that is not a frequency.

    Source: derived in docs/theory/tdi.md.
    """
    return _limit(_low, frequency, det, combination(channel, family, 1, None).ratio, polarization)


def high_frequency_asd(
    frequency: Real, det: Detector, channel: str = "X", *, family: str | None = None, polarization: str = "sum"
) -> Frequencies:
    """Return what sqrt(S_n) [Hz^-1/2] tends to for x = 2 pi f L/c -> infinity, with its oscillation.

    The noise is exact and the response that of its leading order in 1/x. The relative error falls as 1/x: below 6 % for
    x > 6 and below 1.5 % for x > 30.

    Args:
        frequency: f [Hz], of any shape.
        det: one arm length.
        channel: as in `sensitivity`; generations do not matter.
        family: as in `response`.
        polarization: as in `sensitivity`.

    Raises:
        ValueError: as in `asd`.
        UnitsError: `frequency` is a quantity that is not a frequency.

    Source: derived in docs/theory/tdi.md.
    """
    return _limit(_high, frequency, det, combination(channel, family, 1, None).ratio, polarization)


def _limit(kernel: Any, frequency: Real, det: Detector, ratio: tuple[str, str], polarization: str) -> Frequencies:
    points = checks.positive(units.array(frequency, "Hz", "frequency"), "frequency")
    arm_length = _one_arm(det)
    check_range(det.noise, points)
    arm_length, noise = as_arrays((arm_length, det.noise), points.dtype)
    result = _mapped(kernel, points, arm_length, noise, ratio)
    return result if checks.one_of(polarization, ("sum", "average"), "polarization") == "sum" else result * 2.0**0.5


def _one_arm(det: Detector) -> Any:
    if not isinstance(det, Detector):
        raise TypeError(f"det: expected a Detector, got {type(det)}")
    if isinstance(det.arm_length, tuple):
        raise ValueError(f"det: the limits hold for one arm length, but this detector has three, {det.arm_length}")
    return det.arm_length


@eqx.filter_jit
def _mapped(
    kernel: Any, points: Frequencies, arm_length: Any, noise: InstrumentNoise, ratio: tuple[str, str]
) -> Frequencies:
    return chunked_map(lambda f: kernel(f, arm_length, noise, ratio), points, chunk_size=262144)


def _low(f: Float[Array, ""], arm_length: Any, noise: InstrumentNoise, ratio: tuple[str, str]) -> Float[Array, ""]:
    law = LOW[ratio]
    x = kernels.dimensionless(f, arm_length)
    scaled = strain_noise(f, arm_length, noise)
    readout = jnp.sqrt(law.readout * scaled.displacement) / x ** (law.readout_power // 2)
    acceleration = jnp.sqrt(law.acceleration * scaled.acceleration) / x ** (law.acceleration_power // 2)
    return STRAIN_SCALE * jnp.hypot(readout, acceleration)


def _high(f: Float[Array, ""], arm_length: Any, noise: InstrumentNoise, ratio: tuple[str, str]) -> Float[Array, ""]:
    return kernels.amplitude(f, arm_length, noise, ratio, high_frequency_functions)


def high_frequency_functions(at: Phase) -> ResponseFunctions:
    r"""Return $r/x^2$ and $R_z/x^6$ of the links' limits for large x.

    With $C_s \to 2/3$, $C_r \to -c/3$, $C_a \to k_a$ and $C_c \to -k_c e^{-ix}$,

    $$r \to (2 + c)(\tfrac23 + k_c c) - (1 + 2c)(\tfrac{c}{3} + k_a) - 3 k_c \sin^2 x, \qquad
      R_z \to 6\,(\tfrac23 + \tfrac{c}{3} - 2 k_a - 2 k_c c).$$
    """
    adjacent, chain = (7.0 - 12.0 * LN2) / 24.0, 5.0 / 24.0 - 0.75 * LN43
    x, c, s = at.x, at.cosine, at.sine
    orthogonal = (2.0 + c) * (2.0 / 3.0 + chain * c) - (1.0 + 2.0 * c) * (c / 3.0 + adjacent) - 3.0 * chain * s * s
    symmetric = 6.0 * (2.0 / 3.0 + c / 3.0 - 2.0 * adjacent - 2.0 * chain * c)
    return ResponseFunctions(orthogonal / x**2, symmetric / x**6)
