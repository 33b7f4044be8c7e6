"""What a model is chosen by: the loss of the validation trials, of entries that the model does not read."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from neuro.data import SpikeTrials
from neuro.langevinflow.model import Model
from neuro.langevinflow.objective import Batch, evidence, unread_loss, whole_batch
from neuro.langevinflow.official.model import OfficialFlow
from neuro.langevinflow.official.objective import validation_loss
from physics.numerics import sharding
from physics.numerics.batching import batches
from physics.types import PRNGKey


def scored_trials(model: Model, trials: SpikeTrials, split: str) -> Batch:
    """Return the trials of a split, those for validation with a mask of what is scored."""
    if split not in trials.split:
        raise ValueError(f"trials: no trial has the split {split!r}; trials.with_split(key=key) makes one")
    batch = whole_batch(model, trials.select(split=split))
    scored = np.array(batch.mask)
    if split == "val" and _never_reads_all(model) and not _scores_what_it_reads(model):
        scored[:, : trials.observed_bins, : model.held_in] = False
    if not scored.any():
        what = "no held-out neuron or forward bin" if batch.mask.any() else "no bin"
        raise ValueError(f"trials: {what} of the split {split!r} is observed, so that there is nothing to score")
    return batch


def validate(model: Model, data: Batch, key: PRNGKey, devices: Sequence[jax.Device] | None) -> tuple[float, float]:
    """Return the loss and the bound of the validation trials; the draws are the same in every epoch."""
    totals = np.zeros(3)
    for number, (indices, mask) in enumerate(batches(data.counts.shape[0], model.config.batch_size)):
        part = Batch(data.counts[indices], data.mask[indices] & jnp.asarray(mask)[:, None, None])
        part = sharding.split(part, devices=devices)
        totals += [float(x) for x in _validation_step(model, part, jax.random.fold_in(key, number))]
    return totals[0] / totals[2], totals[1] / totals[2]


@eqx.filter_jit
def _validation_step(model: Model, batch: Batch, key: PRNGKey) -> tuple[Array, Array, Array]:
    """Return sums over a batch: loss times trials, bound, trials."""
    zero = jnp.zeros((), model.config.array_dtype)
    if isinstance(model, OfficialFlow) and _scores_what_it_reads(model):
        loss = validation_loss(model, batch, key)
    else:
        loss, _ = unread_loss(model, batch, key, zero, dropout=not _never_reads_all(model))
    bound, _ = evidence(model, batch, key)
    real = jnp.any(batch.mask, axis=(1, 2)).astype(bound.dtype)
    return loss * jnp.sum(real), jnp.sum(bound * real), jnp.sum(real)


def _scores_what_it_reads(model: Model) -> bool:
    """Return whether validation is the released one, of all entries."""
    return model.config.mode == "official" and model.config.release.validation == "released"


def _never_reads_all(model: Model) -> bool:
    """Return whether there are held-out neurons or forward bins; validation then scores those only."""
    return model.held_in < model.neurons or model.config.filled()[1] > 0
