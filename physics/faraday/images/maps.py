"""Maps of rotation measure and intrinsic EVPA from a cube of images."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics.faraday.conventions import lambda_squared, variance_across
from physics.faraday.depth import band_labels, default_max_rm
from physics.faraday.fits.arguments import DEFAULT_PRIOR, nonnegative_number, positive_number
from physics.faraday.fits.bounds import noise_part
from physics.faraday.fits.calibration import EvpaError, evpa_error_of
from physics.faraday.fits.rotation import fit_rotation
from physics.faraday.fits.rotation_fit import RotationFit
from physics.faraday.images.cube import StokesCube
from physics.faraday.images.depolarization import band_fractions, depolarization
from physics.faraday.images.flags import AMBIGUOUS_LOG_ODDS, INVALID, MISFIT_PROBABILITY, PixelFlag
from physics.faraday.images.noise import NoiseModel
from physics.faraday.images.one_beam import common_beam
from physics.faraday.images.rotation_map import MapSettings, RotationMap
from physics.faraday.images.selection import as_image, channel_sigmas, selection_flags, spectra
from physics.faraday.images.spectral_index import fit_power_law
from physics.numerics import checks
from physics.types import HostArray, Real

PIXEL_BLOCK = 256
"""Pixels are fitted in multiples of this, so that maps of nearly equal size share compiled code."""


def fit_map(
    cube: StokesCube,
    *,
    max_rm: Real = None,
    evpa_error: Any = EvpaError(),  # noqa: B008  frozen
    rm_prior: Any = DEFAULT_PRIOR,
    amplitude: str = "free",
    band: Any = None,
    sigma: Any = None,
    flux_scale: tuple[float, float] = (0.05, 0.01),
    intensity_threshold: float = 5.0,
    polarization_threshold: float = 5.0,
    **options: Any,
) -> RotationMap:
    """Return the rotation measure and intrinsic EVPA of every pixel in which the source is polarized.

    A pixel is valid if it is finite in all channels, I exceeds `intensity_threshold` times its noise in every channel,
    and P exceeds `polarization_threshold` times its noise in every band, its channels taken together:
    sqrt(sum (P/sigma)^2 - 2N) for N channels, which does not depend on the rotation between them. A pixel whose
    rotation measure lies beyond `max_rm` is not valid either. `flags` of the result tells why a pixel is not valid,
    and where the thin screen misfits or the branch is in doubt.

    Args:
        cube: images of one beam.
        max_rm: largest absolute rotation measure searched, see `fit_rotation` [rad/m^2]; by default what the channels
            of a band can follow, at most 40,000.
        evpa_error: errors of the EVPA zero point; 3 degrees per band and 5 degrees per channel by default.
        rm_prior: as in `fit_rotation`.
        amplitude: "free", because cores change their polarization with frequency; "constant" for one P, "fraction" for
            one P/I in all channels.
        band: label of the band of each channel; by default a new one begins at a step of a tenth in frequency.
        sigma: standard deviations of Q and U: a `NoiseModel`, or a pair that broadcasts with the images, in their
            unit; by default those of the cube, which are of pixels away from the source.
        flux_scale: relative errors of the flux scale of a band and of a channel, for the spectral index.
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
    beam = common_beam(cube)
    if len(cube.frequency) < 2:
        raise ValueError(f"cube: expected at least two frequencies, got {len(cube.frequency)}")
    intensity_threshold = nonnegative_number(intensity_threshold, "", "intensity_threshold")
    polarization_threshold = nonnegative_number(polarization_threshold, "", "polarization_threshold")
    if options.get("maxima") == 1:
        raise ValueError("maxima: expected at least 2 for a map, which shows the first alias, got 1")
    frequency = np.asarray(cube.frequency, np.float64)
    band = band_labels(frequency, band)
    limit = default_max_rm(frequency) if max_rm is None else positive_number(max_rm, "rad/m2", "max_rm")
    scales = tuple(nonnegative_number(x, "", f"flux_scale[{i}]") for i, x in enumerate(flux_scale))
    sigma_q, sigma_u = channel_sigmas(cube, sigma)
    flags = selection_flags(cube, sigma_q, sigma_u, band, intensity_threshold, polarization_threshold)
    pixels = np.flatnonzero(flags == 0)
    if not pixels.size:
        raise ValueError(
            f"cube: no pixel has I above {intensity_threshold:g} sigma in every channel and P above "
            f"{polarization_threshold:g} sigma in every band"
        )
    block = np.resize(pixels, -(-len(pixels) // PIXEL_BLOCK) * PIXEL_BLOCK)
    intensity, q, u, *sigmas = (spectra(x, block) for x in (cube.I, cube.Q, cube.U, sigma_q, sigma_u))
    fit = fit_rotation(
        cube.lambda_squared,
        q,
        u,
        tuple(sigmas),
        max_rm=limit,
        band=band,
        amplitude=intensity if amplitude == "fraction" else amplitude,
        evpa_error=evpa_error,
        rm_prior=rm_prior,
        **options,
    )
    flags.flat[pixels] |= _fit_flags(fit)[: len(pixels)]
    valid = np.bitwise_and(flags, int(INVALID)) == 0
    if not valid.any():
        raise ValueError(f"max_rm: no pixel has its rotation measure within {limit:g} rad/m^2")
    errors = evpa_error_of(evpa_error)
    measured = Measured(intensity, q, u, sigmas[0], sigmas[1], cube.sigma[:, 0])
    membership = jnp.asarray(np.unique(band)[:, None] == band[None, :], cube.Q.dtype)
    columns = _rotation_columns(cube.frequency, fit, measured, membership, (errors.band, errors.channel))
    columns |= _polarization_columns(cube.frequency, fit, measured, membership, scales)
    settings = MapSettings(
        max_rm=limit,
        evpa_error=errors,
        rm_prior=rm_prior,
        amplitude=amplitude,
        intensity_threshold=intensity_threshold,
        polarization_threshold=polarization_threshold,
        bands=tuple(int(i) for i in np.unique(band, return_inverse=True)[1]),
        noise="off-source" if sigma is None else str(sigma) if isinstance(sigma, NoiseModel) else "given",
    )
    return RotationMap(
        **{name: as_image(x, pixels, valid.shape, valid) for name, x in columns.items()},
        intensity=cube.I[0],
        valid=jnp.asarray(valid),
        flags=jnp.asarray(flags),
        band_frequency=jnp.asarray([frequency[band == b].mean() for b in np.unique(band)], cube.Q.dtype),
        beam=jnp.asarray(beam, cube.Q.dtype),
        frame=cube.frame,
        settings=settings,
    )


class Measured(NamedTuple):
    """What was measured in the pixels that are fitted."""

    intensity: Float[Array, "p n"]
    q: Float[Array, "p n"]
    u: Float[Array, "p n"]
    sigma_q: Float[Array, "p n"]
    sigma_u: Float[Array, "p n"]
    sigma_i: Float[Array, " n"]


def _fit_flags(fit: RotationFit) -> HostArray:
    set_where = {
        PixelFlag.UNDETERMINED: ~fit.determined,
        PixelFlag.MISFIT: fit.determined & (fit.p_value < MISFIT_PROBABILITY),
        PixelFlag.AMBIGUOUS: fit.determined & (fit.alias_log_odds[:, 1] > AMBIGUOUS_LOG_ODDS),
        PixelFlag.PRIOR_DECIDES: fit.determined & jnp.any(fit.alias_log_odds_flat[:, 1:] > 0.0, axis=1),
    }
    return np.sum([np.where(np.asarray(where), int(flag), 0) for flag, where in set_where.items()], axis=0)


@functools.partial(jax.jit, static_argnums=4)
def _rotation_columns(
    frequency: Float[Array, " n"],
    fit: RotationFit,
    measured: Measured,
    membership: Float[Array, "band n"],
    errors: tuple[float, float],
) -> dict[str, Array]:
    across = jnp.sqrt(variance_across(*measured[1:5]))
    signal_to_noise = jnp.sqrt(measured.q**2 + measured.u**2) / across
    noise = noise_part(lambda_squared(frequency), signal_to_noise, membership, *errors)
    return {
        "rm": fit.rm,
        "rm_error": fit.rm_error,
        "rm_error_noise": noise.rm,
        "evpa0": fit.evpa0,
        "evpa0_error": fit.evpa0_error,
        "evpa0_error_noise": noise.evpa0,
        "chi2": fit.chi2,
        "dof": fit.dof,
        "alias_rm": fit.alias_rm[:, 1],
        "alias_log_odds": fit.alias_log_odds[:, 1],
        "alias_log_odds_flat": fit.alias_log_odds_flat[:, 1],
    }


@functools.partial(jax.jit, static_argnums=4)
def _polarization_columns(
    frequency: Float[Array, " n"],
    fit: RotationFit,
    measured: Measured,
    membership: Float[Array, "band n"],
    scales: tuple[float, ...],
) -> dict[str, Array]:
    intensity, q, u, sigma_q, sigma_u, sigma_i = measured
    L = lambda_squared(frequency).astype(q.dtype)
    centre = (membership @ L) / jnp.sum(membership, axis=1)
    weight = 2.0 / (sigma_q**2 + sigma_u**2)
    along, _ = _turned_back(q, u, fit.evpa0[:, None] + fit.rm[:, None] * L[None, :])
    # Within a band only the rotation between its channels is undone, so that the offsets of bands do not matter.
    within = _turned_back(q, u, fit.rm[:, None] * (L - centre @ membership)[None, :])
    fractions = band_fractions(within, intensity, weight, sigma_i, membership)
    slope = depolarization(centre, fractions)
    several = len(membership) > 1
    law = fit_power_law(frequency, intensity, sigma_i, membership.T @ membership, scales)
    return {
        "polarized_intensity": jnp.sum(weight * along, axis=1) / jnp.sum(weight, axis=1),
        "fraction": jnp.sum(weight * intensity * along, axis=1) / jnp.sum(weight * intensity**2, axis=1),
        "fraction_band": fractions.fraction,
        "fraction_band_error": fractions.error,
        "depolarization": slope.slope,
        "depolarization_error": slope.error,
        "depolarization_class": slope.kind,
        "spectral_index": law.coefficients[:, 1] if several else jnp.full_like(fit.rm, jnp.nan),
        "spectral_index_error": law.error[:, 1] if several else jnp.full_like(fit.rm, jnp.nan),
    }


def _turned_back(
    q: Float[Array, "p n"], u: Float[Array, "p n"], angle: Float[Array, "p n"]
) -> tuple[Float[Array, "p n"], Float[Array, "p n"]]:
    # Q and U in axes turned by an angle.
    cosine, sine = jnp.cos(2.0 * angle), jnp.sin(2.0 * angle)
    return q * cosine + u * sine, u * cosine - q * sine
