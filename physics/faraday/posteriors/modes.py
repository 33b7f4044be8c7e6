"""Where the posterior of a screen has its modes: found on a grid of rotation measures, polished, and told apart.

Components are placed one after another: each where it explains most of what those before it leave, their amplitudes
fitted along. Every place is tried for every start value of the other parameters, so that no branch is missed.
"""

import itertools
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from physics.faraday.depth import depth_grid, depth_step
from physics.faraday.fits.likelihood import PixelData, scaled, squared_modulus
from physics.faraday.posteriors.priors import Prior, short
from physics.faraday.posteriors.reduced import ReducedScreen, Theta
from physics.numerics.fourier import fourier_sum
from physics.types import HostArray

NEWTON_STEPS = 25
SPREADS = 5
"""Start values of a spread in Faraday depth, besides zero."""
BARRIER = 4.0
"""Two maxima are one mode if ln of the density between them falls by less than this below the lower one."""
LINE = tuple(i / 10.0 for i in range(1, 10))
"""Places between two maxima at which the barrier is looked for."""


class ModeSearch(eqx.Module):
    """Grids of a search, for one screen and one set of channels."""

    depth: Float[Array, " k"]
    """Rotation measures [rad/m^2]."""
    starts: tuple[Float[Array, "e d"], ...]
    """For each component, parameters with all combinations of its start values, and rotation measure zero."""
    typical: Theta
    """Scale of each parameter."""
    lobe: Float[Array, ""]
    """Width of the narrowest RMSF [rad/m^2]."""
    orders: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    """In which components are placed; members of a group of equal ones only once."""
    count: int = eqx.field(static=True)
    """Modes to keep."""


class Modes(eqx.Module):
    """Maxima of the posterior density of one spectrum, the heaviest first."""

    theta: Float[Array, "m d"]
    factor: Float[Array, "m d d"]
    """C with C C^T the covariance of the normal approximation."""
    log_mass: Float[Array, " m"]
    """Log of the mass of the normal approximation."""
    found: Bool[Array, " m"]
    """False for repetitions of an earlier one."""


def mode_search(model: ReducedScreen, lambda_squared: HostArray, max_rm: float, count: int) -> ModeSearch:
    """Return the grids for a screen, as known values.

    Args:
        model: the screen.
        lambda_squared: L [m^2].
        max_rm: largest absolute rotation measure of the grid [rad/m^2].
        count: modes to keep.
    """
    dtype = model.points.dtype
    step = depth_step(lambda_squared)
    medians = [float(prior.quantile(jnp.asarray(0.5, dtype))) for prior in model.priors]
    upper = [float(prior.quantile(jnp.asarray(0.84, dtype))) for prior in model.priors]
    typical = [abs(b - a) for a, b in zip(medians, upper, strict=True)]
    base = np.array(medians)
    for places in model.members:
        typical[places[0]] = 10.0 * step
        base[places[0]] = 0.0
    starts = []
    for places in model.members:
        values = [_start_values(model.priors[i], model.folded[i], model.mirrors, i, lambda_squared) for i in places[1:]]
        rows = []
        for combination in itertools.product(*values):
            row = base.copy()
            row[list(places[1:])] = combination
            rows.append(row)
        starts.append(jnp.asarray(np.array(rows), dtype))
    orders = _orders(len(model.members), model.alike)
    return ModeSearch(
        depth=jnp.asarray(depth_grid(lambda_squared, max_rm), dtype),
        starts=tuple(starts),
        typical=jnp.asarray(typical, dtype),
        lobe=jnp.asarray(10.0 * step, dtype),
        orders=orders,
        count=count,
    )


def _start_values(prior: Prior, folded: bool, mirrors: tuple, place: int, L: HostArray) -> list[float]:
    # From what the longest wavelength barely sees to what the shortest does, and both signs where they differ.
    low, high = (float(prior.quantile(jnp.asarray(p))) for p in (0.001, 0.999))
    values = [x for x in np.geomspace(0.4 / L.max(), 2.0 / L.min(), SPREADS) if low <= x <= high]
    negative = [-x for x in values if low <= -x and not folded and place not in {depth for _, depth in mirrors}]
    middle = [0.0] if low <= 0.0 <= high else [float(prior.quantile(jnp.asarray(p))) for p in (0.1, 0.3, 0.5, 0.7, 0.9)]
    return [*middle, *values, *negative]


def _orders(count: int, alike: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
    first = {j: group[0] for group in alike for j in group}
    distinct = {tuple(first.get(j, j) for j in order): order for order in itertools.permutations(range(count))}
    return tuple(distinct.values())


def find_modes(model: ReducedScreen, search: ModeSearch, data: PixelData) -> Modes:
    """Return the modes of the posterior density of one spectrum.

    Args:
        model: the screen.
        search: its grids.
        data: the spectrum.
    """
    starts = jnp.concatenate([_placed(model, search, data, order) for order in search.orders])
    theta, hessian, height = jax.vmap(lambda start: _polished(model, search, data, start))(starts)
    theta = jax.vmap(model.reduce)(theta)
    factor, log_volume = jax.vmap(lambda h: _normal(h, search.typical))(hessian)
    log_mass = height + log_volume
    order = jnp.argsort(-jnp.where(jnp.isfinite(log_mass), log_mass, -jnp.inf))
    theta, log_mass = theta[order], log_mass[order]
    # Starts that ended at the same place, but for the first of them, make room for others.
    apart = jnp.max(jnp.abs(theta[:, None] - theta[None]) / search.typical[None, None], axis=-1)
    repeated = jnp.any(jnp.tril(apart < 1e-2, -1), axis=1)
    log_mass = jnp.where(jnp.isfinite(log_mass) & ~repeated, log_mass, -jnp.inf)
    again = jnp.argsort(-log_mass)[: search.count]
    theta, log_mass, order = theta[again], log_mass[again], order[again]
    found = _distinct(model, data, theta, height[order]) & jnp.isfinite(log_mass)
    return Modes(theta, factor[order], log_mass, found)


def _placed(model: ReducedScreen, search: ModeSearch, data: PixelData, order: tuple[int, ...]) -> Float[Array, "s d"]:
    # A beam search: the best places of the first component, for each of them those of the second, and so on.
    widths = [search.count, 4, 2][: len(order)] if len(order) == 1 else [4, 4, *(2,) * len(order)][: len(order)]
    beam = search.starts[order[0]][:1]
    for depth, j in enumerate(order):
        before = order[:depth]
        found = jax.vmap(lambda theta, j=j, b=before, w=widths[depth]: _next(model, search, data, theta, b, j, w))(beam)
        beam = found.reshape(-1, beam.shape[-1])
    extra = [beam]
    if len(order) > 1:
        # Two components closer than the RMSF is wide look like one between them.
        a, b = (model.members[j][0] for j in order[:2])
        for part in (0.2, 0.5):
            middle = beam[:1, a]
            split = beam[:1].at[:, a].set(middle - part * search.lobe).at[:, b].set(middle + part * search.lobe)
            extra += [split, split.at[:, a].set(split[:, b]).at[:, b].set(split[:, a])]
    for place, name in enumerate(model.names):
        if short(name) == "depth":
            rm = next(m[0] for m in model.members if place in m)
            extra.append(beam.at[:, rm].add(beam[:, place]).at[:, place].multiply(-1.0))
    return jnp.concatenate(extra)


def _next(
    model: ReducedScreen,
    search: ModeSearch,
    data: PixelData,
    theta: Theta,
    before: tuple[int, ...],
    j: int,
    count: int,
) -> Float[Array, "count d"]:
    """Return parameters with component j placed where it explains most, given those before it."""
    weight = 0.5 * (data.weight_q + data.weight_u)
    own = jnp.asarray(model.members[j])
    rows = jnp.broadcast_to(theta, search.starts[j].shape).at[:, own].set(search.starts[j][:, own])
    rows = rows.at[:, model.members[j][0]].set(0.0)
    candidates = scaled(jax.vmap(model.profiles)(rows)[:, j], (model.scale[j] * data.shape)[None])
    projected = scaled(jnp.conj(candidates), weight[None])
    residual = jax.lax.complex(data.q, data.u)
    left = 1.0 + jnp.sum(weight[None] * squared_modulus(candidates), axis=-1)[:, None]
    if before:
        placed = jnp.asarray(before)
        G = scaled(model.profiles(theta)[placed], model.scale[placed][:, None] * data.shape[None])
        weighted = scaled(jnp.conj(G), weight[None])
        gram = jnp.einsum("an,bn->ab", weighted, G) + jnp.eye(len(before), dtype=G.dtype)
        inverse = jnp.linalg.inv(gram)
        fitted = inverse @ jnp.einsum("an,n->a", weighted, residual)
        overlap = fourier_sum(projected[:, None, :] * G[None], model.points, 2.0 * search.depth)
        residual = residual - jnp.einsum("a,an->n", fitted, G)
        left = left - jnp.einsum("eak,ab,ebk->ek", overlap, inverse, jnp.conj(overlap)).real
    left = jnp.maximum(left, 1.0)
    power = fourier_sum(projected * residual[None], model.points, 2.0 * search.depth)
    own_prior = model.priors[model.members[j][0]].log_density(search.depth)
    density = jax.vmap(model.log_prior)(rows)[:, None] + own_prior[None]
    score = 0.5 * squared_modulus(power) / left - jnp.log(left) + density
    best = jnp.max(score, axis=0)
    inner = best[1:-1]
    peak = (inner > best[:-2]) & (inner >= best[2:])
    ranked = jnp.where(peak, inner - jnp.max(inner), -jnp.inf).astype(jnp.float32)
    _, place = jax.lax.top_k(ranked, count)
    place = place + 1
    return rows[jnp.argmax(score, axis=0)[place]].at[:, model.members[j][0]].set(search.depth[place])


def _polished(
    model: ReducedScreen, search: ModeSearch, data: PixelData, start: Theta
) -> tuple[Theta, Float[Array, "d d"], Float[Array, ""]]:
    """Return a maximum of the density, its second derivatives in typical units there, and its height.

    Newton steps along the principal axes, uphill also where the curvature has the wrong sign, of the length that rises
    most among some.
    """
    typical = search.typical
    lengths = jnp.asarray([1.0, 0.5, 0.2, 0.05, 0.01, 0.0], start.dtype)

    def height(x: Theta) -> Float[Array, ""]:
        value = model.log_density(model.fold(x * typical), data)
        return jnp.where(jnp.isfinite(value), value, -1e30)

    def step(_: Any, x: Theta) -> Theta:
        slope, hessian = jax.grad(height)(x), jax.hessian(height)(x)
        values, axes = jnp.linalg.eigh(-hessian)
        along = (axes.T @ slope) / jnp.maximum(jnp.abs(values), 1e-3)
        move = axes @ along
        move = move / jnp.maximum(1.0, jnp.max(jnp.abs(move)) / 0.5)
        trials = x[None] + lengths[:, None] * move[None]
        return trials[jnp.argmax(jax.vmap(height)(trials))]

    x = jax.lax.fori_loop(0, NEWTON_STEPS, step, start / typical)
    return x * typical, jax.hessian(height)(x), height(x)


def _normal(hessian: Float[Array, "d d"], typical: Theta) -> tuple[Float[Array, "d d"], Float[Array, ""]]:
    # Covariance factor and log volume; a direction without curvature is taken to be a typical scale wide.
    values, axes = jnp.linalg.eigh(-hessian)
    values = jnp.maximum(values, 0.1)
    volume = 0.5 * len(typical) * math.log(2.0 * math.pi) - 0.5 * jnp.sum(jnp.log(values)) + jnp.sum(jnp.log(typical))
    return typical[:, None] * axes / jnp.sqrt(values)[None], volume


def _distinct(
    model: ReducedScreen, data: PixelData, theta: Float[Array, "m d"], height: Float[Array, " m"]
) -> Bool[Array, " m"]:
    # Two maxima with no valley between them belong to one mode: chains go from one to the other by themselves.
    part = jnp.asarray(LINE, theta.dtype)
    between = theta[:, None, None] + part[None, None, :, None] * (theta[None, :, None] - theta[:, None, None])
    density = jax.vmap(jax.vmap(jax.vmap(lambda x: model.log_density(x, data))))(between)
    valley = jnp.minimum(height[:, None], height[None, :]) - jnp.min(density, axis=-1)
    joined = valley < BARRIER
    kept: list[Array] = []
    for i in range(len(theta)):
        before = [kept[k] & joined[i, k] for k in range(i)]
        kept.append(~jnp.any(jnp.stack(before)) if before else jnp.asarray(True))
    return jnp.stack(kept)
