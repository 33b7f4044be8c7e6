"""Where slices lie on a map, and what the images show there."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array

from physics.constants import MILLIARCSECOND
from physics.faraday.gradients.correlation import beam_correlation, beam_width
from physics.faraday.gradients.path import JetPath
from physics.faraday.gradients.slices import SliceSpectra
from physics.faraday.images.beams import Beam
from physics.faraday.images.cube import SkyFrame, StokesCube
from physics.types import HostArray

POINTS_PER_BEAM = 4
"""Points along a slice in one full width of the beam; more would hardly add anything, they share their noise."""


class SliceGeometry(NamedTuple):
    """Points of slices on the sky, on the host."""

    places: HostArray
    """East and north, shape (slice, point, 2) [rad]."""
    offset: HostArray
    """Along each slice, from the path for slices across it, shape (slice, point) [rad]."""
    position: HostArray
    """Of each slice along the path, or to its right for slices along it, shape (slice,) [rad]."""
    beam_width: HostArray
    """Of the beam in the direction of each slice, shape (slice,) [rad]."""


def across(path: JetPath, beam: Beam, spacing: float | None, half_width: float | None) -> SliceGeometry:
    """Return slices at right angles to a path, evenly spaced over its length; offsets are positive to the right."""
    step = spacing or float(np.mean(beam_width(path.direction(np.linspace(0.0, path.length, 9)), beam)))
    count = max(1, math.floor(path.length / step) + 1)
    s = 0.5 * (path.length - (count - 1) * step) + step * np.arange(count)
    ahead = path.direction(s)
    right = np.stack([-ahead[:, 1], ahead[:, 0]], axis=-1)
    width = beam_width(right, beam)
    reach = half_width or 2.0 * float(width.max())
    points = max(3, 2 * math.ceil(reach * POINTS_PER_BEAM / float(width.min())) + 1)
    offset = np.broadcast_to(np.linspace(-reach, reach, points), (count, points))
    places = path.position(s)[:, None] + offset[..., None] * right[:, None]
    return SliceGeometry(places, offset, s, width)


def along(path: JetPath, beam: Beam) -> SliceGeometry:
    """Return the slice that follows a path."""
    width = float(np.mean(beam_width(path.direction(np.linspace(0.0, path.length, 9)), beam)))
    points = max(3, math.ceil(path.length * POINTS_PER_BEAM / width) + 1)
    s = np.linspace(0.0, path.length, points)
    return SliceGeometry(path.position(s)[None], s[None], np.zeros(1), np.array([width]))


def inside(places: HostArray, frame: SkyFrame, shape: tuple[int, ...]) -> HostArray:
    """Return which places (..., 2) lie between the centres of the outer pixels of images of a shape (y, x)."""
    column, row = pixels(places, frame)
    return (column >= 0) & (column <= shape[1] - 1) & (row >= 0) & (row <= shape[0] - 1)


def pixels(places: HostArray, frame: SkyFrame) -> tuple[HostArray, HostArray]:
    """Return the column and the row of places (..., 2), which need not be whole."""
    return (
        places[..., 0] / frame.cell[0] + frame.reference[0],
        places[..., 1] / frame.cell[1] + frame.reference[1],
    )


def sampled(cube: StokesCube, geometry: SliceGeometry, beam: Beam) -> SliceSpectra:
    """Return the spectra of Stokes parameters, not of angles, at the points of slices, linear between pixels."""
    places, shape = geometry.places, cube.I.shape[1:]
    half = 0.5 * abs(cube.frame.cell[1])
    steps = np.array([[half, 0.0], [0.0, half]])
    change = [(_polarized(cube, places + d) - _polarized(cube, places - d)) / (2.0 * half) for d in steps]
    column, row = (np.clip(np.rint(x), 0, n - 1).astype(int) for x, n in zip(
        pixels(places, cube.frame), (shape[1], shape[0]), strict=True
    ))  # fmt: skip
    known = np.all(np.asarray(cube.mask), axis=0)[row, column]
    return SliceSpectra(
        intensity=_at(cube.I, places, cube.frame),
        polarization=_polarized(cube, places),
        change=jnp.stack(change),
        usable=jnp.asarray(inside(places, cube.frame, shape) & known),
        offset=jnp.asarray(geometry.offset, cube.I.dtype),
        correlation=jnp.asarray(beam_correlation(places.reshape(-1, 2), beam), cube.I.dtype),
    )


def _polarized(cube: StokesCube, places: HostArray) -> Array:
    return jax.lax.complex(*(_at(x, places, cube.frame) for x in (cube.Q, cube.U)))


def _at(images: Array, places: HostArray, frame: SkyFrame) -> Array:
    column, row = (jnp.asarray(x, images.dtype) for x in pixels(places, frame))
    found = jax.vmap(lambda image: map_coordinates(image, [row, column], order=1, mode="nearest"))(images)
    return jnp.moveaxis(found, 0, -1)


def described(places: HostArray) -> str:
    """Return a place (east, north) in milliarcseconds, for a message."""
    east, north = places / MILLIARCSECOND
    return f"({east:.4g}, {north:.4g}) mas"
