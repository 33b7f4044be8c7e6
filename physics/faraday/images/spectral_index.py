r"""Maps of the spectral index, alpha of $I \sim \nu^\alpha$, and of its curvature."""

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from physics import units
from physics.faraday.depth import band_labels
from physics.faraday.fits.arguments import nonnegative_number
from physics.faraday.images.cube import SkyFrame, StokesCube
from physics.faraday.images.one_beam import common_beam
from physics.faraday.images.selection import as_image, bright_in_intensity, spectra
from physics.numerics import checks
from physics.numerics.batching import chunked_map
from physics.numerics.lstsq import generalised_fit
from physics.types import Real

LIMITS = (-2.0, 3.0)
"""Spectral indices outside of which images do not lie on one another, or are of noise."""


class SpectralIndexMap(eqx.Module):
    r"""Spectral index of each pixel, $\ln I = \ln I_0 + \alpha x + \tfrac12 c\,x^2$ with $x = \ln(\nu/\nu_0)$.

    Pixels that are not `valid` hold NaN. The errors called noise leave out the flux scale, which all pixels share.
    """

    alpha: Float[Array, "y x"]
    alpha_error: Float[Array, "y x"]
    alpha_error_noise: Float[Array, "y x"]
    curvature: Float[Array, "y x"] | None
    """d alpha/d ln nu, None if it was not fitted."""
    curvature_error: Float[Array, "y x"] | None
    curvature_error_noise: Float[Array, "y x"] | None
    intensity: Float[Array, "y x"]
    """I_0 at the reference frequency."""
    chi2: Float[Array, "y x"]
    dof: Float[Array, ""]
    valid: Bool[Array, "y x"]
    """I is significant in every channel, and alpha within the limits."""
    reference_frequency: Float[Array, ""]
    """nu_0 [Hz], the geometric mean of the channels."""
    beam: Float[Array, " 3"]
    """Full widths at half maximum and position angle [rad]."""
    frame: SkyFrame = eqx.field(static=True)

    units: ClassVar[dict[str, str]] = {
        "alpha": "",
        "alpha_error": "",
        "alpha_error_noise": "",
        "curvature": "",
        "curvature_error": "",
        "curvature_error_noise": "",
        "intensity": "Jy/beam",
        "chi2": "",
        "dof": "",
        "reference_frequency": "Hz",
        "beam": "rad",
    }

    def to_quantity(self, name: str) -> Any:
        """Return one of the fields listed in `units` as an astropy `Quantity`."""
        return units.quantity(getattr(self, checks.one_of(name, list(self.units), "name")), self.units[name])


class PowerLawFit(NamedTuple):
    """A power law through intensities; the second axis is ln I_0, alpha, and perhaps the curvature."""

    coefficients: Float[Array, "p k"]
    error: Float[Array, "p k"]
    error_noise: Float[Array, "p k"]
    chi2: Float[Array, " p"]


def spectral_index(
    cube: StokesCube,
    *,
    curvature: bool = False,
    flux_scale: Real = 0.05,
    channel_scale: Real = 0.01,
    band: Any = None,
    threshold: Real = 5.0,
    limits: tuple[float, float] = LIMITS,
) -> SpectralIndexMap:
    """Return the spectral index of every pixel that is bright in all channels.

    Args:
        cube: images of one beam that lie on one another; see `align`.
        curvature: whether the index may change with frequency; for at least three bands.
        flux_scale: relative error of the flux scale, common to the channels of a band and to all pixels.
        channel_scale: the same of each channel on its own.
        band: label of the band of each channel; by default a new one begins at a step of a tenth in frequency.
        threshold: least I in every channel, in standard deviations.
        limits: of the indices that are kept.

    Raises:
        TypeError: `cube` is not a `StokesCube`.
        UnitsError: a quantity has the wrong dimension.
        ValueError: there are too few bands, the beams differ, no pixel is bright enough, or an argument is not what
            it should be.

    Source: derived in docs/theory/faraday-images.md.
    """
    beam = common_beam(cube)
    labels = band_labels(np.asarray(cube.frequency, np.float64), band)
    needed = 3 if curvature else 2
    if len(np.unique(labels)) < needed:
        raise ValueError(f"cube: expected at least {needed} bands, got {len(np.unique(labels))}")
    least = nonnegative_number(threshold, "", "threshold")
    scales = tuple(
        nonnegative_number(x, "", n) for x, n in ((flux_scale, "flux_scale"), (channel_scale, "channel_scale"))
    )
    if not (len(limits) == 2 and limits[0] < limits[1]):
        raise ValueError(f"limits: expected two ascending numbers, got {limits!r}")
    bright = np.all(np.asarray(cube.mask), axis=0) & bright_in_intensity(cube, least)
    pixels = np.flatnonzero(bright)
    if not pixels.size:
        raise ValueError(f"cube: no pixel has I above {least:g} sigma in every channel")
    same_band = jnp.asarray(labels[:, None] == labels[None, :], cube.I.dtype)
    fit = fit_power_law(
        cube.frequency, spectra(cube.I, pixels), cube.sigma[:, 0], same_band, scales, curvature=curvature
    )
    found = np.asarray(fit.coefficients[:, 1])
    valid = bright.copy()
    valid.flat[pixels] = (found >= limits[0]) & (found <= limits[1])

    def image(values: Array) -> Array:
        return as_image(values, pixels, bright.shape, valid)

    slope = [image(x[:, 1]) for x in (fit.coefficients, fit.error, fit.error_noise)]
    bend = [image(x[:, 2]) if curvature else None for x in (fit.coefficients, fit.error, fit.error_noise)]
    return SpectralIndexMap(
        alpha=slope[0],
        alpha_error=slope[1],
        alpha_error_noise=slope[2],
        curvature=bend[0],
        curvature_error=bend[1],
        curvature_error_noise=bend[2],
        intensity=image(jnp.exp(fit.coefficients[:, 0])),
        chi2=image(fit.chi2),
        dof=jnp.asarray(float(len(cube.frequency) - fit.error.shape[1]), cube.I.dtype),
        valid=jnp.asarray(valid),
        reference_frequency=reference_frequency(cube.frequency),
        beam=jnp.asarray(beam, cube.I.dtype),
        frame=cube.frame,
    )


def reference_frequency(frequency: Float[Array, " channel"]) -> Float[Array, ""]:
    """Return the geometric mean of the channels."""
    return jnp.exp(jnp.mean(jnp.log(frequency)))


def fit_power_law(
    frequency: Float[Array, " n"],
    intensity: Float[Array, "p n"],
    sigma: Float[Array, " n"],
    same_band: Float[Array, "n n"],
    scales: tuple[float, ...],
    *,
    curvature: bool = False,
) -> PowerLawFit:
    r"""Return the power laws of many pixels, with the covariance of noise and flux scale in $\ln I$.

    $C = \mathrm{diag}(\sigma^2/I^2 + s_c^2) + s_b^2 B^T B$, B the membership of channels in bands.

    Args:
        frequency: of the channels [Hz].
        intensity: above zero.
        sigma: standard deviations of I.
        same_band: 1 for two channels of one band, 0 else.
        scales: relative errors of the flux scale, of a band and of a channel.
        curvature: whether to fit it.
    """
    x = jnp.log(frequency / reference_frequency(frequency)).astype(intensity.dtype)
    design = jnp.stack([x**i / (1.0, 1.0, 2.0)[i] for i in range(3 if curvature else 2)], axis=1)
    common = scales[0] ** 2 * same_band + scales[1] ** 2 * jnp.eye(len(x), dtype=intensity.dtype)
    fit = jax.tree_util.Partial(_fit_pixel, design, common, sigma.astype(intensity.dtype))
    return PowerLawFit(*chunked_map(fit, intensity, core_ndim=1))


def _fit_pixel(
    design: Float[Array, "n k"], common: Float[Array, "n n"], sigma: Float[Array, " n"], intensity: Float[Array, " n"]
) -> tuple[Array, Array, Array, Array]:
    noise = jnp.square(sigma / intensity)
    fit = generalised_fit(design, jnp.log(intensity), jnp.diag(noise) + common)
    from_noise = jnp.sum(jnp.square(fit.gain) * noise[None, :], axis=1)
    return fit.coefficients, jnp.sqrt(jnp.diagonal(fit.covariance)), jnp.sqrt(from_noise), fit.chi2
