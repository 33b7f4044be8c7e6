"""Maps of cubes that are larger than memory."""

from dataclasses import fields, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from physics.faraday.depth import band_labels
from physics.faraday.images.cube import ROWS, StokesCube
from physics.faraday.images.flags import INVALID
from physics.faraday.images.maps import fit_map
from physics.faraday.images.noise import NoiseModel
from physics.faraday.images.rotation_map import RotationMap
from physics.faraday.images.selection import as_image, channel_sigmas, selection_flags, spectra
from physics.faraday.images.sky_frame import SkyFrame
from physics.types import HostArray

IMAGES = ("I", "Q", "U", "mask")


def fit_map_in_blocks(
    cube: Any,
    *,
    rows: int = ROWS,
    band: Any = None,
    intensity_threshold: float = 5.0,
    polarization_threshold: float = 5.0,
    **options: Any,
) -> RotationMap:
    """Return what `fit_map` returns of a cube that stays in its files.

    One block of rows is in memory at a time, and the spectra of those pixels that are bright enough for a fit.

    Args:
        cube: of `open_cube`, of one beam.
        rows: of a block.
        band: as in `fit_map`.
        intensity_threshold: as in `fit_map`.
        polarization_threshold: as in `fit_map`.
        **options: further arguments of `fit_map`; `sigma` is a pair by channel that broadcasts with every block.

    Raises:
        TypeError: `cube` has no blocks.
        DataFormatError: a file cannot be read any more.
        ValueError: as in `fit_map`, or `sigma` is a `NoiseModel`, which needs the peak of the whole image.
    """
    if not hasattr(cube, "blocks"):
        raise TypeError(f"cube: expected one of open_cube or read_cube, got {type(cube).__name__}")
    if isinstance(options.get("sigma"), NoiseModel):
        raise ValueError("sigma: expected a pair by channel; a NoiseModel needs the peak of the whole image")
    flags, intensity, bright = [], [], []
    for _, block in cube.blocks(rows):
        labels = band_labels(np.asarray(block.frequency, np.float64), band)
        sigmas = channel_sigmas(block, options.get("sigma"))
        here = selection_flags(block, *sigmas, labels, intensity_threshold, polarization_threshold)
        flags.append(here)
        intensity.append(block.I[0])
        bright.append(_row_of(block, np.flatnonzero(here == 0)))
    maps = fit_map(
        _joined(bright),
        band=band,
        intensity_threshold=intensity_threshold,
        polarization_threshold=polarization_threshold,
        **options,
    )
    return _spread(maps, np.concatenate(flags), jnp.concatenate(intensity), cube.frame)


def _row_of(block: StokesCube, pixels: HostArray) -> StokesCube:
    # As images of one row, in which nothing is known of where the pixels lie.
    images: dict[str, Any] = {name: spectra(getattr(block, name), pixels).T[:, None] for name in IMAGES}
    return replace(block, **images)


def _joined(parts: list[StokesCube]) -> StokesCube:
    images: dict[str, Any] = {name: jnp.concatenate([getattr(part, name) for part in parts], axis=2) for name in IMAGES}
    return replace(parts[0], **images)


def _spread(maps: RotationMap, flags: HostArray, intensity: Array, frame: SkyFrame) -> RotationMap:
    pixels = np.flatnonzero(flags == 0)
    everywhere = np.ones(flags.shape, bool)
    new: dict[str, Any] = {}
    for field in fields(maps):
        value = getattr(maps, field.name)
        if field.name != "valid" and getattr(value, "shape", ())[-2:] == maps.rm.shape:
            new[field.name] = as_image(jnp.moveaxis(value[..., 0, :], -1, 0), pixels, flags.shape, everywhere)
    flags = flags | np.asarray(new["flags"])
    new |= {"flags": jnp.asarray(flags), "valid": jnp.asarray(flags & int(INVALID) == 0)}
    return replace(maps, **new | {"intensity": intensity, "frame": frame})
