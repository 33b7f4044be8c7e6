r"""Relativistic aberration of the polarization of synchrotron radiation.

Vectors lie along the last axis. A velocity is in units of that of light, a direction points from the source to the
observer, and a magnetic field is the one in the frame of the plasma.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from physics.numerics.special import safe_sqrt

Vector = Float[Array, "*shape 3"]


def dot(a: Vector, b: Vector) -> Float[Array, "*shape"]:
    """Return the scalar product."""
    return jnp.sum(a * b, axis=-1)


def lorentz_factor(velocity: Vector) -> Float[Array, "*shape"]:
    r"""Return $\Gamma = (1 - v^2)^{-1/2}$."""
    return 1.0 / jnp.sqrt(1.0 - dot(velocity, velocity))


def doppler_factor(direction: Vector, velocity: Vector) -> Float[Array, "*shape"]:
    r"""Return $D = 1/\Gamma(1 - n\cdot v)$, the observed over the emitted frequency."""
    return 1.0 / (lorentz_factor(velocity) * (1.0 - dot(direction, velocity)))


def comoving_direction(direction: Vector, velocity: Vector) -> Vector:
    r"""Return the direction to the observer in the frame of the plasma.

    $$ n' = D\,\big[n + \Gamma v\,\big(\tfrac{\Gamma}{\Gamma+1}\,n\cdot v - 1\big)\big] $$
    """
    gamma = lorentz_factor(velocity)
    along = gamma * (gamma / (gamma + 1.0) * dot(direction, velocity) - 1.0)
    return doppler_factor(direction, velocity)[..., None] * (direction + along[..., None] * velocity)


def field_across(direction: Vector, field: Vector) -> Float[Array, "*shape"]:
    r"""Return $|n \times B|$, with a zero gradient where the field points to the observer."""
    across = jnp.cross(direction, field)
    return safe_sqrt(dot(across, across))


def electric_vector(direction: Vector, field: Vector, velocity: Vector) -> Vector:
    r"""Return a vector along the observed electric field, of a length that does not matter; zero where there is none.

    $$ e \parallel n \times q,\qquad q = B' + n \times (v \times B') - \tfrac{\Gamma}{1+\Gamma}\,(B'\cdot v)\,v $$

    Args:
        direction: n in the frame of the observer.
        field: B' in that of the plasma.
        velocity: v of the plasma.

    Source: Lyutikov, Pariev and Gabuzda (2005); derived in docs/theory/faraday-jets.md.
    """
    gamma = lorentz_factor(velocity)
    q = field + jnp.cross(direction, jnp.cross(velocity, field))
    q = q - (gamma / (1.0 + gamma) * dot(field, velocity))[..., None] * velocity
    return jnp.cross(direction, q)
