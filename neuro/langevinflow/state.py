"""What training keeps: the state between two steps, what was measured after each epoch, and the models it ends with."""

import dataclasses
import os

import equinox as eqx
import numpy as np
from jaxtyping import Array, Int, PyTree

from neuro.langevinflow.model import Model
from physics.files import replacing


class TrainState(eqx.Module):
    """What a training step changes."""

    model: Model
    optimizer: PyTree
    step: Int[Array, ""]


@dataclasses.dataclass(frozen=True)
class History:
    """What was measured after each epoch; every field has one number per epoch."""

    seconds: tuple[float, ...] = ()
    """Wall time since the start of the run, compilation included; of a run that was stopped, without the breaks."""
    cpu_seconds: tuple[float, ...] = ()
    """CPU time of the process in that time, over all its threads."""
    train_nll: tuple[float, ...] = ()
    """Mean over the epoch of the negative log likelihood per unread entry [nats], with the log factorial."""
    kl: tuple[float, ...] = ()
    """Mean over the epoch of the KL divergence [nats per trial]."""
    kl_weight: tuple[float, ...] = ()
    """Weight of the KL at the end of the epoch."""
    validation_nll: tuple[float, ...] = ()
    """Negative log likelihood per unread entry of the validation trials [nats]; the model is chosen by it."""
    validation_elbo: tuple[float, ...] = ()
    """Evidence lower bound of the validation trials, with KL weight 1 and no dropout [nats per trial]."""

    def __len__(self) -> int:
        """Return the number of epochs."""
        return len(self.seconds)

    @property
    def best_epoch(self) -> int:
        """Index of the epoch with the lowest validation loss."""
        return int(np.argmin(self.validation_nll))

    def with_epoch(self, **values: float) -> "History":
        """Return the history with one more epoch."""
        return History(**{name: (*getattr(self, name), float(x)) for name, x in values.items()})

    def write(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the epochs as CSV, one row each.

        Raises:
            FileExistsError: the file exists and `overwrite` is false.
        """
        names = [field.name for field in dataclasses.fields(self)]
        with replacing(path, overwrite=overwrite) as temporary:
            table = zip(range(len(self)), *(getattr(self, name) for name in names), strict=True)
            rows = [",".join(["epoch", *names]), *(",".join(map(repr, row)) for row in table)]
            temporary.write_text("\n".join(rows) + "\n")


@dataclasses.dataclass(frozen=True)
class Progress:
    """All that a run needs to go on as if it had not stopped."""

    state: TrainState
    best: Model
    """After the epoch with the lowest validation loss so far."""
    history: History = History()
    met: tuple[tuple[float, float], ...] = ()
    """Training loss and KL of the steps of the epoch under way."""
    seconds: float = 0.0
    """Wall time so far."""
    cpu_seconds: float = 0.0


@dataclasses.dataclass(frozen=True)
class TrainingRun:
    """Trained models and how the training went."""

    best: Model
    """After the epoch with the lowest validation loss."""
    last: Model
    """After the last epoch."""
    history: History

    @property
    def model(self) -> Model:
        """The model to use: the best one; in the official mode the last one, unless `Release.keep` is "best"."""
        config = self.best.config
        return self.last if config.mode == "official" and config.release.keep == "last" else self.best

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write models and history into one file, which `load` reads.

        Raises:
            FileExistsError: the file exists and `overwrite` is false.
        """
        from neuro.langevinflow.checkpoint import save

        save(path, self, overwrite=overwrite)
