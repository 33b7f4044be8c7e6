"""The released way to train: Adam with the L2 penalty in the gradient, linear ramps, and a plateau schedule."""

from typing import TYPE_CHECKING, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from neuro.langevinflow.config import Config
from neuro.langevinflow.objective import Batch, Terms
from neuro.langevinflow.official.model import OfficialFlow, official
from neuro.langevinflow.official.objective import released_loss
from neuro.langevinflow.state import History, TrainState
from physics.types import PRNGKey

if TYPE_CHECKING:
    import optax


class Settings(NamedTuple):
    """What stays the same within an epoch."""

    kl_weight: Float[Array, ""]
    weight_decay: Float[Array, ""]
    learning_rate: Float[Array, ""]


class ReleasedRecipe(NamedTuple):
    """How the official mode trains."""

    config: Config

    def initial(self, model: OfficialFlow) -> TrainState:
        """Return the state before the first step."""
        state = _adam(self.config).init(eqx.filter(model, eqx.is_array))
        return TrainState(model, state, jnp.zeros((), jnp.int32))

    def settings(self, history: History) -> Settings:
        """Return the weights of KL and penalty, and the learning rate, of the epoch after `history`."""
        config, dtype = self.config, self.config.array_dtype
        ramp = min(len(history) / config.release.ramp_epochs, 1.0)
        values = (ramp * config.kl_weight, ramp * config.weight_decay, plateau_rate(history.validation_nll, config))
        return Settings(*(jnp.asarray(x, dtype) for x in values))

    def step(
        self,
        state: TrainState,
        data: Batch,
        indices: Int[Array, " trial"],
        valid: Bool[Array, " trial"],
        key: PRNGKey,
        settings: Settings,
    ) -> tuple[TrainState, Terms]:
        """Return the state after one step on the chosen trials, and the parts of the objective before it."""
        return released_step(state, data, indices, valid, key, settings)

    def kl_weight(self, state: TrainState, settings: Settings) -> float:  # noqa: ARG002
        """Return beta of an epoch."""
        return float(settings.kl_weight)


def plateau_rate(losses: tuple[float, ...], config: Config) -> float:
    """Return the learning rate after epochs with these validation losses.

    It shrinks by `plateau_factor`, down to `least_learning_rate`, each time that more than `plateau_patience` epochs in
    a row were not better than the best, as PyTorch's `ReduceLROnPlateau` with a threshold of 0 does.
    """
    release, rate = config.release, config.learning_rate
    best, bad = float("inf"), 0
    for loss in losses:
        best, bad = (loss, 0) if loss < best else (best, bad + 1)
        if bad > release.plateau_patience:
            rate, bad = max(release.plateau_factor * rate, min(release.least_learning_rate, rate)), 0
    return rate


@eqx.filter_jit
def released_step(
    state: TrainState,
    data: Batch,
    indices: Int[Array, " trial"],
    valid: Bool[Array, " trial"],
    key: PRNGKey,
    settings: Settings,
) -> tuple[TrainState, Terms]:
    """Return the state after one gradient step, and the parts of the objective before it.

    Args:
        state: model, optimiser and step number.
        data: all training trials.
        indices: of the trials of this batch.
        valid: False for trials that only fill up the batch.
        key: of the run; the step number is folded in.
        settings: of the epoch.
    """
    model = official(state.model)
    batch = Batch(data.counts[indices], data.mask[indices] & valid[:, None, None])
    objective = eqx.filter_value_and_grad(released_loss, has_aux=True)
    own = jax.random.fold_in(key, state.step)
    (_, terms), gradient = objective(model, batch, own, settings.kl_weight)
    parameters = eqx.filter(model, eqx.is_array)
    penalized = jax.tree.map(lambda g, p: g + settings.weight_decay * p, gradient, parameters)
    direction, inner = _adam(model.config).update(penalized, state.optimizer)
    updates = jax.tree.map(lambda d: -settings.learning_rate * d, direction)
    return TrainState(eqx.apply_updates(model, updates), inner, state.step + 1), terms


def _adam(config: Config) -> "optax.GradientTransformation":
    import optax

    dtype = config.array_dtype.type
    # Decay rates as scalars of the model's dtype: powers of Python floats would be float64 under 64-bit.
    adam = optax.scale_by_adam(b1=dtype(0.9), b2=dtype(0.999))
    # The release clips nothing. With clipping, the slope of a kernel of zeros would wipe out the first update.
    return adam if config.clip_norm is None else optax.chain(optax.clip_by_global_norm(config.clip_norm), adam)
