r"""Langevin motion in a quadratic potential: each step is an affine map of (z, v) with normal noise, mode by mode.

The step can be exact, by a matrix exponential, or that of a splitting scheme; and the whole path follows in one
associative scan of such maps, whose depth grows as the logarithm of its length. Arrays have any shape of modes in
front of the two coordinates position and velocity. Derived in docs/theory/langevin.md.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import expm
from jaxtyping import Array, Float

from physics.numerics.langevin import Bath, LangevinState, baoab_step, obabo_step
from physics.numerics.special import safe_sqrt

HIGHEST = jax.lax.Precision.HIGHEST


class AffineStep(NamedTuple):
    """A step (z, v) -> M (z, v) + N xi with standard normal xi."""

    matrix: Float[Array, "*mode 2 2"]
    root: Float[Array, "*mode 2 draw"]

    @property
    def covariance(self) -> Float[Array, "*mode 2 2"]:
        """Covariance N N^T of the noise."""
        return jnp.einsum("...id,...jd->...ij", self.root, self.root, precision=HIGHEST)


def exact_step(stiffness: Float[Array, "*mode"], bath: Bath) -> AffineStep:
    r"""Return the exact step of $U = k z^2/2$, with two draws.

    With the drift $F = \begin{pmatrix} 0 & 1 \\ -k/m & -\gamma \end{pmatrix}$ and the noise
    $Q = \mathrm{diag}(0, 2\gamma k_BT/m)$, $\exp\left[h \begin{pmatrix} -F & Q \\ 0 & F^T \end{pmatrix}\right]$ has
    the blocks $\cdot, G$ and $0, M^T$ with the matrix $M = e^{Fh}$ and the covariance $M G$ of the step.

    Args:
        stiffness: k of every mode.
        bath: step, friction, mass and temperature, each of which broadcasts with the stiffness.

    Source: van Loan (1978), IEEE Trans. Autom. Control 23, 395.
    """
    shape, dtype = stiffness.shape, stiffness.dtype
    friction, mass, temperature = (
        jnp.broadcast_to(jnp.asarray(x, dtype), shape) for x in (bath.friction, bath.mass, bath.temperature)
    )
    zero, one = jnp.zeros(shape, dtype), jnp.ones(shape, dtype)
    drift = _matrix([[zero, one], [-stiffness / mass, -friction]])
    noise = _matrix([[zero, zero], [zero, 2.0 * friction * temperature / mass]])
    upper = jnp.concatenate([-drift, noise], axis=-1)
    lower = jnp.concatenate([jnp.zeros_like(drift), jnp.swapaxes(drift, -1, -2)], axis=-1)
    flow = expm(jnp.concatenate([upper, lower], axis=-2) * bath.step)
    matrix = jnp.swapaxes(flow[..., 2:, 2:], -1, -2)
    covariance = jnp.matmul(matrix, flow[..., :2, 2:], precision=HIGHEST)
    return AffineStep(matrix, _lower_root(covariance))


def splitting_step(scheme: str, stiffness: Float[Array, "*mode"], bath: Bath) -> AffineStep:
    """Return the step that "baoab" (one draw) or "obabo" (two) takes in U = k z^2 / 2."""
    zero, one = jnp.zeros_like(stiffness), jnp.ones_like(stiffness)

    def column(position: Array, velocity: Array, *draws: Array) -> Array:
        state = LangevinState(position, velocity, -stiffness * position)
        if scheme == "baoab":
            after = baoab_step(state, draws[0], lambda z: -stiffness * z, bath)
        else:
            after = obabo_step(state, jnp.stack(draws), lambda z: -stiffness * z, bath)
        return jnp.stack([after.position, after.velocity], axis=-1)

    # The step is linear: its columns are the images of unit vectors.
    draws = 1 if scheme == "baoab" else 2
    quiet = [zero] * draws
    matrix = [column(one, zero, *quiet), column(zero, one, *quiet)]
    root = [column(zero, zero, *(one if i == d else zero for i in range(draws))) for d in range(draws)]
    return AffineStep(jnp.stack(matrix, axis=-1), jnp.stack(root, axis=-1))


def affine_path(
    step: AffineStep,
    start: Float[Array, "*mode 2"],
    noise: Float[Array, "time *mode draw"],
    *,
    parallel: bool = True,
) -> Float[Array, "time *mode 2"]:
    """Return the path after each step, by an associative scan over time or, if not `parallel`, one step after another.

    Args:
        step: of every mode.
        start: position and velocity before the first step.
        noise: standard normal draws.
        parallel: both give the same path, up to rounding.
    """
    pushes = jnp.einsum("...id,t...d->t...i", step.root, noise, precision=HIGHEST)
    if not parallel:

        def one(state: Array, push: Array) -> tuple[Array, Array]:
            after = jnp.einsum("...ij,...j->...i", step.matrix, state, precision=HIGHEST) + push
            return after, after

        return jax.lax.scan(one, start, pushes)[1]
    if noise.shape[0] == 0:
        return pushes
    first = jnp.einsum("...ij,...j->...i", step.matrix, start, precision=HIGHEST)
    pushes = pushes.at[0].add(first)
    matrices = jnp.broadcast_to(step.matrix[None], (noise.shape[0], *step.matrix.shape))
    return jax.lax.associative_scan(_after, (matrices, pushes))[1]


def _after(early: tuple[Array, Array], late: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return the affine map that is `early` followed by `late`."""
    matrix = jnp.matmul(late[0], early[0], precision=HIGHEST)
    return matrix, jnp.einsum("...ij,...j->...i", late[0], early[1], precision=HIGHEST) + late[1]


def _matrix(rows: list[list[Array]]) -> Array:
    return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)


def _lower_root(covariance: Float[Array, "*mode 2 2"]) -> Float[Array, "*mode 2 2"]:
    """Return the lower triangular root of a covariance that may be singular."""
    first = safe_sqrt(covariance[..., 0, 0])
    below = jnp.where(first > 0.0, covariance[..., 1, 0] / jnp.where(first > 0.0, first, 1.0), 0.0)
    last = safe_sqrt(covariance[..., 1, 1] - jnp.square(below))
    return _matrix([[first, jnp.zeros_like(first)], [below, last]])
