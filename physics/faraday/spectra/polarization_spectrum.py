"""Stokes parameters of one line of sight by frequency."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float

from physics import units
from physics.errors import DataFormatError
from physics.faraday import conventions
from physics.numerics import checks


class PolarizationSpectrum(eqx.Module):
    """Stokes I, Q and U of one line of sight, ascending in frequency; I is None where Q and U are fractions of it."""

    frequency: Float[Array, " channel"]
    """[Hz]."""
    q: Float[Array, " channel"]
    u: Float[Array, " channel"]
    sigma_q: Float[Array, " channel"]
    sigma_u: Float[Array, " channel"]
    mask: Bool[Array, " channel"]
    """True where all numbers are known; elsewhere the values are zero, the errors one."""
    intensity: Float[Array, " channel"] | None = None
    sigma_i: Float[Array, " channel"] | None = None
    name: str = eqx.field(static=True, default="")
    unit: str = eqx.field(static=True, default="")
    """Of I, Q and U; empty for fractions, or where it is not known."""
    position: tuple[float, float] | None = eqx.field(static=True, default=None)
    """Right ascension and declination (ICRS) [rad]."""

    units: ClassVar[dict[str, str]] = {"frequency": "Hz", "lambda_squared": "m2"}

    def to_quantity(self, name: str) -> Any:
        """Return one of the values listed in `units` as an astropy `Quantity`."""
        return units.quantity(getattr(self, checks.one_of(name, list(self.units), "name")), self.units[name])

    @property
    def lambda_squared(self) -> Float[Array, " channel"]:
        """Squared wavelength of each channel [m^2]."""
        return conventions.lambda_squared(self.frequency)

    @property
    def polarization(self) -> Complex[Array, " channel"]:
        """P = Q + iU."""
        return jax.lax.complex(self.q, self.u)

    @property
    def sigma(self) -> tuple[Float[Array, " channel"], Float[Array, " channel"]]:
        """Standard deviations of Q and U, as `rm_synthesis` and `fit_rotation` take them."""
        return self.sigma_q, self.sigma_u


def checked_spectrum(columns: dict[str, np.ndarray], where: str, **labels: Any) -> PolarizationSpectrum:
    """Return a spectrum, sorted by frequency, from the columns of a file.

    Args:
        columns: freq_Hz, q, u, dq, du and, if I is known, i, di.
        where: file and table, for the message.
        **labels: name, unit, position.

    Raises:
        DataFormatError: the columns differ in length, frequencies repeat or are not in Hz, an error is not above zero,
            or no channel is complete.
    """
    lengths = {name: np.shape(x) for name, x in columns.items()}
    if len(set(lengths.values())) != 1 or len(lengths["freq_Hz"]) != 1:
        raise DataFormatError(f"{where}: expected columns of one length, got {lengths}")
    nu = np.asarray(columns["freq_Hz"], np.float64)
    if not np.all(np.isfinite(nu) & (nu > 0)):
        raise DataFormatError(f"{where}: column freq_Hz: expected finite values above zero")
    if nu.max() < 1e6:
        raise DataFormatError(f"{where}: column freq_Hz: expected Hz, got values up to {nu.max():g} (GHz or MHz?)")
    order = np.argsort(nu)
    nu = nu[order]
    if np.any(np.diff(nu) == 0):
        raise DataFormatError(f"{where}: column freq_Hz: {nu[:-1][np.diff(nu) == 0][0]:.10g} Hz occurs more than once")
    values = {name: np.asarray(x, np.float64)[order] for name, x in columns.items() if name != "freq_Hz"}
    if "i" in values and np.all(values["i"] == 1.0) and np.all(np.nan_to_num(values["di"]) == 0.0):
        # The customary way to write fractions in seven columns.
        del values["i"], values["di"]
        labels["unit"] = ""
    mask = np.all(np.isfinite(np.stack(list(values.values()))), axis=0)
    if not mask.any():
        raise DataFormatError(f"{where}: no channel has all of {', '.join(values)}")
    for name in ("di", "dq", "du"):
        if name in values and np.any(values[name][mask] <= 0):
            bad = nu[mask][values[name][mask] <= 0][0]
            raise DataFormatError(f"{where}: column {name}: expected errors above zero, not so at {bad:.10g} Hz")
    filled = {name: jnp.asarray(np.where(mask, x, float(name.startswith("d")))) for name, x in values.items()}
    return PolarizationSpectrum(
        frequency=jnp.asarray(nu),
        q=filled["q"],
        u=filled["u"],
        sigma_q=filled["dq"],
        sigma_u=filled["du"],
        mask=jnp.asarray(mask),
        intensity=filled.get("i"),
        sigma_i=filled.get("di"),
        **labels,
    )
