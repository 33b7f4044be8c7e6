"""Helical magnetic fields of a jet, as functions of the distance from its axis in units of its radius."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Components = tuple[Float[Array, "*shape"], Float[Array, "*shape"]]

BESSEL_NODES = 32
"""Equal steps of the integral of a Bessel function; exact to rounding for arguments below 5."""


def tapered(radius: Float[Array, "*shape"], pitch: Float[Array, ""]) -> Components:
    r"""Return $B_z = 1/(1 + \rho^2)$ and $B_\phi = h\rho/(1 + \rho^2)$."""
    fall = 1.0 / (1.0 + radius**2)
    return fall, pitch * radius * fall


def force_free(radius: Float[Array, "*shape"], pitch: Float[Array, ""]) -> Components:
    r"""Return $B_z = J_0(h\rho)$ and $B_\phi = J_1(h\rho)$; $B_z$ vanishes at $h\rho = 2.405$.

    Source: the field of constant alpha in a cylinder (Lundquist 1950).
    """
    x = pitch * radius
    angle = np.pi * (np.arange(BESSEL_NODES) + 0.5) / BESSEL_NODES
    phase = jnp.multiply.outer(x, jnp.asarray(np.sin(angle), x.dtype))
    order_one = jnp.broadcast_to(jnp.asarray(angle, x.dtype), phase.shape) - phase
    return jnp.mean(jnp.cos(phase), axis=-1), jnp.mean(jnp.cos(order_one), axis=-1)


def toroidal(radius: Float[Array, "*shape"], pitch: Float[Array, ""]) -> Components:
    r"""Return $B_z = 0$ and $B_\phi = h\rho$."""
    return jnp.zeros_like(radius), pitch * radius


def poloidal(radius: Float[Array, "*shape"], pitch: Float[Array, ""]) -> Components:
    """Return a uniform field along the axis, whatever the pitch."""
    return jnp.ones_like(radius), jnp.zeros_like(pitch * radius)


FIELDS: dict[str, Callable[..., Components]] = {
    "tapered": tapered,
    "force_free": force_free,
    "toroidal": toroidal,
    "poloidal": poloidal,
}
