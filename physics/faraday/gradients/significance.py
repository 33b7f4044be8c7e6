"""Whether a rotation measure changes across or along a jet more than noise and calibration errors make it appear."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from physics import units
from physics.faraday.fits.arguments import nonnegative_number, positive_number
from physics.faraday.fits.calibration import evpa_error_of
from physics.faraday.gradients import sampling
from physics.faraday.gradients.nulls import CalibrationSpread, null_statistics
from physics.faraday.gradients.path import JetPath, path_of
from physics.faraday.gradients.slices import PointRotation, SliceFit, SliceSlopes, point_rotation, slopes
from physics.faraday.images.beams import beam_of
from physics.faraday.images.cube import StokesCube
from physics.faraday.images.maps import RotationMap
from physics.numerics import checks
from physics.types import PRNGKey, Real

DIRECTIONS = ("across", "along")
NULLS = ("uniform_rm",)
NARROW = 2.0
"""Width in beams below which a slice is called narrow: there spurious gradients are most frequent."""


class GradientSlices(eqx.Module):
    """Rotation measures and intrinsic EVPAs along slices, and the straight lines through them."""

    points: PointRotation
    slopes: SliceSlopes
    offset: Float[Array, "slice point"]
    """Of each point along its slice: from the path, positive to the right, for slices across it [rad]."""
    position: Float[Array, " slice"]
    """Of each slice along the path [rad]."""
    places: Float[Array, "slice point 2"]
    """East and north of each point [rad]."""
    beam_width: Float[Array, " slice"]
    """Full width at half maximum of the beam in the direction of each slice [rad]."""
    direction: str = eqx.field(static=True)

    units: ClassVar[dict[str, str]] = {
        "offset": "rad",
        "position": "rad",
        "places": "rad",
        "beam_width": "rad",
        "width": "rad",
    }

    @property
    def width(self) -> Float[Array, " slice"]:
        """Distance between the outermost valid points of each slice; zero if there is none [rad]."""
        valid = self.points.valid
        low = jnp.min(jnp.where(valid, self.offset, jnp.inf), axis=-1)
        high = jnp.max(jnp.where(valid, self.offset, -jnp.inf), axis=-1)
        return jnp.where(jnp.any(valid, axis=-1), high - low, 0.0)

    @property
    def width_in_beams(self) -> Float[Array, " slice"]:
        """`width` over `beam_width`: how many independent points there are, nearly."""
        return self.width / self.beam_width

    @property
    def narrow(self) -> Bool[Array, " slice"]:
        """Whether a slice is narrower than two beams, so that a gradient of it needs more than its significance."""
        return self.width_in_beams < NARROW

    @property
    def determined(self) -> Bool[Array, " slice"]:
        """Whether a slice has enough valid points for a line with an error."""
        return jnp.isfinite(self.slopes.rm_error)

    def to_quantity(self, name: str) -> Any:
        """Return one of the fields listed in `units` as an astropy `Quantity`."""
        return units.quantity(getattr(self, checks.one_of(name, list(self.units), "name")), self.units[name])


class GradientTest(eqx.Module):
    """How often uniform rotation measures show a change as significant as the one observed."""

    slices: GradientSlices
    statistic: Float[Array, ""]
    """Largest |slope|/error over the slices."""
    null_statistics: Float[Array, " simulation"]
    """The same of data simulated with one rotation measure."""
    null: str = eqx.field(static=True)

    @property
    def p_value(self) -> Float[Array, ""]:
        r"""$(1 + \#\{T_{null} \ge T\})/(1 + N)$; never below $1/(1 + N)$."""
        return (1 + jnp.sum(self.null_statistics >= self.statistic)) / (1 + len(self.null_statistics))


def gradient_slices(
    cube: StokesCube,
    maps: RotationMap,
    *,
    path: Any,
    direction: str = "across",
    spacing: Real = None,
    half_width: Real = None,
) -> GradientSlices:
    """Return rotation measures along slices through the images, with straight lines that know how the beam correlates.

    Q and U are interpolated, never angles, and every point is fitted as in the map, on the branch of the map's median.

    Args:
        cube: the images.
        maps: fitted to them by `fit_map`, whose thresholds, bands and EVPA errors are used.
        path: `JetPath`, or points (east, north) along the jet, shape (point, 2) [rad].
        direction: "across" the path, at right angles to it, or "along" it.
        spacing: of slices across the path, one beam by default [rad].
        half_width: of slices across the path, two beams by default [rad].

    Raises:
        TypeError: `cube` or `maps` is of another type.
        UnitsError: a quantity is not an angle.
        ValueError: the path leaves the map or is none, images and map differ in shape, a width is not positive, an
            unknown direction, or no slice has enough valid points.

    Source: derived in docs/theory/faraday-jets.md.
    """
    return _prepared(cube, maps, path, direction, spacing, half_width)[0]


def gradient_test(
    cube: StokesCube,
    maps: RotationMap,
    *,
    path: Any,
    key: PRNGKey,
    null: str = "uniform_rm",
    simulations: int = 199,
    direction: str = "across",
    spacing: Real = None,
    half_width: Real = None,
    evpa_error: Any = None,
    leakage: Real = 0.0,
    misalignment: Real = 0.0,
) -> GradientTest:
    """Return the significance of a change of the rotation measure, calibrated on simulated slices without any.

    The null data have one rotation measure, the amplitudes and angles that the data show with it, noise correlated by
    the beam, and errors of calibration drawn anew; they are masked and fitted as the data are. The statistic is the
    largest over all slices, so that it needs no correction for their number. What CLEAN and a different coverage of
    spatial frequencies do to images is not simulated and not covered.

    Args:
        cube: the images.
        maps: fitted to them by `fit_map`, whose thresholds, bands and EVPA errors are used.
        path: `JetPath`, or points (east, north) along the jet, shape (point, 2) [rad].
        key: random key.
        null: "uniform_rm".
        simulations: number of null data sets.
        direction: as in `gradient_slices`.
        spacing: as in `gradient_slices` [rad].
        half_width: as in `gradient_slices` [rad].
        evpa_error: spread of the EVPA zero points, an `EvpaError` or a pair (band, channel) [rad]; by default that of
            the map.
        leakage: root mean square modulus of the leakage of a channel.
        misalignment: standard deviation of the shift of a band in each direction [rad].

    Raises:
        As `gradient_slices`; also ValueError: an unknown null, no simulation, or a negative spread; TypeError: `key` is
        not a typed random key.

    Source: derived in docs/theory/faraday-jets.md.
    """
    key = checks.typed_key(key)
    checks.one_of(null, NULLS, "null")
    keys = jax.random.split(key, checks.positive_integer(simulations, "simulations"))
    errors = maps.settings.evpa_error if evpa_error is None else evpa_error_of(evpa_error)
    numbers = (
        errors.band,
        errors.channel,
        nonnegative_number(leakage, "", "leakage"),
        nonnegative_number(misalignment, "rad", "misalignment"),
    )
    slices, fit, spectra = _prepared(cube, maps, path, direction, spacing, half_width)
    spread = CalibrationSpread(*(jnp.asarray(x, cube.I.dtype) for x in numbers))
    statistic, nulls = eqx.filter_jit(null_statistics)(fit, spectra, spread, keys)
    return GradientTest(slices, statistic, nulls, null)


def _prepared(
    cube: Any, maps: Any, path: Any, direction: str, spacing: Any, half_width: Any
) -> tuple[GradientSlices, SliceFit, Any]:
    for name, x, kind in (("cube", cube, StokesCube), ("maps", maps, RotationMap)):
        if not isinstance(x, kind):
            raise TypeError(f"{name}: expected a {kind.__name__}, got {type(x).__name__}")
    if maps.rm.shape != cube.I.shape[1:] or len(maps.settings.bands) != len(cube.frequency):
        raise ValueError(
            f"maps: expected a map of the images of shape {cube.I.shape}, got one of shape {maps.rm.shape} from "
            f"{len(maps.settings.bands)} channels"
        )
    checks.one_of(direction, DIRECTIONS, "direction")
    line = path_of(path)
    _check_inside(line, cube)
    beam = beam_of(np.asarray(maps.beam), "maps.beam")
    step, reach = (
        None if x is None else positive_number(x, "rad", name)
        for x, name in ((spacing, "spacing"), (half_width, "half_width"))
    )
    geometry = sampling.along(line, beam) if direction == "along" else sampling.across(line, beam, step, reach)
    spectra = sampling.sampled(cube, geometry, beam)
    fit = _fit_of(cube, maps)
    points, lines = eqx.filter_jit(_fitted)(fit, spectra)
    numbers = {name: jnp.asarray(x, cube.I.dtype) for name, x in geometry._asdict().items()}
    slices = GradientSlices(points=points, slopes=lines, direction=direction, **numbers)
    if not bool(slices.determined.any()):
        raise ValueError(
            f"path: no slice has three valid points apart from each other; the best of {len(geometry.position)} has "
            f"{int(points.valid.sum(axis=-1).max())}, over {float(slices.width_in_beams.max()):.2g} beams"
        )
    return slices, fit, spectra


def _fitted(fit: SliceFit, spectra: Any) -> tuple[PointRotation, SliceSlopes]:
    points = point_rotation(fit, spectra)
    return points, slopes(spectra, points)


def _check_inside(path: JetPath, cube: StokesCube) -> None:
    within = sampling.inside(path.points, cube.frame, cube.I.shape[1:])
    if not within.all():
        first = int(np.flatnonzero(~within)[0])
        raise ValueError(
            f"path: expected points within the map, got {sampling.described(path.points[first])} as point {first}"
        )


def _fit_of(cube: StokesCube, maps: RotationMap) -> SliceFit:
    settings, dtype = maps.settings, cube.I.dtype
    bands = np.asarray(settings.bands)
    numbers = (
        np.unique(bands)[:, None] == bands[None],
        settings.evpa_error.band,
        settings.evpa_error.channel,
        np.nanmedian(np.asarray(maps.rm)),
        settings.intensity_threshold,
        settings.polarization_threshold,
    )
    return SliceFit(cube.lambda_squared.astype(dtype), cube.sigma, *(jnp.asarray(x, dtype) for x in numbers))
