"""How well a rotation measure can be known: the bound from noise, and the part of an error that noise makes."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from physics import units
from physics.numerics import checks
from physics.types import Real


class RotationBound(NamedTuple):
    """Standard deviations of rotation measure and intrinsic EVPA."""

    rm: Float[Array, "*pixel"]
    """[rad/m^2]; infinite where fewer than two different wavelengths are seen."""
    evpa0: Float[Array, "*pixel"]
    """[rad]."""


def cramer_rao(lambda_squared: Real, signal_to_noise: Real) -> RotationBound:
    r"""Return the Cramer-Rao bound of a thin screen whose amplitudes are free, from noise alone.

    With $s_i = P_i/\sigma_i$ and $\bar L = \sum s^2 L/\sum s^2$,
    $\mathrm{var}(\mathrm{RM}) \ge 1/(4\sum s_i^2 (L_i - \bar L)^2)$ and
    $\mathrm{var}(\chi_0) \ge 1/(4 \sum s^2) + \bar L^2\,\mathrm{var}(\mathrm{RM})$.

    Args:
        lambda_squared: L, shape (channel,) [m^2].
        signal_to_noise: s, shape (..., channel), zero where a channel is not used.

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: a wavelength is not finite and positive, a ratio is negative or not finite, or shapes do not match.

    Source: derived in docs/theory/faraday.md.
    """
    L = checks.positive(units.array(lambda_squared, "m2", "lambda_squared"), "lambda_squared")
    s = checks.nonnegative(units.array(signal_to_noise, "", "signal_to_noise"), "signal_to_noise")
    if L.ndim != 1:
        raise ValueError(f"lambda_squared: expected one axis, got shape {L.shape}")
    if s.shape[-1:] != L.shape:
        raise ValueError(f"signal_to_noise: expected {len(L)} channels on the last axis, got shape {s.shape}")
    L = jnp.broadcast_to(L.astype(s.dtype), s.shape)
    power = jnp.square(s)
    total = jnp.sum(power, axis=-1)
    mean = jnp.sum(power * L, axis=-1) / jnp.where(total > 0, total, 1.0)
    information = 4.0 * jnp.sum(power * jnp.square(L - mean[..., None]), axis=-1)
    variance = jnp.where(information > 0, 1.0 / jnp.where(information > 0, information, 1.0), jnp.inf)
    angle = jnp.where(total > 0, 0.25 / jnp.where(total > 0, total, 1.0), jnp.inf)
    return RotationBound(jnp.sqrt(variance), jnp.sqrt(angle + mean**2 * variance))


class AngleEstimator(NamedTuple):
    """What one radian of the angle of each channel contributes to a fit of a thin screen; zero where undetermined."""

    rm: Float[Array, "*pixel channel"]
    """[m^-2]."""
    evpa0: Float[Array, "*pixel channel"]
    determined: Bool[Array, "*pixel"]


def angle_estimator(
    lambda_squared: Float[Array, " channel"],
    signal_to_noise: Float[Array, "*pixel channel"],
    membership: Float[Array, "band channel"],
    band_error: float | Float[Array, ""],
    channel_error: float | Float[Array, ""],
) -> AngleEstimator:
    r"""Return the rows of $N^{-1} X^T M$, $N = X^T M X$, of a fit that weighs its channels for calibration offsets.

    $M = C^{-1}$ with the covariance C of noise and offsets, and X has the rows $(L_i, 1)$.

    Args:
        lambda_squared: L [m^2].
        signal_to_noise: s, zero where a channel is not used.
        membership: 1 where a channel belongs to a band.
        band_error: of the zero point of a band [rad].
        channel_error: of the zero point of a channel [rad].

    Source: derived in docs/theory/faraday.md.
    """
    s = signal_to_noise
    precision = 4.0 * s**2 / (1.0 + 4.0 * channel_error**2 * s**2)
    L = jnp.broadcast_to(lambda_squared.astype(s.dtype), s.shape)
    total = jnp.sum(precision, axis=-1)
    mean = jnp.sum(precision * L, axis=-1) / jnp.where(total > 0, total, 1.0)
    design = jnp.stack([L - mean[..., None], jnp.ones_like(L)], axis=-1)
    weighted = precision[..., None] * design
    sums = jnp.einsum("bc,...ck->...bk", membership, weighted)
    stiffness = jnp.einsum("bc,...c->...b", membership, precision)
    common = sums * (band_error**2 / (1.0 + band_error**2 * stiffness))[..., None]
    weighted = weighted - precision[..., None] * jnp.einsum("bc,...bk->...ck", membership, common)
    normal = jnp.einsum("...ck,...cl->...kl", design, weighted)
    determinant = normal[..., 0, 0] * normal[..., 1, 1] - normal[..., 0, 1] ** 2
    determined = determinant > 0
    safe = jnp.where(determined, determinant, 1.0)
    # The rows of the inverse that give the slope and the ordinate at zero wavelength.
    slope = jnp.stack([normal[..., 1, 1], -normal[..., 0, 1]], axis=-1) / safe[..., None]
    level = jnp.stack([-normal[..., 0, 1], normal[..., 0, 0]], axis=-1) / safe[..., None] - mean[..., None] * slope
    rows = (jnp.einsum("...k,...ck->...c", row, weighted) for row in (slope, level))
    rm, evpa0 = (jnp.where(determined[..., None], row, 0.0) for row in rows)
    return AngleEstimator(rm, evpa0, determined)


def noise_part(
    lambda_squared: Float[Array, " channel"],
    signal_to_noise: Float[Array, "*pixel channel"],
    membership: Float[Array, "band channel"],
    band_error: float | Float[Array, ""],
    channel_error: float | Float[Array, ""],
) -> RotationBound:
    r"""Return what noise alone contributes to the errors of a fit that weighs its channels for calibration offsets.

    Noise of variance $S = \mathrm{diag}(1/4s^2)$ makes the variances of the rows of `angle_estimator`, $r^T S r$.
    Without offsets this is the Cramer-Rao bound.

    Args:
        lambda_squared: L [m^2].
        signal_to_noise: s, zero where a channel is not used.
        membership: 1 where a channel belongs to a band.
        band_error: of the zero point of a band [rad].
        channel_error: of the zero point of a channel [rad].

    Source: derived in docs/theory/faraday.md.
    """
    s = signal_to_noise
    rows = angle_estimator(lambda_squared, s, membership, band_error, channel_error)
    variance = jnp.where(s > 0, 0.25 / jnp.where(s > 0, s, 1.0) ** 2, 0.0)
    rm, evpa0 = (jnp.sqrt(jnp.sum(row**2 * variance, axis=-1)) for row in (rows.rm, rows.evpa0))
    return RotationBound(jnp.where(rows.determined, rm, jnp.inf), jnp.where(rows.determined, evpa0, jnp.inf))
