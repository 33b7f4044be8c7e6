r"""Complex amplitudes integrated out of the likelihood of Q and U, and drawn again: one spectrum, in closed form.

The model is $d = \sum_j a_j g_j(L)$ + noise with the profiles $g_j$ known and a normal prior of standard deviation
$s_j$ for both parts of each $a_j$. In real numbers, with the columns $X$ of the profiles in units of their priors and
the weights $W$ of the data $y = (Q, U)$,

$$ M = 1 + X^T W X,\quad b = X^T W y,\quad \ln m = \tfrac12 b^T M^{-1} b - \tfrac12\ln\det M + \text{const}, $$

and the amplitudes given the rest are normal with mean $M^{-1}b$ and covariance $M^{-1}$, in those units.

Source: derived in docs/theory/faraday.md.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float

from physics.faraday.fits.likelihood import PixelData

LOG_TWO_PI = math.log(2.0 * math.pi)

Matrix = list[list[Array]]
"""Lower triangle by rows, one array for each element: a few unknowns, which the compiler fuses with the sums."""


def log_marginal(profiles: Complex[Array, "j n"], scale: Float[Array, " j"], data: PixelData) -> Float[Array, ""]:
    """Return ln m without its constant, `log_constant`.

    Args:
        profiles: g_j, each per unit amplitude.
        scale: s_j.
        data: the spectrum.
    """
    matrix, vector = _normal_equations(profiles, scale, data)
    lower = _cholesky(matrix)
    solved = _forward(lower, vector)
    return sum((0.5 * y * y - jnp.log(row[-1]) for y, row in zip(solved, lower, strict=True)), jnp.zeros_like(scale[0]))


def log_constant(data: PixelData) -> Float[Array, ""]:
    r"""Return $-\tfrac12\sum[w_Q Q^2 + w_U U^2 + \ln(2\pi\sigma_Q^2) + \ln(2\pi\sigma_U^2)]$ over used channels."""
    terms = [_constant(data.q, data.weight_q), _constant(data.u, data.weight_u)]
    return -0.5 * (terms[0] + terms[1])


def _constant(x: Float[Array, " n"], weight: Float[Array, " n"]) -> Float[Array, ""]:
    log_variance = jnp.where(weight > 0, LOG_TWO_PI - jnp.log(jnp.where(weight > 0, weight, 1.0)), 0.0)
    return jnp.sum(weight * x * x + log_variance)


def draw_amplitudes(
    normal: Float[Array, " m"], profiles: Complex[Array, "j n"], scale: Float[Array, " j"], data: PixelData
) -> Complex[Array, " j"]:
    """Return amplitudes drawn from their distribution given the profiles.

    Args:
        normal: 2j standard normal numbers; zeros give the mean.
        profiles: g_j, each per unit amplitude.
        scale: s_j.
        data: the spectrum.
    """
    matrix, vector = _normal_equations(profiles, scale, data)
    lower = _cholesky(matrix)
    shifted = [y + normal[i] for i, y in enumerate(_forward(lower, vector))]
    solved = _backward(lower, shifted)
    parts = jnp.stack(solved).reshape(len(scale), 2) * scale[:, None]
    return jax.lax.complex(parts[:, 0], parts[:, 1])


def _normal_equations(
    profiles: Complex[Array, "j n"], scale: Float[Array, " j"], data: PixelData
) -> tuple[Matrix, list[Array]]:
    columns = []
    for j in range(len(scale)):
        g, shape = profiles[j], data.shape * scale[j]
        real, imag = g.real * shape, g.imag * shape
        columns += [(real, imag), (-imag, real)]
    vector = [jnp.sum(data.weight_q * x * data.q + data.weight_u * y * data.u) for x, y in columns]
    matrix = [
        [
            jnp.sum(data.weight_q * columns[i][0] * columns[k][0] + data.weight_u * columns[i][1] * columns[k][1])
            + (1.0 if i == k else 0.0)
            for k in range(i + 1)
        ]
        for i in range(len(columns))
    ]
    return matrix, vector


def _cholesky(matrix: Matrix) -> Matrix:
    lower: Matrix = []
    for i, row in enumerate(matrix):
        new: list[Array] = []
        for k in range(i):
            rest = row[k] - sum((new[m] * lower[k][m] for m in range(k)), jnp.zeros_like(row[k]))
            new.append(rest / lower[k][k])
        # At least one in exact arithmetic.
        rest = row[i] - sum((x * x for x in new), jnp.zeros_like(row[i]))
        lower.append([*new, jnp.sqrt(jnp.maximum(rest, 1e-6))])
    return lower


def _forward(lower: Matrix, vector: list[Array]) -> list[Array]:
    solved: list[Array] = []
    for row, value in zip(lower, vector, strict=True):
        rest = value - sum((x * y for x, y in zip(row[:-1], solved, strict=True)), jnp.zeros_like(value))
        solved.append(rest / row[-1])
    return solved


def _backward(lower: Matrix, vector: list[Array]) -> list[Array]:
    size = len(lower)
    solved: list[Array] = [jnp.zeros_like(vector[0])] * size
    for i in reversed(range(size)):
        rest = vector[i] - sum((lower[k][i] * solved[k] for k in range(i + 1, size)), jnp.zeros_like(vector[i]))
        solved[i] = rest / lower[i][i]
    return solved
