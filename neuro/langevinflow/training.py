"""Training: a run is fixed by its key, keeps the best and the last model, and goes on where it was stopped."""

import dataclasses
import math
import os
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from neuro.arguments import number
from neuro.data import SpikeTrials
from neuro.langevinflow.checkpoint import Origin, load_progress, save_progress
from neuro.langevinflow.config import some_trials
from neuro.langevinflow.model import LangevinFlow, Model, a_model
from neuro.langevinflow.objective import Batch
from neuro.langevinflow.recipe import epoch_settings, initial_state, train_step
from neuro.langevinflow.state import Progress, TrainingRun
from neuro.langevinflow.validation import scored_trials, validate
from physics.errors import ConvergenceError
from physics.numerics import checks, sharding
from physics.numerics.batching import batches
from physics.types import PRNGKey, Real

if TYPE_CHECKING:
    import tqdm

COARSE_ANGLE = 1.35
"""Angle of the fastest mode per step, in radians, at which the step misplaces its frequency by a tenth; a warning then
asks for more substeps. Unstable at 2."""


def fit(
    model: Model,
    trials: SpikeTrials,
    *,
    key: PRNGKey,
    epochs: int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: Real = 60.0,
    progress: bool = True,
    devices: Sequence[jax.Device] | None = None,
) -> TrainingRun:
    """Return the models after training on the "train" trials: the best on the "val" trials, and the last.

    The official mode trains by the released recipe, with the choices of `Config.release`; see there.

    "Best" is the lowest negative log likelihood of entries that the model does not read: held-out neurons and forward
    bins where there are any, else dropped counts. Trials of the split "test" are not looked at. Equal keys give equal
    runs on equal hardware.

    With a `checkpoint` a run that was stopped, at whatever moment, goes on when it is started again by the same call,
    and ends with the same bits as one that was never stopped. A finished run is returned as it is. One that is given
    more `epochs` goes on too; the "cosine" schedule then is that of the longer run from there on, so that the learning
    rate rises again, while with "plateau" and "constant" the result is that of a run that was longer from the start.
    Early stopping ends a run for good.

    An unobserved bin is left out of the likelihood only. The encoder knows no mask: it reads the zero count that
    `SpikeTrials` holds there as silence. Where many bins of held-in neurons are unobserved, leave those neurons or
    trials out.

    Args:
        model: where to start, as `LangevinFlow.for_trials` makes it.
        trials: with splits "train" and "val".
        key: typed random key; step n uses `fold_in(key, n)`.
        epochs: passes over the training trials; those of the configuration by default.
        checkpoint: file in which the run is kept while it lasts, and from which it goes on if it exists; `load` reads
            it too.
        checkpoint_every: seconds from one writing of that file to the next; 0 writes it after every step.
        progress: whether to show a progress bar.
        devices: over which each batch is split; all local devices by default.

    Raises:
        TypeError: `model` is no model, or `trials` are no `SpikeTrials`.
        ValueError: the trials do not have the model's sizes, lack a split, or have nothing observed in one; or the
            checkpoint is of a run with another configuration, start, data or key, or has come further than `epochs`.
        FileNotFoundError: the folder of `checkpoint` does not exist.
        DataFormatError: the checkpoint is no saved run, or is damaged.
        ConvergenceError: the loss is not finite.
    """
    a_model(model)
    some_trials(trials)
    checks.typed_key(key)
    epochs = checks.positive_integer(model.config.epochs if epochs is None else epochs, "epochs")
    every = float(checks.nonnegative(np.asarray(number(checkpoint_every, "s", "checkpoint_every")), "checkpoint_every"))
    train, validation = scored_trials(model, trials, "train"), scored_trials(model, trials, "val")
    start = Progress(initial_state(model), model)
    keeper = None
    if checkpoint is not None:
        keeper = _Keeper(Path(checkpoint), every, Origin.of(model, (train, validation), key))
        start = keeper.begin(start, epochs)
    train, validation = sharding.replicate((train, validation), devices=devices)
    course = _Course(train, validation, epochs, key, devices, keeper)
    with _bar(epochs, progress, len(start.history)) as bar:
        end = course.run(start, bar)
    _warn_of_fast_modes(end.best)
    return TrainingRun(end.best, end.state.model, end.history)


@dataclasses.dataclass(frozen=True)
class _Course:
    """What a run goes through."""

    train: Batch
    validation: Batch
    epochs: int
    key: PRNGKey
    devices: Sequence[jax.Device] | None
    keeper: "_Keeper | None"

    def run(self, progress: Progress, bar: "tqdm.tqdm") -> Progress:
        """Return the end of the run."""
        watch = _Watch(progress)
        progress = dataclasses.replace(progress, state=sharding.replicate(progress.state, devices=self.devices))
        patience = progress.best.config.patience
        while (done := len(progress.history)) < self.epochs:
            if patience is not None and done and done - 1 - progress.history.best_epoch >= patience:
                break
            progress = self._epoch(progress, watch)
            met = progress.history
            bar.set_postfix(
                train=f"{met.train_nll[-1]:.4f}",
                validation=f"{met.validation_nll[-1]:.4f}",
                kl=f"{met.kl[-1]:.1f}",
                refresh=False,
            )
            bar.update()
        if self.keeper is not None:
            self.keeper.write(progress)
        return progress

    def _epoch(self, progress: Progress, watch: "_Watch") -> Progress:
        """Return the progress after the rest of an epoch."""
        step_key, order_key, validation_key = jax.random.split(self.key, 3)
        state, history, config = progress.state, progress.history, progress.best.config
        trials, met = self.train.counts.shape[0], list[tuple[Any, Any]](progress.met)
        order = np.asarray(jax.random.permutation(jax.random.fold_in(order_key, len(history)), trials))
        parts = batches(trials, config.batch_size, order.astype(np.int32))
        settings = epoch_settings(config, history, per_epoch=len(parts), epochs=self.epochs)
        for position in range(len(met), len(parts)):
            indices, mask = (jnp.asarray(x) for x in parts[position])
            chosen, valid = sharding.split((indices, mask), devices=self.devices)
            state, terms = train_step(state, self.train, chosen, valid, step_key, settings.at(position))
            met.append((terms.nll, terms.kl))
            if self.keeper is not None and self.keeper.due:
                self.keeper.write(dataclasses.replace(progress, state=state, met=_numbers(met), **watch.read()))
        nll, kl = (float(x) for x in np.mean(_numbers(met), axis=0))
        held, elbo = validate(state.model, self.validation, validation_key, self.devices)
        if not math.isfinite(nll + kl + held):
            raise ConvergenceError(f"the loss is not finite in epoch {len(history)}: lower learning_rate or clip_norm")
        times = watch.read()
        history = history.with_epoch(
            **times,
            train_nll=nll,
            kl=kl,
            kl_weight=float(settings.kl_weight[-1]),
            validation_nll=held,
            validation_elbo=elbo,
        )
        best = state.model if history.best_epoch == len(history) - 1 else progress.best
        return Progress(state, best, history, **times)


class _Watch:
    """Wall and CPU time of a run, its earlier parts included."""

    def __init__(self, progress: Progress) -> None:
        """Go on from the times of `progress`."""
        self.wall = time.perf_counter() - progress.seconds
        self.cpu = time.process_time() - progress.cpu_seconds

    def read(self) -> dict[str, Any]:
        """Return the times so far, by the names of the fields of `History`."""
        return {"seconds": time.perf_counter() - self.wall, "cpu_seconds": time.process_time() - self.cpu}


def _numbers(met: Sequence[tuple[Any, Any]]) -> tuple[tuple[float, float], ...]:
    # Read late: to read an array waits for its step.
    return tuple((float(nll), float(kl)) for nll, kl in met)


@dataclasses.dataclass
class _Keeper:
    """Writes the progress of a run into its file every now and then."""

    path: Path
    every: float
    origin: Origin
    written: float = 0.0
    """When the file was written last."""

    def begin(self, start: Progress, epochs: int) -> Progress:
        """Return the progress that the file holds; that of the start, which is written, where there is no file."""
        if self.path.exists():
            found = load_progress(self.path, start.best, self.origin)
            done = len(found.history)
            if done + (len(found.met) > 0) > epochs:
                raise ValueError(
                    f"epochs: {self.path} has {done} epochs and {len(found.met)} steps, asked for {epochs}"
                )
            start = found
        else:
            self.write(start)
        return start

    @property
    def due(self) -> bool:
        """Whether it is time to write again."""
        return time.perf_counter() - self.written >= self.every

    def write(self, progress: Progress) -> None:
        """Write the progress in the place of what the file holds."""
        save_progress(self.path, progress, self.origin)
        self.written = time.perf_counter()


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


def _bar(epochs: int, progress: bool, done: int) -> "tqdm.tqdm":
    import tqdm

    return tqdm.tqdm(total=epochs, initial=done, disable=not progress, desc="LangevinFlow", unit="epoch")
