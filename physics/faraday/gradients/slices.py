"""Spectra of Q and U along slices through the images, and the rotation measures of their points."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float

from physics.faraday.fits.bounds import angle_estimator, noise_part
from physics.faraday.gradients.correlation import generalised_fit

STEPS = 4
"""Times that the line through the angles is drawn again, with residuals from the last."""


class SliceSpectra(eqx.Module):
    """Stokes parameters along slices, and what is known of them before any fit."""

    intensity: Float[Array, "slice point channel"]
    polarization: Complex[Array, "slice point channel"]
    """Q + iU."""
    change: Complex[Array, "2 slice point channel"]
    """Its change per angle to the east and to the north [1/rad]."""
    usable: Bool[Array, "slice point"]
    """Within the image, and finite in all channels."""
    offset: Float[Array, "slice point"]
    """Place of each point along its slice [rad]."""
    correlation: Float[Array, "place place"]
    """Of the noise of all points."""


class SliceFit(eqx.Module):
    """How the points of a slice are fitted; the same for the data and for what is simulated."""

    lambda_squared: Float[Array, " channel"]
    sigma: Float[Array, "channel 3"]
    """Standard deviations of I, Q and U."""
    membership: Float[Array, "band channel"]
    band_error: Float[Array, ""]
    channel_error: Float[Array, ""]
    reference_rm: Float[Array, ""]
    """Branch that is followed: rotation measures within about pi/2 over the half span of L of this one are found."""
    intensity_threshold: Float[Array, ""]
    polarization_threshold: Float[Array, ""]


class PointRotation(eqx.Module):
    """Rotation of each point of the slices; meaningless where not `valid`."""

    rm: Float[Array, "*slice point"]
    rm_error: Float[Array, "*slice point"]
    """From noise alone."""
    evpa0: Float[Array, "*slice point"]
    evpa0_error: Float[Array, "*slice point"]
    """From noise alone."""
    valid: Bool[Array, "*slice point"]


class SliceSlopes(eqx.Module):
    """Straight lines along slices, with the correlation of the noise; not determined where the errors are infinite."""

    rm: Float[Array, "*slice"]
    """[rad/m^2 per rad]."""
    rm_error: Float[Array, "*slice"]
    evpa0: Float[Array, "*slice"]
    """[rad per rad]."""
    evpa0_error: Float[Array, "*slice"]

    @property
    def significance(self) -> Float[Array, "*slice"]:
        """Modulus of the change of the rotation measure over its error; zero where not determined."""
        return jnp.abs(self.rm) / self.rm_error


def point_rotation(fit: SliceFit, spectra: SliceSpectra) -> PointRotation:
    r"""Return the rotation of every point by a weighted line through its angles on the branch of the reference.

    Angles are residuals from the last line, which need no unwrapping while they stay below a right angle.

    Args:
        fit: how.
        spectra: of the slices.

    Source: derived in docs/theory/faraday-jets.md.
    """
    P = spectra.polarization
    L = jnp.broadcast_to(fit.lambda_squared, P.shape)
    sigma = jnp.broadcast_to(jnp.sqrt(0.5 * jnp.sum(fit.sigma[:, 1:] ** 2, axis=-1)), P.shape)
    ratio = jnp.abs(P) / sigma
    settings = (fit.membership, fit.band_error, fit.channel_error)
    rows = angle_estimator(fit.lambda_squared, ratio, *settings)
    rm = jnp.full(P.shape[:-1], fit.reference_rm)
    evpa0 = 0.5 * jnp.angle(jnp.sum(turned(P / sigma.astype(P.dtype), rm[..., None] * L), axis=-1))
    for _ in range(STEPS):
        residual = 0.5 * jnp.angle(turned(P, evpa0[..., None] + rm[..., None] * L))
        rm = rm + jnp.sum(rows.rm * residual, axis=-1)
        evpa0 = evpa0 + jnp.sum(rows.evpa0 * residual, axis=-1)
    noise = noise_part(fit.lambda_squared, ratio, *settings)
    return PointRotation(rm, noise.rm, evpa0, noise.evpa0, _valid(fit, spectra, ratio))


def turned(P: Complex[Array, "*shape"], angle: Float[Array, "*shape"]) -> Complex[Array, "*shape"]:
    r"""Return $P\,e^{-2i\chi}$."""
    return P * jax.lax.complex(jnp.cos(2.0 * angle), -jnp.sin(2.0 * angle))


def slopes(spectra: SliceSpectra, points: PointRotation) -> SliceSlopes:
    r"""Return the lines of rotation measure and intrinsic EVPA along each slice.

    Noise in the direction across the polarization makes errors of the angle, so that those of two points are correlated
    by $\rho\cos 2(\chi_i - \chi_j)$.

    Args:
        spectra: of the slices.
        points: of the same slices.
    """
    count = spectra.offset.shape[1]
    blocks = spectra.correlation.reshape(-1, count, len(spectra.offset), count)
    own = jnp.moveaxis(jnp.diagonal(blocks, axis1=0, axis2=2), -1, 0)
    return jax.vmap(_line)(spectra.offset, points, own)


def _line(offset: Array, points: PointRotation, correlation: Array) -> SliceSlopes:
    weight = points.valid.astype(offset.dtype)
    total = jnp.maximum(jnp.sum(weight), 1.0)
    centred = offset - jnp.sum(weight * offset) / total
    design = jnp.stack([jnp.ones_like(offset), centred], axis=-1)
    towards = jnp.where(points.valid, points.evpa0, 0.0)
    alike = correlation * jnp.cos(2.0 * (towards[:, None] - towards[None, :]))
    rm = generalised_fit(design, points.rm, points.rm_error, alike, points.valid)
    angle = generalised_fit(design, _followed(points), points.evpa0_error, alike, points.valid)
    return SliceSlopes(
        rm.coefficients[1],
        jnp.sqrt(rm.covariance[1, 1]),
        angle.coefficients[1],
        jnp.sqrt(angle.covariance[1, 1]),
    )


def _followed(points: PointRotation) -> Array:
    # Angles from point to point without jumps of half a turn; points that are not valid repeat their neighbour.
    def step(last: Array, here: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        angle, valid, started = here
        near = angle - jnp.pi * jnp.round((angle - last) / jnp.pi)
        now = jnp.where(valid, jnp.where(started, near, angle), last)
        return now, now

    count = points.valid.astype(int)
    started = jnp.cumsum(count) > count
    return jax.lax.scan(step, jnp.zeros_like(points.evpa0[0]), (points.evpa0, points.valid, started))[1]


def _valid(fit: SliceFit, spectra: SliceSpectra, ratio: Array) -> Array:
    # The rule of `fit_map`.
    least = jnp.broadcast_to(fit.intensity_threshold * fit.sigma[:, 0], ratio.shape)
    bright = jnp.all(spectra.intensity > least, axis=-1)
    power = jnp.einsum("bc,...c->...b", fit.membership, ratio**2 - 2.0)
    return spectra.usable & bright & jnp.all(power > fit.polarization_threshold**2, axis=-1)
