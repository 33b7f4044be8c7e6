"""A run in one file: a line of JSON that says what it is, then its arrays. Nothing in it is executed.

A file holds the best and the last model and the history; one of a run that can go on also the optimiser's state, and
what the run started from, with which it is compared before it goes on.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PyTree

from neuro.langevinflow.config import Config
from neuro.langevinflow.model import Model, untrained
from neuro.langevinflow.objective import Batch
from neuro.langevinflow.official.options import Release
from neuro.langevinflow.recipe import initial_state
from neuro.langevinflow.state import History, Progress, TrainingRun
from physics.errors import DataFormatError
from physics.files import replacing
from physics.types import PRNGKey

FORMAT = "physneuro LangevinFlow"
VERSION = 2
_TIMES = ("seconds", "cpu_seconds")
_DAMAGE = (AttributeError, KeyError, TypeError, ValueError, RuntimeError, EOFError)
"""What a damaged file makes readers raise."""


@dataclasses.dataclass(frozen=True)
class Origin:
    """What a run starts from; two runs of equal ones are the same run, however far each has come."""

    config: dict[str, Any]
    """Of the model, without the number of epochs."""
    start: str
    """Digest of the first parameters."""
    data: str
    """Digest of the trials, those for validation included."""
    key: list[Any]
    """Kind and words of the random key."""

    @classmethod
    def of(cls, model: Model, trials: Iterable[Batch], key: PRNGKey) -> "Origin":
        """Return what this run starts from."""
        config = _plain(model.config)
        del config["epochs"]
        words = [str(jax.random.key_impl(key)), *np.asarray(jax.random.key_data(key)).ravel().tolist()]
        return cls(config, _digest(model), _digest(list(trials)), words)

    def differences(self, other: "Origin") -> list[str]:
        """Return what differs from `other`, in words."""
        fields = _flat(self.config), _flat(other.config)
        found = [
            f"{name} is {fields[0].get(name)!r}, was {fields[1].get(name)!r}"
            for name in dict.fromkeys((*fields[0], *fields[1]))
            if fields[0].get(name) != fields[1].get(name)
        ]
        what = {"start": "the model starts from other parameters", "data": "other trials", "key": "another key"}
        return found + [words for name, words in what.items() if getattr(self, name) != getattr(other, name)]


def save(path: str | os.PathLike[str], run: TrainingRun, *, overwrite: bool = False) -> None:
    """Write the models and the history of a run.

    Raises:
        FileExistsError: the file exists and `overwrite` is false.
    """
    _write(path, run.best, run.last, run.history, overwrite=overwrite)


def save_progress(path: str | os.PathLike[str], progress: Progress, origin: Origin) -> None:
    """Write all that a run needs to go on, in the place of an older file."""
    state = progress.state
    times = {name: getattr(progress, name) for name in _TIMES}
    more = {"origin": dataclasses.asdict(origin), "met": progress.met, "times": times}
    rest = (state.optimizer, state.step)
    _write(path, progress.best, state.model, progress.history, overwrite=True, more=more, rest=rest)


def load(path: str | os.PathLike[str]) -> TrainingRun:
    """Return the run that `TrainingRun.save` or the `checkpoint` of `fit` wrote: its models and its history.

    Raises:
        FileNotFoundError: there is no such file.
        DataFormatError: the file is no saved run, of another version, or damaged.
    """
    with Path(path).open("rb") as file:
        header = _header(path, file)
        try:
            fields = header["config"]
            config = Config(**(fields | {"release": Release(**fields["release"])}))
            skeleton = eqx.filter_eval_shape(
                lambda key: untrained(config, held_in=header["held_in"], mean_rate=np.ones(header["neurons"]), key=key),
                jax.random.key(0),
            )
            best, last = eqx.tree_deserialise_leaves(file, (skeleton, skeleton))
            history = _history(header)
            if "training" not in header:
                _end(file)
        except _DAMAGE as error:
            raise DataFormatError(f"{path}: the saved run is damaged or incomplete: {error}") from error
    return TrainingRun(best, last, history)


def load_progress(path: str | os.PathLike[str], model: Model, origin: Origin) -> Progress:
    """Return how far a run had come.

    Args:
        path: of a file that `save_progress` wrote.
        model: where the run starts.
        origin: what the run starts from.

    Raises:
        DataFormatError: the file is no saved run, of another version, or damaged.
        ValueError: it is of another run, or of one that cannot go on.
    """
    with Path(path).open("rb") as file:
        header = _header(path, file)
        if "training" not in header:
            raise ValueError(f"checkpoint: {path} holds the result of a run, not one that can go on; name another file")
        try:
            training = header["training"]
            differences = origin.differences(Origin(**training["origin"]))
        except _DAMAGE as error:
            raise DataFormatError(f"{path}: the saved run is damaged or incomplete: {error}") from error
        if differences:
            raise ValueError(f"checkpoint: {path} is of another run: {'; '.join(differences)}. Name another file")
        try:
            state = eqx.filter_eval_shape(initial_state, model)
            skeleton = (state.model, state.model, (state.optimizer, state.step))
            best, last, rest = eqx.tree_deserialise_leaves(file, skeleton)
            _end(file)
            met = tuple((float(nll), float(kl)) for nll, kl in training["met"])
            state = type(state)(last, *rest)
            times = {name: float(training["times"][name]) for name in _TIMES}
            return Progress(state, best, _history(header), met, **times)
        except _DAMAGE as error:
            raise DataFormatError(f"{path}: the saved run is damaged or incomplete: {error}") from error


def _write(
    path: str | os.PathLike[str],
    best: Model,
    last: Model,
    history: History,
    *,
    overwrite: bool,
    more: dict[str, Any] | None = None,
    rest: PyTree = None,
) -> None:
    header = {
        "format": FORMAT,
        "version": VERSION,
        "held_in": last.held_in,
        "neurons": last.neurons,
        "config": _plain(last.config),
        "history": dataclasses.asdict(history),
    }
    if more is not None:
        header["training"] = more
    with replacing(path, overwrite=overwrite) as temporary, temporary.open("wb") as file:
        file.write(json.dumps(header).encode() + b"\n")
        eqx.tree_serialise_leaves(file, (best, last, rest))


def _header(path: str | os.PathLike[str], file: IO[bytes]) -> dict[str, Any]:
    try:
        header = json.loads(file.readline())
        found, version = header["format"], header["version"]
    except (ValueError, TypeError, KeyError, UnicodeDecodeError):
        raise DataFormatError(f"{path}: expected a saved LangevinFlow run, found no such header") from None
    if found != FORMAT or version != VERSION:
        raise DataFormatError(f"{path}: expected {FORMAT!r} of version {VERSION}, found {found!r} {version!r}")
    return header


def _history(header: dict[str, Any]) -> History:
    return History(**{name: tuple(values) for name, values in header["history"].items()})


def _end(file: IO[bytes]) -> None:
    if file.read(1):
        raise ValueError("there is more in the file than the run")


def _plain(config: Config) -> dict[str, Any]:
    """Return the fields as they come back from JSON."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def _flat(fields: dict[str, Any]) -> dict[str, Any]:
    release = {f"release.{name}": value for name, value in fields["release"].items()}
    return {name: value for name, value in fields.items() if name != "release"} | release


def _digest(tree: PyTree) -> str:
    """Return a digest of dtypes, shapes and values of the arrays of a tree."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_array)):
        array = np.ascontiguousarray(leaf)
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
