"""A screen and spectra as its inference takes them: known values, checked."""

from typing import Any

from jaxtyping import Array

from physics.faraday.fits.arguments import wavelengths
from physics.faraday.fits.rotation import stokes_weights
from physics.faraday.posteriors.reduced import ReducedScreen, reduced_screen, refuse_implausible
from physics.numerics import checks
from physics.types import HostArray


def problem_of(
    screen: Any, lambda_squared: Any, q: Any, u: Any, sigma: Any, *, priors: Any, mask: Any, amplitude: Any
) -> tuple[HostArray, tuple[Array, ...], ReducedScreen]:
    """Return L of the channels, (q, u, weight_q, weight_u, amplitude), each (..., channel), and the reduced screen.

    Args:
        screen: a screen, the class of one, or a sequence of these, which stands for their sum.
        lambda_squared: shape (channel,) [m^2].
        q: Stokes Q, shape (..., channel).
        u: Stokes U, alike.
        sigma: an array or a pair.
        priors: by name of a parameter, or None.
        mask: booleans or None.
        amplitude: "constant" or an array.

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: shapes do not match; a value in use is not finite, or not positive where it must be; a prior does
            not fit; a polarization is far larger than its prior allows.
        TypeError: an array is traced, `screen` is none, or a prior is none.
    """
    if checks.is_traced(q, u, sigma, mask, amplitude):
        raise TypeError("q, u, sigma, mask, amplitude: expected known values, got a traced array")
    if isinstance(amplitude, str) and amplitude != "constant":
        raise ValueError(f'amplitude: expected "constant" or an array, got {amplitude!r}')
    L = wavelengths(lambda_squared)
    data = tuple(x.astype(float) for x in stokes_weights(L, q, u, sigma, mask, amplitude))
    model = reduced_screen(screen, L, priors, data[0].dtype)
    refuse_implausible(model, data)
    return L, data, model
