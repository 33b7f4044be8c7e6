"""A recurrent autoencoder without latent dynamics: what the Langevin equation is to be compared with."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from neuro.langevinflow.config import Config
from neuro.langevinflow.decoder import Decoder, log_counts
from neuro.langevinflow.dynamics import Gaussian
from neuro.langevinflow.encoder import Encoded, Recurrence
from neuro.langevinflow.latents import Divergence, Latents
from physics.numerics import checks
from physics.types import PRNGKey


class Reader(eqx.Module):
    """The recurrence over observed bins, which runs on over forward bins with a learned input of its own."""

    recurrence: Recurrence
    blank_forward: Float[Array, " three_widths"]
    """What a forward bin puts in place of counts: into the gates of the forward direction."""
    blank_backward: Float[Array, " three_widths"] | None
    forward_bins: int = eqx.field(static=True)

    def __init__(self, config: Config, neurons: int, *, key: PRNGKey) -> None:
        """Draw the parameters for `neurons` held-in neurons."""
        blank = jnp.zeros(3 * config.encoder_width, config.array_dtype)
        self.recurrence = Recurrence(config, neurons, key=key)
        self.blank_forward = blank
        self.blank_backward = None if config.causal else blank
        self.forward_bins = config.filled()[1]

    def __call__(self, counts: Float[Array, "observed neuron"]) -> Encoded:
        """Return the states at observed and forward bins for one trial's counts per bin, of the model's dtype."""
        ahead, back = self.recurrence.inputs(counts)
        ahead = self._extended(ahead, self.blank_forward)
        if back is not None and self.blank_backward is not None:
            back = self._extended(back, self.blank_backward)
        empty = jnp.zeros((0, 0), counts.dtype)
        return Encoded(self.recurrence.run(ahead, back)[0], Gaussian(empty, empty), Gaussian(empty, empty))

    def _extended(self, inputs: Array, blank: Array) -> Array:
        return jnp.concatenate([inputs, jnp.broadcast_to(blank, (self.forward_bins, blank.shape[0]))])


class RecurrentAutoencoder(eqx.Module):
    """Recurrent encoder and decoder with nothing between: `LangevinFlow.for_trials` makes it for `dynamics="none"`.

    Encoder, decoder, masks and objective are those of the physical mode; the decoder reads the encoder's state h. There
    is no posterior: all draws are alike, the KL is zero, and there is no evidence bound.
    """

    encoder: Reader
    decoder: Decoder
    config: Config = eqx.field(static=True)
    held_in: int = eqx.field(static=True)
    neurons: int = eqx.field(static=True)

    def __init__(self, config: Config, *, held_in: int, mean_rate: Any, key: PRNGKey) -> None:
        """Draw the parameters; the arguments are those of `LangevinFlow`."""
        encoder_key, decoder_key = jax.random.split(checks.typed_key(key))
        rate = checks.positive(np.asarray(mean_rate, float), "mean_rate")
        self.encoder = Reader(config, held_in, key=encoder_key)
        self.decoder = Decoder(config, rate, key=decoder_key)
        self.config, self.held_in, self.neurons = config, held_in, len(rate)

    def __call__(
        self, counts: Float[Array, "observed held_in"], *, key: PRNGKey, bin_width: float | None = None
    ) -> tuple[Float[Array, "time neuron"], Divergence]:
        """Return the log of expected counts per bin, and a KL of zero."""
        latents, divergence = self.infer(self.encoder(counts), key=key, bin_width=bin_width)
        return self.decode(latents, bin_width=bin_width), divergence

    def infer(
        self,
        encoded: Encoded,
        *,
        key: PRNGKey,  # noqa: ARG002
        bin_width: float | None = None,  # noqa: ARG002
    ) -> tuple[Latents, Divergence]:
        """Return latents without z and v, and a KL of zero; nothing is drawn."""
        states = encoded.states
        nothing, zero = jnp.zeros((states.shape[0], 0), states.dtype), jnp.zeros((), states.dtype)
        return Latents(nothing, nothing, states), Divergence(zero, zero, zero)

    def decode(self, latents: Latents, *, bin_width: float | None = None) -> Float[Array, "time neuron"]:
        """Return the log of expected counts per bin."""
        width = self.config.filled()[2] if bin_width is None else bin_width
        return log_counts(self.decoder(latents.encoder), width)
