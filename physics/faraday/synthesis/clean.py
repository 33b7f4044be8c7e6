"""RM-CLEAN: thin components found one by one in Faraday spectra."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float, Int

from physics import units
from physics.faraday.conventions import in_one_unit
from physics.faraday.synthesis.clean_loop import found_components, restored_spectrum
from physics.faraday.synthesis.faraday_spectrum import FaradaySpectrum
from physics.numerics import checks
from physics.numerics.batching import chunked_map
from physics.types import Real

SPECTRA = 16
"""Spectra in lockstep: their residuals and components then stay in the cache of one core."""

DEFAULT_SIGMA = 4.0


class CleanedSpectrum(eqx.Module):
    """Components of Faraday spectra, with what they leave."""

    components: Complex[Array, "*spectrum depth"]
    """Sum of the components at each depth."""
    residual: Complex[Array, "*spectrum depth"]
    restored: Complex[Array, "*spectrum depth"]
    """Residual plus components convolved with a Gaussian of unit height and width `fwhm`."""
    iterations: Int[Array, "*spectrum"]
    converged: Bool[Array, "*spectrum"]
    """Whether the residual fell to the threshold; otherwise the iterations ran out."""
    threshold: Float[Array, "*spectrum"]
    fwhm: Float[Array, "..."]
    """Full width at half maximum of the Gaussian [rad/m^2]."""
    dirty: FaradaySpectrum

    units: ClassVar[dict[str, str]] = {"depth": "rad/m2", "fwhm": "rad/m2", "mean_depth": "rad/m2", "spread": "rad/m2"}

    def to_quantity(self, name: str) -> Any:
        """Return one of the values listed in `units` as an astropy `Quantity`."""
        return units.quantity(getattr(self, checks.one_of(name, list(self.units), "name")), self.units[name])

    @property
    def depth(self) -> Float[Array, " depth"]:
        """Of the spectra [rad/m^2]."""
        return self.dirty.depth

    @property
    def mean_depth(self) -> Float[Array, "*spectrum"]:
        """Mean depth of the components, weighted by their amplitudes; zero if there are none [rad/m^2]."""
        return _moments(self.depth, self.components)[0]

    @property
    def spread(self) -> Float[Array, "*spectrum"]:
        r"""Second moment of the components, an index of complexity [rad/m^2].

        $\sqrt{\sum |c|(\phi - \bar\phi)^2/\sum |c|}$. A single thin source leaves a value of the order of the step and
        of the RMSF width over its signal-to-noise ratio.
        """
        return _moments(self.depth, self.components)[1]


def rm_clean(
    fdf: FaradaySpectrum,
    *,
    threshold: Real = None,
    threshold_sigma: Real = None,
    gain: float = 0.1,
    max_iterations: int = 1000,
    window: Any = None,
    fwhm: Real = None,
    chunk_size: int = SPECTRA,
) -> CleanedSpectrum:
    r"""Return the thin components that explain each Faraday spectrum down to a threshold.

    As often as needed, `gain` times the highest value of the residual is taken for a component, and its response, the
    shifted RMSF, is subtracted. Spectra are cleaned in lockstep, those of similar dynamic range together, and one that
    is finished changes no more.

    Args:
        fdf: what `rm_synthesis` returns.
        threshold: of the residual's modulus, in the unit of the spectrum, a number or one for each spectrum.
        threshold_sigma: the same in units of the noise of each spectrum; 4 if neither is given.
        gain: above 0 and below 2, where it would diverge.
        max_iterations: of each spectrum.
        window: booleans that broadcast with the spectrum, True where components may lie and the threshold counts.
        fwhm: width of the restoring Gaussian [rad/m^2]; by default that of the RMSF, measured.
        chunk_size: spectra in lockstep.

    Raises:
        TypeError: `fdf` is not a `FaradaySpectrum`.
        UnitsError: a quantity has the wrong dimension.
        ValueError: both or, without noise, neither of the thresholds are given; a value is out of its range; shapes do
            not match.

    Source: Hogbom (1974) in Faraday depth, Heald, Braun and Edmonds (2009); derived in docs/theory/faraday.md.
    """
    if not isinstance(fdf, FaradaySpectrum):
        raise TypeError(f"fdf: expected a FaradaySpectrum, as rm_synthesis returns, got {type(fdf).__name__}")
    if not 0.0 < gain < 2.0:
        raise ValueError(f"gain: expected a number above 0 and below 2, got {gain!r}")
    checks.positive_integer(max_iterations, "max_iterations")
    limit = _threshold(fdf, threshold, threshold_sigma)
    allowed = _window(fdf, window)
    width = _width(fdf, fwhm)
    real = fdf.depth.dtype
    flat, order = _ordered(fdf, limit)
    loop = jax.tree_util.Partial(found_components, jnp.asarray(gain, real), jnp.asarray(max_iterations, jnp.int32))
    kernel, arrays, cores = _with_rmsf(loop, fdf, order)
    arrays = [flat, jnp.ravel(limit)[order], _like_spectra(allowed, fdf, order), *arrays]
    found = chunked_map(kernel, *arrays, core_ndim=[1, 0, 1, *cores], chunk_size=chunk_size)
    components, residual, count, done = (jnp.zeros_like(x).at[order].set(x) for x in found)
    shape = fdf.value.shape
    components, residual = components.reshape(shape), residual.reshape(shape)
    restore = jax.tree_util.Partial(restored_spectrum, fdf.rmsf_depth)
    return CleanedSpectrum(
        components=components,
        residual=residual,
        restored=chunked_map(restore, components, residual, width, core_ndim=(1, 1, 0), chunk_size=256),
        iterations=count.reshape(shape[:-1]),
        converged=done.reshape(shape[:-1]),
        threshold=limit,
        fwhm=width,
        dirty=fdf,
    )


def _with_rmsf(loop: Any, fdf: FaradaySpectrum, order: Array) -> tuple[Any, list[Array], list[int]]:
    if fdf.weights.ndim == 1:
        return jax.tree_util.Partial(_one_rmsf, loop, fdf.rmsf), [], []
    kernel, (weights, shift) = fdf.rmsf_kernel()
    each = [weights.reshape(-1, weights.shape[-1])[order], jnp.ravel(shift)[order]]
    return jax.tree_util.Partial(_own_rmsf, loop, kernel), each, [1, 0]


def _one_rmsf(loop: Any, rmsf: Array, value: Array, limit: Array, window: Array) -> Any:
    return loop(value, limit, window, rmsf)


def _own_rmsf(loop: Any, kernel: Any, value: Array, limit: Array, window: Array, weights: Array, shift: Array) -> Any:
    return loop(value, limit, window, kernel(weights, shift))


def _ordered(fdf: FaradaySpectrum, limit: Array) -> tuple[Array, Array]:
    # Iterations grow with the logarithm of the dynamic range, so spectra alike in it finish together.
    flat = fdf.value.reshape(-1, fdf.value.shape[-1])
    peak = jnp.max(jnp.square(flat.real) + jnp.square(flat.imag), axis=-1)
    ratio = peak / jnp.square(jnp.maximum(jnp.ravel(limit), jnp.finfo(peak.dtype).tiny))
    order = jnp.argsort(jax.lax.stop_gradient(ratio))
    return flat[order], order


def _like_spectra(x: Array, fdf: FaradaySpectrum, order: Array) -> Array:
    if x.ndim == 1:
        return x
    return jnp.broadcast_to(x, (*fdf.value.shape[:-1], x.shape[-1])).reshape(-1, x.shape[-1])[order]


def _threshold(fdf: FaradaySpectrum, threshold: Any, threshold_sigma: Any) -> Array:
    if threshold is not None and threshold_sigma is not None:
        raise ValueError("threshold, threshold_sigma: expected one of them, got both")
    batch = fdf.value.shape[:-1]
    if threshold is not None:
        name, limit = "threshold", in_one_unit({"threshold": threshold})["threshold"]
        limit = checks.nonnegative(limit, name)
    else:
        name, factor = "threshold_sigma", DEFAULT_SIGMA if threshold_sigma is None else threshold_sigma
        if fdf.noise is None:
            raise ValueError(f"{name}: needs the noise, which rm_synthesis knows with sigma; or give threshold")
        limit = checks.nonnegative(units.array(factor, "", name), name).astype(fdf.noise.dtype)
        checks.broadcastable({name: limit.shape, "the spectra": batch})
        limit = jnp.broadcast_to(limit, batch) * jnp.broadcast_to(fdf.noise, batch)
    if checks.broadcastable({name: limit.shape, "the spectra": batch}) != batch:
        raise ValueError(f"{name}: expected one number or one for each spectrum {batch}, got shape {limit.shape}")
    return jnp.broadcast_to(limit, batch).astype(fdf.depth.dtype)


def _window(fdf: FaradaySpectrum, window: Any) -> Array:
    if window is None:
        return jnp.ones(fdf.depth.shape, bool)
    window = jnp.asarray(window)
    if window.dtype != bool:
        raise ValueError(f"window: expected booleans, got an array of {window.dtype}")
    shape = checks.broadcastable({"window": window.shape, "the spectrum": fdf.value.shape})
    if shape != fdf.value.shape or window.shape[-1:] != fdf.depth.shape:
        raise ValueError(f"window: expected a shape that broadcasts with {fdf.value.shape}, got {window.shape}")
    return window


def _width(fdf: FaradaySpectrum, fwhm: Any) -> Array:
    if fwhm is None:
        return fdf.fwhm
    width = checks.positive(units.array(fwhm, "rad/m2", "fwhm"), "fwhm")
    batch = fdf.value.shape[:-1]
    if checks.broadcastable({"fwhm": width.shape, "the spectra": batch}) != batch:
        raise ValueError(f"fwhm: expected one number or one for each spectrum {batch}, got shape {width.shape}")
    return width.astype(fdf.depth.dtype)


def _moments(depth: Array, components: Array) -> tuple[Array, Array]:
    amplitude = jnp.abs(components)
    total = jnp.sum(amplitude, axis=-1)
    safe = jnp.where(total > 0, total, 1.0)
    mean = jnp.sum(amplitude * jnp.broadcast_to(depth, amplitude.shape), axis=-1) / safe
    offset = jnp.broadcast_to(depth, amplitude.shape) - mean[..., None]
    return mean, jnp.sqrt(jnp.sum(amplitude * jnp.square(offset), axis=-1) / safe)
