"""Faraday (rotation measure) synthesis: the polarization spectrum as a function of Faraday depth."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from physics import units
from physics.faraday.depth import MAX_POINTS, carried_rm
from physics.faraday.fits.arguments import wavelengths
from physics.faraday.synthesis.channels import Channels, prepared
from physics.faraday.synthesis.faraday_spectrum import FaradaySpectrum
from physics.faraday.synthesis.weighting import rmsf_width
from physics.numerics import checks
from physics.numerics.batching import chunked_map
from physics.types import HostArray, Real

SPECTRA = 512
"""Spectra at a time: their products with the phase factors then stay in the cache."""

CHUNK_NUMBERS = 4_000_000
"""Numbers that the spectra of one chunk hold together, at most."""


def rm_synthesis(
    lambda_squared: Real,
    polarization: Any,
    depth: Real,
    *,
    sigma: Real = None,
    mask: Any = None,
    weights: Any = "variance",
    robust: float = 0.0,
    amplitude: Any = None,
    lambda0_squared: Real = None,
    chunk_size: int | None = None,
) -> FaradaySpectrum:
    r"""Return the Faraday spectrum of each line of sight on a grid of Faraday depths.

    $$ F(\phi) = K \sum_i w_i P_i e^{-2i\phi(\lambda_i^2 - \lambda_0^2)}, \qquad K = 1/\sum_i w_i $$

    Args:
        lambda_squared: shape (channel,), in any order; its values must be known, not traced [m^2].
        polarization: P = Q + iU, or (Q + iU)/I, complex, shape (..., channel), in any one unit.
        depth: Faraday depths in equal ascending steps, also known [rad/m^2]; see `depth_axis`. A grid that is
            symmetric about zero takes half of the work.
        sigma: standard deviation of one real Stokes parameter, which broadcasts with `polarization`, in its unit, or a
            pair (sigma_q, sigma_u), whose squares are averaged. Without it `.noise` is None.
        mask: booleans, True where a channel is used, broadcasts with `polarization`; elsewhere the data may be NaN.
            A spectrum without a channel is zero, its noise infinite and its `valid` False.
        weights: "variance" (inverse, or equal without `sigma`), "uniform", "lambda_squared" (equal for equal
            intervals of lambda^2), "briggs" (between this one and "variance"), or an array that broadcasts.
        robust: of the weights "briggs", -2 for nearly "lambda_squared" to 2 for nearly "variance".
        amplitude: known amplitude along the channels up to a factor, such as a model of Stokes I, positive: the data
            are divided by it and `sigma` too, which gives the matched spectrum.
        lambda0_squared: reference wavelength squared [m^2]; by default the weighted mean of the channels.
        chunk_size: spectra at a time.

    Returns:
        The spectrum; `value` is in the unit of `polarization`, over that of `amplitude`.

    Raises:
        UnitsError: a quantity has the wrong dimension, or quantities and plain numbers are mixed.
        ValueError: shapes do not match; a value in use is not finite, or not positive where it must be; fewer than two
            different wavelengths; depths not in equal steps; unknown weights.
        TypeError: `lambda_squared` or `depth` is traced.

    Warns:
        UserWarning: the depths go beyond what the channels can carry; it tells the limit.

    Source: Burn (1966); Brentjens and de Bruyn (2005); derived in docs/theory/faraday.md.
    """
    channels = prepared(lambda_squared, polarization, sigma, mask, weights, robust, amplitude, lambda0_squared)
    grid = known_depth(depth)
    warn_beyond(grid, channels.host)
    kernel, arrays, cores = spectrum_kernel(channels, grid)
    limit = max(1, min(SPECTRA, CHUNK_NUMBERS // len(grid)))
    chunk = limit if chunk_size is None else checks.positive_integer(chunk_size, "chunk_size")
    value = chunked_map(kernel, *arrays, core_ndim=cores, chunk_size=chunk)
    return FaradaySpectrum(
        depth=jnp.asarray(grid, channels.weights.dtype),
        value=value,
        noise=channels.noise,
        lambda0_squared=channels.lambda0_squared,
        lambda_squared=jnp.asarray(channels.host, channels.weights.dtype),
        polarization=channels.polarization,
        weights=channels.weights,
        variance=channels.variance,
    )


def depth_axis(lambda_squared: Real, *, max_depth: Real = None, step: Real = None, samples: float = 10.0) -> HostArray:
    """Return Faraday depths for `rm_synthesis` in equal steps, symmetric about zero, which is one of them [rad/m^2].

    Args:
        lambda_squared: of the channels [m^2].
        max_depth: largest depth; by default what the channels can carry, but at least ten widths of the RMSF.
        step: by default the width of the RMSF (of equal weights, at half maximum, as measured) over `samples`.
        samples: across the RMSF.

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: fewer than two different wavelengths, a value is not above zero, or too many depths.
    """
    L = wavelengths(lambda_squared)
    equal = jnp.full(len(L), 1.0 / len(L))
    width = float(rmsf_width(jnp.asarray(L - L.mean()), equal))
    checks.positive(np.asarray(float(samples)), "samples")
    spacing = width / samples if step is None else units.number(step, "rad/m2", "step")
    carried = carried_rm(L)
    limit = max(10.0 * width, carried if np.isfinite(carried) else 0.0)
    limit = limit if max_depth is None else units.number(max_depth, "rad/m2", "max_depth")
    for value, name in ((spacing, "step"), (limit, "max_depth")):
        checks.positive(np.asarray(value), name)
    if not limit / spacing < MAX_POINTS / 2:
        raise ValueError(f"max_depth, step: expected at most {MAX_POINTS} depths, got {2 * limit / spacing:.3g}")
    # A limit that was asked for is reached; what the channels carry is not exceeded.
    whole = np.ceil(limit / spacing * (1.0 - 1e-12)) if max_depth is not None else np.floor(limit / spacing)
    count = max(1, int(whole))
    return np.arange(-count, count + 1) * spacing


def known_depth(depth: Any) -> HostArray:
    """Return the grid of Faraday depths on the host; the errors are those of `rm_synthesis`."""
    if checks.is_traced(depth):
        raise TypeError("depth: expected known values, got a traced array; close over it")
    grid = np.asarray(units.value(depth, "rad/m2", "depth"))
    if grid.dtype.kind not in "fiu" or grid.ndim != 1 or len(grid) < 3:
        raise ValueError(f"depth: expected at least three real numbers on one axis, got {depth!r}")
    single = grid.dtype == np.float32
    grid = checks.finite(grid.astype(np.float64), "depth")
    step = (grid[-1] - grid[0]) / (len(grid) - 1)
    even = np.linspace(grid[0], grid[-1], len(grid))
    slack = (1e-6 if single else 1e-9) * np.abs(grid).max() + 1e-6 * abs(step)
    if not step > 0 or np.abs(grid - even).max() > slack:
        raise ValueError("depth: expected equal ascending steps, as in depth_axis or numpy.linspace")
    # Single precision and decimal rounding of a symmetric grid are undone.
    return 0.5 * (even - even[::-1]) if abs(even[0] + even[-1]) <= slack else even


def warn_beyond(grid: HostArray, lambda_squared: HostArray) -> None:
    """Warn if depths lie beyond the limit of the channels."""
    limit = carried_rm(lambda_squared)
    if np.abs(grid).max() > limit:
        warnings.warn(
            f"depth: goes to {np.abs(grid).max():.4g} rad/m^2, but the channels carry {limit:.4g} rad/m^2: beyond it "
            "they depolarize, or depths repeat",
            UserWarning,
            stacklevel=3,
        )


def spectrum_kernel(channels: Channels, grid: HostArray) -> tuple[Any, list[Array], list[int]]:
    """Return the kernel of one spectrum, the arrays to map it over, and their numbers of axes."""
    dtype = channels.weights.dtype
    symmetric = grid[0] == -grid[-1] and len(grid) % 2 == 1
    half = grid[len(grid) // 2 :] if symmetric else grid
    # In double precision on the host, whatever that of the data is: the phases may be large.
    angle = 2.0 * np.outer(channels.host - channels.pivot, half)
    factors = jnp.asarray(np.concatenate([np.cos(angle), np.sin(angle)], axis=1), dtype)
    product = mirrored_sum if symmetric else direct_sum
    if channels.weights.ndim == 1:
        factors = factors * channels.weights[:, None]
        turn = _turn(jnp.asarray(grid, dtype), channels.lambda0_squared, channels.pivot) if channels.turned else None
        return jax.tree_util.Partial(_shared, product, factors, turn), [channels.polarization], [1]
    shift = channels.lambda0_squared - channels.pivot
    kernel = jax.tree_util.Partial(_weighted, product, factors, jnp.asarray(grid, dtype))
    return kernel, [channels.polarization, channels.weights, shift], [1, 1, 0]


def _turn(grid: Array, lambda0_squared: Array, pivot: float) -> Complex[Array, " depth"]:
    angle = 2.0 * grid * (lambda0_squared - pivot)
    return jax.lax.complex(jnp.cos(angle), jnp.sin(angle))


def _shared(product: Any, factors: Array, turn: Array | None, p: Complex[Array, " channel"]) -> Array:
    value = product(factors, p)
    return value if turn is None else value * turn


def _weighted(product: Any, factors: Array, grid: Array, p: Array, weights: Array, shift: Array) -> Array:
    value = product(factors, jax.lax.complex(p.real * weights, p.imag * weights))
    return value * _turn(grid, shift, 0.0)


def direct_sum(factors: Float[Array, "channel twice"], p: Complex[Array, " channel"]) -> Complex[Array, " depth"]:
    r"""Return $\sum_i p_i (\cos\alpha_{ij} - i\sin\alpha_{ij})$.

    Args:
        factors: cosines, then sines of the angles, side by side.
        p: weighted data.
    """
    cosine, sine = _products(factors, p)
    return jax.lax.complex(cosine[0] + sine[1], cosine[1] - sine[0])


def mirrored_sum(factors: Float[Array, "channel twice"], p: Complex[Array, " channel"]) -> Complex[Array, " depth"]:
    r"""Return `direct_sum` on a grid that is symmetric about zero from its upper half.

    The cosines are even in the depth and the sines odd, so both halves share their four real products.

    Args:
        factors: cosines, then sines, for the depths from zero upwards.
        p: weighted data.
    """
    cosine, sine = _products(factors, p)
    length = cosine.shape[1]

    def whole(half: Array, parity: float) -> Array:
        return jnp.pad(half, (length - 1, 0)) + parity * jnp.pad(half[:0:-1], (0, length))

    return jax.lax.complex(
        whole(cosine[0], 1.0) + whole(sine[1], -1.0),
        whole(cosine[1], 1.0) - whole(sine[0], -1.0),
    )


def _products(factors: Array, p: Array) -> tuple[Array, Array]:
    both = jnp.matmul(jnp.stack([p.real, p.imag]), factors, precision=jax.lax.Precision.HIGHEST)
    half = factors.shape[1] // 2
    return both[:, :half], both[:, half:]
