"""Where the latent paths go in the potential: principal directions, the energy along them, and the resting point."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from neuro.langevinflow.model import LangevinFlow, physical
from physics.numerics import checks
from physics.types import Real
from physics.units import array, number


class PrincipalPaths(NamedTuple):
    """Latent paths in the directions in which they vary most, over trials and bins."""

    mean: Float[Array, " latent"]
    directions: Float[Array, "component latent"]
    """Orthonormal; each has its largest element positive."""
    paths: Float[Array, "trial time component"]
    """Distance from the mean along each direction, in units of the latents."""
    explained: Float[Array, " component"]
    """Share of the variance along each direction."""


class Landscape(NamedTuple):
    """Energy of the potential about the mean of some paths, along their first two principal directions."""

    distance: Float[Array, " point"]
    """From the mean, in units of `Prediction.position`."""
    along: Float[Array, "2 point"]
    """U [k_B T] along either direction."""
    plane: Float[Array, "point point"]
    """U [k_B T] in the plane of both; the first axis is the first direction."""


class RestingPoint(NamedTuple):
    """The one fixed point of the motion without noise and control."""

    position: Float[Array, "channel site"]
    stiffness: Float[Array, "channel mode"]
    """Eigenvalues of the Hessian of U there [k_B T per squared position], at q = 2 pi n / L: all are positive, so it is
    a minimum."""
    rates: Complex[Array, "channel mode 2"]
    """Rates s of small motions exp(s t) about it [1/s], the slower first: with negative real parts they die out."""


def principal_paths(latents: Real, *, components: int = 3) -> PrincipalPaths:
    """Return latent paths along their principal directions.

    Args:
        latents: (trial, time, latent), such as `Prediction.position.mean`.
        components: how many directions.

    Raises:
        ValueError: another shape, values that are not finite, paths that do not vary, or more components than latents.
    """
    given = checks.finite(array(latents, "", "latents"), "latents")
    if given.ndim != 3:
        raise ValueError(f"latents: expected the shape (trial, time, latent), got {given.shape}")
    checks.positive_integer(components, "components")
    rows = np.asarray(given, float).reshape(-1, given.shape[2])
    if components > min(rows.shape):
        raise ValueError(f"components: expected at most {min(rows.shape)}, got {components}")
    mean = rows.mean(axis=0)
    _, size, directions = np.linalg.svd(rows - mean, full_matrices=False)
    if not size[0] > 0.0:
        raise ValueError("latents: expected paths that vary, got the same state everywhere")
    chosen = directions[:components]
    largest = np.take_along_axis(chosen, np.argmax(np.abs(chosen), axis=1)[:, None], axis=1)
    chosen = chosen * np.sign(largest)
    paths = ((rows - mean) @ chosen.T).reshape(*given.shape[:2], components)
    explained = np.square(size[:components]) / np.sum(np.square(size))
    return PrincipalPaths(*(jnp.asarray(x, given.dtype) for x in (mean, chosen, paths, explained)))


def landscape(model: LangevinFlow, principal: PrincipalPaths, *, extent: Real = None, points: int = 61) -> Landscape:
    """Return the energy of the potential where the paths go, along their first two principal directions.

    Args:
        model: of the physical mode.
        principal: of its positions, with at least two components.
        extent: largest distance from the mean; the largest of the paths along these directions by default.
        points: along each direction.

    Raises:
        TypeError: the model is not of the physical mode.
        ValueError: there are fewer than two components, they are not those of this model, or a number is not positive.
    """
    physical(model)
    checks.positive_integer(points, "points")
    if principal.directions.shape[0] < 2 or principal.directions.shape[1] != model.config.latent_width:
        raise ValueError(
            f"principal: expected at least 2 directions of {model.config.latent_width} latents, "
            f"got the shape {principal.directions.shape}"
        )
    reach = float(jnp.max(jnp.abs(principal.paths[..., :2]))) if extent is None else number(extent, "", "extent")
    checks.positive(np.asarray(reach), "extent")
    distance = jnp.linspace(-reach, reach, points, dtype=principal.mean.dtype)
    along, plane = _energies(model, principal.mean, principal.directions[:2], distance)
    return Landscape(distance, along, plane)


@eqx.filter_jit
def _energies(model: LangevinFlow, mean: Array, directions: Array, distance: Array) -> tuple[Array, Array]:
    def energy(first: Array, second: Array) -> Array:
        return model.potential.energy(model.unscaled(mean + first * directions[0] + second * directions[1]))

    row = jax.vmap(energy, in_axes=(None, 0))
    zero = jnp.zeros((), distance.dtype)
    along = jnp.stack([jax.vmap(energy, in_axes=(0, None))(distance, zero), row(zero, distance)])
    return along, jax.vmap(row, in_axes=(0, None))(distance, distance)


def resting_point(model: LangevinFlow) -> RestingPoint:
    r"""Return the fixed point of the motion without noise and control, which is the origin and the only one.

    U is a sum of convex terms and one of them, $z^2/2$, strictly so: its slope vanishes at one point only, a minimum.
    A directed coupling moves no energy, $z \cdot \alpha [z(x+1) - z(x-1)]$ sums to zero over a ring, and adds none.
    Derived in docs/theory/langevinflow.md.

    Raises:
        TypeError: the model is not of the physical mode.
    """
    potential, sites = physical(model).potential, model.config.sites
    origin = jnp.zeros((model.config.channels, sites), model.config.array_dtype)
    return RestingPoint(origin, potential.stiffness(sites), potential.mode_rates(sites))
