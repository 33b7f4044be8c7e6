"""Parameters under the names of the released state dict: loading them, and reading a model by them."""

import dataclasses
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from neuro.langevinflow.config import Config
from neuro.langevinflow.official.model import OfficialFlow
from neuro.langevinflow.official.options import RELEASED
from physics.errors import DataFormatError

PREFIX = "weight/"
_LAYERS = {
    "linear_z_means": "encoder.position_mean",
    "linear_z_logvar": "encoder.position_log_variance",
    "linear_v_means": "encoder.velocity_mean",
    "linear_v_logvar": "encoder.velocity_log_variance",
    "decoder.self_attn.out_proj": "decoder.out_proj",
    "decoder.linear1": "decoder.linear1",
    "decoder.linear2": "decoder.linear2",
    "decoder.norm1": "decoder.norm1",
    "decoder.norm2": "decoder.norm2",
    "readout": "decoder.readout",
}
NAMES = {
    **{f"encoder.{name}": f"encoder.cell.{name}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")},
    **{f"{name}.{part}": f"{place}.{part}" for name, place in _LAYERS.items() for part in ("weight", "bias")},
    "potential.conv_z": "kernel",
    "decoder.self_attn.in_proj_weight": "decoder.in_proj_weight",
    "decoder.self_attn.in_proj_bias": "decoder.in_proj_bias",
}
"""Where in the model each array of the released state dict is."""


def state_dict(model: OfficialFlow) -> dict[str, Any]:
    """Return the arrays of a model, of a gradient by it, or their shapes, by their released names."""
    return {name: _at(model, place) for name, place in NAMES.items()}


def load_official_weights(
    source: str | os.PathLike[str] | Mapping[str, Any], *, config: Config | None = None
) -> OfficialFlow:
    """Return the model with released weights.

    Sizes are read from the arrays. In double precision where the file is and 64-bit arrays are enabled, else in single;
    a `config` decides by its own dtype.

    Args:
        source: an .npz file, or what `numpy.load` makes of it, with keys "weight/NAME" for every name of the released
            state dict, and if it has them "gamma", "step" and "t_fwd" (forward bins).
        config: of mode "official", for what the weights do not tell: forward and observed bins, bin width, training.
            Its width must be that of the weights.

    Raises:
        FileNotFoundError: there is no such file.
        DataFormatError: the file is no .npz, an array is missing or has a wrong shape; it is named.
        ValueError: the configuration contradicts the weights.
    """
    if isinstance(source, str | os.PathLike):
        where, arrays = str(source), _arrays(Path(source))
    else:
        where, arrays = "weights", {name: np.asarray(source[name]) for name in source}
    missing = sorted(name for name in NAMES if PREFIX + name not in arrays)
    if missing:
        raise DataFormatError(f"{where}: expected the arrays {PREFIX}NAME of a released model, missing: {missing}")
    weights = {name: arrays[PREFIX + name] for name in NAMES}
    config = _config(where, arrays, weights, config)
    sizes = {"held_in": _axis(where, weights, "encoder.weight_ih", 1), "neurons": len(weights["readout.weight"])}
    skeleton = eqx.filter_eval_shape(lambda key: OfficialFlow(config, **sizes, key=key), jax.random.key(0))
    for name, expected in state_dict(skeleton).items():
        found = weights[name]
        if found.shape != expected.shape or found.dtype.kind != "f":
            raise DataFormatError(
                f"{where}: {PREFIX}{name}: expected floating-point numbers of the shape {expected.shape}, "
                f"got {found.dtype} of {found.shape}"
            )
        if not np.isfinite(found).all():
            raise DataFormatError(f"{where}: {PREFIX}{name}: expected finite numbers")
    values = [jnp.asarray(weights[name], config.array_dtype) for name in NAMES]
    return eqx.tree_at(lambda m: list(state_dict(m).values()), skeleton, values)


def _config(where: str, arrays: dict, weights: dict, config: Config | None) -> Config:
    width = _axis(where, weights, "encoder.weight_hh", 1)
    if config is None:
        known = {"friction": "gamma", "step": "step"}
        constants: dict[str, Any] = {field: float(arrays[key]) for field, key in known.items() if key in arrays}
        double = weights["encoder.weight_hh"].dtype == np.float64 and jnp.result_type(float) == jnp.float64
        try:
            return Config(
                mode="official",
                latent_width=width,
                feed_forward_width=_axis(where, weights, "decoder.linear1.weight", 0),
                forward_bins=int(arrays["t_fwd"]) if "t_fwd" in arrays else None,
                dtype="float64" if double else "float32",
                release=dataclasses.replace(RELEASED, **constants),
            )
        except ValueError as error:
            raise DataFormatError(f"{where}: these are no weights of the released model: {error}") from error
    if config.mode != "official" or config.latent_width != width:
        raise ValueError(
            f"config: expected mode='official' and latent_width={width}, that of the weights, "
            f"got {config.mode!r} and {config.latent_width}"
        )
    return config


def _axis(where: str, weights: dict, name: str, axis: int) -> int:
    shape = weights[name].shape
    if len(shape) != 2 or 0 in shape:
        raise DataFormatError(f"{where}: {PREFIX}{name}: expected a matrix, got the shape {shape}")
    return shape[axis]


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        file = np.load(path, allow_pickle=False)
        if isinstance(file, np.ndarray):
            raise ValueError("it holds a single array")
        with file:
            return {name: file[name] for name in file.files}
    except (ValueError, EOFError, zipfile.BadZipFile, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise DataFormatError(f"{path}: expected an .npz file of plain arrays: {error}") from error


def _at(tree: Any, place: str) -> Any:
    for name in place.split("."):
        tree = getattr(tree, name)
    return tree
