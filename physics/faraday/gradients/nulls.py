"""Slices as they would be if the rotation measure were uniform."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from physics.faraday.gradients.slices import PointRotation, SliceFit, SliceSpectra, point_rotation, slopes, turned
from physics.types import PRNGKey

ROUNDING = 1e-6
"""Added to the correlation of all points, which is singular to rounding where they are close."""


class CalibrationSpread(eqx.Module):
    """Standard deviations of the errors that a null data set draws."""

    band: Float[Array, ""]
    """EVPA zero point of a band [rad]."""
    channel: Float[Array, ""]
    """EVPA zero point of a channel [rad]."""
    leakage: Float[Array, ""]
    """Root mean square modulus of the leakage of a channel."""
    misalignment: Float[Array, ""]
    """Shift of a band, each to the east and to the north [rad]."""


def uniform_rm(fit: SliceFit, points: PointRotation) -> Float[Array, ""]:
    """Return the mean rotation measure of all valid points, weighted by their noise; the reference if there is none."""
    weight = jnp.where(points.valid, 1.0 / jnp.where(points.valid, points.rm_error, 1.0) ** 2, 0.0)
    total = jnp.sum(weight)
    mean = jnp.sum(jnp.where(points.valid, weight * points.rm, 0.0)) / jnp.where(total > 0, total, 1.0)
    return jnp.where(total > 0, mean, fit.reference_rm)


def null_polarization(
    fit: SliceFit, spectra: SliceSpectra, points: PointRotation
) -> Complex[Array, "slice point channel"]:
    r"""Return the polarization that the slices would show with one rotation measure, without noise.

    Each point keeps the angle that fits it best with the uniform rotation measure, and in each band the amplitude along
    the angle that was fitted freely, which noise does not bias as it does the modulus.

    Args:
        fit: how the slices were fitted.
        spectra: of the slices.
        points: their rotation.
    """
    P = spectra.polarization
    L = jnp.broadcast_to(fit.lambda_squared, P.shape)
    free = turned(P, points.evpa0[..., None] + points.rm[..., None] * L).real
    channels = jnp.sum(fit.membership, axis=1)
    amplitude = jnp.maximum(
        jnp.einsum("bc,...c->...b", fit.membership, free) / jnp.broadcast_to(channels, (*P.shape[:-1], len(channels))),
        0.0,
    )
    amplitude = jnp.einsum("bc,...b->...c", fit.membership, amplitude)
    rm = uniform_rm(fit, points)
    angle = 0.5 * jnp.angle(jnp.sum(amplitude.astype(P.dtype) * turned(P, rm * L), axis=-1))
    total = 2.0 * (angle[..., None] + rm * L)
    return jax.lax.complex(amplitude * jnp.cos(total), amplitude * jnp.sin(total))


def null_spectra(
    fit: SliceFit,
    spectra: SliceSpectra,
    model: Complex[Array, "slice point channel"],
    factor: Float[Array, "place place"],
    spread: CalibrationSpread,
    key: PRNGKey,
) -> SliceSpectra:
    """Return one null data set: the model with errors of calibration and noise drawn anew.

    Args:
        fit: how the slices were fitted.
        spectra: of the data; their I serves for the leakage, their changes for the shifts.
        model: `null_polarization`.
        factor: Cholesky factor of the correlation of all points.
        spread: of the errors.
        key: random key.
    """
    bands, channels = fit.membership.shape
    keys = jax.random.split(key, 5)
    dtype = spectra.intensity.dtype
    offset = spread.band * jax.random.normal(keys[0], (bands,), dtype) @ fit.membership
    offset = offset + spread.channel * jax.random.normal(keys[1], (channels,), dtype)
    leak = jnp.sqrt(0.5) * spread.leakage * jax.random.normal(keys[2], (2, channels), dtype)
    shift = spread.misalignment * jax.random.normal(keys[3], (2, bands), dtype) @ fit.membership
    moved = model - jnp.einsum("dc,d...c->...c", shift.astype(model.dtype), spectra.change)
    leaked = jnp.einsum("...c,c->...c", spectra.intensity.astype(model.dtype), jax.lax.complex(leak[0], leak[1]))
    white = jax.random.normal(keys[4], (factor.shape[0], 2 * channels), dtype)
    noise = jnp.matmul(factor, white, precision="highest").reshape(*model.shape[:-1], 2, channels)
    noise = noise * jnp.broadcast_to(fit.sigma[:, 1:].T, noise.shape)
    P = turned(moved + leaked, jnp.broadcast_to(-offset, model.shape)) + jax.lax.complex(
        noise[..., 0, :], noise[..., 1, :]
    )
    return eqx.tree_at(lambda s: s.polarization, spectra, P)


def null_statistics(
    fit: SliceFit,
    spectra: SliceSpectra,
    spread: CalibrationSpread,
    keys: Array,
) -> tuple[Float[Array, ""], Float[Array, " simulation"]]:
    """Return the largest significance over the slices, of the data and of one null data set for each key.

    Args:
        fit: how the slices are fitted.
        spectra: of the slices.
        spread: of the errors of calibration.
        keys: random keys.
    """
    points = point_rotation(fit, spectra)
    model = null_polarization(fit, spectra, points)
    whole = spectra.correlation + ROUNDING * jnp.eye(len(spectra.correlation), dtype=spectra.correlation.dtype)
    factor = jnp.linalg.cholesky(whole)

    def largest(key: Array) -> Array:
        null = null_spectra(fit, spectra, model, factor, spread, key)
        return jnp.max(slopes(null, point_rotation(fit, null)).significance)

    return jnp.max(slopes(spectra, points).significance), jax.lax.map(largest, keys)
