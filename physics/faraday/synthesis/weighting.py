"""Weights of the channels in a Faraday synthesis, and what follows from them: lambda_0^2, noise, width of the RMSF."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from physics import units
from physics.faraday.depth import channel_widths
from physics.types import HostArray

WEIGHTS = ("variance", "uniform", "lambda_squared", "briggs")

MARCH = 0.1
"""Step of the search for the half maximum, in units of the inverse span of L: |R| changes by at most 0.2 per step."""

MARCHES = 10_000
BISECTIONS = 40


def channel_weights(
    kind: str, lambda_squared: HostArray, variance: Float[Array, "*batch channel"], robust: float
) -> Float[Array, "*batch channel"]:
    r"""Return weights of the channels, not normalised.

    With the width $\delta L$ of a channel and its inverse variance w: "variance" is w; "uniform" is 1; "lambda_squared"
    is $\delta L$, the same for each interval of L; "briggs" is in between,

    $$ w \Big/ \Big(1 + f^2 \frac{w}{\delta L}\Big), \quad
       f^2 = (5 \cdot 10^{-R})^2 \frac{\sum w}{\sum w^2/\delta L}, $$

    which tends to "lambda_squared" for a robustness R below -2 and to "variance" above 2.

    Args:
        kind: one of `WEIGHTS`.
        lambda_squared: of the channels [m^2].
        variance: of one real Stokes parameter, infinite where a channel is not used.
        robust: R.

    Raises:
        ValueError: wavelengths repeat, where their distances are the weights.
    """
    used = jnp.isfinite(variance)
    natural = jnp.where(used, 1.0 / jnp.where(used, variance, 1.0), 0.0)
    if kind == "variance":
        return natural
    if kind == "uniform":
        return used.astype(variance.dtype)
    width = channel_widths(lambda_squared)
    if not width.min() > 0:
        raise ValueError(f"weights: {kind!r} needs different wavelengths, got {lambda_squared} m^2 with repetitions")
    extent = jnp.broadcast_to(jnp.asarray(width, variance.dtype), variance.shape)
    if kind == "lambda_squared":
        return jnp.where(used, extent, 0.0)
    density = natural / extent
    total = jnp.sum(natural, axis=-1, keepdims=True)
    norm = jnp.sum(natural * density, axis=-1, keepdims=True)
    factor = (5.0 * 10.0 ** (-robust)) ** 2 * total / jnp.where(norm > 0, norm, 1.0)
    return natural / (1.0 + factor * density)


def normalised(weights: Float[Array, "*batch channel"]) -> Float[Array, "*batch channel"]:
    """Return weights whose sum is one, or zero where all of them are."""
    total = jnp.sum(weights, axis=-1, keepdims=True)
    return weights / jnp.where(total > 0, total, 1.0)


def spectrum_noise(
    weights: Float[Array, "*batch channel"], variance: Float[Array, "*batch channel"]
) -> Float[Array, "*batch"]:
    r"""Return $\sigma_F = \sqrt{\sum w^2\sigma^2}$ of the real or imaginary part; infinite where no channel is used.

    Args:
        weights: of sum one.
        variance: of one real Stokes parameter, anything where the weight is zero.
    """
    used = weights > 0
    total = jnp.sum(jnp.where(used, weights * weights * jnp.where(used, variance, 0.0), 0.0), axis=-1)
    return jnp.where(jnp.any(used, axis=-1), jnp.sqrt(total), jnp.inf)


def rmsf_width(offsets: Float[Array, " channel"], weights: Float[Array, " channel"]) -> Float[Array, ""]:
    r"""Return the full width at half maximum of |R|, measured on the RMSF itself [rad/m^2].

    $|R(\phi)| \geq 1 - 2\phi^2 s^2$ with the variance $s^2$ of L, so the search for the first crossing of one half
    starts at $1/2s$. It is infinite where fewer than two different wavelengths are used.

    Args:
        offsets: L relative to any point [m^2].
        weights: of sum one.

    Source: derived in docs/theory/faraday.md.
    """
    used = weights > 0
    x = offsets - jnp.sum(weights * offsets)
    spread = jnp.sqrt(jnp.sum(weights * x * x))
    span = jnp.max(jnp.where(used, x, -jnp.inf)) - jnp.min(jnp.where(used, x, jnp.inf))
    known = (span > 0) & (spread > 0)
    step = MARCH / jnp.where(known, span, 1.0)

    def above(depth: Float[Array, ""]) -> Any:
        angle = 2.0 * depth * x
        real, imaginary = jnp.sum(weights * jnp.cos(angle)), jnp.sum(weights * jnp.sin(angle))
        return real * real + imaginary * imaginary > 0.25

    def march(state: tuple[Array, Array]) -> tuple[Array, Array]:
        return state[0] + step, state[1] + 1

    def halve(_: Int[Array, ""] | int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        middle = 0.5 * (ends[0] + ends[1])
        high = above(middle)
        return jnp.where(high, middle, ends[0]), jnp.where(high, ends[1], middle)

    start = (0.5 / jnp.where(known, spread, 1.0), jnp.zeros((), jnp.int32))
    first, _ = jax.lax.while_loop(lambda s: above(s[0]) & known & (s[1] < MARCHES), march, start)
    low, high = jax.lax.fori_loop(0, BISECTIONS, halve, (jnp.maximum(first - step, 0.0), first))
    return jnp.where(known & ~above(high), low + high, jnp.inf)


def robustness(x: Any) -> float:
    """Return the Briggs robustness as a float; `ValueError` unless it lies between -5 and 5."""
    value = units.number(x, "", "robust")
    if not -5.0 <= value <= 5.0:
        raise ValueError(f"robust: expected a number between -5 and 5, got {x!r}")
    return value
