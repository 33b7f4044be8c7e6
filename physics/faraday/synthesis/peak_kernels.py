"""A peak of one Faraday spectrum: its place to rounding, and the errors of a thin source there."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Int

from physics.faraday.conventions import wrap_angle
from physics.faraday.fits.likelihood import scaled
from physics.faraday.statistics.debias import PEAK_VARIANCE, less_in_quadrature

POLISHING_STEPS = 8
DEBIASED_ABOVE = 8.0
"""Signal-to-noise ratio from which the noise bias of a peak is taken off."""


class Place(eqx.Module):
    """The channels of one spectrum."""

    p: Complex[Array, " channel"]
    weights: Float[Array, " channel"]
    variance: Float[Array, " channel"]
    """Anything where the weight is zero."""
    x: Float[Array, " channel"]
    """Squared wavelengths from the reference."""
    reference: Float[Array, ""]


def at_depth(place: Place, depth: Float[Array, ""]) -> tuple[Complex[Array, ""], ...]:
    r"""Return F and its first two derivatives at any depth, by the sums over the channels."""
    angle = -2.0 * depth * place.x
    turned = place.p * jax.lax.complex(jnp.cos(angle), jnp.sin(angle))
    sums = []
    for power, unit in ((0, 1.0), (1, -2.0j), (2, -4.0)):
        real = jnp.sum(place.weights * place.x**power * turned.real)
        imaginary = jnp.sum(place.weights * place.x**power * turned.imag)
        sums.append(jax.lax.complex(real, imaginary) * unit)
    return tuple(sums)


def polished(
    place: Place, depth: Float[Array, " depth"], k: Int[Array, ""]
) -> tuple[Float[Array, ""], Complex[Array, ""]]:
    """Return the depth at which |F| is highest between two neighbours of a grid point, and F there.

    Newton steps on the slope of |F|^2, replaced by bisection where they would leave the bracket; the last step carries
    the derivatives with respect to the data.
    """

    def slopes(at: Float[Array, ""]) -> tuple[Array, Array]:
        f, f1, f2 = at_depth(place, at)
        return (jnp.conj(f) * f1).real, (jnp.conj(f1) * f1 + jnp.conj(f) * f2).real

    def step(_: Int[Array, ""] | int, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        low, at, high = state
        slope, curvature = slopes(at)
        low, high = jnp.where(slope > 0, at, low), jnp.where(slope > 0, high, at)
        newton = at - slope / jnp.where(curvature < 0, curvature, -1.0)
        inside = (curvature < 0) & (newton >= low) & (newton <= high)
        return low, jnp.where(inside, newton, 0.5 * (low + high)), high

    start = (depth[k - 1], depth[k], depth[k + 1])
    at = jax.lax.stop_gradient(jax.lax.fori_loop(0, POLISHING_STEPS, step, start)[1])
    slope, curvature = slopes(at)
    at = jnp.clip(at - slope / jax.lax.stop_gradient(jnp.where(curvature < 0, curvature, -jnp.inf)), start[0], start[2])
    return at, at_depth(place, at)[0]


def interpolated(
    depth: Float[Array, " depth"], value: Complex[Array, " depth"], k: Int[Array, ""]
) -> tuple[Float[Array, ""], Complex[Array, ""]]:
    """Return the vertex of the parabola through |F| at a grid point and its neighbours, and F interpolated there.

    The phase is that of the parabola through the complex values, the modulus that of the vertex.
    """
    left, middle, right = value[k - 1], value[k], value[k + 1]
    a, b, c = jnp.abs(left), jnp.abs(middle), jnp.abs(right)
    bend = a - 2.0 * b + c
    shift = 0.5 * (a - c) / jnp.where(bend < 0, bend, -jnp.inf)
    height = b - 0.25 * (a - c) * shift
    turned = middle + scaled(right - left, 0.5 * shift) + scaled(left - 2.0 * middle + right, 0.5 * shift * shift)
    size = jnp.abs(turned)
    return depth[k] + shift * (depth[1] - depth[0]), scaled(turned, height / jnp.where(size > 0, size, 1.0))


def measured(
    place: Place, depth: Float[Array, " peak"], value: Complex[Array, " peak"]
) -> dict[str, Float[Array, " peak"]]:
    r"""Return amplitude, angles and errors of thin sources at given depths.

    With the weights $w$ of sum one, their mean $\bar L$, $y = L - \bar L$ and $V_k = \sum w^2\sigma^2 y^k$, the
    amplitude A has the variance $V_0$, and

    $$ \mathrm{var}\,\phi = \frac{V_2}{4A^2(\sum w y^2)^2}, \quad \mathrm{var}\,\chi(\bar L) = \frac{V_0}{4A^2}, \quad
       \mathrm{cov} = \frac{V_1}{4A^2\sum w y^2}, $$

    from which $\chi(L) = \chi(\bar L) + \phi(L - \bar L)$. For inverse-variance weights this is the Cramer-Rao bound.

    Args:
        place: the channels.
        depth: of the sources [rad/m^2].
        value: F there.
    """
    w = place.weights
    mean = jnp.sum(w * place.x)
    y = place.x - mean
    square = jnp.sum(w * y * y)
    noise = jnp.where(w > 0, w * w * jnp.where(w > 0, place.variance, 0.0), 0.0)
    v0, v1, v2 = (jnp.sum(noise * y**power) for power in range(3))
    amplitude = jnp.sqrt(jnp.square(value.real) + jnp.square(value.imag))
    quarter = 0.25 / jnp.where(amplitude > 0, jnp.square(amplitude), jnp.nan)
    lever = jnp.where(square > 0, square, jnp.nan)

    def variance_at(distance: Array) -> Array:
        return quarter * (v0 + 2.0 * distance * v1 / lever + jnp.square(distance) * v2 / jnp.square(lever))

    sigma = jnp.broadcast_to(jnp.sqrt(v0), amplitude.shape)
    ratio = amplitude / jnp.where(sigma > 0, sigma, jnp.inf)
    evpa = 0.5 * jnp.arctan2(value.imag, value.real)
    errors = {
        "depth_error": jnp.sqrt(quarter * v2) / lever,
        "evpa_error": jnp.sqrt(variance_at(-mean)),
        "evpa0_error": jnp.sqrt(variance_at(-mean - place.reference)),
    }
    return {
        "depth": depth,
        "amplitude": amplitude,
        "amplitude_error": sigma,
        "amplitude_debiased": jnp.where(
            ratio >= DEBIASED_ABOVE, less_in_quadrature(amplitude, PEAK_VARIANCE**0.5 * sigma), amplitude
        ),
        "evpa": wrap_angle(evpa),
        "evpa0": wrap_angle(evpa - depth * place.reference),
        "signal_to_noise": ratio,
        # What two wavelengths at least determine, and an amplitude.
        **{name: jnp.where(jnp.isfinite(x), x, math.inf) for name, x in errors.items()},
    }
