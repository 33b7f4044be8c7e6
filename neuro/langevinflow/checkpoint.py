"""A trained model in one file: a line of JSON that says what it is, then its arrays. Nothing in it is executed."""

import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import equinox as eqx
import jax
import numpy as np

from neuro.langevinflow.config import Config
from neuro.langevinflow.model import untrained
from neuro.langevinflow.official.options import Release
from physics.errors import DataFormatError
from physics.files import replacing

if TYPE_CHECKING:
    from neuro.langevinflow.training import TrainingRun

FORMAT = "physneuro LangevinFlow"
VERSION = 1


def save(path: str | os.PathLike[str], run: "TrainingRun", *, overwrite: bool = False) -> None:
    """Write the model and the history of a run.

    Raises:
        FileExistsError: the file exists and `overwrite` is false.
    """
    model = run.model
    header = {
        "format": FORMAT,
        "version": VERSION,
        "held_in": model.held_in,
        "neurons": model.neurons,
        "config": dataclasses.asdict(model.config),
        "history": dataclasses.asdict(run.history),
    }
    with replacing(path, overwrite=overwrite) as temporary, temporary.open("wb") as file:
        file.write(json.dumps(header).encode() + b"\n")
        eqx.tree_serialise_leaves(file, model)


def load(path: str | os.PathLike[str]) -> "TrainingRun":
    """Return the run that `TrainingRun.save` wrote: its model and its history.

    Raises:
        FileNotFoundError: there is no such file.
        DataFormatError: the file is no saved model, of a newer version, or damaged.
    """
    from neuro.langevinflow.state import History
    from neuro.langevinflow.training import TrainingRun

    with Path(path).open("rb") as file:
        header = _header(path, file.readline())
        try:
            fields = header["config"]
            config = Config(**(fields | {"release": Release(**fields.get("release", {}))}))
            history = History(**{name: tuple(values) for name, values in header["history"].items()})
            skeleton = eqx.filter_eval_shape(
                lambda key: untrained(config, held_in=header["held_in"], mean_rate=np.ones(header["neurons"]), key=key),
                jax.random.key(0),
            )
            model = eqx.tree_deserialise_leaves(file, skeleton)
            if file.read(1):
                raise ValueError("there is more in the file than the model")
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError, EOFError) as error:
            raise DataFormatError(f"{path}: the saved model is damaged or incomplete: {error}") from error
    return TrainingRun(model, history)


def _header(path: str | os.PathLike[str], line: bytes) -> dict:
    try:
        header = json.loads(line)
        found, version = header["format"], header["version"]
    except (ValueError, TypeError, KeyError, UnicodeDecodeError):
        raise DataFormatError(f"{path}: expected a saved LangevinFlow model, found no such header") from None
    if found != FORMAT or type(version) is not int or not 1 <= version <= VERSION:
        raise DataFormatError(f"{path}: expected {FORMAT!r} up to version {VERSION}, found {found!r} {version!r}")
    return header
