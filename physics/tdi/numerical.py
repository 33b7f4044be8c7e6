"""Responses, noise and sensitivities of any combination for any three arms: no closed form, float64 and complex128.

Combinations are formed for each direction, as amplitudes, before anything is squared; see docs/theory/tdi.md.
"""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from physics.constants import SPEED_OF_LIGHT
from physics.numerics import checks
from physics.numerics.batching import chunked_map
from physics.tdi import sky
from physics.tdi.channels import combination as choose
from physics.tdi.combinations import Combination
from physics.tdi.common_zeros import without_common_zeros
from physics.tdi.detector import Detector, as_arrays
from physics.tdi.families import combination as named
from physics.tdi.noise import InstrumentNoise, check_range, link_noise
from physics.tdi.polynomials import DelayPolynomials, evaluate, noise_polynomials, signal_polynomials
from physics.tdi.triangle import antenna, triangle
from physics.types import Frequencies

CHUNK = 1024
"""Frequencies at a time where no sky is averaged."""

OPTIMAL_TRIPLE = (("A", "sagnac"), ("E", "sagnac"), ("zeta", None))
"""Three combinations that generate all others, with noises that are nearly independent and hardly ever vanish."""


def chosen_combinations(
    channel: str | Combination, family: str | None, generation: int, shift: int | None
) -> list[Combination]:
    """Return the combination that the arguments of a public function name, or the triple of "optimal".

    Raises:
        ValueError: as in `families.combination`; or a family or shift is given for a `Combination`.
        TypeError: `channel` is neither a name nor a `Combination`.
    """
    if isinstance(channel, Combination):
        if family is not None or shift is not None:
            raise ValueError(f"family, shift: expected none for a Combination, got {family!r}, {shift!r}")
        if not channel.terms:
            raise ValueError("channel: this Combination has no terms")
        return [channel]
    if choose(channel, family, generation, shift).kind == "optimal":
        return [named(part, family=of, generation=1) for part, of in OPTIMAL_TRIPLE]
    return [named(channel, family=family, generation=generation, shift=shift)]


def for_a_ratio(
    channel: str | Combination, family: str | None, generation: int, shift: int | None
) -> list[Combination]:
    """Return combinations of the same sensitivity: of generation 1 where that cannot matter, as it has fewer zeros.

    For arms at rest, generation 2 of a loop is a factor times generation 1; A, E and T are sums of three such loops,
    whose factors differ where the arms do.
    """
    given = chosen_combinations(channel, family, generation, shift)
    if isinstance(channel, Combination) or len(given) > 1 or channel in ("A", "E", "T"):
        return given
    return [named(channel, family=family, generation=1)]


def response_matrix(frequency: Frequencies, det: Detector, rows: list[Combination]) -> Complex[Array, "*f row row"]:
    """Return the sky average of sum F_a F_b^* over both polarizations."""
    arms, _ = _traced(det)
    phase = _phase(frequency, arms)
    polynomials = signal_polynomials(rows, equal=equal_arms(det))
    return sky.mapped(lambda frames, weights: _Response(polynomials, arms, frames, weights), frequency, phase)


def noise_matrix(frequency: Frequencies, det: Detector, rows: list[Combination]) -> Complex[Array, "*f row row"]:
    """Return the cross PSDs of the noise, in units of `STRAIN_SCALE` squared."""
    check_range(det.noise, frequency)
    arms, noise = _traced(det)
    return chunked_map(_Noise(noise_polynomials(rows, equal=equal_arms(det)), arms, noise), frequency, chunk_size=CHUNK)


def sensitivity(
    frequency: Frequencies, det: Detector, rows: list[Combination], foreground: Frequencies | None = None
) -> Frequencies:
    r"""Return PSD/R of one combination, or $1/\mathrm{tr}(N^{-1} R)$ of several, in units of `STRAIN_SCALE` squared.

    A foreground of amplitude density a, in units of `STRAIN_SCALE`, adds a^2 R to the noise matrix N.
    """
    if equal_arms(det):
        rows = [without_common_zeros(row) for row in rows]
    noise, signal = noise_matrix(frequency, det, rows), response_matrix(frequency, det, rows)
    if foreground is not None:
        noise = noise + signal * (foreground.astype(float) ** 2)[..., None, None].astype(signal.dtype)
    if len(rows) == 1:
        return (noise.real / signal.real)[..., 0, 0]
    return _optimum(noise, signal)


@eqx.filter_jit
def _optimum(noise: Complex[Array, "*f n n"], signal: Complex[Array, "*f n n"]) -> Float[Array, "*f"]:
    # In units of the noise of each combination the matrix is near the identity.
    size = jnp.sqrt(jnp.diagonal(noise.real, axis1=-2, axis2=-1))
    unit = (size[..., :, None] * size[..., None, :]).astype(noise.dtype)
    return 1.0 / jnp.trace(jnp.linalg.solve(noise / unit, signal / unit), axis1=-2, axis2=-1).real


def arm_lengths(det: Detector) -> Any:
    """Return (L12, L23, L31) [m] of a detector, as a tuple."""
    return det.arm_length if isinstance(det.arm_length, tuple) else (det.arm_length,) * 3


def equal_arms(det: Detector) -> bool:
    """Whether a detector has one arm length, or three equal numbers (not tracers, which may be varied one by one)."""
    arms = det.arm_length
    return not isinstance(arms, tuple) or (all(isinstance(arm, float) for arm in arms) and len(set(arms)) == 1)


def _traced(det: Detector) -> tuple[Any, InstrumentNoise]:
    arms, noise = as_arrays((arm_lengths(det), det.noise), np.dtype(float))
    return arms, noise


def _phase(frequency: Frequencies, arms: Any) -> np.ndarray | None:
    if checks.is_traced(frequency, arms):
        return None
    points = np.asarray(frequency)
    phase = np.asarray(2.0 * math.pi / SPEED_OF_LIGHT * max(float(arm) for arm in arms) * points)
    sky.check_phase(phase, points)
    return phase


class _Response(eqx.Module):
    """The response matrix for one frequency; a module, so that new arms do not compile it anew."""

    polynomials: DelayPolynomials
    arms: Any
    frames: Array | np.ndarray
    weights: Array | np.ndarray

    def __call__(self, frequency: Float[Array, ""]) -> Complex[Array, "row row"]:
        arms = triangle(light_seconds(self.arms))
        omega = 2.0 * math.pi * frequency
        phases = omega * arms.lengths
        coefficients = evaluate(self.polynomials, phases)
        amplitude = jax.vmap(lambda frame: antenna(coefficients, omega, arms, frame))(jnp.asarray(self.frames))
        weighted = amplitude * jnp.asarray(self.weights)[:, None, None].astype(amplitude.dtype)
        matrix = jnp.einsum("qap,qbp->ab", weighted, amplitude.conj())
        # Inside a trace nobody could say that the rule does not resolve this frequency.
        return jnp.where(jnp.max(phases) <= sky.LIMIT * (1.0 + 1e-9), matrix, jnp.nan)


class _Noise(eqx.Module):
    """The noise matrix for one frequency."""

    polynomials: DelayPolynomials
    arms: Any
    noise: InstrumentNoise

    def __call__(self, frequency: Float[Array, ""]) -> Complex[Array, "row row"]:
        transfer = evaluate(self.polynomials, 2.0 * math.pi * frequency * light_seconds(self.arms))
        weighted = transfer * link_noise(frequency, self.noise)[None, :].astype(transfer.dtype)
        return jnp.einsum("as,bs->ab", weighted, transfer.conj())


def light_seconds(arms: Any) -> Float[Array, " 3"]:
    """Return three arm lengths [m] as one array [s]."""
    return jnp.stack([jnp.asarray(arm, float) for arm in arms]) / SPEED_OF_LIGHT
