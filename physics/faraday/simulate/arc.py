"""Coordinates along and across a jet that runs along an arc of the sky."""

import jax.numpy as jnp
from jaxtyping import Array, Float

SMALL_BEND = 1e-6
"""Angle of an arc about its centre below which it is a line."""


def arc_coordinates(
    east: Float[Array, "*shape"],
    north: Float[Array, "*shape"],
    position_angle: Float[Array, ""],
    curvature: Float[Array, ""],
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    r"""Return the arc length s from the origin and the distance y from the arc, positive to the right of the motion.

    With the coordinates (u, v) along the first direction and to its right, and the curvature $\kappa$, positive if the
    arc turns to the left, from north to east,

    $$ s = \frac1\kappa\,\mathrm{atan2}(\kappa u, 1 + \kappa v),\qquad
       y = \frac{2v + \kappa(u^2 + v^2)}{1 + \sqrt{(\kappa u)^2 + (1 + \kappa v)^2}}. $$

    Args:
        east: offset to the east.
        north: offset to the north, same unit.
        position_angle: of the first direction, north through east [rad].
        curvature: of the arc, one over its radius, in the inverse unit; 0 for a straight jet.
    """
    sine, cosine = jnp.sin(position_angle), jnp.cos(position_angle)
    u = east * sine + north * cosine
    v = north * sine - east * cosine
    bent = jnp.hypot(curvature * u, 1.0 + curvature * v)
    across = (2.0 * v + curvature * (u * u + v * v)) / (1.0 + bent)
    inner = 1.0 + curvature * v
    straight = (jnp.abs(curvature * u) < SMALL_BEND * inner) & (inner > 0.0)
    # The line has the right gradient in the curvature too.
    line = u / jnp.where(straight, inner, 1.0)
    curved = jnp.arctan2(jnp.where(straight, 1.0, curvature * u), inner) / jnp.where(straight, 1.0, curvature)
    return jnp.where(straight, line, curved), across
