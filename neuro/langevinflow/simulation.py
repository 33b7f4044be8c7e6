"""Draws of the prior's path, by the model's own steps or by independent methods with the same law."""

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from jaxtyping import Array

from neuro.langevinflow.config import Config
from neuro.langevinflow.dynamics import Path, prior_path, quadratic_path
from neuro.langevinflow.potential import RingPotential
from physics.numerics import checks
from physics.numerics.langevin import LangevinState
from physics.types import PRNGKey

if TYPE_CHECKING:
    import diffrax

SOLVERS = ("steps", "scan", "exact", "diffrax")


def simulate_path(
    potential: RingPotential, start: LangevinState, config: Config, *, bins: int, key: PRNGKey, solver: str
) -> Path:
    """Return one draw of the path at the `bins` - 1 bins after the start.

    Args:
        potential: of the prior.
        start: state in the first bin.
        config: scheme, substeps and bin width.
        bins: with the first.
        key: typed random key.
        solver: "steps", the configured scheme step by step; "scan", the same path by an associative scan; "exact", the
            law of the continuous motion; "diffrax", its underdamped Langevin solver QUICSORT. "scan" and "exact" need a
            quadratic potential.

    Raises:
        ValueError: the solver is unknown, or needs a quadratic potential where there is none.
    """
    checks.one_of(solver, SOLVERS, "solver")
    step = config.filled()[2] / config.substeps
    if solver == "diffrax":
        return _diffrax_path(potential, start, bins=bins, substeps=config.substeps, step=step, key=key)
    if solver in ("scan", "exact") and (config.quartic or config.directed):
        raise ValueError(f"solver: {solver!r} needs a quadratic potential, Config(quartic=False, directed=False)")
    draws = 2 if solver == "exact" else config.draws
    shape = (bins - 1, config.substeps, draws, *start.position.shape)
    noise = jax.random.normal(key, shape, start.position.dtype)
    if solver == "steps":
        return prior_path(potential, start, noise, step)[1]
    scheme = "exact" if solver == "exact" else config.scheme
    return quadratic_path(potential, start, noise, step, scheme=scheme)


def _diffrax_path(
    potential: RingPotential, start: LangevinState, *, bins: int, substeps: int, step: float, key: PRNGKey
) -> Path:
    import diffrax

    speed, end = potential.omega[:, None], (bins - 1) * substeps * step
    if bins == 1:
        empty = jnp.zeros((0, *start.position.shape), start.position.dtype)
        return Path(empty, empty)
    solution = diffrax.diffeqsolve(
        _langevin_terms(potential, start.position, end=end, finest=0.5 * step, key=key),
        diffrax.QUICSORT(),
        t0=0.0,
        t1=end,
        dt0=step,
        y0=(start.position, start.velocity),
        saveat=diffrax.SaveAt(ts=jnp.linspace(0.0, end, bins, dtype=start.position.dtype)[1:]),
        max_steps=2 * bins * substeps + 16,
    )
    assert solution.ys is not None
    position, velocity = solution.ys
    return Path(position, velocity / speed[None])


def _langevin_terms(
    potential: RingPotential, like: Array, *, end: float, finest: float, key: PRNGKey
) -> "diffrax.MultiTerm":
    r"""Return diffrax's $dv = -\gamma v\,dt - u \nabla f\,dt + \sqrt{2 \gamma u}\,dW$ with $u = k_BT/m$."""
    import diffrax

    friction = jnp.broadcast_to(potential.friction[:, None], like.shape)
    damping = jnp.broadcast_to(1.0 / potential.mass[:, None], like.shape)
    brownian = diffrax.VirtualBrownianTree(
        0.0,
        end,
        tol=finest,
        shape=jax.ShapeDtypeStruct(like.shape, like.dtype),
        key=key,
        levy_area=diffrax.SpaceTimeTimeLevyArea,
    )
    return diffrax.MultiTerm(
        diffrax.UnderdampedLangevinDriftTerm(friction, damping, lambda z, *_: -potential.force(z)),
        diffrax.UnderdampedLangevinDiffusionTerm(friction, damping, brownian),
    )
