"""How counts scatter about the expected ones: Poisson, with excess variance, or normally."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Num

from neuro.langevinflow.model import Model
from neuro.langevinflow.official.model import OfficialFlow
from physics.numerics.likelihood import (
    gaussian_log_likelihood,
    negative_binomial_log_likelihood,
    poisson_log_likelihood,
)

LOG_SPREAD_BOUNDS = (-6.0, 5.0)
"""Below, a negative binomial is Poisson to 32 bits, and its logarithms of factorials cancel."""


def log_likelihood(
    model: Model,
    counts: Num[Array, "time neuron"],
    log_expected: Float[Array, "time neuron"],
    mask: Bool[Array, "time neuron"],
) -> Float[Array, "time neuron"]:
    r"""Return the log likelihood of each count, zero where the mask is False.

    `Config.observation`: "poisson"; "negative_binomial", of variance $\lambda + a \lambda^2$ about the expected count
    $\lambda$ with a dispersion a per neuron; "gaussian", of mean $\lambda$ and a standard deviation per neuron. The
    spreads are learned.
    """
    spread = None if isinstance(model, OfficialFlow) else model.decoder.log_spread
    if spread is None:
        return poisson_log_likelihood(counts, log_expected, mask)
    spread = jnp.broadcast_to(jnp.clip(spread, *LOG_SPREAD_BOUNDS), log_expected.shape)
    if model.config.observation == "negative_binomial":
        return negative_binomial_log_likelihood(counts, log_expected, spread, mask)
    residual = counts.astype(log_expected.dtype) - jnp.exp(log_expected)
    return gaussian_log_likelihood(residual, jnp.exp(spread), mask)
