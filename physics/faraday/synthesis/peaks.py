"""Peaks of Faraday spectra with their errors, and how often noise alone makes one."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float

from physics import units
from physics.faraday.conventions import in_one_unit
from physics.faraday.fits.maxima import local_maxima
from physics.faraday.synthesis.channels import prepared
from physics.faraday.synthesis.clean import CleanedSpectrum
from physics.faraday.synthesis.faraday_spectrum import FaradaySpectrum
from physics.faraday.synthesis.peak_kernels import Place, interpolated, measured, polished
from physics.faraday.synthesis.transform import known_depth, spectrum_kernel, warn_beyond
from physics.numerics import checks
from physics.numerics.batching import chunked_map
from physics.types import Real

CHUNK = 256


class FaradayPeaks(eqx.Module):
    """Peaks of each Faraday spectrum, by descending height; angles in radians.

    The errors are those of one thin source in noise. Another source within a width of the RMSF shifts a peak by more.
    """

    depth: Float[Array, "*spectrum peak"]
    depth_error: Float[Array, "*spectrum peak"]
    amplitude: Float[Array, "*spectrum peak"]
    amplitude_error: Float[Array, "*spectrum peak"]
    amplitude_debiased: Float[Array, "*spectrum peak"]
    r"""$\sqrt{A^2 - 2.3\sigma^2}$ above 8 sigma, for the highest of many depths; below, the amplitude as it is."""
    evpa: Float[Array, "*spectrum peak"]
    """At the reference wavelength squared, in (-pi/2, pi/2]."""
    evpa_error: Float[Array, "*spectrum peak"]
    evpa0: Float[Array, "*spectrum peak"]
    """At zero wavelength, in (-pi/2, pi/2]."""
    evpa0_error: Float[Array, "*spectrum peak"]
    signal_to_noise: Float[Array, "*spectrum peak"]
    found: Bool[Array, "*spectrum peak"]
    """False where there are fewer peaks, or lower ones than asked for: the numbers there are zero, errors infinite."""

    units: ClassVar[dict[str, str]] = {
        "depth": "rad/m2",
        "depth_error": "rad/m2",
        "evpa": "rad",
        "evpa_error": "rad",
        "evpa0": "rad",
        "evpa0_error": "rad",
        "signal_to_noise": "",
    }

    def to_quantity(self, name: str) -> Any:
        """Return one of the fields listed in `units` as an astropy `Quantity`."""
        return units.quantity(getattr(self, checks.one_of(name, list(self.units), "name")), self.units[name])


def find_peaks(
    spectrum: FaradaySpectrum | CleanedSpectrum, *, count: int = 1, threshold_sigma: Real = 0.0, noise: Real = None
) -> FaradayPeaks:
    r"""Return the highest peaks of each Faraday spectrum with their errors.

    Peaks of a `FaradaySpectrum` are polished on the sums over the channels, so they do not depend on the grid; further
    peaks of it may be sidelobes. Those of a `CleanedSpectrum` are interpolated by a parabola through three points.

    Args:
        spectrum: what `rm_synthesis` or `rm_clean` returns.
        count: how many peaks, at most.
        threshold_sigma: lowest height of a peak, in units of the noise.
        noise: standard deviation of the real or imaginary part of the spectrum, in its unit, a number or one for each
            spectrum; by default that of the synthesis.

    Raises:
        TypeError: `spectrum` is neither.
        UnitsError: a quantity has the wrong dimension.
        ValueError: the noise is not known; a value is out of its range.

    Source: derived in docs/theory/faraday.md; the debiased amplitude George, Stil and Keller (2012).
    """
    if not isinstance(spectrum, FaradaySpectrum | CleanedSpectrum):
        raise TypeError(f"spectrum: expected a FaradaySpectrum or a CleanedSpectrum, got {type(spectrum).__name__}")
    dirty = spectrum if isinstance(spectrum, FaradaySpectrum) else spectrum.dirty
    checks.positive_integer(count, "count")
    count = min(count, dirty.depth.shape[0] - 2)
    variance = _variance(dirty, noise)
    limit = _limit(threshold_sigma, dirty.depth.dtype)
    value = spectrum.value if isinstance(spectrum, FaradaySpectrum) else spectrum.restored
    arrays = [value, dirty.polarization, dirty.weights, variance, dirty.lambda0_squared]
    kernel = jax.tree_util.Partial(
        _peaks_of, isinstance(spectrum, FaradaySpectrum), count, dirty.depth, dirty.lambda_squared, limit
    )
    return chunked_map(kernel, *arrays, core_ndim=(1, 1, 1, 1, 0), chunk_size=CHUNK)


def synthesis_peaks(
    lambda_squared: Real,
    polarization: Any,
    depth: Real,
    *,
    sigma: Real,
    count: int = 1,
    threshold_sigma: Real = 0.0,
    mask: Any = None,
    weights: Any = "variance",
    robust: float = 0.0,
    amplitude: Any = None,
    lambda0_squared: Real = None,
) -> FaradayPeaks:
    """Return what `find_peaks` finds in `rm_synthesis`, without ever holding more than some hundred spectra.

    For maps: give the polarization as (y, x, channel).

    Args:
        lambda_squared: as in `rm_synthesis` [m^2], like all that follows but the two of `find_peaks`.
        polarization: P = Q + iU.
        depth: Faraday depths [rad/m^2].
        sigma: standard deviation of one real Stokes parameter.
        count: how many peaks, at most.
        threshold_sigma: lowest height of a peak, in units of the noise.
        mask: booleans, True where a channel is used.
        weights: of the channels.
        robust: of the weights "briggs".
        amplitude: known amplitude along the channels.
        lambda0_squared: reference wavelength squared [m^2].

    Raises:
        TypeError: `lambda_squared` or `depth` is traced.
        UnitsError: a quantity has the wrong dimension.
        ValueError: as in `rm_synthesis` and `find_peaks`.

    Source: derived in docs/theory/faraday.md.
    """
    channels = prepared(lambda_squared, polarization, sigma, mask, weights, robust, amplitude, lambda0_squared)
    if channels.variance is None:
        raise ValueError("sigma: expected the standard deviation of the data, got None")
    grid = known_depth(depth)
    warn_beyond(grid, channels.host)
    checks.positive_integer(count, "count")
    kernel, arrays, cores = spectrum_kernel(channels, grid)
    real = channels.weights.dtype
    limit = _limit(threshold_sigma, real)
    peaks = jax.tree_util.Partial(
        _peaks_of, True, min(count, len(grid) - 2), jnp.asarray(grid, real), jnp.asarray(channels.host, real), limit
    )
    data = [channels.polarization, channels.weights, channels.variance, channels.lambda0_squared]
    both = jax.tree_util.Partial(_peaks_without_spectrum, peaks, kernel)
    return chunked_map(both, *data, *arrays, core_ndim=[1, 1, 1, 0, *cores], chunk_size=CHUNK)


def false_alarm_probability(
    signal_to_noise: Real, fdf: FaradaySpectrum, *, independent: Real = None
) -> Float[Array, "..."]:
    r"""Return the probability that noise alone exceeds a height somewhere in a Faraday spectrum.

    For the modulus of complex Gaussian noise over the range $\Delta\phi$ of the depths,

    $$ 1 - (1 - e^{-t^2/2}) \exp(-\nu\,\Delta\phi), \qquad \nu = t\,e^{-t^2/2}\,\sqrt{2 s^2/\pi}, $$

    with the rate $\nu$ at which it crosses t upwards and the variance $s^2$ of $\lambda^2$ under the weights
    $w^2\sigma^2$. With `independent` it is $1 - (1 - e^{-t^2/2})^N$.

    Args:
        signal_to_noise: t, peak over `fdf.noise`; broadcasts with the weights of the spectra.
        fdf: the spectra, for their range, channels and weights.
        independent: number N of independent depths. The range over the width of the RMSF, often quoted, is too small
            by a factor of about four at t = 5.

    Raises:
        UnitsError: a quantity has a unit.
        ValueError: a value is negative or not finite.

    Source: derived in docs/theory/faraday.md (Rice's formula).
    """
    if not isinstance(fdf, FaradaySpectrum):
        raise TypeError(f"fdf: expected a FaradaySpectrum, got {type(fdf).__name__}")
    t = checks.nonnegative(units.array(signal_to_noise, "", "signal_to_noise"), "signal_to_noise")
    t = t.astype(fdf.depth.dtype)
    alone = jnp.exp(-0.5 * t * t)
    if independent is not None:
        number = checks.positive(units.array(independent, "", "independent"), "independent").astype(t.dtype)
        checks.broadcastable({"signal_to_noise": t.shape, "independent": number.shape})
        t, number = jnp.broadcast_arrays(t, number)
        return -jnp.expm1(number * jnp.log1p(-jnp.exp(-0.5 * t * t)))
    power = jnp.square(fdf.weights) * _used_variance(fdf)
    total = jnp.sum(power, axis=-1)
    share = power / jnp.where(total > 0, total, 1.0)[..., None]
    x = jnp.broadcast_to(fdf.lambda_squared - jnp.mean(fdf.lambda_squared), share.shape)
    mean = jnp.sum(share * x, axis=-1)
    spread = jnp.sqrt(jnp.sum(share * jnp.square(x - mean[..., None]), axis=-1))
    checks.broadcastable({"signal_to_noise": t.shape, "the weights": spread.shape})
    t, alone, spread = jnp.broadcast_arrays(t, alone, spread)
    crossings = t * alone * spread * jnp.sqrt(2.0 / jnp.pi).astype(t.dtype) * (fdf.depth[-1] - fdf.depth[0])
    return -jnp.expm1(jnp.log1p(-alone) - crossings)


def _peaks_without_spectrum(
    peaks: Any, kernel: Any, p: Array, weights: Array, variance: Array, reference: Array, *arrays: Array
) -> FaradayPeaks:
    return peaks(kernel(*arrays), p, weights, variance, reference)


def _peaks_of(
    polish: bool,
    count: int,
    depth: Float[Array, " depth"],
    lambda_squared: Float[Array, " channel"],
    limit: Float[Array, ""],
    value: Complex[Array, " depth"],
    p: Complex[Array, " channel"],
    weights: Float[Array, " channel"],
    variance: Float[Array, " channel"],
    reference: Float[Array, ""],
) -> FaradayPeaks:
    power = jnp.square(value.real) + jnp.square(value.imag)
    index, there, _ = local_maxima(power, count)
    rises = (power[index] > power[index - 1]) & (power[index] >= power[index + 1])
    place = Place(p, weights, variance, lambda_squared - reference, reference)
    if polish:
        at, top = jax.vmap(lambda k: polished(place, depth, k))(index)
    else:
        at, top = jax.vmap(lambda k: interpolated(depth, value, k))(index)
    columns = measured(place, at, top)
    found = there & rises & (columns["signal_to_noise"] >= limit) & jnp.any(weights > 0)
    blank = {name: jnp.inf if name.endswith("_error") else 0.0 for name in columns}
    return FaradayPeaks(**{name: jnp.where(found, x, blank[name]) for name, x in columns.items()}, found=found)


def _used_variance(fdf: FaradaySpectrum) -> Array:
    if fdf.variance is None:
        return jnp.ones_like(fdf.weights)
    return jnp.where(fdf.weights > 0, fdf.variance, 0.0)


def _variance(fdf: FaradaySpectrum, noise: Any) -> Array:
    if noise is None:
        if fdf.variance is None:
            raise ValueError("noise: needs sigma in rm_synthesis, or to be given here")
        return fdf.variance
    given = checks.positive(in_one_unit({"noise": noise})["noise"], "noise").astype(fdf.depth.dtype)
    batch = fdf.value.shape[:-1]
    if checks.broadcastable({"noise": given.shape, "the spectra": batch}) != batch:
        raise ValueError(f"noise: expected one number or one for each spectrum {batch}, got shape {given.shape}")
    # Channels of equal variance that would make it.
    gain = jnp.sum(jnp.square(fdf.weights), axis=-1)
    each = jnp.square(jnp.broadcast_to(given, batch)) / jnp.broadcast_to(jnp.where(gain > 0, gain, 1.0), batch)
    return jnp.broadcast_to(each[..., None], fdf.polarization.shape)


def _limit(threshold_sigma: Any, dtype: Any) -> Array:
    limit = checks.nonnegative(units.array(threshold_sigma, "", "threshold_sigma"), "threshold_sigma")
    if limit.ndim:
        raise ValueError(f"threshold_sigma: expected one number, got an array of shape {limit.shape}")
    return limit.astype(dtype)
