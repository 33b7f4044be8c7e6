"""Evidence of screens: likelihood times prior, integrated over all parameters."""

import dataclasses
import itertools
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from physics.errors import ConvergenceError
from physics.faraday.depth import depth_step
from physics.faraday.fits.likelihood import PixelData
from physics.faraday.posteriors.amplitudes import log_constant
from physics.faraday.posteriors.nested import nested_evidence
from physics.faraday.posteriors.observed import problem_of
from physics.faraday.posteriors.priors import Prior, short
from physics.faraday.posteriors.reduced import ReducedScreen
from physics.numerics import checks
from physics.numerics.quadrature import gauss_legendre
from physics.types import HostArray, PRNGKey, Real

TAIL = 1e-7
"""Prior probability left out at each end of an infinite range."""
BLOCK = 4096
"""Points that are evaluated together."""
NODES = {1: 6, 2: 5, 3: 4}
"""Of the Gauss-Legendre rule along each axis of a cell, by the number of axes."""
LOBES = {1: 0.5, 2: 1.0, 3: 1.0}
"""Size of the first cells in rotation measure, in widths of the narrowest RMSF: the density has no finer structure but
its peaks, which are found by halving."""
GROWTH = {1: 2.0, 2: 2.0, 3: 3.0}
"""Ratio of the ends of the first cells in spreads of depth."""
SMOOTH = {1: 6.0, 2: 5.0, 3: 4.0}
"""A cell is fine enough if ln of the density differs by less between its nodes: exact to about 1e-4 then."""
NEGLIGIBLE = 14.0
"""Cells whose ln mass stays this far below the total are left as they are."""
HEAVY = 7.0
"""Cells within this of the total in ln mass are halved once more for the error."""
LEVELS = 60


class Evidence(eqx.Module):
    """Log evidence of a screen, for each spectrum."""

    log_evidence: Float[Array, "*spectrum"]
    """Natural logarithm, in the unit of the data to the power of minus the numbers observed."""
    error: Float[Array, "*spectrum"]
    """Numerical uncertainty of it."""
    evaluations: Int[Array, "*spectrum"]
    """Of the likelihood."""
    converged: Bool[Array, "*spectrum"]
    """False where the budget of evaluations ended first."""


def evidence(
    screen: Any,
    lambda_squared: Real,
    q: Real,
    u: Real,
    sigma: Real,
    *,
    priors: Any = None,
    mask: Any = None,
    amplitude: Any = "constant",
    method: str = "quadrature",
    max_evaluations: int = 4_000_000,
    key: PRNGKey | None = None,
    throw: bool = True,
) -> Evidence:
    """Return the log evidence of a screen, normalised, so that those of different screens can be compared.

    Complex amplitudes are integrated in closed form. Up to three other parameters are integrated by Gauss-Legendre
    rules on cells that are halved wherever the density still varies; more, by nested sampling.

    Args:
        screen: a screen, whose parameters without a prior keep their values; the class of one; or a sequence of these,
            which stands for their sum.
        lambda_squared: shape (channel,), in any order, known values [m^2].
        q: Stokes Q/I, shape (..., channel).
        u: Stokes U/I, alike.
        sigma: standard deviation of one real Stokes parameter, an array that broadcasts with `q`, or a pair
            (sigma_q, sigma_u).
        priors: as those of `sample`. They are part of the model: evidence falls with their width.
        mask: booleans, True where a channel is used, broadcasts with `q`.
        amplitude: "constant", or Stokes I of the channels where `q` and `u` are not divided by it.
        method: "quadrature", or "nested" for nested sampling, which needs the package blackjax and a key.
        max_evaluations: of the likelihood, for one spectrum.
        key: random key of nested sampling.
        throw: whether to raise where the budget does not suffice; the result says so otherwise.

    Raises:
        UnitsError, ValueError, TypeError: as those of `sample`; more than three parameters besides the amplitudes, or
            a first grid beyond the budget, with `method="quadrature"`; an unknown method.
        ConvergenceError: the budget of evaluations did not suffice.
        ImportError: blackjax is not installed.

    Source: derived in docs/theory/faraday-inference.md; nested sampling: Skilling (2006).
    """
    L, data, model = problem_of(screen, lambda_squared, q, u, sigma, priors=priors, mask=mask, amplitude=amplitude)
    # Cells hold both signs of the depth of a slab, so that the prior of its foreground ends where it should.
    model = dataclasses.replace(model, mirrors=())
    checks.one_of(method, ("quadrature", "nested"), "method")
    budget = checks.positive_integer(max_evaluations, "max_evaluations")
    batch = data[0].shape[:-1]
    spectra = list(zip(*(x.reshape(math.prod(batch), len(L)) for x in data), strict=True))
    if method == "nested":
        keys = jax.random.split(checks.typed_key(key), len(spectra))
        results = [nested_evidence(model, PixelData(*d), k) for d, k in zip(spectra, keys, strict=True)]
    else:
        cells = _first_cells(model, L, budget)
        results = [_integrated(model, PixelData(*d), cells, budget) for d in spectra]
    value, error, count, good = (np.array(column).reshape(batch) for column in zip(*results, strict=True))
    if throw and not good.all():
        raise ConvergenceError(
            f"evidence: {int((~good).sum())} of {good.size} spectra needed more than max_evaluations = {budget}"
        )
    constant = jax.vmap(lambda *d: log_constant(PixelData(*d)))(*(jnp.stack(x) for x in zip(*spectra, strict=True)))
    dtype = data[0].dtype
    return Evidence(
        log_evidence=jnp.asarray(value, dtype) + constant.reshape(batch),
        error=jnp.asarray(error, dtype),
        evaluations=jnp.asarray(count),
        converged=jnp.asarray(good),
    )


class _Cells:
    """Boxes in the space of the parameters, with the factor that counts the copies of each under exchange."""

    def __init__(self, low: HostArray, high: HostArray, copies: HostArray) -> None:
        self.low, self.high, self.copies = low, high, copies

    def __len__(self) -> int:
        return len(self.low)

    def select(self, chosen: HostArray) -> "_Cells":
        return _Cells(self.low[chosen], self.high[chosen], self.copies[chosen])

    def halved(self, axes: HostArray) -> "_Cells":
        """Return the cells cut into halves along the axes that are chosen for each, (cell, axis)."""
        size, middle = self.low.shape[1], 0.5 * (self.low + self.high)
        parts = []
        for corner in itertools.product((False, True), repeat=size):
            upper = np.array(corner)
            valid = ~np.any(upper & ~axes, axis=1)
            low = np.where(upper, middle, self.low)
            high = np.where(axes & ~upper, middle, self.high)
            parts.append(_Cells(low, high, self.copies).select(valid))
        return _Cells(*(np.concatenate([getattr(p, n) for p in parts]) for n in ("low", "high", "copies")))


def _first_cells(model: ReducedScreen, L: HostArray, budget: int) -> _Cells:
    """Return cells about as wide as the RMSF in rotation measure, and as fine in spreads as the channels tell."""
    size = len(model.names)
    if size not in NODES:
        raise ValueError(
            f"screen: expected at most three parameters besides the amplitudes for method='quadrature', got {size} "
            f"({', '.join(model.names)}): use method='nested'"
        )
    rotation = {i for i, name in enumerate(model.names) if short(name) == "rm"}
    edges = [_edges(prior, L, size, uniform=i in rotation) for i, prior in enumerate(model.priors)]
    count = math.prod(len(e) - 1 for e in edges) * NODES[size] ** size
    if count > budget:
        ranges = ", ".join(f"{n}: {e[0]:.4g} to {e[-1]:.4g}" for n, e in zip(model.names, edges, strict=True))
        raise ValueError(
            f"priors: a first grid over {ranges} needs {count} evaluations, more than max_evaluations = {budget}: "
            "give narrower priors, or use method='nested'"
        )
    index = np.stack(np.meshgrid(*(np.arange(len(e) - 1) for e in edges), indexing="ij"), axis=-1).reshape(-1, size)
    copies = np.zeros(len(index))
    for group in model.alike:
        places = [model.members[j][0] for j in group]
        order = index[:, places]
        # Each set of different cells once, for all of its orders; cells on a diagonal as they are.
        ascending = np.all(np.diff(order, axis=1) >= 0, axis=1) if len(group) == 2 else np.ones(len(index), bool)
        if all(len(model.members[j]) == 1 for j in group) and len(group) == 2:
            strictly = np.all(np.diff(order, axis=1) > 0, axis=1)
            copies = np.where(strictly, copies + math.log(2.0), copies)
            index, copies = index[ascending], copies[ascending]
    low = np.stack([e[index[:, i]] for i, e in enumerate(edges)], axis=1)
    high = np.stack([e[index[:, i] + 1] for i, e in enumerate(edges)], axis=1)
    return _Cells(low, high, copies)


def _edges(prior: Prior, L: HostArray, size: int, *, uniform: bool) -> HostArray:
    low, high = (float(prior.quantile(jnp.asarray(p, float))) for p in (TAIL, 1.0 - TAIL))
    support = prior.support
    low = float(support[0]) if math.isfinite(support[0]) else low
    high = float(support[1]) if math.isfinite(support[1]) else high
    if uniform:
        # More than any budget would not even be laid out.
        wanted = min(math.ceil((high - low) / (LOBES[size] * 10.0 * depth_step(L))), 10_000_000)
        return np.linspace(low, high, max(2, wanted) + 1)
    # Finer towards zero, down to what the longest wavelength barely sees.
    least = min(0.3 / float(L.max()), 0.25 * max(abs(low), abs(high)))
    ends = {low, high}
    for bound, sign in ((high, 1.0), (-low, -1.0)):
        if bound > least:
            ends |= {
                sign * x
                for x in np.geomspace(least, bound, max(2, math.ceil(math.log(bound / least, GROWTH[size])) + 1))
            }
    inside = sorted(x for x in ends | {0.0} if low <= x <= high)
    return np.array(inside)


@eqx.filter_jit
def _densities(model: ReducedScreen, theta: Float[Array, "b d"], data: PixelData) -> Float[Array, " b"]:
    return jax.vmap(lambda x: model.log_density(x, data))(theta)


def _integrated(model: ReducedScreen, data: PixelData, cells: _Cells, budget: int) -> tuple[float, float, int, bool]:
    size = len(model.names)
    each = NODES[size] ** size
    # The density counts one order of components that are alike; the cells hold them all.
    orders = sum(math.lgamma(len(group) + 1) for group in model.alike)
    done: list[HostArray] = []
    heavy: list[tuple[HostArray, _Cells]] = []
    count, total, pending = 0, -math.inf, cells
    for _ in range(LEVELS):
        mass, top, ranges = _cell_masses(model, data, pending)
        spread = ranges.sum(axis=1)
        count += len(pending) * each
        total = _log_sum(np.concatenate([*done, mass]))
        volume = np.sum(np.log(pending.high - pending.low), axis=1) + pending.copies
        # What a cell may hold between its nodes: a parabola rises above them by less than a fifth of its range there.
        rough = (spread > SMOOTH[size]) & (top + 0.3 * spread + volume > total - NEGLIGIBLE)
        done.append(mass[~rough])
        heavy.append((mass[~rough], pending.select(~rough)))
        if not rough.any():
            break
        ranges = ranges[rough]
        pending = pending.select(rough).halved(ranges >= np.minimum(0.5 * ranges.max(axis=1), SMOOTH[size])[:, None])
        if count + len(pending) * each > budget:
            return total - orders, math.inf, count, False
    # The cells that hold nearly everything once more in halves: the change is the error.
    before, change = 0.0, 0.0
    for mass, part in heavy:
        chosen = part.select(mass > total - HEAVY)
        if len(chosen):
            again, _, _ = _cell_masses(model, data, chosen.halved(np.ones(chosen.low.shape, bool)))
            count += len(again) * each
            before += math.exp(_log_sum(mass[mass > total - HEAVY]) - total)
            change += math.exp(_log_sum(again) - total)
    return total + math.log1p(change - before) - orders, abs(change - before), count, True


def _cell_masses(model: ReducedScreen, data: PixelData, cells: _Cells) -> tuple[HostArray, HostArray, HostArray]:
    """Return ln mass of every cell, the largest ln density at its nodes, and the range of it along each axis."""
    size = cells.low.shape[1]
    nodes, weights = gauss_legendre(NODES[size], 0.0, 1.0)
    grid = np.stack(np.meshgrid(*[nodes] * size, indexing="ij"), axis=-1).reshape(-1, size)
    log_weight = np.sum(np.meshgrid(*[np.log(weights)] * size, indexing="ij"), axis=0).reshape(-1)
    width = cells.high - cells.low
    theta = (cells.low[:, None] + width[:, None] * grid).reshape(-1, size)
    filled = np.concatenate([theta, np.broadcast_to(theta[-1:], (-len(theta) % BLOCK, size))])
    dtype = model.points.dtype
    blocks = [_densities(model, jnp.asarray(block, dtype), data) for block in filled.reshape(-1, BLOCK, size)]
    density = np.concatenate([np.asarray(b, np.float64) for b in blocks])[: len(theta)].reshape(len(cells), -1)
    density = np.maximum(density, -1e300)
    top = density.max(axis=1)
    mass = top + np.log(np.sum(np.exp(density - top[:, None] + log_weight), axis=1))
    block = density.reshape(len(cells), *(NODES[size],) * size)
    ranges = [np.ptp(block, axis=i + 1).reshape(len(cells), -1).max(axis=1) for i in range(size)]
    return mass + np.sum(np.log(width), axis=1) + cells.copies, top, np.stack(ranges, axis=1)


def _log_sum(x: HostArray) -> float:
    top = float(np.max(x))
    return top + math.log(float(np.sum(np.exp(x - top)))) if math.isfinite(top) else top
