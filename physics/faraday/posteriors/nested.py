"""Evidence by nested sampling, for more parameters than quadrature can take; an optional dependency does it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics.faraday.fits.likelihood import PixelData
from physics.faraday.posteriors.reduced import ReducedScreen, Theta
from physics.types import PRNGKey

LIVE = 1000
"""Live points."""
REPLACED = 100
"""Of them, points replaced in one step."""
REMAINDER = -4.6
"""The run ends when the live points hold less than this in ln of the evidence: a hundredth."""
STEPS = 5_000


def nested_evidence(model: ReducedScreen, data: PixelData, key: PRNGKey) -> tuple[float, float, int, bool]:
    """Return ln of the evidence without `log_constant`, its error, the number of points, and whether the run ended.

    The parameters are the quantiles of standard normal coordinates, so that the prior of these is all of one kind.

    Args:
        model: the screen.
        data: the spectrum.
        key: random key.

    Raises:
        ImportError: blackjax is not installed.
    """
    try:
        import blackjax
        from blackjax.ns.utils import finalise, log_weights
    except ImportError as error:
        raise ImportError(
            "method='nested' needs blackjax with nested sampling: pip install 'blackjax>=1.7', or give fixed values or "
            "fewer components, so that at most three parameters are left, for method='quadrature'"
        ) from error
    size = len(model.names)
    start_key, run_key, weight_key = jax.random.split(key, 3)
    algorithm = blackjax.nss(
        logprior_fn=lambda z: -0.5 * jnp.sum(z * z),
        loglikelihood_fn=lambda z: model.log_likelihood(quantiles(model, z), data),
        num_delete=REPLACED,
        num_inner_steps=max(5, 3 * size),
    )
    state = algorithm.init(jax.random.normal(start_key, (LIVE, size), model.points.dtype), start_key)
    step = jax.jit(algorithm.step)
    dead: list[Any] = []
    ended = False
    for i in range(STEPS):
        state, info = step(jax.random.fold_in(run_key, i), state)
        dead.append(info)
        if float(state.integrator.logZ_live - state.integrator.logZ) < REMAINDER:
            ended = True
            break
    points = finalise(state, dead, update_info=False)
    weights = np.asarray(log_weights(weight_key, points, shape=100), np.float64)
    top = weights.max()
    value = top + np.log(np.exp(weights - top).sum(axis=0))
    return float(value.mean()), float(value.std()), len(weights), ended


def quantiles(model: ReducedScreen, z: Float[Array, " d"]) -> Theta:
    """Return the parameters whose prior probabilities are those of standard normal numbers."""
    probability = jax.scipy.special.ndtr(z)
    return jnp.stack([prior.quantile(probability[i]) for i, prior in enumerate(model.priors)])
