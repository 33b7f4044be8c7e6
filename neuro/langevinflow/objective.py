"""The objective: a tempered evidence lower bound with coordinated dropout, and the bound itself.

In training each input count is kept with a fixed probability and divided by it; the likelihood is then averaged over
the entries that the model did not read: dropped counts, held-out neurons and forward bins. A model that copies its
input gains nothing from that. Derived in docs/theory/langevinflow.md.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from neuro.data import SpikeTrials
from neuro.langevinflow.autoencoder import RecurrentAutoencoder
from neuro.langevinflow.model import Model
from neuro.langevinflow.observation import log_likelihood
from neuro.langevinflow.official.model import OfficialFlow
from physics.types import PRNGKey


class Batch(NamedTuple):
    """Trials as a training step sees them."""

    counts: Int[Array, "trial time neuron"]
    mask: Bool[Array, "trial time neuron"]
    """True where observed; all False for a trial that only fills up the batch."""


def whole_batch(model: Model, trials: SpikeTrials) -> Batch:
    """Return all trials as one batch; `ValueError` if bins, bin width or neurons are not those of the model."""
    model.config.for_trials(trials)
    if (trials.held_in, trials.counts.shape[2]) != (model.held_in, model.neurons):
        raise ValueError(
            f"trials: the model reads {model.held_in} of {model.neurons} neurons, "
            f"the trials have {trials.held_in} of {trials.counts.shape[2]}"
        )
    return Batch(trials.counts, trials.mask)


class Terms(NamedTuple):
    """Parts of the objective, means over the trials of a batch."""

    nll: Float[Array, ""]
    """Negative log likelihood per unread entry, nats, with the log factorial."""
    kl_position: Float[Array, ""]
    """nats per trial, as are the other parts"""
    kl_velocity: Float[Array, ""]
    kl_control: Float[Array, ""]

    @property
    def kl(self) -> Float[Array, ""]:
        """KL in nats per trial."""
        return self.kl_position + self.kl_velocity + self.kl_control


def coordinated_dropout(
    key: PRNGKey, counts: Float[Array, "observed held_in"], keep_probability: float
) -> tuple[Float[Array, "observed held_in"], Bool[Array, "observed held_in"]]:
    """Return the counts that are kept, divided by the probability, and where counts were dropped."""
    # Random bits need no floating-point bounds, which would be float64 where 64-bit arrays are enabled.
    threshold = np.uint32(min(round(keep_probability * 2**32), 2**32 - 1))
    kept = jax.random.bits(key, counts.shape, jnp.uint32) < threshold
    return jnp.where(kept, counts / keep_probability, 0.0), ~kept


def unread_loss(
    model: Model, batch: Batch, key: PRNGKey, kl_weight: Float[Array, ""], *, dropout: bool = True
) -> tuple[Float[Array, ""], Terms]:
    """Return the loss, and its parts, over the entries that the model did not read.

    Args:
        model: the model.
        batch: the trials.
        key: of dropout and the posterior draw.
        kl_weight: beta.
        dropout: whether input counts are dropped. Without it only held-out neurons and forward bins count, if there
            are any, else every entry.
    """
    observed, held_in = model.config.filled()[0], model.held_in
    keep = model.config.keep_probability if dropout else 1.0
    everything = keep == 1.0 and (dropout or (held_in == model.neurons and model.config.forward_bins == 0))

    def one(counts: Array, mask: Array, own: Array) -> tuple[Array, Array, Terms]:
        drop_key, draw_key = jax.random.split(own)
        inputs = _inputs(model, counts)
        unread = jnp.full(counts.shape, True).at[:observed, :held_in].set(everything)
        if keep < 1.0:
            inputs, dropped = coordinated_dropout(drop_key, inputs, keep)
            unread = unread.at[:observed, :held_in].set(dropped)
        log_expected, kl = model(inputs, key=draw_key)
        unread = unread & mask
        nll = -jnp.sum(log_likelihood(model, counts, log_expected, unread))
        return nll, jnp.sum(unread, dtype=log_expected.dtype), Terms(nll, *kl)

    nll, entries, terms = jax.vmap(one)(*batch, jax.random.split(key, batch.counts.shape[0]))
    real = jnp.any(batch.mask, axis=(1, 2)).astype(nll.dtype)
    trials = jnp.maximum(jnp.sum(real), 1.0)
    mean_nll = jnp.sum(nll) / jnp.maximum(jnp.sum(entries), 1.0)
    parts = Terms(mean_nll, *(jnp.sum(real * kl) / trials for kl in terms[1:]))
    targets = jnp.maximum(jnp.sum(batch.mask, dtype=nll.dtype) / trials, 1.0)
    return mean_nll + kl_weight * parts.kl / targets, parts


def evidence(model: Model, batch: Batch, key: PRNGKey) -> tuple[Float[Array, " trial"], Float[Array, " trial"]]:
    """Return the evidence lower bound of each trial, with beta = 1 and no dropout, and its likelihood part [nats].

    In the official mode the KL is the consistent one, whatever the training uses: the released one makes no bound.
    Without dynamics there is no prior and so no bound: nan.
    """

    def one(counts: Array, mask: Array, own: Array) -> tuple[Array, Array]:
        encoded = model.encoder(_inputs(model, counts))
        if isinstance(model, OfficialFlow):
            latents, kl = model.infer(encoded, key=own, step_kl="consistent")
        else:
            latents, kl = model.infer(encoded, key=own)
        likelihood = jnp.sum(log_likelihood(model, counts, model.decode(latents), mask))
        bound = jnp.full_like(likelihood, jnp.nan) if isinstance(model, RecurrentAutoencoder) else likelihood - kl.total
        return bound, likelihood

    return jax.vmap(one)(*batch, jax.random.split(key, batch.counts.shape[0]))


def _inputs(model: Model, counts: Array) -> Array:
    observed, held_in = model.config.filled()[0], model.held_in
    return counts[:observed, :held_in].astype(model.config.array_dtype)
