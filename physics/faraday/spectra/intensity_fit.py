"""The fit of one Stokes I spectrum by polynomials of every order."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

MAX_ORDER = 5
STEPS = 40
"""Damped Gauss-Newton steps: convex within the data's reach, they end at rounding after about ten."""

DAMPING = 10.0
LARGEST_EXPONENT = 30.0
"""Decades that a model may span, so that a step too far stays finite."""


def model_value(
    linear: bool, ratio: Float[Array, " channel"], coefficients: Float[Array, " 6"]
) -> Float[Array, " channel"]:
    r"""Return $I_0 10^{\sum c_k y^k}$ with $y = \log_{10} x$, or $I_0 + \sum c_k y^k$ with $y = x - 1$.

    Args:
        linear: which of them.
        ratio: x, frequency over the reference frequency.
        coefficients: $I_0$ and $c_1$ to $c_5$.
    """
    y = ratio - 1.0 if linear else jnp.log10(ratio)
    powers = y[:, None] ** jnp.arange(1, MAX_ORDER + 1)[None, :].astype(y.dtype)
    series = powers @ coefficients[1:]
    if linear:
        return coefficients[0] + series
    return coefficients[0] * 10.0 ** jnp.clip(series, -LARGEST_EXPONENT, LARGEST_EXPONENT)


def best_order(
    linear: bool,
    order: int,
    ratio: Float[Array, " channel"],
    minimum: Float[Array, ""],
    values: Float[Array, " channel"],
    weights: Float[Array, " channel"],
) -> dict[str, Any]:
    """Return the fields of an `IntensityModel` for one spectrum.

    Args:
        linear: which model.
        order: of the polynomial, or -1 for that of the lowest AIC.
        ratio: frequency over the reference frequency.
        minimum: signal-to-noise ratio of a valid model.
        values: Stokes I.
        weights: inverse variances, zero where a channel is not used.
    """
    orders = jnp.arange(MAX_ORDER + 1, dtype=jnp.int32) if order < 0 else jnp.full(1, order, jnp.int32)
    coefficients, covariance, chi2 = jax.vmap(lambda n: _fit(linear, n, ratio, values, weights))(orders)
    number = jnp.sum(weights > 0, dtype=jnp.int32)
    # A given order may use up the channels; for the criterion to mean something, one has to be left over.
    possible = number > orders + (1 if order < 0 else 0)
    score = jnp.where(possible, chi2 + 2.0 * (orders + 1).astype(values.dtype), jnp.inf)
    best = jnp.argmin(score)
    aic = jnp.full(MAX_ORDER + 1, jnp.inf, values.dtype).at[orders].set(score)
    c = coefficients[best]
    model = model_value(linear, ratio, c)
    variance = covariance[best, 0, 0]
    ratio_of_noise = c[0] / jnp.sqrt(jnp.where(variance > 0, variance, jnp.inf))
    positive = jnp.all((model > 0) | (weights == 0))
    fits = jnp.isfinite(score[best]) & jnp.all(jnp.isfinite(c))
    return {
        "coefficients": jnp.where(fits, c, 0.0),
        "covariance": jnp.where(fits, covariance[best], 0.0),
        "order": orders[best],
        "chi2": chi2[best],
        "dof": jnp.maximum(number - orders[best] - 1, 0),
        "aic": aic,
        "signal_to_noise": jnp.where(fits, ratio_of_noise, 0.0),
        "valid": fits & positive & (ratio_of_noise >= minimum),
    }


def _fit(
    linear: bool, order: Int[Array, ""], ratio: Array, values: Array, weights: Array
) -> tuple[Array, Array, Array]:
    """Return coefficients, covariance and chi2 of one order by damped Gauss-Newton steps (Levenberg, Marquardt).

    The amplitude is a linear parameter, which may become negative: no logarithm of noisy data is taken.
    """
    active = jnp.arange(MAX_ORDER + 1, dtype=jnp.int32) <= order
    total = jnp.sum(weights)
    mean = jnp.sum(weights * values) / jnp.where(total > 0, total, 1.0)
    start = jnp.zeros(MAX_ORDER + 1, values.dtype).at[0].set(mean)

    def misfit(c: Array) -> Array:
        return jnp.sum(weights * jnp.square(values - model_value(linear, ratio, c)))

    def normal(c: Array) -> tuple[Array, Array, Array]:
        slopes = jax.jacfwd(lambda x: model_value(linear, ratio, x))(c) * active[None, :].astype(c.dtype)
        matrix = (slopes * weights[:, None]).T @ slopes
        # Scaled to a unit diagonal; what is not active becomes the identity.
        scale = jnp.sqrt(jnp.diagonal(matrix))
        scale = jnp.where(active & (scale > 0), scale, 1.0)
        scaled = matrix / (scale[:, None] * scale[None, :])
        scaled = jnp.where(jnp.diag(~active | (jnp.diagonal(scaled) == 0)), jnp.eye(len(c), dtype=c.dtype), scaled)
        return scaled, scale, (slopes * weights[:, None]).T @ (values - model_value(linear, ratio, c))

    def step(_: Int[Array, ""] | int, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        c, height, damping = state
        matrix, scale, gradient = normal(c)
        trial = c + jnp.linalg.solve(matrix + damping * jnp.eye(len(c), dtype=c.dtype), gradient / scale) / scale
        lower = misfit(trial)
        better = lower <= height
        damping = jnp.clip(jnp.where(better, damping / DAMPING, damping * DAMPING), 1e-10, 1e10)
        return jnp.where(better, trial, c), jnp.where(better, lower, height), damping

    damping = jnp.asarray(1e-10 if linear else 1e-3, values.dtype)
    c, height, _ = jax.lax.fori_loop(0, 3 if linear else STEPS, step, (start, misfit(start), damping))
    matrix, scale, _ = normal(c)
    inverse = jnp.linalg.inv(matrix) / (scale[:, None] * scale[None, :])
    return c, jnp.where(active[:, None] & active[None, :], inverse, 0.0), height
