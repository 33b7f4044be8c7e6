"""The model: encoder, controlled Langevin dynamics and decoder, for one trial; and prediction of rates for many."""

from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float

from neuro.arguments import positive_number
from neuro.data import SpikeTrials
from neuro.langevinflow.autoencoder import RecurrentAutoencoder
from neuro.langevinflow.config import Config
from neuro.langevinflow.decoder import Decoder, log_counts
from neuro.langevinflow.dynamics import (
    Path,
    bath,
    control_kl,
    position_kl,
    posterior_path,
    prior_path,
    prior_start,
    standard_kl,
)
from neuro.langevinflow.encoder import ControlNetwork, Encoded, Encoder
from neuro.langevinflow.latents import Divergence, Latents
from neuro.langevinflow.official.model import OfficialFlow
from neuro.langevinflow.potential import RingPotential
from neuro.langevinflow.simulation import simulate_path
from physics.numerics import checks
from physics.numerics.batching import chunked_map
from physics.numerics.langevin import initial_state
from physics.types import PRNGKey, Real
from physics.units import array


class LangevinFlow(eqx.Module):
    """A sequential variational autoencoder with underdamped Langevin latents.

    Written for one trial; `jax.vmap` adds the batch. Build it with `for_trials`.
    """

    encoder: Encoder
    control: ControlNetwork
    potential: RingPotential
    decoder: Decoder
    config: Config = eqx.field(static=True)
    held_in: int = eqx.field(static=True)
    neurons: int = eqx.field(static=True)

    def __init__(self, config: Config, *, held_in: int, mean_rate: Any, key: PRNGKey) -> None:
        """Draw the parameters.

        Args:
            config: with observed_bins, forward_bins and bin_width known.
            held_in: neurons that are input.
            mean_rate: of every decoded neuron [Hz], held-in ones first; the readout starts from it.
            key: typed random key.
        """
        keys = jax.random.split(checks.typed_key(key), 3)
        rate = checks.positive(np.asarray(mean_rate, float), "mean_rate")
        config.filled()
        self.encoder = Encoder(config, held_in, key=keys[0])
        self.control = ControlNetwork(config, key=keys[1])
        self.potential = RingPotential.initial(config)
        self.decoder = Decoder(config, rate, key=keys[2])
        self.config, self.held_in, self.neurons = config, held_in, len(rate)

    @classmethod
    def for_trials(cls, trials: SpikeTrials, config: Config | None = None, *, key: PRNGKey) -> "Model":
        """Return a model of the trials' sizes, in the physical mode with a readout that starts from the mean rates.

        With `Config(mode="official")` it is an `OfficialFlow`, initialised as the release does, with
        `Config(dynamics="none")` a `RecurrentAutoencoder`; both are usable in `fit`, `predict_rates` and the like in
        the same way.

        Args:
            trials: with a split "train", whose mean rates are taken; of all trials where there is none.
            config: options; its bins and bin width are filled in.
            key: typed random key.

        Raises:
            ValueError: the configuration contradicts the trials.
        """
        filled = (Config() if config is None else config).for_trials(trials)
        part = trials.select(split="train") if "train" in trials.split else trials
        spikes = np.asarray(part.counts, float).sum(axis=(0, 1))
        seconds = np.asarray(part.mask, float).sum(axis=(0, 1)) * trials.bin_width
        # Half a spike more keeps the logarithm of a silent neuron's rate finite.
        rate = (spikes + 0.5) / np.maximum(seconds, trials.bin_width)
        return untrained(filled, held_in=trials.held_in, mean_rate=rate, key=key)

    def __call__(
        self, counts: Float[Array, "observed held_in"], *, key: PRNGKey, bin_width: float | None = None
    ) -> tuple[Float[Array, "time neuron"], Divergence]:
        """Return the log of expected counts per bin at one posterior draw, and the KL of that posterior.

        Args:
            counts: of one trial's held-in neurons, in the model's dtype.
            key: of the draw.
            bin_width: s, that of the configuration by default.
        """
        latents, divergence = self.infer(self.encoder(counts), key=key, bin_width=bin_width)
        return self.decode(latents, bin_width=bin_width), divergence

    def infer(self, encoded: Encoded, *, key: PRNGKey, bin_width: float | None = None) -> tuple[Latents, Divergence]:
        """Return one posterior draw of the latents and the KL; forward bins follow the prior from the last state."""
        config, step = self.config, self._step(bin_width)
        observed = encoded.states.shape[0]
        noise, start_noise = self._noise(key, observed)
        position, velocity = encoded.position.sample(start_noise[0]), encoded.velocity.sample(start_noise[1])
        start = initial_state(position, self.potential.omega[:, None] * velocity, self.potential.force)
        prepared = self.control.prepare(encoded.states[1:])
        last, path, controls = posterior_path(
            self.potential, self.control, start, prepared, noise[: observed - 1], step
        )
        _, forecast = prior_path(self.potential, last, noise[observed - 1 :], step)
        positions = jnp.concatenate([position[None], path.position, forecast.position])
        velocities = jnp.concatenate([velocity[None], path.velocity, forecast.velocity])
        held = jnp.broadcast_to(encoded.states[-1:], (forecast.position.shape[0], encoded.states.shape[1]))
        kl = Divergence(
            position_kl(encoded.position, self.potential),
            standard_kl(encoded.velocity),
            control_kl(controls, bath(self.potential, step), config.substeps, config.draws),
        )
        states = jnp.concatenate([encoded.states, held])
        return self._latents(Path(positions, velocities), states), kl

    def decode(self, latents: Latents, *, bin_width: float | None = None) -> Float[Array, "time neuron"]:
        """Return the log of expected counts per bin."""
        parts = [latents.position, latents.velocity]
        if self.config.decode == "zvh":
            parts.append(latents.encoder)
        width = self.config.filled()[2] if bin_width is None else bin_width
        return log_counts(self.decoder(jnp.concatenate(parts, axis=1)), width)

    def simulate(self, *, key: PRNGKey, bins: Real, solver: str = "steps") -> tuple[Float[Array, "time neuron"], Path]:
        """Return the log of expected counts per bin along one draw of the prior, and the path.

        Args:
            key: typed random key.
            bins: how many there are, at least one.
            solver: "steps", the configured scheme step by step; "diffrax", its solver QUICSORT; and for a potential
                without wall and directed coupling "scan", the path of the steps by a scan whose depth is the logarithm
                of its length, or "exact", the law of the continuous motion.

        Raises:
            ValueError: `bins` is no positive whole number, the solver is unknown or not for this potential, or the
                decoder reads the encoder (decode="zvh"), which the prior has not.
            TypeError: `key` is no typed key.
        """
        checks.typed_key(key)
        bins = checks.positive_integer(bins, "bins")
        if self.config.decode == "zvh":
            raise ValueError("simulate: a model with decode='zvh' reads the encoder, so its prior makes no rates")
        start_key, path_key = jax.random.split(key)
        ring = (2, self.config.channels, self.config.sites)
        start = prior_start(self.potential, jax.random.normal(start_key, ring, self.config.array_dtype))
        path = simulate_path(self.potential, start, self.config, bins=bins, key=path_key, solver=solver)
        first = Path(start.position[None], (start.velocity / self.potential.omega[:, None])[None])
        path = Path(*(jnp.concatenate(pair) for pair in zip(first, path, strict=True)))
        nothing = jnp.zeros((bins, 0), self.config.array_dtype)
        return self.decode(self._latents(path, nothing)), path

    def _latents(self, path: Path, states: Array) -> Latents:
        spread = jnp.sqrt(jnp.mean(1.0 / self.potential.stiffness(self.config.sites), axis=1))
        bins = path.position.shape[0]
        scaled = path.position / spread[None, :, None]
        return Latents(scaled.reshape(bins, -1), path.velocity.reshape(bins, -1), states)

    def _step(self, bin_width: float | None) -> float:
        return (self.config.filled()[2] if bin_width is None else bin_width) / self.config.substeps

    def _noise(self, key: PRNGKey, observed: int) -> tuple[Array, Array]:
        """Return the draws of every step, and those of the initial state."""
        config = self.config
        bins = observed + config.filled()[1]
        ring = (config.channels, config.sites)
        steps = (bins - 1) * config.substeps * config.draws
        drawn = jax.random.normal(key, (2 + steps, *ring), config.array_dtype)
        return drawn[2:].reshape(bins - 1, config.substeps, config.draws, *ring), drawn[:2]


Model: TypeAlias = LangevinFlow | OfficialFlow | RecurrentAutoencoder
"""Of either mode, or without dynamics: all have an `encoder`, `infer`, `decode`, `config`, `held_in` and `neurons`."""


def untrained(config: Config, *, held_in: int, mean_rate: Any, key: PRNGKey) -> Model:
    """Return a model of the configuration's kind with parameters drawn from `key`.

    Args:
        config: with observed_bins, forward_bins and bin_width known.
        held_in: neurons that are input.
        mean_rate: of every decoded neuron [Hz], held-in ones first; not used in the official mode.
        key: typed random key.
    """
    if config.mode == "official":
        return OfficialFlow(config, held_in=held_in, neurons=len(mean_rate), key=key)
    kind = RecurrentAutoencoder if config.dynamics == "none" else LangevinFlow
    return kind(config, held_in=held_in, mean_rate=mean_rate, key=key)


def predict_rates(
    model: Model,
    counts: Real,
    *,
    samples: int = 50,
    key: PRNGKey,
    bin_width: Real = None,
    average: str = "arithmetic",
    chunk_size: int = 64,
) -> Float[Array, "trial time neuron"]:
    """Return expected counts per bin: the mean of the rates over draws of the posterior.

    All decoded neurons, held-in first, in the observed and then the forward bins. The result for a trial does not
    depend on `chunk_size`, the devices, or the trials after it.

    Args:
        model: trained.
        counts: spikes per bin, (trial, observed bins, held-in neurons). The encoder knows no mask: an unobserved bin
            is the zero that `SpikeTrials.as_inputs` has there, and is read as silence.
        samples: posterior draws per trial.
        key: typed random key.
        bin_width: s, if not that of the training. The dynamics and the readout follow it; the encoder was trained
            for one width and does not. The official mode knows none.
        average: "arithmetic", the expected count; or "geometric", the exponential of the mean log rate, which is what
            the release does and lies below.
        chunk_size: trials at a time.

    Raises:
        TypeError: `model` is no model.
        UnitsError: counts with a unit, or a bin width that is no time.
        ValueError: a wrong shape, or counts that are no numbers, negative or not finite.
    """
    a_model(model)
    checks.typed_key(key)
    checks.positive_integer(samples, "samples")
    checks.one_of(average, ("arithmetic", "geometric"), "average")
    known = array(counts, "", "counts")
    if known.ndim != 3 or known.shape[2] != model.held_in:
        raise ValueError(
            f"counts: expected the shape (trial, observed bins, {model.held_in} held-in neurons), got {known.shape}"
        )
    known = checks.nonnegative(known, "counts").astype(model.config.array_dtype)
    width = None if bin_width is None else positive_number(bin_width, "s", "bin_width")
    number = jnp.arange(known.shape[0], dtype=jnp.int32)
    run = Partial(_mean_rates, model, key, samples, width, average)
    return chunked_map(run, known, number, core_ndim=(2, 0), chunk_size=chunk_size)


@eqx.filter_jit
def _mean_rates(
    model: Model, key: PRNGKey, samples: int, bin_width: float | None, average: str, counts: Array, number: Array
) -> Array:
    encoded = model.encoder(counts)

    def one(own: Array) -> Array:
        if isinstance(model, OfficialFlow) and model.config.release.dropout_in_prediction:
            return model(counts, key=own, bin_width=bin_width, dropout=True)[0]
        latents, _ = model.infer(encoded, key=own, bin_width=bin_width)
        return model.decode(latents, bin_width=bin_width)

    log_counts = jax.vmap(one)(jax.random.split(jax.random.fold_in(key, number), samples))
    if average == "geometric":
        return jnp.exp(jnp.mean(log_counts, axis=0))
    return jnp.mean(jnp.exp(log_counts), axis=0)


def a_model(model: object) -> Model:
    """Return `model`; `TypeError` unless it is one."""
    if not isinstance(model, LangevinFlow | OfficialFlow | RecurrentAutoencoder):
        raise TypeError(
            f"model: expected a LangevinFlow model, as LangevinFlow.for_trials makes it; got {type(model).__name__}"
        )
    return model
