r"""The released potential: a quadratic form of four channels of sites, with a normalised convolution kernel.

$$U(z) = \sum_{i, j} \sum_x (\hat K z)_i(x)\, z_j(x), \qquad
  (\hat K z)_i(x) = \sum_j \sum_{d=0}^{2} \hat K_{ij}(d)\, z_j(x + d - 1), \qquad
  \hat K_{ij} = K_{ij} / \max(|K_{ij}|_2, 10^{-12})$$

It is indefinite and of rank 2L of 4L, so it confines nothing; steps of 0.01 make that harmless.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from physics.numerics.special import safe_sqrt

LEAST_NORM = 1e-12
TAPS = (-1, 0, 1)


def normalized(kernel: Float[Array, "into of tap"]) -> Float[Array, "into of tap"]:
    """Return the kernel with every three-tap filter of length 1; zeros stay, with a slope of 1e12."""
    norm = safe_sqrt(jnp.sum(jnp.square(kernel), axis=2, keepdims=True))
    return kernel / jnp.maximum(norm, LEAST_NORM)


def potential_energy(
    kernel: Float[Array, "into of tap"],
    position: Float[Array, "channel site"],
    *,
    pairs: str = "all",
    chain: str = "open",
) -> Float[Array, ""]:
    """Return U.

    Args:
        kernel: normalised.
        position: z.
        pairs: "all", or "same" for the terms i = j only.
        chain: "open" or "ring".
    """
    convolved = _convolved(kernel, position, chain)
    if pairs == "same":
        return jnp.sum(convolved * position)
    return jnp.sum(jnp.sum(convolved, axis=0) * jnp.sum(position, axis=0))


def potential_slope(
    kernel: Float[Array, "into of tap"],
    position: Float[Array, "channel site"],
    *,
    pairs: str = "all",
    chain: str = "open",
) -> Float[Array, "channel site"]:
    r"""Return dU/dz; arguments as in `potential_energy`.

    For all pairs $dU/dz_j(x) = P(x) + \sum_d k_j(d)\, S(x + 1 - d)$, with $k_j = \sum_i \hat K_{ij}$,
    $S(x) = \sum_j z_j(x)$ and $P(x) = \sum_{j, d} k_j(d)\, z_j(x + d - 1)$.
    """
    if pairs == "same":
        return _convolved(kernel, position, chain) + _convolved(jnp.swapaxes(kernel, 0, 1)[:, :, ::-1], position, chain)
    filters, total = jnp.sum(kernel, axis=0), jnp.sum(position, axis=0)
    forward = sum(jnp.sum(filters[:, d, None] * _shifted(position, s, chain), axis=0) for d, s in enumerate(TAPS))
    back = sum(filters[:, d, None] * _shifted(total, -s, chain)[None, :] for d, s in enumerate(TAPS))
    return jnp.asarray(forward)[None, :] + back


def _convolved(kernel: Array, position: Array, chain: str) -> Array:
    """Return the cross-correlation of every output channel."""
    return sum(
        (jnp.sum(kernel[:, :, d, None] * _shifted(position, s, chain)[None], axis=1) for d, s in enumerate(TAPS)),
        start=jnp.zeros_like(position),
    )


def _shifted(x: Array, by: int, chain: str) -> Array:
    """Return x(site + by), zero beyond the ends of an open chain."""
    if by == 0:
        return x
    if chain == "ring":
        return jnp.roll(x, -by, axis=-1)
    edge = jnp.zeros_like(x[..., :1])
    parts = [x[..., 1:], edge] if by > 0 else [edge, x[..., :-1]]
    return jnp.concatenate(parts, axis=-1)
