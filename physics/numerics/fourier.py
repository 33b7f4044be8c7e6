"""Fourier sums at irregular points, evaluated directly."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Num


def phase_factors(points: Float[Array, " n"], frequencies: Float[Array, " k"], sign: int = -1) -> Complex[Array, "n k"]:
    r"""Return $e^{\pm i k_j x_n}$ for every point and every angular frequency.

    Args:
        points: x.
        frequencies: angular frequencies k, in the inverse unit of `points`.
        sign: of the exponent, +1 or -1.
    """
    phase = sign * points[:, None] * frequencies[None, :]
    return jax.lax.complex(jnp.cos(phase), jnp.sin(phase))


def fourier_sum(
    values: Num[Array, "*batch n"],
    points: Float[Array, " n"],
    frequencies: Float[Array, " k"],
    sign: int = -1,
) -> Complex[Array, "*batch k"]:
    r"""Return $F(k) = \sum_n v_n e^{\pm i k x_n}$.

    One matrix product of full precision: below some hundreds of points per thousand frequencies this is faster than
    a non-uniform fast transform, and exact. The phase must keep its digits: `points` and `frequencies` with a product
    above about 1e3 need float64.

    Args:
        values: v, real or complex, zero where a point is not used.
        points: x.
        frequencies: angular frequencies k.
        sign: of the exponent, +1 or -1.
    """
    factors = phase_factors(points, frequencies, sign)
    return jnp.matmul(values.astype(factors.dtype), factors, precision=jax.lax.Precision.HIGHEST)
