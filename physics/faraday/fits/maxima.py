"""The maxima of a posterior of the rotation measure: found on a grid, polished, and weighed against each other."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from physics.faraday.fits.likelihood import Likelihood

POLISHING_STEPS = 5
"""Safeguarded Newton steps; from a twentieth of the lobe width three and the joint step reach rounding."""


class Prior(eqx.Module):
    """A normal prior of the rotation measure; precision zero is flat."""

    mean: Float[Array, ""]
    """[rad/m^2]."""
    precision: Float[Array, ""]
    """Inverse variance."""

    def log_density(self, rm: Float[Array, "*k"]) -> Float[Array, "*k"]:
        """Return the log density up to a constant."""
        return -0.5 * self.precision * jnp.square(rm - self.mean)


class Maximum(eqx.Module):
    """A polished maximum of the posterior with its Laplace approximation."""

    rm: Float[Array, ""]
    nuisance: Float[Array, " m"]
    rm_variance: Float[Array, ""]
    """Infinite where the curvature does not define one."""
    log_mass: Float[Array, ""]
    """Log of height times volume, with the prior; up to a common constant."""
    log_mass_flat: Float[Array, ""]
    """The same without the prior."""


def local_maxima(
    height: Float[Array, " k"], count: int
) -> tuple[Int[Array, " count"], Bool[Array, " count"], Bool[Array, ""]]:
    """Return the places of the highest local maxima, descending, which of them exist, and whether they are the highest.

    The ends of the grid are not maxima. If there is no other, the first place is the point next to the higher end.
    The last result is false if there is no other, or an end is higher: the maximum lies beyond the grid.
    """
    inner = height[1:-1]
    peak = (inner > height[:-2]) & (inner >= height[2:])
    # Ranked in float32, which is an order of magnitude faster on CPU: only the membership of the list depends on it.
    ranked = jnp.where(peak, inner - jnp.max(inner), -jnp.inf).astype(jnp.float32)
    score, place = jax.lax.top_k(ranked, count)
    found = score > -jnp.inf
    end = jnp.where(inner[0] >= inner[-1], 0, len(inner) - 1).astype(place.dtype)
    first = jnp.arange(count) == 0
    inside = found[0] & (jnp.maximum(height[0], height[-1]) <= jnp.max(inner))
    return jnp.where(first & ~found, end, place) + 1, found | first, inside


def polish(
    likelihood: Likelihood, prior: Prior, lower: Float[Array, ""], rm: Float[Array, ""], upper: Float[Array, ""]
) -> Maximum:
    """Return the maximum of the posterior between two rotation measures, starting from one between them.

    Newton's method on the slope, replaced by bisection where it would leave the bracket, alternates with steps of
    the nuisance; a joint Newton step, kept within the bracket, ends it and carries the derivatives of the result with
    respect to the data.
    """

    def posterior(r: Float[Array, ""], nuisance: Float[Array, " m"]) -> Float[Array, ""]:
        return likelihood.value(r, nuisance) + prior.log_density(r)

    def step(_: Int[Array, ""] | int, state: tuple[Array, ...]) -> tuple[Array, ...]:
        low, r, high, nuisance = state
        nuisance = likelihood.improved(r, nuisance)
        slope, curvature = _two_derivatives(lambda x: posterior(x, nuisance), r)
        low, high = jnp.where(slope > 0, r, low), jnp.where(slope > 0, high, r)
        newton = r - slope / jnp.where(curvature < 0, curvature, -1.0)
        inside = (curvature < 0) & (newton >= low) & (newton <= high)
        return low, jnp.where(inside, newton, 0.5 * (low + high)), high, nuisance

    start = (lower, rm, upper, likelihood.start(rm))
    _, rm, _, nuisance = jax.tree.map(jax.lax.stop_gradient, jax.lax.fori_loop(0, POLISHING_STEPS, step, start))
    maximum = _joint_step(likelihood, prior, rm, nuisance)
    return eqx.tree_at(lambda m: m.rm, maximum, jnp.clip(maximum.rm, lower, upper))


def _joint_step(likelihood: Likelihood, prior: Prior, rm: Float[Array, ""], nuisance: Float[Array, " m"]) -> Maximum:
    point = jnp.concatenate([rm[None], nuisance])

    def log_likelihood(x: Float[Array, " m1"]) -> Float[Array, ""]:
        return likelihood.value(x[0], x[1:])

    def gradient_twice(x: Float[Array, " m1"]) -> tuple[Float[Array, " m1"], Float[Array, " m1"]]:
        slopes = jax.grad(log_likelihood)(x)
        return slopes, slopes

    height = log_likelihood(point)
    curvature, gradient = jax.jacfwd(gradient_twice, has_aux=True)(point)
    information = -curvature
    with_prior = information.at[0, 0].add(prior.precision)
    covariance, log_volume = _inverse(with_prior)
    _, log_volume_flat = _inverse(information)
    pull = prior.precision * (rm - prior.mean)
    gradient = gradient.at[0].add(-pull)
    fixed = jax.lax.stop_gradient(jnp.where(jnp.isfinite(covariance), covariance, 0.0))
    point = point + fixed @ gradient
    # At the posterior's maximum the likelihood alone still rises by half the squared pull times its own variance.
    shift = 0.5 * jnp.square(pull) / jnp.where(information[0, 0] > 0, information[0, 0], jnp.inf)
    return Maximum(
        rm=point[0],
        nuisance=point[1:],
        rm_variance=covariance[0, 0],
        log_mass=height + prior.log_density(rm) + log_volume,
        log_mass_flat=height + shift + log_volume_flat,
    )


def _two_derivatives(
    function: Callable[[Array], Array], x: Float[Array, ""]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    one = jnp.ones_like(x)

    def slope(y: Float[Array, ""]) -> Float[Array, ""]:
        return jax.jvp(function, (y,), (one,))[1]

    return jax.jvp(slope, (x,), (one,))


def _inverse(information: Float[Array, "m1 m1"]) -> tuple[Float[Array, "m1 m1"], Float[Array, ""]]:
    # Inverse and half the log determinant of it, for one or two parameters; infinite and zero if not positive definite.
    first = information[0, 0]
    if len(information) == 1:
        determinant, adjugate = first, jnp.ones_like(information)
    else:
        determinant = first * information[1, 1] - information[0, 1] * information[1, 0]
        adjugate = jnp.array([[information[1, 1], -information[0, 1]], [-information[1, 0], first]])
    good = (first > 0) & (determinant > 0)
    safe = jnp.where(good, determinant, 1.0)
    undefined = jnp.where(jnp.eye(len(information), dtype=bool), jnp.inf, 0.0).astype(information.dtype)
    return jnp.where(good, adjugate / safe, undefined), jnp.where(good, -0.5 * jnp.log(safe), 0.0)
