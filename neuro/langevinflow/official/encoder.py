"""The released encoder: a forward gated recurrent unit that lags one bin behind, and the first latent state."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from neuro.langevinflow.config import Config
from neuro.langevinflow.dynamics import Gaussian
from neuro.langevinflow.encoder import Encoded
from neuro.langevinflow.official.dropout import multiplier
from physics.types import PRNGKey


class GatedUnit(eqx.Module):
    r"""A gated recurrent unit with two biases, in blocks of reset, update and candidate.

    $a = W_{ih} x + b_{ih}$, $c = W_{hh} s + b_{hh}$, $r = \sigma(a_1 + c_1)$, $u = \sigma(a_2 + c_2)$,
    $n = \tanh(a_3 + r c_3)$, next state $(1 - u) n + u s$.
    """

    weight_ih: Float[Array, "three_states neuron"]
    weight_hh: Float[Array, "three_states state"]
    bias_ih: Float[Array, " three_states"]
    bias_hh: Float[Array, " three_states"]

    def __init__(self, neurons: int, width: int, *, key: PRNGKey, dtype: jnp.dtype) -> None:
        """Draw every parameter uniformly within 1/sqrt(width)."""
        shapes = ((3 * width, neurons), (3 * width, width), (3 * width,), (3 * width,))
        bound = 1.0 / math.sqrt(width)
        self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh = (
            bound * jax.random.uniform(own, shape, dtype, -1.0, 1.0)
            for own, shape in zip(jax.random.split(key, 4), shapes, strict=True)
        )

    def project(self, x: Float[Array, "time neuron"]) -> Float[Array, "time three_states"]:
        """Return a, for all bins in one product."""
        return x @ self.weight_ih.T + self.bias_ih[None, :]

    def step(self, projected: Float[Array, " three_states"], state: Float[Array, " state"]) -> Float[Array, " state"]:
        """Return the next state."""
        reset_in, update_in, candidate_in = jnp.split(projected, 3)
        reset_state, update_state, candidate_state = jnp.split(self.weight_hh @ state + self.bias_hh, 3)
        reset = jax.nn.sigmoid(reset_in + reset_state)
        update = jax.nn.sigmoid(update_in + update_state)
        candidate = jnp.tanh(candidate_in + reset * candidate_state)
        return candidate + update * (state - candidate)


class OfficialEncoder(eqx.Module):
    """States at every bin, observed and forward, and the distribution of the first latent state."""

    cell: GatedUnit
    position_mean: eqx.nn.Linear
    position_log_variance: eqx.nn.Linear
    velocity_mean: eqx.nn.Linear
    velocity_log_variance: eqx.nn.Linear
    lag: bool = eqx.field(static=True)
    forward_bins: int = eqx.field(static=True)
    dropout: float = eqx.field(static=True)

    def __init__(self, config: Config, neurons: int, *, key: PRNGKey) -> None:
        """Draw the parameters for `neurons` held-in neurons."""
        keys, width, dtype = jax.random.split(key, 5), config.latent_width, config.array_dtype
        self.cell = GatedUnit(neurons, width, key=keys[0], dtype=dtype)
        self.position_mean, self.position_log_variance, self.velocity_mean, self.velocity_log_variance = (
            eqx.nn.Linear(width, width, dtype=dtype, key=own) for own in keys[1:]
        )
        self.lag, self.dropout = config.release.lag, config.release.dropout
        self.forward_bins = config.forward_bins or 0

    def __call__(
        self,
        counts: Float[Array, "observed neuron"],
        *,
        forward_bins: int | None = None,
        dropout_key: PRNGKey | None = None,
    ) -> Encoded:
        """Return states and initial distributions for one trial.

        In forward bins the last observed bin is read again and again. The distribution of the first latent state has
        seen the first bin only.

        Args:
            counts: of the held-in neurons in the observed bins, in the model's dtype.
            forward_bins: that of the configuration by default.
            dropout_key: turns dropout of the state on; the dropped state is what recurs.
        """
        observed, width = counts.shape[0], self.cell.weight_hh.shape[1]
        forward = self.forward_bins if forward_bins is None else forward_bins
        projected = self.cell.project(counts)
        last = jnp.broadcast_to(projected[-1:], (forward, 3 * width))
        read = [projected[:1], projected[: observed - 1], last] if self.lag else [projected, last]
        inputs = jnp.concatenate(read)
        factors = None
        if dropout_key is not None and self.dropout > 0.0:
            factors = multiplier(dropout_key, (inputs.shape[0], width), self.dropout, counts.dtype)

        def one(state: Array, at: tuple[Array, Array | None]) -> tuple[Array, Array]:
            after = self.cell.step(at[0], state)
            after = after if at[1] is None else after * at[1]
            return after, after

        _, states = jax.lax.scan(one, jnp.zeros(width, counts.dtype), (inputs, factors))
        first = states[0]
        return Encoded(
            states,
            Gaussian(self.position_mean(first), self.position_log_variance(first)),
            Gaussian(self.velocity_mean(first), self.velocity_log_variance(first)),
        )
