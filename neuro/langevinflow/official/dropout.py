"""Dropout by random bits, which need no floating-point bounds and so no precision but that of the array."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from physics.types import PRNGKey


def bernoulli(key: PRNGKey, shape: tuple[int, ...], probability: float) -> Bool[Array, "*shape"]:
    """Return independent truth values that are True with `probability`, to one part in 2**32."""
    if probability >= 1.0:
        return jnp.full(shape, True)
    return jax.random.bits(key, shape, jnp.uint32) < np.uint32(round(probability * 2**32))


def multiplier(key: PRNGKey, shape: tuple[int, ...], rate: float, dtype: np.dtype) -> Float[Array, "*shape"]:
    """Return 0 with probability `rate`, to one part in 2**16, else 1/(1 - rate).

    A training step draws millions of these: each takes half of a random word.
    """
    number = math.prod(shape)
    words = jax.random.bits(key, ((number + 1) // 2,), jnp.uint32)
    halves = jax.lax.bitcast_convert_type(words, jnp.uint16).ravel()[:number].reshape(shape)
    kept = halves < np.uint16(min(round((1.0 - rate) * 2**16), 2**16 - 1))
    return jnp.where(kept, jnp.asarray(1.0 / (1.0 - rate), dtype), jnp.zeros((), dtype))


def dropped(x: Float[Array, "*shape"], key: PRNGKey | None, rate: float) -> Float[Array, "*shape"]:
    """Return `x` with elements dropped at random and the others divided by 1 - rate; as it is without a key."""
    if key is None or rate == 0.0:
        return x
    return x * multiplier(key, x.shape, rate, x.dtype)
