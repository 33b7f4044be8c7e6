"""Images of all channels with one beam."""

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from physics.faraday.images.beams import (
    ROUNDING,
    Beam,
    beam_of,
    common_beam,
    described,
    kernel_covariance,
    pixel_covariance,
    smoothed,
    width_ratio,
)
from physics.faraday.images.cube import StokesCube
from physics.faraday.images.noise import off_source_rms
from physics.numerics import checks
from physics.numerics.batching import chunked_map

METHODS = ("images", "components")
RESIDUALS = ("convolved", "kept")

STRAY = 1e-3
"""The part of a kernel that may lie on masked pixels."""

PIXELS_AT_ONCE = 2**22
"""Of all images that are convolved together."""


def to_common_beam(cube: StokesCube, beam: Any, *, method: str, residuals: str) -> StokesCube:
    """Return the cube with one beam; see `StokesCube.to_common_beam`."""
    checks.one_of(method, METHODS, "method")
    checks.one_of(residuals, RESIDUALS, "residuals")
    native = [beam_of(one, "cube.beam") for one in np.asarray(cube.beam, np.float64)]
    target = common_beam(native, beam) if isinstance(beam, str) else beam_of(beam)
    channels = [n for n, one in enumerate(native) if width_ratio(one, target) > 1.0 + ROUNDING]
    if not channels:
        return cube
    changed = np.array(channels)
    images, mask = jnp.stack([cube.I, cube.Q, cube.U], axis=1)[changed], cube.mask[changed]
    if method == "components":
        images = jnp.where(mask[:, None], images - _restored(cube, channels, native), 0.0)
    if method == "images" or residuals == "convolved":
        images, mask = _convolved(images, mask, [native[n] for n in channels], target, cube.frame.cell)
    if method == "components":
        images = images + _restored(cube, channels, [target] * len(native))
    images = jnp.where(mask[:, None], images, 0.0)
    new = {stokes: getattr(cube, stokes).at[changed].set(images[:, n]) for n, stokes in enumerate("IQU")}
    return replace(
        cube,
        **new,
        sigma=cube.sigma.at[changed].set(_noise(images, mask)),
        mask=cube.mask.at[changed].set(mask),
        beam=jnp.broadcast_to(jnp.asarray(target, cube.beam.dtype), cube.beam.shape),
        frame=cube.frame.after(f"common beam of {described(target)}, from {method}"),
    )


def _convolved(
    images: Float[Array, "channel stokes y x"],
    mask: Bool[Array, "channel y x"],
    native: list[Beam],
    target: Beam,
    cell: tuple[float, float],
) -> tuple[Array, Array]:
    kernels = np.stack([pixel_covariance(kernel_covariance(one, target), cell) for one in native])
    factors = [target[0] * target[1] / (one[0] * one[1]) for one in native]
    each = max(1, PIXELS_AT_ONCE // images[0].size)
    kernel = jnp.asarray(kernels, images.dtype)
    result = chunked_map(
        _smoothed_and_scaled, images, kernel, jnp.asarray(factors, images.dtype), core_ndim=(3, 2, 0), chunk_size=each
    )
    if mask.all():
        return result, mask
    stray = chunked_map(smoothed, (~mask).astype(images.dtype), kernel, core_ndim=(2, 2), chunk_size=each)
    return result, mask & (stray < STRAY)


def _smoothed_and_scaled(images: Array, covariance: Array, factor: Array) -> Array:
    return factor * smoothed(images, covariance)


def _restored(cube: StokesCube, channels: list[int], beams: list[Beam]) -> Float[Array, "channel stokes y x"]:
    shape = (cube.I.shape[1], cube.I.shape[2])
    result = []
    for n in channels:
        models = cube.components[n] if cube.components else (None,) * 3
        for stokes, model in zip("IQU", models, strict=True):
            if model is None:
                raise ValueError(
                    f"method: expected images with CLEAN components, got none of Stokes {stokes} in channel {n}"
                )
            result.append(model.restored(shape, cube.frame, beams[n]).astype(cube.I.dtype))
    return jnp.stack(result).reshape(len(channels), 3, *shape)


def _noise(images: Array, mask: Array) -> Array:
    host, kept = np.asarray(images), np.asarray(mask)
    for channel in kept:
        if not channel.any():
            raise ValueError("beam: no pixel is left whose kernel avoids the masked ones: the beam is too wide")
    rms = [[off_source_rms(image[good]) for image in channel] for channel, good in zip(host, kept, strict=True)]
    return jnp.asarray(rms, images.dtype)
