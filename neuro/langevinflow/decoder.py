"""The decoder: from latent states at every bin to the logarithm of the firing rate of every neuron."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from neuro.langevinflow.config import Config
from physics.types import PRNGKey

LOG_COUNT_CAP = 10.0
INITIAL_LOG_DISPERSION = -2.0


class Mixer(eqx.Module):
    """One pre-norm Transformer layer over the bins of a trial, without a positional code.

    Without one, permuting the bins permutes the result in the same way, unless attention is causal.
    """

    attention: eqx.nn.MultiheadAttention
    attention_norm: eqx.nn.LayerNorm
    feed_norm: eqx.nn.LayerNorm
    feed_in: eqx.nn.Linear
    feed_out: eqx.nn.Linear
    causal: bool = eqx.field(static=True)

    def __init__(self, config: Config, *, key: PRNGKey) -> None:
        """Draw the parameters."""
        keys = jax.random.split(key, 3)
        width, dtype = config.token_width, config.array_dtype
        self.attention = eqx.nn.MultiheadAttention(config.heads, width, dtype=dtype, key=keys[0])
        self.attention_norm = eqx.nn.LayerNorm(width, dtype=dtype)
        self.feed_norm = eqx.nn.LayerNorm(width, dtype=dtype)
        self.feed_in = eqx.nn.Linear(width, config.feed_forward_width, dtype=dtype, key=keys[1])
        self.feed_out = eqx.nn.Linear(config.feed_forward_width, width, dtype=dtype, key=keys[2])
        self.causal = config.causal

    def __call__(self, tokens: Float[Array, "time token"]) -> Float[Array, "time token"]:
        """Return the mixed tokens."""
        bins = tokens.shape[0]
        mask = jnp.asarray(np.tril(np.ones((bins, bins), bool))) if self.causal else None
        x = jax.vmap(self.attention_norm)(tokens)
        tokens = tokens + self.attention(x, x, x, mask=mask)
        x = jax.vmap(self.feed_norm)(tokens)
        return tokens + jax.vmap(lambda row: self.feed_out(jax.nn.relu(self.feed_in(row))))(x)

    def at(self, tokens: Float[Array, "time token"], row: Int[Array, ""]) -> Float[Array, " token"]:
        """Return the mixed token of one bin, which attends to no later one."""
        x = jax.vmap(self.attention_norm)(tokens)
        mask = (jnp.arange(tokens.shape[0], dtype=row.dtype) <= row)[None]
        token = tokens[row] + self.attention(x[row][None], x, x, mask=mask)[0]
        return token + self.feed_out(jax.nn.relu(self.feed_in(self.feed_norm(token))))


class Decoder(eqx.Module):
    """A body ("transformer": all bins together, "mlp": each bin alone, "linear": none) and a linear readout."""

    body: Mixer | eqx.nn.Linear | None
    readout: eqx.nn.Linear
    log_spread: Float[Array, " neuron"] | None
    """Of the observation, beside its mean: logarithm of the dispersion or of the standard deviation of counts."""

    def __init__(self, config: Config, mean_rate: np.ndarray, *, key: PRNGKey) -> None:
        """Draw the parameters; `mean_rate` [Hz] of every neuron is what the readout starts from."""
        body_key, readout_key = jax.random.split(key)
        width, dtype = config.token_width, config.array_dtype
        self.body = None
        if config.decoder == "transformer":
            self.body = Mixer(config, key=body_key)
        elif config.decoder == "mlp":
            self.body = eqx.nn.Linear(width, config.hidden_width, dtype=dtype, key=body_key)
            width = config.hidden_width
        readout = eqx.nn.Linear(width, len(mean_rate), dtype=dtype, key=readout_key)
        self.readout = eqx.tree_at(lambda layer: layer.bias, readout, jnp.asarray(np.log(mean_rate), dtype))
        start = {
            "poisson": None,
            "negative_binomial": np.full(len(mean_rate), INITIAL_LOG_DISPERSION),
            "gaussian": 0.5 * np.log(mean_rate * config.filled()[2]),
        }[config.observation]
        self.log_spread = None if start is None else jnp.asarray(start, dtype)

    def __call__(self, tokens: Float[Array, "time token"]) -> Float[Array, "time neuron"]:
        """Return the logarithm of the rate in Hz."""
        if isinstance(self.body, Mixer):
            return jax.vmap(self.readout)(self.body(tokens))
        return jax.vmap(self._alone)(tokens)

    def at(self, tokens: Float[Array, "time token"], row: Int[Array, ""]) -> Float[Array, " neuron"]:
        """Return the logarithm of the rate in Hz in one bin; the body reads earlier bins, and no later ones."""
        if isinstance(self.body, Mixer):
            return self.readout(self.body.at(tokens, row))
        return self._alone(tokens[row])

    def _alone(self, token: Array) -> Array:
        return self.readout(token if self.body is None else jax.nn.gelu(self.body(token)))


def log_counts(log_rate: Float[Array, "*shape"], bin_width: float) -> Float[Array, "*shape"]:
    r"""Return the log of expected counts, $10 \tanh(r/10)$ with r the log rate [Hz] plus the log bin width [s]."""
    return LOG_COUNT_CAP * jnp.tanh((log_rate + math.log(bin_width)) / LOG_COUNT_CAP)
