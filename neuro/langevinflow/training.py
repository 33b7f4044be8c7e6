"""Training: the whole step is one compiled function; a run is fixed by its key and keeps the best model it met."""

import dataclasses
import math
import os
import time
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from neuro.data import SpikeTrials
from neuro.langevinflow.config import Config, some_trials
from neuro.langevinflow.model import LangevinFlow, Model, a_model
from neuro.langevinflow.objective import Batch, Terms, evidence, unread_loss, whole_batch
from neuro.langevinflow.official.model import OfficialFlow
from neuro.langevinflow.official.objective import validation_loss
from neuro.langevinflow.official.recipe import ReleasedRecipe
from neuro.langevinflow.state import History, TrainState
from physics.errors import ConvergenceError
from physics.numerics import checks, sharding
from physics.numerics.batching import batches
from physics.types import PRNGKey

if TYPE_CHECKING:
    import optax
    import tqdm

COARSE_ANGLE = 1.35
"""Angle of the fastest mode per step, in radians, at which the step misplaces its frequency by a tenth; a warning then
asks for more substeps. Unstable at 2."""


@dataclasses.dataclass(frozen=True)
class TrainingRun:
    """A trained model, the best by validation loss, and how the training went.

    In the official mode the model is that of the last epoch, as released, unless `Release.keep` is "best".
    """

    model: Model
    history: History

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write model and history into one file, which `load` reads.

        Raises:
            FileExistsError: the file exists and `overwrite` is false.
        """
        from neuro.langevinflow.checkpoint import save

        save(path, self, overwrite=overwrite)


class PhysicalRecipe(NamedTuple):
    """How the physical mode trains: AdamW with a cosine schedule by step."""

    config: Config
    steps: int
    """Of the whole run."""

    def initial(self, model: Model) -> TrainState:
        """Return the state before the first step."""
        return _initial(model, learning_rate(self.config, self.steps))

    def settings(self, history: History) -> None:
        """Return what stays the same within an epoch: nothing here."""

    def step(
        self,
        state: TrainState,
        data: Batch,
        indices: Array,
        valid: Array,
        key: PRNGKey,
        settings: None,  # noqa: ARG002
    ) -> tuple[TrainState, Terms]:
        """Return the state after one step, and the parts of the objective before it."""
        return train_step(state, data, indices, valid, key, self.steps)

    def kl_weight(self, state: TrainState, settings: None) -> float:  # noqa: ARG002
        """Return beta at the end of an epoch."""
        return float(kl_weight(self.config, state.step))


def fit(
    model: Model,
    trials: SpikeTrials,
    *,
    key: PRNGKey,
    epochs: int | None = None,
    progress: bool = True,
    devices: Sequence[jax.Device] | None = None,
) -> TrainingRun:
    """Return the model after training on the "train" trials, at the epoch that does best on the "val" trials.

    The official mode trains by the released recipe, with the choices of `Config.release`; see there.

    "Best" is the lowest negative log likelihood of entries that the model does not read: held-out neurons and forward
    bins where there are any, else dropped counts. Trials of the split "test" are not looked at. Equal keys give equal
    runs on equal hardware.

    An unobserved bin is left out of the likelihood only. The encoder knows no mask: it reads the zero count that
    `SpikeTrials` holds there as silence. Where many bins of held-in neurons are unobserved, leave those neurons or
    trials out.

    Args:
        model: where to start, as `LangevinFlow.for_trials` makes it.
        trials: with splits "train" and "val".
        key: typed random key; step n uses `fold_in(key, n)`.
        epochs: passes over the training trials; those of the configuration by default.
        progress: whether to show a progress bar.
        devices: over which each batch is split; all local devices by default.

    Raises:
        TypeError: `model` is no model, or `trials` are no `SpikeTrials`.
        ValueError: the trials do not have the model's sizes, lack a split, or have nothing observed in one.
        ConvergenceError: the loss is not finite.
    """
    a_model(model)
    some_trials(trials)
    checks.typed_key(key)
    epochs = checks.positive_integer(model.config.epochs if epochs is None else epochs, "epochs")
    train, validation = _part(model, trials, "train"), _part(model, trials, "val")
    config, started = model.config, time.perf_counter()
    per_epoch = math.ceil(train.counts.shape[0] / config.batch_size)
    recipe: Any = PhysicalRecipe(config, per_epoch * epochs)
    if config.mode == "official":
        recipe = ReleasedRecipe(config)
    state = sharding.replicate(recipe.initial(model), devices=devices)
    train, validation = sharding.replicate((train, validation), devices=devices)
    step_key, order_key, validation_key = jax.random.split(key, 3)
    history, best = History(), state.model
    with _bar(epochs, progress) as bar:
        for epoch in range(epochs):
            order = np.asarray(jax.random.permutation(jax.random.fold_in(order_key, epoch), train.counts.shape[0]))
            met, settings = [], recipe.settings(history)
            for indices, mask in batches(len(order), config.batch_size, order.astype(np.int32)):
                chosen, valid = sharding.split((jnp.asarray(indices), jnp.asarray(mask)), devices=devices)
                state, terms = recipe.step(state, train, chosen, valid, step_key, settings)
                met.append(terms)
            nll, kl = (float(np.mean([float(getattr(t, name)) for t in met])) for name in ("nll", "kl"))
            held, elbo = _validate(state.model, validation, validation_key, devices)
            if not math.isfinite(nll + kl + held):
                raise ConvergenceError(f"the loss is not finite in epoch {epoch}: lower learning_rate or clip_norm")
            history = history.with_epoch(
                seconds=time.perf_counter() - started,
                train_nll=nll,
                kl=kl,
                kl_weight=recipe.kl_weight(state, settings),
                validation_nll=held,
                validation_elbo=elbo,
            )
            if history.best_epoch == epoch or _keeps_last(config):
                best = state.model
            bar.set_postfix(train=f"{nll:.4f}", validation=f"{held:.4f}", kl=f"{kl:.1f}", refresh=False)
            bar.update()
            if config.patience is not None and epoch - history.best_epoch >= config.patience:
                break
    _warn_of_fast_modes(best)
    return TrainingRun(best, history)


def kl_weight(config: Config, step: Int[Array, ""]) -> Float[Array, ""]:
    """Return beta at a training step: it grows linearly from 0 over the warm-up."""
    done = step.astype(config.array_dtype) / config.warm_up_steps
    return config.kl_weight * jnp.minimum(done, 1.0)


def learning_rate(config: Config, steps: int) -> "optax.Schedule":
    """Return the learning rate by step: up over a twentieth of the run, at most 100 steps, and down as a cosine."""
    import optax

    rise = min(max(steps // 20, 1), 100)
    peak = config.learning_rate
    schedule = optax.warmup_cosine_decay_schedule(0.1 * peak, peak, rise, max(steps, rise + 1), 0.01 * peak)
    # The integer count divided inside would be float64 where 64-bit arrays are enabled.
    return lambda count: schedule(count.astype(config.array_dtype))


@eqx.filter_jit
def train_step(
    state: TrainState,
    data: Batch,
    indices: Int[Array, " trial"],
    valid: Bool[Array, " trial"],
    key: PRNGKey,
    steps: int,
) -> tuple[TrainState, Terms]:
    """Return the state after one gradient step on the chosen trials, and the parts of the objective before it.

    Args:
        state: model, optimiser and step number.
        data: all training trials.
        indices: of the trials of this batch.
        valid: False for trials that only fill up the batch.
        key: of the run; the step number is folded in.
        steps: of the whole run, for the schedule.
    """
    config = state.model.config
    batch = Batch(data.counts[indices], data.mask[indices] & valid[:, None, None])
    objective = eqx.filter_value_and_grad(unread_loss, has_aux=True)
    own = jax.random.fold_in(key, state.step)
    (_, terms), gradient = objective(state.model, batch, own, kl_weight(config, state.step))
    optimizer = _optimizer(config, learning_rate(config, steps))
    updates, inner = optimizer.update(gradient, state.optimizer, eqx.filter(state.model, eqx.is_array))
    return TrainState(eqx.apply_updates(state.model, updates), inner, state.step + 1), terms


def _optimizer(config: Config, schedule: "optax.Schedule") -> "optax.GradientTransformation":
    import optax

    dtype = config.array_dtype.type
    return optax.chain(
        optax.identity() if config.clip_norm is None else optax.clip_by_global_norm(config.clip_norm),
        # Decay rates as scalars of the model's dtype: powers of Python floats would be float64 under 64-bit.
        optax.adamw(schedule, b1=dtype(0.9), b2=dtype(0.999), weight_decay=config.weight_decay, mask=_decays),
    )


def _decays(model: Model) -> PyTree:
    """Return where weight decay applies: matrices, but not the potential, whose zero means nothing."""
    matrices = jax.tree.map(lambda x: x.ndim > 1, model)
    if not isinstance(model, LangevinFlow):
        return matrices
    return eqx.tree_at(lambda m: m.potential, matrices, jax.tree.map(lambda _: False, model.potential))


def _initial(model: Model, schedule: "optax.Schedule") -> TrainState:
    state = _optimizer(model.config, schedule).init(eqx.filter(model, eqx.is_array))
    return TrainState(model, state, jnp.zeros((), jnp.int32))


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


def _validate(model: Model, data: Batch, key: PRNGKey, devices: Sequence[jax.Device] | None) -> tuple[float, float]:
    """Return the loss and the bound of the validation trials; the draws are the same in every epoch."""
    totals = np.zeros(3)
    for number, (indices, mask) in enumerate(batches(data.counts.shape[0], model.config.batch_size)):
        part = Batch(data.counts[indices], data.mask[indices] & jnp.asarray(mask)[:, None, None])
        part = sharding.split(part, devices=devices)
        totals += [float(x) for x in _validation_step(model, part, jax.random.fold_in(key, number))]
    return totals[0] / totals[2], totals[1] / totals[2]


def _part(model: Model, trials: SpikeTrials, split: str) -> Batch:
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


def _keeps_last(config: Config) -> bool:
    return config.mode == "official" and config.release.keep == "last"


def _scores_what_it_reads(model: Model) -> bool:
    """Return whether validation is the released one, of all entries."""
    return model.config.mode == "official" and model.config.release.validation == "released"


def _never_reads_all(model: Model) -> bool:
    """Return whether there are held-out neurons or forward bins; validation then scores those only."""
    return model.held_in < model.neurons or model.config.filled()[1] > 0


def _warn_of_fast_modes(model: Model) -> None:
    if not isinstance(model, LangevinFlow):
        return
    _, _, bin_width = model.config.filled()
    fastest = model.potential.omega * jnp.sqrt(jnp.max(model.potential.stiffness(model.config.sites), axis=1))
    angle = float(jnp.max(fastest)) * bin_width / model.config.substeps
    if angle > COARSE_ANGLE:
        warnings.warn(
            f"the fastest mode turns by {angle:.2f} rad per step (unstable at 2): more substeps than "
            f"{model.config.substeps} would follow it better",
            stacklevel=3,
        )


def _bar(epochs: int, progress: bool) -> "tqdm.tqdm":
    import tqdm

    return tqdm.tqdm(total=epochs, disable=not progress, desc="LangevinFlow", unit="epoch")
