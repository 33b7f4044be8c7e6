"""A sheath of thermal plasma around a jet, which rotates what the jet emits."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from physics.faraday.conventions import faraday_depth
from physics.faraday.screens.parameters import parameter
from physics.numerics.special import safe_sqrt


class Sheath(eqx.Module):
    r"""A uniform sheath between the radius a of the jet and b, of which the near half lies before the jet.

    Its field has a toroidal part $B_a a/r$, a longitudinal part, and a random part of many cells. The longitudinal part
    follows the axis, or, with `ring` above zero, a circle whose plane is inclined to the sky by that angle: its
    component along the line of sight is then $B_z \sin i\,\cos(\varphi - \varphi_0)$ at the angle $\varphi$ from the
    origin along the arc.

    Args:
        density: n_e, of thermal electrons [cm^-3].
        outer_radius: b [rad].
        toroidal: B_a at the inner radius, right-handed about the motion of the jet [microgauss].
        longitudinal: B_z, along the motion [microgauss].
        random: rms of the random field [microgauss].
        cell: size of its cells [pc].
        ring: i, inclination of the circle; 0 for a field that follows the axis [rad].
        ring_phase: phi_0, where the longitudinal field points to the observer most [rad].

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: an argument is not real and numeric, or a density, size or rms is negative.
    """

    density: Float[Array, ""] = parameter("density", "1/cm3", lower=0.0)
    outer_radius: Float[Array, ""] = parameter("outer_radius", "rad", lower=0.0)
    toroidal: Float[Array, ""] = parameter("toroidal", "uG", default=0.0)
    longitudinal: Float[Array, ""] = parameter("longitudinal", "uG", default=0.0)
    random: Float[Array, ""] = parameter("random", "uG", lower=0.0, default=0.0)
    cell: Float[Array, ""] = parameter("cell", "pc", lower=0.0, default=0.0)
    ring: Float[Array, ""] = parameter("ring", "rad", default=0.0)
    ring_phase: Float[Array, ""] = parameter("ring_phase", "rad", default=0.0)


def toroidal_path(
    y: Float[Array, "*shape"], inner: Float[Array, "*shape"], outer: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    r"""Return $\int B_\parallel\,dl/B_a$ of a field $B_a a/r$ through the near half of a sheath, at any viewing angle.

    $$ -a\Big[\arctan\frac{\sqrt{b^2-y^2}}{y} - \arctan\frac{\sqrt{\max(a^2-y^2, 0)}}{y}\Big] $$

    Args:
        y: distance from the axis on the sky, positive to the right of the motion.
        inner: a.
        outer: b, above a; beyond it there is nothing.

    Source: derived in docs/theory/faraday-jets.md.
    """
    near, far = chords(y, inner, outer)
    # Beyond the sheath both vanish together.
    size = jnp.where((near > 0.0) | (far > 0.0), jnp.abs(y), 1.0)
    return -inner * jnp.sign(y) * (jnp.arctan2(far, size) - jnp.arctan2(near, size))


def chords(
    y: Float[Array, "*shape"], inner: Float[Array, "*shape"], outer: Float[Array, "*shape"]
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """Return half the chords of two circles at the distance y from their centre; zero outside."""
    return safe_sqrt(inner**2 - y**2), safe_sqrt(outer**2 - y**2)


def sheath_depth(
    sheath: Sheath,
    s: Float[Array, ""],
    y: Float[Array, ""],
    inner: Float[Array, ""],
    viewing_angle: Float[Array, ""],
    curvature: Float[Array, ""],
    scale: Float[Array, ""],
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    r"""Return mean and standard deviation of the Faraday depth of a sheath, in its own frame [rad/m^2].

    The mean is that of the toroidal and the longitudinal field, the latter along the path
    $l = (\sqrt{b^2-y^2} - \sqrt{a^2-y^2})/\sin\theta$. The random field of rms B adds $l/c$ cells of size c with the
    component $B/\sqrt3$ each, so that $\sigma = 0.812\,n_e B \sqrt{cl/3}$.

    Args:
        sheath: the sheath.
        s: distance along the jet [rad].
        y: distance from its axis [rad].
        inner: radius of the jet there [rad].
        viewing_angle: of the axis [rad].
        curvature: of the arc [1/rad].
        scale: length of an angle at the source [pc/rad].

    Source: derived in docs/theory/faraday-jets.md.
    """
    near, far = chords(y, inner, sheath.outer_radius)
    path = scale * jnp.maximum(far - near, 0.0) / jnp.sin(viewing_angle)
    around = jnp.sin(sheath.ring) * jnp.cos(curvature * s - sheath.ring_phase)
    cosine = jnp.where(sheath.ring > 0.0, around, jnp.cos(viewing_angle))
    toroidal = scale * toroidal_path(y, inner, sheath.outer_radius)
    mean = faraday_depth(sheath.density, sheath.toroidal, toroidal)
    mean = mean + faraday_depth(sheath.density, sheath.longitudinal * cosine, path)
    spread = faraday_depth(sheath.density, sheath.random, safe_sqrt(sheath.cell * path / 3.0))
    return mean, spread
