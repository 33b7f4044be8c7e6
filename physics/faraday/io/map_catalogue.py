"""Components of a map of rotation measure as rows of an RMTable."""

import math
from typing import Any

import numpy as np

from physics.constants import DEGREE
from physics.faraday.conventions import degrees_0_180
from physics.faraday.images.cube import StokesCube
from physics.faraday.images.maps import RotationMap
from physics.faraday.images.wcs import sky_of_pixel
from physics.types import HostArray


def polarized_peaks(maps: RotationMap, *, separation: float = 1.0) -> list[tuple[int, int]]:
    """Return the pixels (x, y) of the peaks of polarized intensity among the valid pixels, the brightest first.

    Args:
        maps: of `fit_map`.
        separation: least distance of two peaks, in geometric means of the widths of the beam.

    Raises:
        ValueError: `separation` is not above zero.
    """
    if not (np.isfinite(separation) and separation > 0):
        raise ValueError(f"separation: expected a number above zero, got {separation!r}")
    brightness = np.where(np.asarray(maps.valid), np.asarray(maps.polarized_intensity), -np.inf)
    ra, dec = maps.frame.offsets(brightness.shape)
    major, minor, _ = (float(x) for x in maps.beam)
    apart = separation * math.sqrt(major * minor)
    found: list[tuple[int, int]] = []
    for y, x in zip(*np.unravel_index(np.argsort(brightness, axis=None)[::-1], brightness.shape), strict=True):
        if brightness[y, x] == -np.inf:
            break
        near = brightness[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        distances = [math.hypot(ra[x] - ra[i], dec[y] - dec[j]) for i, j in found]
        if brightness[y, x] >= near.max() and min(distances, default=math.inf) >= apart:
            found.append((int(x), int(y)))
    return found


def rmtable_rows(maps: RotationMap, cube: StokesCube, *, pixels: Any = None) -> list[dict[str, Any]]:
    """Return what a map knows of some pixels, as rows for `write_rmtable`.

    Args:
        maps: of `fit_map`; errors include the calibration.
        cube: the images it was made of.
        pixels: pairs (x, y) counted from 0; by default those of the peaks of polarized intensity.

    Raises:
        ValueError: a pixel is outside the map or not valid, or map and cube differ in shape.
    """
    shape = maps.rm.shape
    if cube.I.shape[1:] != shape:
        raise ValueError(f"cube: expected images of the shape {shape} of the map, got {cube.I.shape[1:]}")
    chosen = polarized_peaks(maps) if pixels is None else [(int(x), int(y)) for x, y in pixels]
    valid = np.asarray(maps.valid)
    for x, y in chosen:
        if not (0 <= x < shape[1] and 0 <= y < shape[0] and valid[y, x]):
            raise ValueError(f"pixels: expected valid pixels of the map, got ({x}, {y})")
    return [_row(maps, cube, x, y) for x, y in chosen]


def _row(maps: RotationMap, cube: StokesCube, x: int, y: int) -> dict[str, Any]:
    names = ("rm", "rm_error", "evpa0", "evpa0_error", "polarized_intensity", "fraction", "intensity")
    at = {name: float(getattr(maps, name)[y, x]) for name in names}
    frequency: HostArray = np.asarray(cube.frequency, np.float64)
    ra, dec = sky_of_pixel(maps.frame, x, y)
    major, minor, angle = (float(value) / DEGREE for value in maps.beam)
    noise = float(np.median(np.asarray(cube.sigma)[:, 1:]))
    polarized = at["polarized_intensity"]
    return {
        "ra": ra / DEGREE % 360.0,
        "dec": dec / DEGREE,
        "rm": at["rm"],
        "rm_err": at["rm_error"],
        "rm_method": "QUfit - Delta function",
        "stokesI": max(at["intensity"], 0.0),
        "stokesI_err": float(cube.sigma[0, 0]),
        "reffreq_I": frequency[0],
        "polint": max(polarized, 0.0),
        "polint_err": noise / math.sqrt(len(frequency)),
        "pol_bias": "None",
        "flux_type": "Peak",
        "fracpol": max(at["fraction"], 0.0),
        "derot_polangle": float(np.float32(degrees_0_180(at["evpa0"]))) % 180.0,
        "derot_polangle_err": at["evpa0_error"] / DEGREE,
        "beam_maj": major,
        "beam_min": minor,
        "beam_pa": angle % 180.0,
        "minfreq": frequency.min(),
        "maxfreq": frequency.max(),
        "Nchan": len(frequency),
        "noise_chan": noise,
        "cat_id": f"{maps.frame.object or 'pixel'} {x} {y}",
    }
