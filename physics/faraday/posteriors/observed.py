"""Spectra as the inference of screens takes them: known values, checked."""

from typing import Any

from jaxtyping import Array

from physics.faraday.fits.arguments import wavelengths
from physics.faraday.fits.rotation import stokes_weights
from physics.numerics import checks
from physics.types import HostArray


def observed(
    lambda_squared: Any, q: Any, u: Any, sigma: Any, mask: Any, amplitude: Any
) -> tuple[HostArray, tuple[Array, ...]]:
    """Return L of the channels and (q, u, weight_q, weight_u, amplitude), each (..., channel), in default precision.

    Args:
        lambda_squared: shape (channel,) [m^2].
        q: Stokes Q, shape (..., channel).
        u: Stokes U, alike.
        sigma: an array or a pair.
        mask: booleans or None.
        amplitude: "constant" or an array.

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: shapes do not match, or a value in use is not finite, or not positive where it must be.
        TypeError: an array is traced.
    """
    if checks.is_traced(q, u, sigma, mask, amplitude):
        raise TypeError("q, u, sigma, mask, amplitude: expected known values, got a traced array")
    if isinstance(amplitude, str) and amplitude != "constant":
        raise ValueError(f'amplitude: expected "constant" or an array, got {amplitude!r}')
    L = wavelengths(lambda_squared)
    return L, tuple(x.astype(float) for x in stokes_weights(L, q, u, sigma, mask, amplitude))
