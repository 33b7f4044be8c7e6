"""The triangle of spacecraft, and what a gravitational wave does to the light on its arms.

Frame: the spacecraft lie in the plane z = 0 with their mean at the origin, 1 on the positive x axis, 1 -> 2 -> 3
counter-clockwise about z. Lengths are counted in light seconds.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from physics.numerics import checks

ENDS = ((0, 1), (1, 2), (2, 0))
"""(receiver, emitter) of the links that the arms 12, 23 and 31 are named after, counted from 0."""


class Triangle(NamedTuple):
    """Arms in the order 12, 23, 31, in light seconds."""

    lengths: Float[Array, " 3"]
    directions: Float[Array, "3 3"]
    """unit vectors from the emitter to the receiver of links 12, 23, 31: (arm, component)"""
    middles: Float[Array, "3 3"]
    """midpoints of the arms: (arm, component)"""


def check_arms(arms: Any, name: str) -> None:
    """Raise `ValueError` unless three known arm lengths make a triangle that is not flat."""
    if checks.is_traced(arms):
        return
    longest, *others = sorted((float(arm) for arm in arms), reverse=True)
    if longest >= sum(others):
        raise ValueError(
            f"{name}: no triangle has sides of {', '.join(f'{float(arm):g}' for arm in arms)} m: "
            f"the longest must be shorter than the other two together"
        )


def vertices(lengths: Float[Array, " 3"]) -> Float[Array, "3 3"]:
    """Return the positions (spacecraft, component) of a triangle with sides 12, 23, 31."""
    a, b, c = lengths[0], lengths[1], lengths[2]
    along = (a * a + c * c - b * b) / (2.0 * a)
    # Heron's formula for the height keeps its digits in flat triangles.
    height = jnp.sqrt((a + b + c) * (a + b - c) * (a + c - b) * (b + c - a)) / (2.0 * a)
    zero = jnp.zeros_like(a)
    raw = jnp.stack([jnp.stack([zero, zero]), jnp.stack([a, zero]), jnp.stack([along, height])])
    centred = raw - jnp.mean(raw, axis=0, keepdims=True)
    cosine, sine = centred[0] / jnp.hypot(centred[0, 0], centred[0, 1])
    turned = [centred[:, 0] * cosine + centred[:, 1] * sine, centred[:, 1] * cosine - centred[:, 0] * sine]
    return jnp.stack([*turned, jnp.zeros_like(lengths)], axis=-1)


def triangle(lengths: Float[Array, " 3"]) -> Triangle:
    """Return the arms of a triangle with sides 12, 23, 31 [s]."""
    places = vertices(lengths)
    receivers = jnp.stack([places[i] for i, _ in ENDS])
    emitters = jnp.stack([places[j] for _, j in ENDS])
    return Triangle(lengths, (receivers - emitters) / lengths[:, None], 0.5 * (receivers + emitters))


def antenna(
    coefficients: Complex[Array, "row 6"],
    omega: Float[Array, ""],
    arms: Triangle,
    frame: Float[Array | np.ndarray, "3 3"],
) -> Complex[Array, "row 2"]:
    r"""Return F+ and Fx of combinations of links for a wave that travels along one direction.

    With m = k.n and the midpoint r of arm ij, both of its links have the phase of r:

    $$\eta_{ij}, \eta_{ji} = -\frac{i w\tau}{2} (n e n)\, \mathrm{sinc}\Big[\frac{w\tau}{2} (1 \mp m)\Big]
      e^{-i w (\tau/2 + k \cdot r)}.$$

    Args:
        coefficients: half the sum and half the difference of the coefficients of links ij and ji, for each arm.
        omega: 2 pi f [rad/s].
        arms: in light seconds.
        frame: rows u, v, k in the frame of the triangle: e+ = uu - vv, ex = uv + vu, the wave travels along k.

    Source: derived in docs/theory/tdi.md.
    """
    along = [_project(arms.directions, frame[n]) for n in range(3)]
    half = 0.5 * omega * arms.lengths
    forth, back = sinc_less_one(half * (1.0 - along[2])), sinc_less_one(half * (1.0 + along[2]))
    phase = half + omega * _project(arms.middles, frame[2])
    transfer = jax.lax.complex(-half * jnp.sin(phase), -half * jnp.cos(phase))
    tensor = (along[0] ** 2 - along[1] ** 2, 2.0 * along[0] * along[1])
    sums, differences = coefficients[:, 0::2], coefficients[:, 1::2]
    both, odd = (part.astype(sums.dtype)[None, :] for part in (2.0 + forth + back, forth - back))
    arm = (sums * both + differences * odd) * transfer[None, :]
    return jnp.stack([jnp.sum(arm * part.astype(arm.dtype)[None, :], axis=-1) for part in tensor], axis=-1)


def sinc_less_one(x: Float[Array, " arm"]) -> Float[Array, " arm"]:
    r"""Return $\sin x/x - 1$ to relative rounding also at small x, so that differences of two keep their digits."""
    small = jnp.abs(x) < 1.0
    near, far = jnp.where(small, x, 0.0), jnp.where(small, 1.0, x)
    square = near * near
    series = jnp.zeros_like(x)
    for n in range(9, 0, -1):
        series = -square / ((2 * n) * (2 * n + 1)) * (1.0 + series)
    return jnp.where(small, series, jnp.sin(far) / far - 1.0)


def _project(vectors: Float[Array, "3 3"], onto: Float[Array | np.ndarray, " 3"]) -> Float[Array, " 3"]:
    return vectors[:, 0] * onto[0] + vectors[:, 1] * onto[1] + vectors[:, 2] * onto[2]
