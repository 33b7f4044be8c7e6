"""The encoder: a recurrent network that reads the counts of a trial, in both directions or forward only."""

from typing import NamedTuple, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from neuro.langevinflow.config import Config
from neuro.langevinflow.dynamics import Gaussian
from physics.types import PRNGKey

LOG_VARIANCE_BOUNDS = (-10.0, 5.0)

Pair: TypeAlias = tuple[Array, Array]
"""Of the forward and the backward direction."""


class Encoded(NamedTuple):
    """What the encoder knows of a trial."""

    states: Float[Array, "time state"]
    """State at each observed bin, which has read that bin."""
    position: Gaussian
    """q of the first position, (channel, site)."""
    velocity: Gaussian
    """q of the first velocity in units of its thermal spread, (channel, site)."""


class Recurrence(eqx.Module):
    """Gated recurrent units that read counts bin by bin: in both directions, or forward only where causal."""

    forward: eqx.nn.GRUCell
    backward: eqx.nn.GRUCell | None
    square_root: bool = eqx.field(static=True)

    def __init__(self, config: Config, neurons: int, *, key: PRNGKey) -> None:
        """Draw the parameters for `neurons` held-in neurons."""
        forward_key, backward_key = jax.random.split(key)
        dtype, width = config.array_dtype, config.encoder_width
        self.forward = eqx.nn.GRUCell(neurons, width, dtype=dtype, key=forward_key)
        self.backward = None if config.causal else eqx.nn.GRUCell(neurons, width, dtype=dtype, key=backward_key)
        self.square_root = config.count_transform == "sqrt"

    def inputs(self, counts: Float[Array, "time neuron"]) -> tuple[Array, Array | None]:
        """Return the part of the gates that the counts make, (time, 3 x width), for each direction."""
        x = jnp.sqrt(counts) if self.square_root else counts
        return project(self.forward, x), None if self.backward is None else project(self.backward, x)

    def run(self, ahead: Array, back: Array | None) -> tuple[Array, Array]:
        """Return the states at every bin, and the summary: each direction's last state, or the first when causal."""
        zero = jnp.zeros(self.forward.hidden_size, ahead.dtype)
        if self.backward is None or back is None:
            _, states = jax.lax.scan(lambda h, p: (gru_step(self.forward, p, h),) * 2, zero, ahead)
            return states, states[0]
        backward_cell = self.backward

        def both(carry: Pair, inputs: Pair) -> tuple[Pair, Pair]:
            after = gru_step(self.forward, inputs[0], carry[0]), gru_step(backward_cell, inputs[1], carry[1])
            return after, after

        last, (forward, backward) = jax.lax.scan(both, (zero, zero), (ahead, back[::-1]))
        return jnp.concatenate([forward, backward[::-1]], axis=1), jnp.concatenate(last)


class Encoder(eqx.Module):
    """A recurrence over the observed bins, and a linear map from its summary to the initial latent state."""

    recurrence: Recurrence
    initial: eqx.nn.Linear
    channels: int = eqx.field(static=True)

    def __init__(self, config: Config, neurons: int, *, key: PRNGKey) -> None:
        """Draw the parameters for `neurons` held-in neurons."""
        recurrence_key, initial_key = jax.random.split(key)
        self.recurrence = Recurrence(config, neurons, key=recurrence_key)
        self.initial = eqx.nn.Linear(
            config.state_width, 4 * config.latent_width, dtype=config.array_dtype, key=initial_key
        )
        self.channels = config.channels

    def __call__(self, counts: Float[Array, "time neuron"]) -> Encoded:
        """Return states and initial distributions for one trial's counts per bin, of the model's dtype."""
        return self.distributions(*self.recurrence.run(*self.recurrence.inputs(counts)))

    def distributions(self, states: Float[Array, "time state"], summary: Float[Array, " state"]) -> Encoded:
        """Return the states, and what their summary says of the initial latent state."""
        z, log_z, v, log_v = self.initial(summary).reshape(4, self.channels, -1)
        return Encoded(
            states,
            Gaussian(z, jnp.clip(log_z, *LOG_VARIANCE_BOUNDS)),
            Gaussian(v, jnp.clip(log_v, *LOG_VARIANCE_BOUNDS)),
        )


def project(cell: eqx.nn.GRUCell, x: Float[Array, "time neuron"]) -> Float[Array, "time three_states"]:
    """Return the part of the gates that the inputs make: one matrix product for all bins, outside the recurrence."""
    assert cell.bias is not None
    return x @ cell.weight_ih.T + cell.bias[None, :]


def gru_step(
    cell: eqx.nn.GRUCell, projected: Float[Array, " three_states"], state: Float[Array, " state"]
) -> Float[Array, " state"]:
    r"""Return the next state $(1 - u)\,n + u\,s$ of a gated recurrent unit.

    $r = \sigma(a_1 + c_1)$, $u = \sigma(a_2 + c_2)$, $n = \tanh(a_3 + r\,(c_3 + b))$ with $a$ the projected input and
    $c = W s$.
    """
    reset_in, update_in, candidate_in = jnp.split(projected, 3)
    reset_state, update_state, candidate_state = jnp.split(cell.weight_hh @ state, 3)
    reset = jax.nn.sigmoid(reset_in + reset_state)
    update = jax.nn.sigmoid(update_in + update_state)
    assert cell.bias_n is not None
    candidate = jnp.tanh(candidate_in + reset * (candidate_state + cell.bias_n))
    return candidate + update * (state - candidate)


class ControlNetwork(eqx.Module):
    """The control b [s^-1/2]: one hidden layer over the encoder's state and, with feedback, the latent state."""

    from_state: eqx.nn.Linear
    from_latent: eqx.nn.Linear | None
    output: eqx.nn.Linear
    scale: float = eqx.field(static=True)

    def __init__(self, config: Config, *, key: PRNGKey) -> None:
        """Draw the parameters."""
        keys = jax.random.split(key, 3)
        dtype, hidden, latent = config.array_dtype, config.hidden_width, config.latent_width
        self.from_state = eqx.nn.Linear(config.state_width, hidden, dtype=dtype, key=keys[0])
        self.from_latent = (
            eqx.nn.Linear(2 * latent, hidden, use_bias=False, dtype=dtype, key=keys[1])
            if config.control == "feedback"
            else None
        )
        self.output = eqx.nn.Linear(hidden, latent, dtype=dtype, key=keys[2])
        # A bin's KL is |b|^2 times half the bin width: this scale makes outputs of order 1 cost of order 1.
        self.scale = config.filled()[2] ** -0.5

    def prepare(self, states: Float[Array, "bin state"]) -> Float[Array, "bin hidden"]:
        """Return the encoder's part of the hidden layer, for all bins at once."""
        return jax.vmap(self.from_state)(states)

    def __call__(
        self, prepared: Float[Array, " hidden"], latent: Float[Array, " two_latents"]
    ) -> Float[Array, " latent"]:
        """Return b at one bin."""
        total = prepared if self.from_latent is None else prepared + self.from_latent(latent)
        return self.scale * self.output(jnp.tanh(total))
