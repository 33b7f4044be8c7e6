r"""How images at several frequencies lie on one another, from what is optically thin in all of them.

Self-calibration loses the absolute position, and the core, which is opaque, is not at one place. With a mask M outside
of the core, the band A and the band B displaced by d agree as

$$ C(d) = \frac{\sum M (A - \bar A)\,B_d}{\sqrt{\sum M (A - \bar A)^2\;
   \big[\sum M B_d^2 - (\sum M B_d)^2/\sum M\big]}},\qquad B_d(x) = B(x + d), $$

whose sums are Fourier sums over frequencies k with the phases $e^{2\pi i k\cdot d}$, for any fraction of a pixel.
Pixels are counted as (y, x).
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from physics.types import HostArray

FINE_STEP = 0.1
"""Pixels between the points from which the maximum is climbed."""
CLIMBING_STEPS = 6


class CorrelationSpectra(eqx.Module):
    """The Fourier transforms from which the correlation at any displacement follows."""

    cross: Complex[Array, "y x"]
    level: Complex[Array, "y x"]
    power: Complex[Array, "y x"]
    reference_power: Float[Array, ""]
    """Sum of M (A - mean A)^2."""
    count: Float[Array, ""]
    """Pixels in M."""


def correlation_spectra(
    reference: Float[Array, "y x"], moving: Float[Array, "y x"], mask: Float[Array, "y x"]
) -> CorrelationSpectra:
    """Return what `correlation` needs of two images.

    Args:
        reference: A.
        moving: B.
        mask: M, 1 in the pixels of the reference that count and 0 elsewhere.
    """
    count = jnp.sum(mask)
    centred = mask * (reference - jnp.sum(mask * reference) / count)
    masked = jnp.conj(jnp.fft.fft2(mask)) / mask.size
    return CorrelationSpectra(
        cross=jnp.conj(jnp.fft.fft2(centred)) / mask.size * jnp.fft.fft2(moving),
        level=masked * jnp.fft.fft2(moving),
        power=masked * jnp.fft.fft2(jnp.square(moving)),
        reference_power=jnp.sum(jnp.square(centred)),
        count=count,
    )


def correlation(spectra: CorrelationSpectra, y: Float[Array, " m"], x: Float[Array, " n"]) -> Float[Array, "m n"]:
    """Return C on the grid of displacements (y_i, x_j) [pixels]."""
    rows, columns = spectra.cross.shape
    left = _phases(y, rows)
    right = _phases(x, columns).T

    def at(transform: Complex[Array, "y x"]) -> Float[Array, "m n"]:
        inner = jnp.matmul(transform, right, precision=jax.lax.Precision.HIGHEST)
        return jnp.matmul(left, inner, precision=jax.lax.Precision.HIGHEST).real

    variance = at(spectra.power) - jnp.square(at(spectra.level)) / spectra.count
    norm = spectra.reference_power * variance
    return jnp.where(norm > 0, at(spectra.cross) / jnp.sqrt(jnp.where(norm > 0, norm, 1.0)), -1.0)


def _phases(displacement: Float[Array, " m"], size: int) -> Complex[Array, "m size"]:
    phase = 2.0 * math.pi * displacement[:, None] * jnp.asarray(np.fft.fftfreq(size), displacement.dtype)[None, :]
    return jax.lax.complex(jnp.cos(phase), jnp.sin(phase))


def best_displacement(spectra: CorrelationSpectra, reach: int) -> tuple[Float[Array, " 2"], Float[Array, ""]]:
    """Return the displacement (y, x) of the highest correlation [pixels], and the correlation there.

    Whole pixels first, then tenths, then Newton's method, which has no grid.

    Args:
        spectra: of the two images.
        reach: largest displacement searched along each axis [pixels].
    """
    dtype = spectra.count.dtype
    coarse = jnp.arange(-reach, reach + 1).astype(dtype)
    place = _highest(spectra, coarse, coarse)
    fine = jnp.asarray(np.arange(-1.0, 1.0 + 0.5 * FINE_STEP, FINE_STEP), dtype)
    place = _highest(spectra, place[0] + fine, place[1] + fine)

    def height(d: Float[Array, " 2"]) -> Float[Array, ""]:
        return correlation(spectra, d[:1], d[1:])[0, 0]

    def climb(_: Array | int, d: Float[Array, " 2"]) -> Float[Array, " 2"]:
        slope, hessian = jax.grad(height)(d), jax.hessian(height)(d)
        determinant = hessian[0, 0] * hessian[1, 1] - hessian[0, 1] * hessian[1, 0]
        peaked = (hessian[0, 0] < 0) & (determinant > 0)
        adjugate = jnp.stack(
            [hessian[1, 1] * slope[0] - hessian[0, 1] * slope[1], hessian[0, 0] * slope[1] - hessian[1, 0] * slope[0]]
        )
        step = jnp.where(peaked, -adjugate / jnp.where(peaked, determinant, 1.0), 0.0)
        return d + jnp.clip(step, -FINE_STEP, FINE_STEP)

    place = jax.lax.fori_loop(0, CLIMBING_STEPS, climb, place)
    return place, height(place)


def _highest(spectra: CorrelationSpectra, y: Float[Array, " m"], x: Float[Array, " n"]) -> Float[Array, " 2"]:
    values = correlation(spectra, y, x)
    row, column = jnp.divmod(jnp.argmax(values), len(x))
    return jnp.stack([y[row], x[column]])


@jax.jit
def displaced(image: Float[Array, "*image y x"], by: Float[Array, "*image 2"]) -> Float[Array, "*image y x"]:
    r"""Return images whose content is moved by (y, x) pixels: Fourier phases $e^{-2\pi i k\cdot d}$ on twice the grid.

    Args:
        image: real images.
        by: d, one for each image.
    """
    y, x = image.shape[-2:]
    transform = jnp.fft.rfft2(image, s=(2 * y, 2 * x))
    k_y = jnp.asarray(np.fft.fftfreq(2 * y), image.dtype)[:, None]
    k_x = jnp.asarray(np.fft.rfftfreq(2 * x), image.dtype)[None, :]
    shift = by[..., None, None, :]
    lead = (None,) * (image.ndim - 2)
    phase = -2.0 * math.pi * (k_y[lead] * shift[..., 0] + k_x[lead] * shift[..., 1])
    moved = jnp.fft.irfft2(transform * jax.lax.complex(jnp.cos(phase), jnp.sin(phase)), s=(2 * y, 2 * x))
    return moved[..., :y, :x]


def displaced_mask(mask: HostArray, by: HostArray) -> HostArray:
    """Return a mask of pixels moved by a fraction: true where all pixels that surround the old place are true.

    Args:
        mask: shape (y, x).
        by: (y, x) [pixels].
    """
    result = np.ones_like(mask)
    corners = [(math.floor(-d), math.ceil(-d)) for d in by]
    for dy in set(corners[0]):
        for dx in set(corners[1]):
            result &= _taken_from(mask, dy, dx)
    return result


def _taken_from(mask: HostArray, dy: int, dx: int) -> HostArray:
    # mask[y + dy, x + dx], false outside.
    y, x = (np.arange(n) + d for n, d in zip(mask.shape, (dy, dx), strict=True))
    inside = ((y >= 0) & (y < mask.shape[0]))[:, None] & ((x >= 0) & (x < mask.shape[1]))[None, :]
    return inside & mask[np.clip(y, 0, mask.shape[0] - 1)][:, np.clip(x, 0, mask.shape[1] - 1)]
