"""Visibilities of a model of the sky."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex

from physics import units
from physics.faraday.images.beams import Beam, beam_area, beam_covariance, beam_of
from physics.faraday.images.components import CleanComponents
from physics.faraday.images.sky_frame import SkyFrame
from physics.numerics import checks, fourier
from physics.numerics.batching import chunked_map
from physics.types import Real


def model_visibilities(
    model: CleanComponents | Real,
    u: Real,
    v: Real,
    *,
    frame: SkyFrame | None = None,
    beam: Any = None,
) -> Complex[Array, "*shape"]:
    r"""Return $\sum_j S_j e^{2\pi i(u l_j + v m_j)}$ of a model, evaluated directly.

    Args:
        model: CLEAN components, or an image of shape (y, x) [Jy/pixel, or Jy/beam with `beam`].
        u: of any shape [wavelengths].
        v: of the same shape.
        frame: where the pixels of an image lie, such as `StokesCube.frame`.
        beam: with which the image was restored; it is divided out, which also raises what noise the image has on
            baselines that the beam has smoothed away [rad].

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: an image has no frame or is not one, components have a frame or beam, or u and v differ in shape.

    Source: direct sum over the pixels, separable in l and m; derived in docs/theory/faraday.md (visibilities).
    """
    plane = [checks.finite(units.array(x, "", name), name) for x, name in ((u, "u"), (v, "v"))]
    checks.same_shape(plane[0], plane[1], "u", "v")
    if isinstance(model, CleanComponents):
        if frame is not None or beam is not None:
            raise ValueError("frame, beam: expected none with components, which have places and widths of their own")
        return _of_components(model, *plane)
    if frame is None:
        raise ValueError("frame: expected where the pixels of the image lie, such as StokesCube.frame, got none")
    image = checks.finite(units.array(model, "Jy" if beam is None else frame.unit, "model"), "model")
    if image.ndim != 2:
        raise ValueError(f"model: expected one image, (y, x), got shape {image.shape}")
    real = np.result_type(image.dtype, plane[0].dtype, plane[1].dtype)
    ra, dec = (jnp.asarray(x, real) for x in frame.offsets(image.shape))
    function = jax.tree_util.Partial(_of_image, image.astype(real), ra, dec)
    values = chunked_map(function, *(x.astype(real) for x in plane), chunk_size=max(1, 2**22 // image.shape[0]))
    return values if beam is None else values / _taper(beam_of(beam), frame, *plane).astype(values.dtype)


def _of_image(image: Array, ra: Array, dec: Array, u: Array, v: Array) -> Array:
    columns = fourier.fourier_sum(image, ra, 2.0 * math.pi * u[None], sign=1)[:, 0]
    return fourier.fourier_sum(columns, dec, 2.0 * math.pi * v[None], sign=1)[0]


def _of_components(model: CleanComponents, u: Array, v: Array) -> Array:
    matrices = np.stack([beam_covariance(w) for w in zip(model.major, model.minor, model.angle, strict=True)])
    parts = (jnp.asarray(x, u.dtype) for x in (model.flux, model.ra, model.dec, matrices))
    return chunked_map(jax.tree_util.Partial(_of_gaussians, *parts), u, v, chunk_size=max(1, 2**22 // len(model.flux)))


def _of_gaussians(flux: Array, ra: Array, dec: Array, matrices: Array, u: Array, v: Array) -> Array:
    phase = 2.0 * math.pi * (u * ra + v * dec)
    spread = matrices[:, 0, 0] * u**2 + matrices[:, 1, 1] * v**2 + 2.0 * matrices[:, 0, 1] * u * v
    amplitude = flux * jnp.exp(-2.0 * math.pi**2 * spread)
    return jax.lax.complex(jnp.sum(amplitude * jnp.cos(phase)), jnp.sum(amplitude * jnp.sin(phase)))


def _taper(beam: Beam, frame: SkyFrame, u: Array, v: Array) -> Array:
    # The transform of the beam, whose integral is its area in pixels.
    matrix = beam_covariance(beam)
    spread = float(matrix[0, 0]) * u**2 + float(matrix[1, 1]) * v**2 + 2.0 * float(matrix[0, 1]) * u * v
    return beam_area(beam, frame.cell) * jnp.exp(-2.0 * math.pi**2 * spread)
