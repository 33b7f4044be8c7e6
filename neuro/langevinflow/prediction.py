"""Prediction for many trials: firing rates, and what the posterior says of latent states and forces."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float

from neuro.arguments import positive_number, real_array
from neuro.langevinflow.encoder import Encoded
from neuro.langevinflow.latents import Latents
from neuro.langevinflow.model import LangevinFlow, Model, a_model
from neuro.langevinflow.official.model import OfficialFlow
from physics.numerics import checks
from physics.numerics.batching import chunked_map
from physics.types import PRNGKey, Real
from physics.units import array

AVERAGES = ("arithmetic", "geometric")


class Estimate(NamedTuple):
    """Mean and standard deviation over the draws of the posterior."""

    mean: Float[Array, "*shape"]
    std: Float[Array, "*shape"]


class Prediction(NamedTuple):
    """What a model infers of trials, for all decoded neurons, held-in first, in the observed and the forward bins."""

    rates: Float[Array, "trial time neuron"]
    """Expected counts per bin, as `predict_rates` returns them."""
    quantiles: Float[Array, "trial quantile time neuron"]
    """Of the rates over draws, in the order asked for."""
    samples: Float[Array, "trial sample time neuron"]
    """The rates of each draw, where they are asked for; else there are none of them."""
    position: Estimate
    """z, (trial, time, latent), in units of its prior spread."""
    velocity: Estimate
    """v, (trial, time, latent), in units of its thermal spread."""
    force: Estimate
    """Control force over each bin but the first, (trial, time, latent), in k_B T per unit of `position`; zero in
    forward bins. It is what the posterior adds to the prior's motion: an inferred input."""
    encoder: Float[Array, "trial time state"]
    """State h of the encoder."""


def predict_rates(
    model: Model,
    counts: Real,
    *,
    samples: int = 50,
    key: PRNGKey,
    bin_width: Real = None,
    rebin_encoder: bool = False,
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
        rebin_encoder: whether the encoder reads sums of the finer bins of `bin_width` over the width it was trained
            for, and every bin gets the state of the coarse one it lies in. There are then as many more forward bins.
        average: "arithmetic", the expected count; or "geometric", the exponential of the mean log rate, which is what
            the release does and lies below.
        chunk_size: trials at a time.

    Raises:
        TypeError: `model` is no model.
        UnitsError: counts with a unit, or a bin width that is no time.
        ValueError: a wrong shape; counts that are no numbers, negative, not whole or not finite; or bins that do not
            add up to whole ones of the training.
    """
    known, width, factor = _checked(model, counts, samples, key, bin_width, rebin_encoder)
    checks.one_of(average, AVERAGES, "average")
    run = Partial(_mean_rates, model, key, samples, width, factor, average)
    return chunked_map(run, known, _numbers(known), core_ndim=(2, 0), chunk_size=chunk_size)


def predict(
    model: Model,
    counts: Real,
    *,
    samples: int = 50,
    quantiles: Real = (),
    keep_samples: bool = False,
    key: PRNGKey,
    bin_width: Real = None,
    rebin_encoder: bool = False,
    chunk_size: int = 64,
) -> Prediction:
    """Return rates, latent states and control forces, with their spread over draws of the posterior.

    The rates are those of `predict_rates` for the same key. Without dynamics, and in the official mode, there is no
    control force, and its arrays have no latents.

    Args:
        model: trained.
        counts: spikes per bin, (trial, observed bins, held-in neurons).
        samples: posterior draws per trial.
        quantiles: probabilities, such as (0.05, 0.5, 0.95), of the rates over draws.
        keep_samples: whether the rates of every draw are returned too.
        key: typed random key.
        bin_width: s, if not that of the training; see `predict_rates`.
        rebin_encoder: whether the encoder reads bins of its own width; see `predict_rates`.
        chunk_size: trials at a time.

    Raises:
        TypeError: `model` is no model.
        UnitsError: counts with a unit, or a bin width that is no time.
        ValueError: as in `predict_rates`, or a quantile that is not between 0 and 1.
    """
    known, width, factor = _checked(model, counts, samples, key, bin_width, rebin_encoder)
    checks.one_of(keep_samples, (True, False), "keep_samples")
    asked = real_array(quantiles, "quantiles").astype(float).ravel()
    for each in asked.tolist():
        checks.fraction(each, "quantiles")
    levels = jnp.asarray(asked, model.config.array_dtype)
    run = Partial(_prediction, model, key, samples, width, factor, levels, keep_samples)
    return chunked_map(run, known, _numbers(known), core_ndim=(2, 0), chunk_size=chunk_size)


def encoded_counts(model: Model, counts: Array, factor: int) -> Encoded:
    """Return what the encoder makes of one trial, for every bin also where it reads sums of `factor` bins."""
    if factor == 1:
        return model.encoder(counts)
    encoded = model.encoder(jnp.sum(counts.reshape(-1, factor, counts.shape[1]), axis=1))
    return encoded._replace(states=jnp.repeat(encoded.states, factor, axis=0))


def whole_counts(model: Model, counts: Real) -> Float[Array, "trial time neuron"]:
    """Return counts of many trials in the model's dtype; `ValueError` unless they are such.

    They have to be whole except for a normal distribution of counts, which has no such idea of them.
    """
    known = array(counts, "", "counts")
    if known.ndim != 3 or known.shape[2] != model.held_in:
        raise ValueError(
            f"counts: expected the shape (trial, observed bins, {model.held_in} held-in neurons), got {known.shape}"
        )
    known = checks.nonnegative(known, "counts")
    if not checks.is_traced(known) and model.config.observation != "gaussian":
        bad = np.argwhere(np.asarray(known) % 1 != 0)
        if len(bad):
            index = tuple(int(i) for i in bad[0])
            raise ValueError(f"counts: expected whole numbers, got {np.asarray(known)[index]} at index {index}")
    return known.astype(model.config.array_dtype)


def _checked(
    model: Model, counts: Real, samples: int, key: PRNGKey, bin_width: Real, rebin_encoder: bool
) -> tuple[Array, float | None, int]:
    """Return counts in the model's dtype, the bin width [s] or None, and how many bins the encoder sums."""
    a_model(model)
    checks.typed_key(key)
    checks.positive_integer(samples, "samples")
    checks.one_of(rebin_encoder, (True, False), "rebin_encoder")
    known = whole_counts(model, counts)
    width = None if bin_width is None else positive_number(bin_width, "s", "bin_width")
    if not rebin_encoder or width is None:
        return known, width, 1
    trained = model.config.filled()[2]
    factor = max(round(trained / width), 1)
    if abs(factor * width - trained) > 1e-6 * trained or known.shape[1] % factor:
        raise ValueError(
            f"bin_width: expected one of which whole numbers make the trained width {trained} s and the "
            f"{known.shape[1]} bins of counts, got {width} s"
        )
    return known, width, factor


def _numbers(counts: Array) -> Array:
    return jnp.arange(counts.shape[0], dtype=jnp.int32)


def draw_keys(key: PRNGKey, number: Array, samples: int) -> Array:
    """Return the keys of the posterior draws of one trial."""
    return jax.random.split(jax.random.fold_in(key, number), samples)


@eqx.filter_jit
def _mean_rates(
    model: Model,
    key: PRNGKey,
    samples: int,
    bin_width: float | None,
    factor: int,
    average: str,
    counts: Array,
    number: Array,
) -> Array:
    encoded = encoded_counts(model, counts, factor)

    def one(own: Array) -> Array:
        if isinstance(model, OfficialFlow) and model.config.release.dropout_in_prediction:
            return model(counts, key=own, bin_width=bin_width, dropout=True)[0]
        return model.decode(_draw(model, encoded, own, bin_width, factor)[0], bin_width=bin_width)

    log_counts = jax.vmap(one)(draw_keys(key, number, samples))
    if average == "geometric":
        return jnp.exp(jnp.mean(log_counts, axis=0))
    return jnp.mean(jnp.exp(log_counts), axis=0)


@eqx.filter_jit
def _prediction(
    model: Model,
    key: PRNGKey,
    samples: int,
    bin_width: float | None,
    factor: int,
    levels: Array,
    keep_samples: bool,
    counts: Array,
    number: Array,
) -> Prediction:
    encoded = encoded_counts(model, counts, factor)

    def one(own: Array) -> tuple[Array, Latents, Array]:
        latents, force = _draw(model, encoded, own, bin_width, factor)
        return jnp.exp(model.decode(latents, bin_width=bin_width)), latents, force

    rates, latents, force = jax.vmap(one)(draw_keys(key, number, samples))
    return Prediction(
        rates=jnp.mean(rates, axis=0),
        quantiles=jnp.quantile(rates, levels, axis=0) if levels.size else rates[:0],
        samples=rates if keep_samples else rates[:0],
        position=_estimate(latents.position),
        velocity=_estimate(latents.velocity),
        force=_estimate(force),
        encoder=latents.encoder[0],
    )


def _estimate(draws: Array) -> Estimate:
    return Estimate(jnp.mean(draws, axis=0), jnp.std(draws, axis=0))


def _draw(
    model: Model, encoded: Encoded, key: Array, bin_width: float | None, factor: int
) -> tuple[Latents, Float[Array, "step latent"]]:
    """Return the latents of one draw, and the control force over each bin but the first."""
    if isinstance(model, LangevinFlow):
        forward = model.config.filled()[1] * factor
        drawn = model.draw(encoded, key=key, bin_width=bin_width, forward_bins=forward)
        return drawn.latents, drawn.force
    latents, _ = model.infer(encoded, key=key, bin_width=bin_width)
    return latents, jnp.zeros((latents.encoder.shape[0] - 1, 0), latents.encoder.dtype)
