"""Prediction bin by bin, as counts arrive: the same numbers as for whole trials."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from neuro.langevinflow.decoder import log_counts
from neuro.langevinflow.dynamics import posterior_path, prior_path
from neuro.langevinflow.encoder import gru_step
from neuro.langevinflow.model import LangevinFlow, physical
from neuro.langevinflow.prediction import draw_keys, whole_counts
from physics.numerics import checks
from physics.numerics.langevin import LangevinState
from physics.types import PRNGKey, Real
from physics.units import array


class Stream(eqx.Module):
    """What a causal model remembers of the bins it has read, for a batch of trials: `Stream.start` makes it.

    `read` takes the next bin's counts and returns the next stream and the rates of that bin. They are, to rounding,
    those of `predict_rates` for the same key and samples, and after the last observed bin `forecast` gives its forward
    bins.
    """

    model: LangevinFlow
    bins: Int[Array, ""]
    """How many were read."""
    encoder: Float[Array, "trial width"]
    state: LangevinState
    """Of every trial and draw."""
    keys: Key[Array, "trial sample"]
    memory: Float[Array, "trial sample bin token"]
    """What the decoder has read, as far as it reads more than one bin."""

    @classmethod
    def start(
        cls, model: LangevinFlow, *, trials: int = 1, samples: int = 50, most_bins: int | None = None, key: PRNGKey
    ) -> "Stream":
        """Return a stream that has read nothing.

        Args:
            model: trained, of the physical mode, with causal=True.
            trials: how many run at the same time.
            samples: posterior draws per trial.
            most_bins: what a "transformer" decoder has memory for, the forecast included; observed and forward bins of
                the configuration by default. Other decoders need none, and a stream has no end.
            key: typed random key.

        Raises:
            TypeError: the model is not of the physical mode, or has no dynamics.
            ValueError: the model is not causal, or a number is not positive.
        """
        physical(model)
        if not model.config.causal:
            raise ValueError("model: a stream needs Config(causal=True), this model reads the whole trial first")
        checks.positive_integer(trials, "trials")
        checks.positive_integer(samples, "samples")
        observed, forward, _ = model.config.filled()
        bins = observed + forward if most_bins is None else checks.positive_integer(most_bins, "most_bins")
        config, dtype = model.config, model.config.array_dtype
        zero = jnp.zeros((trials, samples, config.channels, config.sites), dtype)
        numbers = jnp.arange(trials, dtype=jnp.int32)
        return cls(
            model,
            jnp.zeros((), jnp.int32),
            jnp.zeros((trials, config.encoder_width), dtype),
            LangevinState(zero, zero, zero),
            jax.vmap(lambda n: draw_keys(checks.typed_key(key), n, samples))(numbers),
            jnp.zeros((trials, samples, bins if config.decoder == "transformer" else 1, config.token_width), dtype),
        )

    def read(self, counts: Real) -> tuple["Stream", Float[Array, "trial neuron"]]:
        """Return the stream after one more bin, and the expected counts of all neurons in it.

        Args:
            counts: spikes in the bin, (trial, held-in neurons).

        Raises:
            UnitsError: counts with a unit.
            ValueError: a wrong shape, counts that are negative or not whole, or no memory is left.
        """
        known, shape = array(counts, "", "counts"), (self.keys.shape[0], self.model.held_in)
        if known.shape != shape:
            raise ValueError(f"counts: expected the shape {shape} of trials and held-in neurons, got {known.shape}")
        self._room(1)
        return _read(self, whole_counts(self.model, known[:, None])[:, 0])

    def forecast(self, bins: int) -> Float[Array, "trial time neuron"]:
        """Return the expected counts of the next `bins` bins, of which no counts are known.

        Raises:
            ValueError: nothing was read yet, or no memory is left.
        """
        checks.positive_integer(bins, "bins")
        if int(self.bins) == 0:
            raise ValueError("forecast: expected at least one bin to be read before")
        self._room(bins)
        stream, rates = self, []
        for _ in range(bins):
            stream, rate = _run_on(stream)
            rates.append(rate)
        return jnp.stack(rates, axis=1)

    def _room(self, bins: int) -> None:
        if self.model.config.decoder == "transformer" and int(self.bins) + bins > self.memory.shape[2]:
            raise ValueError(
                f"most_bins: the decoder has memory for {self.memory.shape[2]} bins, {int(self.bins)} are read and "
                f"{bins} more were asked for"
            )


@eqx.filter_jit
def _read(stream: Stream, counts: Float[Array, "trial neuron"]) -> tuple[Stream, Array]:
    model = stream.model
    unit = model.encoder.recurrence

    def one_trial(x: Array, before: Array, states: LangevinState, keys: Array) -> tuple[Array, LangevinState]:
        encoder = gru_step(unit.forward, unit.inputs(x[None])[0][0], before)
        encoded = model.encoder.distributions(encoder[None], encoder)
        prepared = model.control.prepare(encoded.states)

        def one_draw(state: LangevinState, key: Array) -> LangevinState:
            noise, step = model.noise(key, stream.bins)[None], model.step()
            after = posterior_path(model.potential, model.control, state, prepared, noise, step)[0]
            first = model.start(encoded, key)
            return jax.tree.map(lambda x, y: jnp.where(stream.bins == 0, x, y), first, after)

        return encoder, jax.vmap(one_draw)(states, keys)

    encoder, state = jax.vmap(one_trial)(counts, stream.encoder, stream.state, stream.keys)
    return _decoded(stream, encoder, state)


@eqx.filter_jit
def _run_on(stream: Stream) -> tuple[Stream, Array]:
    model = stream.model

    def one(state: LangevinState, key: Array) -> LangevinState:
        return prior_path(model.potential, state, model.noise(key, stream.bins)[None], model.step())[0]

    return _decoded(stream, stream.encoder, jax.vmap(jax.vmap(one))(stream.state, stream.keys))


def _decoded(stream: Stream, encoder: Array, state: LangevinState) -> tuple[Stream, Array]:
    """Return the stream at the new state, and the mean over draws of the rates there."""
    model = stream.model
    row = stream.bins if model.config.decoder == "transformer" else jnp.zeros_like(stream.bins)

    def one(own: LangevinState, states: Array, memory: Array) -> tuple[Array, Array]:
        memory = memory.at[row].set(model.tokens(model.latents_at(own, states))[0])
        return memory, jnp.exp(log_counts(model.decoder.at(memory, row), model.config.filled()[2]))

    memory, rates = jax.vmap(jax.vmap(one, in_axes=(0, None, 0)))(state, encoder, stream.memory)
    return Stream(model, stream.bins + 1, encoder, state, stream.keys, memory), jnp.mean(rates, axis=1)
