"""The model: encoder, controlled Langevin dynamics and decoder, for one trial."""

from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

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
from neuro.langevinflow.latents import Divergence, Draw, Latents
from neuro.langevinflow.official.model import OfficialFlow
from neuro.langevinflow.potential import RingPotential
from neuro.langevinflow.simulation import simulate_path
from physics.numerics import checks
from physics.numerics.langevin import LangevinState, initial_state
from physics.types import PRNGKey, Real


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
        drawn = self.draw(encoded, key=key, bin_width=bin_width)
        return drawn.latents, drawn.divergence

    def draw(
        self, encoded: Encoded, *, key: PRNGKey, bin_width: float | None = None, forward_bins: int | None = None
    ) -> Draw:
        """Return one draw of the posterior: latents, control force, and the KL.

        The noise of a bin depends on the key and the bin only, not on how many there are.

        Args:
            encoded: what the encoder makes of a trial.
            key: of the draw.
            bin_width: s, that of the configuration by default.
            forward_bins: those of the configuration by default.
        """
        config, step = self.config, self.step(bin_width)
        observed = encoded.states.shape[0]
        bins = observed + (config.filled()[1] if forward_bins is None else forward_bins)
        noise = jax.vmap(lambda n: self.noise(key, n))(jnp.arange(1, bins, dtype=jnp.int32))
        start = self.start(encoded, key)
        prepared = self.control.prepare(encoded.states[1:])
        last, path, controls = posterior_path(
            self.potential, self.control, start, prepared, noise[: observed - 1], step
        )
        _, forecast = prior_path(self.potential, last, noise[observed - 1 :], step)
        first = self._bin(start)
        path = Path(*(jnp.concatenate([x[None], *y]) for x, *y in zip(first, path, forecast, strict=True)))
        held = jnp.broadcast_to(encoded.states[-1:], (bins - observed, encoded.states.shape[1]))
        kl = Divergence(
            position_kl(encoded.position, self.potential),
            standard_kl(encoded.velocity),
            control_kl(controls, bath(self.potential, step), config.substeps, config.draws),
        )
        none = jnp.zeros((bins - observed, *controls.shape[1:]), controls.dtype)
        force = jnp.concatenate([self._force(controls), none]).reshape(bins - 1, config.latent_width)
        return Draw(self._latents(path, jnp.concatenate([encoded.states, held])), force, kl)

    def start(self, encoded: Encoded, key: PRNGKey) -> LangevinState:
        """Return a draw of the state in the first bin."""
        ring = (2, self.config.channels, self.config.sites)
        drawn = jax.random.normal(jax.random.fold_in(key, 0), ring, self.config.array_dtype)
        position, velocity = encoded.position.sample(drawn[0]), encoded.velocity.sample(drawn[1])
        return initial_state(position, self.potential.omega[:, None] * velocity, self.potential.force)

    def noise(self, key: PRNGKey, number: Int[Array, ""]) -> Float[Array, "substep draw channel site"]:
        """Return the normal draws of the steps to a bin after the first."""
        config = self.config
        shape = (config.substeps, config.draws, config.channels, config.sites)
        return jax.random.normal(jax.random.fold_in(key, number), shape, config.array_dtype)

    def step(self, bin_width: float | None = None) -> float:
        """Return the time of a Langevin step [s]."""
        return (self.config.filled()[2] if bin_width is None else bin_width) / self.config.substeps

    def decode(self, latents: Latents, *, bin_width: float | None = None) -> Float[Array, "time neuron"]:
        """Return the log of expected counts per bin."""
        width = self.config.filled()[2] if bin_width is None else bin_width
        return log_counts(self.decoder(self.tokens(latents)), width)

    def tokens(self, latents: Latents) -> Float[Array, "time token"]:
        """Return what the decoder reads at each bin."""
        parts = [latents.position, latents.velocity]
        if self.config.decode == "zvh":
            parts.append(latents.encoder)
        return jnp.concatenate(parts, axis=1)

    def latents_at(self, state: LangevinState, encoder: Float[Array, " state"]) -> Latents:
        """Return the latents of a single bin."""
        return self._latents(Path(*(x[None] for x in self._bin(state))), encoder[None])

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
        path = Path(*(jnp.concatenate([x[None], y]) for x, y in zip(self._bin(start), path, strict=True)))
        nothing = jnp.zeros((bins, 0), self.config.array_dtype)
        return self.decode(self._latents(path, nothing)), path

    def unscaled(self, position: Float[Array, " latent"]) -> Float[Array, "channel site"]:
        """Return z of a `Latents.position`, which is in units of the prior spread."""
        return position.reshape(self.config.channels, -1) * self._spread()[:, None]

    def _bin(self, state: LangevinState) -> Path:
        return Path(state.position, state.velocity / self.potential.omega[:, None])

    def _latents(self, path: Path, states: Array) -> Latents:
        bins = path.position.shape[0]
        scaled = path.position / self._spread()[None, :, None]
        return Latents(scaled.reshape(bins, -1), path.velocity.reshape(bins, -1), states)

    def _force(self, control: Float[Array, "bin channel site"]) -> Array:
        """Return sqrt(2 gamma m k_B T) b per unit of the scaled position."""
        potential = self.potential
        strength = jnp.sqrt(2.0 * potential.friction) / potential.omega * self._spread()
        return strength[None, :, None] * control

    def _spread(self) -> Float[Array, " channel"]:
        """Return the prior standard deviation of a position."""
        return jnp.sqrt(jnp.mean(1.0 / self.potential.stiffness(self.config.sites), axis=1))


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


def a_model(model: object) -> Model:
    """Return `model`; `TypeError` unless it is one."""
    if not isinstance(model, LangevinFlow | OfficialFlow | RecurrentAutoencoder):
        raise TypeError(
            f"model: expected a LangevinFlow model, as LangevinFlow.for_trials makes it; got {type(model).__name__}"
        )
    return model


def physical(model: object) -> LangevinFlow:
    """Return `model`; `TypeError` unless it is of the physical mode with dynamics."""
    if not isinstance(model, LangevinFlow):
        raise TypeError(f"model: expected one of mode 'physical', a LangevinFlow, got {type(model).__name__}")
    return model
