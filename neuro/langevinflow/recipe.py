"""One training step, compiled, and what it goes by: the weight of the KL, weight decay and the learning rate by step.

Adam in both modes. The physical mode decays matrices apart from the gradient (AdamW) and counts its warm-up in steps;
the official mode adds the L2 penalty of every parameter to the gradient and counts epochs, as released.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from neuro.langevinflow.config import Config
from neuro.langevinflow.model import LangevinFlow, Model
from neuro.langevinflow.objective import Batch, Terms, unread_loss
from neuro.langevinflow.official.model import OfficialFlow
from neuro.langevinflow.official.objective import released_loss
from neuro.langevinflow.state import History, TrainState
from physics.types import PRNGKey

if TYPE_CHECKING:
    import optax


class Settings(NamedTuple):
    """What a step goes by, in the model's dtype; with a leading axis, that of every step of an epoch."""

    kl_weight: Float[Array | np.ndarray, "*step"]
    """beta"""
    weight_decay: Float[Array | np.ndarray, "*step"]
    learning_rate: Float[Array | np.ndarray, "*step"]

    def at(self, position: int) -> "Settings":
        """Return those of one step."""
        return Settings(*(x[position] for x in self))


def epoch_settings(config: Config, history: History, *, per_epoch: int, epochs: int) -> Settings:
    """Return what the steps of the epoch after `history` go by.

    Args:
        config: of the model.
        history: of the epochs before.
        per_epoch: steps of an epoch.
        epochs: of the whole run, for the cosine schedule.
    """
    steps = np.arange(per_epoch, dtype=np.int32) + np.int32(per_epoch * len(history))
    decay = config.weight_decay
    if config.mode == "official":
        ramp = min(len(history) / config.release.ramp_epochs, 1.0)
        weight, decay = np.full(per_epoch, ramp * config.kl_weight), ramp * decay
    else:
        weight = config.kl_weight * np.minimum(steps / config.warm_up_steps, 1.0)
    if config.schedule == "cosine":
        rate = cosine_rates(config, steps, per_epoch * epochs)
    else:
        losses = history.validation_nll if config.schedule == "plateau" else ()
        rate = np.full(per_epoch, plateau_rate(losses, config))
    return Settings(*(np.asarray(x, config.array_dtype) for x in (weight, np.full(per_epoch, decay), rate)))


def cosine_rates(config: Config, steps: Int[np.ndarray, " step"], total: int) -> Float[np.ndarray, " step"]:
    """Return the learning rate at steps: up over a twentieth of the run, at most 100 steps, and down as a cosine."""
    import optax

    rise = min(max(total // 20, 1), 100)
    peak = config.learning_rate
    schedule = optax.warmup_cosine_decay_schedule(0.1 * peak, peak, rise, max(total, rise + 1), 0.01 * peak)
    # Whole numbers would be divided in 64 bits where those are enabled, and a run's bits would depend on it.
    return np.asarray(schedule(jnp.asarray(steps, config.array_dtype)))


def plateau_rate(losses: tuple[float, ...], config: Config) -> float:
    """Return the learning rate after epochs with these validation losses.

    It shrinks by `plateau_factor`, down to `least_learning_rate`, each time that more than `plateau_patience` epochs in
    a row were not better than the best, as PyTorch's `ReduceLROnPlateau` with a threshold of 0 does.
    """
    rate, best, bad = config.learning_rate, float("inf"), 0
    for loss in losses:
        best, bad = (loss, 0) if loss < best else (best, bad + 1)
        if bad > config.plateau_patience:
            rate, bad = max(config.plateau_factor * rate, min(config.least_learning_rate, rate)), 0
    return rate


def initial_state(model: Model) -> TrainState:
    """Return the state before the first step."""
    nothing = Settings(*np.zeros(3, model.config.array_dtype))
    optimizer = _direction(model.config, nothing).init(eqx.filter(model, eqx.is_array))
    return TrainState(model, optimizer, jnp.zeros((), jnp.int32))


@eqx.filter_jit
def train_step(
    state: TrainState,
    data: Batch,
    indices: Int[Array, " trial"],
    valid: Bool[Array, " trial"],
    key: PRNGKey,
    settings: Settings,
) -> tuple[TrainState, Terms]:
    """Return the state after one gradient step on the chosen trials, and the parts of the objective before it.

    Args:
        state: model, optimiser and step number.
        data: all training trials.
        indices: of the trials of this batch.
        valid: False for trials that only fill up the batch.
        key: of the run; the step number is folded in.
        settings: of this step.
    """
    model = state.model
    batch = Batch(data.counts[indices], data.mask[indices] & valid[:, None, None])
    loss: Any = released_loss if isinstance(model, OfficialFlow) else unread_loss
    objective = eqx.filter_value_and_grad(loss, has_aux=True)
    (_, terms), gradient = objective(model, batch, jax.random.fold_in(key, state.step), settings.kl_weight)
    parameters = eqx.filter(model, eqx.is_array)
    direction, inner = _direction(model.config, settings).update(gradient, state.optimizer, parameters)
    updates = jax.tree.map(lambda d: -settings.learning_rate * d, direction)
    return TrainState(eqx.apply_updates(model, updates), inner, state.step + 1), terms


def _direction(config: Config, settings: Settings) -> "optax.GradientTransformation":
    """Return what makes of a gradient the direction that is multiplied by minus the learning rate."""
    import optax

    dtype = config.array_dtype.type
    # Decay rates as scalars of the model's dtype: powers of Python floats would be float64 under 64-bit.
    adam = optax.scale_by_adam(b1=dtype(0.9), b2=dtype(0.999))
    # Clipped with the slope of the released kernel of zeros, 1e8, a first update would move nothing else.
    clip = optax.identity() if config.clip_norm is None else optax.clip_by_global_norm(config.clip_norm)
    if config.mode == "official":
        return optax.chain(clip, optax.add_decayed_weights(settings.weight_decay), adam)
    return optax.chain(clip, adam, optax.add_decayed_weights(settings.weight_decay, mask=decays))


def decays(model: Model) -> PyTree:
    """Return where weight decay applies: matrices, but not the potential, whose zero means nothing."""
    matrices = jax.tree.map(lambda x: x.ndim > 1, model)
    if not isinstance(model, LangevinFlow):
        return matrices
    return eqx.tree_at(lambda m: m.potential, matrices, jax.tree.map(lambda _: False, model.potential))
