"""The released decoder: one post-norm Transformer layer over the bins of a trial, and a linear readout.

There is no positional code, no input projection and, as released, no mask: every bin sees every bin.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from neuro.langevinflow.config import Config
from neuro.langevinflow.official.dropout import dropped
from physics.types import PRNGKey

INITIAL_SCALE = 0.67 * 3.0**-0.25
"""Of the weights of the feed-forward part and the output projection. The release means to rescale the value projection
too, by a name that its layer has not, so that this never takes effect."""


class OfficialDecoder(eqx.Module):
    """Attention, feed-forward network, their layer norms, and the readout of the log of expected counts."""

    in_proj_weight: Float[Array, "three_tokens token"]
    """Of queries, keys and values, in this order."""
    in_proj_bias: Float[Array, " three_tokens"]
    out_proj: eqx.nn.Linear
    linear1: eqx.nn.Linear
    linear2: eqx.nn.Linear
    norm1: eqx.nn.LayerNorm
    norm2: eqx.nn.LayerNorm
    readout: eqx.nn.Linear
    heads: int = eqx.field(static=True)
    causal: bool = eqx.field(static=True)
    dropout: float = eqx.field(static=True)

    def __init__(self, config: Config, neurons: int, *, key: PRNGKey) -> None:
        """Draw the parameters."""
        keys, width, dtype = jax.random.split(key, 5), config.token_width, config.array_dtype
        bound = math.sqrt(6.0 / (4 * width))
        self.in_proj_weight = bound * jax.random.uniform(keys[0], (3 * width, width), dtype, -1.0, 1.0)
        self.in_proj_bias = jnp.zeros(3 * width, dtype)
        output = _scaled(eqx.nn.Linear(width, width, dtype=dtype, key=keys[1]))
        self.out_proj = eqx.tree_at(lambda layer: layer.bias, output, jnp.zeros(width, dtype))
        self.linear1 = _scaled(eqx.nn.Linear(width, config.feed_forward_width, dtype=dtype, key=keys[2]))
        self.linear2 = _scaled(eqx.nn.Linear(config.feed_forward_width, width, dtype=dtype, key=keys[3]))
        self.norm1, self.norm2 = eqx.nn.LayerNorm(width, dtype=dtype), eqx.nn.LayerNorm(width, dtype=dtype)
        self.readout = eqx.nn.Linear(width, neurons, dtype=dtype, key=keys[4])
        self.heads, self.causal, self.dropout = config.heads, config.causal, config.release.dropout

    def __call__(
        self, tokens: Float[Array, "time token"], *, dropout_key: PRNGKey | None = None
    ) -> Float[Array, "time neuron"]:
        """Return the log of expected counts per bin; a `dropout_key` turns dropout on."""
        keys = [None] * 4 if dropout_key is None else list(jax.random.split(dropout_key, 4))
        attended = dropped(self._attention(tokens, keys[0]), keys[1], self.dropout)
        tokens = jax.vmap(self.norm1)(tokens + attended)
        hidden = dropped(jax.nn.relu(jax.vmap(self.linear1)(tokens)), keys[2], self.dropout)
        fed = dropped(jax.vmap(self.linear2)(hidden), keys[3], self.dropout)
        return jax.vmap(self.readout)(jax.vmap(self.norm2)(tokens + fed))

    def _attention(self, tokens: Array, dropout_key: PRNGKey | None) -> Array:
        """Return softmax(Q K^T / sqrt(width of a head)) V of every head, side by side, projected."""
        bins, width = tokens.shape
        split = (bins, 3, self.heads, width // self.heads)
        projected = (tokens @ self.in_proj_weight.T + self.in_proj_bias[None, :]).reshape(split)
        query, key, value = projected[:, 0], projected[:, 1], projected[:, 2]
        scores = jnp.einsum("thc,shc->hts", query, key) / math.sqrt(split[3])
        if self.causal:
            scores = jnp.where(np.tril(np.ones((bins, bins), bool))[None], scores, -jnp.inf)
        weights = dropped(jax.nn.softmax(scores, axis=2), dropout_key, self.dropout)
        mixed = jnp.einsum("hts,shc->thc", weights, value).reshape(bins, width)
        return jax.vmap(self.out_proj)(mixed)


def _scaled(layer: eqx.nn.Linear) -> eqx.nn.Linear:
    return eqx.tree_at(lambda own: own.weight, layer, INITIAL_SCALE * layer.weight)
