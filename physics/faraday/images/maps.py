"""Maps of rotation measure and intrinsic EVPA from a cube of images."""

import os
from dataclasses import dataclass
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from physics import units
from physics.faraday.conventions import variance_across
from physics.faraday.depth import band_labels, default_max_rm
from physics.faraday.fits.arguments import DEFAULT_PRIOR, nonnegative_number, positive_number
from physics.faraday.fits.bounds import noise_part
from physics.faraday.fits.calibration import EvpaError, evpa_error_of
from physics.faraday.fits.rotation import fit_rotation
from physics.faraday.fits.rotation_fit import RotationFit
from physics.faraday.images.beams import SAME_WIDTH, beam_of, described, width_ratio
from physics.faraday.images.cube import SkyFrame, StokesCube
from physics.numerics import checks
from physics.types import HostArray, Real

PIXEL_BLOCK = 256
"""Pixels are fitted in multiples of this, so that maps of nearly equal size share compiled code."""


@dataclass(frozen=True)
class MapSettings:
    """How a map was made; written into its file."""

    max_rm: float
    evpa_error: EvpaError
    rm_prior: Any
    amplitude: str
    intensity_threshold: float
    polarization_threshold: float
    bands: tuple[int, ...]


class RotationMap(eqx.Module):
    """Rotation measure, intrinsic EVPA and polarization of each pixel, in the axis order [Dec, RA].

    Pixels that are not `valid` hold NaN. `rm_error` and `evpa0_error` include the EVPA calibration, which all pixels
    share; the errors called noise do not: they are what noise contributes, and limit differences between pixels.
    """

    rm: Float[Array, "y x"]
    rm_error: Float[Array, "y x"]
    rm_error_noise: Float[Array, "y x"]
    evpa0: Float[Array, "y x"]
    """In (-pi/2, pi/2]."""
    evpa0_error: Float[Array, "y x"]
    evpa0_error_noise: Float[Array, "y x"]
    polarized_intensity: Float[Array, "y x"]
    """Mean over the channels of the polarization along the fitted angle."""
    fraction: Float[Array, "y x"]
    """The fractional polarization that fits best along the fitted angle."""
    chi2: Float[Array, "y x"]
    dof: Float[Array, "y x"]
    alias_rm: Float[Array, "y x"]
    """The most probable other rotation measure; the same as `rm` if there is none."""
    alias_log_odds: Float[Array, "y x"]
    """Log odds of that one against `rm`; -inf if there is none."""
    alias_log_odds_flat: Float[Array, "y x"]
    """The same without the prior."""
    intensity: Float[Array, "y x"]
    """Stokes I of the lowest channel, in every pixel."""
    valid: Bool[Array, "y x"]
    """I and P are significant and the rotation measure is determined: see `fit_map`."""
    beam: Float[Array, " 3"]
    """Full widths at half maximum and position angle [rad]."""
    frame: SkyFrame = eqx.field(static=True)
    settings: MapSettings = eqx.field(static=True)

    units: ClassVar[dict[str, str]] = {
        "rm": "rad/m2",
        "rm_error": "rad/m2",
        "rm_error_noise": "rad/m2",
        "evpa0": "rad",
        "evpa0_error": "rad",
        "evpa0_error_noise": "rad",
        "polarized_intensity": "Jy/beam",
        "fraction": "",
        "chi2": "",
        "dof": "",
        "alias_rm": "rad/m2",
        "alias_log_odds": "",
        "alias_log_odds_flat": "",
        "intensity": "Jy/beam",
        "beam": "rad",
    }

    def to_quantity(self, name: str) -> Any:
        """Return one of the fields listed in `units` as an astropy `Quantity`."""
        return units.quantity(getattr(self, checks.one_of(name, list(self.units), "name")), self.units[name])

    def write(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the maps as FITS images with their celestial coordinates; see `physics.faraday.io.maps.write_maps`.

        Raises:
            FileExistsError: `path` exists and `overwrite` is false.
        """
        from physics.faraday.io.maps import write_maps

        write_maps(self, path, overwrite=overwrite)


def fit_map(
    cube: StokesCube,
    *,
    max_rm: Real = None,
    evpa_error: Any = EvpaError(),  # noqa: B008  frozen
    rm_prior: Any = DEFAULT_PRIOR,
    amplitude: str = "free",
    band: Any = None,
    sigma: Any = None,
    intensity_threshold: float = 5.0,
    polarization_threshold: float = 5.0,
    **options: Any,
) -> RotationMap:
    """Return the rotation measure and intrinsic EVPA of every pixel in which the source is polarized.

    A pixel is valid if it is finite in all channels, I exceeds `intensity_threshold` times its noise in every channel,
    and P exceeds `polarization_threshold` times its noise in every band, its channels taken together:
    sqrt(sum (P/sigma)^2 - 2N) for N channels, which does not depend on the rotation between them. A pixel whose
    rotation measure lies beyond `max_rm` is not valid either.

    Args:
        cube: images of one beam.
        max_rm: largest absolute rotation measure searched, see `fit_rotation` [rad/m^2]; by default what the channels
            of a band can follow, at most 40,000.
        evpa_error: errors of the EVPA zero point; 3 degrees per band and 5 degrees per channel by default.
        rm_prior: as in `fit_rotation`.
        amplitude: "free", because cores change their polarization with frequency; "constant" for one P, "fraction" for
            one P/I in all channels.
        band: label of the band of each channel; by default a new one begins at a step of a tenth in frequency.
        sigma: pair of standard deviations of Q and U that broadcast with the images, in their unit; by default those
            of the cube.
        intensity_threshold: in standard deviations of I.
        polarization_threshold: in standard deviations.
        **options: further arguments of `fit_rotation`.

    Raises:
        TypeError: `cube` is not a `StokesCube`.
        UnitsError: a quantity has the wrong dimension.
        ValueError: there are fewer than two frequencies, the widths of the beams differ by more than one per cent in
            some direction, no pixel is valid, or an argument is not what it should be.
    """
    checks.one_of(amplitude, ("free", "constant", "fraction"), "amplitude")
    _check_cube(cube)
    intensity_threshold = nonnegative_number(intensity_threshold, "", "intensity_threshold")
    polarization_threshold = nonnegative_number(polarization_threshold, "", "polarization_threshold")
    if options.get("maxima") == 1:
        raise ValueError("maxima: expected at least 2 for a map, which shows the first alias, got 1")
    frequency = np.asarray(cube.frequency, np.float64)
    band = band_labels(frequency, band)
    limit = default_max_rm(frequency) if max_rm is None else positive_number(max_rm, "rad/m2", "max_rm")
    sigma_q, sigma_u = _sigmas(cube, sigma)
    valid = _valid(cube, sigma_q, sigma_u, band, intensity_threshold, polarization_threshold)
    pixels = np.flatnonzero(valid)
    if not pixels.size:
        raise ValueError(
            f"cube: no pixel has I above {intensity_threshold:g} sigma in every channel and P above "
            f"{polarization_threshold:g} sigma in every band"
        )
    block = np.resize(pixels, -(-len(pixels) // PIXEL_BLOCK) * PIXEL_BLOCK)
    intensity, q, u, sigma_q, sigma_u = (_spectra(x, block) for x in (cube.I, cube.Q, cube.U, sigma_q, sigma_u))
    fit = fit_rotation(
        cube.lambda_squared,
        q,
        u,
        (sigma_q, sigma_u),
        max_rm=limit,
        band=band,
        amplitude=intensity if amplitude == "fraction" else amplitude,
        evpa_error=evpa_error,
        rm_prior=rm_prior,
        **options,
    )
    determined = np.isfinite(np.asarray(fit.rm_error))[: len(pixels)]
    if not determined.any():
        raise ValueError(f"max_rm: no pixel has its rotation measure within {limit:g} rad/m^2")
    valid.flat[pixels] = determined
    errors = evpa_error_of(evpa_error)
    columns = _columns(cube.lambda_squared, fit, (intensity, q, u, sigma_q, sigma_u), band, errors)
    return RotationMap(
        **{name: _image(x, pixels, valid) for name, x in columns.items()},
        intensity=cube.I[0],
        valid=jnp.asarray(valid),
        beam=cube.beam[0],
        frame=cube.frame,
        settings=MapSettings(
            limit,
            errors,
            rm_prior,
            amplitude,
            intensity_threshold,
            polarization_threshold,
            tuple(int(i) for i in np.unique(band, return_inverse=True)[1]),
        ),
    )


def _check_cube(cube: Any) -> None:
    if not isinstance(cube, StokesCube):
        raise TypeError(f"cube: expected a StokesCube, got {type(cube).__name__}")
    if len(cube.frequency) < 2:
        raise ValueError(f"cube: expected at least two frequencies, got {len(cube.frequency)}")
    first, *others = (beam_of(beam, "cube.beam") for beam in np.asarray(cube.beam))
    for channel, beam in enumerate(others, 1):
        if width_ratio(first, beam) > SAME_WIDTH:
            raise ValueError(
                f"cube: expected one beam in all channels, got {described(beam)} in channel {channel} and "
                f"{described(first)} in channel 0: convolve the images to a common beam first"
            )


def _sigmas(cube: StokesCube, sigma: Any) -> tuple[Array, Array]:
    if sigma is None:
        sigma = (cube.sigma[:, 1, None, None], cube.sigma[:, 2, None, None])
    if not (isinstance(sigma, tuple | list) and len(sigma) == 2):
        raise ValueError(f"sigma: expected a pair (sigma_q, sigma_u), got {sigma!r}")
    named = zip(("sigma_q", "sigma_u"), sigma, strict=True)
    first, second = (_sigma(x, cube, name) for name, x in named)
    return first, second


def _sigma(x: Any, cube: StokesCube, name: str) -> Array:
    # An error given in Jy is one per beam.
    flux = units.is_quantity(x) and x.unit.is_equivalent("Jy")
    sigma = checks.positive(units.array(x, "Jy" if flux else cube.frame.unit, name), name)
    shape = checks.broadcastable({name: sigma.shape, "Q": cube.Q.shape})
    if shape != cube.Q.shape:
        raise ValueError(f"{name}: expected a shape that broadcasts with {cube.Q.shape} of Q, got {sigma.shape}")
    return jnp.broadcast_to(sigma.astype(cube.Q.dtype), shape)


def _valid(
    cube: StokesCube, sigma_q: Array, sigma_u: Array, band: HostArray, intensity: float, polarization: float
) -> HostArray:
    finite = np.all(np.asarray(cube.mask), axis=0)
    bright = np.all(np.asarray(cube.I / cube.sigma[:, 0, None, None] > intensity), axis=0)
    power = np.square(np.asarray(cube.Q / sigma_q)) + np.square(np.asarray(cube.U / sigma_u)) - 2.0
    polarized = [power[band == label].sum(axis=0) > polarization**2 for label in np.unique(band)]
    return finite & bright & np.all(polarized, axis=0)


def _spectra(image: Array, pixels: HostArray) -> Array:
    return jnp.moveaxis(image, 0, -1).reshape(-1, image.shape[0])[pixels]


def _columns(
    lambda_squared: Array, fit: RotationFit, spectra: tuple[Array, ...], band: HostArray, errors: EvpaError
) -> dict[str, Array]:
    intensity, q, u, sigma_q, sigma_u = spectra
    across = jnp.sqrt(variance_across(q, u, sigma_q, sigma_u))
    membership = jnp.asarray(np.unique(band)[:, None] == band[None, :], q.dtype)
    signal_to_noise = jnp.sqrt(q * q + u * u) / across
    noise = noise_part(lambda_squared, signal_to_noise, membership, errors.band, errors.channel)
    L = lambda_squared.astype(q.dtype)
    turn = 2.0 * (fit.evpa0[:, None] + fit.rm[:, None] * L[None, :])
    derotated = q * jnp.cos(turn) + u * jnp.sin(turn)
    weight = 2.0 / (sigma_q**2 + sigma_u**2)
    return {
        "rm": fit.rm,
        "rm_error": fit.rm_error,
        "rm_error_noise": noise.rm,
        "evpa0": fit.evpa0,
        "evpa0_error": fit.evpa0_error,
        "evpa0_error_noise": noise.evpa0,
        "polarized_intensity": jnp.sum(weight * derotated, axis=1) / jnp.sum(weight, axis=1),
        "fraction": jnp.sum(weight * intensity * derotated, axis=1) / jnp.sum(weight * intensity**2, axis=1),
        "chi2": fit.chi2,
        "dof": fit.dof,
        "alias_rm": fit.alias_rm[:, 1],
        "alias_log_odds": fit.alias_log_odds[:, 1],
        "alias_log_odds_flat": fit.alias_log_odds_flat[:, 1],
    }


def _image(values: Array, pixels: HostArray, valid: HostArray) -> Array:
    empty = jnp.full(valid.shape, jnp.nan, values.dtype)
    filled = empty.reshape(-1).at[pixels].set(values[: len(pixels)]).reshape(valid.shape)
    return jnp.where(valid, filled, jnp.nan)
