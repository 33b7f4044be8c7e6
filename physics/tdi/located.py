"""Sources at one place of the sky: the complex response of any combination to each polarization."""

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from physics import units
from physics.constants import SPEED_OF_LIGHT
from physics.numerics import checks
from physics.numerics.batching import chunked_map
from physics.tdi import numerical
from physics.tdi.combinations import Combination
from physics.tdi.detector import Detector, as_arrays
from physics.tdi.polynomials import DelayPolynomials, evaluate, signal_polynomials
from physics.tdi.triangle import antenna, triangle
from physics.types import Real

CHUNK = 4096
"""Sources and frequencies at a time."""


class AntennaPattern(NamedTuple):
    """What a channel makes of a wave: F+ h+ + Fx hx, in fractional frequency."""

    plus: Complex[Array, "*shape"]
    cross: Complex[Array, "*shape"]


def antenna_pattern(
    frequency: Real,
    det: Detector,
    channel: str | Combination = "X",
    *,
    longitude: Real,
    latitude: Real,
    polarization: Real = 0.0,
    orientation: Real | None = None,
    position: Real | None = None,
    family: str | None = None,
    generation: int = 2,
    shift: int | None = None,
) -> AntennaPattern:
    r"""Return the complex F+ and Fx of a channel for a wave from one direction, dimensionless.

    The wave travels along k, away from the source at ecliptic longitude l and latitude b. With w pointing west and n
    north on the sky, (w, n, k) is right-handed. The polarization angle psi turns p = w cos psi + n sin psi and
    q = n cos psi - w sin psi; then h_ij = h+ (p_i p_j - q_i q_j) + hx (p_i q_j + q_i p_j). h+ and hx are those at the
    origin of the ecliptic coordinates, with Fourier transforms of kernel exp(-2 pi i f t). The average of
    $|F_+|^2 + |F_\times|^2$ over the sky is `response`.

    In the frame of the constellation the spacecraft lie in the plane z = 0 with their mean at the origin, 1 on the
    positive x axis and 1 -> 2 -> 3 counter-clockwise about z. The spacecraft are taken to be at rest.

    Args:
        frequency: f [Hz]; frequencies and angles are broadcast against one another.
        det: one arm length or three; its noise does not matter.
        channel: as in `response`, or a `Combination`.
        longitude: ecliptic longitude l of the source [rad].
        latitude: ecliptic latitude b of the source [rad], from -pi/2 to pi/2.
        polarization: psi [rad].
        orientation: the rotation (3, 3) that takes the constellation's frame to the ecliptic one: its columns are the
            constellation's x, y and z axes in ecliptic coordinates; none by default.
        position: of the mean of the spacecraft in ecliptic coordinates, (3,) [m]; the origin by default.
        family: as in `response`.
        generation: 1 or 2.
        shift: as in `response`.

    Returns:
        `plus` and `cross`, of the broadcast shape of frequency and angles, complex128.

    Raises:
        PrecisionError: 64-bit is not enabled.
        ValueError: a frequency is not finite and positive, an angle is not finite or a latitude is beyond a pole,
            `orientation` is not a rotation, shapes do not broadcast, or a name is as `response` does not allow.
        UnitsError: a quantity has another dimension.

    Source: derived in docs/theory/tdi.md.
    """
    checks.double_precision("an antenna pattern", "tdi.asd (a sensitivity)")
    if not isinstance(det, Detector):
        raise TypeError(f"det: expected a Detector, got {type(det)}")
    if channel == "optimal":
        raise ValueError('channel: "optimal" is not one combination; it has no antenna pattern')
    rows = numerical.chosen_combinations(channel, family, generation, shift)
    points = checks.positive(units.array(frequency, "Hz", "frequency"), "frequency")
    angles = [
        checks.finite(units.array(x, "rad", name), name)
        for x, name in ((longitude, "longitude"), (latitude, "latitude"), (polarization, "polarization"))
    ]
    _check_latitude(angles[1])
    arms = as_arrays(numerical.arm_lengths(det), np.dtype(float))
    polynomials = signal_polynomials(rows, equal=numerical.equal_arms(det))
    kernel = _Located(polynomials, arms, _orientation(orientation), _position(position))
    names = ("frequency", "longitude", "latitude", "polarization")
    arrays = [jnp.asarray(x, float) for x in (points, *angles)]
    checks.broadcastable({name: x.shape for name, x in zip(names, arrays, strict=True)})
    return AntennaPattern(*chunked_map(kernel, *arrays, chunk_size=CHUNK))


class _Located(eqx.Module):
    """F+ and Fx for one frequency and source."""

    polynomials: DelayPolynomials
    arms: Any
    orientation: Array | np.ndarray
    position: Array | np.ndarray

    def __call__(
        self,
        frequency: Float[Array, ""],
        longitude: Float[Array, ""],
        latitude: Float[Array, ""],
        psi: Float[Array, ""],
    ) -> tuple[Complex[Array, ""], Complex[Array, ""]]:
        arms = triangle(numerical.light_seconds(self.arms))
        omega = 2.0 * math.pi * frequency
        frame = wave_frame(longitude, latitude, psi)
        # Components along the constellation's axes.
        turned = jnp.matmul(frame, jnp.asarray(self.orientation), precision=jax.lax.Precision.HIGHEST)
        pattern = antenna(evaluate(self.polynomials, omega * arms.lengths), omega, arms, turned)[0]
        phase = omega / SPEED_OF_LIGHT * jnp.sum(frame[2] * jnp.asarray(self.position))
        late = jax.lax.complex(jnp.cos(phase), -jnp.sin(phase))
        return pattern[0] * late, pattern[1] * late


def wave_frame(longitude: Float[Array, ""], latitude: Float[Array, ""], psi: Float[Array, ""]) -> Float[Array, "3 3"]:
    """Return rows p, q, k in ecliptic coordinates: the axes of polarization and the direction of travel."""
    cl, sl, cb, sb = jnp.cos(longitude), jnp.sin(longitude), jnp.cos(latitude), jnp.sin(latitude)
    west = jnp.stack([sl, -cl, jnp.zeros_like(sl)])
    north = jnp.stack([-sb * cl, -sb * sl, cb])
    c, s = jnp.cos(psi), jnp.sin(psi)
    return jnp.stack([c * west + s * north, c * north - s * west, jnp.stack([-cb * cl, -cb * sl, -sb])])


def _check_latitude(latitude: Array) -> None:
    if not checks.is_traced(latitude) and np.max(np.abs(np.asarray(latitude))) > 0.5 * math.pi * (1.0 + 1e-12):
        raise ValueError(
            f"latitude: expected values from -pi/2 to pi/2 rad, got one of size "
            f"{np.max(np.abs(np.asarray(latitude))):g}; it is in radians"
        )


def _orientation(orientation: Any) -> Array | np.ndarray:
    if orientation is None:
        return np.eye(3)
    matrix = checks.finite(units.array(orientation, "", "orientation"), "orientation").astype(float)
    if matrix.shape != (3, 3):
        raise ValueError(f"orientation: expected a rotation of shape (3, 3), got {matrix.shape}")
    if not checks.is_traced(matrix):
        known = np.asarray(matrix)
        if np.max(np.abs(known @ known.T - np.eye(3))) > 1e-9 or np.linalg.det(known) < 0.0:
            raise ValueError("orientation: expected a rotation, an orthogonal matrix of determinant 1")
    return matrix


def _position(position: Any) -> Array | np.ndarray:
    if position is None:
        return np.zeros(3)
    vector = checks.finite(units.array(position, "m", "position"), "position").astype(float)
    if vector.shape != (3,):
        raise ValueError(f"position: expected one vector of shape (3,) in m, got {vector.shape}")
    return vector
