"""Models of Stokes I along the channels, to divide Q and U by."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float, Int

from physics import units
from physics.errors import UnitsError
from physics.faraday.conventions import in_one_unit
from physics.faraday.fits.likelihood import scaled
from physics.faraday.spectra.intensity_fit import MAX_ORDER, best_order, model_value
from physics.numerics import checks
from physics.numerics.batching import chunked_map
from physics.types import Real

MODELS = ("log", "linear", "power_law")


class IntensityModel(eqx.Module):
    r"""Stokes I of each line of sight as a smooth function of frequency; call it with frequencies [Hz].

    With $x = \nu/\nu_0$ the model is $I_0\,10^{c_1 y + c_2 y^2 + \dots}$, $y = \log_{10} x$ ("log", "power_law"), so
    that $c_1$ is the spectral index at $\nu_0$; or $I_0 + c_1 y + \dots$, $y = x - 1$ ("linear").
    """

    coefficients: Float[Array, "*spectrum 6"]
    """$I_0, c_1, \\dots$; zero above the order."""
    covariance: Float[Array, "*spectrum 6 6"]
    order: Int[Array, "*spectrum"]
    chi2: Float[Array, "*spectrum"]
    dof: Int[Array, "*spectrum"]
    aic: Float[Array, "*spectrum 6"]
    """Akaike's criterion of each order that was tried, chi2 + 2 (order + 1); infinite for the others."""
    signal_to_noise: Float[Array, "*spectrum"]
    """Of $I_0$."""
    valid: Bool[Array, "*spectrum"]
    """I is significant, and the model positive in every channel used: dividing by it makes sense."""
    reference_frequency: Float[Array, ""]
    """$\\nu_0$."""
    model: str = eqx.field(static=True)
    unit: str = eqx.field(static=True, default="")
    """Of the intensity, if it was a quantity."""

    units: ClassVar[dict[str, str]] = {"reference_frequency": "Hz"}

    def __call__(self, frequency: Real) -> Float[Array, "..."]:
        """Return Stokes I, of shape spectra + channels, in the unit of the data.

        Args:
            frequency: shape (channel,) [Hz].

        Raises:
            UnitsError: a quantity is not a frequency.
            ValueError: the frequencies are not one axis of positive numbers.
        """
        nu = checks.positive(units.array(frequency, "Hz", "frequency"), "frequency").astype(self.coefficients.dtype)
        if nu.ndim != 1:
            raise ValueError(f"frequency: expected the shape (channel,), got {nu.shape}")
        ratio = nu / self.reference_frequency
        kernel = jax.tree_util.Partial(model_value, self.model == "linear", ratio)
        return chunked_map(kernel, self.coefficients, core_ndim=1)

    def fraction(
        self, frequency: Real, polarization: Any, sigma: Real
    ) -> tuple[Complex[Array, "..."], Float[Array, "..."], Bool[Array, "..."]]:
        """Return P/I, its error, and the mask, where the model is valid: arguments of `rm_synthesis`.

        Args:
            frequency: shape (channel,) [Hz].
            polarization: P = Q + iU, shape spectra + channels, in the unit of the intensity.
            sigma: standard deviation of one real Stokes parameter, broadcasts with it.

        Raises:
            UnitsError: an argument has another dimension than the intensity had, or one of both had no unit.
            ValueError: the polarization is not complex, or shapes do not match.
        """
        model = self(frequency)
        p = jnp.asarray(self._plain(polarization, "polarization"))
        if not jnp.issubdtype(p.dtype, jnp.complexfloating):
            raise ValueError(f"polarization: expected complex numbers Q + iU, got an array of {p.dtype}")
        error = units.array(self._plain(sigma, "sigma"), "", "sigma").astype(model.dtype)
        shape = checks.broadcastable({"polarization": p.shape, "the model": model.shape, "sigma": error.shape})
        model, p, error = (jnp.broadcast_to(x, shape) for x in (model, p, error))
        finite = jnp.isfinite(p.real) & jnp.isfinite(p.imag) & jnp.isfinite(error)
        mask = jnp.broadcast_to(self.valid[..., None], shape) & (model > 0) & finite
        inverse = 1.0 / jnp.where(mask, model, 1.0)
        clean = jnp.where(mask, p, 0.0)
        return scaled(clean, inverse.astype(p.real.dtype)), jnp.where(mask, error, 1.0) * inverse, mask

    def _plain(self, x: Any, name: str) -> Any:
        if self.unit and not units.is_quantity(x):
            raise UnitsError(
                f"{name}: expected a quantity convertible to {self.unit}, as the intensity, got plain numbers"
            )
        return units.value(x, self.unit, name)


def fit_intensity(
    frequency: Real,
    intensity: Real,
    sigma: Real,
    *,
    model: str = "log",
    order: int | None = None,
    reference_frequency: Real = None,
    mask: Any = None,
    minimum_signal_to_noise: float = 5.0,
) -> IntensityModel:
    """Return the smooth model of Stokes I that fits each line of sight.

    Args:
        frequency: shape (channel,) [Hz].
        intensity: Stokes I, shape (..., channel), in any one unit.
        sigma: standard deviation of it, broadcasts, in that unit.
        model: "log", a polynomial of log I in log frequency; "linear", one of I in frequency; "power_law", the first
            of order one.
        order: of the polynomial, 0 to 5; by default each line of sight gets the order of the lowest AIC.
        reference_frequency: of the model [Hz]; by default that of the mean of the squared wavelengths.
        mask: booleans, True where a channel is used, broadcasts with `intensity`.
        minimum_signal_to_noise: of the intensity at the reference frequency; below it the model is not `valid`.

    Raises:
        UnitsError: a quantity has the wrong dimension.
        ValueError: shapes do not match, a value in use is not finite or not positive where it must be, or there are
            fewer channels than parameters.

    Source: derived in docs/theory/faraday.md.
    """
    checks.one_of(model, MODELS, "model")
    if model == "power_law" and order not in (None, 1):
        raise ValueError(f"order: a power law has order 1, got {order!r}")
    order = 1 if model == "power_law" else order
    if order is not None and not 0 <= checks.nonnegative_integer(order, "order") <= MAX_ORDER:
        raise ValueError(f"order: expected 0 to {MAX_ORDER}, got {order}")
    nu = np.asarray(checks.positive(units.array(frequency, "Hz", "frequency"), "frequency"), np.float64)
    values, weights = _data(nu, intensity, sigma, mask)
    least = 0 if order is None else order
    # Checked for all at once: a line of sight with less has its model invalid.
    if nu.ndim != 1 or len(np.unique(nu)) < least + 1:
        raise ValueError(f"frequency: expected at least {least + 1} different channels for order {least}, got {nu}")
    nonnegative = checks.nonnegative(np.asarray(float(minimum_signal_to_noise)), "minimum_signal_to_noise")
    reference = (
        float(np.mean(nu**-2.0) ** -0.5)
        if reference_frequency is None
        else units.number(reference_frequency, "Hz", "reference_frequency")
    )
    checks.positive(np.asarray(reference), "reference_frequency")
    dtype = values.dtype
    kernel = jax.tree_util.Partial(
        best_order,
        model == "linear",
        -1 if order is None else order,
        jnp.asarray(nu / reference, dtype),
        jnp.asarray(float(nonnegative), dtype),
    )
    columns = chunked_map(kernel, values, weights, core_ndim=1, chunk_size=1024)
    unit = str(intensity.unit) if units.is_quantity(intensity) and not intensity.unit.is_equivalent("") else ""
    return IntensityModel(**columns, reference_frequency=jnp.asarray(reference, dtype), model=model, unit=unit)


def _data(nu: np.ndarray, intensity: Any, sigma: Any, mask: Any) -> tuple[Array, Array]:
    plain = in_one_unit({"intensity": intensity, "sigma": sigma})
    values = plain["intensity"]
    error = plain["sigma"].astype(values.dtype)
    used = jnp.asarray(True) if mask is None else jnp.asarray(mask)
    if used.dtype != bool:
        raise ValueError(f"mask: expected booleans, got an array of {used.dtype}")
    if values.shape[-1:] != nu.shape:
        raise ValueError(f"intensity: expected {nu.size} channels on the last axis, got shape {values.shape}")
    shape = checks.broadcastable({"intensity": values.shape, "sigma": error.shape, "mask": used.shape})
    values, error, used = (jnp.broadcast_to(x, shape) for x in (values, error, used))
    values = checks.finite(jnp.where(used, values, 0.0), "intensity")
    error = checks.positive(jnp.where(used, error, 1.0), "sigma")
    return values, jnp.where(used, 1.0 / jnp.square(error), 0.0)
