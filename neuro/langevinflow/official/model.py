"""The released model for one trial, with the same methods as the physical one; and its forward pass on given noise."""

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from neuro.langevinflow.config import Config
from neuro.langevinflow.encoder import Encoded
from neuro.langevinflow.latents import Divergence, Latents
from neuro.langevinflow.official.decoder import OfficialDecoder
from neuro.langevinflow.official.dynamics import euler_path, gaussian_kl, velocity_kl
from neuro.langevinflow.official.encoder import OfficialEncoder
from neuro.langevinflow.official.options import CHANNELS
from neuro.langevinflow.official.potential import TAPS
from physics.numerics import checks
from physics.types import PRNGKey, Real
from physics.units import array


class Noise(NamedTuple):
    """Standard normal draws, in the order in which the release makes them."""

    position: Float[Array, "*trial latent"]
    velocity: Float[Array, "*trial latent"]
    later: Float[Array, "*trial later latent"]
    """Of the velocity in every bin but the first."""


class OfficialFlow(eqx.Module):
    """The released reference model: `LangevinFlow.for_trials` makes it for `Config(mode="official")`.

    Written for one trial; `jax.vmap` adds the batch. The encoder's state does not act on z and v, which therefore know
    the first bin only; the decoder reads z, v and that state. `diagnostics.shuffle_test` tells what it makes of them.
    """

    encoder: OfficialEncoder
    kernel: Float[Array, "into of tap"]
    """Of the potential, before it is normalised."""
    decoder: OfficialDecoder
    config: Config = eqx.field(static=True)
    held_in: int = eqx.field(static=True)
    neurons: int = eqx.field(static=True)

    def __init__(self, config: Config, *, held_in: int, neurons: int, key: PRNGKey) -> None:
        """Draw the parameters as the release does.

        Args:
            config: with mode="official".
            held_in: neurons that are input.
            neurons: all decoded ones, held-in first.
            key: typed random key.
        """
        keys = jax.random.split(checks.typed_key(key), 3)
        checks.one_of(config.mode, ("official",), "config.mode")
        shape = (CHANNELS, CHANNELS, len(TAPS))
        spread = config.release.kernel_spread
        self.encoder = OfficialEncoder(config, held_in, key=keys[0])
        self.kernel = spread * jax.random.normal(keys[1], shape, config.array_dtype)
        self.decoder = OfficialDecoder(config, neurons, key=keys[2])
        self.config, self.held_in, self.neurons = config, held_in, neurons

    def __call__(
        self,
        counts: Float[Array, "observed held_in"],
        *,
        key: PRNGKey,
        bin_width: float | None = None,
        dropout: bool = False,
    ) -> tuple[Float[Array, "time neuron"], Divergence]:
        """Return the log of expected counts per bin at one posterior draw, and the KL of that posterior.

        Args:
            counts: of one trial's held-in neurons, in the model's dtype.
            key: of the draw.
            bin_width: must be left out: this mode knows no bin width.
            dropout: whether dropout is on, as in training.
        """
        self._refuse(bin_width)
        noise_key, encoder_key, decoder_key = key, None, None
        if dropout:
            noise_key, encoder_key, decoder_key = jax.random.split(key, 3)
        encoded = self.encoder(counts, dropout_key=encoder_key)
        latents, divergence = self.infer(encoded, key=noise_key)
        return self._decoded(latents, decoder_key), divergence

    def infer(
        self, encoded: Encoded, *, key: PRNGKey, bin_width: float | None = None, step_kl: str | None = None
    ) -> tuple[Latents, Divergence]:
        """Return one draw of the latents and the KL; the noise stays on at evaluation too, as released."""
        self._refuse(bin_width)
        bins, width = encoded.states.shape
        draws = jax.random.normal(key, (bins + 1, width), encoded.states.dtype)
        return self.follow(encoded, Noise(draws[0], draws[1], draws[2:]), step_kl=step_kl)

    def follow(self, encoded: Encoded, noise: Noise, *, step_kl: str | None = None) -> tuple[Latents, Divergence]:
        """Return the latents that given noise makes, and the KL, in the form of `step_kl` if not the configured one."""
        release = self.config.release
        start = encoded.position.sample(noise.position), encoded.velocity.sample(noise.velocity)
        path = euler_path(self.kernel, *start, noise.later, release)
        divergence = Divergence(
            gaussian_kl(encoded.position, 1.0), gaussian_kl(encoded.velocity, 1.0), velocity_kl(path, release, step_kl)
        )
        return Latents(path.position, path.velocity, encoded.states), divergence

    def decode(self, latents: Latents, *, bin_width: float | None = None) -> Float[Array, "time neuron"]:
        """Return the log of expected counts per bin."""
        self._refuse(bin_width)
        return self._decoded(latents, None)

    def with_release(self, **changes: Any) -> "OfficialFlow":
        """Return the model with the same parameters and other choices of `Config.release`.

        Raises:
            TypeError: there is no such field.
            ValueError: a field is out of range or names an unknown option.
        """
        config = dataclasses.replace(self.config, release=dataclasses.replace(self.config.release, **changes))
        other = eqx.filter_eval_shape(
            lambda key: OfficialFlow(config, held_in=self.held_in, neurons=self.neurons, key=key), jax.random.key(0)
        )
        return jax.tree.unflatten(jax.tree.structure(other), jax.tree.leaves(self))

    def _decoded(self, latents: Latents, dropout_key: PRNGKey | None) -> Array:
        return self.decoder(jnp.concatenate(latents, axis=1), dropout_key=dropout_key)

    def _refuse(self, bin_width: float | None) -> None:
        if bin_width is not None and bin_width != self.config.bin_width:
            raise ValueError(
                f"bin_width: the official mode knows none and works at that of its training, "
                f"{self.config.bin_width}; got {bin_width}"
            )


class OfficialForward(NamedTuple):
    """What the released module returns for a batch."""

    log_rates: Float[Array, "trial time neuron"]
    """Log of expected counts per bin."""
    latents: "LatentBatch"
    kl: Float[Array, ""]
    """nats, mean over trials of the sum over bins and coordinates"""


class LatentBatch(NamedTuple):
    """z, v and h at every bin; as a NumPy array they lie side by side in the last axis, as the release has them."""

    position: Float[Array, "trial time latent"]
    velocity: Float[Array, "trial time latent"]
    encoder: Float[Array, "trial time latent"]

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        """Return (trial, time, 3 latents) on the host."""
        return np.concatenate([np.asarray(x, dtype) for x in self], axis=2)


def official_forward(
    model: OfficialFlow, counts: Real, *, forward_bins: int, noise: tuple[Real, Real, Real]
) -> OfficialForward:
    """Return the released forward pass on given noise: log rates, latents (z, v, h) and KL, with dropout off.

    Differentiable in the model. Any number of trials and observed bins.

    Args:
        model: of mode "official".
        counts: spikes per bin, (trial, observed bins, held-in neurons).
        forward_bins: bins after the observed ones.
        noise: standard normal draws (z0, v0, v) of the shapes (trial, D), (trial, D) and (trial, bins - 1, D) with the
            observed and forward bins.

    Raises:
        TypeError: the model is not of mode "official".
        UnitsError: counts or noise with a unit.
        ValueError: a wrong shape, or counts that are negative or not finite.
    """
    official(model)
    forward_bins = checks.nonnegative_integer(forward_bins, "forward_bins")
    known = array(counts, "", "counts")
    if known.ndim != 3 or known.shape[1] == 0 or known.shape[2] != model.held_in:
        raise ValueError(
            f"counts: expected the shape (trial, observed bins, {model.held_in} held-in neurons), got {known.shape}"
        )
    trials, observed, _ = checks.nonnegative(known, "counts").shape
    latent = (trials, model.config.latent_width)
    later = (trials, observed + forward_bins - 1, model.config.latent_width)
    checks.sequence_of_shape(noise, 3, "noise")
    draws = Noise(*(array(x, "", f"noise[{i}]") for i, x in enumerate(noise)))
    for number, (given, shape) in enumerate(zip(draws, (latent, latent, later), strict=True)):
        if given.shape != shape:
            raise ValueError(f"noise[{number}]: expected the shape {shape}, got {given.shape}")
    dtype = model.kernel.dtype
    return _forward(model, known.astype(dtype), Noise(*(x.astype(dtype) for x in draws)), forward_bins)


@eqx.filter_jit
def _forward(model: OfficialFlow, counts: Array, noise: Noise, forward_bins: int) -> OfficialForward:
    def one(own_counts: Array, own_noise: Noise) -> tuple[Array, Latents, Array]:
        latents, divergence = model.follow(model.encoder(own_counts, forward_bins=forward_bins), own_noise)
        return model.decode(latents), latents, divergence.total

    log_rates, latents, kl = jax.vmap(one)(counts, noise)
    return OfficialForward(log_rates, LatentBatch(*latents), jnp.mean(kl))


def official(model: object) -> OfficialFlow:
    """Return `model`; `TypeError` unless it is of mode "official"."""
    if not isinstance(model, OfficialFlow):
        raise TypeError(f"model: expected one of mode 'official', an OfficialFlow, got {type(model).__name__}")
    return model
