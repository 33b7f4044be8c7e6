r"""The released objective: the mean over all entries of $e^r - y r$, plus $\beta$ times the KL of a whole trial.

The likelihood is a mean and the KL a sum, so that relative to an evidence bound the KL weighs `kl_weight` times the
number of entries of a trial, some 800 for MC_Maze at 20 ms.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from neuro.langevinflow.objective import Batch, Terms, coordinated_dropout
from neuro.langevinflow.official.dropout import bernoulli
from neuro.langevinflow.official.model import OfficialFlow
from physics.numerics.likelihood import poisson_log_likelihood
from physics.types import PRNGKey


def released_loss(
    model: OfficialFlow, batch: Batch, key: PRNGKey, kl_weight: Float[Array, ""]
) -> tuple[Float[Array, ""], Terms]:
    """Return the training loss, and its parts.

    Entries of the input carry gradient if they were dropped, or if a draw of `Release.pass_probability` says so; all
    others count in the value only. Held-out neurons and forward bins always carry gradient.

    Args:
        model: the model.
        batch: the trials.
        key: of coordinated dropout, dropout and the posterior draw.
        kl_weight: beta.
    """
    release = model.config.release
    observed, held_in = model.config.filled()[0], model.held_in

    def one(counts: Array, mask: Array, own: Array) -> tuple[Array, Array]:
        input_key, pass_key, draw_key = jax.random.split(own, 3)
        inputs, carries = _read(model, counts, input_key, pass_key)
        log_expected, kl = model(inputs, key=draw_key, dropout=release.dropout > 0.0)
        block = log_expected[:observed, :held_in]
        block = jnp.where(carries, block, jax.lax.stop_gradient(block))
        log_expected = log_expected.at[:observed, :held_in].set(block)
        return _released_nll(counts, log_expected, mask), jnp.stack(kl)

    nll, kl = jax.vmap(one)(*batch, jax.random.split(key, batch.counts.shape[0]))
    real = jnp.any(batch.mask, axis=(1, 2)).astype(nll.dtype)
    parts = jnp.sum(real[:, None] * kl, axis=0) / jnp.maximum(jnp.sum(real), 1.0)
    entries = jnp.maximum(jnp.sum(batch.mask, dtype=nll.dtype), 1.0)
    mean_nll = jnp.sum(nll) / entries
    unit = 1.0 if release.kl_unit == "trial" else batch.counts.shape[1] * model.neurons
    reported = mean_nll + jnp.sum(_log_factorial(batch.counts, batch.mask, nll.dtype)) / entries
    return mean_nll + kl_weight * jnp.sum(parts) / unit, Terms(reported, *parts)


def validation_loss(model: OfficialFlow, batch: Batch, key: PRNGKey) -> Float[Array, ""]:
    """Return the released validation loss, the mean over all entries, with the log factorial and no dropout.

    It scores what the model read. Forward counts of held-out neurons are replaced by randomly thinned ones.
    """
    observed, held_in = model.config.filled()[0], model.held_in
    keep = model.config.release.validation_keep

    def one(counts: Array, mask: Array, own: Array) -> Array:
        thin_key, draw_key = jax.random.split(own)
        log_expected, _ = model(_inputs(model, counts), key=draw_key)
        block = counts[observed:, held_in:]
        thinned = jnp.where(bernoulli(thin_key, block.shape, keep), block.astype(log_expected.dtype) / keep, 0.0)
        target = counts.astype(log_expected.dtype).at[observed:, held_in:].set(thinned)
        return -jnp.sum(poisson_log_likelihood(target, log_expected, mask))

    nll = jax.vmap(one)(*batch, jax.random.split(key, batch.counts.shape[0]))
    return jnp.sum(nll) / jnp.maximum(jnp.sum(batch.mask, dtype=nll.dtype), 1.0)


def _read(
    model: OfficialFlow, counts: Int[Array, "time neuron"], input_key: PRNGKey, pass_key: PRNGKey
) -> tuple[Float[Array, "observed held_in"], Bool[Array, "observed held_in"]]:
    """Return the inputs of a training pass, and which of them carry gradient as targets."""
    keep, inputs = model.config.keep_probability, _inputs(model, counts)
    if keep == 1.0:
        return inputs, jnp.full(inputs.shape, True)
    inputs, dropped = coordinated_dropout(input_key, inputs, keep)
    passing = model.config.release.pass_probability
    return inputs, dropped | bernoulli(pass_key, inputs.shape, 1.0 - keep if passing is None else passing)


def _inputs(model: OfficialFlow, counts: Array) -> Array:
    return counts[: model.config.filled()[0], : model.held_in].astype(model.config.array_dtype)


def _released_nll(counts: Array, log_expected: Array, mask: Array) -> Array:
    """Return the sum of exp(r) - y r over the observed entries."""
    y = jnp.where(mask, counts, 0).astype(log_expected.dtype)
    return jnp.sum(jnp.where(mask, jnp.exp(log_expected) - y * log_expected, 0.0))


def _log_factorial(counts: Array, mask: Array, dtype: jnp.dtype) -> Array:
    return jax.lax.lgamma(jnp.where(mask, counts, 0).astype(dtype) + 1.0)
