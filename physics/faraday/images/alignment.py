"""Alignment of the bands of a cube on the optically thin part of its total intensity."""

import functools
import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from physics import units
from physics.constants import MILLIARCSECOND
from physics.faraday.depth import band_labels
from physics.faraday.fits.arguments import nonnegative_number, positive_number
from physics.faraday.images.beams import Beam, beam_area, convolved, white_noise_gain
from physics.faraday.images.cube import StokesCube
from physics.faraday.images.displacement import (
    CorrelationSpectra,
    best_displacement,
    correlation_spectra,
    displaced,
    displaced_mask,
)
from physics.faraday.images.noise import off_source_rms
from physics.faraday.images.one_beam import common_beam, distance_in_beams
from physics.numerics import checks
from physics.numerics.batching import chunked_map
from physics.types import HostArray, PRNGKey, Real

CHUNK = 8
"""Realizations of noise at a time."""


class Alignment(eqx.Module):
    """How far each band has to be moved to lie on the reference band, and how well that is known.

    Displacements are (RA to the east, Dec to the north).
    """

    shift: Float[Array, "band 2"]
    """What to move the images by [rad]; zero for the reference."""
    covariance: Float[Array, "band 2 band 2"]
    """Of the shifts of all bands together, which share the noise of the reference [rad^2]."""
    core: Float[Array, "band 2"]
    """Where each band has its core before it is moved, relative to the reference position [rad]."""
    correlation: Float[Array, " band"]
    """Normalised cross-correlation at the shift, 1 for the reference."""
    used: Bool[Array, "band y x"]
    """Pixels of the reference image that were compared."""
    frequency: Float[Array, " band"]
    """Mean of the channels [Hz]."""
    band: Int[Array, " channel"]
    """The band of each channel, counted from 0."""
    reference: int = eqx.field(static=True)
    """The band that stays where it is."""

    units: ClassVar[dict[str, str]] = {
        "shift": "rad",
        "shift_error": "rad",
        "covariance": "rad2",
        "core": "rad",
        "correlation": "",
        "frequency": "Hz",
    }

    @property
    def shift_error(self) -> Float[Array, "band 2"]:
        """Standard deviations of `shift` from the noise of the images [rad]."""
        bands = len(self.shift)
        return jnp.sqrt(jnp.diagonal(self.covariance.reshape(2 * bands, 2 * bands)).reshape(bands, 2))

    def to_quantity(self, name: str) -> Any:
        """Return one of the fields listed in `units` as an astropy `Quantity`."""
        return units.quantity(getattr(self, checks.one_of(name, list(self.units), "name")), self.units[name])


@dataclass(frozen=True)
class _Search:
    """What is compared with what."""

    beam: Beam
    cell: tuple[float, float]
    core_radius: float
    threshold: float
    reach: int
    logarithmic: bool


def align(
    cube: StokesCube,
    *,
    reference: int = -1,
    band: Any = None,
    core_radius: Real = 1.5,
    core: Any = None,
    threshold: Real = 8.0,
    max_shift: Real = None,
    scale: str = "linear",
    realizations: int = 50,
    key: PRNGKey | None = None,
) -> Alignment:
    """Return the displacements that make the optically thin emission of all bands lie on that of one of them.

    The mean I of each band is compared with that of the reference by the normalised cross-correlation of the pixels
    that are bright in both and lie outside of both cores, whose position depends on the frequency. The covariance
    comes from repeating it with noise added to all images, correlated over the beam; it does not know of changes of
    the structure with frequency. Channels of a band share its shift, because they share their phase calibration.

    Args:
        cube: images of one beam; see `StokesCube.to_common_beam`.
        reference: index of the band that stays, in ascending frequency; the highest by default.
        band: label of the band of each channel; by default a new one begins at a step of a tenth in frequency.
        core_radius: of the ellipse about each core that is left out, in full widths at half maximum of the beam;
            zero compares everything, and is biased by the core.
        core: position (RA, Dec) of the core relative to the reference position, shape (2,) or (band, 2) [rad]; by
            default the peak of each band.
        threshold: least I of a pixel, in standard deviations.
        max_shift: largest displacement searched along each axis [rad]; by default two beams, at most an eighth of
            the image.
        scale: "linear", or "log", in which faint parts count as much as bright ones.
        realizations: of noise, at least 3.
        key: random key of the noise; always the same by default.

    Raises:
        TypeError: `cube` is not a `StokesCube`, or `key` not a typed random key.
        UnitsError: a quantity has the wrong dimension.
        ValueError: there are fewer than two bands, the beams differ, fewer pixels than a beam holds are bright outside
            of the core, the shift lies beyond `max_shift`, or an argument is not what it should be.

    Source: derived in docs/theory/faraday-images.md.
    """
    beam = common_beam(cube)
    labels = np.unique(band_labels(np.asarray(cube.frequency, np.float64), band), return_inverse=True)[1]
    bands = int(labels.max()) + 1
    if bands < 2:
        raise ValueError("cube: expected at least two bands to align, got 1")
    if isinstance(reference, bool) or not isinstance(reference, int) or not -bands <= reference < bands:
        raise ValueError(f"reference: expected the index of one of {bands} bands, got {reference!r}")
    if checks.positive_integer(realizations, "realizations") < 3:
        raise ValueError(f"realizations: expected at least 3, got {realizations}")
    checks.one_of(scale, ("linear", "log"), "scale")
    images = _band_means(cube, labels, bands)
    shape = images.shape[1:]
    search = _Search(
        beam=beam,
        cell=cube.frame.cell,
        core_radius=nonnegative_number(core_radius, "", "core_radius"),
        threshold=nonnegative_number(threshold, "", "threshold"),
        reach=_reach(max_shift, beam, cube.frame.cell, shape),
        logarithmic=scale == "log",
    )
    key = jax.random.key(0) if key is None else checks.typed_key(key)
    cores = _core_pixels(core, images, cube)
    moved, correlations, used, draws = _all_bands(
        images, cores, range(bands)[reference], search, cube.I.dtype, realizations, key
    )
    # A content moved by (y, x) pixels moves by x steps in RA and y steps in Dec.
    to_sky = np.array([cube.frame.cell[1], cube.frame.cell[0]])
    draws = (draws * to_sky)[..., ::-1]
    centred = draws - draws.mean(axis=0)
    covariance = np.einsum("rbi,rcj->bicj", centred, centred) / (realizations - 1)
    middle = np.array(cube.frame.reference)[::-1]
    real = functools.partial(jnp.asarray, dtype=cube.I.dtype)
    return Alignment(
        shift=real((moved * to_sky)[:, ::-1]),
        covariance=real(covariance),
        core=real(((cores - middle) * to_sky)[:, ::-1]),
        correlation=real(correlations),
        used=jnp.asarray(used),
        frequency=real([np.asarray(cube.frequency)[labels == b].mean() for b in range(bands)]),
        band=jnp.asarray(labels),
        reference=range(bands)[reference],
    )


def aligned(cube: StokesCube, shift: Any = None, **options: Any) -> StokesCube:
    """Return the cube with I, Q and U of each channel moved alike, by Fourier phases.

    Args:
        cube: what to align.
        shift: an `Alignment`, or displacements (RA to the east, Dec to the north) of each channel, shape (channel, 2)
            [rad]; by default what `align` finds.
        **options: of `align`.

    Raises:
        UnitsError: a quantity is not an angle.
        ValueError: the shifts do not fit the cube, or `align` finds none.
        TypeError: options come with given shifts, or the cube is none.
    """
    if shift is None:
        shift = align(cube, **options)
    elif options:
        raise TypeError(f"options: expected none beside given shifts, got {', '.join(options)}")
    by = shift.shift[shift.band] if isinstance(shift, Alignment) else units.array(shift, "rad", "shift")
    if by.shape != (len(cube.frequency), 2):
        raise ValueError(f"shift: expected the shape ({len(cube.frequency)}, 2), got {by.shape}")
    by = checks.finite(by, "shift").astype(cube.I.dtype)
    pixels = jnp.stack([by[:, i] / cube.frame.cell[i] for i in (1, 0)], axis=1)
    mask = jnp.asarray(
        np.stack([displaced_mask(m, d) for m, d in zip(np.asarray(cube.mask), np.asarray(pixels), strict=True)])
    )
    moved = {name: jnp.where(mask, displaced(getattr(cube, name), pixels), 0.0) for name in ("I", "Q", "U")}
    components = tuple(
        tuple(part if part is None else part.moved(*d) for part in parts)
        for parts, d in zip(cube.components, np.asarray(by, float).tolist(), strict=bool(cube.components))
    )
    largest = float(np.abs(np.asarray(by)).max()) / MILLIARCSECOND
    frame = cube.frame.after(f"bands aligned, by up to {largest:.4g} mas along an axis")
    return replace(cube, **moved, mask=mask, components=components, frame=frame)


def _band_means(cube: StokesCube, labels: HostArray, bands: int) -> HostArray:
    images = np.asarray(cube.I, np.float64)
    return np.stack([images[labels == b].mean(axis=0) for b in range(bands)])


def _reach(max_shift: Any, beam: Beam, cell: tuple[float, float], shape: tuple[int, ...]) -> int:
    step = min(abs(cell[0]), abs(cell[1]))
    if max_shift is not None:
        reach = math.ceil(positive_number(max_shift, "rad", "max_shift") / step)
    else:
        reach = max(1, min(math.ceil(2.0 * beam[0] / step), min(shape) // 8))
    if 2 * reach >= min(shape):
        raise ValueError(f"max_shift: expected less than half of an image of shape {shape}, got {reach} pixels")
    return reach


def _core_pixels(core: Any, images: HostArray, cube: StokesCube) -> HostArray:
    # (band, 2) as (y, x).
    if core is None:
        return np.stack([_peak(image) for image in images])
    place = np.asarray(checks.finite(units.array(core, "rad", "core"), "core"), float)
    if place.shape not in ((2,), (len(images), 2)):
        raise ValueError(f"core: expected the shape (2,) or ({len(images)}, 2), got {place.shape}")
    place = np.broadcast_to(place, (len(images), 2))
    x, y = (place[:, i] / cube.frame.cell[i] + cube.frame.reference[i] for i in range(2))
    return np.stack([y, x], axis=1)


def _peak(image: HostArray) -> HostArray:
    # (y, x) of the highest parabola through the logarithms of three pixels along each axis: exact for a Gaussian.
    place = np.array(np.unravel_index(image.argmax(), image.shape))
    result = place.astype(float)
    for axis in range(2):
        line = np.moveaxis(image, axis, 0)[:, place[1 - axis]]
        i = place[axis]
        if 0 < i < len(line) - 1 and line[i - 1 : i + 2].min() > 0:
            left, middle, right = np.log(line[i - 1 : i + 2])
            bend = left - 2.0 * middle + right
            result[axis] += 0.5 * (left - right) / bend if bend < 0 else 0.0
    return result


def _all_bands(
    images: HostArray, cores: HostArray, reference: int, search: _Search, dtype: Any, realizations: int, key: Any
) -> tuple[HostArray, ...]:
    bands = len(images)
    rms = np.array([off_source_rms(image) for image in images])
    moved, correlations = np.zeros((bands, 2)), np.ones(bands)
    used = np.zeros(images.shape, bool)
    draws = np.zeros((realizations, bands, 2))
    for b in range(bands):
        if b == reference:
            continue
        pair = [reference, b]
        mask, place, height = _compare(images[pair], rms[pair], cores[pair], search, dtype)
        moved[b], correlations[b], used[b] = -place, height, mask
        # The same key for every band: they share the noise of the reference.
        setup = _Resampled(
            jnp.asarray(images[pair], dtype),
            jnp.asarray(rms[pair], dtype),
            jnp.asarray(mask, dtype),
            jax.random.fold_in(key, reference),
            jax.random.fold_in(key, b),
            search,
        )
        again = jax.tree_util.Partial(_resampled, setup)
        draws[:, b] = -np.asarray(chunked_map(again, jnp.arange(realizations), chunk_size=CHUNK))
    return moved, correlations, used, draws


def _compare(
    images: HostArray, rms: HostArray, cores: HostArray, search: _Search, dtype: Any
) -> tuple[HostArray, HostArray, float]:
    # A first comparison with the core of one image left out tells where the core of the other one lies on it.
    place = np.zeros(2)
    for _ in range(3):
        mask = _mask(images, rms, cores, place, search)
        found, height = _displacement(
            jnp.asarray(images, dtype), jnp.asarray(rms, dtype), jnp.asarray(mask, dtype), search
        )
        place = np.asarray(found, float)
        if np.any(np.abs(place) >= search.reach):
            raise ValueError(
                f"max_shift: the images agree best at the limit of the search, {search.reach} pixels; "
                "give a larger max_shift, or shifts from elsewhere"
            )
    return mask, place, float(height)


def _mask(images: HostArray, rms: HostArray, cores: HostArray, place: HostArray, search: _Search) -> HostArray:
    whole = np.round(place).astype(int)
    mask = images[0] > search.threshold * rms[0]
    mask &= displaced_mask(images[1] > search.threshold * rms[1], -whole)
    # Nothing enters from the other side of the image.
    for axis in range(2):
        edge = np.moveaxis(mask, axis, 0)
        edge[: search.reach] = edge[-search.reach :] = False
    for core in (cores[0], cores[1] - place):
        mask &= _beams_away(mask.shape, core, search) > search.core_radius
    least = math.ceil(beam_area(search.beam, search.cell))
    if mask.sum() < least:
        raise ValueError(
            f"cube: only {mask.sum()} pixels are above {search.threshold:g} sigma in two bands more than "
            f"{search.core_radius:g} beams from their cores, fewer than the {least} of a beam: there is no optically "
            "thin structure to align on; give shifts from model components or phase referencing, or lower threshold"
        )
    return mask


def _beams_away(shape: tuple[int, ...], core: HostArray, search: _Search) -> HostArray:
    dec = (np.arange(shape[0]) - core[0])[:, None] * search.cell[1]
    ra = (np.arange(shape[1]) - core[1])[None, :] * search.cell[0]
    return distance_in_beams(np.stack(np.broadcast_arrays(ra, dec), axis=-1), search.beam)


@functools.partial(jax.jit, static_argnums=3)
def _displacement(
    images: Float[Array, "2 y x"], rms: Float[Array, " 2"], mask: Float[Array, "y x"], search: _Search
) -> tuple[Float[Array, " 2"], Float[Array, ""]]:
    if search.logarithmic:
        # The floor lies below what the mask lets through.
        images = jnp.log(jnp.maximum(images, rms[:, None, None]))
    spectra: CorrelationSpectra = correlation_spectra(images[0], images[1], mask)
    return best_displacement(spectra, search.reach)


class _Resampled(eqx.Module):
    images: Float[Array, "2 y x"]
    rms: Float[Array, " 2"]
    mask: Float[Array, "y x"]
    reference_key: PRNGKey
    moving_key: PRNGKey
    search: _Search = eqx.field(static=True)


def _resampled(setup: _Resampled, realization: Int[Array, ""]) -> Float[Array, " 2"]:
    keys = [jax.random.fold_in(key, realization) for key in (setup.reference_key, setup.moving_key)]
    shape, dtype = setup.mask.shape, setup.mask.dtype
    white = jnp.stack([jax.random.normal(key, shape, dtype) for key in keys])
    beam, cell = setup.search.beam, setup.search.cell
    noise = convolved(white, beam, cell) * (setup.rms[:, None, None] / white_noise_gain(beam, cell))
    return _displacement(setup.images + noise, setup.rms, setup.mask, setup.search)[0]
