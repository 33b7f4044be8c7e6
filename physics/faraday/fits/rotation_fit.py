"""What a fit of a rotation measure returns."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from physics import units
from physics.numerics import checks


class RotationFit(eqx.Module):
    """Rotation measure and intrinsic EVPA of each line of sight, with what else could explain the data.

    All arrays begin with the leading shape of the data. Errors are infinite, and `rm` zero, where fewer than two
    different wavelengths are used, and where the posterior has no maximum within `max_rm` or is higher still at that
    limit. Errors include the calibration offsets, which pixels share: differences between pixels are better known.
    """

    rm: Float[Array, "*pixel"]
    """Rotation measure at the highest posterior mass."""
    rm_error: Float[Array, "*pixel"]
    evpa0: Float[Array, "*pixel"]
    """EVPA at zero wavelength, in (-pi/2, pi/2]."""
    evpa0_error: Float[Array, "*pixel"]
    covariance: Float[Array, "*pixel 2 2"]
    """Of (rm, evpa0)."""
    amplitude: Float[Array, "*pixel"] | None
    """Of q and u, or the factor of the given amplitude; for free amplitudes the weighted mean along the model. None if
    angles were fitted."""
    amplitude_error: Float[Array, "*pixel"] | None
    chi2: Float[Array, "*pixel"]
    """Misfit of Q and U at the maximum, or of the angles if the amplitude is free."""
    dof: Float[Array, "*pixel"]
    alias_rm: Float[Array, "*pixel maximum"]
    """Rotation measures of all maxima kept, by descending posterior mass; the first is `rm`."""
    alias_log_odds: Float[Array, "*pixel maximum"]
    """Log posterior mass relative to the first; -inf marks an empty place, whose `alias_rm` repeats the first."""
    alias_log_odds_flat: Float[Array, "*pixel maximum"]
    """The same without the prior; above zero where the prior has decided for the first."""

    units: ClassVar[dict[str, str]] = {
        "rm": "rad/m2",
        "rm_error": "rad/m2",
        "evpa0": "rad",
        "evpa0_error": "rad",
        "chi2": "",
        "dof": "",
        "p_value": "",
        "alias_rm": "rad/m2",
        "alias_log_odds": "",
        "alias_log_odds_flat": "",
    }

    @property
    def determined(self) -> Bool[Array, "*pixel"]:
        """Whether there is an answer: the errors are finite."""
        return jnp.isfinite(self.rm_error)

    @property
    def p_value(self) -> Float[Array, "*pixel"]:
        r"""Probability of a misfit at least as large as `chi2` if the model and the errors are right; 1 without `dof`.

        The upper tail of the chi-squared distribution, $Q(\mathrm{dof}/2, \chi^2/2)$. It is exact as far as the errors
        are Gaussian: those of Q and U are, those of angles become so above a signal-to-noise ratio of about 10.
        """
        return chi_squared_tail(self.chi2, self.dof)

    def to_quantity(self, name: str) -> Any:
        """Return one of the fields listed in `units` as an astropy `Quantity`."""
        return units.quantity(getattr(self, checks.one_of(name, list(self.units), "name")), self.units[name])


def chi_squared_tail(chi2: Float[Array, "*pixel"], dof: Float[Array, "*pixel"]) -> Float[Array, "*pixel"]:
    """Return the probability of a chi squared at least as large, 1 without degrees of freedom."""
    testable = dof > 0
    tail = jax.scipy.special.gammaincc(0.5 * jnp.where(testable, dof, 1.0), 0.5 * chi2)
    return jnp.where(testable, tail, 1.0)
